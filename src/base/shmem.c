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
 * The postmaster maps the arena, and its children inherit the mapping: no
 * process has to allocate anything for it, not even while an error is being
 * caught.
 *
 * After a crash the postmaster runs the startup hook again with found =
 * false, and everything starts empty. A part that wants to outlive a clean restart
 * saves itself when the postmaster exits and loads itself when it starts.
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
#define MAX_RESTARTS 4

typedef struct HoneShmemControl
{
	int			tranche;		/* of all our LWLocks and the arena */
	Size		arena_size;
} HoneShmemControl;

static const HoneShmemPart *parts[MAX_PARTS];
static int	nparts = 0;

static struct
{
	void		(*load) (void);
	void		(*save) (void);
}			restarts[MAX_RESTARTS];
static int	nrestarts = 0;

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

/* In the postmaster, when all other processes are gone. */
static void
save_parts(int code, Datum arg pg_attribute_unused())
{
	if (code != 0)
		return;
	for (int i = 0; i < nrestarts; i++)
		restarts[i].save();
}

static void
load_parts(void)
{
	for (int i = 0; i < nrestarts; i++)
		restarts[i].load();
	on_shmem_exit(save_parts, (Datum) 0);
}

static void
shmem_startup(void)
{
	bool		found;

	if (prev_shmem_startup)
		prev_shmem_startup();

	/* Also run again after a crash: forget the old mapping. */
	if (arena != NULL)
		dsa_detach(arena);
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

	(void) hone_arena();
	if (!IsUnderPostmaster)
		load_parts();
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

void
hone_shmem_at_restart(void (*load) (void), void (*save) (void))
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	if (nrestarts >= MAX_RESTARTS)
		elog(ERROR, "too many modules to save");
	restarts[nrestarts].load = load;
	restarts[nrestarts].save = save;
	nrestarts++;
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
