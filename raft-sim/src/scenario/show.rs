//! The commands that look: `raft-log`, `raft-state`, `status`, `membership`, `log-level`; and
//! `compact`, which shows the log that is left.

use raftcore::{Index, NodeId, Storage, describe};

use super::directive::Outcome;
use super::env::Env;
use super::error::told_by_storage;
use super::parser::Directive;

impl Env {
    /// `log-level L`
    pub(crate) fn log_level(&mut self, directive: &Directive) -> Outcome {
        self.out.set_level(directive.word(0)?)
    }

    /// `compact ID I`
    pub(crate) fn compact(&mut self, directive: &Directive) -> Outcome {
        let index = Index(directive.number(1)?);
        self.node(directive.number(0)?)?
            .disk
            .compact(index)
            .map_err(|error| told_by_storage(&error))?;
        self.raft_log(directive)
    }

    /// `raft-log ID`
    pub(crate) fn raft_log(&mut self, directive: &Directive) -> Outcome {
        let disk = self.node(directive.number(0)?)?.disk.clone();
        let first = disk.first_index().map_err(|error| told_by_storage(&error))?;
        let last = disk.last_index().map_err(|error| told_by_storage(&error))?;
        if last < first {
            self.out.print(&format!("log is empty: first index={first}, last index={last}"));
            return Ok(());
        }
        let entries =
            disk.entries(first, last.next(), u64::MAX).map_err(|error| told_by_storage(&error))?;
        self.out.print(&describe::entries(&entries));
        Ok(())
    }

    /// `raft-state`
    pub(crate) fn raft_state(&mut self) -> Outcome {
        for node in &self.nodes {
            let id = node.id;
            let Some(running) = node.running() else {
                self.out.line(&format!("{id}: down"));
                continue;
            };
            let status = running.status();
            let is_voter = status.membership.is_voter(status.id);
            self.out.line(&format!(
                "{id}: {} {} Term:{} Lead:{}",
                describe::role(status.soft_state.role),
                if is_voter { "(Voter)" } else { "(Non-Voter)" },
                status.hard_state.term,
                NodeId::or_zero(status.soft_state.leader)
            ));
        }
        Ok(())
    }

    /// `status ID`
    pub(crate) fn status(&mut self, directive: &Directive) -> Outcome {
        let status = self.node(directive.number(0)?)?.up()?.status();
        for peer in &status.progress {
            self.out.line(&format!("{}: {}", peer.id.get(), peer.describe()));
        }
        Ok(())
    }

    /// `membership ID`: an own command.
    pub(crate) fn membership(&mut self, directive: &Directive) -> Outcome {
        let membership = self.node(directive.number(0)?)?.up()?.status().membership;
        self.out.line(&membership.to_string());
        Ok(())
    }
}
