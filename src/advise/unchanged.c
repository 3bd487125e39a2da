/*
 * unchanged.c
 *	  Are the tables of a run still what they were when it read them?
 *
 * A run gives its locks back after each piece of work on a statement, so that it
 * keeps nobody waiting. Meanwhile a table can be dropped, altered, or be another
 * one of the same name, and what was read of it, column numbers and names,
 * means nothing any more. So what each table looked like is remembered as a hash
 * when a statement is read, and compared under the lock of the analysis before
 * each further piece of work: a statement one of whose tables is not the same
 * leaves the run, with the reason.
 *
 * For what follows the work on statements (choosing, explaining, storing), the
 * tables that have candidates or existing indexes are locked until the end of
 * the transaction, as any query of them would do. The candidates of those that
 * cannot be locked at once, or are not the same, are out and not shown: a run over
 * what was captured waits for nobody here. A run of the caller's own statements
 * waits, as those would, and ends with an error.
 *
 * Memory is the run's; an error leaves nothing behind but the locks.
 */
#include "postgres.h"

#include "access/relation.h"
#include "common/hashfn.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "advise/internal.h"

typedef struct Watched
{
	Oid			relid;
	uint64		looks;
} Watched;

/* Names and types: all that a candidate's text and column numbers rest on. */
static uint64
looks_of(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	uint64		hash = hash_combine64(RelationGetNamespace(rel), desc->natts);

	hash = hash_combine64(hash, hash_any_extended((const unsigned char *) RelationGetRelationName(rel),
												  strlen(RelationGetRelationName(rel)), 0));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, i);
		const char *name = NameStr(attr->attname);

		hash = hash_combine64(hash, hash_any_extended((const unsigned char *) name,
													  strlen(name), attr->atttypid));
		hash = hash_combine64(hash, ((uint64) attr->attcollation << 32) +
							  (uint32) attr->atttypmod);
	}
	return hash;
}

static Watched *
find_watched(HoneRun *run, Oid relid)
{
	bool		found = run->watched != NULL;

	if (!found)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(Oid);
		ctl.entrysize = sizeof(Watched);
		ctl.hcxt = run->memory;
		run->watched = hash_create("pg_hone tables", 64, &ctl,
								   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	return hash_search(run->watched, &relid, HASH_FIND, NULL);
}

/* Is the table there, and as it was when first asked about? Leaves it locked. */
static bool
is_same(HoneRun *run, Oid relid, bool begin)
{
	Watched    *watched = find_watched(run, relid);
	Relation	rel;
	uint64		looks;

	if (watched == NULL && !begin)
		return true;
	rel = try_relation_open(relid, AccessShareLock);
	if (rel == NULL)
		return false;
	looks = looks_of(rel);
	relation_close(rel, NoLock);
	if (watched == NULL)
	{
		watched = hash_search(run->watched, &relid, HASH_ENTER, NULL);
		watched->looks = looks;
	}
	return watched->looks == looks;
}

/* In a piece of work: remember its tables, or compare; an error when one differs. */
void
hone_advise_check_tables(HoneRun *run, HoneStatement *st, bool begin)
{
	ListCell   *lc;

	foreach(lc, st->relids)
		if (!is_same(run, lfirst_oid(lc), begin))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("a table of the statement was changed meanwhile")));
}

/* A run of the caller's own statements waits, as they would. */
static bool
lock(HoneRun *run, Oid relid)
{
	if (!run->strict)
		return ConditionalLockRelationOid(relid, AccessShareLock);
	LockRelationOid(relid, AccessShareLock);
	return true;
}

static bool
hold(HoneRun *run, Oid relid, List **held, List **lost)
{
	if (list_member_oid(*held, relid))
		return true;
	if (list_member_oid(*lost, relid))
		return false;
	if (lock(run, relid) && is_same(run, relid, false))
	{
		*held = lappend_oid(*held, relid);
		return true;
	}
	*lost = lappend_oid(*lost, relid);
	return false;
}

/* From here on nothing changes; what did is out. */
void
hone_advise_hold_tables(HoneRun *run)
{
	List	   *held = NIL;
	List	   *lost = NIL;
	List	   *existing = NIL;
	ListCell   *lc;

	for (int i = 0; i < run->ncandidates; i++)
	{
		HoneCandidate *c = run->candidates[i];

		if (hold(run, c->relid, &held, &lost))
			continue;
		c->rejection = "its table was changed meanwhile";
		c->lost = true;
	}
	foreach(lc, run->existing)
	{
		HoneExisting *e = lfirst(lc);

		if (hold(run, e->relid, &held, &lost))
			existing = lappend(existing, e);
	}
	run->existing = existing;
	if (run->strict && lost != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a table of the statements was changed meanwhile")));
	for (int i = 0; i < run->nstatements; i++)
	{
		HoneStatement *st = run->statements[i];

		foreach(lc, lost)
			if (!st->failure && list_member_oid(st->relids, lfirst_oid(lc)))
				st->failure = "a table of the statement was changed meanwhile";
	}
}
