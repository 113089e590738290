//! Scenario files: stories about a cluster, and what its nodes must answer.
//!
//! A file is a list of directives ([`Script`]), each with the output that is expected of it.
//! [`play`] plays one; [`Folder`] plays all files of a folder. The format and the commands are
//! those of the scenarios that etcd's raft project publishes, so that both libraries can be held
//! to the same files; `tests/scenarios/README.md` lists the commands that are added here.
//!
//! Which commands there are is decided in one place, `Stage::run`; each is defined in the room
//! of its family. The three families (a cluster, the membership changer, the arithmetic of
//! quorums) are told apart by their commands, so that a file can stand in any folder.

mod add_nodes;
mod calls;
mod changer;
mod deliver;
mod diff;
mod directive;
mod env;
mod error;
mod folder;
mod node;
mod output;
mod parser;
mod quorum;
mod ready;
mod show;
mod stabilize;
mod tokens;

use std::panic::{self, AssertUnwindSafe};

pub use diff::unified;
pub use folder::{Folder, Report};
pub use parser::{Arg, Directive, ParseError, Script};

use changer::Changer;
use directive::{Failure, Outcome};
use env::Env;

/// What came of playing a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Played {
    /// What each directive printed, as far as the file was played.
    pub outputs: Vec<String>,
    /// Why the file could not be played to its end: the line, and what happened there.
    pub broken: Option<(usize, String)>,
}

/// Plays a scenario from its beginning. Whether the outputs are those that are expected is for
/// the caller to compare.
#[must_use]
pub fn play(script: &Script) -> Played {
    let mut stage = Stage::default();
    play_with(script, |directive| stage.run(directive))
}

/// Plays until a directive cannot be played, or panics.
fn play_with(script: &Script, mut run: impl FnMut(&Directive) -> Result<String, String>) -> Played {
    let mut outputs = Vec::new();
    for directive in script.directives() {
        // What a panic leaves behind is not looked at again.
        let problem = match panic::catch_unwind(AssertUnwindSafe(|| run(directive))) {
            Ok(Ok(output)) => {
                outputs.push(output);
                continue;
            }
            Ok(Err(problem)) => problem,
            Err(panic) => format!("panic: {}", panic_text(panic.as_ref())),
        };
        return Played { outputs, broken: Some((directive.line, problem)) };
    }
    Played { outputs, broken: None }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)")
}

/// What a file plays on.
#[derive(Default)]
struct Stage {
    env: Env,
    changer: Changer,
}

impl Stage {
    /// Runs a directive and returns its output, or what makes it impossible.
    fn run(&mut self, directive: &Directive) -> Result<String, String> {
        let result = match directive.command.as_str() {
            "committed" | "vote" => quorum::play(directive),
            "simple" | "enter-joint" | "leave-joint" => self.changer.play(directive),
            _ => match self.run_on_cluster(directive) {
                Ok(()) => Ok(self.env.out.finish(None)),
                Err(Failure::Told(error)) => Ok(self.env.out.finish(Some(&error))),
                Err(broken) => Err(broken),
            },
        };
        result.map_err(|failure| match failure {
            Failure::Told(problem) | Failure::Broken(problem) => problem,
        })
    }

    fn run_on_cluster(&mut self, directive: &Directive) -> Outcome {
        let env = &mut self.env;
        match directive.command.as_str() {
            "_breakpoint" => Ok(()),
            "add-nodes" => env.add_nodes(directive),
            "campaign" => env.campaign(directive),
            "compact" => env.compact(directive),
            "crash" => env.crash(directive),
            "deliver-msgs" => env.deliver_msgs(directive),
            "forget-leader" => env.forget_leader(directive),
            "log-level" => env.log_level(directive),
            "membership" => env.membership(directive),
            "process-append-thread" => env.process_append_threads(directive),
            "process-apply-thread" => env.process_apply_threads(directive),
            "process-ready" => env.process_readies(directive),
            "propose" => env.propose(directive),
            "propose-conf-change" => env.propose_conf_change(directive),
            "raft-log" => env.raft_log(directive),
            "raft-state" => env.raft_state(),
            "read-index" => env.read_index(directive),
            "report-snapshot" => env.report_snapshot(directive),
            "report-unreachable" => env.report_unreachable(directive),
            "restart" => env.restart(directive),
            "send-snapshot" => env.send_snapshot(directive),
            "set-randomized-election-timeout" => env.set_randomized_election_timeout(directive),
            "stabilize" => env.stabilize(directive),
            "status" => env.status(directive),
            "tick-election" => env.tick_election(directive),
            "tick-heartbeat" => env.tick_heartbeat(directive),
            "transfer-leadership" => env.transfer_leadership(directive),
            _ => Err(Failure::told("unknown command")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(text: &str) -> Played {
        play(&Script::parse(text).unwrap())
    }

    #[test]
    fn families_are_told_apart_by_their_commands() {
        let text = "simple\nv1\n----\n\nvote\n----\n\nadd-nodes 1\n----\n\nraft-log 1\n----\n";
        let expected = [
            "voters=(1)\n1: StateProbe match=0 next=1\n",
            "VoteWon\n",
            "ok\n",
            "log is empty: first index=1, last index=0\n",
        ];
        assert_eq!(
            played(text),
            Played { outputs: expected.map(str::to_owned).into(), broken: None }
        );
    }

    #[test]
    fn what_cannot_be_played_stops_the_file_at_its_line() {
        let played = played("add-nodes 1\n----\n\ncampaign 2\n----\n\nraft-state\n----\n");
        assert_eq!(played.outputs, ["ok\n"]);
        assert_eq!(played.broken, Some((4, "there is no node 2".to_owned())));
    }

    #[test]
    fn a_panic_ends_the_file_and_nothing_else() {
        let script = Script::parse("one\n----\n\ntwo\n----\n\nthree\n----\n").unwrap();
        let played = play_with(&script, |directive| match directive.command.as_str() {
            "two" => panic!("at {}", directive.command),
            _ => Ok("ok\n".to_owned()),
        });
        assert_eq!(played.outputs, ["ok\n"]);
        assert_eq!(played.broken, Some((4, "panic: at two".to_owned())));
    }

    #[test]
    fn errors_of_the_story_are_outputs_even_in_silence() {
        let text = "unheard-of\n----\n\nlog-level none\n----\n\nadd-nodes 1\n----\n\n\
                    raft-state\n----\n\npropose 1 x\n----\n\nlog-level loud\n----\n";
        let expected = [
            "unknown command\n",
            "ok\n",
            "ok\n",
            "ok\n",
            "raft proposal dropped\n",
            "log levels must be either of [DEBUG INFO WARN ERROR FATAL NONE]\n",
        ];
        assert_eq!(played(text).outputs, expected);
    }
}
