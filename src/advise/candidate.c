/*
 * candidate.c
 *	  Making candidates: their identity, their text, and what keeps them out.
 *
 * A candidate is proposed by the files of its family (family.c: btree.c, gin.c,
 * brin.c), by variant.c and by merge.c. The same definition proposed twice is the same candidate; one
 * that an existing index already serves, or that was dismissed or reverted
 * before, is kept with the reason why not and never planned with. Runs as the
 * statement's role under a safe search_path: the definition is parsed by
 * hone_whatif_index, each in a subtransaction, because it may fail.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_opclass.h"
#include "commands/defrem.h"
#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/syscache.h"

#include "advise/internal.h"
#include "base/compat.h"
#include "base/record.h"

#define MAX_CANDIDATES 4000
#define MAX_KEY_BYTES 400		/* of all keys together, on average */

static void
append_opclass(StringInfo buf, Oid opclass)
{
	HeapTuple	tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclass));
	Form_pg_opclass form;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator class %u", opclass);
	form = (Form_pg_opclass) GETSTRUCT(tuple);
	appendStringInfo(buf, " %s",
					 quote_qualified_identifier(get_namespace_name(form->opcnamespace),
												NameStr(form->opcname)));
	ReleaseSysCache(tuple);
}

static char *
collation_name(Oid collation)
{
	HeapTuple	tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	Form_pg_collation form;
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for collation %u", collation);
	form = (Form_pg_collation) GETSTRUCT(tuple);
	name = quote_qualified_identifier(get_namespace_name(form->collnamespace),
									  NameStr(form->collname));
	ReleaseSysCache(tuple);
	return name;
}

/* ON table USING am (keys) INCLUDE (columns) WHERE predicate */
static char *
make_body(const HoneCandidate *c)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "ON %s USING %s (",
					 quote_qualified_identifier(get_namespace_name(get_rel_namespace(c->relid)),
												get_rel_name(c->relid)),
					 quote_identifier(get_am_name(c->amoid)));
	for (int i = 0; i < c->nkeys; i++)
	{
		const HoneKey *key = &c->keys[i];

		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "", key->sql);
		if (OidIsValid(key->collation))
			appendStringInfo(&buf, " COLLATE %s", collation_name(key->collation));
		if (OidIsValid(key->opclass))
			append_opclass(&buf, key->opclass);
		if (key->desc)
			appendStringInfoString(&buf, " DESC");
		if (key->nulls_first != key->desc)
			appendStringInfoString(&buf, key->nulls_first ? " NULLS FIRST" : " NULLS LAST");
	}
	appendStringInfoChar(&buf, ')');
	for (int i = 0; i < c->nincluded; i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : " INCLUDE (",
						 quote_identifier(get_attname(c->relid, c->included[i], false)));
	if (c->nincluded > 0)
		appendStringInfoChar(&buf, ')');
	if (c->pages_per_range > 0)
		appendStringInfo(&buf, " WITH (pages_per_range = %d)", c->pages_per_range);
	if (c->predicate)
		appendStringInfo(&buf, " WHERE %s", c->predicate->sql);
	return buf.data;
}

/* Ask what-if for size and shape; when it cannot be built, that is the rejection. */
static void
imagine(HoneRun *run, HoneCandidate *c)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	bool		old_paused = hone_capture_paused;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(run->memory);
	hone_capture_paused = true;
	PG_TRY();
	{
		c->index = hone_whatif_index(psprintf("CREATE INDEX %s", c->body));
		/* what-if writes it as pg_get_indexdef will */
		if (strncmp(c->index->definition, "CREATE INDEX ON ", 16) == 0)
			c->body = c->index->definition + strlen("CREATE INDEX ");
		ReleaseCurrentSubTransaction();
		hone_capture_paused = old_paused;
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(run->memory);
		edata = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		hone_capture_paused = old_paused;
		if (edata->sqlerrcode == ERRCODE_QUERY_CANCELED ||
			edata->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN)
			ReThrowError(edata);
		c->rejection = psprintf("it cannot be built: %s", edata->message);
		FreeErrorData(edata);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
}

/*
 * Is a key so long on average that some value may not fit into a btree page?
 * Then an INSERT would fail because of the index.
 */
static bool
is_too_long(const HoneCandidate *c)
{
	int			bytes = 0;

	if (c->amoid != BTREE_AM_OID)
		return false;
	for (int i = 0; i < c->nkeys; i++)
		if (c->keys[i].attno != 0)
			bytes += Max(get_attavgwidth(c->relid, c->keys[i].attno), 0);
	return bytes > MAX_KEY_BYTES;
}

typedef struct BodyEntry
{
	char	   *body;
	HoneCandidate *candidate;
} BodyEntry;

static uint32
body_hash(const void *key, Size keysize pg_attribute_unused())
{
	const char *body = *(char *const *) key;

	return DatumGetUInt32(hash_any((const unsigned char *) body, strlen(body)));
}

static int
body_match(const void *a, const void *b, Size keysize pg_attribute_unused())
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

static bool
was_refused(HoneRun *run, const char *body)
{
	ListCell   *lc;

	foreach(lc, run->refused)
		if (strcmp(lfirst(lc), body) == 0)
			return true;
	return false;
}

/* What keeps it out, beyond what its proposer knows. */
static void
examine(HoneRun *run, HoneCandidate *c)
{
	HoneExisting *covering = hone_advise_covered_by(run, c);

	if (covering != NULL)
		c->rejection = psprintf("existing index %s already serves it",
								quote_identifier(covering->name));
	if (c->rejection == NULL && is_too_long(c))
		c->rejection = "its values are too long for a btree";
	if (c->rejection == NULL && c->index == NULL)
		imagine(run, c);
	if (c->rejection == NULL && was_refused(run, c->body))
		c->rejection = "it was dismissed or reverted before";
	if (c->rejection == NULL)
		hone_advise_examine_ban(run, c);
	if (c->rejection == NULL && run->budget >= 0 && c->index->size_bytes > run->budget)
		c->rejection = "it alone is larger than the storage budget";
}

/* What has this definition; made when it is not known yet. */
static BodyEntry *
find_body(HoneRun *run, char *body, bool make)
{
	if (run->bodies == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(char *);
		ctl.entrysize = sizeof(BodyEntry);
		ctl.hash = body_hash;
		ctl.match = body_match;
		ctl.hcxt = run->memory;
		run->bodies = hash_create("pg_hone candidates", 256, &ctl,
								  HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	}
	if (make)
	{
		bool		found;
		BodyEntry  *entry = hash_search(run->bodies, &body, HASH_ENTER, &found);

		if (!found)
			entry->candidate = NULL;
		return entry;
	}
	return hash_search(run->bodies, &body, HASH_FIND, NULL);
}

/*
 * Enter a candidate, or find the one that is the same. The argument is copied.
 * NULL when there is no room for more.
 */
HoneCandidate *
hone_advise_propose(HoneRun *run, HoneCandidate *given)
{
	MemoryContext old = MemoryContextSwitchTo(run->memory);
	char	   *body = make_body(given);
	BodyEntry  *entry = find_body(run, body, run->ncandidates < MAX_CANDIDATES);
	HoneCandidate *c = entry ? entry->candidate : NULL;

	if (c != NULL && c->presumed && given->rejection == NULL)
	{
		c->presumed = false;	/* another statement has a use for it */
		c->rejection = NULL;
		examine(run, c);
	}
	if (c != NULL || entry == NULL)
	{
		MemoryContextSwitchTo(old);
		return c;
	}
	c = palloc(sizeof(HoneCandidate));
	*c = *given;
	c->body = given->index ? given->body : body;
	c->id = run->ncandidates;
	entry->candidate = c;
	if (run->ncandidates >= run->maxcandidates)
	{
		run->maxcandidates = run->maxcandidates ? run->maxcandidates * 2 : 256;
		run->candidates = run->candidates ?
			repalloc(run->candidates, run->maxcandidates * sizeof(HoneCandidate *)) :
			palloc(run->maxcandidates * sizeof(HoneCandidate *));
	}
	run->candidates[run->ncandidates++] = c;

	c->presumed = c->rejection != NULL;
	if (!c->presumed)
		examine(run, c);
	MemoryContextSwitchTo(old);
	return c;
}

/*
 * The same, of two of which the other one gives all that the first gives: enter
 * the other one, for both, where it is smaller by a factor.
 */
HoneCandidate *
hone_advise_propose_smaller(HoneRun *run, HoneCandidate *first, HoneCandidate *other,
							double factor)
{
	MemoryContext old = MemoryContextSwitchTo(run->memory);
	char	   *body = make_body(first);
	BodyEntry  *entry = find_body(run, body, false);
	HoneCandidate *c = entry ? entry->candidate : NULL;

	if (c == NULL && hone_advise_covered_by(run, first) == NULL &&
		run->ncandidates < MAX_CANDIDATES)
	{
		first->body = body;
		imagine(run, first);
		other->body = make_body(other);
		if (first->index)
			imagine(run, other);
		if (first->index && other->index &&
			other->index->size_bytes <= first->index->size_bytes * factor)
			c = hone_advise_propose(run, other);
		if (c && c->rejection)
			c = NULL;
		if (c)
			find_body(run, body, true)->candidate = c;
		else if (first->index == NULL)
			first->rejection = NULL;	/* to be said again, of what is entered */
	}
	if (c == NULL)
		c = hone_advise_propose(run, first);
	MemoryContextSwitchTo(old);
	return c;
}

/* A statement has this candidate; it is worth planning with. */
void
hone_advise_note(HoneRun *run, HoneStatement *st, HoneCandidate *c)
{
	MemoryContext old;

	if (c == NULL || c->rejection)
		return;
	old = MemoryContextSwitchTo(run->memory);
	st->relevant = bms_add_member(st->relevant, c->id);
	MemoryContextSwitchTo(old);
}

/* A btree on these keys. */
HoneCandidate *
hone_advise_propose_keys(HoneRun *run, Oid relid, const HoneKey *keys, int nkeys)
{
	HoneCandidate c = {0};

	c.relid = relid;
	c.amoid = BTREE_AM_OID;
	c.nkeys = Min(nkeys, HONE_MAX_KEYS);
	memcpy(c.keys, keys, c.nkeys * sizeof(HoneKey));
	return hone_advise_propose(run, &c);
}

/* A column as a key of a btree; without a family when it cannot be. */
HoneKey
hone_advise_column_key(Oid relid, AttrNumber attno)
{
	HoneKey		key = {0};
	Oid			opclass = GetDefaultOpClass(get_atttype(relid, attno), BTREE_AM_OID);

	key.label = get_attname(relid, attno, false);
	key.sql = pstrdup(quote_identifier(key.label));
	key.attno = attno;
	key.opfamily = OidIsValid(opclass) ? get_opclass_family(opclass) : InvalidOid;
	key.columns = bms_make_singleton(attno);
	return key;
}

/* Attributes the index would depend on: an update of one of them costs. */
Bitmapset *
hone_advise_candidate_columns(const HoneCandidate *c)
{
	Bitmapset  *columns = NULL;

	for (int i = 0; i < c->nkeys; i++)
		columns = bms_add_members(columns, c->keys[i].columns);
	for (int i = 0; i < c->nincluded; i++)
		columns = bms_add_member(columns, c->included[i]);
	if (c->predicate)
		columns = bms_add_members(columns, c->predicate->columns);
	return columns;
}

/* Table and columns, cut to fit, free in the table's schema and in the list. */
char *
hone_advise_index_name(HoneRun *run pg_attribute_unused(), const HoneCandidate *c, List *taken)
{
	StringInfoData columns;
	Oid			nspid = get_rel_namespace(c->relid);

	initStringInfo(&columns);
	for (int i = 0; i < c->nkeys; i++)
		appendStringInfo(&columns, "%s%s", i > 0 ? "_" : "",
						 c->keys[i].label);
	for (int pass = 0;; pass++)
	{
		char	   *label = pass == 0 ? pstrdup("idx") : psprintf("idx%d", pass);
		char	   *name = makeObjectName(get_rel_name(c->relid), columns.data, label);
		bool		free = !OidIsValid(get_relname_relid(name, nspid));
		ListCell   *lc;

		foreach(lc, taken)
			if (strcmp(lfirst(lc), name) == 0)
				free = false;
		if (free)
			return name;
	}
}
