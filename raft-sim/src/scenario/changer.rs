//! `simple`, `enter-joint` and `leave-joint`: the membership changer, by itself.

use std::collections::BTreeMap;
use std::fmt::Write;

use raftcore::progress::{Limits, Progress};
use raftcore::{ConfChangeKind, ConfChangeSingle, Index, Membership, NodeId};

use super::directive::{Failure, flag};
use super::parser::Directive;
use super::tokens;

/// The window of a member's progress; nothing is ever in flight here.
const LIMITS: Limits = Limits { max_inflight_messages: 10, max_inflight_bytes: u64::MAX };

/// A configuration that is changed step by step, and how a leader would track its members.
#[derive(Default)]
pub(crate) struct Changer {
    membership: Membership,
    progress: BTreeMap<NodeId, Progress>,
    /// Stands for the log: every command is an entry.
    last_index: Index,
}

impl Changer {
    /// Plays one command. An error is the whole output, and counts as an entry too.
    pub(crate) fn play(&mut self, directive: &Directive) -> Result<String, Failure> {
        let outcome = self.change(directive);
        self.last_index = self.last_index.next();
        match outcome {
            Ok(()) => Ok(self.describe()),
            Err(Failure::Told(error)) => Ok(format!("{error}\n")),
            Err(broken) => Err(broken),
        }
    }

    fn change(&mut self, directive: &Directive) -> Result<(), Failure> {
        let steps = tokens::read(&directive.input).map_err(Failure::Told)?;
        let next = match directive.command.as_str() {
            "simple" => self.membership.simple(&steps),
            "enter-joint" => {
                let auto_leave = match directive.options().next() {
                    Some(("autoleave", value)) => flag(value)?,
                    Some((key, _)) => return Err(Failure::broken(format!("what is {key}=?"))),
                    None => false,
                };
                self.membership.enter_joint(auto_leave, &steps)
            }
            _ if steps.is_empty() => self.membership.leave_joint(),
            _ => return Err(Failure::told("this command takes no input")),
        };
        let next = next.map_err(Failure::told)?;
        self.follow(next, &steps);
        Ok(())
    }

    /// Takes over the next configuration. Members that left lose their progress, also those that
    /// come back in the same change; new ones are probed from the end of the log.
    fn follow(&mut self, next: Membership, steps: &[ConfChangeSingle]) {
        for step in steps.iter().filter(|step| step.kind == ConfChangeKind::Remove) {
            if let Some(id) = NodeId::new(step.node)
                && !next.voters_outgoing().contains(&id)
            {
                self.progress.remove(&id);
            }
        }
        self.progress.retain(|id, _| next.contains(*id));
        for id in next.members() {
            self.progress.entry(id).or_insert_with(|| {
                let mut progress = Progress::new(self.last_index);
                progress.mark_active();
                progress
            });
        }
        self.membership = next;
    }

    fn describe(&self) -> String {
        let mut text = format!("{}\n", self.membership);
        for (id, progress) in &self.progress {
            let is_learner = self.membership.is_learner(*id);
            // Writing to a string does not fail.
            let _ = writeln!(text, "{}: {}", id.get(), progress.describe(is_learner, &LIMITS));
        }
        text
    }
}
