/*
 * text.c
 *	  What can be planned again of a source text.
 *
 * The executor runs the same plan for a bare SELECT, for EXECUTE, for a cursor
 * and for CREATE TABLE AS, but the source text is the whole of PREPARE p AS
 * SELECT and so on. A look at the first words, past white space and comments,
 * tells which. Words are ASCII and end at anything else, so the encoding
 * does not matter. Reads only; the text need not be terminated.
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

/* DECLARE name [options] CURSOR [{WITH | WITHOUT} HOLD] FOR */
static bool
skip_declare(Cursor *c)
{
	skip_identifier(c);
	for (int words = 0; words < 8; words++)
	{
		const char *word;
		int			len = next_word(c, &word);

		if (len == 0)
			return false;
		if (word_is(word, len, "for"))
			return true;
	}
	return false;
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
		if (word_is(word, word_len, "prepare"))
		{
			if (!skip_prepare(&c))
				return false;
		}
		else if (word_is(word, word_len, "declare"))
		{
			if (!skip_declare(&c))
				return false;
		}
		else
			return false;
		if (!starts_statement(&c))
			return false;
	}
	skip_space(&c);
	*text = c.at;
	*len = (int) (c.end - c.at);
	return true;
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
