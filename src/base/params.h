/*
 * params.h
 *	  Parameter values of a statement, flat, so that they can be kept.
 *
 * Lives in base because both the samples and the slow log keep them.
 */
#ifndef HONE_PARAMS_H
#define HONE_PARAMS_H

#include "nodes/params.h"

/* What became of one parameter. */
typedef enum HoneParamState
{
	HONE_PARAM_VALUE,
	HONE_PARAM_NULL,
	HONE_PARAM_TOO_LARGE,		/* over the cap, or stored out of line */
	HONE_PARAM_UNKEPT,			/* a type whose values mean nothing elsewhere */
	HONE_PARAM_OFF				/* pg_hone.capture_parameters was off */
} HoneParamState;

/*
 * A flat copy: no pointers, so it may be moved to any MAXALIGNed address. The
 * parameters follow the header.
 */
typedef struct HoneParams
{
	uint32		size;			/* bytes, this header included */
	int32		nparams;		/* of which something is kept */
	bool		complete;		/* every value in use is here */
	bool		by_name;		/* only the parameters in use are here, in
								 * order: $n of the statement's text need not
								 * be the n-th */
	bool		off;			/* values were not to be kept */
} HoneParams;

extern bool hone_capture_parameters;

/* Define the settings; does nothing the second time. */
extern void hone_params_init(void);

/*
 * Flatten the values. Returns NULL when there are none. The result lives in
 * a private buffer until the next call. With catalog_is_readable false (an
 * error is being caught) only values of the commonest types are kept, nothing
 * is allocated and no error can happen.
 */
extern const HoneParams *hone_params_flatten(ParamListInfo params,
											 bool catalog_is_readable);

/* Does a value look like a connection string with a password? (secret.c) */
extern bool hone_params_have_secret(const HoneParams *params);

/*
 * Values as text[], in a form that every session reads the same; types as oid[]. *isnull when values were not to be kept.
 * To be called in the database of the statement. A value whose type is gone
 * or has changed reads '<not kept>'.
 */
extern Datum hone_params_values(const HoneParams *params, bool *isnull);
extern Datum hone_params_types(const HoneParams *params);

#endif							/* HONE_PARAMS_H */
