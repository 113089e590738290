/* The raft node: its start from what is stored, ticks, and what clients and peers ask of it. */
#include "node.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool node_must(struct node *n, raftcore_status status, const char *what)
{
	if (status == RAFTCORE_OK)
		return true;
	/* Everything runs on one thread, so that the last error is the one of this call. */
	kv_log(n->kv, "%s: %s (status %d): stopping", what, raftcore_last_error(), (int)status);
	kv_stop(n->kv, EXIT_BROKEN);
	return false;
}

/* ---- start */

static bool load_entry(void *arg, uint64_t index, uint64_t term, uint32_t type, struct view data)
{
	struct node *n = arg;
	raftcore_entry entry = { .term = term,
		.index = index,
		.data = { data.data, data.len },
		.kind = (raftcore_entry_kind)type };
	raftcore_entries one = { .items = &entry, .count = 1, .stride = sizeof entry };
	n->last_stored = index;
	return raftcore_storage_append(n->log, &one, NULL) == RAFTCORE_OK;
}

static void load_member(void *arg, const struct member *m)
{
	members_set(arg, m->id, m->removed, m->url);
}

/* Fills the log in memory as it was: first what stands for the entries that were cut off, then the
 * log, then a snapshot of the applied state, so that the library starts from there and members that
 * are far behind can be sent it. */
static bool load_log(struct node *n, const struct stored_state *state)
{
	raftcore_hard_state hard = { state->term, state->vote, state->commit };
	struct buffer data = { 0 };
	raftcore_conf_state *members = NULL;
	bool ok = node_must(n,
				  raftcore_conf_state_decode(n->conf_state.data, n->conf_state.len, &members, NULL),
				  "the stored membership") &&
		state_dump(n->kv->store, &data);
	if (ok && state->compacted_index > 0) {
		raftcore_snapshot cut = { .struct_size = sizeof cut,
			.index = state->compacted_index,
			.term = state->compacted_term,
			.conf_state = members,
			.data = { data.data, data.len } };
		ok = node_must(n, raftcore_storage_apply_snapshot(n->log, &cut, NULL),
			"the stored snapshot");
	}
	ok = ok && store_read_log(n->kv->store, state, load_entry, n) &&
		node_must(n, raftcore_storage_set_hard_state(n->log, &hard, NULL), "the stored hard state");
	if (ok && state->applied > state->compacted_index)
		ok = node_must(n,
			raftcore_storage_create_snapshot(n->log, state->applied, members, data.data, data.len,
				NULL, NULL),
			"the stored state");
	if (!ok && *store_error(n->kv->store))
		kv_log(n->kv, "%s", store_error(n->kv->store));
	n->snapshot_index = state->applied;
	raftcore_conf_state_destroy(members);
	buffer_free(&data);
	return ok;
}

/* Every first member makes the same entries, sorted by id, and so the same log. */
static bool bootstrap(struct node *n)
{
	const struct members *cluster = &n->kv->options.cluster;
	raftcore_peer *peers = xmalloc(cluster->count * sizeof *peers);
	struct buffer *contexts = xmalloc(cluster->count * sizeof *contexts);
	for (size_t i = 0; i < cluster->count; i++) {
		struct change c = { .url = view_of(cluster->rows[i].url) };
		change_encode(&contexts[i], &c);
		peers[i] = (raftcore_peer){ cluster->rows[i].id, { contexts[i].data, contexts[i].len } };
	}
	bool ok = node_must(n, raftcore_node_bootstrap(n->raft, peers, cluster->count, NULL),
		"bootstrap");
	for (size_t i = 0; i < cluster->count; i++)
		buffer_free(&contexts[i]);
	free(contexts);
	free(peers);
	return ok;
}

/* The stored membership knows best where this node is; a new node takes it from --cluster. */
static bool find_own_url(struct node *n)
{
	struct kv *kv = n->kv;
	const struct member_row *stored = members_find(&n->members, kv->options.id);
	const struct member_row *given = members_find(&kv->options.cluster, kv->options.id);
	if (stored && stored->removed)
		kv_log(kv, "node %" PRIu64 " was removed from the cluster; an id is never used again",
			kv->options.id);
	else if (stored && given && *stored->url && strcmp(stored->url, given->url) != 0)
		kv_log(kv, "--cluster says that this node is at %s, the cluster knows it at %s", given->url,
			stored->url);
	else if (!(stored && *stored->url) && !given)
		kv_log(kv, "--cluster must contain this node, %" PRIu64, kv->options.id);
	else
		kv->own_url = xstrdup(stored && *stored->url ? stored->url : given->url);
	return kv->own_url != NULL;
}

static void on_raft_log(void *arg, raftcore_log_level level, const char *text, size_t len)
{
	(void)level, (void)len;
	kv_log(arg, "raft: %s", text);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct node *n = arg;
	(void)fd, (void)what;
	if (n->kv->stopping)
		return;
	if (node_must(n, raftcore_node_tick(n->raft, NULL), "the raft node")) {
		peers_tick(n->kv->peers);
		requests_tick(n->kv->requests);
	}
}

static void on_leave(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	kv_stop(((struct node *)arg)->kv, EXIT_STOPPED);
}

static bool make_raft(struct node *n, const struct stored_state *state)
{
	struct kv *kv = n->kv;
	raftcore_config config;
	int32_t fd = -1;
	if (!node_must(n, raftcore_config_init(&config, sizeof config, NULL), "configuration"))
		return false;
	config.id = kv->options.id;
	config.applied = state->applied;
	config.election_timeout_ticks = ELECTION_TICKS;
	config.heartbeat_interval_ticks = HEARTBEAT_TICKS;
	config.message_forms = RAFTCORE_FORM_ENCODED;
	config.max_uncommitted_bytes = 64 << 20;
	if (!node_must(n, raftcore_node_create(&config, n->log, &n->raft, NULL), "the raft node") ||
		!node_must(n,
			raftcore_node_set_log(n->raft,
				kv->options.verbose ? RAFTCORE_LOG_DEBUG : RAFTCORE_LOG_WARN, on_raft_log, kv, NULL,
				NULL),
			"the raft node's log") ||
		!node_must(n, raftcore_node_ready_fd(n->raft, &fd, NULL), "the raft node's descriptor"))
		return false;

	/* The library's descriptor stands in the same epoll as all sockets: it is readable while there
	 * is a Ready to take. */
	n->ready_event = event_new(kv->base, fd, EV_READ | EV_PERSIST, node_on_ready, n);
	n->tick_event = event_new(kv->base, -1, EV_PERSIST, on_tick, n);
	n->commit_event = evtimer_new(kv->base, node_on_commit, n);
	n->leave_event = evtimer_new(kv->base, on_leave, n);
	struct timeval tick = timeval_of_ms(kv->options.tick_ms);
	return n->ready_event && n->tick_event && n->commit_event && n->leave_event &&
		event_add(n->ready_event, NULL) == 0 && event_add(n->tick_event, &tick) == 0;
}

struct node *node_start(struct kv *kv)
{
	struct node *n = xmalloc(sizeof *n);
	struct stored_state state;
	n->kv = kv;
	n->retry_ms = NODE_RETRY_MS_FIRST;
	kv->exit_code = EXIT_BROKEN;
	if (!store_read_state(kv->store, &state) ||
		!state_read_members(kv->store, load_member, &n->members)) {
		kv_log(kv, "%s", store_error(kv->store));
		goto failed;
	}
	put_bytes(&n->conf_state, state.conf_state);
	n->applied = state.applied;
	n->last_stored = state.compacted_index;
	if (!find_own_url(n)) {
		kv->exit_code = EXIT_REFUSED;
		goto failed;
	}
	if (kv->options.force_new_cluster && !node_force_new_cluster(n, &state))
		goto failed;
	if (!node_must(n, raftcore_storage_create_memory(NULL, &n->log, NULL), "the log in memory"))
		goto failed;
	n->commit = state.commit;
	n->term = state.term;
	bool is_new = state.term == 0 && state.commit == 0;
	if ((!is_new && !load_log(n, &state)) || !make_raft(n, &state))
		goto failed;
	if (is_new && !state.joined && !kv->options.join && !bootstrap(n))
		goto failed;
	kv_log(kv,
		is_new ? "starts new" : "starts at term %" PRIu64 ", applied %" PRIu64 ", log to %" PRIu64,
		state.term, state.applied, n->last_stored);
	kv->exit_code = EXIT_STOPPED;
	return n;
failed:
	node_free(n);
	return NULL;
}

static void free_event(struct event *event)
{
	if (event)
		event_free(event);
}

void node_free(struct node *n)
{
	if (!n)
		return;
	/* The event goes before the descriptor, which the node closes. */
	free_event(n->ready_event);
	free_event(n->tick_event);
	free_event(n->commit_event);
	free_event(n->leave_event);
	raftcore_node_destroy(n->raft);
	raftcore_storage_destroy(n->log);
	members_clear(&n->members);
	buffer_free(&n->conf_state);
	free(n->answers);
	free(n);
}

/* ---- what is asked of it */

const char *node_trouble(const struct node *n)
{
	if (n->kv->stopping)
		return "this node is stopping";
	return n->stalled ? n->trouble : NULL;
}

static const char *why_not_taken(const struct node *n)
{
	return n->leader == 0 ? "no leader is known" : "the leader takes nothing new for now";
}

bool node_propose(struct node *n, struct view entry, char *why, size_t why_size)
{
	raftcore_status status = raftcore_node_propose(n->raft, entry.data, entry.len, NULL, NULL);
	if (status != RAFTCORE_OK && why)
		snprintf(why, why_size, "%s", why_not_taken(n));
	return status == RAFTCORE_OK;
}

int node_propose_change(struct node *n, uint64_t id, const char *url, uint64_t serial, char *why,
	size_t why_size)
{
	int wrong = node_check_change(n, id, url, why, why_size);
	if (wrong)
		return wrong;
	raftcore_proposed proposed = { .struct_size = sizeof proposed };
	struct buffer context = { 0 };
	struct change c = { n->kv->options.id, serial, view_of(url ? url : "") };
	change_encode(&context, &c);
	raftcore_conf_change_step step = { .node = id,
		.kind = url ? RAFTCORE_CONF_CHANGE_ADD_VOTER : RAFTCORE_CONF_CHANGE_REMOVE };
	raftcore_conf_change change = { .struct_size = sizeof change,
		.steps = &step,
		.step_count = 1,
		.context = { context.data, context.len } };
	raftcore_status status = raftcore_node_propose_conf_change(n->raft, &change, &proposed, NULL);
	buffer_free(&context);
	if (status != RAFTCORE_OK) {
		snprintf(why, why_size, "%s", why_not_taken(n));
		return 503;
	}
	if (proposed.outcome == RAFTCORE_OUTCOME_REPLACED) {
		snprintf(why, why_size, "another change of members is under way");
		return 409;
	}
	return 0;
}

int node_transfer(struct node *n, uint64_t id, char *why, size_t why_size)
{
	const struct member_row *row = members_find(&n->members, id);
	if (!row || row->removed) {
		snprintf(why, why_size, "no member has the id %" PRIu64, id);
		return 404;
	}
	if (n->leader != 0 && raftcore_node_transfer_leader(n->raft, id, NULL) == RAFTCORE_OK)
		return 0;
	snprintf(why, why_size, "%s", why_not_taken(n));
	return 503;
}

bool node_read_index(struct node *n, struct view context)
{
	return raftcore_node_read_index(n->raft, context.data, context.len, NULL) == RAFTCORE_OK;
}

/* Reports about a member that was removed meanwhile are of no interest to anyone: the status is
 * ignored. */
void node_report_unreachable(struct node *n, uint64_t peer)
{
	raftcore_node_report_unreachable(n->raft, peer, NULL);
}

void node_report_snapshot(struct node *n, uint64_t peer, bool arrived)
{
	raftcore_node_report_snapshot(n->raft, peer,
		arrived ? RAFTCORE_SNAPSHOT_FINISHED : RAFTCORE_SNAPSHOT_FAILED, NULL);
}

void node_leave(struct node *n, const char *who_says_so)
{
	if (evtimer_pending(n->leave_event, NULL) || n->kv->stopping)
		return;
	kv_log(n->kv, "removed from the cluster, says %s: stopping", who_says_so);
	struct timeval delay = timeval_of_ms(n->kv->options.tick_ms * ELECTION_TICKS);
	evtimer_add(n->leave_event, &delay);
}
