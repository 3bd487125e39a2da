/*
 * text.c
 *	  What can be planned again of a source text.
 *
 * The executor runs the same plan for a bare SELECT and for EXECUTE, but the
 * source text is the whole of PREPARE p AS SELECT. A look at the first words,
 * past white space and comments, tells which. (Of DECLARE CURSOR and CREATE TABLE
 * AS the text that arrives here is that of the query in it.) SELECT INTO has a
 * clause in its midst that no plan has. Words are ASCII and end at anything else,
 * so the encoding does not matter. Reads only; the text need not be terminated.
 */
#include "postgres.h"

#include "parser/scansup.h"

#include "workload/text.h"

typedef struct Cursor
{
	const char *at;
	const char *end;
} Cursor;

static void
skip_comment(Cursor *c)
{
	int			depth = 1;

	for (c->at += 2; c->at < c->end && depth > 0; c->at++)
	{
		if (c->end - c->at < 2)
			continue;
		if (c->at[0] == '/' && c->at[1] == '*')
		{
			depth++;
			c->at++;
		}
		else if (c->at[0] == '*' && c->at[1] == '/')
		{
			depth--;
			c->at++;
		}
	}
}

static void
skip_space(Cursor *c)
{
	while (c->at < c->end)
	{
		if (scanner_isspace(*c->at))
			c->at++;
		else if (c->end - c->at >= 2 && c->at[0] == '-' && c->at[1] == '-')
		{
			while (c->at < c->end && *c->at != '\n' && *c->at != '\r')
				c->at++;
		}
		else if (c->end - c->at >= 2 && c->at[0] == '/' && c->at[1] == '*')
			skip_comment(c);
		else
			return;
	}
}

static bool
is_word_char(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
		(ch >= '0' && ch <= '9') || ch == '_' || ch == '$' || IS_HIGHBIT_SET(ch);
}

/* The next word, after white space. */
static int
next_word(Cursor *c, const char **word)
{
	skip_space(c);
	*word = c->at;
	while (c->at < c->end && is_word_char(*c->at))
		c->at++;
	return (int) (c->at - *word);
}

static bool
word_is(const char *word, int len, const char *keyword)
{
	return len == (int) strlen(keyword) && pg_strncasecmp(word, keyword, len) == 0;
}

static void
skip_quoted(Cursor *c, char quote)
{
	for (c->at++; c->at < c->end; c->at++)
	{
		if (*c->at != quote)
			continue;
		if (c->end - c->at >= 2 && c->at[1] == quote)
			c->at++;
		else
		{
			c->at++;
			return;
		}
	}
}

static void
skip_identifier(Cursor *c)
{
	const char *word;

	skip_space(c);
	if (c->at < c->end && *c->at == '"')
		skip_quoted(c, '"');
	else
		(void) next_word(c, &word);
}

/* Past a list in parentheses, if there is one. */
static void
skip_list(Cursor *c)
{
	int			depth = 0;

	skip_space(c);
	while (c->at < c->end)
	{
		if (*c->at == '"')
		{
			skip_quoted(c, '"');
			continue;
		}
		if (*c->at == '(')
			depth++;
		else if (depth == 0)
			return;
		else if (*c->at == ')')
			depth--;
		c->at++;
		skip_space(c);
		if (depth == 0)
			return;
	}
}

static bool
starts_statement(const Cursor *from)
{
	static const char *const keywords[] = {
		"select", "with", "values", "table", "insert", "update", "delete", "merge"
	};
	Cursor		c = *from;
	const char *word;
	int			len;

	skip_space(&c);
	while (c.at < c.end && *c.at == '(')
	{
		c.at++;
		skip_space(&c);
	}
	len = next_word(&c, &word);
	for (int i = 0; i < (int) lengthof(keywords); i++)
	{
		if (word_is(word, len, keywords[i]))
			return true;
	}
	return false;
}

static bool
skip_prepare(Cursor *c)
{
	const char *word;
	int			len;

	skip_identifier(c);
	skip_list(c);
	len = next_word(c, &word);
	return word_is(word, len, "as");
}

bool
hone_sample_text(const char **text, int *len)
{
	Cursor		c = {*text, *text + *len};
	const char *word;
	int			word_len;

	if (!starts_statement(&c))
	{
		word_len = next_word(&c, &word);
		if (!word_is(word, word_len, "prepare") || !skip_prepare(&c) ||
			!starts_statement(&c))
			return false;
	}
	skip_space(&c);
	*text = c.at;
	*len = (int) (c.end - c.at);
	return true;
}

/*
 * ------------------------------------------------------------------
 * SELECT INTO
 * ------------------------------------------------------------------
 */

/* Past $tag$...$tag$, or one character if it is something else. */
static void
skip_dollar_quoted(Cursor *c)
{
	const char *tag = c->at++;
	int			len;

	if (c->at < c->end && *c->at >= '0' && *c->at <= '9')
		return;
	while (c->at < c->end && *c->at != '$' && is_word_char(*c->at))
		c->at++;
	if (c->at == c->end || *c->at != '$')
		return;
	len = (int) (++c->at - tag);
	for (; c->at < c->end; c->at++)
	{
		if (*c->at == '$' && c->end - c->at >= len && memcmp(c->at, tag, len) == 0)
		{
			c->at += len;
			return;
		}
	}
}

/* Past E'...', from its quote on. */
static void
skip_escape_string(Cursor *c)
{
	for (c->at++; c->at < c->end; c->at++)
	{
		if (*c->at == '\\' && c->end - c->at >= 2)
			c->at++;
		else if (*c->at == '\'')
		{
			c->at++;
			return;
		}
	}
}

/*
 * Find INTO. The word is reserved: it is a name only behind AS and a period,
 * and otherwise stands in INSERT INTO and MERGE INTO of a WITH.
 */
static bool
find_into(Cursor *c)
{
	bool		may_be_other = false;
	const char *word;
	int			len;

	for (;;)
	{
		len = next_word(c, &word);
		if (c->at == c->end)
			return false;
		if (len == 0)
		{
			may_be_other = *c->at == '.';
			if (*c->at == '\'' || *c->at == '"')
				skip_quoted(c, *c->at);
			else
				c->at++;
		}
		else if (*word == '$')
		{
			c->at = word;
			skip_dollar_quoted(c);
			may_be_other = false;
		}
		else if (word_is(word, len, "e") && *c->at == '\'')
			skip_escape_string(c);
		else if (word_is(word, len, "into") && !may_be_other)
		{
			c->at = word;
			return true;
		}
		else
			may_be_other = word_is(word, len, "as") || word_is(word, len, "insert") ||
				word_is(word, len, "merge");
	}
}

/* Is this the end of the name that INTO gives? */
static bool
name_is_over(Cursor c)
{
	static const char *const keywords[] = {
		"from", "where", "group", "having", "window", "union", "intersect", "except",
		"order", "limit", "offset", "fetch", "for"
	};
	const char *word;
	int			len = next_word(&c, &word);

	for (int i = 0; i < (int) lengthof(keywords); i++)
	{
		if (word_is(word, len, keywords[i]))
			return true;
	}
	return len == 0 && (c.at == c.end || *c.at != '"');
}

/* INTO [LOCAL | GLOBAL] [TEMP | TEMPORARY | UNLOGGED] [TABLE] name */
static void
skip_into(Cursor *c)
{
	static const char *const keywords[] = {
		"local", "global", "temp", "temporary", "unlogged", "table"
	};
	const char *word;
	int			len;
	bool		again;

	(void) next_word(c, &word);
	do
	{
		Cursor		name = *c;

		again = false;
		len = next_word(&name, &word);
		for (int i = 0; i < (int) lengthof(keywords) && !again; i++)
			again = word_is(word, len, keywords[i]) && !name_is_over(name);
		if (again)
			*c = name;
	} while (again);

	skip_identifier(c);
	for (;;)
	{
		Cursor		next = *c;

		skip_space(&next);
		if (next.at == next.end || *next.at != '.')
			return;
		next.at++;
		skip_identifier(&next);
		*c = next;
	}
}

char *
hone_sample_text_without_into(const char *text, int len)
{
	Cursor		c = {text, text + len};
	const char *into;
	char	   *result;

	if (!find_into(&c))
		return NULL;
	into = c.at;
	skip_into(&c);
	result = palloc_extended(len + 1, MCXT_ALLOC_NO_OOM);
	if (result == NULL)
		return NULL;
	memcpy(result, text, len);
	result[len] = '\0';
	memset(result + (into - text), ' ', c.at - into);
	return result;
}

bool
hone_sample_text_has_params(const char *text, int len)
{
	for (int i = 0; i + 1 < len; i++)
	{
		if (text[i] == '$' && text[i + 1] >= '1' && text[i + 1] <= '9')
			return true;
	}
	return false;
}
