/*
 * normalise.c
 *	  Writes a query's text without its constants.
 *
 * Each constant becomes a parameter symbol, numbered on from the highest one
 * the text uses itself, and of a list only the first element is shown:
 *
 *	a IN (7, 8, 9) AND b = 'x'		a IN ($1 / *, ... * /) AND b = $2
 *	VALUES (1, 'x'), (2, 'y')		VALUES ($1, $2) / *, ... * /
 *
 * Where constants begin is known from the jumble, where lists are from lists.c.
 * Where they end the core's own scanner finds out, in one pass over the text:
 * it knows comments, every kind of quotes and unicode escapes, and a stack of
 * brackets knows which comma is the list's own. The pass ends when more has been
 * written than will be kept, so that a long text costs no more than its lists.
 *
 * A constant never stays: if a place is not where a token begins (the text was
 * scanned under other settings than now), there is no result. Strings that the
 * jumble does not know are replaced as well, and without a jumble, for a text
 * that comes without its query, every literal is.
 *
 * No error leaves this file: one raised by the scanner, or for want of memory,
 * is dropped, and there is no result. It holds no lock and nothing but memory.
 */
#include "postgres.h"

#include "parser/scanner.h"

#include "stats/identity.h"

typedef struct Bracket
{
	bool		is_list;		/* its first comma begins what is cut */
	bool		is_row;			/* the first one behind VALUES */
	bool		is_folded_row;
} Bracket;

/* What the next tokens may be. */
typedef enum Expected
{
	NOTHING,
	LIST_BRACKET,				/* behind IN, NOT IN or ARRAY */
	ROW_BRACKET,				/* behind VALUES */
	NEXT_ROW,					/* behind a row of those that are cut */
	ESCAPE_CHARACTER			/* perhaps, behind U&'...' */
} Expected;

typedef struct Normaliser
{
	const char *text;
	int			length;
	int			location;		/* of text in the source */
	StringInfoData out;
	int			copied;			/* everything before is written or dropped */
	int			number;			/* of the last parameter symbol */

	LocationLen *constants;		/* by location; NULL: whatever looks like one */
	int			nconstants;
	int			constant;		/* the next one */
	HoneList   *lists;			/* by location */
	int			nlists;
	int			list;			/* the next one */

	Bracket    *brackets;
	int			depth;
	int			max_depth;
	int			open_lists;		/* brackets of lists, and of folded rows */

	Expected	expected;
	int			cut_depth;		/* of brackets around what is cut; 0: no cut */
	bool		cutting_rows;

	/* The tokens */
	int			first;			/* where scanning begins */
	core_yyscan_t scanner;
	core_yy_extra_type extra;
	int			symbol;			/* 0: the end */
	int			start;
	int			end;
	int			previous_start;
	int			previous_end;
	bool		failed;
} Normaliser;

static int
compare_constants(const void *a, const void *b)
{
	const LocationLen *left = a;
	const LocationLen *right = b;

	return (left->location > right->location) - (left->location < right->location);
}

static int
compare_lists(const void *a, const void *b)
{
	const HoneList *left = a;
	const HoneList *right = b;

	return (left->location > right->location) - (left->location < right->location);
}

/*
 * ------------------------------------------------------------------
 * Tokens
 * ------------------------------------------------------------------
 */

static void
next_token(Normaliser *n)
{
	core_YYSTYPE value;
	YYLTYPE		start;

	n->previous_start = n->start;
	n->previous_end = n->end;
	n->symbol = core_yylex(&value, &start, n->scanner);
	n->start = n->first + start;
	/* The scanner has put a terminator behind the token in its own buffer. */
	n->end = n->symbol == 0 ? n->length : n->start + (int) strlen(n->extra.scanbuf + start);
}

static bool
token_is_word(const Normaliser *n, const char *word)
{
	int			len = (int) strlen(word);

	return n->end - n->start == len && pg_strncasecmp(n->text + n->start, word, len) == 0;
}

static bool
token_is_unicode_string(const Normaliser *n)
{
	const char *token = n->text + n->start;

	return n->end - n->start > 3 && (token[0] == 'u' || token[0] == 'U') &&
		token[1] == '&' && token[2] == '\'';
}

static inline bool
is_digit(char ch)
{
	return ch >= '0' && ch <= '9';
}

static bool
token_is_string(const Normaliser *n)
{
	const char *token = n->text + n->start;

	switch (token[0])
	{
		case '\'':
			return true;
		case '$':
			return !is_digit(token[1]);
		case 'u':
		case 'U':
			return token_is_unicode_string(n);
		case 'b':
		case 'B':
		case 'x':
		case 'X':
		case 'e':
		case 'E':
			return n->end - n->start > 1 && token[1] == '\'';
		default:
			return false;
	}
}

static bool
token_is_number(const Normaliser *n)
{
	const char *token = n->text + n->start;

	return is_digit(token[0]) || (token[0] == '.' && is_digit(token[1]));
}

/*
 * ------------------------------------------------------------------
 * Writing
 * ------------------------------------------------------------------
 */

static void
write_up_to(Normaliser *n, int place)
{
	appendBinaryStringInfo(&n->out, n->text + n->copied, place - n->copied);
	n->copied = place;
}

static void
write_symbol(Normaliser *n, int start, int end)
{
	write_up_to(n, start);
	appendStringInfo(&n->out, "$%d", ++n->number);
	n->copied = end;
}

#define ELLIPSIS " /*, ... */"

static void
end_cut(Normaliser *n, int place)
{
	appendStringInfoString(&n->out, ELLIPSIS);
	n->copied = place;
	n->cut_depth = 0;
	n->cutting_rows = false;
}

/*
 * A negative number is one constant that begins with its sign, however that is
 * written: "- -5" and "-(5)".
 */
static void
skip_sign(Normaliser *n)
{
	int			open = 0;

	while (n->symbol == '-' || n->symbol == '(')
	{
		open += n->symbol == '(';
		next_token(n);
	}
	while (open > 0 && n->symbol != 0)
	{
		next_token(n);
		if (n->symbol != ')')
			n->failed = true;
		open--;
	}
}

/*
 * ------------------------------------------------------------------
 * Constants
 * ------------------------------------------------------------------
 */

static void
replace_constant(Normaliser *n)
{
	int			start = n->start;

	if (n->symbol == '-')
		skip_sign(n);
	else if (token_is_unicode_string(n))
		n->expected = ESCAPE_CHARACTER;
	write_symbol(n, start, n->end);
}

/*
 * The core does not jumble everything: two window functions may share a window,
 * whose constants are then known in one place only. Strings are constants in any
 * case; numbers may be something else (ORDER BY 1, numeric(10, 2)).
 */
static bool
is_unknown_constant(const Normaliser *n)
{
	return n->cut_depth == 0 && n->start >= n->copied &&
		(token_is_string(n) || (n->constants == NULL && token_is_number(n)));
}

/* The constants up to this token; true if it has been dealt with. */
static bool
look_for_constants(Normaliser *n)
{
	bool		found = false;

	for (; n->constant < n->nconstants; n->constant++)
	{
		const LocationLen *constant = &n->constants[n->constant];
		int			start = constant->location - n->location;
		int			list_length = hone_location_list_length(constant);

		if (start > n->start)
			break;
		if (start < n->copied || n->cut_depth > 0)
			continue;			/* jumbled twice, in another piece, or cut */
		if (hone_location_is_param(constant))
			continue;
		if (start < n->previous_end && start > n->previous_start)
			n->failed = true;
		if (list_length >= 0)
		{
			/* The core of 18 has measured a list already. */
			write_symbol(n, start, start + list_length);
			appendStringInfoString(&n->out, ELLIPSIS);
		}
		else
		{
			replace_constant(n);
			found = true;
		}
	}
	if (!found && is_unknown_constant(n))
	{
		replace_constant(n);
		found = true;
	}
	return found;
}

/*
 * ------------------------------------------------------------------
 * Lists
 * ------------------------------------------------------------------
 */

static void
push_bracket(Normaliser *n)
{
	Bracket    *bracket;

	if (n->depth == n->max_depth)
	{
		n->max_depth *= 2;
		n->brackets = repalloc(n->brackets, n->max_depth * sizeof(Bracket));
	}
	bracket = &n->brackets[n->depth++];
	bracket->is_list = n->expected == LIST_BRACKET;
	bracket->is_row = n->expected == ROW_BRACKET;
	bracket->is_folded_row = false;
	n->open_lists += bracket->is_list;
	n->expected = NOTHING;
}

/* A closing bracket: perhaps the end of a cut, or of the first row. */
static void
pop_bracket(Normaliser *n)
{
	bool		folded_row;

	if (n->depth == 0)
		return;					/* opened before the first token */
	if (n->cut_depth == n->depth && !n->cutting_rows)
		end_cut(n, n->start);
	folded_row = n->brackets[n->depth - 1].is_folded_row;
	n->open_lists -= n->brackets[n->depth - 1].is_list + folded_row;
	n->depth--;
	if (n->cutting_rows && n->cut_depth == n->depth + 1)
		n->expected = NEXT_ROW;
	else if (folded_row && n->cut_depth == 0 && n->end > n->copied)
	{
		write_up_to(n, n->end);
		n->cut_depth = n->depth + 1;
		n->cutting_rows = true;
		n->expected = NEXT_ROW;
	}
}

/* The lists up to this token: note what to expect. */
static void
look_for_lists(Normaliser *n)
{
	for (; n->list < n->nlists; n->list++)
	{
		const HoneList *list = &n->lists[n->list];
		int			start = list->location - n->location;

		if (start > n->start)
			break;
		if (start < n->copied || n->cut_depth > 0)
			continue;
		if (list->kind != HONE_LIST_VALUES)
		{
			if (start == n->start)
				n->expected = LIST_BRACKET;
			continue;
		}
		for (int i = n->depth - 1; i >= 0; i--)
		{
			if (n->brackets[i].is_row)
			{
				n->open_lists += !n->brackets[i].is_folded_row;
				n->brackets[i].is_folded_row = true;
				break;
			}
		}
	}
}

/* What follows the rows that are cut: another one, or something else. */
static void
look_behind_row(Normaliser *n)
{
	if (n->symbol == ',' || n->symbol == '(')
		return;
	end_cut(n, n->previous_end);
	n->expected = NOTHING;
}

static void
take_token(Normaliser *n)
{
	if (n->expected == NEXT_ROW)
		look_behind_row(n);
	else if (n->expected == ESCAPE_CHARACTER)
	{
		if (token_is_word(n, "uescape"))
		{
			next_token(n);
			n->copied = n->end;
			n->expected = NOTHING;
			return;
		}
		n->expected = NOTHING;
	}
	/* A list's place comes before the constant in it: ARRAY, then its elements. */
	look_for_lists(n);
	if (look_for_constants(n))
		return;

	switch (n->symbol)
	{
		case '(':
		case '[':
			push_bracket(n);
			break;
		case ')':
		case ']':
			pop_bracket(n);
			break;
		case ',':
			if (n->cut_depth == 0 && n->depth > 0 &&
				n->brackets[n->depth - 1].is_list && n->previous_end >= n->copied)
			{
				write_up_to(n, n->previous_end);
				n->cut_depth = n->depth;
			}
			break;
		default:
			if (token_is_word(n, "values"))
				n->expected = ROW_BRACKET;
			else if (n->expected == ROW_BRACKET ||
					 (n->expected == LIST_BRACKET && !token_is_word(n, "in") &&
					  !token_is_word(n, "not") && !token_is_word(n, "array")))
				n->expected = NOTHING;
			break;
	}
}

/* May there be a string between two places? */
static bool
may_have_string(const Normaliser *n, int from, int to)
{
	const char *end = n->text + to;
	const char *dollar = n->text + from;

	if (from >= to)
		return false;
	if (memchr(n->text + from, '\'', to - from) != NULL)
		return true;
	while ((dollar = memchr(dollar, '$', end - dollar)) != NULL)
	{
		dollar++;
		if (dollar == end || !is_digit(*dollar))
			return true;
	}
	return false;
}

/*
 * Most of a text is to be copied as it is. Scanning may begin at the first
 * constant or list, since the parser says that a token begins there; but what
 * stands before a row of VALUES is needed to know its brackets.
 */
static int
first_place(const Normaliser *n)
{
	int			first = n->length;

	if (n->constants == NULL)
		return 0;
	for (int i = 0; i < n->nconstants; i++)
	{
		int			place = n->constants[i].location - n->location;

		if (place >= 0 && place < first && !hone_location_is_param(&n->constants[i]))
			first = place;
	}
	for (int i = 0; i < n->nlists; i++)
	{
		int			place = n->lists[i].location - n->location;

		if (place < 0 || place >= n->length)
			continue;
		if (n->lists[i].kind == HONE_LIST_VALUES)
			return 0;
		first = Min(first, place);
	}
	return may_have_string(n, 0, first) ? 0 : first;
}

/* Are all constants and lists done with? */
static bool
is_done(const Normaliser *n)
{
	return n->constants != NULL && n->constant == n->nconstants &&
		n->list == n->nlists && n->open_lists == 0 && n->cut_depth == 0 &&
		n->expected == NOTHING;
}

static void
normalise(Normaliser *n, int enough)
{
	bool		look_at_rest = true;
	bool		only_rest = false;	/* nothing left to be done but to copy */
	char	   *piece;

	n->first = first_place(n);
	if (n->first == n->length)
	{
		write_up_to(n, n->length);
		return;
	}
	n->end = n->first;
	piece = pnstrdup(n->text + n->first, n->length - n->first);
	n->scanner = scanner_init(piece, &n->extra, &ScanKeywords, ScanKeywordTokens);
	n->extra.escape_string_warning = false;
	do
	{
		next_token(n);
		if (n->symbol != 0)
			take_token(n);
		if (look_at_rest && is_done(n))
		{
			look_at_rest = false;
			only_rest = !may_have_string(n, n->copied, n->length);
		}
	} while (n->symbol != 0 && !n->failed && n->out.len <= enough && !only_rest);
	scanner_finish(n->scanner);
	pfree(piece);
	if (n->failed || (n->symbol != 0 && !only_rest))
		return;					/* no use, or enough */

	/* Was every place found? Those behind the text are another statement's. */
	if (n->cutting_rows && n->expected == NEXT_ROW)
		end_cut(n, n->previous_end);
	n->failed = n->cut_depth > 0;
	for (; n->constant < n->nconstants; n->constant++)
	{
		int			place = n->constants[n->constant].location - n->location;

		n->failed |= place >= n->copied && place < n->length;
	}
	if (!n->failed)
		write_up_to(n, n->length);
}

/*
 * ------------------------------------------------------------------
 * Coming in
 * ------------------------------------------------------------------
 */

/* The number that follows a dollar sign, 0 if none does. */
static int
parameter_number(const char *text, const char *end)
{
	int			number = 0;

	for (text++; text < end && is_digit(*text) && number < 100000; text++)
		number = number * 10 + (*text - '0');
	return number;
}

/*
 * The highest parameter symbol of the text. 18 does not tell it where there are
 * lists, but where each parameter is; without a jumble we look for ourselves.
 */
static int
highest_parameter(const char *text, int length, int location, const JumbleState *jstate)
{
	int			highest = 0;

	if (jstate == NULL)
	{
		for (int i = 0; i < length; i++)
		{
			if (text[i] == '$')
				highest = Max(highest, parameter_number(text + i, text + length));
		}
		return highest;
	}
	for (int i = 0; i < jstate->clocations_count; i++)
	{
		int			place = jstate->clocations[i].location - location;

		if (hone_location_is_param(&jstate->clocations[i]) &&
			place >= 0 && place < length && text[place] == '$')
			highest = Max(highest, parameter_number(text + place, text + length));
	}
	return Max(highest, jstate->highest_extern_param_id);
}

static void
prepare(Normaliser *n, const char *text, int length, int location,
		const JumbleState *jstate, const HoneFolds *folds)
{
	memset(n, 0, sizeof(*n));
	n->text = text;
	n->length = length;
	n->location = location;
	n->number = highest_parameter(text, length, location, jstate);
	initStringInfo(&n->out);
	if (jstate != NULL)
	{
		n->nconstants = jstate->clocations_count;
		n->constants = palloc(Max(n->nconstants, 1) * sizeof(LocationLen));
		memcpy(n->constants, jstate->clocations, n->nconstants * sizeof(LocationLen));
		qsort(n->constants, n->nconstants, sizeof(LocationLen), compare_constants);
	}
	if (folds != NULL && folds->nlists > 0)
	{
		n->nlists = folds->nlists;
		n->lists = palloc(n->nlists * sizeof(HoneList));
		memcpy(n->lists, folds->lists, n->nlists * sizeof(HoneList));
		qsort(n->lists, n->nlists, sizeof(HoneList), compare_lists);
	}
	n->max_depth = 16;
	n->brackets = palloc(n->max_depth * sizeof(Bracket));
}

static void
clean_up(Normaliser *n)
{
	if (n->constants != NULL)
		pfree(n->constants);
	if (n->lists != NULL)
		pfree(n->lists);
	pfree(n->brackets);
}

/*
 * The normalised text, palloc'd; it may end early once it is longer than
 * "enough". NULL: it could not be made.
 */
char *
hone_stats_normalise(const char *text, int length, int location,
					 const JumbleState *jstate, const HoneFolds *folds,
					 int enough, int *result_length)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *volatile result = NULL;

	PG_TRY();
	{
		Normaliser	n;

		prepare(&n, text, length, location, jstate, folds);
		normalise(&n, enough);
		clean_up(&n);
		*result_length = n.out.len;
		if (n.failed)
			pfree(n.out.data);
		else
			result = n.out.data;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		FlushErrorState();
	}
	PG_END_TRY();
	return result;
}
