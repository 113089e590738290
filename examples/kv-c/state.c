/* The applied state: members, remembered request ids, keys; and all of it as a snapshot. Here all
 * of it stands in the node's file. */
#include "store_impl.h"

/* ---- reading */

bool state_read_members(struct store *s, store_member_fn fn, void *arg)
{
	store_fresh(s);
	sqlite3_stmt *st = s->statements[READ_MEMBERS];
	while (store_row(s, READ_MEMBERS)) {
		struct member m = { store_column_number(st, 0), store_column_number(st, 1) != 0,
			store_column_bytes(st, 2) };
		fn(arg, &m);
	}
	store_finish(s, READ_MEMBERS);
	return !s->failed;
}

enum store_found state_get(struct store *s, struct view key, struct buffer *value)
{
	store_fresh(s);
	store_bind_bytes(s, GET, 1, key);
	bool found = store_row(s, GET);
	if (found)
		put_bytes(value, store_column_bytes(s->statements[GET], 0));
	store_finish(s, GET);
	return s->failed ? STORE_UNREADABLE : found ? STORE_FOUND : STORE_ABSENT;
}

uint64_t state_count(struct store *s)
{
	store_fresh(s);
	uint64_t count = store_row(s, COUNT) ? store_column_number(s->statements[COUNT], 0) : 0;
	store_finish(s, COUNT);
	return count;
}

static void dump_request(struct buffer *out, sqlite3_stmt *st)
{
	struct request_seen r = { store_column_number(st, 0), store_column_bytes(st, 1) };
	snapshot_put_request(out, &r);
}

static void dump_pair(struct buffer *out, sqlite3_stmt *st)
{
	struct pair p = { store_column_bytes(st, 0), store_column_bytes(st, 1) };
	snapshot_put_pair(out, &p);
}

static void dump_member(struct buffer *out, sqlite3_stmt *st)
{
	struct member m = { store_column_number(st, 0), store_column_number(st, 1) != 0,
		store_column_bytes(st, 2) };
	snapshot_put_member(out, &m);
}

static uint64_t dump_table(struct store *s, enum statement which, struct buffer *out,
	void (*put)(struct buffer *, sqlite3_stmt *))
{
	uint64_t count = 0;
	for (; store_row(s, which); count++)
		put(out, s->statements[which]);
	store_finish(s, which);
	return count;
}

bool state_dump(struct store *s, struct buffer *out)
{
	store_fresh(s);
	size_t count_at = snapshot_begin(out);
	put_u32(out, 0);
	set_u32(out, count_at, (uint32_t)dump_table(s, READ_MEMBERS, out, dump_member));
	count_at = out->len;
	put_u32(out, 0);
	set_u32(out, count_at, (uint32_t)dump_table(s, READ_REQUESTS, out, dump_request));
	count_at = out->len;
	put_u64(out, 0);
	set_u64(out, count_at, dump_table(s, READ_PAIRS, out, dump_pair));
	snapshot_end(out);
	return !s->failed;
}

/* ---- changing */

void state_set_member(struct store *s, const struct member *m)
{
	if (s->failed)
		return;
	store_bind_number(s, SET_MEMBER, 1, m->id);
	store_bind_number(s, SET_MEMBER, 2, m->removed);
	store_bind_bytes(s, SET_MEMBER, 3, m->url);
	store_run(s, SET_MEMBER);
}

void state_put(struct store *s, struct view key, struct view value)
{
	if (s->failed)
		return;
	store_bind_bytes(s, PUT, 1, key);
	store_bind_bytes(s, PUT, 2, value);
	store_run(s, PUT);
}

void state_delete(struct store *s, struct view key)
{
	if (s->failed)
		return;
	store_bind_bytes(s, DELETE, 1, key);
	store_run(s, DELETE);
}

static void remember(struct store *s, struct view request_id, uint64_t index)
{
	store_bind_bytes(s, REMEMBER, 1, request_id);
	store_bind_number(s, REMEMBER, 2, index);
	store_run(s, REMEMBER);
}

bool state_seen_before(struct store *s, struct view request_id, uint64_t index, uint64_t *seen_at)
{
	if (s->failed || request_id.len == 0)
		return false;
	/* Forgotten here too, not only at the end of the transaction: the answer must depend on the log
	 * alone. */
	if (index > REQUEST_ID_WINDOW) {
		store_bind_number(s, FORGET, 1, index - REQUEST_ID_WINDOW);
		store_run(s, FORGET);
	}
	store_bind_bytes(s, SEEN, 1, request_id);
	bool seen = !s->failed && store_row(s, SEEN);
	if (seen)
		*seen_at = store_column_number(s->statements[SEEN], 0);
	store_finish(s, SEEN);
	if (!seen && !s->failed)
		remember(s, request_id, index);
	return seen;
}

void state_restore(struct store *s, struct view snapshot_data)
{
	struct reader r = snapshot_reader(snapshot_data);
	for (enum statement clear = CLEAR_MEMBERS; clear <= CLEAR_PAIRS && !s->failed; clear++)
		store_run(s, clear);
	for (uint64_t n = take_u32(&r); n > 0 && !s->failed && !r.bad; n--) {
		struct member m = snapshot_take_member(&r);
		state_set_member(s, &m);
	}
	for (uint64_t n = take_u32(&r); n > 0 && !s->failed && !r.bad; n--) {
		struct request_seen seen = snapshot_take_request(&r);
		remember(s, seen.id, seen.index);
	}
	for (uint64_t n = take_u64(&r); n > 0 && !s->failed && !r.bad; n--) {
		struct pair p = snapshot_take_pair(&r);
		state_put(s, p.key, p.value);
	}
	if (r.bad)
		store_contradiction(s, "the data of a snapshot does not decode");
}
