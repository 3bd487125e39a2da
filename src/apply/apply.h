/*
 * apply.h
 *	  Carries out recommendations, and takes them back.
 *
 * Entry points are SQL procedures (apply.sql); other rooms use those, and the
 * tables.
 */
#ifndef HONE_APPLY_H
#define HONE_APPLY_H

extern void hone_apply_init(void);
extern void hone_apply_auto_init(void);

#endif							/* HONE_APPLY_H */
