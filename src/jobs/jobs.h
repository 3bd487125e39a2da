#ifndef HONE_JOBS_H
#define HONE_JOBS_H

extern void hone_jobs_init(void);
extern void hone_jobs_mark_database(Oid dbid);

#endif							/* HONE_JOBS_H */
