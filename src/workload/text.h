/*
 * text.h
 *	  What can be planned again of a source text. Private to workload.
 */
#ifndef HONE_WORKLOAD_TEXT_H
#define HONE_WORKLOAD_TEXT_H

/*
 * The optimisable statement in a text: the text itself, or what follows
 * PREPARE ... AS or DECLARE ... CURSOR ... FOR. False when there is none, as in
 * CREATE TABLE AS, COPY, EXPLAIN and expressions of PL/pgSQL.
 */
extern bool hone_sample_text(const char **text, int *len);

/* Does the text name a parameter by its number? */
extern bool hone_sample_text_has_params(const char *text, int len);

#endif							/* HONE_WORKLOAD_TEXT_H */
