/*
 * source.c
 *	  Which part of a source text a statement is, and whether it may be kept.
 *
 * A client's message is one source text and may hold several statements, one of
 * which may carry a password. So what is kept of a statement is its own part of
 * the source, and only when that is known:
 *
 * - What is inside a utility statement and has no place of its own, is that
 *	 statement's part.
 * - What a rule has added has no place at all. It is taken for the whole source
 *	 when that is one statement, and else for a text that must not be kept.
 * - Inside a utility statement that may carry a secret, nothing of the same source
 *	 is kept.
 */
#include "postgres.h"

#include "probe/internal.h"

/* Could there be more than one statement in a source? */
static bool
is_one_statement(const char *source)
{
	const char *end = strchr(source, ';');

	return end == NULL || end[1 + strspn(end + 1, "; \t\r\n\f\v")] == '\0';
}

/*
 * Correct a statement's place in its source to where it is. False when its text
 * must not be kept.
 */
bool
hone_probe_place_text(const char *source, int *location, int *len)
{
	const HoneSource *utility = &hone_probe.utility;

	if (source == utility->text)
	{
		if (*location <= 0 && *len <= 0)
		{
			*location = utility->location;
			*len = utility->len;
		}
		if (!utility->is_safe)
			return false;
	}
	return *location >= 0 || is_one_statement(source);
}
