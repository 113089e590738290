/* Start, signals, stop. */
#include <event2/util.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node.h"

#define IDLE_CONNECTION_S 60
#define LAST_ANSWERS_MS 200

/* ---- small helps for everyone */

void kv_log(const struct kv *kv, const char *format, ...)
{
	struct timespec now;
	struct tm parts;
	char clock[16];
	va_list args;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &parts);
	strftime(clock, sizeof clock, "%H:%M:%S", &parts);
	fprintf(stderr, "%s.%03ld node %" PRIu64 ": ", clock, now.tv_nsec / 1000000, kv->options.id);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t unix_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct timeval timeval_of_ms(uint64_t ms)
{
	return (struct timeval){ (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000) };
}

uint64_t random_u64(void)
{
	uint64_t value;
	evutil_secure_rng_get_bytes(&value, sizeof value);
	return value;
}

/* ---- stop */

void kv_stop(struct kv *kv, int exit_code)
{
	struct timeval flush = timeval_of_ms(LAST_ANSWERS_MS);
	if (kv->stopping)
		return;
	kv->stopping = true;
	kv->exit_code = exit_code;
	if (kv->requests)
		requests_answer_all(kv->requests, "this node is stopping");
	event_base_loopexit(kv->base, &flush);
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
	struct kv *kv = arg;
	(void)what;
	kv_log(kv, "signal %d: stopping", (int)number);
	kv_stop(kv, EXIT_STOPPED);
}

/* ---- start */

static struct evhttp *serve(struct kv *kv, const char *url, uint64_t max_body,
	void (*on_request)(struct evhttp_request *, void *))
{
	char *host = NULL;
	uint16_t port = 0;
	struct evhttp *http = evhttp_new(kv->base);
	if (!http || !url_parse(url, &host, &port)) {
		kv_log(kv, "%s: cannot be served", url);
	} else if (evhttp_bind_socket(http, host, port) != 0) {
		kv_log(kv, "%s: cannot listen: %s", url,
			evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
		evhttp_free(http);
		http = NULL;
	} else {
		/* All methods come in, so that the ones that mean nothing here are told so. */
		evhttp_set_allowed_methods(http,
			EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT |
				EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT |
				EVHTTP_REQ_PATCH);
		evhttp_set_max_headers_size(http, (ev_ssize_t)(3 * kv->options.max_key + 8192));
		evhttp_set_max_body_size(http, (ev_ssize_t)max_body);
		evhttp_set_timeout(http, IDLE_CONNECTION_S);
		evhttp_set_flags(http, EVHTTP_SERVER_LINGERING_CLOSE);
		evhttp_set_gencb(http, on_request, kv);
	}
	free(host);
	return http;
}

static bool start(struct kv *kv)
{
	char why[512];
	struct store_identity who = { kv->options.id, kv->options.cluster_id, kv->options.join };
	switch (store_open(&kv->store, kv->options.data, &who, why, sizeof why)) {
	case STORE_REFUSED:
		kv_log(kv, "%s: %s", kv->options.data, why);
		kv->exit_code = EXIT_REFUSED;
		return false;
	case STORE_BROKEN: kv_log(kv, "%s: %s", kv->options.data, why); return false;
	case STORE_OPENED: break;
	}
	kv->base = event_base_new();
	if (!kv->base) {
		kv_log(kv, "no event loop");
		return false;
	}
	kv->requests = requests_new(kv);
	kv->peers = peers_new(kv);
	kv->relays = relays_new();
	kv->node = node_start(kv);
	if (!kv->node)
		return false;
	peers_follow(kv->peers, &kv->node->members);
	kv->exit_code = EXIT_BROKEN;
	kv->peer_http = serve(kv, kv->options.listen_peers ? kv->options.listen_peers : kv->own_url,
		kv->options.max_peer_body, incoming_on_request);
	if (!kv->peer_http)
		return false;
	kv->client_http = serve(kv, kv->options.listen, kv->options.max_value + URL_MAX,
		clients_on_request);
	if (!kv->client_http)
		return false;
	kv_log(kv, "clients at %s, peers at %s", kv->options.listen, kv->own_url);
	return true;
}

static void run(struct kv *kv)
{
	struct event *terminate = evsignal_new(kv->base, SIGTERM, on_signal, kv);
	struct event *interrupt = evsignal_new(kv->base, SIGINT, on_signal, kv);
	if (terminate && interrupt && event_add(terminate, NULL) == 0 &&
		event_add(interrupt, NULL) == 0) {
		kv->exit_code = EXIT_STOPPED;
		event_base_dispatch(kv->base);
	}
	if (terminate)
		event_free(terminate);
	if (interrupt)
		event_free(interrupt);
}

static void clean_up(struct kv *kv)
{
	if (kv->client_http)
		evhttp_free(kv->client_http);
	if (kv->peer_http)
		evhttp_free(kv->peer_http);
	relays_free(kv->relays);
	peers_free(kv->peers);
	node_free(kv->node);
	requests_free(kv->requests);
	store_close(kv->store);
	if (kv->base)
		event_base_free(kv->base);
	options_free(&kv->options);
	free(kv->own_url);
	libevent_global_shutdown();
}

int main(int argc, char **argv)
{
	struct kv kv = { .exit_code = EXIT_BROKEN, .started_ms = now_ms() };
	int exit_code;
	if (!options_parse(&kv.options, argc, argv, &exit_code)) {
		options_free(&kv.options);
		return exit_code;
	}
	/* A peer that hangs up, and a file that may not grow, are errors where they happen and no
	 * reason to die. */
	signal(SIGPIPE, SIG_IGN);
#ifdef SIGXFSZ
	signal(SIGXFSZ, SIG_IGN);
#endif
	if (start(&kv))
		run(&kv);
	clean_up(&kv);
	return kv.exit_code;
}
