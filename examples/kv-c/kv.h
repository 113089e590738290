/* kv.h: what the rooms of the service share.
 *
 * examples/README.md names the rooms, which are those of kv-go and kv-python too; bytes.c, buffers,
 * is of this service alone.
 *
 * Everything runs on one thread, in one libevent loop. Nothing blocks but the disk. */
#ifndef KV_H
#define KV_H

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdint.h>

#include "bytes.h"
#include "codec.h"
#include "membership.h"
#include "store.h"

#define KV_VERSION "0.1.0"

enum {
	EXIT_STOPPED = 0, /* as asked, or removed from the cluster */
	EXIT_BROKEN = 1,  /* it cannot go on */
	EXIT_USAGE = 2,
	EXIT_REFUSED = 3, /* it may not use this data directory */
};

#define ELECTION_TICKS 10
#define HEARTBEAT_TICKS 1
#define SECRET_MAX 256

struct options {
	uint64_t id;
	struct members cluster; /* as --cluster gives it */
	const char *listen;
	const char *listen_peers; /* or NULL: at this node's own URL */
	const char *data;
	const char *cluster_id;
	const char *secret_file;
	char *secret; /* what stands in it; NULL without */
	bool join;
	bool force_new_cluster;
	bool verbose;
	uint64_t tick_ms;
	uint64_t timeout_ms;
	uint64_t snapshot_entries;
	uint64_t catch_up_entries;
	uint64_t max_key;
	uint64_t max_value;
	uint64_t max_pending;
	uint64_t max_gap;
	uint64_t max_peer_body;
	uint64_t peer_queue;
};

struct node;
struct peers;
struct requests;
struct relays;

struct kv {
	struct options options;
	char *own_url;
	struct event_base *base;
	struct store *store;
	struct node *node;
	struct peers *peers;
	struct requests *requests;
	struct relays *relays;
	struct evhttp *client_http;
	struct evhttp *peer_http;
	uint64_t started_ms;
	bool stopping;
	int exit_code;
};

/* ---- options.c, main.c */

/* False: the process ends with this exit code, everything has been said. */
bool options_parse(struct options *o, int argc, char **argv, int *exit_code);

void options_free(struct options *o);
void kv_log(const struct kv *kv, const char *format, ...) __attribute__((format(printf, 2, 3)));
uint64_t now_ms(void); /* of a clock that only runs forward */
uint64_t unix_ms(void);
struct timeval timeval_of_ms(uint64_t ms);
uint64_t random_u64(void);
void kv_stop(struct kv *kv,
	int exit_code); /* answers who waits, lets the answers leave, ends the loop */

/* ---- clients.c, requests.c, status.c */

void clients_on_request(struct evhttp_request *http, void *kv);

/* Answers with a one-line text. The connection stays open. */
void reply_text(struct evhttp_request *http, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* 503, with Retry-After, the leader if known, and, for what would have changed something, the
 * outcome (else NULL). */
void reply_not_now(const struct kv *kv, struct evhttp_request *http, const char *outcome,
	const char *why);

struct requests *requests_new(struct kv *kv);
void requests_free(struct requests *r); /* everyone must have been answered */
bool requests_full(const struct requests *r);
void requests_count(const struct requests *r, size_t *writes, size_t *reads);
uint64_t requests_next_serial(struct requests *r);
/* Keeps an HTTP request until the log entry with this serial is applied here. If the entry may be
 * proposed again, because a request id keeps it from being applied twice, it is given too; else
 * nothing. */
void requests_await_write(struct requests *r, struct evhttp_request *http, uint64_t serial,
	struct view entry);
/* Keeps an HTTP request until it is known which index a read must have seen, and that index is
 * applied. */
void requests_await_read(struct requests *r, struct evhttp_request *http, struct view key);
void requests_write_applied(struct requests *r, uint64_t serial, uint64_t index);
void requests_read_confirmed(struct requests *r, struct view context, uint64_t index);
/* What was passed on to the last leader may be lost: proposes again what may be. */
void requests_new_leader(struct requests *r);
/* An entry of this term is applied. What was proposed in earlier terms and survived stood before
 * it, so nobody needs to wait for the rest. */
void requests_term_applied(struct requests *r, uint64_t term);
void requests_applied(struct requests *r,
	uint64_t index); /* everything up to index is applied and durable */
void requests_tick(struct requests *r);
void requests_answer_all(struct requests *r, const char *why); /* the process stops */

/* The answer to a read, linearizable or not. */
void reply_value(struct kv *kv, struct evhttp_request *http, struct view key);
void status_reply(struct kv *kv, struct evhttp_request *http);

/* ---- page.c */

void page_reply(struct evhttp_request *http);
struct relays *relays_new(void);
void relays_free(struct relays *r); /* after the server of those who wait for them */
/* The status of the member with this id; NULL is this node. */
void status_reply_of(struct kv *kv, struct evhttp_request *http, const char *of);

/* ---- peers.c, incoming.c */

struct peers *peers_new(struct kv *kv);
void peers_free(struct peers *p);
/* Makes the peers those of the membership: connects new ones, lets go of removed ones. */
void peers_follow(struct peers *p, const struct members *members);
/* A sender that is not a member yet, as far as this node knows. */
void peers_learn(struct peers *p, uint64_t id, const char *url);
void peers_send(struct peers *p, uint64_t to, bool is_snapshot,
	struct view message);          /* queues a copy */
void peers_flush(struct peers *p); /* sends what is queued */
void peers_tick(struct peers *p);
/* Adds the headers by which another node knows who asks and whom. */
void peers_introduce(const struct kv *kv, struct evhttp_request *request, uint64_t to,
	const char *url);
uint64_t peers_snapshots_sent(const struct peers *p);
/* Hears from an answer that this node was removed. */
void peers_heed(struct kv *kv, struct evhttp_request *answer, const char *url);
/* Answers this peer's request with all that is for it from now on. False: there is no such peer. */
bool peers_stream(struct peers *p, uint64_t to, struct evhttp_request *http);

void incoming_on_request(struct evhttp_request *http, void *kv);
/* Takes whole frames that came on a stream. False: they are malformed, or the sender may not speak.
 */
bool incoming_on_frames(struct kv *kv, uint64_t from, struct view frames);

#endif
