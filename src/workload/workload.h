/*
 * workload.h
 *	  Samples of real executions with their parameter values: what the advisor
 *	  plans again.
 */
#ifndef HONE_WORKLOAD_H
#define HONE_WORKLOAD_H

#include "nodes/parsenodes.h"

#include "base/record.h"

extern void hone_workload_init(void);

/*
 * Look at an optimisable statement that completed (query_desc is not NULL) and
 * keep a sample of it when one is wanted. Almost always a look into a small
 * private table, without a lock. Never raises an error on its own account.
 */
extern void hone_workload_keep(const HoneExecution *execution);

/*
 * in named.c: look at a statement that was analysed with names for its
 * parameters (in PL/pgSQL, in an SQL function). text is its own part of a source
 * text, without leading white space, and location where that begins.
 */
extern void hone_workload_learn(uint64 queryid, Query *query,
								const char *text, int len, int location);

#endif							/* HONE_WORKLOAD_H */
