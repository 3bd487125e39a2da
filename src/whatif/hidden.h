/*
 * hidden.h
 *	  What the two files about hidden indexes share with whatif.c. Nobody else
 *	  includes it.
 *
 * hidden.c keeps the planner from seeing them, hide.c is where they are hidden
 * and shown.
 */
#ifndef HONE_HIDDEN_H
#define HONE_HIDDEN_H

#define HONE_HIDDEN_SCHEMA "hone"
#define HONE_HIDDEN_STORE "hidden_index_store"

/*
 * hidden.c: is the index, or one it is a partition of, hidden in any way? Which
 * one that is, or InvalidOid.
 */
extern Oid	hone_hidden_ancestor(Oid index_oid);
extern void hone_hidden_init(void);

/* hide.c */
extern void hone_hide_init(void);

/* whatif.c: is the planner call being made the one of a what-if question? */
extern bool hone_whatif_is_asking(void);

#endif							/* HONE_HIDDEN_H */
