/*
 * save.c
 *	  The slow log in memory across a clean restart.
 *
 * When the postmaster exits after a shutdown, it writes what is in the ring to
 * a file; when it starts, it reads it back and removes it. The collector finds
 * the entries where it left them: each still says whether it was stored.
 *
 * The file is believed only if it is the one that this very shutdown left:
 * written by the same server and library version on this cluster, and the
 * control file says that the server was shut down cleanly at the same checkpoint.
 * So an immediate shutdown writes none, and one that came into the directory in
 * any other way (a base backup, a rewound or restored directory, a copied file)
 * is not loaded. A checksum and lengths guard against damage; whatever does not
 * fit is ignored with one line in the server's log, and the server starts.
 *
 * Entries are written newest first, so that those are kept when the ring or the
 * arena has become smaller. Reading takes the memory of one entry.
 *
 * It contains texts and parameter values, and has the permissions of
 * the data directory's other files. pg_upgrade does not take it along.
 */
#include "postgres.h"

#include <sys/stat.h>
#include <unistd.h>

#include "access/xlog.h"
#include "catalog/catversion.h"
#include "catalog/pg_control.h"
#include "common/controldata_utils.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/pg_crc32c.h"
#include "storage/fd.h"
#include "utils/memutils.h"

#include "slowlog/ring.h"
#include "slowlog/save.h"

#define FILE_NAME PGSTAT_STAT_PERMANENT_DIRECTORY "/pg_hone_slow_log.stat"
#define TEMPORARY_NAME FILE_NAME ".tmp"

#define MAGIC UINT64CONST(0x676F6C776F6C7368)
#define FORMAT 1				/* raise it when HoneSlowEntry or HoneParams change */

typedef struct FileHeader
{
	uint64		magic;
	uint32		format;
	uint32		catalog_version;
	uint32		server_major;
	uint32		entry_size;
	uint64		system_identifier;
	uint64		checkpoint;		/* where the server was shut down */
	uint64		next_id;
	uint64		nentries;
	uint64		file_size;		/* with the checksum at its end */
} FileHeader;

typedef struct Writer
{
	FILE	   *file;
	pg_crc32c	crc;
	uint64		size;
	bool		ok;
} Writer;

/* What would say that the file is of this shutdown. False after any other end. */
static bool
shutdown_identity(uint64 *system_identifier, uint64 *checkpoint)
{
	bool		crc_ok;
	ControlFileData *control = get_controlfile(DataDir, &crc_ok);
	bool		clean = crc_ok && (control->state == DB_SHUTDOWNED ||
								   control->state == DB_SHUTDOWNED_IN_RECOVERY);

	*system_identifier = control->system_identifier;
	*checkpoint = control->checkPoint;
	pfree(control);
	return clean;
}

static void
write_piece(Writer *writer, const void *bytes, Size size)
{
	if (!writer->ok || size == 0)
		return;
	writer->ok = fwrite(bytes, 1, size, writer->file) == size;
	COMP_CRC32C(writer->crc, bytes, size);
	writer->size += size;
}

static bool
write_file(FILE *file, FileHeader *header, uint64 lowest)
{
	Writer		writer = {.file = file, .ok = true};

	INIT_CRC32C(writer.crc);
	write_piece(&writer, header, sizeof(*header));
	for (uint64 id = header->next_id - 1; id >= lowest; id--)
	{
		const char *block;
		const HoneSlowEntry *entry = hone_slow_ring_peek(id, &block);

		if (entry == NULL)
			continue;
		write_piece(&writer, entry, sizeof(*entry));
		write_piece(&writer, block, hone_slow_ring_block_size(entry));
	}
	FIN_CRC32C(writer.crc);
	return writer.ok &&
		fwrite(&writer.crc, 1, sizeof(writer.crc), file) == sizeof(writer.crc);
}

/* Count what will be written. */
static void
measure(FileHeader *header, uint64 lowest)
{
	header->file_size = sizeof(*header) + sizeof(pg_crc32c);
	for (uint64 id = lowest; id < header->next_id; id++)
	{
		const char *block;
		const HoneSlowEntry *entry = hone_slow_ring_peek(id, &block);

		if (entry == NULL)
			continue;
		header->nentries++;
		header->file_size += sizeof(*entry) + hone_slow_ring_block_size(entry);
	}
}

static void
fill_header(FileHeader *header)
{
	memset(header, 0, sizeof(*header));
	header->magic = MAGIC;
	header->format = FORMAT;
	header->catalog_version = CATALOG_VERSION_NO;
	header->server_major = PG_MAJORVERSION_NUM;
	header->entry_size = sizeof(HoneSlowEntry);
}

void
hone_slow_save(void)
{
	FileHeader	header;
	uint64		lowest;
	uint64		highest;
	FILE	   *file;
	bool		ok;

	fill_header(&header);
	if (!shutdown_identity(&header.system_identifier, &header.checkpoint) ||
		!hone_slow_ring_range(&lowest, &highest))
		return;
	header.next_id = highest + 1;
	measure(&header, lowest);

	file = AllocateFile(TEMPORARY_NAME, PG_BINARY_W);
	ok = file != NULL;
	if (file != NULL)
	{
		ok = write_file(file, &header, lowest);
		if (FreeFile(file) != 0)
			ok = false;
	}
	if (!ok)
	{
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", TEMPORARY_NAME),
				 errdetail("Slow statements that were not stored yet are lost.")));
		unlink(TEMPORARY_NAME);
		return;
	}
	(void) durable_rename(TEMPORARY_NAME, FILE_NAME, LOG);
}

/*
 * ------------------------------------------------------------------
 * Loading
 * ------------------------------------------------------------------
 */

/* NULL, or why the file is not to be believed. */
static const char *
check_header(const FileHeader *header, uint64 size)
{
	FileHeader	wanted;

	fill_header(&wanted);
	if (header->magic != wanted.magic)
		return "it is of another kind";
	if (header->format != wanted.format ||
		header->catalog_version != wanted.catalog_version ||
		header->server_major != wanted.server_major ||
		header->entry_size != wanted.entry_size)
		return "another version wrote it";
	if (!shutdown_identity(&wanted.system_identifier, &wanted.checkpoint) ||
		header->system_identifier != wanted.system_identifier ||
		header->checkpoint != wanted.checkpoint)
		return "it is not of this server's last shutdown";
	if (header->file_size != size || header->next_id == 0 ||
		header->next_id > PG_INT64_MAX)
		return "it is damaged";
	return NULL;
}

static bool
checksum_matches(FILE *file, uint64 size)
{
	char		buffer[8192];
	uint64		left = size - sizeof(pg_crc32c);
	pg_crc32c	crc;
	pg_crc32c	saved;

	INIT_CRC32C(crc);
	rewind(file);
	while (left > 0)
	{
		Size		piece = (Size) Min(left, sizeof(buffer));

		if (fread(buffer, 1, piece, file) != piece)
			return false;
		COMP_CRC32C(crc, buffer, piece);
		left -= piece;
	}
	FIN_CRC32C(crc);
	return fread(&saved, 1, sizeof(saved), file) == sizeof(saved) &&
		EQ_CRC32C(crc, saved);
}

/* Is an entry one that this library may have written? */
static bool
entry_is_sane(const HoneSlowEntry *entry, uint64 below_id, uint64 bytes_left)
{
	return entry->id > 0 && entry->id < below_id &&
		hone_slow_ring_block_size(entry) <= bytes_left &&
		hone_slow_ring_block_size(entry) < MaxAllocHugeSize &&
		entry->params_len == MAXALIGN(entry->params_len) &&
		memchr(entry->application_name, '\0', sizeof(entry->application_name)) != NULL &&
		memchr(entry->client_addr, '\0', sizeof(entry->client_addr)) != NULL;
}

/* The entries, as long as there is room. False if they are not what they should be. */
static bool
read_entries(FILE *file, const FileHeader *header)
{
	uint64		below_id = header->next_id;
	uint64		left = header->file_size - sizeof(*header) - sizeof(pg_crc32c);
	bool		room = true;

	for (uint64 i = 0; i < header->nentries; i++)
	{
		HoneSlowEntry entry;
		Size		size;
		char	   *block = NULL;

		if (left < sizeof(entry) ||
			fread(&entry, 1, sizeof(entry), file) != sizeof(entry))
			return false;
		left -= sizeof(entry);
		if (!entry_is_sane(&entry, below_id, left))
			return false;
		below_id = entry.id;
		size = hone_slow_ring_block_size(&entry);
		left -= size;

		/* One that finds no room ends it: there are no gaps in the ring. */
		if (room && size > 0)
			block = palloc_extended(size, MCXT_ALLOC_NO_OOM | MCXT_ALLOC_HUGE);
		if (block != NULL && fread(block, 1, size, file) != size)
			return false;
		if (block == NULL && size > 0)
		{
			room = false;
			if (fseeko(file, (off_t) size, SEEK_CUR) != 0)
				return false;
		}
		if (room)
			room = hone_slow_ring_put_back(&entry, block);
		if (!room)
			hone_slow_ring_count_unrestored(&entry);
		if (block != NULL)
			pfree(block);
	}
	return left == 0;
}

static const char *
read_file(FILE *file)
{
	struct stat status;
	FileHeader	header;
	const char *problem;

	if (fstat(fileno(file), &status) != 0 || !S_ISREG(status.st_mode) ||
		status.st_size < (off_t) (sizeof(header) + sizeof(pg_crc32c)) ||
		fread(&header, 1, sizeof(header), file) != sizeof(header))
		return "it is damaged";
	problem = check_header(&header, (uint64) status.st_size);
	if (problem != NULL)
		return problem;
	if (!checksum_matches(file, header.file_size) ||
		fseeko(file, (off_t) sizeof(header), SEEK_SET) != 0)
		return "it is damaged";

	hone_slow_ring_resume(header.next_id);
	return read_entries(file, &header) ? NULL : "it is damaged";
}

void
hone_slow_load(void)
{
	FILE	   *file = AllocateFile(FILE_NAME, PG_BINARY_R);
	const char *problem;

	if (file == NULL)
	{
		if (errno != ENOENT)
			ereport(LOG,
					(errcode_for_file_access(),
					 errmsg("could not open file \"%s\": %m", FILE_NAME)));
		return;
	}
	problem = read_file(file);
	FreeFile(file);
	if (problem != NULL)
		ereport(LOG,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("ignoring file \"%s\"", FILE_NAME),
				 errdetail("The slow log cannot be read from it: %s.", problem)));

	/* Whatever comes next, it is not this state of the server any more. */
	if (unlink(FILE_NAME) != 0)
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not remove file \"%s\": %m", FILE_NAME)));
}
