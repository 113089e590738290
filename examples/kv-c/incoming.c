/* Messages from the other nodes and what they ask for: POST /raft, GET /stream, GET /status.
 * Whatever comes here was sent by a stranger until it is shown not to be: the headers are checked
 * first, then the frames, and the library checks the messages themselves. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
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
		reply_text(http, 410, "node %" PRIu64 " was removed from the cluster", sender->id);
		return false;
	}
	if (row && *row->url && strcmp(row->url, sender->url) != 0) {
		reply_text(http, 403,
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
		reply_text(http, 400, "the header Raft-Cluster is missing");
	} else if (strcmp(cluster, kv->options.cluster_id) != 0) {
		reply_text(http, 403, "this is cluster '%s', not '%.64s'", kv->options.cluster_id,
			cluster);
	} else if (!header_id(http, "Raft-From", &sender->id) || !header_id(http, "Raft-To", &to)) {
		reply_text(http, 400, "the headers Raft-From and Raft-To must be node ids");
	} else if (!sender->url || !url_parse(sender->url, NULL, NULL)) {
		reply_text(http, 400, "the header Raft-Url must be the sender's URL");
	} else if (to != kv->options.id) {
		reply_text(http, 421, "this is node %" PRIu64 ", not %" PRIu64, kv->options.id, to);
	} else if (sender->id == kv->options.id) {
		reply_text(http, 403, "node %" PRIu64 " is this one: two are running with the same id",
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

/* What is said in answer to a request that was not taken. */
struct refusal {
	int code;
	char why[200];
};

static bool refuse(struct refusal *refusal, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static bool refuse(struct refusal *refusal, int code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	refusal->code = code;
	vsnprintf(refusal->why, sizeof refusal->why, format, args);
	va_end(args);
	return false;
}

static bool admit_message(const struct sender *sender, struct view bytes, size_t number,
	struct refusal *refusal)
{
	raftcore_message_kind kind;
	if (raftcore_message_kind_of(bytes.data, bytes.len, &kind, NULL) != RAFTCORE_OK)
		return refuse(refusal, 400, "frame %zu is no message", number);
	if (!sender->is_member && !speaks_as_leader_or_candidate(kind))
		return refuse(refusal, 403, "node %" PRIu64 " is not a member", sender->id);
	if (kind == RAFTCORE_MESSAGE_SNAPSHOT && !snapshot_is_whole(bytes))
		return refuse(refusal, 400, "the data of the snapshot does not decode");
	return true;
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

/* Takes frames apart and looks at every message before the first is handed over. */
static bool collect(const struct sender *sender, struct view body, struct frames *frames,
	struct refusal *refusal)
{
	struct reader r = reader_of(body);
	for (size_t number = 1; r.at < r.end; number++) {
		struct view bytes = take_bytes(&r, take_u32(&r));
		if (r.bad)
			return refuse(refusal, 400, "the body ends within frame %zu", number);
		if (bytes.len == 0)
			continue; /* says nothing */
		if (!admit_message(sender, bytes, number, refusal))
			return false;
		add_frame(frames, bytes);
	}
	return true;
}

static bool hand_over(struct kv *kv, const struct sender *sender, const struct frames *frames,
	struct refusal *refusal)
{
	if (!sender->is_member)
		peers_learn(kv->peers, sender->id, sender->url);
	raftcore_status status = raftcore_node_step_many(kv->node->raft, frames->items, frames->count,
		NULL, NULL);
	/* A proposal that nobody leads is just lost. */
	if (status == RAFTCORE_OK || status / 100 == RAFTCORE_ERR_DROPPED / 100)
		return true;
	return refuse(refusal, 400, "a message is refused: %s", raftcore_last_error());
}

static void on_messages(struct kv *kv, struct evhttp_request *http)
{
	struct evbuffer *body = evhttp_request_get_input_buffer(http);
	struct view bytes = { evbuffer_pullup(body, -1), evbuffer_get_length(body) };
	struct sender sender;
	struct frames frames = { 0 };
	struct refusal refusal;
	if (bytes.len == 0) {
		reply_text(http, 411, "messages are needed in the body");
	} else if (admit(kv, http, &sender)) {
		const char *trouble = node_trouble(kv->node);
		if (trouble)
			reply_not_now(kv, http, NULL, trouble);
		else if (collect(&sender, bytes, &frames, &refusal) &&
			hand_over(kv, &sender, &frames, &refusal))
			evhttp_send_reply(http, 204, NULL, NULL);
		else
			reply_text(http, refusal.code, "%s", refusal.why);
		free(frames.items);
	}
}

/* On a stream nobody is answered: what cannot be taken now is lost, and Raft repeats it. */
bool incoming_on_frames(struct kv *kv, uint64_t from, struct view bytes)
{
	const struct member_row *row = members_find(&kv->node->members, from);
	struct sender sender = { .id = from, .is_member = true };
	struct frames frames = { 0 };
	struct refusal refusal;
	bool ok = row && !row->removed && collect(&sender, bytes, &frames, &refusal);
	if (ok && frames.count > 0 && !node_trouble(kv->node))
		hand_over(kv, &sender, &frames, &refusal);
	free(frames.items);
	return ok;
}

static void on_stream(struct kv *kv, struct evhttp_request *http)
{
	struct sender sender;
	if (!admit(kv, http, &sender))
		return;
	if (!sender.is_member || !peers_stream(kv->peers, sender.id, http))
		reply_text(http, 403, "node %" PRIu64 " is not a member", sender.id);
}

static void on_status(struct kv *kv, struct evhttp_request *http)
{
	struct sender sender;
	if (admit(kv, http, &sender))
		status_reply(kv, http);
}

static const struct door {
	const char *path;
	enum evhttp_cmd_type method;
	const char *allowed;
	void (*open)(struct kv *, struct evhttp_request *);
} doors[] = {
	{ "/raft", EVHTTP_REQ_POST, "POST", on_messages },
	{ "/stream", EVHTTP_REQ_GET, "GET", on_stream },
	{ "/status", EVHTTP_REQ_GET, "GET", on_status },
};

void incoming_on_request(struct evhttp_request *http, void *arg)
{
	struct kv *kv = arg;
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(http);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
	const struct door *door = doors, *end = doors + sizeof doors / sizeof *doors;
	while (door < end && (!path || strcmp(path, door->path) != 0))
		door++;

	evhttp_add_header(evhttp_request_get_output_headers(http), "Raft-Cluster",
		kv->options.cluster_id);
	if (kv->options.secret && !bears_secret(kv->options.secret, header(http, "Raft-Secret"))) {
		reply_text(http, 403, "the cluster's secret is missing or wrong");
	} else if (door == end) {
		reply_text(http, 404,
			"only /raft, /stream and /status are here; clients are served at another address");
	} else if (evhttp_request_get_command(http) != door->method) {
		evhttp_add_header(evhttp_request_get_output_headers(http), "Allow", door->allowed);
		reply_text(http, 405, "%s is asked for by %s", door->path, door->allowed);
	} else {
		door->open(kv, http);
	}
}
