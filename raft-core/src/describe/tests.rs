//! Each form printed once as it is documented.

use bytes::Bytes;

use super::*;
use crate::context::Context;
use crate::ids::{Index, Position, Term};
use crate::wire::encode_conf_change;

fn normal(term: u64, index: u64, data: &'static str) -> Entry {
    let data = Bytes::from_static(data.as_bytes());
    Entry { term: Term(term), index: Index(index), kind: EntryKind::Normal, data }
}

fn flat(kind: MessageKind, from: u64, to: u64) -> schema::Message {
    schema::Message { kind: kind as i32, from, to, ..Default::default() }
}

fn steps(kinds: &[(ConfChangeKind, u64)]) -> Vec<ConfChangeSingle> {
    kinds.iter().map(|&(kind, node)| ConfChangeSingle { kind, node }).collect()
}

#[track_caller]
fn check(got: &str, expected: &str) {
    assert_eq!(got, expected);
}

#[test]
fn messages_print_only_what_they_say() {
    let mut m = flat(MessageKind::AppendResponse, 1, 0xabc);
    (m.term, m.log_term, m.index, m.reject) = (3, 2, 9, true);
    check(&message(&m), "1->abc MsgAppResp Term:3 Log:2/9 Rejected (Hint: 0)");
    (m.reject_hint, m.commit, m.vote) = (4, 5, 6);
    check(&message(&m), "1->abc MsgAppResp Term:3 Log:2/9 Rejected (Hint: 4) Commit:5 Vote:6");
    check(
        &message(&schema::Message { kind: 99, ..Default::default() }),
        "None->None 99 Term:0 Log:0/0",
    );
    m = flat(MessageKind::Heartbeat, 1, 2);
    m.snapshot = Some(schema::Snapshot::from(&Snapshot::default()));
    check(&message(&m), "1->2 MsgHeartbeat Term:0 Log:0/0");
}

#[test]
fn storage_messages_nest_their_responses() {
    let mut done = flat(MessageKind::StorageAppendResponse, NodeId::APPEND_THREAD, 1);
    done.entries = vec![(&normal(2, 7, "a")).into(), (&normal(2, 8, "b")).into()];
    let mut m = flat(MessageKind::StorageAppend, 1, NodeId::APPEND_THREAD);
    m.entries.clone_from(&done.entries);
    m.snapshot = Some(schema::Snapshot::from(&Snapshot {
        position: Position { term: Term(2), index: Index(6) },
        conf_state: ConfState::with_voters([1, 2]),
        data: Bytes::new(),
    }));
    m.responses = vec![flat(MessageKind::AppendResponse, 1, 1), done];
    check(
        &message(&m),
        "1->AppendThread MsgStorageAppend Term:0 Log:0/0 Entries:[\n  2/7 EntryNormal \"a\"\n  \
         2/8 EntryNormal \"b\"\n]\n  Snapshot: Index:6 Term:2 ConfState:Voters:[1 2] \
         VotersOutgoing:[] Learners:[] LearnersNext:[] AutoLeave:false Responses:[\n  \
         1->1 MsgAppResp Term:0 Log:0/0\n  AppendThread->1 MsgStorageAppendResp Term:0 \
         Log:0/0 Entries:[\n    2/7 EntryNormal \"a\"\n    2/8 EntryNormal \"b\"\n  ]\n]",
    );
}

#[test]
fn membership_changes_print_their_steps() {
    use ConfChangeKind::{AddLearner, AddVoter, Remove, Update};
    let all = steps(&[(AddVoter, 3), (Remove, 1), (AddLearner, 4), (Update, 5)]);
    check(&changes(&all), "v3 r1 l4 u5");
    let print = |change: ConfChangeV2| {
        let (kind, data) = encode_conf_change(&AnyConfChange::Many(change));
        entry(&Entry { kind, data, ..normal(2, 6, "") })
    };
    let changes = all.clone();
    check(
        &print(ConfChangeV2 { changes, ..Default::default() }),
        "2/6 EntryConfChangeV2 v3 r1 l4 u5",
    );
    check(&print(ConfChangeV2::leave_joint()), "2/6 EntryConfChangeV2");
    let v1 = Entry { kind: EntryKind::ConfChange, ..normal(1, 2, "") };
    check(&entry(&v1), "1/2 EntryConfChange v0");
    let broken = Entry { kind: EntryKind::ConfChange, ..normal(1, 2, "\x08") };
    check(&entry(&broken), "1/2 EntryConfChange a field reaches beyond the end");

    let context = Bytes::from_static(b"c");
    let changes = steps(&[(AddVoter, 2), (AddLearner, 3)]);
    let change = ConfChangeV2 { transition: Transition::JointExplicit, changes, context };
    check(
        &conf_change(&AnyConfChange::Many(change)),
        "transition:ConfChangeTransitionJointExplicit \
         changes:{type:ConfChangeAddNode node_id:2} \
         changes:{type:ConfChangeAddLearnerNode node_id:3} context:\"c\"",
    );
}

#[test]
fn data_is_quoted_on_one_line() {
    check(&quoted(b""), r#""""#);
    check(&quoted(b"a\"b\\c'\n\t\r\x07\x08\x0c\x0b"), r#""a\"b\\c'\n\t\r\a\b\f\v""#);
    check(&quoted(b"\0\x01\x1f\x7f\xff\xe2\x82"), r#""\x00\x01\x1f\x7f\xff\xe2\x82""#);
    let text = "\u{e9}\u{80}\u{a0}\u{301}\u{ad}\u{2028}\u{fffd}\u{1f600}\u{e0001}";
    let shown = "\"\u{e9}\\u0080\\u00a0\u{301}\\u00ad\\u2028\u{fffd}\u{1f600}\\U000e0001\"";
    check(&quoted(text.as_bytes()), shown);
}

#[test]
fn a_ready_prints_its_parts_in_order() {
    let none = Entries::new();
    let mut parts = ReadyParts {
        soft_state: None,
        hard_state: Some(&HardState::default()),
        read_states: &[],
        entries: &none,
        snapshot: Some(&Snapshot::default()),
        committed: &none,
        messages: &[],
        must_sync: true,
    };
    check(&parts.to_string(), "<empty Ready>");

    let soft = SoftState { leader: NodeId::new(10), role: RoleKind::PreCandidate };
    let hard = HardState { term: Term(1), vote: NodeId::new(10), commit: Index(4) };
    let context = Context::from(b"ab");
    let reads = [
        ReadState { index: Index(5), context },
        ReadState { index: Index(6), context: Context::new() },
    ];
    let list = Entries::from(vec![normal(1, 4, "x")]);
    let messages = [flat(MessageKind::TimeoutNow, 1, 2)];
    (parts.soft_state, parts.hard_state, parts.read_states) = (Some(&soft), Some(&hard), &reads);
    (parts.entries, parts.committed, parts.messages) = (&list, &list, &messages);
    check(
        &parts.to_string(),
        "Ready MustSync=true:\nLead:10 State:StatePreCandidate\n\
         HardState Term:1 Vote:10 Commit:4\nReadStates [{5 [97 98]} {6 []}]\n\
         Entries:\n1/4 EntryNormal \"x\"\nCommittedEntries:\n1/4 EntryNormal \"x\"\n\
         Messages:\n1->2 MsgTimeoutNow Term:0 Log:0/0\n",
    );
}
