/*
 * text.h
 *	  What can be planned again of a source text. Private to workload.
 */
#ifndef HONE_WORKLOAD_TEXT_H
#define HONE_WORKLOAD_TEXT_H

/*
 * The optimisable statement in a text: the text itself, or what follows
 * PREPARE ... AS. False when there is none, as in COPY, EXPLAIN and expressions
 * of PL/pgSQL.
 */
extern bool hone_sample_text(const char **text, int *len);

/*
 * A text with blanks where its INTO clause is, palloc'd. NULL when it has none,
 * or there is no memory.
 */
extern char *hone_sample_text_without_into(const char *text, int len);

/* Does the text name a parameter by its number? */
extern bool hone_sample_text_has_params(const char *text, int len);

#endif							/* HONE_WORKLOAD_TEXT_H */
