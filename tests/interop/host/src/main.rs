//! Hosts any number of raftcore nodes for a program in another language: commands come in on
//! stdin, answers go out on stdout, one answer for each command, in order.
//!
//! The frames are described in `tests/interop/README.md`. The host decides nothing: the network,
//! the clock, the disk and the state machine are the other program's. It only keeps what a node
//! needs to read back of its own log ([`member`]), and applies membership changes.
#![forbid(unsafe_code)]

mod frame;
mod member;
mod reencode;

use std::collections::BTreeMap;
use std::io::{self, BufReader, BufWriter, Read, Write};

use bytes::Bytes;

use crate::frame::{Failure, Input, Output};
use crate::member::Member;

/// The nodes by the handle that the other side gave them.
type Members = BTreeMap<u64, Member>;

/// The commands by their number.
mod op {
    pub(crate) const CREATE: u8 = 1;
    pub(crate) const DROP: u8 = 2;
    pub(crate) const REENCODE: u8 = 3;
    pub(crate) const RESET: u8 = 4;
    /// From here on commands are for a node, and `member` knows them.
    pub(crate) const FIRST_FOR_A_MEMBER: u8 = 10;
}

fn main() -> io::Result<()> {
    let mut input = BufReader::with_capacity(1 << 16, io::stdin().lock());
    let mut output = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let mut members = Members::new();
    while let Some(command) = read_frame(&mut input, &mut output)? {
        let answer = answer(&mut members, Input::new(command));
        let length = u32::try_from(answer.len()).map_err(io::Error::other)?;
        output.write_all(&length.to_le_bytes())?;
        output.write_all(&answer)?;
    }
    output.flush()
}

/// The next command, or `None` at the end of the input. Answers are held back only while the next
/// command is here already.
fn read_frame(
    input: &mut BufReader<impl Read>,
    output: &mut impl Write,
) -> io::Result<Option<Bytes>> {
    if input.buffer().is_empty() {
        output.flush()?;
    }
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        result => result?,
    }
    let mut frame = vec![0; u32::from_le_bytes(length) as usize];
    input.read_exact(&mut frame)?;
    Ok(Some(frame.into()))
}

/// An answer: a code, whether the node has a Ready now, and the result or the reason why not.
fn answer(members: &mut Members, input: Input) -> Vec<u8> {
    let mut input = input;
    let mut result = Output::default();
    let (code, has_ready) = match run(members, &mut input, &mut result) {
        Ok(has_ready) => (0, has_ready),
        Err((failure, has_ready)) => {
            result = Output::default();
            result.text(&failure.to_string());
            (failure.code(), has_ready)
        }
    };
    let mut answer = vec![code, has_ready.into()];
    answer.extend(result.into_bytes());
    answer
}

/// Carries out one command. Both outcomes say whether the node has a Ready.
fn run(
    members: &mut Members,
    input: &mut Input,
    output: &mut Output,
) -> Result<bool, (Failure, bool)> {
    let outside = |failure| (failure, false);
    let code = input.u8().map_err(outside)?;
    let handle = input.u64().map_err(outside)?;
    match code {
        op::CREATE => {
            let member = Member::create(input).map_err(outside)?;
            let has_ready = member.has_ready();
            members.insert(handle, member);
            Ok(has_ready)
        }
        op::DROP => {
            members.remove(&handle);
            Ok(false)
        }
        op::RESET => {
            members.clear();
            Ok(false)
        }
        op::REENCODE => reencode::run(input, output).map(|()| false).map_err(outside),
        op::FIRST_FOR_A_MEMBER.. => {
            let member = members.get_mut(&handle).ok_or((Failure::NoSuchNode(handle), false))?;
            let result = member.run(code, input, output);
            let has_ready = member.has_ready();
            result.map(|()| has_ready).map_err(|failure| (failure, has_ready))
        }
        _ => Err(outside(Failure::NoSuchCommand(code))),
    }
}
