/*
 * frame.c
 *	  The executions of this process that have begun to run and not ended.
 *
 * An execution is known by its QueryDesc. Frames form a list with the newest
 * first: executions mostly nest, so the one looked for is nearly always there;
 * cursors end out of order, so it is searched for if not. A frame never moves,
 * so a pointer to it may be kept across a call down.
 *
 * An execution that dies with its (sub)transaction never reaches ExecutorEnd:
 * transaction callbacks (failure.c) count what it did and drop its frame. A frame at work belongs to a
 * subtransaction outside those that statements below it begin, so what they
 * roll back never takes it away.
 *
 * Frames are allocated in TopMemoryContext and used again; deeper than
 * MAX_FRAMES executions are not measured. No memory: not measured either.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "probe/internal.h"
#include "stats/stats.h"

#define MAX_FRAMES 4096

HoneFrame  *hone_frame_unused = NULL;

HoneFrame *
hone_frame_allocate(void)
{
	static int	allocated = 0;
	HoneFrame  *frame;

	if (allocated == 0)
		hone_probe.until_own_clock = hone_own_time_begin();
	if (allocated >= MAX_FRAMES)
		return NULL;
	frame = MemoryContextAllocExtended(TopMemoryContext, sizeof(HoneFrame),
									   MCXT_ALLOC_NO_OOM);
	if (frame == NULL)
		return NULL;
	allocated++;
	hone_probe_begin_record(&frame->execution);
	return frame;
}

HoneFrame *
hone_frame_search(const QueryDesc *query_desc)
{
	for (HoneFrame *frame = hone_probe.frames; frame != NULL; frame = frame->below)
	{
		if (frame->query_desc == query_desc)
			return frame;
	}
	return NULL;
}

void
hone_frame_unlink(HoneFrame *frame)
{
	HoneFrame **link = &hone_probe.frames;

	while (*link != frame)
		link = &(*link)->below;
	*link = frame->below;
}

/*
 * What has run, but was never ended: a cursor, or a portal of the extended
 * protocol that is still there, as the unnamed one is after it was read. It
 * counts as far as it went. Its text, values and plan may be gone already.
 */
void
hone_frame_abandon(HoneFrame *frame)
{
	if (!frame->running && !hone_capture_paused && !IsParallelWorker())
	{
		frame->execution.early_plan = NULL;
		(void) hone_stats_record(&frame->execution);
	}
	hone_frame_drop(frame);
}

/* Drop what a rolled back subtransaction leaves behind, and those inside it. */
void
hone_frame_drop_subxact(SubTransactionId subxact)
{
	HoneFrame  *frame = hone_probe.frames;

	while (frame != NULL)
	{
		HoneFrame  *below = frame->below;

		if (frame->subxact >= subxact)
			hone_frame_abandon(frame);
		frame = below;
	}
}

void
hone_frame_drop_all(void)
{
	while (hone_probe.frames != NULL)
		hone_frame_abandon(hone_probe.frames);
}

void
hone_probe_add_all(HoneExecution *execution, const HoneUsageMark *mark)
{
	int64	   *pg_restrict usage = (int64 *) &execution->usage;
	const int64 *pg_restrict counters = mark->counters;
	const int64 *buffers = (const int64 *) &pgBufferUsage;
	const int64 *wal = (const int64 *) &pgWalUsage;

	for (int i = 0; i < HONE_BUFFER_COUNTERS; i++)
		usage[i] += buffers[i] - counters[i];
	for (int i = 0; i < HONE_WAL_COUNTERS; i++)
		usage[HONE_BUFFER_COUNTERS + i] += wal[i] - counters[HONE_BUFFER_COUNTERS + i];
	if (mark->io_timing)
	{
		execution->usage.read_ns += hone_read_ns() - mark->read_ns;
		execution->usage.write_ns += hone_write_ns() - mark->write_ns;
	}
	execution->unusual = true;
}
