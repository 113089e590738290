//! Protobuf's own rules, of which the rest of this room makes messages: a key before each field,
//! numbers in groups of seven bits, lengths before what is nested, and fields that nobody knows.
//!
//! Like any reader of protobuf it takes numbers that are longer than they need be, fields in any
//! order, the last of those that may come once, packed numbers and single ones.

use std::fmt;

use crate::error::{DecodeError, Refusal};

/// How deep groups may nest, counted from the outermost message: nothing here uses groups, but
/// whoever skips one has to find its end.
const NESTING: u32 = 100;

/// The key of a numeric field.
pub(super) const fn number(tag: u32) -> u32 {
    tag.wrapping_shl(3)
}

/// The key of a field with a length: bytes, a nested message, packed numbers.
pub(super) const fn block(tag: u32) -> u32 {
    number(tag) | BLOCK
}

const NUMBER: u32 = 0;
const EIGHT_BYTES: u32 = 1;
const BLOCK: u32 = 2;
const GROUP: u32 = 3;
const END_OF_GROUP: u32 = 4;
const FOUR_BYTES: u32 = 5;

/// Why bytes are no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flaw {
    CutShort,
    LongNumber,
    BadKey,
    WrongType(u32),
    LooseEnd(u32),
    TooDeep,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutShort => write!(f, "a field reaches beyond the end"),
            Self::LongNumber => write!(f, "a number of more than 64 bits"),
            Self::BadKey => write!(f, "a key that no field can have"),
            Self::WrongType(tag) => write!(f, "field {tag} has another type"),
            Self::LooseEnd(tag) => write!(f, "group {tag} ends and never began"),
            Self::TooDeep => write!(f, "groups are nested more than {NESTING} deep"),
        }
    }
}

impl From<Flaw> for DecodeError {
    #[cold]
    fn from(flaw: Flaw) -> Self {
        Self::Invalid(flaw.to_string())
    }
}

impl From<Flaw> for Refusal {
    fn from(flaw: Flaw) -> Self {
        Self::Malformed(flaw.into())
    }
}

/// Takes fields off the front of bytes.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) const fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The key of the next field: its number and, in three bits, its type. None at the end.
    #[inline]
    pub(super) fn key(&mut self) -> Result<Option<u32>, Flaw> {
        match self.rest {
            [] => Ok(None),
            // Keys of one byte: fields 1 to 15 of a type that exists.
            &[key @ 8..0x80, ref rest @ ..] if key & 7 <= 5 => {
                self.rest = rest;
                Ok(Some(u32::from(key)))
            }
            _ => {
                let (key, rest) = self.long_key()?;
                *self = rest;
                Ok(Some(key))
            }
        }
    }

    #[cold]
    fn long_key(mut self) -> Result<(u32, Self), Flaw> {
        let key = self.number()?;
        match u32::try_from(key) {
            Ok(short) if short >= number(1) && short & 7 <= FOUR_BYTES => Ok((short, self)),
            _ => Err(Flaw::BadKey),
        }
    }

    /// Steps over this key, which is of one byte, if it is next.
    #[inline]
    fn expect(&mut self, key: u32) -> bool {
        match self.rest {
            [first, rest @ ..] if u32::from(*first) == key => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Takes this field if it is next.
    #[inline]
    pub(super) fn expect_number(&mut self, key: u32, into: &mut u64) -> Result<(), Flaw> {
        if self.expect(key) {
            *into = self.number()?;
        }
        Ok(())
    }

    /// Takes this field if it is next.
    #[inline]
    pub(super) fn expect_block(&mut self, key: u32) -> Result<Option<&'a [u8]>, Flaw> {
        if self.expect(key) { self.block().map(Some) } else { Ok(None) }
    }

    /// Takes fields 1 to 4 at once if they are next, and numbers of one byte each.
    #[inline]
    pub(super) fn expect_four_numbers(&mut self) -> Option<[u64; 4]> {
        let (first, rest) = self.rest.split_first_chunk()?;
        let word = u64::from_le_bytes(*first);
        if word & 0x80ff_80ff_80ff_80ff != 0x0020_0018_0010_0008 {
            return None;
        }
        self.rest = rest;
        Some([8, 24, 40, 56].map(|shift| word.wrapping_shr(shift) & 0x7f))
    }

    /// A number: seven bits a byte, the lowest first.
    #[inline]
    pub(super) fn number(&mut self) -> Result<u64, Flaw> {
        let low = |byte: u8, shift| u64::from(byte & 0x7f).wrapping_shl(shift);
        let (number, rest) = match *self.rest {
            [a @ 0..0x80, ref rest @ ..] => (u64::from(a), rest),
            [a, b @ 0..0x80, ref rest @ ..] => (low(a, 0) | low(b, 7), rest),
            [a, b, c @ 0..0x80, ref rest @ ..] => (low(a, 0) | low(b, 7) | low(c, 14), rest),
            [a, b, c, d @ 0..0x80, ref rest @ ..] => {
                (low(a, 0) | low(b, 7) | low(c, 14) | low(d, 21), rest)
            }
            _ => self.long_number()?,
        };
        self.rest = rest;
        Ok(number)
    }

    /// A number of more than four bytes, and what follows it. Takes no reference to `self`: so
    /// that stays in registers where it is read from.
    #[cold]
    #[inline(never)]
    fn long_number(self) -> Result<(u64, &'a [u8]), Flaw> {
        let (mut value, mut shift) = (0u64, 0u32);
        let mut rest = self.rest;
        while let [byte, ref behind @ ..] = *rest {
            // The tenth byte holds the last bit of 64.
            if shift == 63 && byte > 1 {
                return Err(Flaw::LongNumber);
            }
            value |= u64::from(byte & 0x7f).wrapping_shl(shift);
            if byte < 0x80 {
                return Ok((value, behind));
            }
            rest = behind;
            shift = shift.wrapping_add(7);
        }
        Err(Flaw::CutShort)
    }

    /// The number of an enum: whatever is above 32 bits is not looked at.
    #[inline]
    pub(super) fn int32(&mut self) -> Result<i32, Flaw> {
        self.number().map(|number| number as i32)
    }

    #[inline]
    pub(super) fn bool(&mut self) -> Result<bool, Flaw> {
        self.number().map(|number| number != 0)
    }

    /// What a length announces.
    #[inline]
    pub(super) fn block(&mut self) -> Result<&'a [u8], Flaw> {
        let len = self.number()?;
        self.take(len)
    }

    #[inline]
    fn take(&mut self, len: u64) -> Result<&'a [u8], Flaw> {
        // On 32 bits a length may be more than any address: then it is too long as well.
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Flaw::CutShort)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The numbers of a repeated field: one, or a packed block of them.
    pub(super) fn numbers(&mut self, key: u32, into: &mut Vec<u64>) -> Result<(), Flaw> {
        match key & 7 {
            NUMBER => into.push(self.number()?),
            BLOCK => {
                let mut packed = Self::of(self.block()?);
                while !packed.rest.is_empty() {
                    into.push(packed.number()?);
                }
            }
            _ => return Err(Flaw::WrongType(key.wrapping_shr(3))),
        }
        Ok(())
    }

    /// Steps over a field that the message, so many levels below the outermost, does not know;
    /// it knows all up to the number `last`, and then it is the type that it does not know.
    #[cold]
    pub(super) fn skip(&mut self, key: u32, last: u32, level: u32) -> Result<(), Flaw> {
        let tag = key.wrapping_shr(3);
        if tag <= last {
            return Err(Flaw::WrongType(tag));
        }
        self.skip_any(key, NESTING.saturating_sub(level))
    }

    fn skip_any(&mut self, key: u32, nesting: u32) -> Result<(), Flaw> {
        let inner = nesting.checked_sub(1).ok_or(Flaw::TooDeep)?;
        let tag = key.wrapping_shr(3);
        match key & 7 {
            NUMBER => self.number().map(drop),
            EIGHT_BYTES => self.take(8).map(drop),
            FOUR_BYTES => self.take(4).map(drop),
            BLOCK => self.block().map(drop),
            GROUP => loop {
                let key = self.key()?.ok_or(Flaw::CutShort)?;
                if key & 7 != END_OF_GROUP {
                    self.skip_any(key, inner)?;
                } else if key.wrapping_shr(3) == tag {
                    return Ok(());
                } else {
                    return Err(Flaw::LooseEnd(key.wrapping_shr(3)));
                }
            },
            _ => Err(Flaw::LooseEnd(tag)),
        }
    }
}
