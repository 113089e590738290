/* Is everything on the disk what was written there?
 *
 * SQLite notices damage to its own structure, not to what is stored in it. So each row carries a
 * CRC over its other columns, as a constraint: `PRAGMA integrity_check` reads them all at the
 * start.
 *
 * And it takes the first frame of its write-ahead log that is not right for the end of that log.
 * This is so after a power loss, which tears the end off. But where a frame in the middle was
 * damaged, what stands behind it was acknowledged, and must not be forgotten in silence. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_impl.h"

/* crc32(column, ...) in SQL: an integer as eight bytes, anything else as its length and bytes. */
static void sql_crc32(sqlite3_context *context, int count, sqlite3_value **values)
{
	struct buffer all = { 0 };
	for (int i = 0; i < count; i++) {
		if (sqlite3_value_type(values[i]) == SQLITE_INTEGER) {
			put_u64(&all, (uint64_t)sqlite3_value_int64(values[i]));
		} else {
			const uint8_t *data = sqlite3_value_blob(values[i]);
			size_t len = (size_t)sqlite3_value_bytes(values[i]);
			put_u64(&all, len);
			put_bytes(&all, (struct view){ data, len });
		}
	}
	sqlite3_result_int64(context, crc32_of((struct view){ all.data, all.len }));
	buffer_free(&all);
}

bool whole_add_crc32(struct store *s)
{
	return sqlite3_create_function_v2(s->db, "crc32", -1,
			   SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, NULL, sql_crc32, NULL, NULL,
			   NULL) == SQLITE_OK;
}

/* ---- the write-ahead log: https://www.sqlite.org/fileformat2.html#the_write_ahead_log */

enum { WAL_HEADER = 32, FRAME_HEADER = 24, SALTS = 8, PAGE_MOST = 65536 };

struct wal {
	FILE *file;
	bool big_endian; /* how the checksums read the bytes */
	uint32_t page;
	uint8_t salts[SALTS];
	uint32_t sum[2]; /* over all so far */
};

static uint32_t word(const uint8_t *bytes)
{
	struct reader r = reader_of((struct view){ bytes, 4 });
	return take_u32(&r);
}

static void add_to_sum(struct wal *w, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i += 8) {
		uint32_t pair[2];
		for (int j = 0; j < 2; j++) {
			const uint8_t *at = bytes + i + (size_t)(4 * j);
			pair[j] = w->big_endian ? word(at)
									: (uint32_t)at[0] | (uint32_t)at[1] << 8 |
					(uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
		}
		w->sum[0] += pair[0] + w->sum[1];
		w->sum[1] += pair[1] + w->sum[0];
	}
}

static bool sum_is(const struct wal *w, const uint8_t *stored)
{
	return word(stored) == w->sum[0] && word(stored + 4) == w->sum[1];
}

/* False when the log has frames behind a header that is not right: it was synced before them. */
static bool read_header(struct wal *w, bool *is_empty)
{
	uint8_t header[WAL_HEADER], next;
	*is_empty = fread(header, 1, WAL_HEADER, w->file) < WAL_HEADER;
	if (*is_empty)
		return true;
	w->big_endian = word(header) & 1;
	w->page = word(header + 8);
	memcpy(w->salts, header + 16, SALTS);
	add_to_sum(w, header, WAL_HEADER - SALTS);
	if ((word(header) | 1) == 0x377f0683 && w->page >= 512 && w->page <= PAGE_MOST &&
		sum_is(w, header + WAL_HEADER - SALTS))
		return true;
	*is_empty = fread(&next, 1, 1, w->file) == 0;
	return *is_empty;
}

/* A transaction ends with a frame that commits. One that is not synced may stand before the last,
 * as store_begin has it: so where a frame follows behind two ends, all up to there was on disk. */
static bool frames_are_whole(struct wal *w)
{
	uint8_t *frame = xmalloc(FRAME_HEADER + PAGE_MOST);
	bool is_broken = false, whole = true;
	unsigned ends = 0;
	while (whole && fread(frame, 1, FRAME_HEADER + w->page, w->file) == FRAME_HEADER + w->page) {
		bool is_of_this_log = memcmp(frame + 8, w->salts, SALTS) == 0;
		if (!is_broken && is_of_this_log) {
			add_to_sum(w, frame, 8);
			add_to_sum(w, frame + FRAME_HEADER, w->page);
		}
		is_broken = is_broken || !is_of_this_log || !sum_is(w, frame + 16);
		if (is_broken && is_of_this_log) {
			whole = ends < 2;
			ends += word(frame + 4) != 0;
		}
	}
	free(frame);
	return whole;
}

bool whole_log(const char *database, char *why, size_t why_size)
{
	size_t size = strlen(database) + sizeof "-wal";
	char *path = xmalloc(size);
	snprintf(path, size, "%s-wal", database);
	struct wal w = { .file = fopen(path, "rb") };
	bool is_empty = !w.file, whole = is_empty;
	if (!is_empty)
		whole = read_header(&w, &is_empty) && (is_empty || frames_are_whole(&w));
	if (w.file)
		fclose(w.file);
	if (!whole)
		snprintf(why, why_size, "%s is damaged in the middle: what follows would be lost", path);
	free(path);
	return whole;
}
