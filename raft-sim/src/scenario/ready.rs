//! `process-ready`, `process-append-thread`, `process-apply-thread`: the work that a node asks its
//! application to do.

use raftcore::{Ready, describe};

use super::directive::Outcome;
use super::env::{Env, Parcel};
use super::error::told;
use super::parser::Directive;

impl Env {
    /// `process-ready ID…`
    pub(crate) fn process_readies(&mut self, directive: &Directive) -> Outcome {
        self.for_each(&directive.ids()?, "handling Ready", Self::process_ready)
    }

    /// `process-append-thread ID…`
    pub(crate) fn process_append_threads(&mut self, directive: &Directive) -> Outcome {
        self.for_each(&directive.ids()?, "processing append thread", Self::process_append)
    }

    /// `process-apply-thread ID…`
    pub(crate) fn process_apply_threads(&mut self, directive: &Directive) -> Outcome {
        self.for_each(&directive.ids()?, "processing apply thread", Self::process_apply)
    }

    /// Takes a node's Ready, prints it and does what it says. With asynchronous storage writes
    /// the work goes to the node's storage threads instead, and nothing is advanced.
    pub(crate) fn process_ready(&mut self, id: u64) -> Outcome {
        let ready = self.node(id)?.up()?.ready().map_err(|error| told(&error))?;
        let Some(mut ready) = ready else {
            self.out.print(&Ready::default().describe());
            return Ok(());
        };
        self.out.print(&ready.describe());
        let node = self.node(id)?;
        if node.config.async_storage_writes {
            node.append_work.extend(ready.append.take());
            node.apply_work.extend(ready.apply.take());
            self.queue.extend(ready.messages.drain(..).map(Parcel::from));
            return Ok(());
        }
        node.disk.persist(ready.hard_state, ready.snapshot.as_ref(), &ready.entries)?;
        node.apply(&ready.committed)?;
        let messages = ready.messages.iter().chain(&ready.messages_after_sync);
        let parcels: Vec<Parcel> = messages.cloned().map(Parcel::from).collect();
        let advanced = node.up()?.advance(ready);
        self.queue.extend(parcels);
        advanced.map_err(|error| told(&error))
    }

    /// Does the oldest work of a node's append thread.
    pub(crate) fn process_append(&mut self, id: u64) -> Outcome {
        let Some(work) = self.node(id)?.append_work.pop_front() else {
            self.out.print("no append work to perform");
            return Ok(());
        };
        let mut flat = work.to_flat();
        flat.responses.clear();
        self.out.line(&format!("Processing:\n{}", describe::message(&flat)));
        self.node(id)?.disk.persist(work.hard_state, work.snapshot.as_ref(), &work.entries)?;
        self.respond(work.replies.into_iter().map(Parcel::from).collect());
        Ok(())
    }

    /// Does the oldest work of a node's apply thread.
    pub(crate) fn process_apply(&mut self, id: u64) -> Outcome {
        let Some(work) = self.node(id)?.apply_work.pop_front() else {
            self.out.print("no apply work to perform");
            return Ok(());
        };
        let mut flat = work.to_flat();
        flat.responses.clear();
        self.out.line(&format!("Processing:\n{}", describe::message(&flat)));
        self.node(id)?.apply(&work.entries)?;
        self.respond(vec![Parcel::from(raftcore::Reply::Local(work.reply))]);
        Ok(())
    }

    /// A storage thread has done its work: its responses are sent.
    fn respond(&mut self, responses: Vec<Parcel>) {
        self.out.line("Responses:");
        for response in &responses {
            self.out.line(&response.describe());
        }
        self.queue.extend(responses);
    }
}
