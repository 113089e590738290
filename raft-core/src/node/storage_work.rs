//! The door for storage threads: work for them out, what they say when it is done in.

use std::collections::VecDeque;

use super::Node;
use crate::error::{Error, Misuse};
use crate::log::Storage;
use crate::ready::{LocalKind, LocalResponse, ReadyContents, Reply, StorageAppend, StorageApply};

/// The storage responses that are still to come.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    numbers: VecDeque<u64>,
    /// How many were ever attached to a write.
    count: u64,
}

impl<S: Storage> Node<S> {
    /// Takes what a storage thread says when its work is done (asynchronous storage writes).
    ///
    /// # Errors
    /// [`Misuse::UnknownStorageResponse`] when this node did not attach the response to a write,
    /// or took it already; [`Misuse::AsyncStorageWrites`] when it persists by `advance`.
    pub fn storage_response(&mut self, response: LocalResponse) -> Result<(), Error> {
        self.enter()?;
        if !self.is_async() {
            return Err(Misuse::AsyncStorageWrites.into());
        }
        let own = self.id();
        let awaited = &mut self.awaited.get_or_insert_default().numbers;
        // Usually the oldest one.
        let place = awaited.iter().position(|number| *number == response.number);
        let Some(place) = place.filter(|_| response.node == own) else {
            return Err(Misuse::UnknownStorageResponse.into());
        };
        awaited.remove(place);
        let result = self.raft.on_local(response.kind);
        self.leave();
        result
    }

    /// Makes work for the storage threads, with the replies attached.
    #[inline(never)]
    pub(super) fn attach_storage_work(&mut self, ready: &mut ReadyContents) {
        let node = self.id();
        let log = &self.raft.core.log;
        let written = log.has_unstable().then(|| log.last());
        let claims = std::mem::take(&mut ready.messages_after_sync);
        let nothing_to_write = ready.entries.is_empty()
            && ready.hard_state.is_none()
            && ready.snapshot.is_none()
            && claims.is_empty();
        if !nothing_to_write {
            let mut replies = Vec::with_capacity(claims.len().saturating_add(1));
            for message in claims {
                replies.push(if message.to == node {
                    Reply::Local(self.attach(LocalKind::Own(message)))
                } else {
                    Reply::Peer(message)
                });
            }
            if written.is_some() || ready.snapshot.is_some() {
                let (term, snapshot) = (self.raft.core.term(), ready.snapshot.clone());
                let kind = LocalKind::Appended { term, last: written, snapshot };
                replies.push(Reply::Local(self.attach(kind)));
            }
            ready.append = Some(StorageAppend {
                node,
                hard_state: ready.hard_state,
                snapshot: ready.snapshot.clone(),
                entries: ready.entries.clone(),
                must_sync: ready.must_sync,
                replies,
            });
        }
        if !ready.committed.is_empty() {
            let entries = ready.committed.clone();
            let reply = self.attach(LocalKind::Applied { entries: entries.clone() });
            ready.apply = Some(StorageApply { node, entries, reply });
        }
    }

    /// A response that this node will take once.
    fn attach(&mut self, kind: LocalKind) -> LocalResponse {
        let node = self.id();
        let awaited = self.awaited.get_or_insert_default();
        awaited.count = awaited.count.saturating_add(1);
        awaited.numbers.push_back(awaited.count);
        LocalResponse { node, number: awaited.count, kind }
    }
}
