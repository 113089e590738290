/* membership.h: who is in the cluster and where, and who was and must not come back. A part of the
 * replicated state. */
#ifndef MEMBERSHIP_H
#define MEMBERSHIP_H

#include "codec.h"

struct member_row {
	uint64_t id;
	bool removed;
	char *url; /* "" when it is not known */
};

/* Sorted by id; all zeros is an empty table. */
struct members {
	struct member_row *rows;
	size_t count;
};

struct member_row *members_find(const struct members *m, uint64_t id); /* NULL: never heard of */
void members_set(struct members *m, uint64_t id, bool removed, struct view url);
void members_clear(struct members *m);

/* `http://host:port`, nothing behind it. On success host (to be freed) and port are written; both
 * may be NULL. */
bool url_parse(const char *url, char **host, uint16_t *port);

#endif
