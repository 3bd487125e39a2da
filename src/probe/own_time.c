/*
 * own_time.c
 *	  What capturing takes inside other people's statements.
 *
 * Of one top level statement in HONE_OWN_CLOCK_INTERVAL the hooks of executor
 * run and end, with those of the nested statements, read the clock on their way
 * in and out, and leave out what was the statement's. Two atomics in shared
 * memory add that up. The sum, times the interval, estimates what all
 * statements paid; parse analysis, planning and utility statements, which cost
 * little more, are not in it.
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "fmgr.h"
#include "funcapi.h"
#include "port/atomics.h"

#include "base/shmem.h"
#include "probe/internal.h"

PG_FUNCTION_INFO_V1(hone_capture_cost);

typedef struct OwnTime
{
	pg_atomic_uint64 statements;	/* measured */
	pg_atomic_uint64 ns;		/* what the hooks took of those */
} OwnTime;

static OwnTime *own_time = NULL;

static Size
own_time_size(void)
{
	return sizeof(OwnTime);
}

static void
own_time_startup(void *memory, bool found)
{
	own_time = (OwnTime *) memory;
	if (found)
		return;
	pg_atomic_init_u64(&own_time->statements, 0);
	pg_atomic_init_u64(&own_time->ns, 0);
}

static const HoneShmemPart own_time_part = {
	.name = "pg_hone own time",
	.size = own_time_size,
	.startup = own_time_startup,
};

void
hone_own_time_init(void)
{
	hone_shmem_register(&own_time_part);
}

/* How far the first one is, so that short sessions have their share. */
uint32
hone_own_time_begin(void)
{
	return 1 + pg_prng_uint32(&pg_global_prng_state) % HONE_OWN_CLOCK_INTERVAL;
}

void
hone_own_time_add(uint64 ns)
{
	pg_atomic_fetch_add_u64(&own_time->statements, 1);
	pg_atomic_fetch_add_u64(&own_time->ns, ns);
}

/* hone.capture_cost(): statements measured, and the estimate for all. */
Datum
hone_capture_cost(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (own_time == NULL)
		nulls[0] = nulls[1] = true;
	else
	{
		values[0] = Int64GetDatum((int64) pg_atomic_read_u64(&own_time->statements));
		values[1] = Float8GetDatum((double) pg_atomic_read_u64(&own_time->ns) *
								   HONE_OWN_CLOCK_INTERVAL / 1e6);
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
