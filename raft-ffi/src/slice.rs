//! Bytes.

#![allow(non_camel_case_types, reason = "the names are those of the C header")]

use std::borrow::Cow;
use std::ffi::c_void;
use std::ptr;

use bytes::{Bytes, BytesMut};

use crate::error::Failure;
use crate::status::{RAFTCORE_ERR_MISUSE, RAFTCORE_ERR_STRUCT_SIZE, RAFTCORE_ERR_TOO_LARGE};

/// Bytes that belong to somebody else. The pair (NULL, 0) is an empty slice. Never grows.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct raftcore_slice {
    /// The first byte; may be NULL when len is 0.
    pub data: *const u8,
    /// How many bytes.
    pub len: usize,
}

/// Numbers that belong to somebody else: ids of members. Never grows.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct raftcore_ids {
    /// The first; may be NULL when count is 0.
    pub items: *const u64,
    /// How many.
    pub count: usize,
}

/// Bytes that the library made for the caller, who owns them and frees them with
/// raftcore_buffer_free. A zero byte follows them that len does not count, so that text can be
/// read as a C string. Never grows.
#[repr(C)]
pub struct raftcore_buffer {
    /// The first byte. Not NULL in a buffer that a call filled.
    pub data: *const u8,
    /// How many bytes.
    pub len: usize,
    /// The library's own.
    pub owner: *mut c_void,
}

/// Frees what a call put into a buffer, and empties it. NULL and an empty buffer are allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_buffer_free(buffer: *mut raftcore_buffer) {
    guard!(else (), {
        if !buffer.is_null() {
            // SAFETY: a buffer of the caller's, filled by `Buffer::write` or zero.
            unsafe {
                let owner = (*buffer).owner.cast::<Vec<u8>>();
                buffer.write(raftcore_buffer::EMPTY);
                if !owner.is_null() {
                    drop(Box::from_raw(owner));
                }
            }
        }
    });
}

impl raftcore_slice {
    pub(crate) const EMPTY: Self = Self { data: ptr::null(), len: 0 };

    /// A view of bytes that somebody else keeps alive.
    pub(crate) const fn of(bytes: &[u8]) -> Self {
        if bytes.is_empty() { Self::EMPTY } else { Self { data: bytes.as_ptr(), len: bytes.len() } }
    }
}

impl raftcore_ids {
    /// A view of ids that somebody else keeps alive.
    pub(crate) const fn of(ids: &[u64]) -> Self {
        Self { items: if ids.is_empty() { ptr::null() } else { ids.as_ptr() }, count: ids.len() }
    }
}

impl raftcore_buffer {
    const EMPTY: Self = Self { data: ptr::null(), len: 0, owner: ptr::null_mut() };

    /// A buffer with these bytes and a NUL behind them.
    pub(crate) fn owning(bytes: impl Into<Vec<u8>>) -> Self {
        let mut bytes: Vec<u8> = bytes.into();
        let len = bytes.len();
        bytes.push(0);
        let bytes = Box::new(bytes);
        Self { data: bytes.as_ptr(), len, owner: Box::into_raw(bytes).cast() }
    }
}

/// So many bytes are not copied before it is known that there is memory for them: without it the
/// process would end.
const LARGE: usize = 1 << 30;

/// Whether there is memory for a copy of so many bytes.
#[cold]
fn find_room(bytes: usize, name: &str) -> Result<(), Failure> {
    let no_room = |_| {
        let text = format!("{name}: there is no memory for {bytes} bytes");
        Failure::new(RAFTCORE_ERR_TOO_LARGE, text)
    };
    Vec::<u8>::new().try_reserve_exact(bytes).map_err(no_room)
}

/// An array of a program's.
///
/// # Safety
/// `(NULL, 0)`, or `items` points to `count` valid elements that stay as they are for `'a`.
pub(crate) unsafe fn array<'a, T>(
    items: *const T,
    count: usize,
    name: &str,
) -> Result<&'a [T], Failure> {
    if count == 0 {
        return Ok(&[]);
    }
    if items.is_null() {
        return Err(Failure::null(name));
    }
    if count > LARGE / size_of::<T>().max(1) {
        find_room(count.saturating_mul(size_of::<T>()), name)?;
    }
    // SAFETY: not NULL, not larger than memory, and the rest as promised by the caller.
    Ok(unsafe { std::slice::from_raw_parts(items, count) })
}

/// What stands in arrays that carry their stride, and may grow at its end.
///
/// # Safety
/// `repr(C)`, valid for any bytes in its fields.
pub(crate) unsafe trait Element: Copy {
    /// The name in the header.
    const NAME: &'static str;
    /// What an older program does not say.
    const EMPTY: Self;
    /// The size in the first release. When a field is added, this becomes its offset.
    const FIRST_SIZE: usize = size_of::<Self>();
}

/// An array of a program's whose elements may be shorter or longer than this library knows them.
///
/// # Safety
/// `(NULL, 0)`, or `items` points to `count` valid elements, `stride` bytes apart, that stay as
/// they are for `'a`.
pub(crate) unsafe fn strided<'a, T: Element>(
    items: *const T,
    count: usize,
    stride: usize,
    name: &str,
) -> Result<Cow<'a, [T]>, Failure> {
    if count == 0 {
        return Ok(Cow::Borrowed(&[]));
    }
    if stride < T::FIRST_SIZE || !stride.is_multiple_of(align_of::<T>()) {
        let text = format!("{name}->stride is {stride}: set it to sizeof({})", T::NAME);
        return Err(Failure::new(RAFTCORE_ERR_STRUCT_SIZE, text));
    }
    if stride == size_of::<T>() {
        // SAFETY: as promised by the caller.
        return unsafe { array(items, count, name) }.map(Cow::Borrowed);
    }
    // SAFETY: as promised by the caller; the bytes are not read here.
    let bytes = unsafe { array(items.cast::<u8>(), count.saturating_mul(stride), name) }?;
    let known = stride.min(size_of::<T>());
    let element = |at: usize| {
        let mut element = T::EMPTY;
        // SAFETY: `at` is below the count, and both sides have `known` bytes.
        unsafe {
            let from = bytes.as_ptr().add(at.saturating_mul(stride));
            (&raw mut element).cast::<u8>().copy_from_nonoverlapping(from, known);
        }
        element
    };
    Ok((0..count).map(element).collect())
}

/// Bytes of a program's, copied.
///
/// # Safety
/// As for [`array`].
pub(crate) unsafe fn copy(data: *const c_void, len: usize, name: &str) -> Result<Bytes, Failure> {
    // SAFETY: as promised by the caller.
    unsafe { array(data.cast::<u8>(), len, name) }.map(Bytes::copy_from_slice)
}

/// The bytes of a slice of a program's, copied.
///
/// # Safety
/// As for [`array`].
pub(crate) unsafe fn copy_slice(slice: raftcore_slice, name: &str) -> Result<Bytes, Failure> {
    // SAFETY: as promised by the caller.
    unsafe { copy(slice.data.cast(), slice.len, name) }
}

/// Many slices of a program's, copied into one block of memory that they share.
///
/// # Safety
/// As for [`array`], for the array and for each slice in it.
pub(crate) unsafe fn copy_many(
    slices: *const raftcore_slice,
    count: usize,
    name: &str,
) -> Result<Vec<Bytes>, Failure> {
    // SAFETY: as promised by the caller.
    let (slices, mut block) = unsafe {
        let slices = array(slices, count, name)?;
        (slices, gather(slices.iter().copied(), name)?)
    };
    Ok(cut(&mut block, slices.iter().map(|slice| slice.len)).collect())
}

/// Cuts a block into pieces of these lengths, whose sum is its own, each when it is asked for. A
/// `BytesMut`, because a clone of a `Bytes` costs a call through a table. It stays where it is: it
/// was just written in words, and a copy would wait for them.
#[inline]
pub(crate) fn cut(
    block: &mut BytesMut,
    lengths: impl ExactSizeIterator<Item = usize>,
) -> impl ExactSizeIterator<Item = Bytes> {
    lengths.map(|length| block.split_to(length).freeze())
}

/// Many slices of a program's, copied into one block of memory, one behind the other.
///
/// # Safety
/// As for [`array`], for each slice.
pub(crate) unsafe fn gather(
    slices: impl Iterator<Item = raftcore_slice> + Clone,
    name: &str,
) -> Result<BytesMut, Failure> {
    // SAFETY: as promised by the caller.
    unsafe { gather_into(slices, name, BytesMut::with_capacity) }
}

/// As [`gather`], into memory that `take` has: an empty buffer with room for so many bytes.
///
/// # Safety
/// As for [`array`], for each slice.
#[inline]
pub(crate) unsafe fn gather_into(
    slices: impl Iterator<Item = raftcore_slice> + Clone,
    name: &str,
    take: impl FnOnce(usize) -> BytesMut,
) -> Result<BytesMut, Failure> {
    let mut total = 0usize;
    for slice in slices.clone() {
        if slice.data.is_null() || slice.len > isize::MAX as usize {
            check(slice, name)?;
        }
        // Two lengths that memory can hold do not wrap.
        total += slice.len;
        if total > LARGE {
            find_room(total, name)?;
        }
    }
    let mut block = take(total);
    let mut end = block.as_mut_ptr();
    for slice in slices.filter(|slice| slice.len > 0) {
        // SAFETY: checked above, and the room for all of them is there.
        unsafe {
            end.copy_from_nonoverlapping(slice.data, slice.len);
            end = end.add(slice.len);
        }
    }
    // SAFETY: as many were copied.
    unsafe { block.set_len(total) };
    Ok(block)
}

/// Whether a slice that most are not like is one at all.
#[cold]
fn check(slice: raftcore_slice, name: &str) -> Result<(), Failure> {
    // SAFETY: the bytes are not read.
    unsafe { array(slice.data, slice.len, name) }.map(drop)
}

/// Pieces of a program's that lie one behind the other.
pub(crate) struct Packed<'a> {
    bytes: &'a [u8],
    lengths: &'a [u64],
}

impl Packed<'_> {
    /// A copy, in memory that `take` has: an empty buffer with room for so many bytes.
    pub(crate) fn gather_into(&self, take: impl FnOnce(usize) -> BytesMut) -> BytesMut {
        let mut block = take(self.bytes.len());
        block.extend_from_slice(self.bytes);
        block
    }

    /// How long each piece is.
    pub(crate) fn lengths(&self) -> impl ExactSizeIterator<Item = usize> {
        self.lengths.iter().map(|length| *length as usize)
    }

    /// A copy in one block that they share.
    pub(crate) fn copy(&self) -> Vec<Bytes> {
        cut(&mut self.gather_into(BytesMut::with_capacity), self.lengths()).collect()
    }
}

/// # Safety
/// As for [`array`], for the bytes and for the lengths.
pub(crate) unsafe fn packed<'a>(
    bytes: *const c_void,
    len: usize,
    lengths: *const u64,
    count: usize,
) -> Result<Packed<'a>, Failure> {
    // SAFETY: as promised by the caller.
    let (lengths, bytes): (_, &[u8]) =
        unsafe { (array(lengths, count, "lengths")?, array(bytes.cast(), len, "bytes")?) };
    let total = lengths.iter().try_fold(0u64, |sum, length| sum.checked_add(*length));
    if total != Some(len as u64) {
        let text = format!("the sum of lengths is not len, which is {len}");
        return Err(Failure::new(RAFTCORE_ERR_MISUSE, text));
    }
    Ok(Packed { bytes, lengths })
}

/// Ids of a program's, copied.
///
/// # Safety
/// As for [`array`].
pub(crate) unsafe fn copy_ids(ids: raftcore_ids, name: &str) -> Result<Vec<u64>, Failure> {
    // SAFETY: as promised by the caller.
    unsafe { array(ids.items, ids.count, name) }.map(<[u64]>::to_vec)
}

/// A place of a program's for one result.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// # Safety
    /// `ptr` is NULL or can be written to.
    pub(crate) unsafe fn required(ptr: *mut T, name: &str) -> Result<Self, Failure> {
        if ptr.is_null() { Err(Failure::null(name)) } else { Ok(Self(ptr)) }
    }

    /// # Safety
    /// `ptr` is NULL or can be written to.
    pub(crate) const unsafe fn optional(ptr: *mut T) -> Self {
        Self(ptr)
    }

    pub(crate) const fn is_wanted(&self) -> bool {
        !self.0.is_null()
    }

    /// Writes the result, if it is wanted.
    pub(crate) fn write(self, value: T) {
        if self.is_wanted() {
            // SAFETY: who made this promised that it can be written to.
            unsafe { self.0.write(value) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_empty_only_without_a_length() {
        // SAFETY: neither pointer is read.
        unsafe {
            assert!(array::<u8>(ptr::null(), 0, "it").is_ok_and(<[u8]>::is_empty));
            assert!(array::<u8>(ptr::null(), 1, "it").is_err());
            assert!(array::<u64>(ptr::dangling(), usize::MAX / 8, "it").is_err());
        }
    }

    #[test]
    fn packed_pieces_fill_their_block_exactly() {
        let cut = |lengths: &[u64]| {
            let bytes = b"abc";
            // SAFETY: constants and their lengths.
            unsafe { packed(bytes.as_ptr().cast(), 3, lengths.as_ptr(), lengths.len()) }
                .map(|packed| packed.copy())
        };
        assert_eq!(cut(&[2, 0, 1]).unwrap(), ["ab", "", "c"]);
        for wrong in [&[2][..], &[2, 2], &[], &[u64::MAX, 4]] {
            assert_eq!(cut(wrong).unwrap_err().status(), RAFTCORE_ERR_MISUSE);
        }
    }

    #[test]
    fn many_slices_share_one_block() {
        let slices = [raftcore_slice::of(b"ab"), raftcore_slice::EMPTY, raftcore_slice::of(b"c")];
        // SAFETY: the slices are constants.
        let copies = unsafe { copy_many(slices.as_ptr(), 3, "it") }.unwrap();
        assert_eq!(copies, ["ab", "", "c"]);
        let huge = [raftcore_slice { data: ptr::dangling(), len: usize::MAX }; 2];
        // SAFETY: refused by its length, not read.
        assert!(unsafe { copy_many(huge.as_ptr(), 2, "it") }.is_err());
    }

    /// An element of two fields that had one in the first release.
    #[repr(C)]
    #[derive(Clone, Copy, PartialEq, Debug)]
    struct grown {
        old: u64,
        new: u64,
    }

    // SAFETY: `repr(C)`, integers.
    unsafe impl Element for grown {
        const NAME: &'static str = "grown";
        const EMPTY: Self = Self { old: 7, new: 8 };
        const FIRST_SIZE: usize = std::mem::offset_of!(Self, new);
    }

    #[test]
    fn shorter_and_longer_elements_are_understood() {
        let words = [1u64, 2, 3, 4, 5, 6];
        let read = |count, stride| {
            // SAFETY: each case has as many words as it says, or is refused for its stride.
            let list = unsafe { strided::<grown>(words.as_ptr().cast(), count, stride, "it") };
            list.map(|list| list.iter().map(|one| (one.old, one.new)).collect::<Vec<_>>())
        };
        assert_eq!(read(3, 8).unwrap(), [(1, 8), (2, 8), (3, 8)]);
        assert_eq!(read(3, 16).unwrap(), [(1, 2), (3, 4), (5, 6)]);
        assert_eq!(read(2, 24).unwrap(), [(1, 2), (4, 5)]);
        for stride in [0, 4, 12] {
            let failure = read(2, stride).unwrap_err();
            assert_eq!(failure.status(), RAFTCORE_ERR_STRUCT_SIZE);
            assert!(failure.into_text().contains("sizeof(grown)"));
        }
    }
}
