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

static bool
may_sample(const HoneIndex *index, Oid relid)
{
	return pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK &&
		check_enable_rls(relid, InvalidOid, true) == RLS_NONE &&
		check_enable_rls(index->relid, InvalidOid, true) == RLS_NONE;
}

static char *
sample_query(Oid relid, List *columns, List *predicate, double rel_tuples, int rows)
{
	StringInfoData sql;
	char	   *relname = get_rel_name(relid);
	char	   *schema = get_namespace_name(get_rel_namespace(relid));
	List	   *context = deparse_context_for(relname, relid);
	double		percent = rel_tuples > 0 ? 100.0 * rows / rel_tuples : 100;
	ListCell   *lc;

	initStringInfo(&sql);
	foreach(lc, columns)
		appendStringInfo(&sql, "%s%s", lc == list_head(columns) ? "SELECT " : ", ",
						 deparse_expression(lfirst(lc), context, false, false));
	appendStringInfo(&sql, " FROM ONLY %s", quote_qualified_identifier(schema, relname));
	if (percent < 50)
		appendStringInfo(&sql, " TABLESAMPLE pg_catalog.system (%g) REPEATABLE (0)",
						 percent);
	if (predicate != NIL)
		appendStringInfo(&sql, " WHERE %s",
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

/*
 * Hand about `rows` rows of the table (or of them, those that belong in the
 * index), columns evaluated, to the reader, until it returns false. Returns how many it got; -1 if nothing may
 * be read. The reader must not allocate in the current context what is to
 * stay.
 */
int
hone_whatif_sample(const HoneIndex *index, const HoneIndexPlace *place, List *columns,
				   bool indexed_only, int rows, HoneSampleReader reader, void *arg)
{
	char	   *sql;
	int			level;
	int			result;

	if (!may_sample(index, place->relid))
		return -1;
	if (place->rel_tuples < 1)
		return 0;

	level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	sql = sample_query(place->relid, columns, indexed_only ? place->predicate : NIL,
					   place->rel_tuples, rows);
	SPI_connect();
	result = fetch_batches(sql, reader, arg);
	SPI_finish();
	AtEOXact_GUC(false, level);
	return result;
}
