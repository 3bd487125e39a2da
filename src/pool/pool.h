/*
 * pool.h
 *	  Sessions: who holds them, how many at most, and how many were refused.
 */
#ifndef HONE_POOL_H
#define HONE_POOL_H

extern void hone_pool_init(void);

/* Look at the sessions once; called about each second by the launcher. */
extern void hone_pool_sample(void);

#endif							/* HONE_POOL_H */
