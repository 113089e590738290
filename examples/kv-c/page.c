/* GET /_/: the page, and the status of other members for it. The browser asks this node for them,
 * and this node asks them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "node.h"

#define PATIENCE_MS 1000
#define STATUS_BYTES (1 << 20)

/* examples/page/index.html, as the Makefile writes it. */
static const uint8_t page[] = {
#include "page.inc"
};

void page_reply(struct evhttp_request *http)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(http);
	evhttp_add_header(headers, "Content-Type", "text/html; charset=utf-8");
	evhttp_add_header(headers, "Cache-Control", "no-cache");
	evbuffer_add_reference(evhttp_request_get_output_buffer(http), page, sizeof page, NULL, NULL);
	evhttp_send_reply(http, 200, NULL, NULL);
}

/* A browser's request that waits for another member's status. */
struct relay {
	LIST_ENTRY(relay) link;
	struct kv *kv;
	uint64_t to;
	struct evhttp_request *http;
	struct evhttp_connection *connection; /* ends with its answer */
};

LIST_HEAD(relays, relay);

struct relays *relays_new(void)
{
	struct relays *r = xmalloc(sizeof *r);
	LIST_INIT(r);
	return r;
}

static void drop(struct relay *r)
{
	LIST_REMOVE(r, link);
	free(r);
}

/* Who still waits goes with the server, and what was asked with its connection. */
void relays_free(struct relays *r)
{
	if (!r)
		return;
	while (!LIST_EMPTY(r)) {
		evhttp_connection_free(LIST_FIRST(r)->connection);
		drop(LIST_FIRST(r));
	}
	free(r);
}

static void on_status(struct evhttp_request *answer, void *arg)
{
	struct relay *r = arg;
	int code = answer ? evhttp_request_get_response_code(answer) : 0;
	char why[80] = "";
	if (code == 200) {
		evhttp_add_header(evhttp_request_get_output_headers(r->http), "Content-Type",
			"application/json");
		evbuffer_add_buffer(evhttp_request_get_output_buffer(r->http),
			evhttp_request_get_input_buffer(answer));
		evhttp_send_reply(r->http, 200, NULL, NULL);
	} else {
		char number[16] = "nothing";
		if (code)
			snprintf(number, sizeof number, "%d", code);
		snprintf(why, sizeof why, "node %" PRIu64 " answers %s", r->to, number);
		reply_not_now(r->kv, r->http, NULL, why);
	}
	drop(r);
}

static void ask(struct kv *kv, struct evhttp_request *http, const struct member_row *member)
{
	char *host = NULL;
	uint16_t port = 0;
	struct timeval patience = timeval_of_ms(PATIENCE_MS);
	struct relay *r = xmalloc(sizeof *r);
	struct evhttp_request *request = evhttp_request_new(on_status, r);
	*r = (struct relay){ .kv = kv, .to = member->id, .http = http };
	if (url_parse(member->url, &host, &port))
		r->connection = evhttp_connection_base_new(kv->base, NULL, host, port);
	free(host);
	LIST_INSERT_HEAD(kv->relays, r, link);
	if (!request || !r->connection) {
		if (request)
			evhttp_request_free(request);
		on_status(NULL, r);
		return;
	}
	evhttp_connection_free_on_completion(r->connection);
	evhttp_connection_set_timeout_tv(r->connection, &patience);
	evhttp_connection_set_max_body_size(r->connection, STATUS_BYTES);
	peers_introduce(kv, request, member->id, member->url);
	if (evhttp_make_request(r->connection, request, EVHTTP_REQ_GET, "/status") != 0) {
		evhttp_connection_free(r->connection); /* the request is freed already */
		on_status(NULL, r);
	}
}

void status_reply_of(struct kv *kv, struct evhttp_request *http, const char *of)
{
	uint64_t id = kv->options.id;
	if (of && !parse_u64(of, strlen(of), &id)) {
		reply_text(http, 400, "of is not a node's id");
		return;
	}
	const struct member_row *member = members_find(&kv->node->members, id);
	if (id == kv->options.id)
		status_reply(kv, http);
	else if (member && !member->removed)
		ask(kv, http, member);
	else
		reply_text(http, 404, "no member has the id %" PRIu64, id);
}
