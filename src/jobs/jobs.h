#ifndef HONE_JOBS_H
#define HONE_JOBS_H

extern void hone_jobs_init(void);

#endif							/* HONE_JOBS_H */
