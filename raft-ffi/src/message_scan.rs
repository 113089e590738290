//! The kind of an encoded message without decoding it: a walk over the keys of its outermost
//! fields, which looks at no entry and allocates nothing.

use raftcore::{DecodeError, MessageKind, Refusal};

/// The kind of the message that these bytes are, if they are one.
pub(crate) fn kind_of(bytes: &[u8]) -> Result<MessageKind, Refusal> {
    let number = scan(bytes).ok_or_else(|| {
        let text = "the fields do not end where the bytes do".to_owned();
        Refusal::Malformed(DecodeError::Invalid(text))
    })?;
    match MessageKind::from_number(number) {
        Some(kind) if kind.is_local() => Err(Refusal::LocalKind(kind)),
        Some(kind) => Ok(kind),
        None => Err(Refusal::Malformed(DecodeError::UnknownMessageKind(number))),
    }
}

/// The value of field 1, the last if there are several, zero if there is none.
fn scan(mut bytes: &[u8]) -> Option<i32> {
    let mut kind = 0;
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        match key & 7 {
            0 => {
                let value = varint(&mut bytes)?;
                if key >> 3 == 1 {
                    // An int32 is what the low half of the number says.
                    kind = value as i32;
                }
            }
            1 => skip(&mut bytes, 8)?,
            2 => {
                let len = varint(&mut bytes)?;
                skip(&mut bytes, len)?;
            }
            5 => skip(&mut bytes, 4)?,
            _ => return None,
        }
    }
    Some(kind)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f).checked_shl(shift).unwrap_or_default();
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn skip(bytes: &mut &[u8], len: u64) -> Option<()> {
    *bytes = bytes.get(usize::try_from(len).ok()?..)?;
    Some(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use raftcore::{Append, Body, Entries, Entry, Index, Message, NodeId, Position, Term, wire};

    use super::*;

    #[test]
    fn it_agrees_with_the_decoder() {
        let data = Bytes::from_static(&[0x08; 300]);
        let entries = Entries::from(vec![Entry { data, ..Entry::default() }; 3]);
        let prev = Position { term: Term(u64::MAX >> 1), index: Index(1) };
        let append = Body::Append(Append { prev, entries, commit: Index(300) });
        for body in [Body::TimeoutNow, Body::Propose(Entries::new()), append] {
            let [to, from] = [1, 2].map(|id| NodeId::new(id).unwrap());
            let message = Message { to, from, term: Term(7), body };
            let bytes = wire::encode(&message);
            assert_eq!(kind_of(&bytes), Ok(message.body.kind()));
            // Cut short it is either what is left of it, or nothing.
            for len in 0..bytes.len() {
                let whole = wire::decode(bytes.slice(..len)).map(|m| m.body.kind());
                if let Ok(kind) = whole {
                    assert_eq!(kind_of(&bytes[..len]), Ok(kind), "{len}");
                }
            }
        }
    }

    #[test]
    fn what_has_no_kind_is_refused() {
        for bytes in [&[0x08][..], &[0xff; 11], &[0x0a, 5], &[0x0b], &[0x08, 99], &[0x08, 1], &[]] {
            assert!(kind_of(bytes).is_err(), "{bytes:x?}");
        }
        // The last one counts, and fields of all sizes are stepped over.
        let bytes = [0x08, 5, 0x79, 0, 0, 0, 0, 0, 0, 0, 0, 0x7d, 0, 0, 0, 0, 0x08, 8];
        assert_eq!(kind_of(&bytes), Ok(MessageKind::Heartbeat));
    }
}
