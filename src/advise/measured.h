/*
 * measured.h
 *	  What was measured of the captured workload's writes; between measured.c,
 *	  which reads it, and writes.c, which makes sense of it.
 */
#ifndef HONE_ADVISE_MEASURED_H
#define HONE_ADVISE_MEASURED_H

#include "nodes/bitmapset.h"
#include "nodes/nodes.h"

/* Rows that all executions of a query wrote to a table. */
typedef struct HoneMeasuredWrite
{
	int64		queryid;
	Oid			userid;
	Oid			relid;
	Oid			root;			/* of its partition tree */
	CmdType		command;
	double		calls;
	double		rows;
	const char *text;			/* normalised; NULL: not known */
	bool		known;			/* changed is */
	Bitmapset  *changed;
} HoneMeasuredWrite;

/* What the server counted for a table, over the window. */
typedef struct HoneCountedWrites
{
	Oid			relid;
	Oid			root;
	double		inserted;
	double		most_inserted;	/* of them, between two rounds of the collector */
	double		updated;
	double		deleted;
} HoneCountedWrites;

#endif							/* HONE_ADVISE_MEASURED_H */
