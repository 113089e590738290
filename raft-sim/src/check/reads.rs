//! Reads: the index under which a read is released covers all that was committed anywhere when it
//! was asked, and its leader had committed in its term (thesis, section 6.4).

use std::collections::BTreeMap;

use raftcore::NodeId;

use super::{Verdict, ensure};

/// A read that waits: who asked it where, in which life, for the how manieth time.
type Asked = (usize, u32, Vec<u8>);

/// What was committed when each read was asked.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    asked: BTreeMap<Asked, u64>,
    /// The highest commit index that any node ever had.
    committed: u64,
}

impl Reads {
    /// A node has this commit index.
    pub(crate) fn on_commit(&mut self, commit: u64) {
        self.committed = self.committed.max(commit);
    }

    /// A read is asked. Asked again under the same name it is the same read: it began when it was
    /// asked first.
    pub(crate) fn on_asked(&mut self, slot: usize, life: u32, context: &[u8]) {
        self.asked.entry((slot, life, context.to_vec())).or_insert(self.committed);
    }

    /// A read is released.
    pub(crate) fn on_released(
        &self,
        slot: usize,
        life: u32,
        context: &[u8],
        index: u64,
    ) -> Verdict {
        let asked = self.asked.get(&(slot, life, context.to_vec()));
        let Some(committed) = asked else {
            // The answer to a read of an earlier life.
            return Ok(());
        };
        ensure(index >= *committed, "read_covers_what_was_committed", || {
            let id = slot + 1;
            format!("node {id} may read at {index}, but {committed} was committed when it asked")
        })
    }

    /// Nobody waits for this read any more.
    pub(crate) fn forget(&mut self, slot: usize, life: u32, context: &[u8]) {
        self.asked.remove(&(slot, life, context.to_vec()));
    }

    /// A leader answers a read.
    pub(crate) fn on_answered(
        &self,
        id: NodeId,
        term: u64,
        commit: u64,
        term_at_commit: Option<u64>,
    ) -> Verdict {
        let own = term_at_commit.is_none_or(|at| at == term);
        ensure(own, "read_only_after_a_commit_in_the_term", || {
            format!("leader {id} of {term} answers at {commit}, which is of {term_at_commit:?}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::assert_objects;
    use super::*;

    #[test]
    fn a_stale_read_is_seen() {
        let mut reads = Reads::default();
        reads.on_commit(5);
        reads.on_asked(0, 1, b"x");
        reads.on_commit(9);
        // Asked again, it is still the same read.
        reads.on_asked(0, 1, b"x");
        reads.on_released(0, 1, b"x", 5).unwrap();
        let stale = reads.on_released(0, 1, b"x", 4);
        assert_objects(stale, "read_covers_what_was_committed");
        reads.on_asked(0, 1, b"y");
        let stale = reads.on_released(0, 1, b"y", 8);
        assert_objects(stale, "read_covers_what_was_committed");
    }

    #[test]
    fn an_answer_before_the_first_commit_of_the_term_is_seen() {
        let (reads, id) = (Reads::default(), NodeId::new(1).unwrap());
        reads.on_answered(id, 3, 7, Some(3)).unwrap();
        let early = reads.on_answered(id, 3, 7, Some(2));
        assert_objects(early, "read_only_after_a_commit_in_the_term");
    }
}
