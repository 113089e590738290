/* The bytes of log entries, changes of members and snapshots, as in PROTOCOL.md. Decoders believe
 * nothing: any bytes give a value or `false`. */
#include "codec.h"

#include <string.h>

#define VERSION 1

/* ---- log entries */

void write_encode(struct buffer *out, const struct write *w)
{
	put_u8(out, VERSION);
	put_u8(out, w->operation);
	put_u64(out, w->origin);
	put_u64(out, w->serial);
	put_u8(out, (uint8_t)w->request_id.len);
	put_bytes(out, w->request_id);
	put_u16(out, (uint16_t)w->key.len);
	put_bytes(out, w->key);
	put_bytes(out, w->value);
}

bool write_decode(struct view bytes, struct write *w)
{
	struct reader r = reader_of(bytes);
	uint8_t version = take_u8(&r);
	w->operation = take_u8(&r);
	w->origin = take_u64(&r);
	w->serial = take_u64(&r);
	w->request_id = take_bytes(&r, take_u8(&r));
	w->key = take_bytes(&r, take_u16(&r));
	w->value = take_rest(&r);
	if (r.bad || version != VERSION || w->request_id.len > REQUEST_ID_MAX || w->key.len == 0)
		return false;
	return w->operation == OP_PUT || (w->operation == OP_DELETE && w->value.len == 0);
}

/* ---- membership contexts */

void change_encode(struct buffer *out, const struct change *c)
{
	put_u8(out, VERSION);
	put_u64(out, c->origin);
	put_u64(out, c->serial);
	put_bytes(out, c->url);
}

bool change_decode(struct view bytes, struct change *c)
{
	struct reader r = reader_of(bytes);
	uint8_t version = take_u8(&r);
	c->origin = take_u64(&r);
	c->serial = take_u64(&r);
	c->url = take_rest(&r);
	return !r.bad && version == VERSION && c->url.len <= URL_MAX;
}

/* ---- snapshots */

static const char MAGIC[] = "RKV1";

size_t snapshot_begin(struct buffer *out)
{
	put_bytes(out, view_of(MAGIC));
	return out->len;
}

void snapshot_put_member(struct buffer *out, const struct member *m)
{
	put_u64(out, m->id);
	put_u8(out, m->removed);
	put_u16(out, (uint16_t)m->url.len);
	put_bytes(out, m->url);
}

void snapshot_put_request(struct buffer *out, const struct request_seen *s)
{
	put_u64(out, s->index);
	put_u8(out, (uint8_t)s->id.len);
	put_bytes(out, s->id);
}

void snapshot_put_pair(struct buffer *out, const struct pair *p)
{
	put_u16(out, (uint16_t)p->key.len);
	put_bytes(out, p->key);
	put_u32(out, (uint32_t)p->value.len);
	put_bytes(out, p->value);
}

void snapshot_end(struct buffer *out)
{
	put_u32(out, crc32_of((struct view){ out->data, out->len }));
}

struct reader snapshot_reader(struct view data)
{
	struct reader r = reader_of(data);
	take_bytes(&r, sizeof MAGIC - 1);
	return r;
}

struct member snapshot_take_member(struct reader *r)
{
	struct member m = { .id = take_u64(r), .removed = false, .url = { 0 } };
	m.removed = take_u8(r) != 0;
	m.url = take_bytes(r, take_u16(r));
	r->bad = r->bad || m.id == 0 || m.id > NODE_ID_MAX || m.url.len > URL_MAX;
	return m;
}

struct request_seen snapshot_take_request(struct reader *r)
{
	struct request_seen s = { .index = take_u64(r), .id = { 0 } };
	s.id = take_bytes(r, take_u8(r));
	r->bad = r->bad || s.id.len == 0 || s.id.len > REQUEST_ID_MAX;
	return s;
}

struct pair snapshot_take_pair(struct reader *r)
{
	struct pair p = { .key = take_bytes(r, take_u16(r)), .value = { 0 } };
	p.value = take_bytes(r, take_u32(r));
	r->bad = r->bad || p.key.len == 0;
	return p;
}

bool snapshot_check(struct view data)
{
	if (data.len < sizeof MAGIC - 1 + 4 || memcmp(data.data, MAGIC, sizeof MAGIC - 1) != 0)
		return false;
	struct view body = { data.data, data.len - 4 };
	struct reader tail = reader_of((struct view){ data.data + body.len, 4 });
	if (take_u32(&tail) != crc32_of(body))
		return false;
	struct reader r = snapshot_reader(body);
	for (uint64_t n = take_u32(&r); n > 0 && !r.bad; n--)
		snapshot_take_member(&r);
	for (uint64_t n = take_u32(&r); n > 0 && !r.bad; n--)
		snapshot_take_request(&r);
	for (uint64_t n = take_u64(&r); n > 0 && !r.bad; n--)
		snapshot_take_pair(&r);
	return !r.bad && r.at == r.end;
}
