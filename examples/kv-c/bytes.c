/* bytes.c: see bytes.h. */
#include "bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void out_of_memory(void)
{
	fputs("kv-c: out of memory\n", stderr);
	exit(1);
}

void *xmalloc(size_t size)
{
	void *p = calloc(1, size ? size : 1);
	if (!p)
		out_of_memory();
	return p;
}

char *xstrndup(const char *text, size_t len)
{
	char *copy = xmalloc(len + 1);
	if (len)
		memcpy(copy, text, len);
	return copy;
}

char *xstrdup(const char *text) { return xstrndup(text, strlen(text)); }

/* ---- writing */

static uint8_t *grow(struct buffer *b, size_t more)
{
	if (more > SIZE_MAX / 2 - b->len)
		out_of_memory();
	if (b->len + more > b->cap) {
		size_t cap = b->cap ? b->cap : 64;
		while (cap < b->len + more)
			cap *= 2;
		b->data = realloc(b->data, cap);
		if (!b->data)
			out_of_memory();
		b->cap = cap;
	}
	b->len += more;
	return b->data + b->len - more;
}

void buffer_free(struct buffer *b)
{
	free(b->data);
	memset(b, 0, sizeof *b);
}

static void store_number(uint8_t *at, uint64_t value, size_t width)
{
	for (size_t i = 0; i < width; i++)
		at[i] = (uint8_t)(value >> (8 * (width - 1 - i)));
}

void put_u8(struct buffer *b, uint8_t value) { store_number(grow(b, 1), value, 1); }
void put_u16(struct buffer *b, uint16_t value) { store_number(grow(b, 2), value, 2); }
void put_u32(struct buffer *b, uint32_t value) { store_number(grow(b, 4), value, 4); }
void put_u64(struct buffer *b, uint64_t value) { store_number(grow(b, 8), value, 8); }
void set_u32(struct buffer *b, size_t at, uint32_t value) { store_number(b->data + at, value, 4); }
void set_u64(struct buffer *b, size_t at, uint64_t value) { store_number(b->data + at, value, 8); }

void put_bytes(struct buffer *b, struct view bytes)
{
	if (bytes.len)
		memcpy(grow(b, bytes.len), bytes.data, bytes.len);
}

/* ---- reading */

struct reader reader_of(struct view bytes)
{
	/* A pointer is needed even for no bytes, so that the arithmetic below is defined. */
	const uint8_t *start = bytes.data ? bytes.data : (const uint8_t *)"";
	return (struct reader){ start, start + bytes.len, false };
}

struct view take_bytes(struct reader *r, size_t len)
{
	if (r->bad || (size_t)(r->end - r->at) < len) {
		r->bad = true;
		return (struct view){ 0 };
	}
	struct view bytes = { r->at, len };
	r->at += len;
	return bytes;
}

struct view take_rest(struct reader *r)
{
	return take_bytes(r, r->bad ? 0 : (size_t)(r->end - r->at));
}

static uint64_t take_number(struct reader *r, size_t width)
{
	struct view bytes = take_bytes(r, width);
	uint64_t value = 0;
	for (size_t i = 0; i < bytes.len; i++)
		value = value << 8 | bytes.data[i];
	return value;
}

uint8_t take_u8(struct reader *r) { return (uint8_t)take_number(r, 1); }
uint16_t take_u16(struct reader *r) { return (uint16_t)take_number(r, 2); }
uint32_t take_u32(struct reader *r) { return (uint32_t)take_number(r, 4); }
uint64_t take_u64(struct reader *r) { return take_number(r, 8); }

/* ---- small helps */

struct view view_of(const char *text)
{
	return (struct view){ (const uint8_t *)text, strlen(text) };
}

bool view_equal(struct view a, struct view b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

uint32_t crc32_of(struct view bytes)
{
	static uint32_t table[256];
	if (!table[1])
		for (uint32_t i = 0; i < 256; i++) {
			uint32_t c = i;
			for (int bit = 0; bit < 8; bit++)
				c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
			table[i] = c;
		}
	uint32_t crc = 0xffffffffu;
	for (size_t i = 0; i < bytes.len; i++)
		crc = table[(crc ^ bytes.data[i]) & 0xff] ^ crc >> 8;
	return crc ^ 0xffffffffu;
}

bool parse_u64(const char *text, size_t len, uint64_t *out)
{
	uint64_t value = 0;
	if (len == 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		uint64_t digit = (uint64_t)(text[i] - '0');
		if (value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*out = value;
	return true;
}

bool is_visible(const char *text, size_t min, size_t max)
{
	size_t len = strlen(text);
	if (len < min || len > max)
		return false;
	for (size_t i = 0; i < len; i++)
		if (text[i] < '!' || text[i] > '~')
			return false;
	return true;
}
