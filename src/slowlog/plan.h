/*
 * plan.h
 *	  The plan of a statement that is running or has just run. Private to
 *	  slowlog.
 */
#ifndef HONE_SLOWLOG_PLAN_H
#define HONE_SLOWLOG_PLAN_H

#include "executor/execdesc.h"

/*
 * EXPLAIN (FORMAT JSON) of an execution whose state is there, with the
 * planner's estimates, and once it has run also with the rows that were counted,
 * if they were; NULL when it can not be had, is longer, or is not JSON. Lives
 * in the execution's own memory. Raises no error.
 */
extern char *hone_slow_plan(QueryDesc *query_desc, bool has_run, int max_length);

/* May an execution of this plan be instrumented, and its plan be printed? */
extern bool hone_slow_plan_is_plain(const PlannedStmt *stmt);

#endif							/* HONE_SLOWLOG_PLAN_H */
