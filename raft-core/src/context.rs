//! What is handed along with a read or a heartbeat and comes back unchanged.
//!
//! Nearly always it is a number or two, and goes through four messages and as many queues: a block
//! on the heap would cost more than the rest of it, and a count of who shares it more yet.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use bytes::{Bytes, BytesMut};

/// Bytes by which somebody recognises an answer. Up to [`IN_PLACE_MAX`](Self::IN_PLACE_MAX) of
/// them are kept in place and cost no allocation; longer ones are shared, as [`Bytes`] are.
///
/// Everything that makes `Bytes` makes a `Context`, and so do arrays and borrowed bytes:
///
/// ```
/// # use raftcore::Context;
/// let context = Context::from(7u64.to_le_bytes());
/// assert_eq!(context, 7u64.to_le_bytes());
/// assert_eq!(bytes::Bytes::from(context), 7u64.to_le_bytes().as_slice());
/// ```
#[derive(Clone)]
pub struct Context(Form);

#[derive(Clone)]
enum Form {
    Short(ShortContext),
    /// Longer than would fit in place.
    Long(Bytes),
}

/// A few bytes. Their number takes a whole word, as the halves of a number and a lease do: what is
/// written in smaller pieces, and copied right after, waits until each has reached the cache.
#[derive(Clone, Copy)]
pub(crate) struct ShortContext {
    bytes: [u8; Context::IN_PLACE_MAX],
    len: usize,
}

impl ShortContext {
    pub(crate) const EMPTY: Self = Self { bytes: [0; Context::IN_PLACE_MAX], len: 0 };

    /// These, of which it is known that they fit.
    #[inline(always)]
    pub(crate) fn of<const N: usize>(bytes: [u8; N]) -> Self {
        const { assert!(N <= Context::IN_PLACE_MAX) };
        let mut short = Self { len: N, ..Self::EMPTY };
        if let Some(start) = short.bytes.first_chunk_mut() {
            *start = bytes;
        }
        short
    }
}

impl Context {
    /// So many bytes fit in place. A context takes the room of `Bytes`, whichever it holds.
    pub const IN_PLACE_MAX: usize = 16;

    /// No bytes.
    #[must_use]
    pub const fn new() -> Self {
        Self(Form::Short(ShortContext::EMPTY))
    }

    /// How many bytes it has, and the two numbers that they are, unless they are too many for that:
    /// zeros follow.
    #[inline(always)]
    pub(crate) fn numbers(&self) -> Option<(usize, [u64; 2])> {
        let Form::Short(ShortContext { bytes, len }) = self.0 else { return None };
        let both = u128::from_le_bytes(bytes);
        Some((len, [both as u64, (both >> 64) as u64]))
    }

    /// A copy of these bytes in place, if they fit.
    #[inline]
    fn in_place(bytes: &[u8]) -> Option<Self> {
        if let Ok(number) = <[u8; 8]>::try_from(bytes) {
            // Mostly it is a number: one word to write.
            return Some(ShortContext::of(number).into());
        }
        let mut short = ShortContext { len: bytes.len(), ..ShortContext::EMPTY };
        short.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(short.into())
    }
}

impl Default for Context {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Context {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Form::Short(short) => short.bytes.get(..short.len).unwrap_or_default(),
            Form::Long(bytes) => bytes,
        }
    }
}

/// So a map with contexts for keys can be asked for bytes.
impl Borrow<[u8]> for Context {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl AsRef<[u8]> for Context {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl<T: AsRef<[u8]> + ?Sized> PartialEq<T> for Context {
    fn eq(&self, other: &T) -> bool {
        **self == *other.as_ref()
    }
}

impl Eq for Context {}

impl PartialOrd for Context {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Context {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl Hash for Context {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.escape_ascii())
    }
}

impl From<ShortContext> for Context {
    #[inline(always)]
    fn from(short: ShortContext) -> Self {
        Self(Form::Short(short))
    }
}

impl From<&[u8]> for Context {
    #[inline]
    fn from(bytes: &[u8]) -> Self {
        Self::in_place(bytes).unwrap_or_else(|| Self(Form::Long(Bytes::copy_from_slice(bytes))))
    }
}

impl<const N: usize> From<[u8; N]> for Context {
    #[inline]
    fn from(bytes: [u8; N]) -> Self {
        bytes.as_slice().into()
    }
}

impl<const N: usize> From<&[u8; N]> for Context {
    #[inline]
    fn from(bytes: &[u8; N]) -> Self {
        bytes.as_slice().into()
    }
}

impl From<&str> for Context {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

/// What is kept as it is when it does not fit in place.
macro_rules! from_owned {
    ($($owned:ty)*) => {$(
        impl From<$owned> for Context {
            #[inline]
            fn from(owned: $owned) -> Self {
                let bytes: &[u8] = owned.as_ref();
                Self::in_place(bytes).unwrap_or_else(|| Self(Form::Long(owned.into())))
            }
        }
    )*};
}

from_owned!(Bytes BytesMut Vec<u8> Box<[u8]> String);

impl From<Context> for Bytes {
    fn from(context: Context) -> Self {
        match context.0 {
            Form::Short(_) => Self::copy_from_slice(&context),
            Form::Long(bytes) => bytes,
        }
    }
}
