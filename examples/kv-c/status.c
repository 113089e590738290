/* GET /_/status: what this node knows, as JSON. PROTOCOL.md names the parts. */
#include <inttypes.h>
#include <string.h>

#include "node.h"

static void json_text(struct evbuffer *out, const char *text)
{
	evbuffer_add(out, "\"", 1);
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (*c == '"' || *c == '\\')
			evbuffer_add_printf(out, "\\%c", *c);
		else if (*c < 0x20)
			evbuffer_add_printf(out, "\\u%04x", *c);
		else
			evbuffer_add(out, c, 1);
	}
	evbuffer_add(out, "\"", 1);
}

static void json_u64(struct evbuffer *out, const char *name, uint64_t value)
{
	evbuffer_add_printf(out, "\"%s\":%" PRIu64 ",", name, value);
}

static bool is_voter(const raftcore_conf_state *membership, uint64_t id)
{
	for (size_t i = 0; i < membership->voters.count; i++)
		if (membership->voters.items[i] == id)
			return true;
	return false;
}

static void add_members(struct evbuffer *out, const struct node *n,
	const raftcore_conf_state *membership)
{
	const char *comma = "";
	evbuffer_add_printf(out, "\"members\":[");
	for (size_t i = 0; i < n->members.count; i++) {
		const struct member_row *row = &n->members.rows[i];
		if (row->removed)
			continue;
		evbuffer_add_printf(out, "%s{\"id\":%" PRIu64 ",\"url\":", comma, row->id);
		json_text(out, row->url);
		evbuffer_add_printf(out, ",\"voter\":%s}",
			is_voter(membership, row->id) ? "true" : "false");
		comma = ",";
	}
	comma = "";
	evbuffer_add_printf(out, "],\"removed\":[");
	for (size_t i = 0; i < n->members.count; i++)
		if (n->members.rows[i].removed) {
			evbuffer_add_printf(out, "%s%" PRIu64, comma, n->members.rows[i].id);
			comma = ",";
		}
	evbuffer_add_printf(out, "],");
}

static void add_progress(struct evbuffer *out, const raftcore_progresses *progress)
{
	static const char *const names[] = { "probe", "replicate", "snapshot", "unknown" };
	evbuffer_add_printf(out, "\"progress\":[");
	for (size_t i = 0; i < progress->count; i++) {
		const raftcore_progress *p = raftcore_progress_at(progress, i);
		evbuffer_add_printf(out,
			"%s{\"id\":%" PRIu64 ",\"state\":\"%s\",\"match\":%" PRIu64 ",\"next\":%" PRIu64 "}",
			i ? "," : "", p->id, names[p->state & 3], p->match_index, p->next_index);
	}
	evbuffer_add_printf(out, "],");
}

static void add_elections(struct evbuffer *out, const struct node *n)
{
	evbuffer_add_printf(out, "\"elections\":[");
	for (size_t i = 0; i < n->election_count; i++)
		evbuffer_add_printf(out,
			"%s{\"term\":%" PRIu64 ",\"leader\":%" PRIu64 ",\"at_ms\":%" PRIu64 "}", i ? "," : "",
			n->elections[i].term, n->elections[i].leader, n->elections[i].at_unix_ms);
	evbuffer_add_printf(out, "],");
}

static void add_storage(struct evbuffer *out, const struct kv *kv)
{
	evbuffer_add_printf(out, "\"storage\":{\"ok\":%s,\"errors\":%" PRIu64 ",\"error\":",
		kv->node->stalled ? "false" : "true", store_error_count(kv->store));
	if (*store_error(kv->store))
		json_text(out, store_error(kv->store));
	else
		evbuffer_add_printf(out, "null");
	evbuffer_add_printf(out, "}");
}

void status_reply(struct kv *kv, struct evhttp_request *http)
{
	static const char *const roles[] = { "follower", "candidate", "leader", "pre-candidate" };
	const struct node *n = kv->node;
	const struct member_row *self = members_find(&n->members, kv->options.id);
	raftcore_details *details = NULL;
	if (raftcore_node_details(n->raft, &details, NULL) != RAFTCORE_OK) {
		reply_text(http, 500, "%s", raftcore_last_error());
		return;
	}
	const raftcore_node_state *state = details->state;
	struct evbuffer *out = evhttp_request_get_output_buffer(http);
	size_t writes, reads;
	requests_count(kv->requests, &writes, &reads);

	evbuffer_add_printf(out, "{");
	json_u64(out, "id", kv->options.id);
	evbuffer_add_printf(out, "\"cluster\":");
	json_text(out, kv->options.cluster_id);
	evbuffer_add_printf(out, ",\"client_url\":");
	json_text(out, kv->options.listen);
	evbuffer_add_printf(out,
		",\"language\":\"c\",\"version\":\"%s\",\"library\":\"%s\",\"role\":\"%s\",", KV_VERSION,
		raftcore_version(), self && self->removed ? "removed" : roles[state->role & 3]);
	json_u64(out, "term", state->term);
	json_u64(out, "vote", state->vote);
	json_u64(out, "leader", state->leader);
	json_u64(out, "commit", state->commit);
	json_u64(out, "applied", n->applied);
	json_u64(out, "first_index", state->first_index);
	json_u64(out, "last_index", state->last_index);
	json_u64(out, "snapshot_index", n->snapshot_index);
	json_u64(out, "keys", state_count(kv->store));
	json_u64(out, "pending_writes", writes);
	json_u64(out, "pending_reads", reads);
	json_u64(out, "uptime_ms", now_ms() - kv->started_ms);
	evbuffer_add_printf(out,
		"\"snapshots\":{\"made\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"installed\":%" PRIu64
		",\"installed_index\":%" PRIu64 "},",
		n->snapshots_made, peers_snapshots_sent(kv->peers), n->snapshots_installed,
		n->snapshot_installed_index);
	add_members(out, n, details->membership);
	add_progress(out, &details->progress);
	add_elections(out, n);
	add_storage(out, kv);
	evbuffer_add_printf(out, "}\n");
	raftcore_details_destroy(details);
	evhttp_add_header(evhttp_request_get_output_headers(http), "Content-Type", "application/json");
	evhttp_send_reply(http, 200, NULL, NULL);
}
