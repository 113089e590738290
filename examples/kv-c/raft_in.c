/* raft_in.c: POST /raft, messages from the other nodes, and GET /status, which they ask for.
 * Whatever comes here was sent by a stranger until it is shown not to be: the headers are checked
 * first, then the frames, and the library checks the messages themselves. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node.h"

/* The messages of one request, as views into its body. */
struct frames {
	raftcore_slice *items;
	size_t count, cap;
};

struct sender {
	uint64_t id;
	const char *url;
	bool is_member;
};

static const char *header(struct evhttp_request *http, const char *name)
{
	return evhttp_find_header(evhttp_request_get_input_headers(http), name);
}

static bool header_id(struct evhttp_request *http, const char *name, uint64_t *id)
{
	const char *text = header(http, name);
	return text && parse_u64(text, strlen(text), id) && *id != 0 && *id <= NODE_ID_MAX;
}

/* Whether the sender bears the secret, in a time that does not tell how much of it was right. */
static bool bears_secret(const char *secret, const char *given)
{
	size_t len = strlen(secret), given_len = given ? strlen(given) : 0;
	volatile size_t difference = len ^ given_len;
	for (size_t i = 0; i < given_len; i++)
		difference |= (unsigned char)given[i] ^ (unsigned char)secret[i % len];
	return difference == 0;
}

static bool admit_member(struct kv *kv, struct evhttp_request *http, struct sender *sender)
{
	const struct member_row *row = members_find(&kv->node->members, sender->id);
	sender->is_member = row && !row->removed;
	if (row && row->removed) {
		http_reply_text(http, 410, "node %" PRIu64 " was removed from the cluster", sender->id);
		return false;
	}
	if (row && *row->url && strcmp(row->url, sender->url) != 0) {
		http_reply_text(http, 403,
			"node %" PRIu64 " is at %s: is another one running with the same id?", sender->id,
			row->url);
		return false;
	}
	return true;
}

/* Who speaks, and may it? If not, it is answered. */
static bool admit(struct kv *kv, struct evhttp_request *http, struct sender *sender)
{
	const char *cluster = header(http, "Raft-Cluster");
	uint64_t to = 0;
	sender->url = header(http, "Raft-Url");
	if (!cluster) {
		http_reply_text(http, 400, "the header Raft-Cluster is missing");
	} else if (strcmp(cluster, kv->options.cluster_id) != 0) {
		http_reply_text(http, 403, "this is cluster '%s', not '%.64s'", kv->options.cluster_id,
			cluster);
	} else if (!header_id(http, "Raft-From", &sender->id) || !header_id(http, "Raft-To", &to)) {
		http_reply_text(http, 400, "the headers Raft-From and Raft-To must be node ids");
	} else if (!sender->url || !url_parse(sender->url, NULL, NULL)) {
		http_reply_text(http, 400, "the header Raft-Url must be the sender's URL");
	} else if (to != kv->options.id) {
		http_reply_text(http, 421, "this is node %" PRIu64 ", not %" PRIu64, kv->options.id, to);
	} else if (sender->id == kv->options.id) {
		http_reply_text(http, 403, "node %" PRIu64 " is this one: two are running with the same id",
			sender->id);
	} else {
		return admit_member(kv, http, sender);
	}
	return false;
}

/* A node that was away does not know the newest members, and one of those may lead by now. */
static bool speaks_as_leader_or_candidate(raftcore_message_kind kind)
{
	return kind == RAFTCORE_MESSAGE_APPEND || kind == RAFTCORE_MESSAGE_HEARTBEAT ||
		kind == RAFTCORE_MESSAGE_SNAPSHOT || kind == RAFTCORE_MESSAGE_VOTE ||
		kind == RAFTCORE_MESSAGE_PRE_VOTE;
}

/* A snapshot that could not be restored must not get as far as a Ready. */
static bool snapshot_is_whole(struct view bytes)
{
	raftcore_message *message = NULL;
	if (raftcore_message_decode(bytes.data, bytes.len, &message, NULL) != RAFTCORE_OK)
		return false;
	bool whole = message->snapshot && snapshot_check(view_of_slice(message->snapshot->data));
	raftcore_message_destroy(message);
	return whole;
}

static bool admit_message(const struct sender *sender, struct evhttp_request *http,
	struct view bytes)
{
	raftcore_message_kind kind;
	if (raftcore_message_kind_of(bytes.data, bytes.len, &kind, NULL) != RAFTCORE_OK)
		http_reply_text(http, 400, "%s", raftcore_last_error());
	else if (!sender->is_member && !speaks_as_leader_or_candidate(kind))
		http_reply_text(http, 403, "node %" PRIu64 " is not a member", sender->id);
	else if (kind == RAFTCORE_MESSAGE_SNAPSHOT && !snapshot_is_whole(bytes))
		http_reply_text(http, 400, "the data of the snapshot does not decode");
	else
		return true;
	return false;
}

static void add_frame(struct frames *f, struct view bytes)
{
	if (f->count == f->cap) {
		f->cap = f->cap ? 2 * f->cap : 16;
		raftcore_slice *items = xmalloc(f->cap * sizeof *items);
		if (f->count)
			memcpy(items, f->items, f->count * sizeof *items);
		free(f->items);
		f->items = items;
	}
	f->items[f->count++] = (raftcore_slice){ bytes.data, bytes.len };
}

/* Takes the body apart and looks at every message before the first is handed over. */
static bool collect(struct evhttp_request *http, const struct sender *sender, struct view body,
	struct frames *frames)
{
	struct reader r = reader_of(body);
	while (r.at < r.end) {
		struct view bytes = take_bytes(&r, take_u32(&r));
		if (r.bad) {
			http_reply_text(http, 400, "the body ends within frame %zu", frames->count + 1);
			return false;
		}
		if (!admit_message(sender, http, bytes))
			return false;
		add_frame(frames, bytes);
	}
	return true;
}

static void hand_over(struct kv *kv, struct evhttp_request *http, const struct sender *sender,
	const struct frames *frames)
{
	if (!sender->is_member)
		peers_learn(kv->peers, sender->id, sender->url);
	raftcore_status status = raftcore_node_step_many(kv->node->raft, frames->items, frames->count,
		NULL, NULL);
	if (status == RAFTCORE_OK || status / 100 == RAFTCORE_ERR_DROPPED / 100)
		evhttp_send_reply(http, 204, NULL, NULL); /* a proposal that nobody leads is just lost */
	else
		http_reply_text(http, 400, "%s", raftcore_last_error());
}

static void on_status(struct kv *kv, struct evhttp_request *http)
{
	struct sender sender;
	if (evhttp_request_get_command(http) != EVHTTP_REQ_GET) {
		evhttp_add_header(evhttp_request_get_output_headers(http), "Allow", "GET");
		http_reply_text(http, 405, "the status can only be read");
	} else if (admit(kv, http, &sender)) {
		status_reply(kv, http);
	}
}

void raft_on_request(struct evhttp_request *http, void *arg)
{
	struct kv *kv = arg;
	struct evbuffer *body = evhttp_request_get_input_buffer(http);
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(http);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
	size_t len = evbuffer_get_length(body);
	struct sender sender;
	struct frames frames = { 0 };

	evhttp_add_header(evhttp_request_get_output_headers(http), "Raft-Cluster",
		kv->options.cluster_id);
	if (kv->options.secret && !bears_secret(kv->options.secret, header(http, "Raft-Secret"))) {
		http_reply_text(http, 403, "the cluster's secret is missing or wrong");
	} else if (path && strcmp(path, "/status") == 0) {
		on_status(kv, http);
	} else if (!path || strcmp(path, "/raft") != 0) {
		http_reply_text(http, 404,
			"only /raft and /status are here; clients are served at another address");
	} else if (evhttp_request_get_command(http) != EVHTTP_REQ_POST) {
		evhttp_add_header(evhttp_request_get_output_headers(http), "Allow", "POST");
		http_reply_text(http, 405, "messages are sent by POST");
	} else if (len == 0) {
		http_reply_text(http, 411, "messages are needed in the body");
	} else if (admit(kv, http, &sender)) {
		const char *trouble = node_trouble(kv->node);
		if (trouble)
			http_reply_not_now(kv, http, NULL, trouble);
		else if (collect(http, &sender, (struct view){ evbuffer_pullup(body, -1), len }, &frames))
			hand_over(kv, http, &sender, &frames);
		free(frames.items);
	}
}
