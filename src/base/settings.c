/*
 * settings.c
 *	  The settings under which a statement was read and planned.
 *
 * Which ones: those that EXPLAIN (SETTINGS) would show, since the planner looks at
 * them, and a few that change what a text means (is 02/03 in March?).
 *
 * A statement's own are those that its role, its client or its session set.
 * What the server or the database sets is not kept: when the administrator
 * changes random_page_cost for everybody, captured statements follow. To plan
 * a statement again, the planning session puts aside what it has set for
 * itself, and takes on the statement's own. Should a setting of the planning
 * role or client hide the server's value, PostgreSQL's default stands in for it.
 *
 * Only names on that list are ever set, and only as the role could set them, so
 * that a stored sample cannot change anything else. Setting never raises an
 * error: what cannot be set (gone after an upgrade, out of range) is passed over.
 *
 * The list is made when it is first needed, and again when the number of settings
 * has changed, because extensions that are loaded later bring their own; and now
 * and then, because a setting that was only named so far does not change the number
 * when it becomes real.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/json.h"
#include "utils/jsonb.h"

#include "base/compat.h"
#include "base/settings.h"

#define MAX_SETTINGS 160		/* there are about 60 */
#define MAX_VALUE 64			/* of a number */
#define LIST_USES 32			/* until the list is made again */

/* These change what a text means. */
static const char *const reading[] = {
	"array_nulls", "backslash_quote", "DateStyle", "default_text_search_config",
	"IntervalStyle", "row_security", "standard_conforming_strings", "TimeZone",
	"transform_null_equals", "xmloption"
};

static struct config_generic *relevant[MAX_SETTINGS];
static int	nrelevant = 0;
static int	nplan = 0;			/* of these, change plans; they come first */

static bool
changes_reading(const char *name)
{
	for (int i = 0; i < (int) lengthof(reading); i++)
	{
		if (name[0] == reading[i][0] && strcmp(name, reading[i]) == 0)
			return true;
	}
	return false;
}

static void
list_relevant(void)
{
	int			n;
	struct config_generic **all = hone_guc_variables(&n);

	nrelevant = 0;
	for (int i = 0; i < n && nrelevant < MAX_SETTINGS; i++)
	{
		/* What not everybody may see raises an error when it is asked for. */
		if ((all[i]->flags & GUC_EXPLAIN) && !(all[i]->flags & GUC_SUPERUSER_ONLY) &&
			strcmp(all[i]->name, "search_path") != 0)
			relevant[nrelevant++] = all[i];
	}
	nplan = nrelevant;
	for (int i = 0; i < n && nrelevant < MAX_SETTINGS; i++)
	{
		if (!(all[i]->flags & GUC_EXPLAIN) && changes_reading(all[i]->name))
			relevant[nrelevant++] = all[i];
	}
	hone_free_guc_variables(all);
}

/* Does a value come from the server or the database, for everybody? */
static inline bool
is_common(GucSource source)
{
	return source <= PGC_S_DATABASE;
}

static bool
same_string(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Is the value what RESET would make it? */
static bool
is_reset(const struct config_generic *setting)
{
	switch (setting->vartype)
	{
		case PGC_BOOL:
			{
				const struct config_bool *conf = (const struct config_bool *) setting;

				return *conf->variable == conf->reset_val;
			}
		case PGC_INT:
			{
				const struct config_int *conf = (const struct config_int *) setting;

				return *conf->variable == conf->reset_val;
			}
		case PGC_REAL:
			{
				const struct config_real *conf = (const struct config_real *) setting;

				return *conf->variable == conf->reset_val;
			}
		case PGC_STRING:
			{
				const struct config_string *conf = (const struct config_string *) setting;

				return same_string(*conf->variable, conf->reset_val);
			}
		case PGC_ENUM:
			{
				const struct config_enum *conf = (const struct config_enum *) setting;

				return *conf->variable == conf->reset_val;
			}
	}
	return false;
}

/* PostgreSQL's own default, as text; numbers are written to buf. */
static const char *
built_in(struct config_generic *setting, char *buf)
{
	switch (setting->vartype)
	{
		case PGC_BOOL:
			return ((struct config_bool *) setting)->boot_val ? "on" : "off";
		case PGC_INT:
			snprintf(buf, MAX_VALUE, "%d", ((struct config_int *) setting)->boot_val);
			return buf;
		case PGC_REAL:
			snprintf(buf, MAX_VALUE, "%.17g", ((struct config_real *) setting)->boot_val);
			return buf;
		case PGC_STRING:
			return ((struct config_string *) setting)->boot_val;
		case PGC_ENUM:
			return config_enum_lookup_by_value((struct config_enum *) setting,
											   ((struct config_enum *) setting)->boot_val);
	}
	return NULL;
}

/* Did the session, its client or its role set this, to something else? */
static bool
is_own(const struct config_generic *setting)
{
	return !is_common(setting->source) &&
		!(is_common(setting->reset_source) && is_reset(setting));
}

/* Going through all settings costs more than everything else about a sample. */
static void
refresh_relevant(void)
{
	static int	uses = 0;
	static int	listed = 0;
	int			n = hone_guc_count();

	if (n == 0 || n != listed || ++uses >= LIST_USES)
	{
		list_relevant();
		listed = n;
		uses = 0;
	}
}

int
hone_settings_collect(char *to, int size, int *plan_len)
{
	int			used = 0;

	*plan_len = 0;
	refresh_relevant();
	for (int i = 0; i < nrelevant; i++)
	{
		const char *name = relevant[i]->name;
		char	   *value;
		int			need;

		if (!is_own(relevant[i]))
			continue;
		value = GetConfigOptionByName(name, NULL, true);
		if (value == NULL)
			continue;
		need = (int) (strlen(name) + strlen(value)) + 2;
		if (need > size - used)
		{
			pfree(value);
			return -1;
		}
		strcpy(to + used, name);
		strcpy(to + used + strlen(name) + 1, value);
		pfree(value);
		used += need;
		if (i < nplan)
			*plan_len = used;
	}
	return used;
}

Datum
hone_settings_jsonb(const char *settings, int len)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	for (const char *at = settings; at < settings + len; at += strlen(at) + 1)
	{
		if (buf.len > 1)
			appendStringInfoString(&buf, ", ");
		escape_json(&buf, at);
		appendStringInfoString(&buf, ": ");
		at += strlen(at) + 1;
		escape_json(&buf, at);
	}
	appendStringInfoChar(&buf, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(buf.data));
}

/* NULL: what RESET would make it. */
static void
set(const char *name, const char *value)
{
	(void) set_config_option(name, value, superuser() ? PGC_SUSET : PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, DEBUG2, false);
}

static void
put_aside(struct config_generic *setting)
{
	char		buf[MAX_VALUE];
	const char *value = built_in(setting, buf);

	if (is_common(setting->reset_source))
		set(setting->name, NULL);
	else if (value != NULL)
		set(setting->name, value);
}

void
hone_settings_take_on(char **pairs, int npairs)
{
	if (nrelevant == 0)
		list_relevant();
	for (int i = 0; i < nrelevant; i++)
	{
		const char *value = NULL;

		for (int j = 0; j < npairs && value == NULL; j++)
		{
			if (strcmp(pairs[j * 2], relevant[i]->name) == 0)
				value = pairs[j * 2 + 1];
		}
		if (value != NULL)
			set(relevant[i]->name, value);
		else if (is_own(relevant[i]))
			put_aside(relevant[i]);
	}
}

void
hone_settings_be_plain(void)
{
	if (DateStyle != USE_ISO_DATES)
		set("DateStyle", "ISO");
	if (IntervalStyle != INTSTYLE_POSTGRES)
		set("IntervalStyle", "postgres");
	if (extra_float_digits < 1)
		set("extra_float_digits", "1");
}
