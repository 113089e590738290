//! Bytes of another implementation, decoded and encoded again: what comes out must mean the same.

use raftcore::{AnyConfChange, Entry, EntryKind, wire};

use crate::frame::{Failure, Input, Output};

/// What the bytes are, by number.
mod form {
    pub(crate) const MESSAGE: u8 = 0;
    pub(crate) const ENTRY: u8 = 1;
    pub(crate) const CONF_CHANGE: u8 = 2;
    pub(crate) const CONF_CHANGE_V2: u8 = 3;
    pub(crate) const SNAPSHOT: u8 = 4;
    pub(crate) const HARD_STATE: u8 = 5;
    pub(crate) const CONF_STATE: u8 = 6;
}

pub(crate) fn run(input: &mut Input, output: &mut Output) -> Result<(), Failure> {
    let form = input.u8()?;
    let bytes = input.bytes()?;
    let again = match form {
        form::MESSAGE => {
            let message = wire::decode(bytes).map_err(raftcore::Error::from)?;
            wire::encode(&message)
        }
        form::ENTRY => wire::encode_entry(&wire::decode_entry(bytes)?),
        form::CONF_CHANGE => {
            wire::encode_conf_change(&conf_change(EntryKind::ConfChange, bytes)?).1
        }
        form::CONF_CHANGE_V2 => {
            wire::encode_conf_change(&conf_change(EntryKind::ConfChangeV2, bytes)?).1
        }
        form::SNAPSHOT => wire::encode_snapshot(&wire::decode_snapshot(bytes)?),
        form::HARD_STATE => wire::encode_hard_state(&wire::decode_hard_state(bytes)?),
        form::CONF_STATE => wire::encode_conf_state(&wire::decode_conf_state(bytes)?),
        _ => return Err(Failure::Impossible("no such form")),
    };
    output.bytes(&again);
    Ok(())
}

/// A membership change from the data of an entry of this kind.
pub(crate) fn conf_change(kind: EntryKind, data: bytes::Bytes) -> Result<AnyConfChange, Failure> {
    let entry = Entry { kind, data, ..Entry::default() };
    wire::decode_conf_change(&entry)?.ok_or(Failure::Impossible("not a membership change"))
}
