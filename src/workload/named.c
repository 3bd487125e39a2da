/*
 * named.c
 *	  Parameters that a statement names instead of numbering.
 *
 * In PL/pgSQL and in SQL functions a statement says "WHERE owner = wanted", and
 * only the function's parser knows that wanted is a parameter. To plan the
 * statement again outside the function, its text must say $1. The analysed
 * query has a Param with its place in the text for each such name; that is
 * noted when the statement is analysed, and used if an execution becomes a
 * sample.
 *
 * Both happen in one process, since such statements are analysed and planned in
 * every session that runs the function. So the notes are private: a fixed,
 * direct-mapped table by query and text, some 35 kB, that never allocates. A note that
 * was overwritten by another query's only means that the sample cannot be
 * planned again. By text too, because one query has many where it has lists of
 * many lengths, and the places are those of one text.
 *
 * Numbers: of PL/pgSQL's variables only those that the statement uses are kept
 * as values, in the order of their ids (params.c), so the n-th smallest id is
 * $n. An SQL function's arguments are all kept, and the id itself is the number.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "nodes/nodeFuncs.h"
#include "parser/scansup.h"

#include "workload/named.h"
#include "workload/text.h"
#include "workload/workload.h"

#define NOTES 128				/* a power of two */
#define WAYS 4
#define MAX_NAMES 32			/* in one statement */

typedef struct NamedParam
{
	int32		offset;
	uint16		len;
	uint16		paramid;
} NamedParam;

typedef struct Note
{
	uint64		queryid;		/* 0: empty */
	uint32		text_hash;
	int32		nnames;
	NamedParam	name[MAX_NAMES];	/* by offset */
} Note;

static Note notes[NOTES];

typedef struct Search
{
	const char *text;
	int			text_len;
	int			location;		/* of text in the source the Params point into */
	Note	   *note;
	bool		failed;
} Search;

static bool
is_name_char(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
		(ch >= '0' && ch <= '9') || ch == '_' || ch == '$' || IS_HIGHBIT_SET(ch);
}

static int
identifier_len(const char *at, const char *end)
{
	const char *p = at;

	if (p < end && *p == '"')
	{
		for (p++; p < end; p++)
		{
			if (*p == '"' && !(p + 1 < end && p[1] == '"'))
				return (int) (p + 1 - at);
			if (*p == '"')
				p++;
		}
		return 0;
	}
	while (p < end && is_name_char(*p))
		p++;
	return (int) (p - at);
}

/* Length of name, label.name or label.record.field; 0 if there is none. */
static int
name_len(const char *at, const char *end)
{
	int			len = identifier_len(at, end);

	while (len > 0 && at + len + 1 < end && at[len] == '.')
	{
		int			next = identifier_len(at + len + 1, end);

		if (next == 0)
			break;
		len += 1 + next;
	}
	return len;
}

static void
add_name(Search *search, const Param *param)
{
	int			offset = param->location - search->location;
	Note	   *note = search->note;
	int			len;

	/* Numbered in the text already: such a statement does not come here. */
	if (offset < 0 || offset >= search->text_len || search->text[offset] == '$')
	{
		search->failed = true;
		return;
	}
	for (int i = 0; i < note->nnames; i++)
	{
		/* One name may have become several Params. */
		if (note->name[i].offset == offset)
		{
			search->failed |= note->name[i].paramid != param->paramid;
			return;
		}
	}
	len = name_len(search->text + offset, search->text + search->text_len);
	if (len == 0 || len > PG_UINT16_MAX || param->paramid <= 0 ||
		param->paramid > PG_UINT16_MAX || note->nnames == MAX_NAMES)
	{
		search->failed = true;
		return;
	}
	note->name[note->nnames].offset = offset;
	note->name[note->nnames].len = (uint16) len;
	note->name[note->nnames].paramid = (uint16) param->paramid;
	note->nnames++;
}

static bool
find_params(Node *node, void *context)
{
	Search	   *search = (Search *) context;

	if (node == NULL || search->failed)
		return false;
	if (IsA(node, Param))
	{
		if (((Param *) node)->paramkind == PARAM_EXTERN)
			add_name(search, (Param *) node);
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, find_params, context, 0);
	return expression_tree_walker(node, find_params, context);
}

static int
compare_offsets(const void *a, const void *b)
{
	const NamedParam *left = a;
	const NamedParam *right = b;

	return (left->offset > right->offset) - (left->offset < right->offset);
}

/* Notes stand in sets of WAYS. NULL if there is none of this text. */
static Note *
find_note(uint64 queryid, uint32 text_hash)
{
	Note	   *set = &notes[(text_hash ^ queryid) % (NOTES / WAYS) * WAYS];

	for (int i = 0; i < WAYS; i++)
	{
		if (set[i].queryid == queryid && set[i].text_hash == text_hash)
			return &set[i];
	}
	return NULL;
}

/* Where to put a note: in its old place, in an empty one, or for another's. */
static Note *
place_note(uint64 queryid, uint32 text_hash)
{
	static unsigned int turn = 0;
	Note	   *set = &notes[(text_hash ^ queryid) % (NOTES / WAYS) * WAYS];
	Note	   *note = find_note(queryid, text_hash);

	for (int i = 0; i < WAYS && note == NULL; i++)
	{
		if (set[i].queryid == 0)
			note = &set[i];
	}
	return note ? note : &set[turn++ % WAYS];
}

void
hone_workload_learn(uint64 queryid, Query *query, const char *text, int len, int location)
{
	Note	   *note;
	const char *start = text;
	Search		search;
	uint32		text_hash;

	/* The same part of it that a sample would keep. */
	while (len > 0 && (scanner_isspace(text[len - 1]) || text[len - 1] == ';'))
		len--;
	if (!hone_sample_text(&text, &len))
		return;

	text_hash = hash_bytes((const unsigned char *) text, len);
	note = place_note(queryid, text_hash);
	note->queryid = 0;
	search.text = text;
	search.text_len = len;
	search.location = location + (int) (text - start);
	search.note = note;
	search.failed = false;
	note->nnames = 0;
	(void) find_params((Node *) query, &search);
	if (search.failed || note->nnames == 0)
		return;
	qsort(note->name, note->nnames, sizeof(NamedParam), compare_offsets);
	note->text_hash = text_hash;
	note->queryid = queryid;
}

/* How many different ids are not greater than this one. */
static int
rank_of(const Note *note, int paramid)
{
	int			rank = 0;

	for (int i = 0; i < note->nnames; i++)
	{
		bool		again = note->name[i].paramid > paramid;

		for (int j = 0; j < i && !again; j++)
			again = note->name[j].paramid == note->name[i].paramid;
		if (!again)
			rank++;
	}
	return rank;
}

char *
hone_named_to_numbered(uint64 queryid, const char *text, int len,
					   const HoneParams *params, int *result_len)
{
	uint32		text_hash = hash_bytes((const unsigned char *) text, len);
	const Note *note = find_note(queryid, text_hash);
	char	   *result;
	char	   *to;
	int			copied = 0;

	if (note == NULL)
		return NULL;
	if (params->by_name && rank_of(note, PG_UINT16_MAX) != params->nparams)
		return NULL;

	result = palloc_extended(len + note->nnames * 7 + 1, MCXT_ALLOC_NO_OOM);
	if (result == NULL)
		return NULL;
	to = result;
	for (int i = 0; i < note->nnames; i++)
	{
		const NamedParam *name = &note->name[i];
		int			number = params->by_name ? rank_of(note, name->paramid) : name->paramid;

		memcpy(to, text + copied, name->offset - copied);
		to += name->offset - copied;
		to += sprintf(to, "$%d", number);
		copied = name->offset + name->len;
	}
	memcpy(to, text + copied, len - copied);
	to += len - copied;
	*to = '\0';
	*result_len = (int) (to - result);
	return result;
}
