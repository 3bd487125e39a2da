/*
 * secret.c
 *	  Does a statement carry a password?
 *
 * Utility statements are told by their node type (probe). What is left are
 * ordinary statements that carry one as a constant or as a parameter:
 *
 *	SELECT dblink_connect('host=h password=p')	a connection string
 *	INSERT INTO t VALUES ('postgresql://u:p@h')	a URI, of any scheme
 *	SELECT ... WHERE pw = crypt('p', pw)		pgcrypto's functions
 *
 * Only string literals and values are looked into: WHERE password = $1 says
 * nothing. Neither does a placeholder, as in format('password=%s', ...).
 * The functions of pgcrypto take plain passwords and keys in whatever form, so
 * that a statement which calls one is taken to carry a secret, in a constant or
 * in a parameter. What is written to be overlooked (escapes, concatenation, a
 * password in a column of its own) is overlooked.
 *
 * Each byte is looked at a bounded number of times. Words are ASCII, and in
 * every server encoding an ASCII byte is that character.
 */
#include "postgres.h"

#include "access/xact.h"
#include "parser/scansup.h"

#include "base/params.h"
#include "base/secret.h"

#define MAX_DEPTH 3				/* of dollar quotes in dollar quotes */

/* libpq's, and the environment's name for it. */
static const char *const password_keys[] = {
	"password", "passwd", "pwd", "sslpassword", "pgpassword",
	"oauth_client_secret", "scram_client_key", "scram_server_key"
};

/* pgcrypto's functions that take a password or a secret key. */
static const char *const password_functions[] = {
	"crypt", "hmac", "encrypt", "decrypt", "encrypt_iv", "decrypt_iv",
	"pgp_sym_encrypt", "pgp_sym_encrypt_bytea",
	"pgp_sym_decrypt", "pgp_sym_decrypt_bytea",
	"pgp_pub_decrypt", "pgp_pub_decrypt_bytea"
};

static inline bool
is_word_char(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
		(ch >= '0' && ch <= '9') || ch == '_' || IS_HIGHBIT_SET(ch);
}

static inline char
lower(char ch)
{
	return ch >= 'A' && ch <= 'Z' ? ch + ('a' - 'A') : ch;
}

static bool
begins_with(const char *at, const char *end, const char *word)
{
	while (*word != '\0')
	{
		if (at == end || lower(*at++) != *word++)
			return false;
	}
	return true;
}

/* $1, %s, %L: what stands for a value that is not here. */
static bool
is_placeholder(const char *at, const char *end)
{
	if (end - at < 2)
		return false;
	if (*at == '$')
		return at[1] >= '0' && at[1] <= '9';
	if (*at == '%')
		return (at[1] == 's' || at[1] == 'L' || at[1] == 'I' ||
				(at[1] >= '0' && at[1] <= '9' && end - at > 2 && at[2] == '$'));
	return false;
}

/* Is there "= something"? */
static bool
is_assigned(const char *at, const char *end)
{
	while (at < end && scanner_isspace(*at))
		at++;
	if (at == end || *at != '=')
		return false;
	for (at++; at < end && scanner_isspace(*at); at++)
		;
	while (at < end && (*at == '\'' || *at == '"' || *at == '\\'))
		at++;
	return at < end && !scanner_isspace(*at) && strchr("&;,)", *at) == NULL &&
		!is_placeholder(at, end);
}

static bool
is_password_key(const char *at, const char *end)
{
	for (int i = 0; i < (int) lengthof(password_keys); i++)
	{
		if (begins_with(at, end, password_keys[i]) &&
			is_assigned(at + strlen(password_keys[i]), end))
			return true;
	}
	return false;
}

/* After ://, is there user:password@? */
static bool
has_userinfo(const char *at, const char *end)
{
	const char *colon = NULL;

	for (; at < end && *at != '/' && *at != '?' && *at != '#' && *at != '\'' &&
		 *at != '"' && *at != '\0' && !scanner_isspace(*at); at++)
	{
		if (*at == ':' && colon == NULL)
			colon = at;
		if (*at == '@')
			return colon != NULL && at > colon + 1 && !is_placeholder(colon + 1, at);
	}
	return false;
}

/* May a word begin here? After \t, as an escape is written, it may. */
static inline bool
at_boundary(const char *value, const char *at)
{
	return at == value || !is_word_char(at[-1]) ||
		(at - value > 1 && at[-2] == '\\');
}

bool
hone_secret_in_value(const char *value, int len, bool packed)
{
	const char *end = value + len;

	for (const char *at = value; at < end; at++)
	{
		switch (*at)
		{
			case 'p':
			case 'P':
			case 's':
			case 'S':
			case 'o':
			case 'O':
				if ((packed || at_boundary(value, at)) &&
					is_password_key(at, end))
					return true;
				break;
			case ':':
				if (end - at > 3 && at[1] == '/' && at[2] == '/' &&
					at > value && is_word_char(at[-1]) && has_userinfo(at + 3, end))
					return true;
				break;
			default:
				break;
		}
	}
	return false;
}

/*
 * Text
 */

/* Past what is between quotes, or the end. */
static const char *
quoted_end(const char *at, const char *end, char quote, bool backslash)
{
	for (; at < end; at++)
	{
		if (*at == '\\' && backslash && at + 1 < end)
			at++;
		else if (*at == quote)
		{
			if (at + 1 == end || at[1] != quote)
				return at;
			at++;
		}
	}
	return end;
}

static const char *
comment_end(const char *at, const char *end)
{
	int			depth = 0;

	for (; at + 1 < end; at++)
	{
		if (at[0] == '/' && at[1] == '*')
		{
			depth++;
			at++;
		}
		else if (at[0] == '*' && at[1] == '/')
		{
			at++;
			if (--depth == 0)
				return at + 1;
		}
	}
	return end;
}

/* The length of $tag$, or 0. */
static int
dollar_quote(const char *at, const char *end)
{
	const char *p = at + 1;

	if (p < end && *p >= '0' && *p <= '9')
		return 0;
	while (p < end && is_word_char(*p))
		p++;
	return p < end && *p == '$' ? (int) (p + 1 - at) : 0;
}

/* Where the tag comes again, or the end. A tag has no $ inside, so linear. */
static const char *
dollar_end(const char *at, const char *end, const char *tag, int len)
{
	while ((at = memchr(at, '$', end - at)) != NULL)
	{
		if (end - at >= len && strncmp(at, tag, len) == 0)
			return at;
		at++;
	}
	return end;
}

static bool
is_password_call(const char *word, int len, const char *end)
{
	const char *after = word + len;

	while (after < end && scanner_isspace(*after))
		after++;
	if (after == end || *after != '(')
		return false;
	for (int i = 0; i < (int) lengthof(password_functions); i++)
	{
		if ((int) strlen(password_functions[i]) == len &&
			begins_with(word, end, password_functions[i]))
			return true;
	}
	return false;
}

static bool
search_text(const char *at, const char *end, int depth)
{
	while (at < end)
	{
		const char *stop;
		int			tag;

		if (is_word_char(*at))
		{
			stop = at;
			while (stop < end && (is_word_char(*stop) || *stop == '$'))
				stop++;
			if (is_password_call(at, (int) (stop - at), end))
				return true;
			/* E'...' */
			if (stop == at + 1 && lower(*at) == 'e' && stop < end && *stop == '\'')
			{
				at = stop + 1;
				stop = quoted_end(at, end, '\'', true);
				if (hone_secret_in_value(at, (int) (stop - at), false))
					return true;
				stop = Min(stop + 1, end);
			}
			at = stop;
		}
		else if (*at == '\'')
		{
			stop = quoted_end(++at, end, '\'', false);
			if (hone_secret_in_value(at, (int) (stop - at), false))
				return true;
			at = Min(stop + 1, end);
		}
		else if (*at == '"')
			at = Min(quoted_end(at + 1, end, '"', false) + 1, end);
		else if (*at == '-' && end - at > 1 && at[1] == '-')
		{
			while (at < end && *at != '\n' && *at != '\r')
				at++;
		}
		else if (*at == '/' && end - at > 1 && at[1] == '*')
			at = comment_end(at, end);
		else if (*at == '$' && (tag = dollar_quote(at, end)) > 0)
		{
			stop = dollar_end(at + tag, end, at, tag);
			/* A string, or a piece of code. */
			if (hone_secret_in_value(at + tag, (int) (stop - at - tag), false) ||
				(depth < MAX_DEPTH && search_text(at + tag, stop, depth + 1)))
				return true;
			at = Min(stop + tag, end);
		}
		else
			at++;
	}
	return false;
}

bool
hone_secret_in_text(const char *text, int len)
{
	return search_text(text, text + len, 0);
}

bool
hone_secret_in_execution(const HoneExecution *execution)
{
	const HoneParams *params;
	const char *text;
	int			len;

	text = hone_record_text(execution, &len);
	if (hone_secret_in_text(text, len))
		return true;
	params = hone_params_flatten(execution->params,
								 execution->outcome == HONE_COMPLETED && IsTransactionState());
	return params != NULL && hone_params_have_secret(params);
}
