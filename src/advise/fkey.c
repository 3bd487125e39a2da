/*
 * fkey.c
 *	  What the server asks itself when a row that others may refer to is
 *	  deleted, or gets another key: who refers to it?
 *
 * The question has no place in the statement's plan, nor in its cost; without
 * an index on the referring columns it reads the whole referring table, for
 * each row. So for each such statement of the run its questions are added as
 * statements of their own, run once per row written. They are planned by the
 * role of the statement, as far as it may read the referring table.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "lib/stringinfo.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "advise/internal.h"

#define MAX_CHECKS 200			/* added to a run */

static char *
check_text(Oid relid, const AttrNumber *columns, int n)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "SELECT 1 FROM %s%s x WHERE ",
					 get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE ? "" : "ONLY ",
					 quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
												get_rel_name(relid)));
	for (int i = 0; i < n; i++)
		appendStringInfo(&buf, "%sx.%s = $%d", i > 0 ? " AND " : "",
						 quote_identifier(get_attname(relid, columns[i], false)), i + 1);
	return buf.data;
}

/* The statement that asks so already, on behalf of the same role, or a new one. */
static HoneStatement *
find_check(HoneRun *run, const HoneStatement *cause, char *text)
{
	HoneQueryGroup *group;
	HoneStatement *st;
	Oid			userid = cause->as_caller ? run->caller : cause->userid;

	for (int i = 0; i < run->nstatements; i++)
		if (run->statements[i]->check && run->statements[i]->userid == userid &&
			strcmp(run->statements[i]->text, text) == 0)
			return run->statements[i];
	group = palloc0(sizeof(HoneQueryGroup));
	group->userid = userid;
	group->text = text;
	st = hone_advise_add_statement(run, group, text, 0);
	st->as_caller = cause->as_caller;
	st->search_path = cause->search_path;
	st->check = true;
	run->groups = lappend(run->groups, group);
	return st;
}

static void
add_check(HoneRun *run, const HoneStatement *cause, Form_pg_constraint form,
		  HeapTuple tuple)
{
	AttrNumber	columns[INDEX_MAX_KEYS];
	AttrNumber	referenced[INDEX_MAX_KEYS];
	Bitmapset  *keys = NULL;
	Oid			userid = cause->as_caller ? run->caller : cause->userid;
	HoneStatement *st;
	double		calls = cause->calls * cause->rows_written;
	int			n;

	DeconstructFkConstraintRow(tuple, &n, columns, referenced, NULL, NULL, NULL, NULL, NULL);
	for (int i = 0; i < n; i++)
		keys = bms_add_member(keys, referenced[i]);
	if (cause->command == CMD_UPDATE && !bms_overlap(keys, cause->changed))
		return;
	/* locked so that its names stay; whoever changes it now is not waited for */
	if (!ConditionalLockRelationOid(form->conrelid, AccessShareLock))
		return;
	if (get_rel_name(form->conrelid) == NULL ||
		pg_class_aclcheck(form->conrelid, userid, ACL_SELECT) != ACLCHECK_OK)
		return;
	st = find_check(run, cause, check_text(form->conrelid, columns, n));
	st->calls += calls;
	st->group->calls += calls;
}

static void
add_checks_of(HoneRun *run, Relation constraints, const HoneStatement *cause)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_constraint_confrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(cause->target));
	scan = systable_beginscan(constraints, InvalidOid, false, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		/* that of a partition comes with its parent's */
		if (form->contype == CONSTRAINT_FOREIGN && !OidIsValid(form->conparentid) &&
			run->nstatements < run->nread + MAX_CHECKS)
			add_check(run, cause, form, tuple);
	}
	systable_endscan(scan);
}

/* Add the questions of all statements read, and read them too. */
void
hone_advise_add_key_checks(HoneRun *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->memory);
	Relation	constraints = table_open(ConstraintRelationId, AccessShareLock);

	run->nread = run->nstatements;
	for (int i = 0; i < run->nread; i++)
	{
		HoneStatement *st = run->statements[i];

		if (!st->failure && OidIsValid(st->target) && st->calls > 0 &&
			(st->command == CMD_DELETE || st->command == CMD_UPDATE))
			add_checks_of(run, constraints, st);
	}
	table_close(constraints, AccessShareLock);
	for (int i = run->nread; i < run->nstatements; i++)
		hone_advise_read_statement(run, run->statements[i]);
	MemoryContextSwitchTo(old);
}
