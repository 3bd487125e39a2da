#ifndef HONE_ADVISE_H
#define HONE_ADVISE_H

extern void hone_advise_init(void);

/*
 * Advise the current user on the captured workload, as far as he may see it, and
 * store the run; -1 is no limit. Returns its id.
 */
extern int64 hone_advise_workload(int64 budget, int max_indexes);

#endif							/* HONE_ADVISE_H */
