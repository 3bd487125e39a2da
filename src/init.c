/*
 * init.c
 *	  The library's entry point, and the only file that knows every room.
 *
 * Each room registers its own settings, shared memory, hooks and workers. The
 * order is the order of the floors: who is called later may use who was called
 * earlier. Loaded by shared_preload_libraries the library captures; loaded
 * otherwise (LOAD, session_preload_libraries, the first call of a function) it
 * still answers what-if questions and gives advice on statements given by hand.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include "advise/advise.h"
#include "apply/apply.h"
#include "base/compat.h"
#include "base/shmem.h"
#include "health/health.h"
#include "jobs/jobs.h"
#include "pool/pool.h"
#include "probe/probe.h"
#include "recent/recent.h"
#include "slowlog/slowlog.h"
#include "stats/stats.h"
#include "whatif/whatif.h"
#include "workload/workload.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

/* Called by the server when it loads the library, before any hook of ours. */
void
_PG_init(void)
{
	hone_shmem_init();

	hone_stats_init();
	hone_stats_history_init();
	hone_workload_init();
	hone_slowlog_init();
	hone_jobs_init();
	hone_jobs_register_tick(hone_stats_drain);

	hone_whatif_init();			/* inside of probe's, which measures planning */
	hone_probe_init();
	hone_health_init();
	hone_pool_init();

	hone_advise_init();
	hone_apply_init();
	hone_apply_auto_init();
	hone_recent_init();

	MarkGUCPrefixReserved("pg_hone");
}
