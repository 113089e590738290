//! How fields are written: see [`super::fields`] for the rules.

/// Where the short fields of a message go.
pub(super) trait Put {
    fn byte(&mut self, byte: u8);

    /// Seven bits a byte, the lowest first; all but the last have the highest bit set.
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.byte(number as u8 | 0x80);
            number = number.wrapping_shr(7);
        }
        self.byte(number as u8);
    }

    /// A numeric field, zero or not.
    fn field(&mut self, tag: u8, number: u64) {
        self.byte(tag.wrapping_shl(3));
        self.varint(number);
    }

    /// A numeric field; zero is the same as absent.
    #[inline]
    fn number(&mut self, tag: u8, number: u64) {
        if number != 0 {
            self.field(tag, number);
        }
    }

    /// What precedes bytes or a nested message of this length.
    fn header(&mut self, tag: u8, len: usize) {
        self.byte(tag.wrapping_shl(3) | 2);
        self.varint(len as u64);
    }

    /// The same; no bytes are the same as absent.
    #[inline]
    fn data_header(&mut self, tag: u8, len: usize) {
        if len != 0 {
            self.header(tag, len);
        }
    }
}

impl Put for Vec<u8> {
    fn byte(&mut self, byte: u8) {
        self.push(byte);
    }
}

/// Short fields one after the other: on the stack, on their way to a buffer, or at their place.
pub(super) struct Short<'a, const ROOM: usize> {
    room: &'a mut [u8; ROOM],
    len: usize,
}

impl<'a, const ROOM: usize> Short<'a, ROOM> {
    #[inline]
    pub(super) const fn new(room: &'a mut [u8; ROOM]) -> Self {
        Self { room, len: 0 }
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        self.room.get(..self.len).unwrap_or_default()
    }

    #[inline]
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The first bytes of a word. What is behind them is overwritten by what comes next.
    #[inline]
    pub(super) fn word(&mut self, word: u64, len: usize) {
        put_word(self.room, self.len, word);
        self.len = self.len.wrapping_add(len);
    }

    /// A key and a number, nearly always in one word.
    #[inline]
    fn pair(&mut self, key: u8, number: u64) {
        let byte = |at: u32| number.wrapping_shr(at.wrapping_mul(7)) & 0x7f;
        let key = u64::from(key);
        if number < 1 << 7 {
            self.word(key | byte(0) << 8, 2);
        } else if number < 1 << 14 {
            self.word(key | byte(0) << 8 | byte(1) << 16 | 0x8000, 3);
        } else if number < 1 << 21 {
            self.word(key | byte(0) << 8 | byte(1) << 16 | byte(2) << 24 | 0x80_8000, 4);
        } else {
            self.len = put_long_pair(self.room, self.len, key, number);
        }
    }
}

impl<const ROOM: usize> Put for Short<'_, ROOM> {
    #[inline]
    fn byte(&mut self, byte: u8) {
        self.word(byte.into(), 1);
    }

    #[inline]
    fn field(&mut self, tag: u8, number: u64) {
        self.pair(tag.wrapping_shl(3), number);
    }

    #[inline]
    fn header(&mut self, tag: u8, len: usize) {
        self.pair(tag.wrapping_shl(3) | 2, len as u64);
    }
}

#[inline]
fn put_word<const ROOM: usize>(room: &mut [u8; ROOM], at: usize, word: u64) {
    let room = room.get_mut(at..).and_then(<[u8]>::first_chunk_mut);
    debug_assert!(room.is_some(), "more than what is short");
    if let Some(room) = room {
        *room = word.to_le_bytes();
    }
}

/// Out of line, and without the address of a [`Short`], whose length so stays in a register.
#[cold]
#[inline(never)]
fn put_long_pair<const ROOM: usize>(
    room: &mut [u8; ROOM],
    mut at: usize,
    key: u64,
    mut number: u64,
) -> usize {
    put_word(room, at, key);
    at = at.wrapping_add(1);
    while number >= 0x80 {
        put_word(room, at, number & 0x7f | 0x80);
        number = number.wrapping_shr(7);
        at = at.wrapping_add(1);
    }
    put_word(room, at, number);
    at.wrapping_add(1)
}
