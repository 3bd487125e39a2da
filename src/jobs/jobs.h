/*
 * jobs.h
 *	  Runs what must not run in a user's session: the launcher, the collector's
 *	  rounds, and DDL on user objects. Has no policy of its own.
 */
#ifndef HONE_JOBS_H
#define HONE_JOBS_H

#include "postmaster/bgworker.h"

/* in jobs.c */

extern void hone_jobs_init(void);

/*
 * Note that a database has something to collect. Called from hooks: never
 * raises, and costs one load when the database is marked already. Does
 * nothing when the library was not preloaded.
 */
extern void hone_jobs_mark_database(Oid dbid);

/* in launcher.c */

/*
 * Have a function called about once a second by the launcher, in a transaction
 * of its own without a database: shared memory and shared catalogs only. Its
 * errors are logged and otherwise ignored. To be called from a room's init
 * function.
 */
typedef void (*HoneTick) (void);
extern void hone_jobs_register_tick(HoneTick tick);

/* in worker.c */

/*
 * Start a dynamic worker of this database that runs an exported function of
 * this library. handle may be NULL, and then nothing here can raise an error
 * or allocate, so that it can be called while a transaction commits; otherwise
 * this process is told (latch) when the worker starts and ends. False when all
 * worker slots are taken. Not to be called during recovery.
 */
extern bool hone_jobs_start_worker(const char *type, const char *function,
								   Oid dbid, BackgroundWorkerHandle **handle);

/*
 * The same when this transaction commits, without any possibility to fail: who
 * cannot be started then must be by a later round. Both are literals.
 */
extern void hone_jobs_start_at_commit(const char *type, const char *function);

/* The worker's first step: signals, connection, settings. */
extern void hone_jobs_worker_connect(Oid dbid, const char *application_name);

/* What became of something that was tried. */
typedef struct HoneTryResult
{
	bool		ok;
	bool		timed_out;		/* cancelled by our own time limit */
	int			sqlerrcode;
	char	   *message;		/* in the caller's memory context; NULL if ok */
} HoneTryResult;

/*
 * Run a function in a transaction of its own with a snapshot; an error aborts
 * the transaction, is logged, and is returned instead of raised. For workers,
 * outside any transaction. Aborting releases the session's ordinary locks.
 */
typedef void (*HoneTryFunction) (void *arg);
extern void hone_jobs_try(HoneTryFunction function, void *arg,
						  HoneTryResult *result);

/*
 * Sleep outside any transaction; ends early, with an error, when this worker
 * is cancelled.
 */
extern void hone_jobs_pause(int ms, HoneTryResult *result);

/*
 * What a worker's own steps wait for a lock at most (lock_timeout between
 * statements of hone_jobs_run_ddl(), which have their own): rows of our tables
 * can be locked by whoever calls our functions in a transaction and leaves it
 * open.
 */
#define HONE_STEP_LOCK_TIMEOUT_MS 5000

/* in ddl.c */

typedef struct HoneDdl
{
	Oid			roleid;			/* who runs it */
	const char *statement;		/* one CREATE, DROP or REINDEX INDEX CONCURRENTLY, or
								 * ANALYZE of one table; of a partitioned index
								 * what only changes catalogs (ddl.c) */
	int			lock_timeout_ms;	/* 0: none */
	int			timeout_ms;		/* 0: none */

	/* Called in the statement's transaction before it; may be NULL. */
	void		(*before) (void *arg);
	void	   *before_arg;

	/*
	 * Called in the statement's first transaction for each relation it makes,
	 * with the effective user of that moment; may be NULL.
	 */
	void		(*created) (Oid relid, void *arg);
	void	   *created_arg;
} HoneDdl;

/*
 * Run it as its role, at top level. For workers, outside any transaction. The
 * caller must look at the catalogs to learn what is left after a failure.
 */
extern void hone_jobs_run_ddl(const HoneDdl *ddl, HoneTryResult *result);

#endif							/* HONE_JOBS_H */
