/*
 * owner.h
 *	  Acting as somebody else, safely: as the extension's owner on our own
 *	  tables, or as the role that ran a captured statement.
 */
#ifndef HONE_OWNER_H
#define HONE_OWNER_H

/* What to put back; lives on the caller's stack. */
typedef struct HoneScope
{
	Oid			userid;
	int			sec_context;
	int			guc_level;
} HoneScope;

/* OID of the extension in this database, or InvalidOid. */
extern Oid	hone_extension_oid(void);

/*
 * Have DROP EXTENSION wait until the transaction ends (if somebody else locks
 * the extension for long, only the deadlock detector does). Returns its OID;
 * raises ERRCODE_UNDEFINED_OBJECT when it is not installed in this database.
 */
extern Oid	hone_hold_extension(void);

/*
 * Become the extension's owner with search_path = pg_catalog, pg_temp, to read
 * and write our own tables by static, fully qualified SQL. Never run text of
 * a user inside such a scope. Holds the extension (hone_hold_extension).
 */
extern void hone_enter_owner(HoneScope *scope);

/*
 * Become a role in a security-restricted operation with the given search_path
 * (NULL: pg_catalog, pg_temp), to plan text that this role ran. Every GUC set
 * inside is undone on leaving.
 */
extern void hone_enter_role(HoneScope *scope, Oid roleid, const char *search_path);

/*
 * Put back user, security context and settings. On error nothing needs to be
 * done: aborting the (sub)transaction does the same. Code that catches an
 * error without aborting must call this itself.
 */
extern void hone_leave(const HoneScope *scope);

/*
 * May the current user see texts and values of this role's statements?
 * True for the role itself, for those who have its privileges, and for members
 * of pg_read_all_stats.
 */
extern bool hone_may_see_role(Oid roleid);

/* Who owns a relation, which must be there. */
extern Oid	hone_relation_owner(Oid relid);

#endif							/* HONE_OWNER_H */
