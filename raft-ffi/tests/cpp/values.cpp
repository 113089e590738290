// Memberships, changes, the configuration, and what is encoded and decoded.
#include "check.hpp"

using raftcore::conf_change;
using raftcore::membership;

static void a_membership_survives_its_encoding()
{
    membership members({1, 2, 3});
    members.learners = {4};
    members.voters_outgoing = {1, 2};
    members.learners_next = {2};
    members.auto_leave = true;
    const raftcore::buffer bytes = members.encode().value();
    CHECK(membership::decode(bytes).value() == members);
    CHECK(!(membership::decode(bytes).value() == membership({1})));
    FAILS(membership::decode("\xff\xff"), RAFTCORE_ERR_REFUSED);
    CHECK(membership::decode("").value() == membership());
}

static void a_change_survives_its_encoding()
{
    raftcore_entry_kind kind = RAFTCORE_ENTRY_NORMAL;
    conf_change one = conf_change().add_learner(4).context("host:1").id(9);
    const raftcore::buffer single = one.encode(&kind).value();
    CHECK(kind == RAFTCORE_ENTRY_CONF_CHANGE);
    conf_change back = conf_change::decode(kind, single).value();
    CHECK(back.context() == "host:1" && back.id() == 9 && back.steps().size() == 1);
    CHECK(back.steps()[0].node == 4 && back.steps()[0].kind == RAFTCORE_CONF_CHANGE_ADD_LEARNER);

    conf_change many = conf_change().add_voter(4).remove(2).update(3);
    many.transition(RAFTCORE_TRANSITION_JOINT_EXPLICIT).form(RAFTCORE_CONF_CHANGE_FORM_V2);
    const raftcore::buffer general = many.encode(&kind).value();
    CHECK(kind == RAFTCORE_ENTRY_CONF_CHANGE_V2);
    back = conf_change::decode(kind, general).value();
    CHECK(back.steps().size() == 3 && back.steps()[1].kind == RAFTCORE_CONF_CHANGE_REMOVE);
    CHECK(back.raw().transition == RAFTCORE_TRANSITION_JOINT_EXPLICIT);
    CHECK(back.steps()[2].kind == RAFTCORE_CONF_CHANGE_UPDATE);

    OK(conf_change().encode());
    FAILS(conf_change::decode(RAFTCORE_ENTRY_NORMAL, single), RAFTCORE_ERR_ENUM);
    FAILS(conf_change::decode(kind, "\xff"), RAFTCORE_ERR_REFUSED);
    many.form(RAFTCORE_CONF_CHANGE_FORM_V1);
    FAILS(many.encode(), RAFTCORE_ERR_ENUM);
}

static void a_configuration_takes_every_field()
{
    raftcore::config config(3);
    OK(config.drawn());
    CHECK(config.raw().id == 3 && config.raw().election_timeout_ticks == 10);
    config.seed(1).applied(2).max_message_bytes(3).max_committed_bytes_per_ready(4);
    config.max_uncommitted_bytes(5).max_inflight_messages(6).max_inflight_bytes(7);
    config.max_pending_reads(8).election_timeout_ticks(9).heartbeat_interval_ticks(2);
    config.read_only(RAFTCORE_READ_ONLY_LEASE_BASED).message_forms(RAFTCORE_FORM_ENCODED);
    config.check_quorum(false).pre_vote(false).forward_proposals(false);
    config.validate_conf_changes(false).step_down_on_removal(true).votes_wait_for_sync(false);
    config.async_storage_writes(true).coalesce_appends(false).auto_persist(true);
    const raftcore_config &raw = config.raw();
    CHECK(raw.seed == 1 && raw.applied == 2 && raw.max_message_bytes == 3);
    CHECK(raw.max_committed_bytes_per_ready == 4 && raw.max_uncommitted_bytes == 5);
    CHECK(raw.max_inflight_messages == 6 && raw.max_inflight_bytes == 7);
    CHECK(raw.max_pending_reads == 8 && raw.election_timeout_ticks == 9);
    CHECK(raw.heartbeat_interval_ticks == 2 && raw.read_only == RAFTCORE_READ_ONLY_LEASE_BASED);
    CHECK(raw.message_forms == RAFTCORE_FORM_ENCODED && raw.check_quorum == 0);
    CHECK(raw.pre_vote == 0 && raw.forward_proposals == 0 && raw.validate_conf_changes == 0);
    CHECK(raw.step_down_on_removal == 1 && raw.votes_wait_for_sync == 0);
    CHECK(raw.async_storage_writes == 1 && raw.coalesce_appends == 0 && raw.auto_persist == 1);
    // What cannot be is said when the node is made.
    FAILS(raftcore::node::create(config), RAFTCORE_ERR_CONFIG);
}

static void a_snapshot_survives_its_encoding()
{
    const membership members({1, 2});
    const raftcore_conf_state conf = members.raw();
    raftcore::snapshot snapshot{};
    snapshot.struct_size = sizeof snapshot;
    snapshot.index = 5;
    snapshot.term = 2;
    snapshot.conf_state = &conf;
    snapshot.data = raftcore::bytes_view("state");
    const raftcore::buffer bytes = raftcore::encode(snapshot).value();
    const raftcore::owned_snapshot back = raftcore::decode_snapshot(bytes).value();
    CHECK(back->index == 5 && back->term == 2 && raftcore::text(back->data) == "state");
    CHECK(membership(*back->conf_state) == members);
    CHECK(!raftcore::describe(snapshot).value().text().empty());
    FAILS(raftcore::decode_snapshot("\xff"), RAFTCORE_ERR_REFUSED);
    snapshot.conf_state = nullptr;
    FAILS(raftcore::encode(snapshot), RAFTCORE_ERR_NULL);
}

static void a_message_can_be_looked_at()
{
    raftcore::node node = raftcore::node::create(raftcore::config(1)).value();
    OK(node.bootstrap({1, 2}));
    settle(node);
    OK(node.campaign());
    std::string sent;
    while (raftcore::ready ready = node.next_ready().value()) {
        OK(node.persist(ready));
        for (const auto &messages : {ready.messages(), ready.messages_after_sync()})
            for (const raftcore::message &m : messages)
                sent = raftcore::bytes_view(m.encoded).copy();
        OK(node.advance(ready));
    }
    CHECK(raftcore::kind_of(sent).value() == RAFTCORE_MESSAGE_PRE_VOTE);
    const raftcore::owned_message message = raftcore::decode_message(sent).value();
    CHECK(message->from == 1 && message->to == 2);
    CHECK(raftcore::encode(*message).value().text() == sent);
    CHECK(!raftcore::describe_message(sent).value().text().empty());
    FAILS(raftcore::kind_of("\xff"), RAFTCORE_ERR_REFUSED);
    FAILS(raftcore::decode_message("\xff"), RAFTCORE_ERR_REFUSED);
    FAILS(raftcore::describe_message("\xff"), RAFTCORE_ERR_REFUSED);
    CHECK(!raftcore::last_error().empty());
}

static void a_stored_log_survives_its_encoding()
{
    const raftcore::entry entry{3, 7, raftcore::bytes_view("data"), RAFTCORE_ENTRY_NORMAL, 0};
    const raftcore::buffer bytes = raftcore::encode(entry).value();
    const auto back = raftcore::decode_entries(std::vector<std::string>{
        std::string(bytes.text()), std::string(bytes.text())}).value();
    const raftcore::view<raftcore::entry> entries = *back;
    CHECK(entries.size() == 2 && entries[1].index == 7 && raftcore::text(entries[1].data) == "data");
    FAILS(raftcore::decode_entries(std::vector<std::string>{"\xff"}), RAFTCORE_ERR_REFUSED);
    const raftcore::hard_state hard{1, 2, 3};
    const raftcore::buffer state = raftcore::encode(hard).value();
    CHECK(raftcore::decode_hard_state(state).value().commit == 3);
    FAILS(raftcore::decode_hard_state("\xff"), RAFTCORE_ERR_REFUSED);

    CHECK(raftcore::describe(entries).value().text().find("3/7") == 0);
    CHECK(raftcore::describe(hard).value().text() == "Term:1 Vote:2 Commit:3");
    CHECK(raftcore::describe(membership({1})).value().text().find("Voters:[1]") == 0);
    CHECK(!raftcore::describe(conf_change().add_voter(2)).value().text().empty());
    CHECK(raftcore::role_text(RAFTCORE_ROLE_LEADER) == "StateLeader");
    CHECK(raftcore::progress_state_text(RAFTCORE_PROGRESS_PROBE) == "StateProbe");
    CHECK(raftcore::message_kind_text(RAFTCORE_MESSAGE_APPEND) == "MsgApp");
}

static void a_buffer_can_be_moved()
{
    raftcore::buffer first = membership({1}).encode().value();
    const size_t size = first.size();
    raftcore::buffer second = std::move(first);
    CHECK(second.size() == size && first.size() == 0);
    first = std::move(second);
    CHECK(first.size() == size && first.data() != nullptr);
}

static void the_library_is_the_one_of_this_header()
{
    const std::string here = std::to_string(RAFTCORE_VERSION_MAJOR) + "." +
                             std::to_string(RAFTCORE_VERSION_MINOR) + "." +
                             std::to_string(RAFTCORE_VERSION_PATCH);
    CHECK(raftcore::version() == here);
    CHECK(raftcore::version_number() == RAFTCORE_VERSION_MAJOR * 1000000 +
                                            RAFTCORE_VERSION_MINOR * 1000 +
                                            RAFTCORE_VERSION_PATCH);
}

int main()
{
    a_membership_survives_its_encoding();
    a_change_survives_its_encoding();
    a_configuration_takes_every_field();
    a_snapshot_survives_its_encoding();
    a_message_can_be_looked_at();
    a_stored_log_survives_its_encoding();
    a_buffer_can_be_moved();
    the_library_is_the_one_of_this_header();
}
