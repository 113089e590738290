/* What is on the disk: the log, Raft's hard state, and the applied state.
 *
 * The log and the applied state share a file, so one COMMIT, one fsync, makes a whole Ready
 * durable: the entries, the hard state, and what was applied. That also means that the key-value
 * tables always stand at `applied` exactly; there is no copy of a snapshot in the file, since the
 * tables are one. */
#include "store_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The row's CRC, of its columns as they are or as they are about to be. */
#define STATE_CRC(hard_state, applied, compacted, conf_state)               \
	"crc = crc32(node_id, cluster_id, joined, " hard_state ", " applied ", " \
		compacted ", " conf_state ")"
#define HARD_STATE "term, vote, commit_index"
#define COMPACTED "compacted_index, compacted_term"

static const char SCHEMA[] =
	"CREATE TABLE state(one INTEGER PRIMARY KEY CHECK(one = 1),"
	"  node_id INTEGER, cluster_id TEXT, joined INTEGER,"
	"  term INTEGER, vote INTEGER, commit_index INTEGER, applied INTEGER,"
	"  compacted_index INTEGER, compacted_term INTEGER, conf_state BLOB,"
	"  crc INTEGER, CHECK(" STATE_CRC(HARD_STATE, "applied", COMPACTED, "conf_state") "));"
	"CREATE TABLE log(idx INTEGER PRIMARY KEY, term INTEGER NOT NULL, type INTEGER NOT NULL,"
	"  data BLOB NOT NULL, crc INTEGER, CHECK(crc = crc32(idx, term, type, data)));"
	"CREATE TABLE member(id INTEGER PRIMARY KEY, removed INTEGER NOT NULL, url BLOB NOT NULL,"
	"  crc INTEGER, CHECK(crc = crc32(id, removed, url)));"
	"CREATE TABLE request(id BLOB PRIMARY KEY, idx INTEGER NOT NULL,"
	"  crc INTEGER, CHECK(crc = crc32(id, idx))) WITHOUT ROWID;"
	"CREATE INDEX request_by_idx ON request(idx);"
	"CREATE TABLE kv(key BLOB PRIMARY KEY, value BLOB NOT NULL,"
	"  crc INTEGER, CHECK(crc = crc32(key, value))) WITHOUT ROWID;"
	"PRAGMA user_version = 2;";

static const char *const SQL[STATEMENTS] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[READ_STATE] =
		"SELECT term, vote, commit_index, applied, compacted_index, compacted_term, conf_state,"
		"  joined FROM state",
	[READ_LOG] = "SELECT idx, term, type, data FROM log ORDER BY idx",
	[READ_MEMBERS] = "SELECT id, removed, url FROM member ORDER BY id",
	[READ_REQUESTS] = "SELECT idx, id FROM request ORDER BY idx",
	[READ_PAIRS] = "SELECT key, value FROM kv ORDER BY key",
	[APPEND] = "INSERT INTO log VALUES(?1, ?2, ?3, ?4, crc32(?1, ?2, ?3, ?4))",
	[TRUNCATE] = "DELETE FROM log WHERE idx >= ?1",
	[COMPACT] = "DELETE FROM log WHERE idx <= ?1",
	[SET_COMPACTED] = "UPDATE state SET compacted_index = ?1, compacted_term = ?2, "
		STATE_CRC(HARD_STATE, "applied", "?1, ?2", "conf_state"),
	[SET_HARD_STATE] = "UPDATE state SET term = ?1, vote = ?2, commit_index = ?3, "
		STATE_CRC("?1, ?2, ?3", "applied", COMPACTED, "conf_state"),
	[SET_APPLIED] = "UPDATE state SET applied = ?1, "
		STATE_CRC(HARD_STATE, "?1", COMPACTED, "conf_state"),
	[SET_CONF_STATE] = "UPDATE state SET conf_state = ?1, "
		STATE_CRC(HARD_STATE, "applied", COMPACTED, "?1"),
	[SET_MEMBER] = "INSERT OR REPLACE INTO member VALUES(?1, ?2, ?3, crc32(?1, ?2, ?3))",
	[GET] = "SELECT value FROM kv WHERE key = ?1",
	[COUNT] = "SELECT count(*) FROM kv",
	[PUT] = "INSERT OR REPLACE INTO kv VALUES(?1, ?2, crc32(?1, ?2))",
	[DELETE] = "DELETE FROM kv WHERE key = ?1",
	[SEEN] = "SELECT idx FROM request WHERE id = ?1",
	[REMEMBER] = "INSERT INTO request VALUES(?1, ?2, crc32(?1, ?2))",
	[FORGET] = "DELETE FROM request WHERE idx <= ?1",
	[CLEAR_MEMBERS] = "DELETE FROM member",
	[CLEAR_REQUESTS] = "DELETE FROM request",
	[CLEAR_PAIRS] = "DELETE FROM kv",
};

/* ---- statements */

static void note_failure(struct store *s, const char *what)
{
	s->failed_code = sqlite3_extended_errcode(s->db);
	s->failed = true;
	s->errors++;
	int os = sqlite3_system_errno(s->db);
	snprintf(s->error, sizeof s->error, "%s: %s%s%s (SQLite code %d)", what, sqlite3_errmsg(s->db),
		os ? ": " : "", os ? strerror(os) : "", s->failed_code);
}

void store_contradiction(struct store *s, const char *what)
{
	s->failed_code = SQLITE_CORRUPT;
	s->failed = true;
	s->errors++;
	snprintf(s->error, sizeof s->error, "%s", what);
}

void store_bind_number(struct store *s, enum statement which, int at, uint64_t value)
{
	sqlite3_bind_int64(s->statements[which], at, (sqlite3_int64)value);
}

void store_bind_bytes(struct store *s, enum statement which, int at, struct view bytes)
{
	/* SQLITE_STATIC: every statement runs to its end before its bytes go away. No bytes is an empty
	 * blob, not NULL. */
	sqlite3_bind_blob64(s->statements[which], at, bytes.len ? (const void *)bytes.data : "",
		bytes.len, SQLITE_STATIC);
}

struct view store_column_bytes(sqlite3_stmt *st, int at)
{
	const uint8_t *data = sqlite3_column_blob(st, at);
	return (struct view){ data, (size_t)sqlite3_column_bytes(st, at) };
}

uint64_t store_column_number(sqlite3_stmt *st, int at)
{
	return (uint64_t)sqlite3_column_int64(st, at);
}

bool store_row(struct store *s, enum statement which)
{
	int rc = sqlite3_step(s->statements[which]);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		note_failure(s, SQL[which]);
	return rc == SQLITE_ROW;
}

void store_finish(struct store *s, enum statement which)
{
	sqlite3_reset(s->statements[which]);
	sqlite3_clear_bindings(s->statements[which]);
}

void store_run(struct store *s, enum statement which)
{
	store_row(s, which);
	store_finish(s, which);
}

/* ---- opening */

/* Runs SQL whose first column, if it has rows, must be `expect` (NULL: anything). */
static bool pragma(struct store *s, const char *sql, const char *expect)
{
	sqlite3_stmt *st = NULL;
	bool ok = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) == SQLITE_OK;
	int rc = ok ? sqlite3_step(st) : SQLITE_ERROR;
	ok = ok && (rc == SQLITE_ROW || rc == SQLITE_DONE);
	if (!ok) {
		note_failure(s, sql);
	} else if (expect &&
		(rc != SQLITE_ROW || strcmp((const char *)sqlite3_column_text(st, 0), expect) != 0)) {
		snprintf(s->error, sizeof s->error, "%s: expected %s, got %s", sql, expect,
			rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : "nothing");
		s->failed_code = SQLITE_CORRUPT;
		ok = false;
	}
	sqlite3_finalize(st);
	return ok;
}

static bool exec(struct store *s, const char *sql)
{
	if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return true;
	note_failure(s, "preparing the database");
	return false;
}

/* The schema and the node's identity come in one transaction: a crash leaves a finished database or
 * an empty one. */
static bool create(struct store *s, const struct store_identity *who)
{
	char *identity =
		sqlite3_mprintf("INSERT INTO state VALUES(1, %lld, %Q, %d, 0, 0, 0, 0, 0, 0, x'',"
						"  crc32(%lld, %Q, %d, 0, 0, 0, 0, 0, 0, x''));",
			(sqlite3_int64)who->node_id, who->cluster_id, who->joined, (sqlite3_int64)who->node_id,
			who->cluster_id, who->joined);
	bool ok = identity && exec(s, "BEGIN IMMEDIATE") && exec(s, SCHEMA) && exec(s, identity) &&
		exec(s, "COMMIT");
	sqlite3_free(identity);
	return ok;
}

static bool is_empty(struct store *s)
{
	sqlite3_stmt *st = NULL;
	bool empty = sqlite3_prepare_v2(s->db, "SELECT 1 FROM sqlite_master", -1, &st, NULL) ==
			SQLITE_OK &&
		sqlite3_step(st) == SQLITE_DONE;
	sqlite3_finalize(st);
	return empty;
}

static bool belongs_to(struct store *s, const struct store_identity *who, char *why,
	size_t why_size)
{
	sqlite3_stmt *st = NULL;
	bool same = false;
	if (sqlite3_prepare_v2(s->db, "SELECT node_id, cluster_id FROM state", -1, &st, NULL) !=
			SQLITE_OK ||
		sqlite3_step(st) != SQLITE_ROW) {
		snprintf(why, why_size, "the database has no identity: %s", sqlite3_errmsg(s->db));
	} else if (store_column_number(st, 0) != who->node_id) {
		snprintf(why, why_size,
			"the data directory belongs to node %" PRIu64 ", this is node %" PRIu64,
			store_column_number(st, 0), who->node_id);
	} else if (strcmp((const char *)sqlite3_column_text(st, 1), who->cluster_id) != 0) {
		snprintf(why, why_size, "the data directory belongs to cluster '%s', this is cluster '%s'",
			(const char *)sqlite3_column_text(st, 1), who->cluster_id);
	} else {
		same = true;
	}
	sqlite3_finalize(st);
	return same;
}

static enum store_open_result open_failed(struct store *s, char *why, size_t why_size)
{
	int code = s->failed_code & 0xff;
	if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
		snprintf(why, why_size, "the data directory is in use by another process");
	else
		snprintf(why, why_size, "%s", s->error);
	store_close(s);
	return code == SQLITE_BUSY || code == SQLITE_LOCKED ? STORE_REFUSED : STORE_BROKEN;
}

enum store_open_result store_open(struct store **out, const char *dir,
	const struct store_identity *who, char *why, size_t why_size)
{
	if (mkdir(dir, 0777) != 0 && errno != EEXIST) {
		snprintf(why, why_size, "%s: %s", dir, strerror(errno));
		return STORE_BROKEN;
	}
	struct store *s = xmalloc(sizeof *s);
	size_t size = strlen(dir) + sizeof "/kv.sqlite";
	char *path = xmalloc(size);
	snprintf(path, size, "%s/kv.sqlite", dir);
	bool whole = whole_log(path, why, why_size);
	int rc = whole ? sqlite3_open_v2(path, &s->db,
						 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL)
				   : SQLITE_CORRUPT;
	free(path);
	if (!whole) {
		store_close(s);
		return STORE_BROKEN;
	}
	if (rc != SQLITE_OK || !whole_add_crc32(s)) {
		note_failure(s, dir);
		return open_failed(s, why, why_size);
	}
	sqlite3_extended_result_codes(s->db, 1);

	/* EXCLUSIVE before WAL: the lock is taken with the first access, kept to the end, and freed by
	 * the kernel on a crash. */
	if (!pragma(s, "PRAGMA locking_mode = EXCLUSIVE", "exclusive") ||
		!pragma(s, "PRAGMA journal_mode = WAL", "wal") ||
		!pragma(s, "PRAGMA synchronous = FULL", NULL))
		return open_failed(s, why, why_size);
	if (is_empty(s)) {
		if (!create(s, who))
			return open_failed(s, why, why_size);
	} else {
		if (!pragma(s, "PRAGMA integrity_check(1)", "ok") || !pragma(s, "PRAGMA user_version", "2"))
			return open_failed(s, why, why_size);
		if (!belongs_to(s, who, why, why_size)) {
			store_close(s);
			return STORE_REFUSED;
		}
	}
	/* What is written is right by construction; the constraints are for the check above. */
	if (!pragma(s, "PRAGMA ignore_check_constraints = ON", NULL))
		return open_failed(s, why, why_size);
	for (int i = 0; i < STATEMENTS; i++)
		if (sqlite3_prepare_v3(s->db, SQL[i], -1, SQLITE_PREPARE_PERSISTENT, &s->statements[i],
				NULL) != SQLITE_OK) {
			note_failure(s, SQL[i]);
			return open_failed(s, why, why_size);
		}
	*out = s;
	return STORE_OPENED;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(s->statements[i]);
	sqlite3_close(s->db);
	buffer_free(&s->conf_state);
	free(s);
}

/* ---- reading */

void store_fresh(struct store *s)
{
	if (sqlite3_get_autocommit(s->db))
		s->failed = false;
}

bool store_read_state(struct store *s, struct stored_state *state)
{
	store_fresh(s);
	sqlite3_stmt *st = s->statements[READ_STATE];
	if (store_row(s, READ_STATE)) {
		s->conf_state.len = 0;
		put_bytes(&s->conf_state, store_column_bytes(st, 6));
		*state = (struct stored_state){
			.term = store_column_number(st, 0),
			.vote = store_column_number(st, 1),
			.commit = store_column_number(st, 2),
			.applied = store_column_number(st, 3),
			.compacted_index = store_column_number(st, 4),
			.compacted_term = store_column_number(st, 5),
			.conf_state = { s->conf_state.data, s->conf_state.len },
			.joined = store_column_number(st, 7) != 0,
		};
		if (state->applied < state->compacted_index || state->commit < state->applied)
			store_contradiction(s,
				"compacted, applied and commit index in the database are out of order");
	} else if (!s->failed) {
		store_contradiction(s, "the database has no state row");
	}
	store_finish(s, READ_STATE);
	return !s->failed;
}

bool store_read_log(struct store *s, const struct stored_state *state, store_entry_fn fn, void *arg)
{
	store_fresh(s);
	sqlite3_stmt *st = s->statements[READ_LOG];
	uint64_t last = state->compacted_index, last_term = state->compacted_term;
	while (!s->failed && store_row(s, READ_LOG)) {
		uint64_t index = store_column_number(st, 0), term = store_column_number(st, 1);
		if (index != last + 1 || term < last_term)
			store_contradiction(s, "the log in the database has a gap or a term that falls");
		else if (!fn(arg, index, term, (uint32_t)sqlite3_column_int(st, 2),
					 store_column_bytes(st, 3)))
			store_contradiction(s,
				"an entry of the log in the database was refused by the library");
		last = index;
		last_term = term;
	}
	store_finish(s, READ_LOG);
	if (!s->failed && last < state->commit)
		store_contradiction(s, "the log in the database ends before the commit index");
	return !s->failed;
}

/* ---- changing */

void store_begin(struct store *s, bool sync)
{
	bool relaxed = !sync && !s->unsynced;
	s->failed = false;
	if (relaxed != s->relaxed &&
		!pragma(s, relaxed ? "PRAGMA synchronous = NORMAL" : "PRAGMA synchronous = FULL", NULL)) {
		s->failed = true;
		return;
	}
	s->relaxed = relaxed;
	store_run(s, BEGIN);
}

void store_append(struct store *s, uint64_t index, uint64_t term, uint32_t type, struct view data)
{
	if (s->failed)
		return;
	store_bind_number(s, APPEND, 1, index);
	store_bind_number(s, APPEND, 2, term);
	store_bind_number(s, APPEND, 3, type);
	store_bind_bytes(s, APPEND, 4, data);
	store_run(s, APPEND);
}

void store_truncate(struct store *s, uint64_t from_index)
{
	if (s->failed)
		return;
	store_bind_number(s, TRUNCATE, 1, from_index);
	store_run(s, TRUNCATE);
}

void store_set_hard_state(struct store *s, uint64_t term, uint64_t vote, uint64_t commit)
{
	if (s->failed)
		return;
	store_bind_number(s, SET_HARD_STATE, 1, term);
	store_bind_number(s, SET_HARD_STATE, 2, vote);
	store_bind_number(s, SET_HARD_STATE, 3, commit);
	store_run(s, SET_HARD_STATE);
}

void store_set_applied(struct store *s, uint64_t index)
{
	if (s->failed)
		return;
	store_bind_number(s, SET_APPLIED, 1, index);
	store_run(s, SET_APPLIED);
	if (s->failed || index <= REQUEST_ID_WINDOW)
		return;
	store_bind_number(s, FORGET, 1, index - REQUEST_ID_WINDOW);
	store_run(s, FORGET);
}

void store_set_conf_state(struct store *s, struct view conf_state)
{
	if (s->failed)
		return;
	store_bind_bytes(s, SET_CONF_STATE, 1, conf_state);
	store_run(s, SET_CONF_STATE);
}

void store_compact(struct store *s, uint64_t index, uint64_t term)
{
	if (s->failed)
		return;
	store_bind_number(s, COMPACT, 1, index);
	store_run(s, COMPACT);
	if (s->failed)
		return;
	store_bind_number(s, SET_COMPACTED, 1, index);
	store_bind_number(s, SET_COMPACTED, 2, term);
	store_run(s, SET_COMPACTED);
}

/* After a failed fsync nobody knows what the disk holds, and a damaged file does not heal: those
 * end the process. A full disk, a quota or a read-only file system may pass. */
static bool may_pass(int code)
{
	switch (code & 0xff) {
	case SQLITE_FULL:
	case SQLITE_READONLY:
	case SQLITE_BUSY:
	case SQLITE_NOMEM:
	case SQLITE_CANTOPEN: return true;
	case SQLITE_IOERR: return code != SQLITE_IOERR_FSYNC && code != SQLITE_IOERR_DIR_FSYNC;
	default: return false;
	}
}

enum store_commit_result store_commit(struct store *s)
{
	if (!s->failed)
		store_run(s, COMMIT);
	if (!s->failed) {
		s->unsynced = s->relaxed;
		return STORE_COMMITTED;
	}
	/* Some failures roll back by themselves; for the others it is done here. What failed stays the
	 * reason given. */
	int code = s->failed_code;
	if (!sqlite3_get_autocommit(s->db)) {
		sqlite3_step(s->statements[ROLLBACK]);
		sqlite3_reset(s->statements[ROLLBACK]);
	}
	return may_pass(code) && sqlite3_get_autocommit(s->db) ? STORE_ROLLED_BACK : STORE_UNUSABLE;
}

const char *store_error(const struct store *s) { return s->error; }
uint64_t store_error_count(const struct store *s) { return s->errors; }
