/*
 * named.h
 *	  Parameters that a statement names instead of numbering; private to this
 *	  room but for hone_workload_learn (workload.h).
 */
#ifndef HONE_NAMED_H
#define HONE_NAMED_H

#include "base/params.h"

/*
 * Write a statement with $n for each named parameter, so that $n is the n-th
 * value kept. NULL if nothing is known about this text, or memory is short;
 * otherwise palloc'd, and *result_len is its length.
 */
extern char *hone_named_to_numbered(uint64 queryid, const char *text, int len,
									const HoneParams *params, int *result_len);

#endif							/* HONE_NAMED_H */
