/* members.c: see members.h. */
#include "members.h"

#include <event2/event.h>
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>

static size_t place_of(const struct members *m, uint64_t id)
{
	size_t i = 0;
	while (i < m->count && m->rows[i].id < id)
		i++;
	return i;
}

struct member_row *members_find(const struct members *m, uint64_t id)
{
	size_t i = place_of(m, id);
	return i < m->count && m->rows[i].id == id ? &m->rows[i] : NULL;
}

void members_set(struct members *m, uint64_t id, bool removed, struct view url)
{
	size_t i = place_of(m, id);
	if (i == m->count || m->rows[i].id != id) {
		struct member_row *rows = xmalloc((m->count + 1) * sizeof *rows);
		if (m->count) {
			memcpy(rows, m->rows, i * sizeof *rows);
			memcpy(rows + i + 1, m->rows + i, (m->count - i) * sizeof *rows);
		}
		rows[i] = (struct member_row){ .id = id };
		free(m->rows);
		m->rows = rows;
		m->count++;
	}
	free(m->rows[i].url);
	m->rows[i].url = xstrndup((const char *)url.data, url.len);
	m->rows[i].removed = removed;
}

void members_clear(struct members *m)
{
	for (size_t i = 0; i < m->count; i++)
		free(m->rows[i].url);
	free(m->rows);
	*m = (struct members){ 0 };
}

bool url_parse(const char *url, char **host, uint16_t *port)
{
	if (strlen(url) > URL_MAX)
		return false;
	struct evhttp_uri *uri = evhttp_uri_parse(url);
	if (!uri)
		return false;
	const char *scheme = evhttp_uri_get_scheme(uri), *name = evhttp_uri_get_host(uri),
			   *path = evhttp_uri_get_path(uri);
	int number = evhttp_uri_get_port(uri);
	bool ok = scheme && strcmp(scheme, "http") == 0 && name && *name && number > 0 &&
		number <= 65535 && (!path || !*path || strcmp(path, "/") == 0) &&
		!evhttp_uri_get_query(uri) && !evhttp_uri_get_fragment(uri) &&
		!evhttp_uri_get_userinfo(uri);
	if (ok && host) {
		size_t bracket = name[0] == '['; /* an IPv6 address stands in brackets */
		*host = xstrndup(name + bracket, strlen(name) - 2 * bracket);
	}
	if (ok && port)
		*port = (uint16_t)number;
	evhttp_uri_free(uri);
	return ok;
}
