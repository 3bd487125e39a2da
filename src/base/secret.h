/*
 * secret.h
 *	  Does a statement carry a password?
 *
 * For texts and values that are about to be kept as they were written. Linear
 * in their length, allocates nothing, raises nothing.
 */
#ifndef HONE_SECRET_H
#define HONE_SECRET_H

#include "base/record.h"

/* In a string literal, or as an argument of a function that takes passwords? */
extern bool hone_secret_in_text(const char *text, int len);

/*
 * Does a value look like a connection string or a URI with a password? With
 * packed, it may be one of several strings without anything between them.
 */
extern bool hone_secret_in_value(const char *value, int len, bool packed);

/* In the execution's text or its parameter values? Overwrites the buffer of
 * hone_params_flatten(). */
extern bool hone_secret_in_execution(const HoneExecution *execution);

#endif							/* HONE_SECRET_H */
