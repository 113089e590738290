/* The clients' requests that wait for an answer.
 *
 * A write waits until the log entry with its serial is applied here. A read waits for two things:
 * a leader's word on which index it must have seen, and that this index is applied. Reads that
 * arrive while the leader is being asked share the next question, so that a thousand readers cost
 * one round of heartbeats, not a thousand. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "node.h"

#define ASK_AGAIN_TICKS 3

struct request {
	TAILQ_ENTRY(request) link;
	struct evhttp_request *http;
	uint64_t deadline_ms;
	uint64_t serial;     /* of a write: its entry; of a read: the question that covers it */
	bool confirmed;      /* of a read: `read_index` is known */
	uint64_t read_index; /* of a read */
	uint64_t term;       /* of a write: the term in which it was proposed */
	size_t len;
	uint8_t bytes[]; /* of a read: the key; of a write that may be proposed again: its entry */
};

TAILQ_HEAD(request_list, request);

struct requests {
	struct kv *kv;
	/* Both in order of arrival, which is the order of their deadlines, and nearly that of their
	 * answers. */
	struct request_list writes, reads;
	size_t write_count, read_count;
	uint64_t next_serial;
	/* Questions are numbered by next_question; `asked` is the last one asked. */
	uint64_t next_question, asked;
	bool asking; /* it has no answer yet */
	unsigned asked_ticks_ago;
};

struct requests *requests_new(struct kv *kv)
{
	struct requests *r = xmalloc(sizeof *r);
	r->kv = kv;
	TAILQ_INIT(&r->writes);
	TAILQ_INIT(&r->reads);
	/* Numbers that no earlier life of this node has used: see PROTOCOL.md. */
	r->next_serial = random_u64();
	r->next_question = random_u64() >> 1; /* compared by size, so it must not wrap */
	return r;
}

void requests_free(struct requests *r) { free(r); }

bool requests_full(const struct requests *r)
{
	return r->write_count + r->read_count >= r->kv->options.max_pending;
}

void requests_count(const struct requests *r, size_t *writes, size_t *reads)
{
	*writes = r->write_count;
	*reads = r->read_count;
}

uint64_t requests_next_serial(struct requests *r) { return r->next_serial++; }

static struct request *new_request(struct requests *r, struct evhttp_request *http,
	struct view bytes)
{
	struct request *q = xmalloc(sizeof *q + bytes.len);
	q->http = http;
	q->deadline_ms = now_ms() + r->kv->options.timeout_ms;
	q->len = bytes.len;
	if (bytes.len)
		memcpy(q->bytes, bytes.data, bytes.len);
	return q;
}

static void drop_write(struct requests *r, struct request *q)
{
	TAILQ_REMOVE(&r->writes, q, link);
	r->write_count--;
	free(q);
}

static void drop_read(struct requests *r, struct request *q)
{
	TAILQ_REMOVE(&r->reads, q, link);
	r->read_count--;
	free(q);
}

/* ---- writes */

void requests_await_write(struct requests *r, struct evhttp_request *http, uint64_t serial,
	struct view entry)
{
	struct request *q = new_request(r, http, entry);
	q->serial = serial;
	q->term = r->kv->node->term;
	TAILQ_INSERT_TAIL(&r->writes, q, link);
	r->write_count++;
}

void requests_write_applied(struct requests *r, uint64_t serial, uint64_t index)
{
	struct request *q;
	/* Entries are applied nearly in the order of arrival, so the one looked for stands at or near
	 * the front. */
	TAILQ_FOREACH(q, &r->writes, link)
	{
		if (q->serial != serial)
			continue;
		char text[24];
		snprintf(text, sizeof text, "%" PRIu64, index);
		evhttp_add_header(evhttp_request_get_output_headers(q->http), "Raft-Index", text);
		evhttp_send_reply(q->http, 204, NULL, NULL);
		drop_write(r, q);
		return;
	}
}

void requests_new_leader(struct requests *r)
{
	struct request *q;
	TAILQ_FOREACH(q, &r->writes, link)
	{
		if (q->len > 0 && node_propose(r->kv->node, (struct view){ q->bytes, q->len }, NULL, 0))
			q->term = r->kv->node->term;
	}
}

void requests_term_applied(struct requests *r, uint64_t term)
{
	for (struct request *q = TAILQ_FIRST(&r->writes), *next; q; q = next) {
		next = TAILQ_NEXT(q, link);
		if (q->term >= term)
			continue;
		reply_not_now(r->kv, q->http, "unknown",
			"outcome unknown: the leader changed, the write may be lost with the old one");
		drop_write(r, q);
	}
}

/* ---- reads */

/* A question may get lost with a leader, so the next one is asked after a while; its answer serves
 * all that came before. */
static void ask(struct requests *r)
{
	struct buffer context = { 0 };
	put_u64(&context, r->next_question);
	r->asked = r->next_question++;
	r->asked_ticks_ago = 0;
	r->asking = true;
	node_read_index(r->kv->node, (struct view){ context.data, context.len });
	buffer_free(&context);
}

void requests_await_read(struct requests *r, struct evhttp_request *http, struct view key)
{
	struct request *q = new_request(r, http, key);
	q->serial = r->next_question;
	TAILQ_INSERT_TAIL(&r->reads, q, link);
	r->read_count++;
	if (!r->asking)
		ask(r);
}

void requests_read_confirmed(struct requests *r, struct view context, uint64_t index)
{
	struct reader reader = reader_of(context);
	uint64_t question = take_u64(&reader);
	struct request *q;
	bool more = false;
	/* Not asked yet: an answer that an earlier life of this node waited for, with an old index. */
	if (question > r->asked)
		return;
	TAILQ_FOREACH(q, &r->reads, link)
	{
		if (!q->confirmed && q->serial <= question) {
			q->confirmed = true;
			q->read_index = index;
		}
		more = more || !q->confirmed;
	}
	if (question == r->asked)
		r->asking = false;
	if (more && !r->asking)
		ask(r);
}

void requests_applied(struct requests *r, uint64_t index)
{
	struct request *q;
	while ((q = TAILQ_FIRST(&r->reads)) && q->confirmed && q->read_index <= index) {
		reply_value(r->kv, q->http, (struct view){ q->bytes, q->len });
		drop_read(r, q);
	}
}

/* ---- time */

void requests_tick(struct requests *r)
{
	uint64_t now = now_ms();
	struct request *q;
	char why[400];
	while ((q = TAILQ_FIRST(&r->writes)) && q->deadline_ms <= now) {
		const char *trouble = node_trouble(r->kv->node);
		snprintf(why, sizeof why, "outcome unknown: not applied within %" PRIu64 " ms%s%s",
			r->kv->options.timeout_ms, trouble ? ": " : "", trouble ? trouble : "");
		reply_not_now(r->kv, q->http, "unknown", why);
		drop_write(r, q);
	}
	while ((q = TAILQ_FIRST(&r->reads)) && q->deadline_ms <= now) {
		snprintf(why, sizeof why, "no leader confirmed the read within %" PRIu64 " ms",
			r->kv->options.timeout_ms);
		reply_not_now(r->kv, q->http, NULL, why);
		drop_read(r, q);
	}
	if (r->asking && ++r->asked_ticks_ago >= ASK_AGAIN_TICKS) {
		r->asking = false;
		TAILQ_FOREACH(q, &r->reads, link)
		{
			if (!q->confirmed) {
				ask(r);
				break;
			}
		}
	}
}

void requests_answer_all(struct requests *r, const char *why)
{
	struct request *q;
	char text[200];
	snprintf(text, sizeof text, "outcome unknown: %s", why);
	while ((q = TAILQ_FIRST(&r->writes))) {
		reply_not_now(r->kv, q->http, "unknown", text);
		drop_write(r, q);
	}
	while ((q = TAILQ_FIRST(&r->reads))) {
		reply_not_now(r->kv, q->http, NULL, why);
		drop_read(r, q);
	}
}
