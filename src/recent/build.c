/*
 * build.c
 *	  Making a feed's objects: the text of its views, and whether its sources
 *	  have the indexes that a live feed lives on.
 *
 * Shape of a view: one arm per source,
 *
 *	  (SELECT ... FROM source AS src
 *	   WHERE ts > now() - window AND (filter)
 *	   ORDER BY ts DESC [, primary key LIMIT per_source])
 *
 * joined by UNION ALL, all arms with the same types and collations. Only then
 * can the planner answer ORDER BY created_at DESC LIMIT n by a Merge Append
 * over the arms' indexes; a WHERE alone in an arm, or a varchar in one of
 * them, and it reads and sorts the whole window. The primary key (else the
 * ctid) behind the time decides which of several rows of one instant a capped
 * arm holds, so that the stored and the live feed agree.
 *
 * A time without zone is converted to created_at by its declared zone, so the
 * order is that of the converted value, and the index to have is one on this
 * expression. With an index on the bare column only, a second, wider bound on
 * it limits what is read (offsets of a zone differ by less than a day); the
 * arm is then sorted.
 *
 * All of this runs as the feed's owner with a locked search_path, so that
 * deparsed names are qualified and objects belong to the owner. The objects
 * depend on the sources and not on this extension: DROP EXTENSION leaves them
 * as ordinary views. One transaction: an error leaves the feed as it was.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/prep.h"
#include "portability/instr_time.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "recent/recent.h"

#define ALIAS "src"
#define AS_TEXT(expr) "CAST(%s AS pg_catalog.text) COLLATE pg_catalog.\"default\""

/* A source looked at: what its arm and its index are made of. */
typedef struct Arm
{
	const HoneFeedSource *source;
	char	   *relation;		/* qualified name */
	bool		partitioned;
	bool		storable;		/* is a table */
	char	   *time;			/* created_at's expression, over the alias */
	char	   *index_key;		/* the same, as an index key */
	char	   *bound;			/* wider bound on the bare column, or NULL */
	char	   *text[HONE_FEED_ARGUMENTS];
	char	   *row_key;
	char	   *tie_break;		/* what to order by behind the time */
	bool		indexed;
} Arm;

PG_FUNCTION_INFO_V1(hone_recent_build_feed);

/*
 * An argument's expression as text in today's names. The tree follows
 * renames; it is not trusted beyond that, because the source's columns may
 * have changed their types since: what it deparses to is analysed anew.
 */
static char *
current_text(const HoneFeedSource *source, HoneFeedArgument argument,
			 Relation rel, Node **expr)
{
	char	   *text = source->text[argument];
	Oid			target = argument == HONE_FEED_FILTER ? BOOLOID : TEXTOID;

	*expr = NULL;
	if (text == NULL)
		return NULL;
	if (source->tree_version == PG_VERSION_NUM / 10000)
		text = hone_recent_deparse(stringToNode(source->tree[argument]), rel,
								   RelationGetRelationName(rel));
	*expr = hone_recent_parse(rel, text, hone_recent_argument_name(argument),
							  target);
	return hone_recent_deparse(*expr, rel, ALIAS);
}

static char *
column(Relation rel, AttrNumber attnum)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);

	return psprintf(ALIAS ".%s", quote_identifier(NameStr(att->attname)));
}

static void
describe_time(Arm *arm, Relation rel, Oid type)
{
	const char *bare = column(rel, arm->source->time_attnum);
	const char *name = bare + strlen(ALIAS ".");
	const char *zone;

	if (type == TIMESTAMPTZOID)
	{
		arm->time = pstrdup(bare);
		arm->index_key = pstrdup(name);
		return;
	}

	zone = quote_literal_cstr(arm->source->time_zone);
	if (type == DATEOID)
	{
		bare = psprintf("CAST(%s AS pg_catalog.timestamp)", bare);
		name = psprintf("CAST(%s AS pg_catalog.timestamp)", name);
	}
	arm->time = psprintf("(%s AT TIME ZONE %s)", bare, zone);
	arm->index_key = psprintf("(%s AT TIME ZONE %s)", name, zone);
}

/* A key column whose text does not hang on the reader's settings. */
static char *
key_part(Relation rel, AttrNumber attnum)
{
	Oid			type = TupleDescAttr(RelationGetDescr(rel), attnum - 1)->atttypid;

	if (type == TIMESTAMPTZOID || type == TIMESTAMPOID || type == DATEOID)
		return psprintf("EXTRACT(epoch FROM %s)", column(rel, attnum));
	return column(rel, attnum);
}

/* What tells a row of this source from all others, and orders equal times. */
static void
describe_identity(Arm *arm, Relation rel)
{
	Oid			constraint;
	Bitmapset  *key = NULL;
	StringInfoData columns;
	StringInfoData parts;
	int			n = 0;
	int			member = -1;

	if (!arm->storable)
		return;

	/* A primary key says nothing of the rows of inheritance children. */
	if (arm->partitioned || !rel->rd_rel->relhassubclass)
		key = get_primary_key_attnos(RelationGetRelid(rel), false, &constraint);

	initStringInfo(&columns);
	initStringInfo(&parts);
	while ((member = bms_next_member(key, member)) >= 0)
	{
		AttrNumber	attnum = member + FirstLowInvalidHeapAttributeNumber;
		const char *comma = n++ ? ", " : "";

		appendStringInfo(&columns, "%s%s", comma, column(rel, attnum));
		appendStringInfo(&parts, "%s%s", comma, key_part(rel, attnum));
	}

	if (n == 0)
	{
		arm->tie_break = pstrdup(ALIAS ".tableoid, " ALIAS ".ctid");
		arm->row_key = pstrdup("CAST(" ALIAS ".tableoid AS pg_catalog.text) || ':' || "
							   "CAST(" ALIAS ".ctid AS pg_catalog.text)");
	}
	else
	{
		arm->tie_break = columns.data;
		arm->row_key = psprintf("CAST(%s%s%s AS pg_catalog.text)",
								n > 1 ? "ROW(" : "", parts.data, n > 1 ? ")" : "");
	}
}

/* Does the index lead with created_at, and hold every row of the arm? */
static bool
serves(Relation index, AttrNumber attnum, Node *time, Node *filter)
{
	Form_pg_index form = index->rd_index;

	if (index->rd_rel->relam != BTREE_AM_OID ||
		!form->indisvalid || !form->indisready || !form->indislive)
		return false;

	if (IsA(time, Var))
	{
		if (form->indkey.values[0] != attnum)
			return false;
	}
	else
	{
		List	   *expressions = RelationGetIndexExpressions(index);

		if (form->indkey.values[0] != 0 || expressions == NIL ||
			!equal(linitial(expressions), time))
			return false;
	}

	if (RelationGetIndexPredicate(index) == NIL)
		return true;
	if (filter == NULL)
		return false;

	/* Index predicates are kept folded, so compare with the folded filter. */
	filter = eval_const_expressions(NULL, filter);
	filter = (Node *) canonicalize_qual((Expr *) filter, false);
	return predicate_implied_by(RelationGetIndexPredicate(index),
								make_ands_implicit((Expr *) filter), false);
}

static bool
has_index(Relation rel, AttrNumber attnum, Node *time, Node *filter)
{
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *cell;
	bool		found = false;

	foreach(cell, indexes)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		found = found || serves(index, attnum, time, filter);
		index_close(index, AccessShareLock);
	}
	list_free(indexes);
	return found;
}

static void
look_for_indexes(Arm *arm, Relation rel, Oid type, Node *filter)
{
	AttrNumber	attnum = arm->source->time_attnum;
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	Node	   *bare = (Node *) makeVar(1, attnum, type, att->atttypmod,
										att->attcollation, 0);
	Node	   *time = bare;

	if (!RelationGetForm(rel)->relhasindex)
		return;
	if (type != TIMESTAMPTZOID)
		time = hone_recent_parse(rel, arm->index_key, "time_column", TIMESTAMPTZOID);
	arm->indexed = has_index(rel, attnum, time, filter);

	if (type != TIMESTAMPTZOID && !arm->indexed &&
		has_index(rel, attnum, bare, filter))
		arm->bound = column(rel, attnum);
}

static Arm *
look_at(const HoneFeed *feed, const HoneFeedSource *source)
{
	Arm		   *arm = palloc0(sizeof(Arm));
	Relation	rel = try_relation_open(source->relid, AccessShareLock);
	Form_pg_attribute att;
	Node	   *filter = NULL;

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("source %d of feed \"%s\" does not exist any more",
						source->source_id, feed->name),
				 errhint("Use hone.drop_feed() and declare the feed again.")));
	if (source->time_attnum > RelationGetNumberOfAttributes(rel) ||
		TupleDescAttr(RelationGetDescr(rel), source->time_attnum - 1)->attisdropped)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("the time column of source \"%s\" of feed \"%s\" does not exist any more",
						RelationGetRelationName(rel), feed->name)));
	if (pg_class_aclcheck(source->relid, feed->owner, ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(rel->rd_rel->relkind),
					   RelationGetRelationName(rel));

	att = TupleDescAttr(RelationGetDescr(rel), source->time_attnum - 1);
	if ((att->atttypid == TIMESTAMPTZOID) != (source->time_zone == NULL) ||
		(att->atttypid != TIMESTAMPTZOID && att->atttypid != TIMESTAMPOID &&
		 att->atttypid != DATEOID))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the time column of source \"%s\" of feed \"%s\" has changed its type",
						RelationGetRelationName(rel), feed->name)));

	arm->source = source;
	arm->relation = hone_recent_qualified_name(source->relid);
	arm->partitioned = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	arm->storable = arm->partitioned || rel->rd_rel->relkind == RELKIND_RELATION;
	for (int a = 0; a < HONE_FEED_ARGUMENTS; a++)
		arm->text[a] = current_text(source, a, rel, &filter);	/* filter is last */
	describe_time(arm, rel, att->atttypid);
	describe_identity(arm, rel);
	look_for_indexes(arm, rel, att->atttypid, filter);

	if (rel->rd_rel->relrowsecurity)
		ereport(NOTICE,
				(errmsg("row security of source \"%s\" is applied for the owner of feed \"%s\", not for its readers",
						RelationGetRelationName(rel), feed->name)));

	relation_close(rel, NoLock);	/* until the objects depend on it */
	return arm;
}

static void
append_text(StringInfo sql, const char *expr, const char *name)
{
	appendStringInfo(sql, AS_TEXT(expr) " AS %s, ", expr ? expr : "NULL", name);
}

static void
append_arm(StringInfo sql, const HoneFeed *feed, const Arm *arm, bool stored)
{
	char	   *window = psprintf("'" INT64_FORMAT ".%06d seconds'::pg_catalog.interval",
								  feed->window_us / USECS_PER_SEC,
								  (int) (feed->window_us % USECS_PER_SEC));

	appendStringInfoString(sql, "(SELECT ");
	append_text(sql, quote_literal_cstr(arm->source->type), "type");
	append_text(sql, arm->text[HONE_FEED_TITLE], "title");
	append_text(sql, arm->text[HONE_FEED_DESCRIPTION], "description");
	append_text(sql, arm->text[HONE_FEED_SEVERITY], "severity");
	appendStringInfo(sql, "%s AS created_at", arm->time);
	if (stored)
		appendStringInfo(sql, ", CAST('%d:' || %s AS pg_catalog.text) COLLATE pg_catalog.\"default\" AS row_key",
						 arm->source->source_id, arm->row_key);

	appendStringInfo(sql, " FROM %s AS " ALIAS " WHERE %s > pg_catalog.now() - %s",
					 arm->relation, arm->time, window);
	if (arm->bound)
		appendStringInfo(sql, " AND %s > (pg_catalog.now() AT TIME ZONE 'UTC') - %s - '2 days'::pg_catalog.interval",
						 arm->bound, window);
	if (arm->text[HONE_FEED_FILTER])
		appendStringInfo(sql, " AND (%s)", arm->text[HONE_FEED_FILTER]);

	appendStringInfo(sql, " ORDER BY %s DESC", arm->time);
	if (feed->per_source > 0)
	{
		if (arm->tie_break)
			appendStringInfo(sql, ", %s", arm->tie_break);
		else
			appendStringInfoString(sql, ", 2, 3, 4");
		appendStringInfo(sql, " LIMIT %d", feed->per_source);
	}
	appendStringInfoChar(sql, ')');
}

static char *
defining_query(const HoneFeed *feed, List *arms, bool stored)
{
	StringInfoData sql;
	ListCell   *cell;

	initStringInfo(&sql);
	foreach(cell, arms)
	{
		if (sql.len > 0)
			appendStringInfoString(&sql, " UNION ALL ");
		append_arm(&sql, feed, lfirst(cell), stored);
	}
	return sql.data;
}

static bool
decide_stored(const HoneFeed *feed, List *arms)
{
	bool		storable = true;
	bool		indexed = true;
	ListCell   *cell;

	foreach(cell, arms)
	{
		Arm		   *arm = lfirst(cell);

		if (!arm->storable && strcmp(feed->mode, "stored") == 0)
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("source %s of feed \"%s\" is not a table",
							arm->relation, feed->name),
					 errdetail("The rows of a view or a foreign table cannot be told apart."),
					 errhint("Declare the feed with mode \"live\".")));
		storable &= arm->storable;
		indexed &= arm->indexed;
	}
	if (strcmp(feed->mode, "auto") == 0)
		return storable && !indexed;
	return strcmp(feed->mode, "stored") == 0;
}

static void
execute(const char *sql)
{
	int			rc = SPI_execute(sql, false, 0);

	if (rc < 0)
		elog(ERROR, "SPI failed: %s", SPI_result_code_string(rc));
}

/*
 * Make way for one of the feed's objects: the relation that now has its name
 * must be ours. True when it is a view with the same columns, and may be
 * replaced, so that it keeps its grants; otherwise it is dropped.
 */
static bool
make_way(const HoneFeed *feed, const char *name, Oid ours, char relkind, bool stored)
{
	Oid			taken = get_relname_relid(name, get_namespace_oid(feed->schema, false));

	if (OidIsValid(taken) && taken != ours)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation \"%s\" already exists in schema \"%s\"",
						name, feed->schema),
				 errdetail("It was not made by feed \"%s\".", feed->name)));
	if (OidIsValid(taken) && relkind == RELKIND_VIEW &&
		get_rel_relkind(ours) == RELKIND_VIEW &&
		(get_attnum(ours, "row_key") != InvalidAttrNumber) == stored)
		return true;
	hone_recent_drop_relation(ours);
	return false;
}

static Oid
create_view(const HoneFeed *feed, const char *name, Oid ours, const char *query,
			bool stored)
{
	bool		replace = make_way(feed, name, ours, RELKIND_VIEW, stored);

	execute(psprintf("CREATE %s VIEW %s AS %s", replace ? "OR REPLACE" : "",
					 quote_qualified_identifier(feed->schema, name), query));
	return get_relname_relid(name, get_namespace_oid(feed->schema, false));
}

static Oid
create_store(const HoneFeed *feed, const char *query)
{
	const char *qualified = quote_qualified_identifier(feed->schema, feed->name);

	(void) make_way(feed, feed->name, feed->feed_relid, RELKIND_MATVIEW, true);
	execute(psprintf("CREATE MATERIALIZED VIEW %s AS %s", qualified, query));
	execute(psprintf("CREATE UNIQUE INDEX ON %s (created_at DESC, type, row_key)",
					 qualified));
	return get_relname_relid(feed->name, get_namespace_oid(feed->schema, false));
}

/* Make the objects, and note them in the feed. */
static void
create_objects(HoneFeed *feed, List *arms, bool stored)
{
	const char *query = defining_query(feed, arms, stored);

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (stored)
		feed->feed_relid = create_store(feed, query);
	else
		feed->feed_relid = create_view(feed, feed->name, feed->feed_relid, query, false);

	feed->live_relid = create_view(feed, psprintf("%s" HONE_FEED_LIVE_SUFFIX, feed->name),
								   feed->live_relid, query, stored);
	SPI_finish();
}

static void
return_arms(FunctionCallInfo fcinfo, const HoneFeed *feed, List *arms)
{
	ReturnSetInfo *result;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	result = (ReturnSetInfo *) fcinfo->resultinfo;
	foreach(cell, arms)
	{
		Arm		   *arm = lfirst(cell);
		Datum		values[4];
		bool		nulls[4] = {false, false, false, false};

		values[0] = Int32GetDatum(arm->source->source_id);
		values[1] = CStringGetTextDatum(arm->relation);
		values[2] = CStringGetTextDatum(feed->built_mode);
		nulls[3] = arm->indexed || !arm->storable;
		if (!nulls[3])
			values[3] = CStringGetTextDatum(psprintf("CREATE INDEX%s ON %s (%s DESC)",
													 arm->partitioned ? "" : " CONCURRENTLY",
													 arm->relation, arm->index_key));
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

Datum
hone_recent_build_feed(PG_FUNCTION_ARGS)
{
	HoneFeed   *feed;
	HoneScope	scope;
	List	   *arms = NIL;
	ListCell   *cell;
	bool		stored;
	int64		rows;
	instr_time	start;
	instr_time	duration;

	PreventCommandDuringRecovery("hone.build_feed()");
	feed = hone_recent_open(PG_ARGISNULL(0) ? NULL : NameStr(*PG_GETARG_NAME(0)), true);
	if (feed->sources == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("feed \"%s\" has no source", feed->name),
				 errhint("Use hone.add_feed_source().")));
	if (feed->schema == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("the schema of feed \"%s\" does not exist any more", feed->name)));

	INSTR_TIME_SET_CURRENT(start);

	/* Folding a filter calls immutable functions: a restricted operation. */
	hone_enter_role(&scope, feed->owner, NULL);
	foreach(cell, feed->sources)
		arms = lappend(arms, look_at(feed, lfirst(cell)));
	hone_leave(&scope);

	stored = decide_stored(feed, arms);
	feed->built_mode = stored ? "stored" : "live";
	hone_recent_enter_feed_owner(&scope, feed);
	create_objects(feed, arms, stored);
	hone_leave(&scope);
	rows = stored ? hone_recent_count_rows(feed) : 0;
	INSTR_TIME_SET_CURRENT(duration);
	INSTR_TIME_SUBTRACT(duration, start);

	hone_recent_record_build(feed, rows, INSTR_TIME_GET_MILLISEC(duration));
	return_arms(fcinfo, feed, arms);
	return (Datum) 0;
}
