//! `deliver-msgs`: what is on its way reaches its receivers, or is lost.

use raftcore::{Body, Error, MessageKind, Refusal};

use super::directive::{Failure, Outcome, parsed};
use super::env::{Content, Env, Parcel};
use super::error;
use super::parser::Directive;

/// What happens to the messages for one node.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Recipient {
    pub(crate) id: u64,
    /// They are lost, except those that never leave the node.
    pub(crate) drop: bool,
}

impl Env {
    /// `deliver-msgs ID… [drop=(ID,…)] [type=T]`
    pub(crate) fn deliver_msgs(&mut self, directive: &Directive) -> Outcome {
        let mut kind = None;
        let mut recipients: Vec<Recipient> = Vec::new();
        for arg in &directive.args {
            if arg.values.is_empty() {
                recipients.push(Recipient { id: parsed(&arg.key)?, drop: false });
            }
            for value in &arg.values {
                match arg.key.as_str() {
                    "drop" => {
                        let id = parsed(value)?;
                        if recipients.iter().any(|recipient| recipient.id == id) {
                            let problem = format!("{id} cannot both receive and lose messages");
                            return Err(Failure::broken(problem));
                        }
                        recipients.push(Recipient { id, drop: true });
                    }
                    "type" => kind = Some(kind_of(value)?),
                    _ => {}
                }
            }
        }
        let mut handled = 0;
        for recipient in recipients {
            handled += self.deliver(recipient, kind)?;
        }
        if handled == 0 {
            self.out.line("no messages");
        }
        Ok(())
    }

    /// Delivers or drops what waits for this node, of this kind or of any, oldest first. Returns
    /// how many messages that were.
    pub(crate) fn deliver(
        &mut self,
        recipient: Recipient,
        kind: Option<MessageKind>,
    ) -> Result<usize, Failure> {
        let is_meant = |parcel: &mut Parcel| {
            parcel.flat.to == recipient.id
                && !(recipient.drop && parcel.is_local())
                && kind.is_none_or(|kind| parcel.flat.kind == kind as i32)
        };
        let parcels: Vec<Parcel> = self.queue.extract_if(.., is_meant).collect();
        let count = parcels.len();
        for parcel in parcels {
            if recipient.drop {
                self.out.line(&format!("dropped: {}", parcel.describe()));
            } else {
                self.out.line(&parcel.describe());
                self.step(parcel)?;
            }
        }
        Ok(count)
    }

    /// Hands a message to its receiver, and prints why it was not taken.
    fn step(&mut self, parcel: Parcel) -> Outcome {
        let node = self.node(parcel.flat.to)?.up()?;
        let (is_proposal, result) = match parcel.content {
            Content::Peer(message) => {
                (matches!(message.body, Body::Propose(_)), node.step(message))
            }
            Content::Local(response) => {
                // A node that was removed meanwhile is no member for itself either. The core has
                // no word for that, because nothing depends on it.
                let own = node.id();
                let is_stranger = !node.status().membership.contains(own);
                let refused = parcel.flat.from == own.get() && is_stranger;
                let result = node.storage_response(response);
                (false, if refused { Err(Refusal::NotAMember(own).into()) } else { result })
            }
        };
        match result {
            // Only of a proposal somebody wants to know that it was dropped: other requests that
            // come to nothing do so in silence.
            Err(Error::Dropped(_)) if !is_proposal => {}
            Err(error) => self.out.line(&error::text(&error)),
            Ok(_) => {}
        }
        Ok(())
    }
}

/// The kind of message with this name.
fn kind_of(name: &str) -> Result<MessageKind, Failure> {
    (0..MessageKind::COUNT as i32)
        .filter_map(MessageKind::from_number)
        .find(|kind| kind.wire_name() == name)
        .ok_or_else(|| Failure::broken(format!("there is no message type {name}")))
}
