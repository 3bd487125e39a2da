#ifndef HONE_SLOWLOG_H
#define HONE_SLOWLOG_H

extern void hone_slowlog_init(void);

#endif							/* HONE_SLOWLOG_H */
