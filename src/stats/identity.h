/*
 * identity.h
 *	  Which parts of a query do not count for its identity; private to this
 *	  room (hone_stats_identity and hone_stats_identify are in stats.h).
 */
#ifndef HONE_STATS_IDENTITY_H
#define HONE_STATS_IDENTITY_H

#include "base/compat.h"
#include "base/shmem.h"

/* A list in a query's text of which only the first element counts. */
typedef enum HoneListKind
{
	HONE_LIST_IN,				/* location is that of IN, or of NOT IN's NOT */
	HONE_LIST_ARRAY,			/* location is that of ARRAY, or of a bracket */
	HONE_LIST_VALUES			/* location is somewhere in the first row */
} HoneListKind;

typedef struct HoneList
{
	int			location;		/* in the source text */
	HoneListKind kind;
} HoneList;

/* A place in the tree to be changed for a moment; applying it swaps. */
typedef struct HoneTreeEdit
{
	void	   *place;
	uint64		value;
	bool		wide;			/* a pointer, else four bytes */
} HoneTreeEdit;

typedef struct HoneFolds
{
	HoneList   *lists;
	int			nlists;
	int			max_lists;
	HoneTreeEdit *edits;
	int			nedits;
	int			max_edits;
	bool		temporary;		/* there is a temporary table in it */
	HoneList	list_space[8];
	HoneTreeEdit edit_space[24];
} HoneFolds;

/* in lists.c */
extern void hone_stats_find_folds(Query *query, const char *source,
								  bool temporary_tables, HoneFolds *folds);
extern void hone_stats_add_edit(HoneFolds *folds, void *place, uint64 value, bool wide);
extern void hone_stats_free_folds(HoneFolds *folds);

static inline void
hone_stats_swap_edit(HoneTreeEdit *edit)
{
	uint64		old;

	if (edit->wide)
	{
		old = (uint64) (uintptr_t) *(void **) edit->place;
		*(void **) edit->place = (void *) (uintptr_t) edit->value;
	}
	else
	{
		old = *(uint32 *) edit->place;
		*(uint32 *) edit->place = (uint32) edit->value;
	}
	edit->value = old;
}

/* in identity.c */
extern const HoneShmemPart hone_stats_identity_part;
extern void hone_stats_identity_settings(void);
extern void hone_stats_free_jumble(JumbleState *state);

/* in normalise.c */
extern char *hone_stats_normalise(const char *text, int length, int location,
								  const JumbleState *jstate,
								  const HoneFolds *folds, int enough,
								  int *result_length);

#endif							/* HONE_STATS_IDENTITY_H */
