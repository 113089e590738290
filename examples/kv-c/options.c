/* The command line. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv.h"

static const char USAGE[] =
	"kv-c: a node of a replicated key-value service\n"
	"\n"
	"  kv-c --id N --cluster ID=URL,... --listen URL --data DIR [--join]\n"
	"\n"
	"  --id N                 this node's id, from 1 up; never used before in this cluster\n"
	"  --cluster ID=URL,...   the first members and where they find each other, this node among\n"
	"                         them; the same list for each. A restart does not need it any more\n"
	"  --listen URL           where clients are served, for example http://127.0.0.1:12380\n"
	"  --listen-peers URL     where peers are served, when they reach this node's own URL through\n"
	"                         something: a proxy, a container's port\n"
	"  --data DIR             this node's directory; made if it is not there\n"
	"  --join                 wait for a running cluster, to which this node was added by POST /N\n"
	"  --cluster-id NAME      the cluster's name; nodes of others are refused (kv)\n"
	"  --secret-file FILE     a secret that all nodes must bear; without one, everybody is heard\n"
	"  --force-new-cluster    the quorum is lost for ever: go on alone, with what is here\n"
	"  --tick-ms N            a tick: a heartbeat each, an election after 10 to 19 without (100)\n"
	"  --timeout-ms N         how long a request may wait for its answer (5000)\n"
	"  --snapshot-entries N   make a snapshot and cut the log every N applied entries (10000)\n"
	"  --catch-up-entries N   how many entries before a snapshot stay for slow members (5000)\n"
	"  --max-key N            the longest key in bytes (1024)\n"
	"  --max-value N          the longest value in bytes (1048576)\n"
	"  --max-pending N        how many requests may wait at once (4096)\n"
	"  --max-gap N            take no write with more entries committed and not applied (5000)\n"
	"  --max-peer-body N      the longest body from a peer; a snapshot must fit (268435456)\n"
	"  --peer-queue N         how many bytes may wait for one peer (16777216)\n"
	"  --verbose              log what the library does\n"
	"  --version, --help\n"
	"\n"
	"Exit codes: 0 stopped as asked or removed from the cluster, 1 cannot go on, 2 wrong usage,\n"
	"3 this data directory is refused.\n";

enum { NUMBERS = 256 };

/* The options that are numbers; getopt_long gives NUMBERS + the place in this table. */
static const struct number_option {
	const char *name;
	size_t offset;
	uint64_t least, most;
} NUMBER_OPTIONS[] = {
	{ "id", offsetof(struct options, id), 1, NODE_ID_MAX },
	{ "tick-ms", offsetof(struct options, tick_ms), 1, 60000 },
	{ "timeout-ms", offsetof(struct options, timeout_ms), 1, 3600000 },
	{ "snapshot-entries", offsetof(struct options, snapshot_entries), 1, UINT32_MAX },
	{ "catch-up-entries", offsetof(struct options, catch_up_entries), 0, UINT32_MAX },
	{ "max-key", offsetof(struct options, max_key), 1, UINT16_MAX },
	{ "max-value", offsetof(struct options, max_value), 0, 1 << 30 },
	{ "max-pending", offsetof(struct options, max_pending), 1, UINT32_MAX },
	{ "max-gap", offsetof(struct options, max_gap), 0, UINT32_MAX },
	{ "max-peer-body", offsetof(struct options, max_peer_body), 1 << 16, INT32_MAX },
	{ "peer-queue", offsetof(struct options, peer_queue), 1, INT32_MAX },
};
enum { NUMBER_COUNT = sizeof NUMBER_OPTIONS / sizeof NUMBER_OPTIONS[0] };

static bool wrong(const char *format, const char *what)
{
	fputs("kv-c: ", stderr);
	fprintf(stderr, format, what);
	fputs("; kv-c --help says more\n", stderr);
	return false;
}

static bool set_number(struct options *o, const struct number_option *number, const char *text)
{
	uint64_t value;
	if (!parse_u64(text, strlen(text), &value) || value < number->least || value > number->most) {
		fprintf(stderr, "kv-c: --%s must be a number from %" PRIu64 " to %" PRIu64 "\n",
			number->name, number->least, number->most);
		return false;
	}
	memcpy((char *)o + number->offset, &value, sizeof value);
	return true;
}

/* 1=http://127.0.0.1:12379,2=... */
static bool set_cluster(struct options *o, const char *text)
{
	members_clear(&o->cluster);
	while (*text) {
		size_t len = strcspn(text, ",");
		char *item = xstrndup(text, len);
		char *equals = strchr(item, '=');
		uint64_t id = 0;
		bool ok = equals && parse_u64(item, (size_t)(equals - item), &id) && id > 0 &&
			id <= NODE_ID_MAX && url_parse(equals + 1, NULL, NULL) &&
			!members_find(&o->cluster, id);
		for (size_t i = 0; ok && i < o->cluster.count; i++)
			ok = strcmp(o->cluster.rows[i].url, equals + 1) != 0;
		if (ok)
			members_set(&o->cluster, id, false, view_of(equals + 1));
		else
			wrong("--cluster: '%s' is not ID=http://host:port with an id and a URL of its own",
				item);
		free(item);
		if (!ok)
			return false;
		text += len + (text[len] == ',');
	}
	return o->cluster.count > 0 || wrong("--cluster %s", "is empty");
}

static bool complete(const struct options *o)
{
	if (o->id == 0)
		return wrong("%s is missing", "--id");
	if (!o->listen)
		return wrong("%s is missing", "--listen");
	if (!url_parse(o->listen, NULL, NULL))
		return wrong("--listen: '%s' is not http://host:port", o->listen);
	if (o->listen_peers && !url_parse(o->listen_peers, NULL, NULL))
		return wrong("--listen-peers: '%s' is not http://host:port", o->listen_peers);
	if (!o->data)
		return wrong("%s is missing", "--data");
	if (!is_visible(o->cluster_id, 1, 64))
		return wrong("--cluster-id: '%s' is not 1 to 64 visible ASCII characters", o->cluster_id);
	if (o->join && o->force_new_cluster)
		return wrong("--join and %s exclude each other", "--force-new-cluster");
	if (o->max_peer_body < o->max_value + o->max_key + 4096)
		return wrong("%s must leave room for a value", "--max-peer-body");
	return true;
}

/* White space at the end is not a part of it, so that an editor may leave a line's end there. */
static bool read_secret(struct options *o)
{
	char text[SECRET_MAX + 64] = "";
	FILE *file = fopen(o->secret_file, "rb");
	size_t len = file ? fread(text, 1, sizeof text - 1, file) : 0;
	if (file)
		fclose(file);
	while (len > 0 && strchr(" \t\r\n", text[len - 1]))
		text[--len] = 0;
	if (strlen(text) != len || !is_visible(text, 1, SECRET_MAX))
		return wrong("--secret-file: '%s' does not hold 1 to 256 visible ASCII characters",
			o->secret_file);
	o->secret = xstrdup(text);
	return true;
}

void options_free(struct options *o)
{
	members_clear(&o->cluster);
	free(o->secret);
}

bool options_parse(struct options *o, int argc, char **argv, int *exit_code)
{
	struct option table[NUMBER_COUNT + 12];
	size_t count = 0;
	for (; count < NUMBER_COUNT; count++)
		table[count] = (struct option){ NUMBER_OPTIONS[count].name, required_argument, NULL,
			NUMBERS + (int)count };
	table[count++] = (struct option){ "cluster", required_argument, NULL, 'c' };
	table[count++] = (struct option){ "listen", required_argument, NULL, 'l' };
	table[count++] = (struct option){ "listen-peers", required_argument, NULL, 'p' };
	table[count++] = (struct option){ "data", required_argument, NULL, 'd' };
	table[count++] = (struct option){ "cluster-id", required_argument, NULL, 'n' };
	table[count++] = (struct option){ "secret-file", required_argument, NULL, 's' };
	table[count++] = (struct option){ "force-new-cluster", no_argument, NULL, 'f' };
	table[count++] = (struct option){ "join", no_argument, NULL, 'j' };
	table[count++] = (struct option){ "verbose", no_argument, NULL, 'v' };
	table[count++] = (struct option){ "version", no_argument, NULL, 'V' };
	table[count++] = (struct option){ "help", no_argument, NULL, 'h' };
	table[count] = (struct option){ 0 };

	*o = (struct options){ .cluster_id = "kv",
		.tick_ms = 100,
		.timeout_ms = 5000,
		.snapshot_entries = 10000,
		.catch_up_entries = 5000,
		.max_key = 1024,
		.max_value = 1 << 20,
		.max_pending = 4096,
		.max_gap = 5000,
		.max_peer_body = 256 << 20,
		.peer_queue = 16 << 20 };
	*exit_code = EXIT_USAGE;
	for (int c; (c = getopt_long(argc, argv, "", table, NULL)) != -1;) {
		if (c >= NUMBERS) {
			if (!set_number(o, &NUMBER_OPTIONS[c - NUMBERS], optarg))
				return false;
			continue;
		}
		switch (c) {
		case 'c':
			if (!set_cluster(o, optarg))
				return false;
			break;
		case 'l': o->listen = optarg; break;
		case 'p': o->listen_peers = optarg; break;
		case 'd': o->data = optarg; break;
		case 'n': o->cluster_id = optarg; break;
		case 's': o->secret_file = optarg; break;
		case 'f': o->force_new_cluster = true; break;
		case 'j': o->join = true; break;
		case 'v': o->verbose = true; break;
		case 'V':
			puts("kv-c " KV_VERSION);
			*exit_code = 0;
			return false;
		case 'h':
			fputs(USAGE, stdout);
			*exit_code = 0;
			return false;
		default: return false; /* getopt_long said what is wrong */
		}
	}
	if (optind < argc)
		return wrong("'%s' is not understood", argv[optind]);
	return complete(o) && (!o->secret_file || read_secret(o));
}
