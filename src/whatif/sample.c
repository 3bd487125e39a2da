/*
 * sample.c
 *	  Reading a few rows of a table, for what its statistics do not tell.
 *
 * An ordinary query of the current user, made of our own deparsed text under a
 * search_path of pg_catalog: it can read no more than he could. Nothing is read
 * when row security applies to him, or when he may not read a partition
 * directly. Bounded by rows and by bytes; fetched in small batches, so that
 * wide values do not pile up. Expressions and predicates are evaluated by it,
 * as they would be by CREATE INDEX.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/ruleutils.h"

#include "base/compat.h"
#include "whatif/details.h"

#define BATCH_ROWS 200

/* May the current user see what is in the index's table, as far as it is in this one? */
bool
hone_whatif_may_sample(const HoneIndex *index, Oid relid)
{
	return pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK &&
		check_enable_rls(relid, InvalidOid, true) != RLS_ENABLED &&
		check_enable_rls(index->relid, InvalidOid, true) != RLS_ENABLED;
}

/*
 * Rows that stand together are alike. So the sample takes one row in a few
 * from more pages than it would need, as far as that is not too many pages.
 */
#define MOST_PAGES 2000
#define MOST_SPREAD 8

static int
row_spread(const HoneIndexPlace *place, int rows)
{
	double		part = place->rel_tuples / rows;
	double		pages = rows / Max(place->rel_tuples / Max(place->rel_pages, 1), 1);
	double		spread = Min(Min(part, MOST_PAGES / Max(pages, 1)), MOST_SPREAD);

	return Max((int) spread, 1);
}

static char *
sample_query(const HoneIndexPlace *place, List *columns, List *predicate, int rows,
			 int spread)
{
	Oid			relid = place->relid;
	StringInfoData sql;
	char	   *relname = get_rel_name(relid);
	char	   *schema = get_namespace_name(get_rel_namespace(relid));
	List	   *context = deparse_context_for(relname, relid);
	double		percent = 100.0 * rows * spread / Max(place->rel_tuples, 1);
	const char *glue = " WHERE ";
	ListCell   *lc;

	initStringInfo(&sql);
	foreach(lc, columns)
		appendStringInfo(&sql, "%s%s", lc == list_head(columns) ? "SELECT " : ", ",
						 deparse_expression(lfirst(lc), context, false, false));
	appendStringInfo(&sql, " FROM ONLY %s", quote_qualified_identifier(schema, relname));
	if (percent < 70)
		appendStringInfo(&sql, " TABLESAMPLE pg_catalog.system (%g) REPEATABLE (0)",
						 percent);
	if (spread > 1)
	{
		appendStringInfo(&sql, "%spg_catalog.hashtid(ctid) %% %d = 0", glue, spread);
		glue = " AND ";
	}
	if (predicate != NIL)
		appendStringInfo(&sql, "%s(%s)", glue,
						 deparse_expression((Node *) make_ands_explicit(predicate),
											context, false, false));
	appendStringInfo(&sql, " LIMIT %d", rows + rows / 2);
	return sql.data;
}

static int
fetch_batches(const char *sql, HoneSampleReader reader, void *arg)
{
	Portal		portal = SPI_cursor_open_with_args(NULL, sql, 0, NULL, NULL, NULL, true, 0);
	int			rows = 0;
	bool		more = true;

	while (more)
	{
		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(portal, true, BATCH_ROWS);
		if (SPI_processed == 0)
			break;
		for (uint64 i = 0; i < SPI_processed && more; i++)
		{
			more = reader(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, arg);
			rows++;
		}
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	return rows;
}

static int
read_rows(const HoneIndex *index, const HoneIndexPlace *place, List *columns, List *predicate,
		  int rows, int spread, HoneSampleReader reader, void *arg)
{
	char	   *sql;
	int			level;
	int			result;

	if (!hone_whatif_may_sample(index, place->relid))
		return -1;
	if (place->rel_tuples < 1)
		return 0;

	level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	sql = sample_query(place, columns, predicate, rows, spread);
	SPI_connect();
	result = fetch_batches(sql, reader, arg);
	SPI_finish();
	AtEOXact_GUC(false, level);
	return result;
}

/*
 * Hand about `rows` rows of the table (or of them, those that belong in the
 * index), columns evaluated, to the reader, until it returns false. Returns how
 * many it got; -1 if nothing may be read. The reader must not allocate in the
 * current context what is to stay.
 */
int
hone_whatif_sample(const HoneIndex *index, const HoneIndexPlace *place, List *columns,
				   bool indexed_only, int rows, HoneSampleReader reader, void *arg)
{
	return read_rows(index, place, columns, indexed_only ? place->predicate : NIL,
					 rows, row_spread(place, rows), reader, arg);
}

/* The same, but all rows of some pages; in the order in which they stand. */
int
hone_whatif_sample_pages(const HoneIndex *index, const HoneIndexPlace *place, List *columns,
						 int rows, HoneSampleReader reader, void *arg)
{
	return read_rows(index, place, columns, NIL, rows, 1, reader, arg);
}
