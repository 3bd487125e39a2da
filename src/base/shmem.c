/*
 * shmem.c
 *	  The library's shared memory.
 *
 * Everything is reserved when the server starts and never grows: each module
 * registers a fixed part, and one arena holds what has variable size (query
 * texts, parameter values, plans). The arena is a DSA area created in place
 * whose size limit is its own size, so that no allocation can ever create a
 * segment, touch the file system or raise an error: it succeeds or returns
 * InvalidDsaPointer.
 *
 * Locks: DSA takes its own LWLocks for a moment in each allocation. A caller
 * may hold one of ours meanwhile; DSA never calls back.
 *
 * After a crash the postmaster runs the startup hook again with found =
 * false, and everything starts empty.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/shmem.h"

#define MAX_PARTS 16

typedef struct HoneShmemControl
{
	int			tranche;		/* of all our LWLocks and the arena */
	Size		arena_size;
} HoneShmemControl;

static const HoneShmemPart *parts[MAX_PARTS];
static int	nparts = 0;

static HoneShmemControl *control = NULL;
static void *arena_place = NULL;
static dsa_area *arena = NULL;	/* this process's mapping */

static int	shared_memory_kb = 32 * 1024;

static shmem_request_hook_type prev_shmem_request = NULL;
static shmem_startup_hook_type prev_shmem_startup = NULL;

static Size
arena_bytes(void)
{
	return (Size) shared_memory_kb * 1024;
}

static void
shmem_request(void)
{
	if (prev_shmem_request)
		prev_shmem_request();

	RequestAddinShmemSpace(MAXALIGN(sizeof(HoneShmemControl)));
	RequestAddinShmemSpace(arena_bytes());
	for (int i = 0; i < nparts; i++)
		RequestAddinShmemSpace(parts[i]->size());
}

static void
create_arena(void)
{
	dsa_area   *area;

	area = dsa_create_in_place(arena_place, control->arena_size,
							   control->tranche, NULL);
	dsa_pin(area);
	dsa_set_size_limit(area, control->arena_size);
	dsa_detach(area);
}

static void
shmem_startup(void)
{
	bool		found;

	if (prev_shmem_startup)
		prev_shmem_startup();

	/* Also run again after a crash: forget the old mapping. */
	arena = NULL;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);

	control = ShmemInitStruct("pg_hone control", sizeof(HoneShmemControl), &found);
	if (!found)
	{
		control->tranche = LWLockNewTrancheId();
		control->arena_size = arena_bytes();
	}
	LWLockRegisterTranche(control->tranche, "pg_hone");

	arena_place = ShmemInitStruct("pg_hone arena", control->arena_size, &found);
	if (!found)
		create_arena();

	for (int i = 0; i < nparts; i++)
	{
		void	   *memory = ShmemInitStruct(parts[i]->name, parts[i]->size(), &found);

		parts[i]->startup(memory, found);
	}

	LWLockRelease(AddinShmemInitLock);
}

void
hone_shmem_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;

	DefineCustomIntVariable("pg_hone.shared_memory",
							"Sets the shared memory for texts, parameter values and plans.",
							"What does not fit is not kept, and counted as lost.",
							&shared_memory_kb,
							32 * 1024, 1024, 16 * 1024 * 1024,
							PGC_POSTMASTER,
							GUC_UNIT_KB,
							NULL, NULL, NULL);

	prev_shmem_request = shmem_request_hook;
	shmem_request_hook = shmem_request;
	prev_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = shmem_startup;
}

void
hone_shmem_register(const HoneShmemPart *part)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	if (nparts >= MAX_PARTS)
		elog(ERROR, "too many shared memory parts");
	parts[nparts++] = part;
}

bool
hone_shmem_ready(void)
{
	return control != NULL;
}

void
hone_shmem_require(void)
{
	if (!hone_shmem_ready())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pg_hone must be loaded via \"shared_preload_libraries\""),
				 errhint("Add pg_hone to \"shared_preload_libraries\" and restart the server. "
						 "What-if planning and advice on statements given by hand work without it.")));
}

void
hone_shmem_init_lock(LWLock *lock)
{
	LWLockInitialize(lock, control->tranche);
}

dsa_area *
hone_arena(void)
{
	MemoryContext old;

	if (arena != NULL || control == NULL)
		return arena;

	old = MemoryContextSwitchTo(TopMemoryContext);
	arena = dsa_attach_in_place(arena_place, NULL);
	dsa_pin_mapping(arena);
	MemoryContextSwitchTo(old);
	return arena;
}

dsa_pointer
hone_arena_alloc(Size size)
{
	dsa_area   *area = hone_arena();

	if (area == NULL || size == 0)
		return InvalidDsaPointer;
	return dsa_allocate_extended(area, size, DSA_ALLOC_NO_OOM | DSA_ALLOC_HUGE);
}

void
hone_arena_free(dsa_pointer pointer)
{
	if (DsaPointerIsValid(pointer))
		dsa_free(hone_arena(), pointer);
}

void *
hone_arena_address(dsa_pointer pointer)
{
	return dsa_get_address(hone_arena(), pointer);
}

Size
hone_arena_size(void)
{
	return control ? control->arena_size : 0;
}

Size
hone_fixed_size(void)
{
	Size		total = 0;

	if (control == NULL)
		return 0;
	for (int i = 0; i < nparts; i++)
		total += parts[i]->size();
	return total + sizeof(HoneShmemControl);
}
