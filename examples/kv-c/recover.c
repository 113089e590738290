/* --force-new-cluster: of a cluster whose quorum is lost for ever, one node goes on alone, with
 * what it has. Raft cannot do that, so it is done to the log behind Raft's back: entries that
 * remove all others, and a hard state that commits them. */
#include <inttypes.h>
#include <stdlib.h>

#include "node.h"

struct recovery {
	struct node *n;
	struct members others; /* who is or would become a member, besides this node */
	uint64_t last, last_term;
	bool removes_this;
};

static bool look_at_entry(void *arg, uint64_t index, uint64_t term, uint32_t kind, struct view data)
{
	struct recovery *r = arg;
	raftcore_conf_change *change = NULL;
	r->last = index;
	r->last_term = term;
	if (index <= r->n->applied || kind == RAFTCORE_ENTRY_NORMAL ||
		raftcore_conf_change_decode((raftcore_entry_kind)kind, data.data, data.len, &change,
			NULL) != RAFTCORE_OK)
		return true;
	for (size_t i = 0; i < change->step_count; i++) {
		const raftcore_conf_change_step *step = &change->steps[i];
		if (step->node == r->n->kv->options.id)
			r->removes_this |= step->kind == RAFTCORE_CONF_CHANGE_REMOVE;
		else if (step->kind != RAFTCORE_CONF_CHANGE_REMOVE && step->node != 0)
			members_set(&r->others, step->node, false, (struct view){ 0 });
	}
	raftcore_conf_change_destroy(change);
	return true;
}

static bool append_removal(struct recovery *r, uint64_t id, uint64_t term)
{
	struct buffer context = { 0 };
	struct change c = { 0 };
	change_encode(&context, &c);
	raftcore_conf_change_step step = { .node = id, .kind = RAFTCORE_CONF_CHANGE_REMOVE };
	raftcore_conf_change change = { .struct_size = sizeof change,
		.steps = &step,
		.step_count = 1,
		.context = { context.data, context.len } };
	raftcore_buffer data = { 0 };
	raftcore_entry_kind kind;
	bool ok = node_must(r->n, raftcore_conf_change_encode(&change, &data, &kind, NULL),
		"a removal");
	if (ok)
		store_append(r->n->kv->store, ++r->last, term, (uint32_t)kind,
			(struct view){ data.data, data.len });
	raftcore_buffer_free(&data);
	buffer_free(&context);
	return ok;
}

/* The new term is one that the old cluster has not seen: what is appended is not mistaken for an
 * entry of theirs at the same place. */
static bool remove_others(struct recovery *r, const struct stored_state *state)
{
	struct kv *kv = r->n->kv;
	uint64_t term = (state->term > r->last_term ? state->term : r->last_term) + 1;
	bool ok = true;
	store_begin(kv->store, true);
	for (size_t i = 0; i < r->others.count && ok; i++) {
		kv_log(kv, "node %" PRIu64 " is removed by force", r->others.rows[i].id);
		ok = append_removal(r, r->others.rows[i].id, term);
	}
	store_set_hard_state(kv->store, term, kv->options.id, r->last);
	if (ok && store_commit(kv->store) == STORE_COMMITTED)
		return true;
	kv_log(kv, "%s", store_error(kv->store));
	return false;
}

bool node_force_new_cluster(struct node *n, struct stored_state *state)
{
	struct kv *kv = n->kv;
	struct recovery r = { .n = n, .last = state->compacted_index,
		.last_term = state->compacted_term };
	for (size_t i = 0; i < n->members.count; i++)
		if (!n->members.rows[i].removed && n->members.rows[i].id != kv->options.id)
			members_set(&r.others, n->members.rows[i].id, false, (struct view){ 0 });
	bool ok = store_read_log(kv->store, state, look_at_entry, &r);
	if (!ok) {
		kv_log(kv, "%s", store_error(kv->store));
	} else if (r.last == 0 || r.removes_this) {
		kv_log(kv, "--force-new-cluster: %s",
			r.removes_this ? "the log removes this node; take another" : "nothing is stored here");
		kv->exit_code = EXIT_REFUSED;
		ok = false;
	} else if (r.others.count > 0) {
		ok = remove_others(&r, state) && store_read_state(kv->store, state);
	}
	members_clear(&r.others);
	return ok;
}
