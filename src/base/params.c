/*
 * params.c
 *	  Parameter values of a statement, flat.
 *
 * Values are copied as they are (binary), without running a type's code, and
 * turned into text only when somebody reads them. That is safe only for types
 * whose binary form says everything and stays valid: base types, enums, arrays
 * and ranges of these, domains over these. A row value is not one: its type can
 * be altered between capture and reading, and then its bytes would be taken
 * for something else; anonymous records exist in one session only.
 *
 * Inside a user's statement: nothing is fetched from TOAST tables, the
 * buffer has a fixed size, and while an error is being caught neither memory
 * nor the catalog is touched: a list of common built-in types stands in for it.
 *
 * The buffer is static, so it takes address space only until first used.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "catalog/pg_range.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/expandeddatum.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/params.h"
#include "base/secret.h"
#include "base/settings.h"

#define BUFFER_SIZE 32768
#define MAX_NESTED_TYPES 8

typedef struct HoneParam
{
	Oid			type;
	int32		len;			/* bytes of the value, which follows
								 * MAXALIGNed */
	int16		typlen;
	char		typtype;
	bool		typbyval;
	uint8		state;			/* HoneParamState */
} HoneParam;

#define PARAM_HEADER_SIZE MAXALIGN(sizeof(HoneParam))

/* What we need to know of a type. */
typedef struct TypeFacts
{
	int16		typlen;
	bool		typbyval;
	char		typtype;
} TypeFacts;

static union
{
	HoneParams	params;
	char		bytes[BUFFER_SIZE];
	int64		force_alignment_i64;
	double		force_alignment_double;
}			buffer;

bool		hone_capture_parameters = true;
static int	max_parameter_length = 1024;

void
hone_params_init(void)
{
	static bool done = false;

	if (done)
		return;
	done = true;

	DefineCustomBoolVariable("pg_hone.capture_parameters",
							 "Keeps parameter values in samples and in the slow log.",
							 "Without them a statement with parameters can not be planned again, and its plan is not kept.",
							 &hone_capture_parameters,
							 true,
							 PGC_SUSET,
							 0,
							 NULL, NULL, NULL);
	DefineCustomIntVariable("pg_hone.max_parameter_length",
							"Sets the length above which a parameter value is not kept.",
							NULL,
							&max_parameter_length,
							1024, 16, 16384,
							PGC_SUSET,
							GUC_UNIT_BYTE,
							NULL, NULL, NULL);
}

/* Common types, for when the catalog must not be read. */
static bool
builtin_type_facts(Oid type, TypeFacts *facts)
{
	facts->typtype = TYPTYPE_BASE;
	switch (type)
	{
		case BOOLOID:
		case CHAROID:
			facts->typlen = 1;
			facts->typbyval = true;
			return true;
		case INT2OID:
			facts->typlen = 2;
			facts->typbyval = true;
			return true;
		case INT4OID:
		case OIDOID:
		case REGCLASSOID:
		case DATEOID:
		case FLOAT4OID:
			facts->typlen = 4;
			facts->typbyval = true;
			return true;
		case INT8OID:
		case FLOAT8OID:
		case TIMEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			facts->typlen = 8;
			facts->typbyval = FLOAT8PASSBYVAL;
			return true;
		case UUIDOID:
		case INTERVALOID:
			facts->typlen = 16;
			facts->typbyval = false;
			return true;
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case BYTEAOID:
		case NUMERICOID:
		case JSONOID:
		case JSONBOID:
		case INETOID:
		case INT2ARRAYOID:
		case INT4ARRAYOID:
		case INT8ARRAYOID:
		case TEXTARRAYOID:
		case VARCHARARRAYOID:
		case UUIDARRAYOID:
			facts->typlen = -1;
			facts->typbyval = false;
			return true;
		case UNKNOWNOID:
			facts->typlen = -2;
			facts->typbyval = false;
			facts->typtype = TYPTYPE_PSEUDO;
			return true;
		default:
			return false;
	}
}

static Oid
range_subtype(Oid range)
{
	HeapTuple	tuple;
	Oid			subtype = InvalidOid;

	tuple = SearchSysCache1(RANGETYPE, ObjectIdGetDatum(range));
	if (HeapTupleIsValid(tuple))
	{
		subtype = ((Form_pg_range) GETSTRUCT(tuple))->rngsubtype;
		ReleaseSysCache(tuple);
	}
	return subtype;
}

static Oid
multirange_subtype(Oid multirange)
{
	HeapTuple	tuple;
	Oid			range = InvalidOid;

	tuple = SearchSysCache1(RANGEMULTIRANGE, ObjectIdGetDatum(multirange));
	if (HeapTupleIsValid(tuple))
	{
		range = ((Form_pg_range) GETSTRUCT(tuple))->rngtypid;
		ReleaseSysCache(tuple);
	}
	return range_subtype(range);
}

/*
 * Facts of a type, if values of it can be kept in binary form. Follows domains,
 * arrays and ranges down to what they are made of.
 */
static bool
type_facts(Oid type, TypeFacts *facts)
{
	if (builtin_type_facts(type, facts))
		return true;

	for (int depth = 0; depth < MAX_NESTED_TYPES; depth++)
	{
		HeapTuple	tuple;
		Form_pg_type form;
		char		typtype;
		Oid			next = InvalidOid;

		tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
		if (!HeapTupleIsValid(tuple))
			return false;
		form = (Form_pg_type) GETSTRUCT(tuple);
		if (depth == 0)
		{
			facts->typlen = form->typlen;
			facts->typbyval = form->typbyval;
			facts->typtype = form->typtype;
		}
		typtype = form->typtype;
		if (typtype == TYPTYPE_DOMAIN)
			next = form->typbasetype;
		else if (typtype == TYPTYPE_BASE && form->typlen == -1 &&
				 form->typsubscript == F_ARRAY_SUBSCRIPT_HANDLER)
			next = form->typelem;
		ReleaseSysCache(tuple);

		switch (typtype)
		{
			case TYPTYPE_ENUM:
				return true;
			case TYPTYPE_BASE:
				if (!OidIsValid(next))
					return true;
				break;
			case TYPTYPE_DOMAIN:
				break;
			case TYPTYPE_RANGE:
				next = range_subtype(type);
				break;
			case TYPTYPE_MULTIRANGE:
				next = multirange_subtype(type);
				break;
			default:
				return false;
		}
		if (!OidIsValid(next))
			return false;
		type = next;
	}
	return false;
}

/*
 * Flatten an array that PL/pgSQL has open, without fetching anything: its
 * elements are in memory. Other expanded objects are not ours to work on.
 */
static int32
copy_expanded(ExpandedObjectHeader *object, char *to, Size room)
{
	Size		len;

	if (((ExpandedArrayHeader *) object)->ea_magic != EA_MAGIC)
		return -1;
	len = EOH_get_flat_size(object);
	if (len > room)
		return -1;
	EOH_flatten_into(object, to, len);
	return (int32) len;
}

/*
 * A value that was compressed where it was stored is kept as it reads, so that
 * equal values are equal bytes, and can be searched for secrets.
 */
static int32
copy_compressed(struct varlena *compressed, char *to, Size room)
{
	Size		len = VARDATA_COMPRESSED_GET_EXTSIZE(compressed) + VARHDRSZ;
	struct varlena *plain;

	if (len > room)
		return -1;
	plain = detoast_attr(compressed);
	memcpy(to, plain, len);
	pfree(plain);
	return (int32) len;
}

/*
 * Copy a value passed by reference. Returns its length, or -1 if it is not
 * to be kept or does not fit.
 */
static int32
copy_reference(const TypeFacts *facts, Datum value, char *to, Size room)
{
	struct varlena *varlena;
	Size		len;

	room = Min(room, (Size) max_parameter_length);

	if (facts->typlen > 0)
		len = facts->typlen;
	else if (facts->typlen == -2)
		len = strnlen(DatumGetCString(value), room) + 1;
	else
	{
		varlena = (struct varlena *) DatumGetPointer(value);
		if (VARATT_IS_EXTERNAL_EXPANDED(varlena))
			return copy_expanded(DatumGetEOHP(value), to, room);
		if (VARATT_IS_EXTERNAL(varlena))
			return -1;
		if (VARATT_IS_COMPRESSED(varlena))
			return copy_compressed(varlena, to, room);
		len = VARSIZE_ANY(varlena);
	}

	if (len > room)
		return -1;
	memcpy(to, DatumGetPointer(value), len);
	return (int32) len;
}

/* Describe one parameter at *param, its value after it. */
static void
flatten_one(const ParamExternData *prm, bool catalog_is_readable,
			HoneParam *param, Size room)
{
	TypeFacts	facts;
	char	   *to = (char *) param + PARAM_HEADER_SIZE;

	memset(param, 0, sizeof(HoneParam));
	param->type = prm->ptype;

	if (!hone_capture_parameters)
	{
		param->state = HONE_PARAM_OFF;
		return;
	}
	if (prm->isnull)
	{
		param->state = HONE_PARAM_NULL;
		return;
	}
	if (!(catalog_is_readable ? type_facts(prm->ptype, &facts) :
		  builtin_type_facts(prm->ptype, &facts)))
	{
		param->state = HONE_PARAM_UNKEPT;
		return;
	}
	param->typlen = facts.typlen;
	param->typbyval = facts.typbyval;
	param->typtype = facts.typtype;

	if (facts.typbyval)
	{
		if (room < sizeof(Datum))
		{
			param->state = HONE_PARAM_TOO_LARGE;
			return;
		}
		memcpy(to, &prm->value, sizeof(Datum));
		param->len = sizeof(Datum);
		param->state = HONE_PARAM_VALUE;
		return;
	}

	/* An expanded or a compressed value takes work to become flat. */
	if (!catalog_is_readable && facts.typlen == -1 &&
		VARATT_IS_EXTENDED(DatumGetPointer(prm->value)) &&
		!VARATT_IS_SHORT(DatumGetPointer(prm->value)))
		param->len = -1;
	else
		param->len = copy_reference(&facts, prm->value, to, room);
	param->state = param->len < 0 ? HONE_PARAM_TOO_LARGE : HONE_PARAM_VALUE;
	param->len = Max(param->len, 0);
}

const HoneParams *
hone_params_flatten(ParamListInfo params, bool catalog_is_readable)
{
	HoneParams *result = &buffer.params;
	Size		used = MAXALIGN(sizeof(HoneParams));

	if (params == NULL || params->numParams <= 0)
		return NULL;

	memset(result, 0, sizeof(HoneParams));
	result->complete = true;

	/* A language that computes values on demand could fail or allocate. */
	if (params->paramFetch != NULL && !catalog_is_readable)
		return NULL;

	for (int i = 0; i < params->numParams; i++)
	{
		ParamExternData workspace;
		ParamExternData *prm;
		HoneParam  *param = (HoneParam *) (buffer.bytes + used);

		if (params->paramFetch != NULL)
			prm = params->paramFetch(params, i + 1, true, &workspace);
		else
			prm = &params->params[i];

		/*
		 * PL/pgSQL: the list has one place for each variable of the function.
		 * Those that the statement does not use have no type, and the text
		 * names the others, so that their place means nothing.
		 */
		if (params->paramFetch != NULL || !OidIsValid(prm->ptype))
			result->by_name = true;
		if (!OidIsValid(prm->ptype))
			continue;

		if (used + PARAM_HEADER_SIZE > BUFFER_SIZE)
		{
			result->complete = false;
			break;
		}
		flatten_one(prm, catalog_is_readable, param,
					BUFFER_SIZE - used - PARAM_HEADER_SIZE);
		if (param->state == HONE_PARAM_OFF)
			result->off = true;
		if (param->state > HONE_PARAM_NULL)
			result->complete = false;
		result->nparams++;

		/* Equal values shall be equal bytes, padding included. */
		used += PARAM_HEADER_SIZE + MAXALIGN(param->len);
		for (char *pad = (char *) param + PARAM_HEADER_SIZE + param->len;
			 pad < buffer.bytes + used; pad++)
			*pad = 0;
	}

	if (result->nparams == 0)
		return NULL;

	result->size = (uint32) used;
	return result;
}

static const HoneParam *
first_param(const HoneParams *params)
{
	return (const HoneParam *) ((const char *) params + MAXALIGN(sizeof(HoneParams)));
}

static const HoneParam *
next_param(const HoneParam *param)
{
	return (const HoneParam *) ((const char *) param + PARAM_HEADER_SIZE +
								MAXALIGN(param->len));
}

bool
hone_params_have_secret(const HoneParams *params)
{
	const HoneParam *param = first_param(params);

	for (int i = 0; i < params->nparams; i++, param = next_param(param))
	{
		const char *bytes = (const char *) param + PARAM_HEADER_SIZE;

		if (param->state != HONE_PARAM_VALUE || param->typlen >= 0)
			continue;
		if (hone_secret_in_value(bytes, param->len, param->type == JSONBOID))
			return true;
	}
	return false;
}

/* Names of these depend on the search_path. */
static bool
is_name_of_object(Oid type)
{
	switch (type)
	{
		case REGPROCOID:
		case REGPROCEDUREOID:
		case REGOPEROID:
		case REGOPERATOROID:
		case REGCLASSOID:
		case REGTYPEOID:
		case REGCOLLATIONOID:
		case REGCONFIGOID:
		case REGDICTIONARYOID:
			return true;
		default:
			return false;
	}
}

/* A value's text, or a word in angle brackets. */
static char *
param_text(const HoneParam *param)
{
	const char *bytes = (const char *) param + PARAM_HEADER_SIZE;
	TypeFacts	facts;
	Oid			output;
	bool		is_varlena;
	Datum		value;

	if (param->state == HONE_PARAM_TOO_LARGE)
		return pstrdup("<too large>");

	/* The type may have been dropped since, and its OID given away. */
	if (param->state != HONE_PARAM_VALUE ||
		!type_facts(param->type, &facts) ||
		facts.typlen != param->typlen ||
		facts.typbyval != param->typbyval ||
		facts.typtype != param->typtype)
		return pstrdup("<not kept>");

	if (param->typbyval)
		memcpy(&value, bytes, sizeof(Datum));
	else
		value = PointerGetDatum(bytes);

	if (param->type == UNKNOWNOID)
		return pstrdup(DatumGetCString(value));
	getTypeOutputInfo(param->type, &output, &is_varlena);
	if (is_varlena)
		value = PointerGetDatum(PG_DETOAST_DATUM(value));
	return OidOutputFunctionCall(output, value);
}

Datum
hone_params_values(const HoneParams *params, bool *isnull)
{
	const HoneParam *param = first_param(params);
	Datum	   *values;
	bool	   *nulls;
	int			dims[1];
	int			lower_bounds[1] = {1};
	int			guc_level;

	*isnull = params->off;
	if (params->off)
		return (Datum) 0;

	guc_level = NewGUCNestLevel();
	hone_settings_be_plain();

	values = palloc(sizeof(Datum) * params->nparams);
	nulls = palloc(sizeof(bool) * params->nparams);
	for (int i = 0; i < params->nparams; i++, param = next_param(param))
	{
		nulls[i] = param->state == HONE_PARAM_NULL;
		if (is_name_of_object(param->type))
			(void) set_config_option("search_path", "pg_catalog", PGC_USERSET,
									 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
		values[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(param_text(param));
	}
	AtEOXact_GUC(true, guc_level);
	dims[0] = params->nparams;
	return PointerGetDatum(construct_md_array(values, nulls, 1, dims, lower_bounds,
											  TEXTOID, -1, false, TYPALIGN_INT));
}

Datum
hone_params_types(const HoneParams *params)
{
	const HoneParam *param = first_param(params);
	Datum	   *values = palloc(sizeof(Datum) * params->nparams);

	for (int i = 0; i < params->nparams; i++, param = next_param(param))
		values[i] = ObjectIdGetDatum(param->type);
	return PointerGetDatum(construct_array(values, params->nparams, OIDOID,
										   sizeof(Oid), true, TYPALIGN_INT));
}
