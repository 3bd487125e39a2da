#ifndef HONE_STATS_H
#define HONE_STATS_H

extern void hone_stats_init(void);

#endif							/* HONE_STATS_H */
