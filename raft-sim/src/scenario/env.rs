//! The cluster of a scenario: its nodes, the messages on their way, and what is printed.
//!
//! What the commands do with it stands in the rooms beside this one, a file for each family.

use raftcore::wire::schema;
use raftcore::{LocalResponse, Message, Reply, describe};

use super::directive::{Failure, Outcome};
use super::node::TestNode;
use super::output::Output;

/// Everything a scenario plays with.
#[derive(Default)]
pub(crate) struct Env {
    /// Node 1 is at place 0.
    pub(crate) nodes: Vec<TestNode>,
    /// What was sent and not delivered yet, oldest first, to all receivers.
    pub(crate) queue: Vec<Parcel>,
    /// What the present command prints.
    pub(crate) out: Output,
}

/// Something on its way to a node.
pub(crate) struct Parcel {
    /// The form that prints and names the addresses.
    pub(crate) flat: schema::Message,
    pub(crate) content: Content,
}

/// To which door of the receiver it goes.
pub(crate) enum Content {
    /// From another member.
    Peer(Message),
    /// From one of the receiver's own storage threads.
    Local(LocalResponse),
}

impl Parcel {
    /// Whether it never leaves its node, so that no network can lose it.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.content, Content::Local(_)) || self.flat.from == self.flat.to
    }

    /// As it prints.
    pub(crate) fn describe(&self) -> String {
        describe::message(&self.flat)
    }
}

impl From<Message> for Parcel {
    fn from(message: Message) -> Self {
        Self { flat: (&message).into(), content: Content::Peer(message) }
    }
}

impl From<Reply> for Parcel {
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Peer(message) => message.into(),
            Reply::Local(response) => {
                Self { flat: response.to_flat(), content: Content::Local(response) }
            }
        }
    }
}

impl Env {
    /// The node with this number.
    pub(crate) fn node(&mut self, id: u64) -> Result<&mut TestNode, Failure> {
        let place = id.checked_sub(1).and_then(|place| usize::try_from(place).ok());
        place
            .and_then(|place| self.nodes.get_mut(place))
            .ok_or_else(|| Failure::broken(format!("there is no node {id}")))
    }

    /// Runs a command for each of these nodes. If there are several, each has a heading, and what
    /// it prints is indented.
    pub(crate) fn for_each(
        &mut self,
        ids: &[u64],
        heading: &str,
        mut command: impl FnMut(&mut Self, u64) -> Outcome,
    ) -> Outcome {
        for id in ids {
            if ids.len() > 1 {
                self.under_heading(*id, heading, |env| command(env, *id))?;
            } else {
                command(self, *id)?;
            }
        }
        Ok(())
    }

    /// Runs a command under a heading and indents what it prints.
    pub(crate) fn under_heading<T>(
        &mut self,
        id: u64,
        heading: &str,
        command: impl FnOnce(&mut Self) -> T,
    ) -> T {
        self.out.line(&format!("> {id} {heading}"));
        self.indented(command)
    }

    /// Runs a command and indents what it prints.
    pub(crate) fn indented<T>(&mut self, command: impl FnOnce(&mut Self) -> T) -> T {
        let mark = self.out.mark();
        let result = command(self);
        self.out.indent_from(mark);
        result
    }
}
