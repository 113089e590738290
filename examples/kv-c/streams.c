/* Messages to the other nodes without asking each time. See streams.h. */
#include "streams.h"

#include <event2/bufferevent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "node.h"

#define SILENT_TICKS 20 /* something is said with each tick: after so many the stream is broken */
#define PAUSE_TICKS 5   /* before it is asked for again */
#define FOR_EVER_S (365 * 24 * 3600)

/* ---- the end that speaks */

struct speaker {
	struct evhttp_request *http;
	speaker_fn on_broken;
	void *arg;
	bool broken; /* the connection is being freed */
};

static void on_closed(struct evhttp_connection *connection, void *arg)
{
	struct speaker *s = arg;
	(void)connection;
	s->broken = true;
	s->on_broken(s->arg);
}

struct speaker *speaker_new(struct evhttp_request *http, speaker_fn on_broken, void *arg)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(http);
	struct speaker *s = xmalloc(sizeof *s);
	int yes = 1;
	*s = (struct speaker){ http, on_broken, arg, false };
	/* Small messages must not wait for the acknowledgement of those before. */
	setsockopt(bufferevent_getfd(evhttp_connection_get_bufferevent(connection)), IPPROTO_TCP,
		TCP_NODELAY, &yes, sizeof yes);
	evhttp_connection_set_timeout(connection, FOR_EVER_S); /* the other end says nothing */
	evhttp_connection_set_closecb(connection, on_closed, s);
	evhttp_add_header(evhttp_request_get_output_headers(http), "Content-Type",
		"application/octet-stream");
	evhttp_send_reply_start(http, 200, NULL);
	return s;
}

void speaker_free(struct speaker *s)
{
	struct evhttp_connection *connection;
	if (!s)
		return;
	connection = evhttp_request_get_connection(s->http);
	if (!connection) {
		evhttp_send_reply_end(s->http); /* was given back: this only frees it */
	} else if (!s->broken) {
		evhttp_connection_set_closecb(connection, NULL, NULL);
		evhttp_connection_free(connection); /* and the request */
	}
	free(s);
}

void speaker_say(struct speaker *s, struct evbuffer *frames)
{
	evhttp_send_reply_chunk(s->http, frames);
}

size_t speaker_waiting(const struct speaker *s)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(s->http);
	return evbuffer_get_length(
		bufferevent_get_output(evhttp_connection_get_bufferevent(connection)));
}

/* ---- the end that hears */

struct listener {
	struct kv *kv;
	uint64_t from;
	char *url;
	struct evhttp_connection *connection;
	struct evhttp_request *request; /* NULL: none is under way */
	struct evbuffer *heard;         /* whose last frame may not be whole yet */
	unsigned pause;                 /* ticks until it is asked for again */
};

static void be_deaf(struct listener *l)
{
	if (l->request)
		evhttp_cancel_request(l->request);
	l->request = NULL;
	l->pause = PAUSE_TICKS;
	evbuffer_drain(l->heard, evbuffer_get_length(l->heard));
}

/* The length of the frames that are whole. */
static size_t whole_frames(const struct listener *l, bool *too_long)
{
	size_t end = 0, have = evbuffer_get_length(l->heard);
	while (have - end >= 4) {
		struct evbuffer_ptr at;
		uint8_t head[4];
		evbuffer_ptr_set(l->heard, &at, end, EVBUFFER_PTR_SET);
		evbuffer_copyout_from(l->heard, &at, head, sizeof head);
		struct reader r = reader_of((struct view){ head, sizeof head });
		uint32_t len = take_u32(&r);
		*too_long = len > l->kv->options.max_peer_body;
		if (*too_long || have - end - 4 < len)
			break;
		end += 4 + len;
	}
	return end;
}

static void on_heard(struct evhttp_request *answer, void *arg)
{
	struct listener *l = arg;
	bool too_long = false;
	if (evhttp_request_get_response_code(answer) != 200 || l->kv->stopping)
		return;
	evbuffer_add_buffer(l->heard, evhttp_request_get_input_buffer(answer));
	size_t len = whole_frames(l, &too_long);
	struct view frames = { len ? evbuffer_pullup(l->heard, (ev_ssize_t)len) : NULL, len };
	if (too_long || !incoming_on_frames(l->kv, l->from, frames))
		be_deaf(l);
	else
		evbuffer_drain(l->heard, len);
}

/* It broke, or was refused: then a message that is posted will be too, and says why. */
static void on_end(struct evhttp_request *answer, void *arg)
{
	struct listener *l = arg;
	l->request = NULL;
	be_deaf(l);
	if (answer && !l->kv->stopping)
		peers_heed(l->kv, answer, l->url);
}

static void ask(struct listener *l)
{
	l->request = evhttp_request_new(on_end, l);
	if (!l->request)
		return;
	evhttp_request_set_chunked_cb(l->request, on_heard);
	peers_introduce(l->kv, l->request, l->from, l->url);
	if (evhttp_make_request(l->connection, l->request, EVHTTP_REQ_GET, "/stream") != 0) {
		l->request = NULL; /* it is freed already */
		l->pause = PAUSE_TICKS;
	}
}

struct listener *listener_new(struct kv *kv, uint64_t from, const char *url)
{
	struct listener *l = xmalloc(sizeof *l);
	char *host = NULL;
	uint16_t port = 0;
	struct timeval patience = timeval_of_ms(kv->options.tick_ms * SILENT_TICKS);
	l->kv = kv;
	l->from = from;
	l->url = xstrdup(url);
	l->heard = evbuffer_new();
	if (url_parse(url, &host, &port))
		l->connection = evhttp_connection_base_new(kv->base, NULL, host, port);
	free(host);
	if (!l->heard || !l->connection) {
		listener_free(l);
		return NULL;
	}
	evhttp_connection_set_timeout_tv(l->connection, &patience);
	evhttp_connection_set_max_body_size(l->connection, -1); /* it has no end */
	ask(l);
	return l;
}

void listener_free(struct listener *l)
{
	if (!l)
		return;
	if (l->connection)
		evhttp_connection_free(l->connection); /* and the request */
	if (l->heard)
		evbuffer_free(l->heard);
	free(l->url);
	free(l);
}

void listener_tick(struct listener *l)
{
	/* libevent keeps a chunk until it is whole. */
	struct bufferevent *socket = evhttp_connection_get_bufferevent(l->connection);
	size_t unread = evbuffer_get_length(bufferevent_get_input(socket));
	if (l->request && unread > l->kv->options.max_peer_body + 64)
		be_deaf(l);
	if (!l->request && (l->pause == 0 || --l->pause == 0))
		ask(l);
}
