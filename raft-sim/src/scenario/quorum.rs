//! `committed` and `vote`: the arithmetic of quorums, by itself.
//!
//! Beside the answer, the answers to questions that must come out alike: with the halves of a
//! joint configuration swapped, with an empty or equal second half, with less reported by voters
//! that did not matter. They print only when they differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use raftcore::quorum::{VoteResult, joint};
use raftcore::{Index, NodeId};

use super::directive::{Failure, member, parsed};
use super::parser::Directive;

/// What voters reported.
type Reported<T> = BTreeMap<NodeId, T>;

/// What the two commands are told.
#[derive(Default, Debug)]
struct Question {
    /// The voters of each half, in the order in which they are named, possibly repeated.
    halves: [Vec<NodeId>; 2],
    /// Whether the second half was mentioned at all.
    joint: bool,
    /// What was reported by the voters in the order in which they first appear.
    indexes: Vec<Option<Index>>,
    votes: Vec<Option<bool>>,
}

/// Plays either command.
pub(crate) fn play(directive: &Directive) -> Result<String, Failure> {
    let question = Question::read(directive)?;
    let voters: BTreeSet<NodeId> = question.halves.iter().flatten().copied().collect();
    let is_vote = directive.command == "vote";
    let given = if is_vote { question.votes.len() } else { question.indexes.len() };
    if given != voters.len() {
        return Ok(question.mismatch(&voters, is_vote));
    }
    Ok(if is_vote { question.vote() } else { question.committed(&voters) })
}

impl Question {
    fn read(directive: &Directive) -> Result<Self, Failure> {
        let mut question = Self::default();
        for (key, value) in directive.options() {
            match (key, value) {
                ("cfg", id) => question.halves[0].push(member(parsed(id)?)?),
                ("cfgj", "zero") => question.joint = true,
                ("cfgj", id) => {
                    question.joint = true;
                    question.halves[1].push(member(parsed(id)?)?);
                }
                ("idx", "_") => question.indexes.push(None),
                ("idx", index) => question.indexes.push(Some(Index(parsed(index)?))),
                ("votes", "_") => question.votes.push(None),
                ("votes", "y") => question.votes.push(Some(true)),
                ("votes", "n") => question.votes.push(Some(false)),
                _ => return Err(Failure::broken(format!("what is {key}={value}?"))),
            }
        }
        Ok(question)
    }

    /// Joins what was reported with those who reported it.
    fn reported<T: Copy>(&self, values: &[Option<T>]) -> Reported<T> {
        let mut seen = BTreeSet::new();
        let first_seen = self.halves.iter().flatten().filter(|id| seen.insert(**id));
        first_seen.zip(values).filter_map(|(id, value)| Some((*id, (*value)?))).collect()
    }

    /// Each half as the core takes it: sorted, without repetitions.
    fn sorted_halves(&self) -> [Vec<NodeId>; 2] {
        self.halves.clone().map(|half| Vec::from_iter(BTreeSet::from_iter(half)))
    }

    fn mismatch(&self, voters: &BTreeSet<NodeId>, is_vote: bool) -> String {
        let voters: Vec<String> = voters.iter().map(|id| format!("{}:{{}}", id.get())).collect();
        let input: Vec<String> = if is_vote {
            // A missing vote counts as 0 here, a refused one as 1, a granted one as 2.
            self.votes.iter().map(|v| v.map_or(0, |yes| 1 + u8::from(yes)).to_string()).collect()
        } else {
            self.indexes.iter().map(|index| shown(index.unwrap_or_default())).collect()
        };
        format!(
            "error: mismatched input (explicit or _) for voters map[{}]: [{}]\n",
            voters.join(" "),
            input.join(" ")
        )
    }

    fn committed(&self, voters: &BTreeSet<NodeId>) -> String {
        let acked = self.reported(&self.indexes);
        let [incoming, outgoing] = self.sorted_halves();
        let index = committed(&incoming, &outgoing, &acked);
        let mut text = table(voters, &acked);
        let mut must_be_equal = |other: Index, how: &str| {
            if other != index {
                let _ = writeln!(text, "{} <-- {how}", shown(other));
            }
        };
        must_be_equal(by_counting([&incoming, &outgoing], &acked), "via alternative computation");
        if self.joint {
            must_be_equal(committed(&outgoing, &incoming, &acked), "via symmetry");
        } else {
            must_be_equal(committed(&[], &incoming, &acked), "via zero-joint quorum");
            must_be_equal(committed(&incoming, &incoming, &acked), "via self-joint quorum");
            for (id, at) in acked.iter().filter(|(_, at)| **at < index) {
                for lower in [at.prev(), Index::ZERO] {
                    let mut less = acked.clone();
                    less.insert(*id, lower);
                    let how = format!("overlaying {}->{lower}", id.get());
                    must_be_equal(committed(&incoming, &[], &less), &how);
                }
            }
        }
        let _ = writeln!(text, "{}", shown(index));
        text
    }

    fn vote(&self) -> String {
        let votes = self.reported(&self.votes);
        let [incoming, outgoing] = self.sorted_halves();
        let result =
            |a: &[NodeId], b: &[NodeId]| joint::vote_result(a, b, |id| votes.get(&id).copied());
        let (straight, swapped) = (result(&incoming, &outgoing), result(&outgoing, &incoming));
        let mut text = String::new();
        if straight != swapped {
            let _ = writeln!(text, "{} <-- via symmetry", result_name(swapped));
        }
        let _ = writeln!(text, "{}", result_name(straight));
        text
    }
}

fn committed(incoming: &[NodeId], outgoing: &[NodeId], acked: &Reported<Index>) -> Index {
    joint::committed_index(incoming, outgoing, |id| acked.get(&id).copied())
}

/// The same by the definition: the highest reported index that a majority of each half has.
fn by_counting(halves: [&[NodeId]; 2], acked: &Reported<Index>) -> Index {
    let has = |half: &[NodeId], index| {
        let count = half.iter().filter(|id| acked.get(id).is_some_and(|at| *at >= index)).count();
        half.is_empty() || count > half.len() / 2
    };
    let all_have = |index| halves.iter().all(|half| has(half, index));
    if halves.iter().all(|half| half.is_empty()) {
        return Index(u64::MAX);
    }
    acked.values().copied().filter(|index| all_have(*index)).max().unwrap_or_default()
}

/// A line per voter: a bar as long as its rank by index, the index, the id.
fn table(voters: &BTreeSet<NodeId>, acked: &Reported<Index>) -> String {
    if voters.is_empty() {
        return "<empty majority quorum>".to_owned();
    }
    let width = voters.len();
    let at = |id: &NodeId| acked.get(id).copied().unwrap_or_default();
    let mut text = format!("{:width$}    idx\n", "");
    for id in voters {
        let rank = voters.iter().filter(|other| at(other) < at(id)).count();
        let bar = match acked.contains_key(id) {
            true => format!("{}>", "x".repeat(rank)),
            false => "?".to_owned(),
        };
        let _ = writeln!(text, "{bar:<0$} {1:>5}    (id={id})", width + 1, at(id).0);
    }
    text
}

/// An index; the one beyond all others is that of a group without voters.
fn shown(index: Index) -> String {
    if index == Index(u64::MAX) { "∞".to_owned() } else { index.to_string() }
}

fn result_name(result: VoteResult) -> &'static str {
    match result {
        VoteResult::Pending => "VotePending",
        VoteResult::Lost => "VoteLost",
        VoteResult::Won => "VoteWon",
    }
}
