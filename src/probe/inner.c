/*
 * inner.c
 *	  The query inside DECLARE CURSOR, CREATE TABLE AS, SELECT INTO and CREATE
 *	  MATERIALIZED VIEW.
 *
 * The core of 15 to 17 gives it neither an id nor a place in the source text
 * (18 does, and calls the parse hook for it). Here it gets the id that it would
 * have if it were sent by itself, and the place of its own part of the text:
 *
 *	DECLARE c CURSOR WITH HOLD FOR >SELECT ...<
 *	CREATE TABLE t (a, b) WITH (...) AS >SELECT ...< WITH NO DATA
 *	>SELECT a INTO t FROM ...<
 *
 * Both are in the tree before it is copied, rewritten or planned, so whatever
 * runs it later finds them: the slow log and the samples see no statement but
 * the query. The core's scanner finds the part, by reserved words, which are
 * names only in quotes or behind AS and a period. Where it is not found (EXPLAIN
 * of a SELECT INTO) the query has no place, like others of which that is unknown
 * (source.c).
 *
 * REFRESH takes its query from the catalog, without id or text, and so does 17
 * for CREATE MATERIALIZED VIEW: these count by their command tags.
 *
 * Happens once for each analysis of such a statement, at the cost of reading its
 * text once more. No error of the scanner leaves this file (the statement may
 * have been parsed under other settings than now). No locks.
 */
#include "postgres.h"

#include "parser/scanner.h"

#include "probe/internal.h"

typedef struct Lexer
{
	const char *source;
	int			first;			/* where in the source it began */
	int			limit;
	core_yyscan_t scanner;
	core_yy_extra_type extra;
	int			symbol;			/* 0: the end */
	int			start;			/* of the token, in the source */
	int			end;
	int			depth;			/* of brackets around it */
} Lexer;

static void
begin_lexer(Lexer *lexer, const char *source, int first, int limit)
{
	char	   *piece = pnstrdup(source + first, limit - first);

	memset(lexer, 0, sizeof(*lexer));
	lexer->source = source;
	lexer->first = first;
	lexer->limit = limit;
	lexer->scanner = scanner_init(piece, &lexer->extra, &ScanKeywords, ScanKeywordTokens);
	lexer->extra.escape_string_warning = false;
	pfree(piece);				/* the scanner has a copy */
}

/* The next token of the statement; false at its end. */
static bool
next_token(Lexer *lexer)
{
	core_YYSTYPE value;
	YYLTYPE		start;

	if (lexer->symbol == '(' || lexer->symbol == '[')
		lexer->depth++;
	lexer->symbol = core_yylex(&value, &start, lexer->scanner);
	if (lexer->symbol == ')' || lexer->symbol == ']')
		lexer->depth--;
	lexer->start = lexer->first + start;
	/* The scanner has put a terminator behind the token in its own buffer. */
	lexer->end = lexer->symbol == 0 ? lexer->limit
		: lexer->start + (int) strlen(lexer->extra.scanbuf + start);
	return lexer->symbol != 0 && lexer->symbol != ';';
}

static bool
is_word(const Lexer *lexer, const char *word)
{
	int			len = (int) strlen(word);

	return lexer->end - lexer->start == len &&
		pg_strncasecmp(lexer->source + lexer->start, word, len) == 0;
}

/*
 * From the token at hand to the last one of the statement, without WITH [NO]
 * DATA. Nothing in a query itself ends like that.
 */
static bool
take_to_end(Lexer *lexer, HoneInnerText *found)
{
	bool		with = false;	/* WITH [NO] were the last tokens */
	int			before_with = 0;
	int			end = 0;

	if (lexer->symbol == 0 || lexer->symbol == ';')
		return false;
	found->location = lexer->start;
	do
	{
		bool		data = with && is_word(lexer, "data");

		if (is_word(lexer, "with"))
		{
			before_with = end;
			with = true;
		}
		else if (!(with && is_word(lexer, "no")))
			with = false;
		end = lexer->end;
		found->len = (data ? before_with : end) - found->location;
	} while (next_token(lexer));
	return found->len > 0;
}

/* [EXPLAIN [options]] DECLARE name [options] CURSOR [hold] FOR query. */
static bool
find_in_declare(Lexer *lexer, HoneInnerText *found)
{
	bool		explained = next_token(lexer) && is_word(lexer, "explain");

	while (explained && !(lexer->depth == 0 && is_word(lexer, "declare")))
	{
		if (!next_token(lexer))
			return false;
	}
	if (!is_word(lexer, "declare"))
		return false;
	while (!is_word(lexer, "for"))
	{
		if (!next_token(lexer))
			return false;
	}
	(void) next_token(lexer);
	return take_to_end(lexer, found);
}

/* From the name on: [columns] [options] AS query [WITH [NO] DATA]. */
static bool
find_in_create(Lexer *lexer, HoneInnerText *found)
{
	do
	{
		if (!next_token(lexer))
			return false;
	} while (lexer->depth > 0 || !is_word(lexer, "as"));
	(void) next_token(lexer);
	return take_to_end(lexer, found);
}

/*
 * SELECT list INTO [TEMP and so on] [TABLE] name FROM ...: all of it, and the
 * clause from INTO to the end of the name.
 */
static bool
find_in_select(Lexer *lexer, int name, HoneInnerText *found)
{
	int			into = -1;
	int			before_into = 0;
	int			previous_end = 0;
	int			name_end;
	int			start;

	(void) next_token(lexer);
	if (!is_word(lexer, "select") && !is_word(lexer, "with") && lexer->symbol != '(')
		return false;
	start = lexer->start;
	for (; lexer->symbol != 0 && lexer->start < name; (void) next_token(lexer))
	{
		if (is_word(lexer, "into"))
		{
			into = lexer->start;
			before_into = previous_end;
		}
		previous_end = lexer->end;
	}
	if (into < 0 || lexer->start != name)
		return false;
	do
	{
		name_end = lexer->end;
		if (!next_token(lexer) || lexer->symbol != '.')
			break;
	} while (next_token(lexer));

	/* Nothing behind it: then it need not be there. */
	if (lexer->symbol == 0 || lexer->symbol == ';')
	{
		found->location = start;
		found->len = before_into - start;
		return true;
	}
	if (!take_to_end(lexer, found))
		return false;
	found->len += found->location - start;
	found->location = start;
	found->into_location = into;
	found->into_len = name_end - into;
	return true;
}

static bool
find_text(const Query *outer, const char *source, HoneInnerText *found)
{
	const Node *statement = outer->utilityStmt;
	int			start = outer->stmt_location;
	int			len = outer->stmt_len;
	int			limit;
	int			name;
	bool		result;
	Lexer		lexer;

	/* Inside EXPLAIN this is the place of the EXPLAIN. */
	if (!hone_probe_place_text(source, &start, &len) || start < 0)
		return false;
	limit = len > 0 ? start + len : (int) strlen(source);
	name = start;
	if (IsA(statement, CreateTableAsStmt))
		name = ((const CreateTableAsStmt *) statement)->into->rel->location;
	if (name < start || name >= limit)
		return false;

	if (IsA(statement, DeclareCursorStmt))
	{
		begin_lexer(&lexer, source, start, limit);
		result = find_in_declare(&lexer, found);
	}
	else if (((const CreateTableAsStmt *) statement)->is_select_into)
	{
		begin_lexer(&lexer, source, start, limit);
		result = find_in_select(&lexer, name, found);
	}
	else
	{
		begin_lexer(&lexer, source, name, limit);
		result = find_in_create(&lexer, found);
	}
	scanner_finish(lexer.scanner);
	return result;
}

/* The query that this utility statement runs and that nobody identifies. */
static Query *
unidentified(const Node *statement)
{
	Node	   *inner;
	bool		matview = false;

	if (IsA(statement, DeclareCursorStmt))
		inner = ((const DeclareCursorStmt *) statement)->query;
	else
	{
		inner = ((const CreateTableAsStmt *) statement)->query;
		matview = ((const CreateTableAsStmt *) statement)->objtype == OBJECT_MATVIEW;
	}
	if (!hone_inner_query_has_no_id(matview) || inner == NULL || !IsA(inner, Query) ||
		((Query *) inner)->utilityStmt != NULL || ((Query *) inner)->queryId != 0)
		return NULL;
	return (Query *) inner;
}

static bool
find_text_if_possible(const Query *outer, const char *source, HoneInnerText *found)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool result = false;

	memset(found, 0, sizeof(*found));
	PG_TRY();
	{
		result = find_text(outer, source, found);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		FlushErrorState();
	}
	PG_END_TRY();
	return result;
}

Query *
hone_inner_identify(const Query *outer, const char *source, HoneInnerText *text,
					struct JumbleState **jstate)
{
	Query	   *inner = unidentified(outer->utilityStmt);
	bool		found;

	if (inner == NULL)
		return NULL;
	*jstate = hone_jumble_query(inner, source);
	found = find_text_if_possible(outer, source, text);
	inner->stmt_location = found ? text->location : -1;
	inner->stmt_len = found ? text->len : 0;
	return inner->queryId != 0 ? inner : NULL;
}

/* What was found, as it reads without INTO. */
char *
hone_inner_text_without_into(const char *source, const HoneInnerText *text)
{
	char	   *copy = pnstrdup(source + text->location, text->len);

	memset(copy + (text->into_location - text->location), ' ', text->into_len);
	return copy;
}
