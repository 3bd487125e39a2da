/*
 * ban.c
 *	  What was built, measured and taken back is not proposed again soon.
 *
 * A ban is about a table and an index's method, keys and predicate, whatever is
 * INCLUDEd, and whether it was made or dropped. apply makes bans when a trial
 * ends so; a run reads them once. While a ban lasts its candidates are turned
 * down with what was measured as the reason. Afterwards they count like others,
 * since data and load change, but are marked with a risk: the planner's estimate
 * was wrong about them before. Automatic mode wants to see such ones more often
 * (apply/auto.sql).
 *
 * Identity is by text, as the server writes a definition: after a column or a
 * function in it is renamed a ban does not match any more.
 *
 * Memory is the run's. Reads our own table as the extension's owner. On a standby
 * bans are read, and cannot be lifted.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/ruleutils.h"

#include "advise/internal.h"
#include "base/compat.h"
#include "base/owner.h"

PG_FUNCTION_INFO_V1(hone_index_identity);
PG_FUNCTION_INFO_V1(hone_lift_ban);

struct HoneBan
{
	Oid			relid;
	bool		creates;		/* else: drops */
	const char *access_method;
	const char *keys;
	const char *predicate;		/* empty: none */
	bool		active;
	const char *rejection;		/* while it lasts */
	const char *risk;			/* afterwards */
};

/* Taking a definition apart */

typedef struct Parts
{
	char	   *table;			/* without ONLY */
	char	   *method;
	char	   *keys;			/* inside the parentheses */
	char	   *predicate;		/* empty: none */
	char	   *body;			/* from USING, or the keys, on */
} Parts;

static bool
is_word_char(char c)
{
	return isalnum((unsigned char) c) || c == '_' || c == '$' || IS_HIGHBIT_SET(c);
}

/* Behind the quoted thing that begins here; quotes inside are doubled. */
static const char *
skip_quoted(const char *p)
{
	char		quote = *p++;

	while (*p)
	{
		if (*p++ != quote)
			continue;
		if (*p != quote)
			break;
		p++;
	}
	return p;
}

/*
 * Behind the next word, quoted thing, group in parentheses, or single character;
 * *depth is 0 unless a group is not closed.
 */
static const char *
skip_group(const char *p, int *depth)
{
	*depth = 0;
	if (*p == '\0')
		return p;
	do
	{
		if (*p == '"' || *p == '\'')
			p = skip_quoted(p);
		else if (is_word_char(*p))
		{
			while (is_word_char(*p))
				p++;
		}
		else
		{
			*depth += (*p == '(') - (*p == ')');
			p++;
		}
	} while (*depth > 0 && *p);
	return p;
}

static const char *
skip_token(const char *p)
{
	int			depth;

	return skip_group(p, &depth);
}

static const char *
skip_space(const char *p)
{
	while (isspace((unsigned char) *p))
		p++;
	return p;
}

static bool
is_word(const char *p, const char *end, const char *word)
{
	return (size_t) (end - p) == strlen(word) && pg_strncasecmp(p, word, end - p) == 0;
}

/* Start of the next such word outside of quotes and parentheses; or NULL. */
static const char *
find_word(const char *p, const char *word)
{
	for (p = skip_space(p); *p; p = skip_space(p))
	{
		const char *end = skip_token(p);

		if (is_word(p, end, word))
			return p;
		p = end;
	}
	return NULL;
}

static char *
trimmed(const char *from, const char *to)
{
	from = skip_space(from);
	while (to > from && isspace((unsigned char) to[-1]))
		to--;
	return pnstrdup(from, to - from);
}

static bool
take_apart(const char *definition, Parts *parts)
{
	const char *p = find_word(definition, "on");
	const char *table;
	const char *end;
	int			depth;

	if (p == NULL)
		return false;
	table = p = skip_space(p + strlen("on"));
	end = skip_token(p);
	if (is_word(p, end, "only"))
		table = p = skip_space(end);
	while (*p && *p != '(' && !is_word(p, skip_token(p), "using"))
		p = skip_space(skip_token(p));
	parts->table = trimmed(table, p);
	parts->body = trimmed(p, p + strlen(p));
	parts->method = pstrdup("btree");
	if (*p && *p != '(')
	{
		p = skip_space(p + strlen("using"));
		end = skip_token(p);
		parts->method = trimmed(p, end);
		p = skip_space(end);
	}
	if (*p != '(')
		return false;
	end = skip_group(p, &depth);
	if (depth != 0)
		return false;
	parts->keys = trimmed(p + 1, end - 1);
	p = find_word(end, "where");
	parts->predicate = p ? trimmed(p + strlen("where"), p + strlen(p)) : pstrdup("");
	return parts->table[0] != '\0' && parts->keys[0] != '\0';
}

/* hone.index_identity(definition) */
Datum
hone_index_identity(PG_FUNCTION_ARGS)
{
	char	   *definition = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Parts		parts;
	TupleDesc	desc;
	Datum		values[5];
	bool		nulls[5] = {false};

	if (!take_apart(definition, &parts))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" is not CREATE INDEX", "definition")));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = CStringGetTextDatum(parts.table);
	values[1] = CStringGetTextDatum(parts.method);
	values[2] = CStringGetTextDatum(parts.keys);
	values[3] = CStringGetTextDatum(parts.predicate);
	values[4] = CStringGetTextDatum(parts.body);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* Bans in a run */

#define BANS_SQL \
	"SELECT b.relid, b.action OPERATOR(pg_catalog.=) 'create', b.access_method," \
	" b.key_columns, b.predicate, b.until OPERATOR(pg_catalog.>) pg_catalog.now()," \
	" pg_catalog.format('it was %s and taken back on %s: %s; banned until %s'," \
	"  CASE b.action WHEN 'create' THEN 'built' ELSE 'hidden' END," \
	"  pg_catalog.to_char(b.reverted_at, 'YYYY-MM-DD'), b.finding," \
	"  pg_catalog.to_char(b.until, 'YYYY-MM-DD'))," \
	" pg_catalog.format('It was %s before and taken back on %s%s: %s. What the planner promises was not there then.'," \
	"  CASE b.action WHEN 'create' THEN 'built' ELSE 'hidden' END," \
	"  pg_catalog.to_char(b.reverted_at, 'YYYY-MM-DD')," \
	"  CASE WHEN b.times OPERATOR(pg_catalog.>) 1" \
	"  THEN pg_catalog.format(', for the %sth time', b.times) ELSE '' END, b.finding)" \
	" FROM hone.ban_store b"

static char *
text_of(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

static HoneBan *
read_ban(uint64 row)
{
	HoneBan    *ban = palloc0(sizeof(HoneBan));
	bool		isnull;

	ban->relid = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[row],
												SPI_tuptable->tupdesc, 1, &isnull));
	ban->creates = text_of(row, 2)[0] == 't';
	ban->access_method = text_of(row, 3);
	ban->keys = text_of(row, 4);
	ban->predicate = text_of(row, 5);
	ban->active = text_of(row, 6)[0] == 't';
	ban->rejection = text_of(row, 7);
	ban->risk = text_of(row, 8);
	return ban;
}

void
hone_advise_load_bans(HoneRun *run)
{
	HoneScope	scope;
	MemoryContext old;

	hone_enter_owner(&scope);
	SPI_connect();
	if (SPI_execute(BANS_SQL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read bans");
	old = MemoryContextSwitchTo(run->memory);
	for (uint64 i = 0; i < SPI_processed; i++)
		run->bans = lappend(run->bans, read_ban(i));
	MemoryContextSwitchTo(old);
	SPI_finish();
	hone_leave(&scope);
}

static const HoneBan *
find_ban(HoneRun *run, Oid relid, bool creates, const char *definition)
{
	Parts		parts = {0};
	ListCell   *lc;

	foreach(lc, run->bans)
	{
		const HoneBan *ban = lfirst(lc);

		if (ban->relid != relid || ban->creates != creates)
			continue;
		if (parts.body == NULL && !take_apart(definition, &parts))
			return NULL;
		if (strcmp(ban->access_method, parts.method) == 0 &&
			strcmp(ban->keys, parts.keys) == 0 &&
			strcmp(ban->predicate, parts.predicate) == 0)
			return ban;
	}
	return NULL;
}

/* Was the candidate tried and taken back? Out while that counts. */
void
hone_advise_examine_ban(HoneRun *run, HoneCandidate *c)
{
	c->ban = find_ban(run, c->relid, true, c->body);
	if (c->ban && c->ban->active)
		c->rejection = c->ban->rejection;
}

/* The same for dropping an index; false: not to be proposed. */
bool
hone_advise_may_drop(HoneRun *run, const HoneExisting *e, const HoneBan **ban)
{
	HoneScope	scope;
	char	   *definition;

	*ban = NULL;
	if (run->bans == NIL)
		return true;
	hone_advise_enter_plain(&scope);
	definition = TextDatumGetCString(DirectFunctionCall1(pg_get_indexdef,
														 ObjectIdGetDatum(e->oid)));
	hone_leave(&scope);
	*ban = find_ban(run, e->relid, false, definition);
	return *ban == NULL || !(*ban)->active;
}

const char *
hone_advise_ban_risk(const HoneBan *ban)
{
	return ban->risk;
}

/* Lifting one */

#define BAN_SQL \
	"SELECT relid, until OPERATOR(pg_catalog.>) pg_catalog.now() FROM hone.ban_store" \
	" WHERE id OPERATOR(pg_catalog.=) $1 FOR UPDATE"
#define LIFT_SQL \
	"UPDATE hone.ban_store SET until = pg_catalog.now(), lifted_at = pg_catalog.now()," \
	" lifted_by = $2 WHERE id OPERATOR(pg_catalog.=) $1"

/* hone.lift_ban(id): by the table's owner */
Datum
hone_lift_ban(PG_FUNCTION_ARGS)
{
	Oid			types[] = {INT8OID, OIDOID};
	Datum		values[2];
	Oid			caller = GetUserId();
	HoneScope	scope;
	bool		isnull;
	Oid			relid = InvalidOid;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "id")));
	PreventCommandDuringRecovery("hone.lift_ban()");
	PreventCommandIfReadOnly("hone.lift_ban()");
	values[0] = PG_GETARG_DATUM(0);
	values[1] = ObjectIdGetDatum(caller);

	hone_enter_owner(&scope);
	SPI_connect();
	if (SPI_execute_with_args(BAN_SQL, 1, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the ban");
	if (SPI_processed == 1)
		relid = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0],
											   SPI_tuptable->tupdesc, 1, &isnull));
	/* The same words whether it is not there or not theirs. */
	if (get_rel_name(relid) == NULL || !hone_owns_relation(relid, caller))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("ban " INT64_FORMAT " does not exist", PG_GETARG_INT64(0)),
				 errdetail("Or it is not about a table of yours.")));
	if (text_of(0, 2)[0] != 't')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("ban " INT64_FORMAT " is over already", PG_GETARG_INT64(0))));
	SPI_execute_with_args(LIFT_SQL, 2, types, values, NULL, false, 0);
	SPI_finish();
	hone_leave(&scope);
	PG_RETURN_VOID();
}
