/*
 * partition_plan.c
 *	  What is to be done next about the indexes of a partitioned table.
 *
 * Nothing about the progress is remembered: each time the partition tree, the
 * indexes on it and our rows are read anew, and the first step that is missing
 * is the answer. So it does not matter which of them an earlier worker got
 * done before it was killed, nor what others did to partitions meanwhile.
 *
 * An index of ours is one whose OID is in our row and that still has the table
 * and the name of the row. Others are only ever looked at, or attached.
 *
 * Definitions: once the parent's index exists, everything after the table's
 * name of what pg_get_indexdef() says of it is also the definition of each
 * partition's index, because it speaks of columns by name, and names are what
 * partitions have in common with their parent (numbers are not). It is
 * likewise how an index that is there already is recognized: one that would
 * be made by the same words. That is stricter than ATTACH PARTITION, which
 * does not look at sort orders and options, and which looks again.
 *
 * Locks: reading definitions takes an AccessShareLock for a moment; the rest
 * is catalogs. A partition that goes while we read makes a later step fail,
 * which is planned anew.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "apply/partition.h"
#include "base/compat.h"
#include "base/owner.h"

/* A table of the tree, the whole first, each one after its parent. */
typedef struct Member
{
	Oid			relid;
	struct Member *parent;		/* NULL: the whole */
	char		relkind;
	List	   *children;		/* Members */
	HonePart   *part;			/* NULL for the whole */

	/* Its index: attached to its parent's, or one that can be. */
	Oid			index_oid;		/* InvalidOid: none */
	bool		valid;
	bool		attached;
	List	   *index_children; /* of a partitioned one: OIDs */
} Member;

typedef struct PartPlan
{
	HoneAction *action;
	List	   *members;
	List	   *parts;
	List	   *put_off;		/* OIDs of tables */
	bool		waits;			/* something was put off */
	HonePartTask *task;
} PartPlan;

/* Looking at indexes */

static bool
is_index_of(Oid index_oid, Oid relid, bool *valid)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index_oid));
	Form_pg_index index;
	bool		found;

	if (!HeapTupleIsValid(tuple))
		return false;
	index = (Form_pg_index) GETSTRUCT(tuple);
	found = index->indrelid == relid;
	if (valid)
		*valid = index->indisvalid && index->indisready && index->indislive;
	ReleaseSysCache(tuple);
	return found;
}

/* The index that we made for a part, if it is there and still ours. */
static bool
is_ours(const HonePart *part, bool *valid)
{
	char	   *name;

	if (part == NULL || part->was_there || !OidIsValid(part->index_oid) ||
		!is_index_of(part->index_oid, part->relid, valid))
		return false;
	name = get_rel_name(part->index_oid);
	return name != NULL && strcmp(name, part->index_name) == 0;
}

static bool
is_unique(Oid index_oid)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index_oid));
	bool		unique;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u", index_oid);
	unique = ((Form_pg_index) GETSTRUCT(tuple))->indisunique;
	ReleaseSysCache(tuple);
	return unique;
}

/* What follows the table's name in CREATE INDEX. */
static const char *
definition_rest(Oid index_oid, Oid relid)
{
	char	   *definition = pg_get_indexdef_string(index_oid);
	char	   *table_name = hone_apply_qualified_name(relid);
	char	   *name = get_rel_name(index_oid);
	char	   *start;

	if (table_name == NULL || name == NULL)
		elog(ERROR, "cache lookup failed for index %u", index_oid);
	start = psprintf("CREATE %sINDEX %s ON %s ", is_unique(index_oid) ? "UNIQUE " : "",
					 quote_identifier(name), table_name);
	if (strncmp(definition, start, strlen(start)) != 0)
		elog(ERROR, "unexpected index definition: %s", definition);
	return definition + strlen(start);
}

/* Somebody else's index that is as good as the one we would make. */
static Oid
find_equal(PartPlan *plan, const Member *member)
{
	Oid			wanted = plan->action->index_oid;
	const char *rest = definition_rest(wanted, plan->action->relid);
	ListCell   *lc;

	foreach(lc, hone_apply_free_indexes(member->relid))
	{
		Oid			index_oid = lfirst_oid(lc);

		if (is_unique(index_oid) == is_unique(wanted) &&
			strcmp(definition_rest(index_oid, member->relid), rest) == 0)
			return index_oid;
	}
	return InvalidOid;
}

/* Reading the tree */

static HonePart *
find_part(List *parts, Oid relid)
{
	ListCell   *lc;

	foreach(lc, parts)
	{
		HonePart   *part = lfirst(lc);

		if (part->relid == relid)
			return part;
	}
	return NULL;
}

static Member *
add_member(PartPlan *plan, Oid relid, Member *parent)
{
	Member	   *member = palloc0(sizeof(Member));

	member->relid = relid;
	member->parent = parent;
	member->relkind = get_rel_relkind(relid);
	if (member->relkind == '\0')
		return NULL;
	plan->members = lappend(plan->members, member);
	if (parent)
		parent->children = lappend(parent->children, member);
	return member;
}

static void
read_tree(PartPlan *plan)
{
	ListCell   *lc;

	if (add_member(plan, plan->action->relid, NULL) == NULL)
		return;
	/* The list grows meanwhile. */
	foreach(lc, plan->members)
	{
		Member	   *member = lfirst(lc);
		ListCell   *child;

		if (member->relkind == RELKIND_PARTITIONED_TABLE)
			foreach(child, find_inheritance_children(member->relid, NoLock))
				(void) add_member(plan, lfirst_oid(child), member);
	}
}

static void
read_parts(PartPlan *plan)
{
	List	   *relids = NIL;
	ListCell   *lc;

	foreach(lc, plan->members)
	{
		Member	   *member = lfirst(lc);

		if (member->parent)
			relids = lappend_oid(relids, member->relid);
	}
	hone_apply_parts_sync(plan->action->id, relids);
	plan->parts = hone_apply_parts(plan->action->id);
	foreach(lc, plan->members)
	{
		Member	   *member = lfirst(lc);

		member->part = find_part(plan->parts, member->relid);
	}
}

/* The partition of an index that is on a table. */
static Oid
attached_index(const Member *parent, Oid relid)
{
	ListCell   *lc;

	foreach(lc, parent->index_children)
		if (is_index_of(lfirst_oid(lc), relid, NULL))
			return lfirst_oid(lc);
	return InvalidOid;
}

/* Somebody else's index, as it is now: it may have been rebuilt since, or renamed. */
static Oid
was_there_index(const HonePart *part)
{
	Oid			by_name;

	if (is_index_of(part->index_oid, part->relid, NULL))
		return part->index_oid;
	by_name = get_relname_relid(part->index_name, get_rel_namespace(part->relid));
	return OidIsValid(by_name) && is_index_of(by_name, part->relid, NULL) ? by_name : InvalidOid;
}

/* What can be attached, if nothing is. */
static Oid
own_index(Member *member)
{
	HonePart   *part = member->part;

	if (part == NULL || !OidIsValid(part->index_oid) ||
		get_rel_relispartition(part->index_oid))
		return InvalidOid;
	if (is_ours(part, &member->valid))
		return part->index_oid;
	/* Whatever became of it, if it cannot be used any more another is found. */
	if (part->was_there && is_index_of(part->index_oid, member->relid, &member->valid) &&
		member->valid)
		return part->index_oid;
	return InvalidOid;
}

static void
note_state(PartPlan *plan, Member *member)
{
	const char *state = member->attached ? "attached" : member->valid ? "built" : "building";

	if (member->part && strcmp(member->part->state, state) != 0)
		hone_apply_part_state(plan->action->id, member->relid, state);
}

static void
read_index(PartPlan *plan, Member *member)
{
	if (member->parent == NULL)
	{
		member->index_oid = plan->action->index_oid;
		(void) is_index_of(member->index_oid, member->relid, &member->valid);
		member->attached = true;
	}
	else
	{
		member->index_oid = attached_index(member->parent, member->relid);
		member->attached = OidIsValid(member->index_oid);
		if (!member->attached)
			member->index_oid = own_index(member);
		else
			(void) is_index_of(member->index_oid, member->relid, &member->valid);
	}
	if (!OidIsValid(member->index_oid))
		return;
	if (member->relkind == RELKIND_PARTITIONED_TABLE)
		member->index_children = find_inheritance_children(member->index_oid, NoLock);
	if (member->parent)
		note_state(plan, member);
}

static void
read_all(PartPlan *plan)
{
	ListCell   *lc;

	read_tree(plan);
	read_parts(plan);
	foreach(lc, plan->members)
		read_index(plan, lfirst(lc));
}

/* Choosing a task */

static bool
put_off(PartPlan *plan, Oid relid)
{
	if (!list_member_oid(plan->put_off, relid))
		return false;
	plan->waits = true;
	return true;
}

static void
set_task(PartPlan *plan, HonePartTaskKind kind, Oid relid, char *statement)
{
	plan->task->kind = kind;
	plan->task->relid = relid;
	plan->task->statement = statement;
}

static void
set_drop(PartPlan *plan, Oid relid, Oid index_oid)
{
	ListCell   *lc;

	set_task(plan, get_rel_relkind(index_oid) == RELKIND_PARTITIONED_INDEX ?
			 HONE_PART_DROP_PARENT : HONE_PART_DROP, relid,
			 hone_apply_drop_statement(index_oid));
	plan->task->index_oid = index_oid;
	plan->task->owner = hone_relation_owner(index_oid);
	foreach(lc, plan->parts)
	{
		HonePart   *part = lfirst(lc);
		Oid			keep = part->was_there ? was_there_index(part) : InvalidOid;

		if (OidIsValid(keep))
			plan->task->keep = lappend_oid(plan->task->keep, keep);
	}
}

/* Ask for an index of the whole, and of nothing below it. */
static char *
only(const HoneAction *action)
{
	IndexStmt  *statement = hone_apply_parse_index(action->definition);
	int			at = statement ? statement->relation->location : -1;

	if (at < 0)
		elog(ERROR, "unexpected index definition: %s", action->definition);
	if (!statement->relation->inh)
		return pstrdup(action->definition);
	return psprintf("%.*sONLY %s", at, action->definition, action->definition + at);
}

/* A free name like the server would choose. */
static char *
choose_name(const HoneAction *action, Oid relid)
{
	StringInfoData columns;
	char	   *name;

	initStringInfo(&columns);
	for (AttrNumber i = 1;
		 columns.len < NAMEDATALEN &&
		 (name = get_attname(action->index_oid, i, true)) != NULL; i++)
		appendStringInfo(&columns, "%s%s", i > 1 ? "_" : "", name);
	return ChooseRelationName(get_rel_name(relid), columns.data, "idx",
							  get_rel_namespace(relid), false);
}

/* CREATE INDEX for a part, its name written down. */
static char *
create_statement(const HoneAction *action, Oid relid, const char *on)
{
	char	   *name = choose_name(action, relid);

	hone_apply_part_building(action->id, relid, name);
	return psprintf("CREATE %sINDEX %s ON %s%s %s",
					is_unique(action->index_oid) ? "UNIQUE " : "",
					quote_identifier(name), on, hone_apply_qualified_name(relid),
					definition_rest(action->index_oid, action->relid));
}

char *
hone_apply_leaf_statement(const HoneAction *action, Oid relid)
{
	return hone_apply_concurrently(create_statement(action, relid, ""));
}

bool
hone_apply_is_part(const HoneAction *action, Oid relid)
{
	if (relid == action->relid)
		return true;
	return get_rel_relkind(relid) != '\0' && get_rel_relispartition(relid) &&
		list_member_oid(get_partition_ancestors(relid), action->relid);
}

static void
set_attach(PartPlan *plan, const Member *member)
{
	set_task(plan, HONE_PART_ATTACH, member->relid,
			 psprintf("ALTER INDEX %s ATTACH PARTITION %s",
					  hone_apply_qualified_name(member->parent->index_oid),
					  hone_apply_qualified_name(member->index_oid)));
}

/* No index yet, or one that cannot be used. */
static void
make_index(PartPlan *plan, Member *member)
{
	Oid			found;

	if (is_ours(member->part, NULL) && !get_rel_relispartition(member->part->index_oid))
	{
		/* INVALID: what was left by an earlier worker. */
		set_drop(plan, member->relid, member->part->index_oid);
		return;
	}
	found = find_equal(plan, member);
	if (OidIsValid(found))
	{
		hone_apply_part_found(plan->action->id, member->relid, found);
		member->part->was_there = true;
		member->part->index_oid = found;
		member->index_oid = found;
		member->valid = true;
	}
	else if (member->relkind == RELKIND_PARTITIONED_TABLE)
		set_task(plan, HONE_PART_PARENT, member->relid,
				 create_statement(plan->action, member->relid, "ONLY "));
	else
		set_task(plan, HONE_PART_BUILD, member->relid, NULL);
}

/* Below an index that is complete there is nothing to do. */
static bool
is_covered(const Member *member)
{
	for (const Member *m = member->parent; m && m->parent; m = m->parent)
		if (m->valid)
			return true;
	return false;
}

static bool
make_missing(PartPlan *plan, Member *member)
{
	bool		partitioned = member->relkind == RELKIND_PARTITIONED_TABLE;
	bool		missing = !OidIsValid(member->index_oid) ||
		(!partitioned && !member->valid && !member->attached);

	if (!missing || is_covered(member) || put_off(plan, member->relid))
		return false;
	make_index(plan, member);
	return plan->task->kind != HONE_PART_NOTHING;
}

/* Valid and not attached; those of others last, since they may be needed no
 * more if this fails. */
static bool
attach_ready(PartPlan *plan, Member *member, bool was_there)
{
	if (member->attached || !member->valid || !OidIsValid(member->parent->index_oid) ||
		member->part->was_there != was_there || is_covered(member) ||
		put_off(plan, member->relid))
		return false;
	set_attach(plan, member);
	return true;
}

/*
 * All partitions are attached, and yet it is not valid: the last one that was
 * missing has gone rather than come. Attaching one once more has the server
 * count again. Without partitions there is nothing that could, and it takes a
 * new one.
 */
static bool
count_again(PartPlan *plan, Member *member)
{
	ListCell   *lc;

	if (member->relkind != RELKIND_PARTITIONED_TABLE || member->valid ||
		!OidIsValid(member->index_oid) || is_covered(member))
		return false;
	foreach(lc, member->children)
	{
		Member	   *child = lfirst(lc);

		if (!child->attached || !child->valid)
			return false;
	}
	if (put_off(plan, member->relid))
		return false;
	if (member->children != NIL)
	{
		set_attach(plan, linitial(member->children));
		plan->task->relid = member->relid;
	}
	else if (!member->attached || member->parent == NULL)
		set_drop(plan, member->relid, member->index_oid);
	return plan->task->kind != HONE_PART_NOTHING;
}

static PartPlan *
start(HoneAction *action, List *later, HonePartTask *task)
{
	PartPlan   *plan = palloc0(sizeof(PartPlan));

	plan->action = action;
	plan->put_off = later;
	plan->task = task;
	memset(task, 0, sizeof(*task));
	return plan;
}

/* The task, in the memory where it is wanted. */
static void
deliver(PartPlan *plan, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	HonePartTask *task = plan->task;

	if (task->kind == HONE_PART_NOTHING && plan->waits)
		task->kind = HONE_PART_WAIT;
	if (task->statement)
		task->statement = pstrdup(task->statement);
	task->keep = list_copy(task->keep);
	MemoryContextSwitchTo(old);
}

static void
choose(PartPlan *plan)
{
	ListCell   *lc;

	for (int pass = 0; pass < 3; pass++)
		foreach(lc, plan->members)
		{
			Member	   *member = lfirst(lc);
			bool		chosen;

			if (pass == 2)
				chosen = count_again(plan, member);
			else if (member->parent == NULL)
				chosen = false;
			else
				chosen = (pass == 0 && make_missing(plan, member)) ||
					attach_ready(plan, member, pass == 1);
			if (chosen)
				return;
		}
}

/* An index that is gone again, and that we know of: the next one gets its place. */
void
hone_apply_plan_start(HoneAction *action)
{
	if (OidIsValid(action->index_oid) &&
		hone_apply_index_state(action) == HONE_INDEX_ABSENT)
		hone_apply_forget_index(action);
}

void
hone_apply_plan_make(HoneAction *action, List *later, MemoryContext context,
					 HonePartTask *task)
{
	PartPlan   *plan = start(action, later, task);

	switch (hone_apply_index_state(action))
	{
		case HONE_INDEX_VALID:
			read_all(plan);		/* for the rows */
			break;
		case HONE_INDEX_ABSENT:
			if (OidIsValid(action->index_oid))
				ereport(ERROR,
						(errcode(ERRCODE_UNDEFINED_OBJECT),
						 errmsg("index \"%s\" was dropped by somebody else",
								action->index_name)));
			if (!put_off(plan, action->relid))
				set_task(plan, HONE_PART_PARENT, action->relid, only(action));
			break;
		case HONE_INDEX_FOREIGN:
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("index \"%s\" is not on table %s any more",
							action->index_name, action->table_name)));
		case HONE_INDEX_INVALID:
			read_all(plan);
			choose(plan);
			if (plan->task->kind == HONE_PART_NOTHING && !plan->waits)
				ereport(ERROR,
						(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						 errmsg("index \"%s\" is still invalid with an index on each partition",
								action->index_name)));
			break;
	}
	deliver(plan, context);
}

/* The parts' indexes that are ours and nobody's partition. */
static bool
drop_part(PartPlan *plan, bool attached_too)
{
	ListCell   *lc;

	foreach(lc, plan->parts)
	{
		HonePart   *part = lfirst(lc);

		if (!is_ours(part, NULL) || get_rel_relispartition(part->index_oid) ||
			(!attached_too && strcmp(part->state, "attached") == 0) ||
			put_off(plan, part->relid))
			continue;
		set_drop(plan, part->relid, part->index_oid);
		return true;
	}
	return false;
}

void
hone_apply_plan_remove(HoneAction *action, List *later, MemoryContext context,
					   HonePartTask *task)
{
	PartPlan   *plan = start(action, later, task);
	HoneIndexState state = hone_apply_index_state(action);

	plan->parts = hone_apply_parts(action->id);
	if (state == HONE_INDEX_VALID || state == HONE_INDEX_INVALID)
	{
		if (!put_off(plan, action->relid))
			set_drop(plan, action->relid, action->index_oid);
	}
	else if (!drop_part(plan, true) && !plan->waits)
		hone_apply_parts_forget(action->id);
	deliver(plan, context);
}

/* Partitioned ones first: dropping those may take others along. */
void
hone_apply_plan_tidy(HoneAction *action, List *later, MemoryContext context,
					 HonePartTask *task)
{
	PartPlan   *plan = start(action, later, task);

	plan->parts = hone_apply_parts(action->id);
	(void) drop_part(plan, false);
	deliver(plan, context);
}
