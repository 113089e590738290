//! `stabilize`: everything that can happen without time passing, until nothing is left to do.

use super::deliver::Recipient;
use super::directive::{Failure, Outcome};
use super::env::Env;
use super::parser::Directive;

/// A cluster that is still busy after so many rounds will never rest.
const ROUNDS: usize = 1000;

impl Env {
    /// `stabilize [ID…] [log-level=L]`
    pub(crate) fn stabilize(&mut self, directive: &Directive) -> Outcome {
        let level = self.out.level();
        let outcome = self.stabilize_at_levels(directive);
        self.out.restore_level(level);
        outcome
    }

    fn stabilize_at_levels(&mut self, directive: &Directive) -> Outcome {
        for (_, level) in directive.options().filter(|(key, _)| *key == "log-level") {
            self.out.set_level(level)?;
        }
        let mut ids = directive.ids()?;
        if ids.is_empty() {
            ids = (1..=self.nodes.len() as u64).collect();
        }
        for id in &ids {
            self.node(*id)?;
        }
        for _ in 0..ROUNDS {
            if !self.stabilize_round(&ids)? {
                return Ok(());
            }
        }
        Err(Failure::broken(format!("the cluster is still busy after {ROUNDS} rounds")))
    }

    /// Each kind of work for every node before the next kind. Returns whether there was any.
    /// Nodes that are down do nothing, and their messages wait.
    fn stabilize_round(&mut self, ids: &[u64]) -> Result<bool, Failure> {
        let mut busy = false;
        for id in ids {
            if self.node(*id)?.running().is_some_and(|node| node.has_ready()) {
                self.under_heading(*id, "handling Ready", |env| env.process_ready(*id))?;
                busy = true;
            }
        }
        for id in ids {
            let is_up = self.node(*id)?.running().is_some();
            if is_up && self.queue.iter().any(|parcel| parcel.flat.to == *id) {
                let recipient = Recipient { id: *id, drop: false };
                let deliver = |env: &mut Self| env.deliver(recipient, None);
                self.under_heading(*id, "receiving messages", deliver)?;
                busy = true;
            }
        }
        for id in ids {
            if !self.node(*id)?.append_work.is_empty() {
                self.out.line(&format!("> {id} processing append thread"));
                while !self.node(*id)?.append_work.is_empty() {
                    self.indented(|env| env.process_append(*id))?;
                }
                busy = true;
            }
        }
        for id in ids {
            if !self.node(*id)?.apply_work.is_empty() {
                self.out.line(&format!("> {id} processing apply thread"));
                while !self.node(*id)?.apply_work.is_empty() {
                    self.indented(|env| env.process_apply(*id))?;
                }
                busy = true;
            }
        }
        Ok(busy)
    }
}
