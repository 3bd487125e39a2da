/*
 * internal.h
 *	  Shared between the files of jobs/, and nobody else's business.
 */
#ifndef HONE_JOBS_INTERNAL_H
#define HONE_JOBS_INTERNAL_H

#include "jobs/jobs.h"
#include "port/atomics.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "utils/timestamp.h"

#define HONE_MAX_DATABASES 256
#define HONE_ERROR_LENGTH 200

typedef enum HonePresence
{
	HONE_PRESENCE_UNKNOWN,		/* not looked yet */
	HONE_PRESENT,				/* the extension is installed there */
	HONE_ABSENT
} HonePresence;

/*
 * One database. A slot is taken under an exclusive lock; it is given back
 * under one, when the database is gone and no worker of ours is in it.
 */
typedef struct HoneDatabase
{
	Oid			dbid;			/* InvalidOid: free; read without lock in
								 * hone_jobs_mark_database */
	pg_atomic_uint32 active;	/* something happened there since the last
								 * round began; no lock */

	/* Everything below is protected by HoneJobsShared.lock. */
	HonePresence presence;
	TimestampTz next_due;
	TimestampTz settle_at;		/* one more round then, even if nothing happens;
								 * 0: none */
	TimestampTz last_run;		/* 0: never */
	double		duration_ms;
	int			failures;		/* in a row */
	char		last_error[HONE_ERROR_LENGTH];
} HoneDatabase;

typedef struct HoneJobsShared
{
	LWLock		lock;
	Latch	   *launcher;		/* NULL when there is none; protected by lock */

	/* What we cost since the server started; no lock. */
	pg_atomic_uint64 launcher_cpu_us;
	pg_atomic_uint64 collector_cpu_us;	/* of rounds in workers that ended */
	pg_atomic_uint64 rounds;	/* in databases that have the extension */

	HoneDatabase databases[HONE_MAX_DATABASES];
} HoneJobsShared;

/* in jobs.c */
extern HoneJobsShared *hone_jobs_shared;	/* NULL when not preloaded */
extern int	hone_jobs_collect_interval_s;
extern int	hone_jobs_max_workers;

/* A database's slot, made if it is not there; NULL when all are taken. Caller
 * holds the lock exclusively. */
extern HoneDatabase *hone_jobs_find_database(Oid dbid, bool create);

/* in round.c: CPU time of this process */
extern uint64 hone_jobs_cpu_us(void);

/* in launcher.c */
extern void hone_jobs_launcher_init(void);

/* in worker.c: a try in which the function manages its own transactions */
extern void hone_jobs_try_raw(HoneTryFunction function, void *arg,
							  HoneTryResult *result);

#endif							/* HONE_JOBS_INTERNAL_H */
