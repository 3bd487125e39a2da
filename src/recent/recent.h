#ifndef HONE_RECENT_H
#define HONE_RECENT_H

extern void hone_recent_init(void);

#endif							/* HONE_RECENT_H */
