/*
 * definition.c
 *	  The text of an index that does not exist: CREATE INDEX without a name,
 *	  in the words of pg_get_indexdef.
 *
 * Two definitions of the same index give the same text. Whatever is not in
 * pg_catalog is qualified, because it is made under a search_path of
 * pg_catalog alone.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_opclass.h"
#include "commands/defrem.h"
#include "commands/tablespace.h"
#include "lib/stringinfo.h"
#include "nodes/nodeFuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "whatif/details.h"

/* A name that needs its schema unless that is pg_catalog. */
static void
append_name(StringInfo buf, Oid namespace, const char *name)
{
	if (namespace == PG_CATALOG_NAMESPACE)
		appendStringInfoString(buf, quote_identifier(name));
	else
		appendStringInfoString(buf,
							   quote_qualified_identifier(get_namespace_name(namespace),
														  name));
}

static void
append_collation(StringInfo buf, Oid collation)
{
	HeapTuple	tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	Form_pg_collation form;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for collation %u", collation);
	form = (Form_pg_collation) GETSTRUCT(tuple);
	appendStringInfoString(buf, " COLLATE ");
	append_name(buf, form->collnamespace, NameStr(form->collname));
	ReleaseSysCache(tuple);
}

static void
append_opclass(StringInfo buf, Oid opclass)
{
	HeapTuple	tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclass));
	Form_pg_opclass form;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for opclass %u", opclass);
	form = (Form_pg_opclass) GETSTRUCT(tuple);
	appendStringInfoChar(buf, ' ');
	append_name(buf, form->opcnamespace, NameStr(form->opcname));
	ReleaseSysCache(tuple);
}

/* As in pg_get_indexdef, a function call needs no parentheses. */
static void
append_expression(StringInfo buf, Node *expr, List *context)
{
	char	   *text = deparse_expression(expr, context, false, false);
	bool		call = IsA(expr, FuncExpr) &&
		((FuncExpr *) expr)->funcformat == COERCE_EXPLICIT_CALL;

	appendStringInfo(buf, call ? "%s" : "(%s)", text);
}

/* (name='value', ...): the access method or operator class has accepted them. */
static void
append_options(StringInfo buf, const char *before, Datum options)
{
	ArrayType  *array = DatumGetArrayTypeP(options);
	Datum	   *elems;
	int			nelems;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elems, NULL, &nelems);
	for (int i = 0; i < nelems; i++)
	{
		char	   *name = TextDatumGetCString(elems[i]);
		char	   *value = strchr(name, '=');

		*value++ = '\0';
		appendStringInfo(buf, "%s%s=%s", i == 0 ? before : ", ",
						 quote_identifier(name), quote_literal_cstr(value));
	}
	if (nelems > 0)
		appendStringInfoChar(buf, ')');
}

static void
append_key_options(StringInfo buf, const HoneIndex *index, int i,
				   Oid type, Oid collation)
{
	const HoneIndexDetails *details = index->details;

	if (OidIsValid(details->collations[i]) && details->collations[i] != collation)
		append_collation(buf, details->collations[i]);
	if (GetDefaultOpClass(type, index->amoid) != details->opclasses[i] ||
		DatumGetPointer(details->opclass_options[i]) != NULL)
		append_opclass(buf, details->opclasses[i]);
	if (DatumGetPointer(details->opclass_options[i]) != NULL)
		append_options(buf, " (", details->opclass_options[i]);
	if (!details->am->amcanorder)
		return;
	if (details->descending[i])
		appendStringInfoString(buf, " DESC");
	if (details->nulls_first[i] != details->descending[i])
		appendStringInfoString(buf, details->nulls_first[i] ?
							   " NULLS FIRST" : " NULLS LAST");
}

static void
append_columns(StringInfo buf, const HoneIndex *index, const int *keys, List *context)
{
	int			nexprs = 0;

	for (int i = 0; i < index->ncolumns; i++)
	{
		Oid			type;
		Oid			collation;

		if (i == index->nkeycolumns)
			appendStringInfoString(buf, ") INCLUDE (");
		else if (i > 0)
			appendStringInfoString(buf, ", ");

		if (keys[i] != 0)
		{
			int32		typmod;

			appendStringInfoString(buf,
								   quote_identifier(get_attname(index->relid, keys[i], false)));
			get_atttypetypmodcoll(index->relid, keys[i], &type, &typmod, &collation);
		}
		else
		{
			Node	   *expr = list_nth(index->details->raw_exprs, nexprs++);

			append_expression(buf, expr, context);
			type = exprType(expr);
			collation = exprCollation(expr);
		}
		if (i < index->nkeycolumns)
			append_key_options(buf, index, i, type, collation);
	}
}

static void
append_definition(StringInfo buf, const HoneIndex *index, const int *keys)
{
	const HoneIndexDetails *details = index->details;
	char	   *relname = get_rel_name(index->relid);
	char	   *schema = get_namespace_name_or_temp(get_rel_namespace(index->relid));
	List	   *context = deparse_context_for(relname, index->relid);

	appendStringInfo(buf, "CREATE INDEX ON %s USING %s (",
					 quote_qualified_identifier(schema, relname),
					 quote_identifier(get_am_name(index->amoid)));
	append_columns(buf, index, keys, context);
	appendStringInfoChar(buf, ')');
	if (DatumGetPointer(details->options) != NULL)
		append_options(buf, " WITH (", details->options);
	if (details->tablespace_named)
		appendStringInfo(buf, " TABLESPACE %s",
						 quote_identifier(get_tablespace_name(details->tablespace)));
	if (details->raw_predicate != NULL)
		appendStringInfo(buf, " WHERE %s",
						 deparse_expression(details->raw_predicate, context, false, false));
}

/* Deparse under a search_path that leaves nothing of a user unqualified. */
char *
hone_whatif_definition(const HoneIndex *index, const int *keys)
{
	StringInfoData buf;
	int			level = NewGUCNestLevel();

	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	initStringInfo(&buf);
	append_definition(&buf, index, keys);
	AtEOXact_GUC(false, level);
	return buf.data;
}
