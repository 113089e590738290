//! The commands that are one call on a node: `campaign`, `propose`, `propose-conf-change`,
//! `forget-leader`, `transfer-leadership`, `report-unreachable`, `report-snapshot`, `read-index`,
//! `tick-heartbeat`, `tick-election`, `set-randomized-election-timeout`, `send-snapshot`.

use std::sync::Arc;

use raftcore::{
    AnyConfChange, Body, ConfChange, ConfChangeV2, Message, SnapshotStatus, Transition,
};

use super::directive::{Failure, Outcome, flag, member};
use super::env::{Env, Parcel};
use super::error::told;
use super::node::only_faults;
use super::parser::Directive;
use super::tokens;

impl Env {
    /// `campaign ID`
    pub(crate) fn campaign(&mut self, directive: &Directive) -> Outcome {
        only_faults(self.node(directive.number(0)?)?.up()?.campaign())
    }

    /// `propose ID DATA`
    pub(crate) fn propose(&mut self, directive: &Directive) -> Outcome {
        let data = directive.word(1)?.to_owned();
        if directive.args.len() != 2 {
            return Err(Failure::broken("propose takes a node and one word of data"));
        }
        let result = self.node(directive.number(0)?)?.up()?.propose(data);
        result.map(drop).map_err(|error| told(&error))
    }

    /// `propose-conf-change ID [v1=B] [transition=T]` with tokens as input
    pub(crate) fn propose_conf_change(&mut self, directive: &Directive) -> Outcome {
        let mut one = false;
        let mut transition = Transition::Auto;
        for (key, value) in directive.options() {
            match (key, value) {
                ("v1", value) => one = flag(value)?,
                ("transition", "auto") => transition = Transition::Auto,
                ("transition", "implicit") => transition = Transition::JointImplicit,
                ("transition", "explicit") => transition = Transition::JointExplicit,
                ("transition", _) => {
                    return Err(Failure::told(format!("unknown transition {value}")));
                }
                _ => return Err(Failure::told(format!("unknown command {key}"))),
            }
        }
        let changes = tokens::read(&directive.input).map_err(Failure::Told)?;
        let change = match *changes {
            _ if !one => {
                AnyConfChange::Many(ConfChangeV2 { transition, changes, ..Default::default() })
            }
            [step] if transition == Transition::Auto => AnyConfChange::One(ConfChange {
                kind: step.kind,
                node: step.node,
                ..Default::default()
            }),
            _ => {
                return Err(Failure::told(
                    "v1 conf change can only have one operation and no transition",
                ));
            }
        };
        // A change that is refused is replaced by an empty entry; that is no error.
        let result = self.node(directive.number(0)?)?.up()?.propose_conf_change(&change);
        result.map(drop).map_err(|error| told(&error))
    }

    /// `forget-leader ID`
    pub(crate) fn forget_leader(&mut self, directive: &Directive) -> Outcome {
        only_faults(self.node(directive.number(0)?)?.up()?.forget_leader())
    }

    /// `transfer-leadership from=A to=B`
    pub(crate) fn transfer_leadership(&mut self, directive: &Directive) -> Outcome {
        let to: u64 = directive.option("to")?;
        self.node(to)?;
        let from = self.node(directive.option("from")?)?;
        only_faults(from.up()?.transfer_leader(member(to)?))
    }

    /// `report-unreachable A B`
    pub(crate) fn report_unreachable(&mut self, directive: &Directive) -> Outcome {
        let [on, about] = directive.ids()?[..] else {
            return Err(Failure::told(
                "must specify exactly two node indexes: node on which to report, and reported node",
            ));
        };
        only_faults(self.node(on)?.up()?.report_unreachable(member(about)?))
    }

    /// `report-snapshot A B finished|failed`: an own command.
    pub(crate) fn report_snapshot(&mut self, directive: &Directive) -> Outcome {
        let about = member(directive.number(1)?)?;
        let status = match directive.word(2)? {
            "finished" => SnapshotStatus::Finished,
            "failed" => SnapshotStatus::Failed,
            other => return Err(Failure::broken(format!("what is {other}?"))),
        };
        only_faults(self.node(directive.number(0)?)?.up()?.report_snapshot(about, status))
    }

    /// `read-index ID CONTEXT`: an own command. The answer comes with a Ready.
    pub(crate) fn read_index(&mut self, directive: &Directive) -> Outcome {
        let context = directive.word(1)?.to_owned();
        only_faults(self.node(directive.number(0)?)?.up()?.read_index(context))
    }

    /// `tick-heartbeat ID`
    pub(crate) fn tick_heartbeat(&mut self, directive: &Directive) -> Outcome {
        let ticks = self.node(directive.number(0)?)?.config.heartbeat_interval_ticks;
        self.tick(directive, ticks)
    }

    /// `tick-election ID`
    pub(crate) fn tick_election(&mut self, directive: &Directive) -> Outcome {
        let ticks = self.node(directive.number(0)?)?.config.election_timeout_ticks;
        self.tick(directive, ticks)
    }

    fn tick(&mut self, directive: &Directive, ticks: u32) -> Outcome {
        let node = self.node(directive.number(0)?)?.up()?;
        (0..ticks).try_for_each(|_| only_faults(node.tick()))
    }

    /// `set-randomized-election-timeout ID timeout=T`
    pub(crate) fn set_randomized_election_timeout(&mut self, directive: &Directive) -> Outcome {
        let ticks = directive.option("timeout")?;
        self.node(directive.number(0)?)?.up()?.set_randomized_election_timeout(ticks);
        Ok(())
    }

    /// `send-snapshot A B`: whether A leads or not, and whatever it knows of B.
    pub(crate) fn send_snapshot(&mut self, directive: &Directive) -> Outcome {
        let [from, to] = directive.ids()?[..] else {
            return Err(Failure::broken("send-snapshot takes two nodes"));
        };
        let node = self.node(from)?;
        let term = node.up()?.status().hard_state.term;
        let snapshot = Arc::new(node.disk.newest_snapshot());
        let (from, to) = (member(from)?, member(to)?);
        let parcel = Parcel::from(Message { to, from, term, body: Body::Snapshot(snapshot) });
        self.out.print(&parcel.describe());
        self.queue.push(parcel);
        Ok(())
    }
}
