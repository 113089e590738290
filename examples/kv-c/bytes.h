/* bytes.h: views, growing buffers, and readers that cannot run over the end. All integers are
 * big-endian. */
#ifndef BYTES_H
#define BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrowed bytes: whoever made the view says how long they live. */
struct view {
	const uint8_t *data;
	size_t len;
};

/* Owned bytes that grow; all zeros is an empty buffer. Memory that runs out ends the process: what
 * was acknowledged is on disk. */
struct buffer {
	uint8_t *data;
	size_t len;
	size_t cap;
};

void *xmalloc(size_t size);
char *xstrdup(const char *text);
char *xstrndup(const char *text, size_t len);

void buffer_free(struct buffer *b);
void put_u8(struct buffer *b, uint8_t value);
void put_u16(struct buffer *b, uint16_t value);
void put_u32(struct buffer *b, uint32_t value);
void put_u64(struct buffer *b, uint64_t value);
void put_bytes(struct buffer *b, struct view bytes);
void set_u32(struct buffer *b, size_t at, uint32_t value);
void set_u64(struct buffer *b, size_t at, uint64_t value);

/* Reading: once something was not there, `bad` is set and everything further reads as zero. */
struct reader {
	const uint8_t *at;
	const uint8_t *end;
	bool bad;
};

struct reader reader_of(struct view bytes);
uint8_t take_u8(struct reader *r);
uint16_t take_u16(struct reader *r);
uint32_t take_u32(struct reader *r);
uint64_t take_u64(struct reader *r);
struct view take_bytes(struct reader *r, size_t len);
struct view take_rest(struct reader *r);

struct view view_of(const char *text);
bool view_equal(struct view a, struct view b);
uint32_t crc32_of(struct view bytes);
bool parse_u64(const char *text, size_t len,
	uint64_t *out); /* decimal digits alone, no sign, no overflow */
bool is_visible(const char *text, size_t min,
	size_t max); /* min to max characters, each in '!' to '~' */

#endif
