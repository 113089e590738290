/* Messages to the other nodes.
 *
 * A member that listens gets them on a stream. To the others they are posted: each peer has two
 * kept-alive connections: one for messages, one for snapshots, so that a heartbeat need not wait
 * behind a snapshot. A connection carries one request at a time; what comes meanwhile waits and
 * then leaves together in the next request. So a slow peer gets larger batches, and nothing else
 * here needs tuning. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "node.h"
#include "streams.h"

#define BATCH_BYTES (1 << 20)
#define SNAPSHOT_TIMEOUT_MS 60000
#define MESSAGE_TIMEOUT_TICKS (2 * ELECTION_TICKS)
#define STRANGERS_MAX 64
#define RETIRE_TICKS (2 * ELECTION_TICKS)

struct message {
	TAILQ_ENTRY(message) link;
	size_t len;
	uint8_t bytes[];
};

struct channel {
	struct peer *peer;
	struct evhttp_connection *connection;
	TAILQ_HEAD(, message) queue;
	size_t queued_bytes;
	bool carries_snapshots;
	bool busy; /* a request is under way */
};

struct peer {
	TAILQ_ENTRY(peer) link;
	struct peers *peers;
	uint64_t id;
	char *url;
	struct channel messages;
	struct channel snapshots;
	struct speaker *speaker;   /* where it listens to this node; NULL: it does not */
	struct listener *listener; /* where this node listens to it; NULL: it is no member */
	bool reachable;
	unsigned retire_in; /* ticks until a removed member is forgotten; 0: it is not removed */
};

struct peers {
	struct kv *kv;
	TAILQ_HEAD(, peer) list;
	/* How many were ever learned from what they said: bounded, since anyone can say it. */
	unsigned strangers;
	uint64_t snapshots_sent;
};

/* ---- one channel */

static void channel_open(struct channel *c, struct peer *peer, const char *host, uint16_t port,
	bool carries_snapshots)
{
	struct kv *kv = peer->peers->kv;
	struct timeval timeout = timeval_of_ms(
		carries_snapshots ? SNAPSHOT_TIMEOUT_MS : kv->options.tick_ms * MESSAGE_TIMEOUT_TICKS);
	c->peer = peer;
	c->carries_snapshots = carries_snapshots;
	TAILQ_INIT(&c->queue);
	/* Without a DNS base, looking up a name blocks: use addresses, or names from /etc/hosts. */
	c->connection = evhttp_connection_base_new(kv->base, NULL, host, port);
	if (!c->connection)
		return;
	evhttp_connection_set_timeout_tv(c->connection, &timeout);
	evhttp_connection_set_max_body_size(c->connection, 4096);
	/* A peer that refuses a body may answer and close before it has read all of it: its answer is
	 * what matters. */
	evhttp_connection_set_flags(c->connection, EVHTTP_CON_READ_ON_WRITE_ERROR);
}

static void drop_oldest(struct channel *c)
{
	struct message *m = TAILQ_FIRST(&c->queue);
	TAILQ_REMOVE(&c->queue, m, link);
	c->queued_bytes -= m->len;
	free(m);
}

static void channel_close(struct channel *c)
{
	while (!TAILQ_EMPTY(&c->queue))
		drop_oldest(c);
	/* A request under way goes with its connection, and is not called back. */
	if (c->connection)
		evhttp_connection_free(c->connection);
	c->connection = NULL;
	c->busy = false;
}

/* What waited behind a message that was lost is stale by the time the peer is back: Raft will say
 * what it needs then. */
static void report_lost(struct channel *c)
{
	struct node *node = c->peer->peers->kv->node;
	while (!TAILQ_EMPTY(&c->queue))
		drop_oldest(c);
	if (c->carries_snapshots)
		node_report_snapshot(node, c->peer->id, false);
	node_report_unreachable(node, c->peer->id);
}

/* ---- requests */

static void note_reachable(struct peer *p, bool reachable, const char *why)
{
	if (reachable == p->reachable)
		return;
	p->reachable = reachable;
	kv_log(p->peers->kv, "peer %" PRIu64 " at %s: %s", p->id, p->url, reachable ? "answers" : why);
}

static void channel_flush(struct channel *c);

static bool answered_by_our_cluster(struct evhttp_request *answer, const struct kv *kv)
{
	const char *cluster = evhttp_find_header(evhttp_request_get_input_headers(answer),
		"Raft-Cluster");
	return cluster && strcmp(cluster, kv->options.cluster_id) == 0;
}

/* Hears from an answer that this node was removed. */
void peers_heed(struct kv *kv, struct evhttp_request *answer, const char *url)
{
	if (evhttp_request_get_response_code(answer) == 410 && answered_by_our_cluster(answer, kv))
		node_leave(kv->node, url);
}

static void on_answer(struct evhttp_request *answer, void *arg)
{
	struct channel *c = arg;
	struct peer *p = c->peer;
	struct kv *kv = p->peers->kv;
	int code = answer ? evhttp_request_get_response_code(answer) : 0;
	c->busy = false;
	if (kv->stopping)
		return;
	if (code == 204) {
		note_reachable(p, true, NULL);
		if (c->carries_snapshots) {
			p->peers->snapshots_sent++;
			node_report_snapshot(kv->node, p->id, true);
		}
	} else {
		char why[200] = "cannot be reached";
		if (code != 0) {
			char text[160] = "";
			struct evbuffer *body = evhttp_request_get_input_buffer(answer);
			evbuffer_remove(body, text, sizeof text - 1);
			text[strcspn(text, "\r\n")] = 0;
			snprintf(why, sizeof why, "answers %d: %s", code, text);
		}
		note_reachable(p, false, why);
		report_lost(c);
		if (answer)
			peers_heed(kv, answer, p->url);
	}
	channel_flush(c);
}

static void add_header_u64(struct evhttp_request *request, const char *name, uint64_t value)
{
	char text[24];
	snprintf(text, sizeof text, "%" PRIu64, value);
	evhttp_add_header(evhttp_request_get_output_headers(request), name, text);
}

void peers_introduce(const struct kv *kv, struct evhttp_request *request, uint64_t to,
	const char *url)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	const char *address = strstr(url, "://") + 3;
	char *host = xstrndup(address, strcspn(address, "/"));
	evhttp_add_header(headers, "Host", host);
	free(host);
	evhttp_add_header(headers, "Raft-Cluster", kv->options.cluster_id);
	add_header_u64(request, "Raft-From", kv->options.id);
	add_header_u64(request, "Raft-To", to);
	evhttp_add_header(headers, "Raft-Url", kv->own_url);
	if (kv->options.secret)
		evhttp_add_header(headers, "Raft-Secret", kv->options.secret);
}

static void on_speaker_broken(void *arg)
{
	struct peer *p = arg;
	speaker_free(p->speaker);
	p->speaker = NULL;
	if (!p->peers->kv->stopping)
		report_lost(&p->messages);
}

/* Moves messages from the queue into the body, each behind its length: all that fit into a batch,
 * but at least one. */
static void fill_body(struct channel *c, struct evbuffer *body)
{
	size_t limit = c->carries_snapshots ? 0 : BATCH_BYTES;
	do {
		struct message *m = TAILQ_FIRST(&c->queue);
		uint8_t len[4] = { (uint8_t)(m->len >> 24), (uint8_t)(m->len >> 16), (uint8_t)(m->len >> 8),
			(uint8_t)m->len };
		evbuffer_add(body, len, sizeof len);
		evbuffer_add(body, m->bytes, m->len);
		drop_oldest(c);
	} while (!TAILQ_EMPTY(&c->queue) &&
		evbuffer_get_length(body) + TAILQ_FIRST(&c->queue)->len <= limit);
}

/* Who takes it too slowly loses the stream, and with it all that waits. */
static void say(struct channel *c)
{
	struct peer *p = c->peer;
	struct evbuffer *frames = evbuffer_new();
	while (frames && !TAILQ_EMPTY(&c->queue))
		fill_body(c, frames);
	if (frames)
		speaker_say(p->speaker, frames);
	if (!frames || speaker_waiting(p->speaker) > p->peers->kv->options.peer_queue)
		on_speaker_broken(p);
	if (frames)
		evbuffer_free(frames);
}

static void channel_flush(struct channel *c)
{
	struct kv *kv = c->peer->peers->kv;
	if (c->busy || TAILQ_EMPTY(&c->queue) || kv->stopping)
		return;
	if (c->peer->speaker && !c->carries_snapshots) {
		say(c);
		return;
	}
	struct evhttp_request *request = c->connection ? evhttp_request_new(on_answer, c) : NULL;
	if (!request) {
		report_lost(c);
		return;
	}
	peers_introduce(kv, request, c->peer->id, c->peer->url);
	evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type",
		"application/octet-stream");
	fill_body(c, evhttp_request_get_output_buffer(request));
	c->busy = true;
	if (evhttp_make_request(c->connection, request, EVHTTP_REQ_POST, "/raft") != 0) {
		c->busy = false; /* the request is freed already */
		report_lost(c);
	}
}

/* ---- the table of peers */

static struct peer *find(struct peers *p, uint64_t id)
{
	struct peer *peer;
	TAILQ_FOREACH(peer, &p->list, link)
	{
		if (peer->id == id)
			return peer;
	}
	return NULL;
}

static void forget(struct peers *p, struct peer *peer)
{
	TAILQ_REMOVE(&p->list, peer, link);
	channel_close(&peer->messages);
	channel_close(&peer->snapshots);
	speaker_free(peer->speaker);
	listener_free(peer->listener);
	free(peer->url);
	free(peer);
}

static struct peer *add(struct peers *p, uint64_t id, const char *url)
{
	char *host = NULL;
	uint16_t port = 0;
	if (!url_parse(url, &host, &port))
		return NULL;
	struct peer *peer = xmalloc(sizeof *peer);
	peer->peers = p;
	peer->id = id;
	peer->url = xstrdup(url);
	peer->reachable = true;
	channel_open(&peer->messages, peer, host, port, false);
	channel_open(&peer->snapshots, peer, host, port, true);
	TAILQ_INSERT_TAIL(&p->list, peer, link);
	free(host);
	return peer;
}

void peers_learn(struct peers *p, uint64_t id, const char *url)
{
	if (find(p, id) || p->strangers == STRANGERS_MAX || !add(p, id, url))
		return;
	p->strangers++;
	kv_log(p->kv, "heard of node %" PRIu64 " at %s", id, url);
}

void peers_follow(struct peers *p, const struct members *members)
{
	for (size_t i = 0; i < members->count; i++) {
		const struct member_row *row = &members->rows[i];
		struct peer *peer = find(p, row->id);
		if (row->id == p->kv->options.id)
			continue;
		if (row->removed) {
			/* It still has to hear that it was removed: when it asks. */
			if (peer && peer->retire_in == 0) {
				peer->retire_in = RETIRE_TICKS;
				listener_free(peer->listener);
				peer->listener = NULL;
			}
			continue;
		}
		if (peer && *row->url && strcmp(peer->url, row->url) != 0) {
			forget(p, peer);
			peer = NULL;
		}
		if (!peer && *row->url)
			peer = add(p, row->id, row->url);
		if (peer && !peer->listener)
			peer->listener = listener_new(p->kv, peer->id, peer->url);
	}
}

void peers_tick(struct peers *p)
{
	for (struct peer *peer = TAILQ_FIRST(&p->list), *next; peer; peer = next) {
		next = TAILQ_NEXT(peer, link);
		if (peer->listener)
			listener_tick(peer->listener);
		/* An empty frame says nothing, but silence would say that the stream is broken. */
		if (peer->speaker)
			peers_send(p, peer->id, false, (struct view){ 0 });
		if (peer->retire_in > 0 && --peer->retire_in == 0)
			forget(p, peer);
	}
	peers_flush(p);
}

bool peers_stream(struct peers *p, uint64_t to, struct evhttp_request *http)
{
	struct peer *peer = find(p, to);
	if (!peer)
		return false;
	speaker_free(peer->speaker); /* who asks again does not hear the last one */
	peer->speaker = speaker_new(http, on_speaker_broken, peer);
	return true;
}

void peers_send(struct peers *p, uint64_t to, bool is_snapshot, struct view bytes)
{
	struct peer *peer = find(p, to);
	if (!peer || bytes.len > UINT32_MAX) {
		node_report_unreachable(p->kv->node, to);
		if (is_snapshot)
			node_report_snapshot(p->kv->node, to, false);
		return;
	}
	struct channel *c = is_snapshot ? &peer->snapshots : &peer->messages;
	struct message *m = xmalloc(sizeof *m + bytes.len);
	m->len = bytes.len;
	if (bytes.len)
		memcpy(m->bytes, bytes.data, bytes.len);
	TAILQ_INSERT_TAIL(&c->queue, m, link);
	c->queued_bytes += m->len;
	bool dropped = false;
	while (c->queued_bytes > p->kv->options.peer_queue && TAILQ_FIRST(&c->queue) != m) {
		drop_oldest(c);
		dropped = true;
	}
	if (dropped) {
		note_reachable(peer, false, "takes messages too slowly; the oldest are dropped");
		node_report_unreachable(p->kv->node, to);
		if (is_snapshot)
			node_report_snapshot(p->kv->node, to, false);
	}
}

void peers_flush(struct peers *p)
{
	for (struct peer *peer = TAILQ_FIRST(&p->list), *next; peer; peer = next) {
		next = TAILQ_NEXT(peer, link);
		channel_flush(&peer->messages);
		channel_flush(&peer->snapshots);
	}
}

uint64_t peers_snapshots_sent(const struct peers *p) { return p->snapshots_sent; }

struct peers *peers_new(struct kv *kv)
{
	struct peers *p = xmalloc(sizeof *p);
	p->kv = kv;
	TAILQ_INIT(&p->list);
	return p;
}

void peers_free(struct peers *p)
{
	if (!p)
		return;
	while (!TAILQ_EMPTY(&p->list))
		forget(p, TAILQ_FIRST(&p->list));
	free(p);
}
