/* store.h: one SQLite file per node: the log, Raft's hard state, and the key-value state as applied
 * so far. */
#ifndef STORE_H
#define STORE_H

#include "bytes.h"
#include "codec.h"

struct store;

enum store_open_result { STORE_OPENED, STORE_REFUSED, STORE_BROKEN };

/* Written into a new file; an existing one must agree, except in `joined`. */
struct store_identity {
	uint64_t node_id;
	const char *cluster_id;
	bool joined; /* the node was started to join a cluster, and must never bootstrap one */
};

/* Opens or creates `dir`/kv.sqlite and holds it exclusively. On failure `why` gets one line of
 * text. */
enum store_open_result store_open(struct store **out, const char *dir,
	const struct store_identity *who, char *why, size_t why_size);
void store_close(struct store *s);

/* ---- what stands in the file */

struct stored_state {
	uint64_t term, vote, commit;              /* Raft's hard state */
	uint64_t applied;                         /* the key-value state is that at this index */
	uint64_t compacted_index, compacted_term; /* the entry just before the first one in the log */
	struct view conf_state; /* the membership at `applied`, encoded; lives until the next call */
	bool joined;
};
typedef bool (
	*store_entry_fn)(void *arg, uint64_t index, uint64_t term, uint32_t type, struct view data);
typedef void (*store_member_fn)(void *arg, const struct member *m);

/* What begins with state_ is in state.c. */

/* All three return false when the file cannot be read or contradicts itself; store_error() says
 * what. */
bool store_read_state(struct store *s, struct stored_state *state);
bool store_read_log(struct store *s, const struct stored_state *state, store_entry_fn fn,
	void *arg);
bool state_read_members(struct store *s, store_member_fn fn, void *arg);

enum store_found { STORE_FOUND, STORE_ABSENT, STORE_UNREADABLE };
enum store_found state_get(struct store *s, struct view key, struct buffer *value);
uint64_t state_count(struct store *s);

/* The key-value state at `applied` in the form of a snapshot's data. */
bool state_dump(struct store *s, struct buffer *out);

/* ---- changing it
 *
 * Everything between store_begin and store_commit is one transaction. An operation that fails turns
 * the rest into no-ops, and the commit rolls all of it back: callers check only the commit. Without
 * `sync` a power loss may take it back, and nothing before it; never two of those in a row. */
void store_begin(struct store *s, bool sync);
void store_append(struct store *s, uint64_t index, uint64_t term, uint32_t type, struct view data);
void store_truncate(struct store *s, uint64_t from_index); /* forgets the log from this index on */
void store_set_hard_state(struct store *s, uint64_t term, uint64_t vote, uint64_t commit);
void store_set_applied(struct store *s, uint64_t index);
void store_set_conf_state(struct store *s, struct view conf_state);
void state_set_member(struct store *s, const struct member *m);
void state_put(struct store *s, struct view key, struct view value);
void state_delete(struct store *s, struct view key);
/* True if this request id was applied within the window before `index`, and then where; else
 * remembers it at `index`. */
bool state_seen_before(struct store *s, struct view request_id, uint64_t index, uint64_t *seen_at);
void state_restore(struct store *s,
	struct view snapshot_data); /* replaces members, request ids and keys; checked data */
void store_compact(struct store *s, uint64_t index,
	uint64_t term); /* forgets the log up to and including index */

enum store_commit_result {
	STORE_COMMITTED,
	STORE_ROLLED_BACK, /* nothing was changed; trying again later may work (a full disk, a disk gone
						  read-only) */
	STORE_UNUSABLE,    /* what is on disk is not known any more, or is damaged: stop */
};
enum store_commit_result store_commit(struct store *s);

const char *store_error(const struct store *s); /* the last failure, as text */
uint64_t store_error_count(const struct store *s);

#endif
