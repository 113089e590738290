/* What each Ready says is to be stored, sent, applied and answered. node_on_ready takes a Ready;
 * then it is sent, committed, sent, answered, advanced, in the order that the header gives. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node.h"

#define RETRY_MS_MOST 5000

/* ---- one Ready, one transaction */

void node_add_answer(struct node *n, uint64_t serial, uint64_t index)
{
	if (n->answer_count == n->answer_cap) {
		size_t cap = n->answer_cap ? 2 * n->answer_cap : 16;
		struct answer *answers = xmalloc(cap * sizeof *answers);
		if (n->answer_count)
			memcpy(answers, n->answers, n->answer_count * sizeof *answers);
		free(n->answers);
		n->answers = answers;
		n->answer_cap = cap;
	}
	n->answers[n->answer_count++] = (struct answer){ serial, index };
}

static void store_log_of(struct node *n)
{
	const raftcore_ready *ready = n->ready;
	struct store *s = n->kv->store;
	uint64_t last = n->last_stored;
	if (ready->snapshot) {
		store_truncate(s, 0);
		state_restore(s, view_of_slice(ready->snapshot->data));
		store_compact(s, ready->snapshot->index, ready->snapshot->term);
		store_set_applied(s, ready->snapshot->index);
		last = ready->snapshot->index;
	}
	if (ready->entries.count > 0 && raftcore_entry_at(&ready->entries, 0)->index <= last)
		store_truncate(s, raftcore_entry_at(&ready->entries, 0)->index);
	for (size_t i = 0; i < ready->entries.count; i++) {
		const raftcore_entry *e = raftcore_entry_at(&ready->entries, i);
		store_append(s, e->index, e->term, (uint32_t)e->kind, view_of_slice(e->data));
	}
	if (ready->hard_state)
		store_set_hard_state(s, ready->hard_state->term, ready->hard_state->vote,
			ready->hard_state->commit);
}

static void store_write_of(struct node *n, const raftcore_entry *entry)
{
	struct write w;
	uint64_t index = entry->index;
	if (entry->data.len == 0)
		return;
	if (!write_decode(view_of_slice(entry->data), &w)) {
		kv_log(n->kv,
			"the entry at index %" PRIu64 " is no write: it changes nothing, here as elsewhere",
			entry->index);
		return;
	}
	if (!state_seen_before(n->kv->store, w.request_id, entry->index, &index)) {
		if (w.operation == OP_PUT)
			state_put(n->kv->store, w.key, w.value);
		else
			state_delete(n->kv->store, w.key);
	}
	if (w.origin == n->kv->options.id)
		node_add_answer(n, w.serial, index);
}

static enum store_commit_result commit_ready(struct node *n)
{
	struct store *s = n->kv->store;
	const raftcore_entries *committed = &n->ready->committed;
	n->answer_count = n->change_answers; /* of writes: none yet, though this may be another try */
	/* What is only applied is in the synced log: after a power loss it is applied again. */
	store_begin(s, n->ready->must_sync || n->ready->snapshot || n->membership_changed);
	store_log_of(n);
	for (size_t i = 0; i < committed->count; i++)
		if (raftcore_entry_at(committed, i)->kind == RAFTCORE_ENTRY_NORMAL)
			store_write_of(n, raftcore_entry_at(committed, i));
	if (committed->count > 0)
		store_set_applied(s, raftcore_entry_at(committed, committed->count - 1)->index);
	if (n->membership_changed) {
		store_set_conf_state(s, (struct view){ n->conf_state.data, n->conf_state.len });
		for (size_t i = 0; i < n->members.count; i++) {
			struct member_row *row = &n->members.rows[i];
			struct member m = { row->id, row->removed, view_of(row->url) };
			state_set_member(s, &m);
		}
	}
	return store_commit(s);
}

/* ---- the loop */

static void send_all(struct node *n, const raftcore_messages *messages)
{
	for (size_t i = 0; i < messages->count; i++) {
		const raftcore_message *m = raftcore_message_at(messages, i);
		peers_send(n->kv->peers, m->to, m->kind == RAFTCORE_MESSAGE_SNAPSHOT,
			view_of_slice(m->encoded));
	}
	peers_flush(n->kv->peers);
}

static void note_election(struct node *n)
{
	size_t kept = n->election_count < ELECTIONS_KEPT ? n->election_count : ELECTIONS_KEPT - 1;
	size_t first = n->election_count - kept;
	if (kept && n->elections[n->election_count - 1].term == n->term)
		return;
	memmove(n->elections, n->elections + first, kept * sizeof *n->elections);
	n->elections[kept] = (struct election){ n->term, n->leader, unix_ms() };
	n->election_count = kept + 1;
}

static void note_roles(struct node *n, const raftcore_soft_state *soft)
{
	static const char *const names[] = { "follower", "candidate", "leader", "pre-candidate" };
	if (soft->role == RAFTCORE_ROLE_LEADER)
		kv_log(n->kv, "leads");
	else if (soft->leader != 0)
		kv_log(n->kv, "follows node %" PRIu64, soft->leader);
	else
		kv_log(n->kv, "%s, knows no leader", names[soft->role & 3]);
	n->role = soft->role;
	n->leader = soft->leader;
	if (n->leader != 0) {
		note_election(n);
		requests_new_leader(n->kv->requests);
	}
}

static void stop_broken(struct node *n)
{
	kv_log(n->kv, "the database cannot be used any more: %s: stopping", store_error(n->kv->store));
	kv_stop(n->kv, EXIT_BROKEN);
}

/* Every so many entries. And at once when members changed after the log was cut: a new member needs
 * a snapshot then, and only one that was made after it was added names it as a member. */
static bool snapshot_is_due(const struct node *n)
{
	uint64_t since = n->applied - n->snapshot_index;
	return since >= n->kv->options.snapshot_entries ||
		(n->membership_changed && n->snapshot_index > 0 && since > 0);
}

/* The applied state, as it is now, for members that are too far behind for the log. */
static bool make_snapshot(struct node *n)
{
	struct buffer data = { 0 };
	raftcore_conf_state *members = NULL;
	bool ok = state_dump(n->kv->store, &data);
	if (!ok)
		stop_broken(n);
	ok = ok &&
		node_must(n,
			raftcore_conf_state_decode(n->conf_state.data, n->conf_state.len, &members, NULL),
			"the membership") &&
		node_must(n,
			raftcore_storage_create_snapshot(n->log, n->applied, members, data.data, data.len, NULL,
				NULL),
			"making a snapshot");
	if (ok) {
		n->snapshot_index = n->applied;
		n->snapshots_made++;
		kv_log(n->kv, "snapshot at index %" PRIu64 ", %zu bytes", n->applied, data.len);
	}
	raftcore_conf_state_destroy(members);
	buffer_free(&data);
	return ok;
}

/* Cuts the log, in the file and then in memory, but leaves what members that are only a little
 * behind still need. */
static void cut_log(struct node *n)
{
	uint64_t first = 0, term = 0, keep = n->kv->options.catch_up_entries;
	uint64_t cut = n->snapshot_index > keep ? n->snapshot_index - keep : 0;
	if (!node_must(n, raftcore_storage_first_index(n->log, &first, NULL), "the log in memory") ||
		cut < first ||
		!node_must(n, raftcore_storage_term(n->log, cut, &term, NULL), "the log in memory"))
		return;
	store_begin(n->kv->store, true);
	store_compact(n->kv->store, cut, term);
	switch (store_commit(n->kv->store)) {
	case STORE_COMMITTED:
		node_must(n, raftcore_storage_compact(n->log, cut, NULL), "cutting the log");
		break;
	case STORE_ROLLED_BACK:
		kv_log(n->kv, "the log was not cut: %s; it will be with the next snapshot",
			store_error(n->kv->store));
		break;
	case STORE_UNUSABLE: stop_broken(n);
	}
}

static void note_applied_term(struct node *n, uint64_t term)
{
	if (term > n->applied_term)
		requests_term_applied(n->kv->requests, term);
	n->applied_term = term;
}

/* Everything in the Ready is durable: what depends on that follows. */
static void finish_ready(struct node *n)
{
	const raftcore_ready *ready = n->ready;
	struct kv *kv = n->kv;
	if (!node_must(n, raftcore_node_persist(n->raft, ready, NULL), "filling the log in memory"))
		return;
	send_all(n, &ready->messages_after_sync);

	if (ready->snapshot) {
		n->last_stored = n->applied = n->snapshot_index = ready->snapshot->index;
		n->snapshots_installed++;
		n->snapshot_installed_index = ready->snapshot->index;
		kv_log(kv, "snapshot of index %" PRIu64 " installed, %zu bytes", ready->snapshot->index,
			ready->snapshot->data.len);
	}
	if (ready->entries.count > 0)
		n->last_stored = raftcore_entry_at(&ready->entries, ready->entries.count - 1)->index;
	if (ready->committed.count > 0)
		n->applied = raftcore_entry_at(&ready->committed, ready->committed.count - 1)->index;
	if (n->membership_changed)
		peers_follow(kv->peers, &n->members);

	for (size_t i = 0; i < n->answer_count; i++)
		requests_write_applied(kv->requests, n->answers[i].serial, n->answers[i].index);
	if (ready->committed.count > 0)
		note_applied_term(n,
			raftcore_entry_at(&ready->committed, ready->committed.count - 1)->term);
	for (size_t i = 0; i < ready->read_states.count; i++) {
		const raftcore_read_state *read = raftcore_read_state_at(&ready->read_states, i);
		requests_read_confirmed(kv->requests, view_of_slice(read->context), read->index);
	}
	requests_applied(kv->requests, n->applied);

	if (!node_must(n, raftcore_node_advance(n->raft, ready, NULL), "advancing"))
		return;
	n->ready = NULL;
	if (n->membership_changed)
		node_replace_removed_leader(n);
	if (snapshot_is_due(n) && make_snapshot(n))
		cut_log(n);
	struct member_row *self = members_find(&n->members, kv->options.id);
	if (self && self->removed)
		node_leave(n, "the log");
}

/* A commit that fails leaves everything as it was, and the Ready in hand: nothing that depends on
 * it is sent or answered, and the same is tried again. Meanwhile the node is mute, and the others
 * may choose another leader. */
static void commit_and_finish(struct node *n)
{
	enum store_commit_result result = commit_ready(n);
	if (result == STORE_COMMITTED) {
		if (n->stalled)
			kv_log(n->kv, "the disk can be written again");
		n->stalled = false;
		n->retry_ms = NODE_RETRY_MS_FIRST;
		finish_ready(n);
		return;
	}
	if (result == STORE_UNUSABLE) {
		stop_broken(n);
		return;
	}
	snprintf(n->trouble, sizeof n->trouble, "the disk cannot be written: %s",
		store_error(n->kv->store));
	if (!n->stalled)
		kv_log(n->kv, "%s; trying again until it works", n->trouble);
	n->stalled = true;
	struct timeval delay = timeval_of_ms(n->retry_ms);
	evtimer_add(n->commit_event, &delay);
	n->retry_ms = n->retry_ms * 2 < RETRY_MS_MOST ? n->retry_ms * 2 : RETRY_MS_MOST;
}

void node_on_commit(evutil_socket_t fd, short what, void *arg)
{
	struct node *n = arg;
	(void)fd, (void)what;
	if (n->ready && !n->kv->stopping)
		commit_and_finish(n);
}

void node_on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct node *n = arg;
	struct timeval at_once = { 0, 0 };
	(void)fd, (void)what;
	if (n->kv->stopping) {
		event_del(n->ready_event); /* it may stay readable until the end */
		return;
	}
	if (n->ready)
		return;
	if (!node_must(n, raftcore_node_ready(n->raft, &n->ready, NULL), "the raft node") || !n->ready)
		return;
	if (n->ready->hard_state) {
		n->term = n->ready->hard_state->term;
		n->commit = n->ready->hard_state->commit;
	}
	if (n->ready->soft_state)
		note_roles(n, n->ready->soft_state);
	send_all(n, &n->ready->messages);
	if (!node_apply_membership(n))
		return;
	/* Sockets are written by the loop, and a COMMIT keeps the loop busy. So that messages which
	 * need not wait for the disk do not, the loop gets a turn first: the followers' disks then work
	 * at the same time as this one. */
	if (n->ready->messages.count > 0)
		evtimer_add(n->commit_event, &at_once);
	else
		commit_and_finish(n);
}
