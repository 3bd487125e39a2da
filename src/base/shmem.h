/*
 * shmem.h
 *	  The library's shared memory: who asked for what, and one arena for
 *	  things of variable size.
 */
#ifndef HONE_SHMEM_H
#define HONE_SHMEM_H

#include "storage/lwlock.h"
#include "utils/dsa.h"

/*
 * A module's fixed part of shared memory. Registered once, from the module's
 * init function, while shared_preload_libraries is processed.
 */
typedef struct HoneShmemPart
{
	const char *name;			/* unique, starts with "pg_hone " */
	Size		(*size) (void); /* bytes; MaxBackends is known by then */

	/*
	 * Called once in the postmaster at start and after each crash (found is
	 * false: initialise), and in every process that maps the memory anew
	 * (found is true: only remember the address).
	 */
	void		(*startup) (void *memory, bool found);
} HoneShmemPart;

extern void hone_shmem_init(void);
extern void hone_shmem_register(const HoneShmemPart *part);

/*
 * What a module does to have its memory outlive a clean restart. Both are called
 * in the postmaster, while no other process uses the memory, and may use the
 * arena: load after every part was initialised, save when the server has
 * shut down without a crash (it may still have been an immediate shutdown).
 * Neither may raise an error: the server would not start.
 */
extern void hone_shmem_at_restart(void (*load) (void), void (*save) (void));

/* True in a process of a server that preloaded the library. */
extern bool hone_shmem_ready(void);

/* Raise an error with the standard hint unless hone_shmem_ready(). */
extern void hone_shmem_require(void);

/* Make an LWLock in shared memory ready for use (from a startup callback). */
extern void hone_shmem_init_lock(LWLock *lock);

/*
 * The arena for texts, parameter values and plans: pg_hone.shared_memory
 * bytes, reserved at start, never growing. Allocate with
 * hone_arena_alloc, which returns InvalidDsaPointer when it is full (count
 * that as a loss and go on). NULL when the library was not preloaded.
 */
extern dsa_area *hone_arena(void);
extern dsa_pointer hone_arena_alloc(Size size);
extern void hone_arena_free(dsa_pointer pointer);
extern void *hone_arena_address(dsa_pointer pointer);

/* Bytes of the arena, and of all fixed parts together. */
extern Size hone_arena_size(void);
extern Size hone_fixed_size(void);

#endif							/* HONE_SHMEM_H */
