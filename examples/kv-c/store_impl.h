/* store_impl.h: what store.c (the file, the log, transactions) and state.c (the applied state)
 * share. */
#ifndef STORE_IMPL_H
#define STORE_IMPL_H

#include <sqlite3.h>

#include "store.h"

enum statement {
	BEGIN,
	COMMIT,
	ROLLBACK,
	READ_STATE,
	READ_LOG,
	READ_MEMBERS,
	READ_REQUESTS,
	READ_PAIRS,
	APPEND,
	TRUNCATE,
	COMPACT,
	SET_COMPACTED,
	SET_HARD_STATE,
	SET_APPLIED,
	SET_CONF_STATE,
	SET_MEMBER,
	GET,
	COUNT,
	PUT,
	DELETE,
	SEEN,
	REMEMBER,
	FORGET,
	CLEAR_MEMBERS,
	CLEAR_REQUESTS,
	CLEAR_PAIRS,
	STATEMENTS
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENTS];
	bool failed;     /* something in the current transaction failed */
	int failed_code; /* and with this extended result code */
	bool relaxed;    /* its commit does not sync */
	bool unsynced;   /* the last commit did not */
	uint64_t errors;
	char error[256];
	struct buffer conf_state; /* backs stored_state.conf_state */
};

/* A failure ends the transaction it happens in: it is noted here, and store_commit rolls back. */
void store_contradiction(struct store *s,
	const char *what); /* the file holds what it cannot hold */

/* Reads outside a transaction start from a clean slate; inside one, a failure stays noted until the
 * commit. */
void store_fresh(struct store *s);

void store_bind_number(struct store *s, enum statement which, int at, uint64_t value);
void store_bind_bytes(struct store *s, enum statement which, int at, struct view bytes);
struct view store_column_bytes(sqlite3_stmt *st, int at);
uint64_t store_column_number(sqlite3_stmt *st, int at);

bool store_row(struct store *s, enum statement which); /* one step: true when there is a row */
void store_finish(struct store *s, enum statement which);
void store_run(struct store *s, enum statement which); /* for statements that return no rows */

/* ---- whole.c */

bool whole_add_crc32(struct store *s); /* crc32() in SQL */
/* Before the database is opened. False: `why` says so. */
bool whole_log(const char *database, char *why, size_t why_size);

#endif
