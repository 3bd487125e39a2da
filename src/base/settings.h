/*
 * settings.h
 *	  The settings under which a statement was read and planned, kept flat, and
 *	  taken on again to plan it as it was.
 *
 * Lives in base because workload keeps them and advise plans under them.
 */
#ifndef HONE_SETTINGS_H
#define HONE_SETTINGS_H

/*
 * Write this session's own settings to a buffer, as name and value one after
 * the other, each ended by a zero byte; first those that change plans, whose
 * bytes go to *plan_len, then those that change what a text means. Returns the
 * bytes in all, or -1 when they do not fit. search_path is not among them.
 */
extern int	hone_settings_collect(char *to, int size, int *plan_len);

/* What was written above, as jsonb. */
extern Datum hone_settings_jsonb(const char *settings, int len);

/*
 * Take on a statement's settings: pairs holds npairs names, each followed by
 * its value. What this session has set for itself and the statement's had not
 * goes back to what the server, or else PostgreSQL, has by default. Names that are
 * not such settings here, and values this role could not set, are passed over.
 * Call inside hone_enter_role(): hone_leave() undoes it.
 */
extern void hone_settings_take_on(char **pairs, int npairs);

/*
 * Make values and expressions read and print the same in every session, until
 * the current GUC nest level ends.
 */
extern void hone_settings_be_plain(void);

#endif							/* HONE_SETTINGS_H */
