/*
 * save.h
 *	  The slow log in memory across a clean restart. Private to slowlog.
 */
#ifndef HONE_SLOWLOG_SAVE_H
#define HONE_SLOWLOG_SAVE_H

/* What hone_shmem_at_restart() wants. Neither raises an error. */
extern void hone_slow_save(void);
extern void hone_slow_load(void);

#endif							/* HONE_SLOWLOG_SAVE_H */
