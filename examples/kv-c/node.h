/* node.h: the raftcore node of this process and what goes with it. */
#ifndef NODE_H
#define NODE_H

#include <raftcore.h>

#include "kv.h"

/* A write or change of members of this node's own that the present Ready applies. */
struct answer {
	uint64_t serial;
	uint64_t index;
};

/* A leader that this node heard of, and when. */
struct election {
	uint64_t term, leader, at_unix_ms;
};

#define ELECTIONS_KEPT 16

struct node {
	struct kv *kv;
	raftcore_storage *log; /* the log in memory, from which the library reads */
	raftcore_node *raft;
	struct event *ready_event;
	struct event *tick_event;
	struct event *commit_event;
	struct event *leave_event;

	/* What this node knows as of the last applied entry. */
	struct members members;
	struct buffer conf_state; /* encoded */
	uint64_t commit, applied, applied_term;
	uint64_t last_stored; /* the last index of the log in the file */
	uint64_t snapshot_index;
	uint64_t term, leader;
	raftcore_role role;
	struct election elections[ELECTIONS_KEPT]; /* oldest first */
	size_t election_count;

	/* The Ready in hand, from taking it until it is advanced. */
	const raftcore_ready *ready;
	bool membership_changed;
	struct answer *answers;
	size_t answer_count, answer_cap;
	size_t change_answers; /* how many of them, the first ones, are of changes of members */
	bool stalled;          /* it could not be committed yet */
	char trouble[320];     /* why not */
	unsigned retry_ms;

	uint64_t snapshots_made, snapshots_installed, snapshot_installed_index;
};

/* Starts from what is in the store. On failure NULL; it is logged, and kv->exit_code is set. */
struct node *node_start(struct kv *kv);
void node_free(struct node *n);

/* Proposes an entry with a serial of this node's own. False: not taken, nothing will come of it;
 * `why` (or NULL) says so. */
bool node_propose(struct node *n, struct view entry, char *why, size_t why_size);
/* Proposes to add (url) or remove (NULL) a member. 0, or the HTTP status that refuses it. */
int node_propose_change(struct node *n, uint64_t id, const char *url, uint64_t serial, char *why,
	size_t why_size);
/* Asks the leader to hand over. 0, or the HTTP status that refuses it. */
int node_transfer(struct node *n, uint64_t id, char *why, size_t why_size);
bool node_read_index(struct node *n, struct view context);

/* Why this node can at the moment neither store nor promise anything; NULL when it can. */
const char *node_trouble(const struct node *n);

void node_report_unreachable(struct node *n, uint64_t peer);
void node_report_snapshot(struct node *n, uint64_t peer, bool arrived);
/* This node is no longer a member: it stops, but lets what it still has to say leave before. */
void node_leave(struct node *n, const char *who_says_so);

/* ---- between node.c, ready.c and membership.c */

#define NODE_RETRY_MS_FIRST 100

/* recover.c: makes this node the only member of its cluster, in what is stored, before the library
 * reads it. False after it was logged, and kv->exit_code set. */
bool node_force_new_cluster(struct node *n, struct stored_state *state);
/* The library's descriptor is readable. */
void node_on_ready(evutil_socket_t fd, short what, void *node);
/* It is time to commit the Ready in hand. */
void node_on_commit(evutil_socket_t fd, short what, void *node);
/* What forbids a change, as far as this node knows: 0, or the HTTP status that refuses it. */
int node_check_change(const struct node *n, uint64_t id, const char *url, char *why,
	size_t why_size);
/* Applies the changes of members in the Ready in hand, to the library and to this node's table. */
bool node_apply_membership(struct node *n);
void node_replace_removed_leader(struct node *n);
void node_add_answer(struct node *n, uint64_t serial, uint64_t index);
/* False after a failure that is a mistake of this program or the end of the node: it is logged, and
 * the process stops. */
bool node_must(struct node *n, raftcore_status status, const char *what);

static inline struct view view_of_slice(raftcore_slice s) { return (struct view){ s.data, s.len }; }

#endif
