/* streams.h: GET /stream, a request that is answered without end: what one node has to say to
 * another, as it comes. So a batch of messages costs a write, and not a request and its answer.
 * While there is no stream, messages are posted. */
#ifndef STREAMS_H
#define STREAMS_H

#include "kv.h"

/* The end that speaks: the answer to a member that asked for it. `on_broken` is called when nobody
 * hears it any more; the speaker is still to be freed then. */
struct speaker;
typedef void (*speaker_fn)(void *arg);
struct speaker *speaker_new(struct evhttp_request *http, speaker_fn on_broken, void *arg);
void speaker_free(struct speaker *s);
void speaker_say(struct speaker *s, struct evbuffer *frames); /* takes the bytes */
size_t speaker_waiting(const struct speaker *s);              /* bytes that are not sent yet */

/* The end that hears: asks that node for a stream, and again when it broke. */
struct listener;
struct listener *listener_new(struct kv *kv, uint64_t from, const char *url);
void listener_free(struct listener *l);
void listener_tick(struct listener *l);

#endif
