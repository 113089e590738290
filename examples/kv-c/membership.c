/* Changes of members: checked when they are asked for, and applied. The library needs each change
 * once, and before the transaction that stores what comes of it. */
#include <event2/event.h>
#include <event2/http.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node.h"

/* ---- the table of members */

static size_t place_of(const struct members *m, uint64_t id)
{
	size_t i = 0;
	while (i < m->count && m->rows[i].id < id)
		i++;
	return i;
}

struct member_row *members_find(const struct members *m, uint64_t id)
{
	size_t i = place_of(m, id);
	return i < m->count && m->rows[i].id == id ? &m->rows[i] : NULL;
}

void members_set(struct members *m, uint64_t id, bool removed, struct view url)
{
	size_t i = place_of(m, id);
	if (i == m->count || m->rows[i].id != id) {
		struct member_row *rows = xmalloc((m->count + 1) * sizeof *rows);
		if (m->count) {
			memcpy(rows, m->rows, i * sizeof *rows);
			memcpy(rows + i + 1, m->rows + i, (m->count - i) * sizeof *rows);
		}
		rows[i] = (struct member_row){ .id = id };
		free(m->rows);
		m->rows = rows;
		m->count++;
	}
	free(m->rows[i].url);
	m->rows[i].url = xstrndup((const char *)url.data, url.len);
	m->rows[i].removed = removed;
}

void members_clear(struct members *m)
{
	for (size_t i = 0; i < m->count; i++)
		free(m->rows[i].url);
	free(m->rows);
	*m = (struct members){ 0 };
}

bool url_parse(const char *url, char **host, uint16_t *port)
{
	if (strlen(url) > URL_MAX)
		return false;
	struct evhttp_uri *uri = evhttp_uri_parse(url);
	if (!uri)
		return false;
	const char *scheme = evhttp_uri_get_scheme(uri), *name = evhttp_uri_get_host(uri),
			   *path = evhttp_uri_get_path(uri);
	int number = evhttp_uri_get_port(uri);
	bool ok = scheme && strcmp(scheme, "http") == 0 && name && *name && number > 0 &&
		number <= 65535 && (!path || !*path) &&
		!evhttp_uri_get_query(uri) && !evhttp_uri_get_fragment(uri) &&
		!evhttp_uri_get_userinfo(uri);
	if (ok && host) {
		size_t bracket = name[0] == '['; /* an IPv6 address stands in brackets */
		*host = xstrndup(name + bracket, strlen(name) - 2 * bracket);
	}
	if (ok && port)
		*port = (uint16_t)number;
	evhttp_uri_free(uri);
	return ok;
}

/* ---- changes of members */

/* What this node knows may be old; the leader and the log have the last word. */
int node_check_change(const struct node *n, uint64_t id, const char *url, char *why,
	size_t why_size)
{
	const struct member_row *row = members_find(&n->members, id), *there = row;
	size_t left = 0;
	for (size_t i = 0; i < n->members.count; i++) {
		const struct member_row *other = &n->members.rows[i];
		left += !other->removed;
		if (url && !row && strcmp(other->url, url) == 0)
			there = other;
	}
	if (row && row->removed) {
		snprintf(why, why_size, "node %" PRIu64 " was removed; an id is never used again", id);
		return url ? 409 : 404;
	}
	if (!url && !row) {
		snprintf(why, why_size, "no member has the id %" PRIu64, id);
		return 404;
	}
	if (url && there && (there != row || strcmp(row->url, url) != 0)) {
		snprintf(why, why_size, "node %" PRIu64 " is a member already, at %s", there->id,
			there->url);
		return 409;
	}
	if (!url && left == 1) {
		snprintf(why, why_size, "the last member cannot be removed");
		return 409;
	}
	return 0;
}

static bool contains(raftcore_ids ids, uint64_t id)
{
	for (size_t i = 0; i < ids.count; i++)
		if (ids.items[i] == id)
			return true;
	return false;
}

static bool in_conf_state(const raftcore_conf_state *c, uint64_t id)
{
	return contains(c->voters, id) || contains(c->learners, id) || contains(c->voters_outgoing, id);
}

/* Keeps the encoded form, which is what the file, and through it the next start, needs. */
static bool keep_conf_state(struct node *n, const raftcore_conf_state *conf_state)
{
	raftcore_buffer encoded = { 0 };
	if (!node_must(n, raftcore_conf_state_encode(conf_state, &encoded, NULL),
			"encoding the membership"))
		return false;
	n->conf_state.len = 0;
	put_bytes(&n->conf_state, (struct view){ encoded.data, encoded.len });
	raftcore_buffer_free(&encoded);
	return true;
}

/* The members' table follows the membership that the library says is now in force. */
static void follow_change(struct node *n, const raftcore_conf_change *change,
	const raftcore_conf_state *now)
{
	struct change context = { 0 };
	bool decoded = change_decode(view_of_slice(change->context), &context);
	for (size_t i = 0; i < change->step_count; i++) {
		uint64_t id = change->steps[i].node;
		struct member_row *row = members_find(&n->members, id);
		if (id == 0 || id > NODE_ID_MAX)
			continue;
		if (in_conf_state(now, id)) {
			struct view known = row ? view_of(row->url) : (struct view){ 0 };
			struct view url = decoded && context.url.len ? context.url : known;
			/* A copy: `known` points into the row that is replaced. */
			char *copy = xstrndup((const char *)url.data, url.len);
			members_set(&n->members, id, false, view_of(copy));
			free(copy);
		} else if (row) {
			members_set(&n->members, id, true, (struct view){ 0 });
		}
	}
	if (decoded && context.origin == n->kv->options.id)
		node_add_answer(n, context.serial, 0);
}

static bool apply_change(struct node *n, const raftcore_entry *entry)
{
	raftcore_conf_change *change = NULL;
	raftcore_conf_state *now = NULL;
	raftcore_status status = raftcore_conf_change_decode(entry->kind, entry->data.data,
		entry->data.len, &change, NULL);
	if (status != RAFTCORE_OK) {
		/* What no node can decode, every node's library skips. */
		status = raftcore_node_apply_conf_change_entry(n->raft, entry, &now, NULL);
	} else {
		/* A removed id stays removed. Every node finds the same here, and vetoes the same. */
		raftcore_conf_change_step *steps = xmalloc(change->step_count * sizeof *steps);
		for (size_t i = 0; i < change->step_count; i++) {
			steps[i] = change->steps[i];
			struct member_row *row = members_find(&n->members, steps[i].node);
			if (steps[i].kind != RAFTCORE_CONF_CHANGE_REMOVE && row && row->removed)
				steps[i].node = 0;
		}
		raftcore_conf_change allowed = *change;
		allowed.steps = steps;
		status = raftcore_node_apply_conf_change(n->raft, &allowed, &now, NULL);
		free(steps);
	}
	bool ok = node_must(n, status, "applying a change of members") && keep_conf_state(n, now);
	if (ok && change)
		follow_change(n, change, now);
	raftcore_conf_change_destroy(change);
	raftcore_conf_state_destroy(now);
	return ok;
}

bool node_apply_membership(struct node *n)
{
	n->membership_changed = false;
	n->answer_count = 0;
	if (n->ready->snapshot) {
		struct reader r = snapshot_reader(view_of_slice(n->ready->snapshot->data));
		members_clear(&n->members);
		for (uint32_t count = take_u32(&r); count > 0; count--) {
			struct member m = snapshot_take_member(&r);
			members_set(&n->members, m.id, m.removed, m.url);
		}
		if (!keep_conf_state(n, n->ready->snapshot->conf_state))
			return false;
		n->membership_changed = true;
	}
	for (size_t i = 0; i < n->ready->committed.count; i++) {
		const raftcore_entry *entry = raftcore_entry_at(&n->ready->committed, i);
		if (entry->kind == RAFTCORE_ENTRY_NORMAL)
			continue;
		size_t answers = n->answer_count;
		if (!apply_change(n, entry))
			return false;
		for (; answers < n->answer_count; answers++)
			n->answers[answers].index = entry->index;
		n->membership_changed = true;
	}
	n->change_answers = n->answer_count;
	return true;
}

/* A leader that was removed is not waited for: the members forget it, so that they may vote, and
 * the first of them stands for election at once. If that fails, the election timeout comes anyway.
 */
void node_replace_removed_leader(struct node *n)
{
	const struct member_row *leader = members_find(&n->members, n->leader);
	size_t first = 0;
	if (!leader || !leader->removed || n->leader == n->kv->options.id)
		return;
	while (first < n->members.count && n->members.rows[first].removed)
		first++;
	raftcore_node_forget_leader(n->raft, NULL);
	if (first < n->members.count && n->members.rows[first].id == n->kv->options.id)
		raftcore_node_campaign(n->raft, NULL);
}
