/*
 * plan.h
 *	  The plan of a statement that has just run. Private to slowlog.
 */
#ifndef HONE_SLOWLOG_PLAN_H
#define HONE_SLOWLOG_PLAN_H

#include "executor/execdesc.h"

/*
 * EXPLAIN (FORMAT JSON) of an execution whose state is still there, with the
 * planner's estimates; NULL when it can not be had. Lives in the
 * execution's own memory. Raises no error.
 */
extern char *hone_slow_plan(QueryDesc *query_desc);

#endif							/* HONE_SLOWLOG_PLAN_H */
