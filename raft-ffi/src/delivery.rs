//! Messages from one node to others in this process, without a copy of what they carry.

use raftcore::{Message, NodeId};

use crate::alive;
use crate::error::Failure;
use crate::handle::Handle;
use crate::node::raftcore_node;

/// Who takes messages in this process, and what became of those they were given. Used where it is
/// made: it is written in words, and a copy at once would wait for them.
pub(crate) struct Delivery<'a> {
    nodes: &'a [*mut raftcore_node],
    rest: Option<Box<Rest<'a>>>,
}

/// What most have not.
#[derive(Default)]
struct Rest<'a> {
    /// Who waits for a lock, or calls the program, must not hold another one: such messages, and
    /// those behind them, wait until it is given back.
    late: Vec<(&'a Handle, Message)>,
    /// The first failure counts.
    failure: Option<Failure>,
}

impl<'a> Delivery<'a> {
    /// # Safety
    /// As for [`crate::handle::of`], for each node that is not NULL, for `'a`.
    #[inline]
    pub(crate) const unsafe fn to(nodes: &'a [*mut raftcore_node]) -> Self {
        Self { nodes, rest: None }
    }

    /// Whether the nodes live, as far as this build can tell.
    pub(crate) fn check(nodes: &[*mut raftcore_node]) -> Result<(), Failure> {
        if !cfg!(debug_assertions) {
            return Ok(());
        }
        let mut nodes = nodes.iter().filter(|node| !node.is_null());
        nodes.try_for_each(|node| alive::check(*node, "node"))
    }

    /// The node of this member.
    #[inline]
    pub(crate) fn find(&self, id: NodeId) -> Option<&'a Handle> {
        // SAFETY: as was promised when this was made.
        let mut living = self.nodes.iter().filter_map(|node| unsafe { node.as_ref() });
        living.find_map(|node| (node.handle.id == id).then_some(&node.handle))
    }

    /// Steps a message, now or as one of the late ones. It is made where it is stepped: to hand it
    /// on would be to copy it.
    #[inline]
    pub(crate) fn hand(&mut self, to: &'a Handle, message: impl FnOnce() -> Message) {
        if self.rest.is_none()
            && let Some(to) = to.try_lock()
        {
            if let Err(failure) = to.with_unheard(|to| to.step_shared(message)) {
                self.note(failure);
            }
        } else {
            self.hand_later(to, message());
        }
    }

    #[cold]
    fn hand_later(&mut self, to: &'a Handle, message: Message) {
        self.rest.get_or_insert_default().late.push((to, message));
    }

    #[cold]
    fn note(&mut self, failure: Failure) {
        self.rest.get_or_insert_default().failure.get_or_insert(failure);
    }

    /// Hands over those of the messages whose receivers are here.
    #[inline]
    pub(crate) fn take_from(&mut self, messages: &mut Vec<Message>) {
        if !messages.is_empty() {
            self.take_some(messages);
        }
    }

    /// Each is moved once, from its place in the list: what `drain` gives would be copied before it
    /// has reached the cache.
    #[inline(never)]
    fn take_some(&mut self, messages: &mut Vec<Message>) {
        let count = messages.len();
        let mut kept = 0;
        // SAFETY: the list is empty while its messages are moved out, each once, and has in the end
        // those that stay, which are moved to its beginning.
        unsafe {
            messages.set_len(0);
            let first = messages.as_mut_ptr();
            for at in 0..count {
                let message = first.add(at);
                if let Some(to) = self.find((*message).to) {
                    self.hand(to, || message.read());
                } else {
                    first.add(kept).copy_from(message, 1);
                    kept += 1;
                }
            }
            messages.set_len(kept);
        }
    }

    /// Steps the late ones, when the caller holds no lock, and says what went wrong first.
    #[inline]
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        match self.rest.take() {
            None => Ok(()),
            Some(rest) => rest.finish(),
        }
    }
}

impl Rest<'_> {
    #[cold]
    fn finish(mut self) -> Result<(), Failure> {
        for (to, message) in std::mem::take(&mut self.late) {
            if let Err(failure) = to.call(|to| to.step_shared(|| message)) {
                self.failure.get_or_insert(failure);
            }
        }
        self.failure.map_or(Ok(()), Err)
    }
}
