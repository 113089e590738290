/* The clients' API. PROTOCOL.md has the table; here is a door for each line of it. */
#include <event2/keyvalq_struct.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "node.h"

/* ---- answers */

static void add_text(struct evhttp_request *http, const char *text)
{
	evhttp_add_header(evhttp_request_get_output_headers(http), "Content-Type",
		"text/plain; charset=utf-8");
	evbuffer_add_printf(evhttp_request_get_output_buffer(http), "%s\n", text);
}

void reply_text(struct evhttp_request *http, int code, const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	add_text(http, text);
	evhttp_send_reply(http, code, NULL, NULL);
}

void reply_not_now(const struct kv *kv, struct evhttp_request *http, const char *outcome,
	const char *why)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(http);
	evhttp_add_header(headers, "Retry-After", "1");
	if (kv->node && kv->node->leader != 0) {
		char leader[24];
		snprintf(leader, sizeof leader, "%" PRIu64, kv->node->leader);
		evhttp_add_header(headers, "Raft-Leader", leader);
	}
	if (outcome)
		evhttp_add_header(headers, "Raft-Outcome", outcome);
	add_text(http, why);
	evhttp_send_reply(http, 503, NULL, NULL);
}

static void reply_method(struct evhttp_request *http, const char *allowed, const char *why)
{
	evhttp_add_header(evhttp_request_get_output_headers(http), "Allow", allowed);
	reply_text(http, 405, "%s", why);
}

void reply_value(struct kv *kv, struct evhttp_request *http, struct view key)
{
	struct buffer value = { 0 };
	char why[320];
	switch (state_get(kv->store, key, &value)) {
	case STORE_FOUND:
		evhttp_add_header(evhttp_request_get_output_headers(http), "Content-Type",
			"application/octet-stream");
		evbuffer_add(evhttp_request_get_output_buffer(http), value.data, value.len);
		evhttp_send_reply(http, 200, NULL, NULL);
		break;
	case STORE_ABSENT: reply_text(http, 404, "no such key"); break;
	case STORE_UNREADABLE:
		snprintf(why, sizeof why, "the disk cannot be read: %s", store_error(kv->store));
		reply_not_now(kv, http, NULL, why);
		break;
	}
	buffer_free(&value);
}

/* ---- what is asked */

/* A request, taken apart. The path is decoded and has no slash in front. */
struct asked {
	struct evhttp_request *http;
	enum evhttp_cmd_type method;
	char *path;
	size_t path_len;
	struct evkeyvalq query;
};

static bool has_body(struct evhttp_request *http)
{
	struct evkeyvalq *headers = evhttp_request_get_input_headers(http);
	return evhttp_find_header(headers, "Content-Length") ||
		evhttp_find_header(headers, "Transfer-Encoding");
}

/* True if something stands in the way of changing anything now; then it is answered. */
static bool refused_for_now(struct kv *kv, struct evhttp_request *http, const char *outcome)
{
	const char *trouble = node_trouble(kv->node);
	if (!trouble && requests_full(kv->requests))
		trouble = "too many requests are waiting";
	if (!trouble && kv->node->commit > kv->node->applied + kv->options.max_gap)
		trouble = "too many entries are committed and not applied yet";
	if (trouble)
		reply_not_now(kv, http, outcome, trouble);
	return trouble != NULL;
}

/* ---- keys */

static void on_write(struct kv *kv, struct asked *a, uint8_t operation, struct view key)
{
	struct evbuffer *body = evhttp_request_get_input_buffer(a->http);
	const char *request_id = evhttp_find_header(evhttp_request_get_input_headers(a->http),
		"Request-Id");
	size_t len = operation == OP_PUT ? evbuffer_get_length(body) : 0;
	char why[200];
	if (operation == OP_PUT && !has_body(a->http)) {
		reply_text(a->http, 411,
			"a value is needed in the body; an empty one is sent with Content-Length: 0");
		return;
	}
	if (len > kv->options.max_value) {
		reply_text(a->http, 413, "the value is longer than %" PRIu64 " bytes",
			kv->options.max_value);
		return;
	}
	if (request_id && !is_visible(request_id, 1, REQUEST_ID_MAX)) {
		reply_text(a->http, 400, "Request-Id is not 1 to %d visible ASCII characters",
			REQUEST_ID_MAX);
		return;
	}
	if (refused_for_now(kv, a->http, "refused"))
		return;
	struct write w = {
		.operation = operation,
		.origin = kv->options.id,
		.serial = requests_next_serial(kv->requests),
		.request_id = request_id ? view_of(request_id) : (struct view){ 0 },
		.key = key,
		.value = { len ? evbuffer_pullup(body, (ev_ssize_t)len) : NULL, len },
	};
	struct buffer entry = { 0 };
	write_encode(&entry, &w);
	evbuffer_drain(body, len); /* what waits need not wait with its body */
	if (node_propose(kv->node, (struct view){ entry.data, entry.len }, why, sizeof why))
		requests_await_write(kv->requests, a->http, w.serial,
			(struct view){ entry.data, request_id ? entry.len : 0 });
	else
		reply_not_now(kv, a->http, "refused", why);
	buffer_free(&entry);
}

static void on_read(struct kv *kv, struct asked *a, struct view key)
{
	const char *stale = evhttp_find_header(&a->query, "stale");
	if (stale && strcmp(stale, "1") != 0)
		reply_text(a->http, 400, "stale can only be 1");
	else if (stale)
		reply_value(kv, a->http, key);
	else if (!refused_for_now(kv, a->http, NULL))
		requests_await_read(kv->requests, a->http, key);
}

/* In the short form DELETE speaks of members, so that only the long form deletes a key. */
static void on_key(struct kv *kv, struct asked *a, struct view key, bool long_form)
{
	const struct evkeyval *parameter;
	TAILQ_FOREACH(parameter, &a->query, next)
	{
		if (strcmp(parameter->key, "stale") != 0 ||
			(a->method != EVHTTP_REQ_GET && a->method != EVHTTP_REQ_HEAD)) {
			reply_text(a->http, 400, "unknown parameter '%.64s'; in a key, ? is written %%3F",
				parameter->key);
			return;
		}
	}
	if (key.len == 0) {
		reply_text(a->http, 400, "a key is needed in the path");
	} else if (key.len > kv->options.max_key) {
		reply_text(a->http, 413, "the key is longer than %" PRIu64 " bytes",
			kv->options.max_key);
	} else if (a->method == EVHTTP_REQ_PUT) {
		on_write(kv, a, OP_PUT, key);
	} else if (a->method == EVHTTP_REQ_GET || a->method == EVHTTP_REQ_HEAD) {
		on_read(kv, a, key);
	} else if (a->method == EVHTTP_REQ_DELETE && long_form) {
		on_write(kv, a, OP_DELETE, key);
	} else {
		reply_method(a->http, long_form ? "GET, HEAD, PUT, DELETE" : "GET, HEAD, PUT, POST, DELETE",
			"that method means nothing for a key");
	}
}

/* ---- members */

/* The body, without the white space that comes with files and here-documents. */
static struct view body_text(struct evhttp_request *http)
{
	struct evbuffer *body = evhttp_request_get_input_buffer(http);
	size_t len = evbuffer_get_length(body);
	struct view text = { len ? evbuffer_pullup(body, (ev_ssize_t)len) : NULL, len };
	while (text.len > 0 && memchr(" \t\r\n", text.data[text.len - 1], 4))
		text.len--;
	return text;
}

/* The body as a URL; NULL when it is none. */
static char *body_url(struct evhttp_request *http)
{
	struct view text = body_text(http);
	if (text.len == 0 || text.len > URL_MAX || memchr(text.data, 0, text.len))
		return NULL;
	char *url = xstrndup((const char *)text.data, text.len);
	if (url_parse(url, NULL, NULL))
		return url;
	free(url);
	return NULL;
}

static void on_member(struct kv *kv, struct asked *a)
{
	bool adds = a->method == EVHTTP_REQ_POST;
	uint64_t id = 0;
	char why[200 + URL_MAX];
	if (!parse_u64(a->path, a->path_len, &id) || id == 0 || id > NODE_ID_MAX) {
		reply_text(a->http, 400, "%s a member by its id, a number from 1 up; a key is %s",
			adds ? "POST /<node id> adds" : "DELETE /<node id> removes",
			adds ? "written by PUT /<key>" : "deleted by DELETE /_/kv/<key>");
		return;
	}
	char *url = adds ? body_url(a->http) : NULL;
	if (adds && !has_body(a->http)) {
		reply_text(a->http, 411, "the new member's peer URL is needed in the body");
	} else if (adds && !url) {
		reply_text(a->http, 400, "the body is not a peer URL of the form http://host:port");
	} else if (!refused_for_now(kv, a->http, "refused")) {
		uint64_t serial = requests_next_serial(kv->requests);
		int refused = node_propose_change(kv->node, id, url, serial, why, sizeof why);
		if (refused == 0)
			requests_await_write(kv->requests, a->http, serial, (struct view){ 0 });
		else if (refused == 503)
			reply_not_now(kv, a->http, "refused", why);
		else
			reply_text(a->http, refused, "%s", why);
	}
	free(url);
}

static void on_leader(struct kv *kv, struct asked *a)
{
	struct view text = body_text(a->http);
	uint64_t id = 0;
	char why[200];
	if (a->method != EVHTTP_REQ_PUT) {
		reply_method(a->http, "PUT", "leadership is handed over by PUT");
	} else if (!has_body(a->http)) {
		reply_text(a->http, 411, "the id of the member that is to lead is needed in the body");
	} else if (text.len == 0 || !parse_u64((const char *)text.data, text.len, &id) || id == 0) {
		reply_text(a->http, 400, "the body is not a member's id");
	} else if (!refused_for_now(kv, a->http, NULL)) {
		int refused = node_transfer(kv->node, id, why, sizeof why);
		if (refused == 0)
			evhttp_send_reply(a->http, 204, NULL, NULL);
		else if (refused == 503)
			reply_not_now(kv, a->http, NULL, why);
		else
			reply_text(a->http, refused, "%s", why);
	}
}

/* ---- the door */

static bool starts_with(const struct asked *a, const char *prefix)
{
	size_t len = strlen(prefix);
	return a->path_len >= len && memcmp(a->path, prefix, len) == 0;
}

static void route(struct kv *kv, struct asked *a)
{
	if (starts_with(a, "_/kv/")) {
		on_key(kv, a, (struct view){ (uint8_t *)a->path + 5, a->path_len - 5 }, true);
	} else if (a->path_len == 8 && starts_with(a, "_/status")) {
		if (a->method == EVHTTP_REQ_GET || a->method == EVHTTP_REQ_HEAD)
			status_reply_of(kv, a->http, evhttp_find_header(&a->query, "of"));
		else
			reply_method(a->http, "GET, HEAD", "the status can only be read");
	} else if (a->path_len == 8 && starts_with(a, "_/leader")) {
		on_leader(kv, a);
	} else if (a->path_len == 2 && starts_with(a, "_/")) {
		if (a->method == EVHTTP_REQ_GET || a->method == EVHTTP_REQ_HEAD)
			page_reply(a->http);
		else
			reply_method(a->http, "GET, HEAD", "the page can only be read");
	} else if (starts_with(a, "_/")) {
		reply_text(a->http, 404,
			"nothing is there; a key that begins with _/ is at /_/kv/_/...");
	} else if (a->method == EVHTTP_REQ_POST || a->method == EVHTTP_REQ_DELETE) {
		on_member(kv, a);
	} else {
		on_key(kv, a, (struct view){ (uint8_t *)a->path, a->path_len }, false);
	}
}

void clients_on_request(struct evhttp_request *http, void *arg)
{
	struct asked a = { .http = http, .method = evhttp_request_get_command(http) };
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(http);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
	const char *query = uri ? evhttp_uri_get_query(uri) : NULL;
	if (!path || path[0] != '/' || evhttp_uri_get_fragment(uri)) {
		reply_text(http, 400, "the path must begin with a slash");
		return;
	}
	if (query && evhttp_parse_query_str(query, &a.query) != 0) {
		reply_text(http, 400, "the query cannot be understood");
		return;
	}
	if (!query)
		TAILQ_INIT(&a.query);
	a.path = evhttp_uridecode(path + 1, 0, &a.path_len);
	if (a.path)
		route(arg, &a);
	else
		reply_text(http, 400, "the path cannot be decoded");
	free(a.path);
	evhttp_clear_headers(&a.query);
}
