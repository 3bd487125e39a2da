/*
 * view.c
 *	  Samples in memory, as rows.
 *
 * Reads one set of slots at a time. Texts and values of roles whose
 * statements the reader may not see are left out here, not in SQL, so the function
 * can be called by anybody.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/owner.h"
#include "base/params.h"
#include "base/settings.h"
#include "base/shmem.h"
#include "workload/store.h"

PG_FUNCTION_INFO_V1(hone_workload_memory);
PG_FUNCTION_INFO_V1(hone_workload_info);

#define SAMPLE_COLUMNS 14
#define INFO_COLUMNS 8

static Datum
oid_array(const Oid *oids, int n)
{
	Datum	   *values = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		values[i] = ObjectIdGetDatum(oids[i]);
	return PointerGetDatum(construct_array(values, n, OIDOID, sizeof(Oid), true,
										   TYPALIGN_INT));
}

static void
put_sample(const HoneSampleCopy *copy, ReturnSetInfo *rsinfo)
{
	const HoneSampleBlock *block = copy->block;
	Datum		values[SAMPLE_COLUMNS] = {0};
	bool		nulls[SAMPLE_COLUMNS];
	bool		visible = hone_may_see_role(copy->key.userid);
	int			i = 0;

	memset(nulls, true, sizeof(nulls));
#define PUT(datum) (nulls[i] = false, values[i++] = (datum))
#define SKIP() (i++)

	PUT(Int64GetDatum((int64) copy->id));
	PUT(Int64GetDatum((int64) copy->hash));
	PUT(Int64GetDatum((int64) copy->key.queryid));
	PUT(ObjectIdGetDatum(copy->key.userid));
	PUT(Float8GetDatum(copy->duration_ns / 1e6));
	PUT(TimestampTzGetDatum(copy->captured_at));
	if (block != NULL)
	{
		const HoneParams *params = hone_sample_params(block);

		PUT(visible
			? PointerGetDatum(cstring_to_text_with_len(hone_sample_block_text(block),
													   (int) block->text_len))
			: CStringGetTextDatum("<insufficient privilege>"));
		if (visible && params != NULL)
		{
			values[i] = hone_params_values(params, &nulls[i]);
			i++;
			PUT(hone_params_types(params));
		}
		else
		{
			SKIP();
			SKIP();
		}
		if (visible)
		{
			PUT(PointerGetDatum(cstring_to_text_with_len(hone_sample_path(block),
														 (int) block->path_len)));
			PUT(oid_array(hone_sample_relations(block), block->nrelations));
		}
		else
		{
			SKIP();
			SKIP();
		}
		PUT(CStringGetTextDatum(GetCommandTagName(block->command)));
		PUT(BoolGetDatum(block->replannable));
		if (visible)
			PUT(hone_settings_jsonb(hone_sample_settings(block),
									(int) block->settings_len));
		else
			SKIP();
		Assert(i == SAMPLE_COLUMNS);
	}
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * hone.workload_memory(after_id, with_text): this database's samples with a
 * higher id; without text only what identifies them.
 */
Datum
hone_workload_memory(PG_FUNCTION_ARGS)
{
	uint64		after_id = (uint64) Max(PG_GETARG_INT64(0), 0);
	bool		with_text = PG_GETARG_BOOL(1);
	uint64		upto_id;
	HoneSampleCopy *copies;
	MemoryContext set_context;
	MemoryContext old_context;

	hone_shmem_require();
	InitMaterializedSRF(fcinfo, 0);

	/*
	 * Samples with higher ids, which may come into one set or the other
	 * while we read, are left for the next time: so what is seen has no gap.
	 */
	upto_id = hone_sample_highest_id();
	copies = palloc(sizeof(HoneSampleCopy) * HONE_SAMPLE_MAX_COPIES);
	set_context = AllocSetContextCreate(CurrentMemoryContext, "pg_hone samples",
										ALLOCSET_DEFAULT_SIZES);
	old_context = MemoryContextSwitchTo(set_context);
	for (int set = 0; set < hone_sample_nsets(); set++)
	{
		int			n;

		CHECK_FOR_INTERRUPTS();
		n = hone_sample_copy_set(set, MyDatabaseId, after_id, upto_id, with_text, copies);
		if (n < 0)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory"),
					 errdetail("Failed to copy samples.")));
		for (int i = 0; i < n; i++)
			put_sample(&copies[i], (ReturnSetInfo *) fcinfo->resultinfo);
		MemoryContextReset(set_context);
	}
	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(set_context);
	return (Datum) 0;
}

/* hone.workload_info: what is kept and what is not. */
Datum
hone_workload_info(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	HoneSampleCounters counters;
	Datum		values[INFO_COLUMNS];
	bool		nulls[INFO_COLUMNS] = {0};
	int			i = 0;

	hone_shmem_require();
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	hone_sample_counters(&counters);
	values[i++] = Int64GetDatum((int64) counters.queries);
	values[i++] = Int64GetDatum((int64) counters.samples);
	values[i++] = Int64GetDatum((int64) counters.captured);
	values[i++] = Int64GetDatum((int64) counters.evictions);
	values[i++] = Int64GetDatum((int64) counters.lost);
	values[i++] = Int64GetDatum((int64) counters.too_long);
	values[i++] = Int64GetDatum((int64) counters.secrets);
	values[i++] = Int64GetDatum((int64) counters.memory_bytes);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}
