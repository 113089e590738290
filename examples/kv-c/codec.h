/* codec.h: the bytes in log entries, membership contexts and snapshots, as in PROTOCOL.md. */
#ifndef CODEC_H
#define CODEC_H

#include "bytes.h"

#define NODE_ID_MAX ((uint64_t)INT64_MAX)
#define REQUEST_ID_MAX 64
#define REQUEST_ID_WINDOW 65536
#define URL_MAX 512

enum operation { OP_PUT = 1, OP_DELETE = 2 };

/* A log entry: one write to the store. */
struct write {
	uint8_t operation;
	uint64_t origin;
	uint64_t serial;
	struct view request_id; /* empty when the client gave none */
	struct view key;
	struct view value;
};

void write_encode(struct buffer *out, const struct write *w);
bool write_decode(struct view bytes, struct write *w); /* the views point into `bytes` */

/* The context of a membership change. */
struct change {
	uint64_t origin; /* 0: a bootstrap entry */
	uint64_t serial;
	struct view url;
};

void change_encode(struct buffer *out, const struct change *c);
bool change_decode(struct view bytes, struct change *c);

/* What a snapshot's data is made of, in this order. */
struct member {
	uint64_t id;
	bool removed;
	struct view url;
};
struct request_seen {
	uint64_t index;
	struct view id;
};
struct pair {
	struct view key;
	struct view value;
};

size_t snapshot_begin(struct buffer *out); /* returns where the first count goes */
void snapshot_put_member(struct buffer *out, const struct member *m);
void snapshot_put_request(struct buffer *out, const struct request_seen *s);
void snapshot_put_pair(struct buffer *out, const struct pair *p);
void snapshot_end(struct buffer *out);

/* True if the data is whole: then the takers, called as often as the counts say, cannot fail. */
bool snapshot_check(struct view data);
struct reader snapshot_reader(struct view data); /* at the first count */
struct member snapshot_take_member(struct reader *r);
struct request_seen snapshot_take_request(struct reader *r);
struct pair snapshot_take_pair(struct reader *r);

#endif
