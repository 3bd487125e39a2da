/*
 * partition_store.c
 *	  Reads and writes of hone.action_part_store.
 *
 * Like store.c: each function is one static statement as the extension's
 * owner, in the caller's transaction; callers are connected to SPI. Lists are
 * made in the current memory context.
 */
#include "postgres.h"

#include "utils/array.h"

#include "apply/partition.h"
#include "base/sql.h"

/* $1 is the action, $2 a table or an index. */
static uint64
run_for(const char *sql, int64 action_id, Oid oid)
{
	Arguments	args = {0};

	add_int8(&args, action_id);
	if (OidIsValid(oid))
		add_oid(&args, oid);
	return run(sql, &args);
}

/* And $3 a text. */
static uint64
run_with_text(const char *sql, int64 action_id, Oid oid, const char *text)
{
	Arguments	args = {0};

	add_int8(&args, action_id);
	add_oid(&args, oid);
	add_text(&args, text);
	return run(sql, &args);
}

static char *
text_column(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

List *
hone_apply_parts(int64 action_id)
{
	List	   *parts = NIL;
	uint64		count;

	count = run_for("SELECT relid, index_name, index_oid, state, was_there"
					" FROM hone.action_part_store"
					" WHERE action_id OPERATOR(pg_catalog.=) $1", action_id, InvalidOid);
	for (uint64 i = 0; i < count; i++)
	{
		HonePart   *part = palloc0(sizeof(HonePart));

		part->relid = DatumGetObjectId(column_of(i, 1));
		part->index_name = text_column(i, 2);
		part->index_oid = DatumGetObjectId(column_of(i, 3));
		part->state = text_column(i, 4);
		part->was_there = DatumGetBool(column_of(i, 5));
		parts = lappend(parts, part);
	}
	return parts;
}

#define NEW_PARTS_SQL \
	"INSERT INTO hone.action_part_store (action_id, relid, table_name)" \
	" SELECT $1, c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname)" \
	" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n" \
	" ON n.oid OPERATOR(pg_catalog.=) c.relnamespace" \
	" WHERE c.oid OPERATOR(pg_catalog.=) ANY ($2) ON CONFLICT DO NOTHING"

/* What is left to be dropped stays written down. */
#define GONE_PARTS_SQL \
	"DELETE FROM hone.action_part_store p" \
	" WHERE p.action_id OPERATOR(pg_catalog.=) $1" \
	" AND p.relid OPERATOR(pg_catalog.<>) ALL ($2) AND (p.was_there OR NOT EXISTS" \
	" (SELECT FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) p.index_oid))"

/* Rows for exactly these tables (and for what was made on others). */
void
hone_apply_parts_sync(int64 action_id, List *relids)
{
	Arguments	args = {0};
	Datum	   *oids = palloc(sizeof(Datum) * (list_length(relids) + 1));
	int			count = 0;
	ListCell   *lc;

	foreach(lc, relids)
		oids[count++] = ObjectIdGetDatum(lfirst_oid(lc));
	add_int8(&args, action_id);
	add(&args, OIDARRAYOID, PointerGetDatum(construct_array(oids, count, OIDOID, sizeof(Oid),
															true, TYPALIGN_INT)), false);
	run(NEW_PARTS_SQL, &args);
	run(GONE_PARTS_SQL, &args);
}

void
hone_apply_part_building(int64 action_id, Oid relid, const char *name)
{
	run_with_text("UPDATE hone.action_part_store SET state = 'building',"
				  " index_name = $3, index_oid = NULL, was_there = false"
				  " WHERE action_id OPERATOR(pg_catalog.=) $1"
				  " AND relid OPERATOR(pg_catalog.=) $2", action_id, relid, name);
}

/* Only the index itself, not what an event trigger may make beside it. */
bool
hone_apply_record_part_index(const HoneAction *action, Oid index_oid)
{
	Arguments	args = {0};

	add_int8(&args, action->id);
	add_oid(&args, action->part_relid);
	add_oid(&args, index_oid);
	return run("UPDATE hone.action_part_store p SET index_oid = c.oid"
			   " FROM pg_catalog.pg_class c"
			   " WHERE p.action_id OPERATOR(pg_catalog.=) $1"
			   " AND p.relid OPERATOR(pg_catalog.=) $2"
			   " AND c.oid OPERATOR(pg_catalog.=) $3 AND c.relkind IN ('i', 'I')"
			   " AND c.relname OPERATOR(pg_catalog.=) p.index_name::pg_catalog.name"
			   " AND p.index_oid IS NULL", &args) > 0;
}

/* Somebody else's index will do. */
void
hone_apply_part_found(int64 action_id, Oid relid, Oid index_oid)
{
	Arguments	args = {0};

	add_int8(&args, action_id);
	add_oid(&args, relid);
	add_oid(&args, index_oid);
	run("UPDATE hone.action_part_store p SET state = 'built', was_there = true,"
		" index_oid = c.oid, index_name = c.relname FROM pg_catalog.pg_class c"
		" WHERE p.action_id OPERATOR(pg_catalog.=) $1"
		" AND p.relid OPERATOR(pg_catalog.=) $2"
		" AND c.oid OPERATOR(pg_catalog.=) $3", &args);
}

void
hone_apply_part_state(int64 action_id, Oid relid, const char *state)
{
	run_with_text("UPDATE hone.action_part_store SET state = $3"
				  " WHERE action_id OPERATOR(pg_catalog.=) $1"
				  " AND relid OPERATOR(pg_catalog.=) $2", action_id, relid, state);
}

void
hone_apply_parts_forget(int64 action_id)
{
	run_for("DELETE FROM hone.action_part_store"
			" WHERE action_id OPERATOR(pg_catalog.=) $1", action_id, InvalidOid);
}

/* An index that was made and is gone again: the next one gets its place. */
void
hone_apply_forget_index(HoneAction *action)
{
	run_for("UPDATE hone.action_store SET index_oid = NULL"
			" WHERE id OPERATOR(pg_catalog.=) $1", action->id, InvalidOid);
	action->index_oid = InvalidOid;
}

List *
hone_apply_free_indexes(Oid relid)
{
	List	   *indexes = NIL;
	uint64		count;

	count = run_for("SELECT i.indexrelid FROM pg_catalog.pg_index i"
					" JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid"
					" WHERE $1 IS NOT NULL AND i.indrelid OPERATOR(pg_catalog.=) $2"
					" AND i.indisvalid AND i.indisready AND i.indislive"
					" AND NOT c.relispartition ORDER BY i.indexrelid", 0, relid);
	for (uint64 i = 0; i < count; i++)
		indexes = lappend_oid(indexes, DatumGetObjectId(column_of(i, 1)));
	return indexes;
}

bool
hone_apply_is_partitioned(const HoneAction *action)
{
	return run_for("SELECT 1 FROM pg_catalog.pg_class c"
				   " WHERE c.oid OPERATOR(pg_catalog.=) $2"
				   " AND c.relkind OPERATOR(pg_catalog.=) 'p' UNION ALL"
				   " SELECT 1 FROM hone.action_part_store p"
				   " WHERE p.action_id OPERATOR(pg_catalog.=) $1",
				   action->id, action->relid) > 0;
}
