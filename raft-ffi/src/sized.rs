//! Structs that grow: reading one that an older or a newer program filled, and filling one that an
//! older or a newer program will read.

use crate::error::Failure;
use crate::status::RAFTCORE_ERR_STRUCT_SIZE;

/// No struct of ours comes near this size: a larger one is a struct_size that was never set.
const SIZE_MAX: usize = 4096;

/// A struct that begins with its `struct_size`.
///
/// # Safety
/// `repr(C)`, `usize` first, valid for any bytes in its fields, and without padding from there on
/// (asserted in `layout`): a new field can never hide in what was padding before.
pub(crate) unsafe trait Growing: Copy {
    /// The name in the header.
    const NAME: &'static str;
    /// The size in the first release. When a field is added, this becomes the offset of the first
    /// field that is new.
    const FIRST_SIZE: usize = size_of::<Self>();
}

/// Declares structs that grow; `since` names the first field that is newer than the first release.
macro_rules! sized {
    ($($name:ident $(since $field:ident)?),+ $(,)?) => {
        $(
            // SAFETY: `repr(C)`, begins with struct_size, has integers and pointers only, and no
            // padding, as `layout` asserts.
            unsafe impl $crate::sized::Growing for $name {
                const NAME: &'static str = stringify!($name);
                $(const FIRST_SIZE: usize = std::mem::offset_of!($name, $field);)?
            }
        )+
    };
}

/// Reads a struct that a program filled. What an older program does not know stays as in
/// `defaults`; what a newer one knows must be zero.
///
/// # Safety
/// `ptr` is NULL, or points to as many bytes as its first field says.
pub(crate) unsafe fn read<T: Growing>(
    ptr: *const T,
    name: &str,
    defaults: T,
) -> Result<T, Failure> {
    // SAFETY: as promised by the caller.
    let size = unsafe { check(ptr, name) }?;
    let known = size.min(size_of::<T>());
    for at in known..size {
        // SAFETY: `at` is below the size that the caller vouches for.
        if unsafe { ptr.cast::<u8>().add(at).read() } != 0 {
            return Err(wrong_size::<T>(name, size));
        }
    }
    let mut value = defaults;
    // SAFETY: both sides have `known` bytes, and every pattern of bytes is a `T`.
    unsafe { (&raw mut value).cast::<u8>().copy_from_nonoverlapping(ptr.cast(), known) };
    Ok(value)
}

/// Checks a struct that is to be filled.
///
/// # Safety
/// As for [`read`], and the bytes may be written.
#[inline(never)]
pub(crate) unsafe fn out<T: Growing>(ptr: *mut T, name: &str) -> Result<SizedOut<T>, Failure> {
    // SAFETY: as promised by the caller.
    let size = unsafe { check(ptr, name) }?;
    Ok(SizedOut { ptr, size })
}

/// As [`out`], where NULL says that the caller is not interested.
///
/// # Safety
/// As for [`out`].
#[inline]
pub(crate) unsafe fn optional_out<T: Growing>(
    ptr: *mut T,
    name: &str,
) -> Result<Option<SizedOut<T>>, Failure> {
    if ptr.is_null() {
        return Ok(None);
    }
    // SAFETY: as promised by the caller.
    unsafe { out(ptr, name) }.map(Some)
}

/// A struct of the program's that may be filled.
pub(crate) struct SizedOut<T> {
    ptr: *mut T,
    size: usize,
}

impl<T: Growing> SizedOut<T> {
    /// Fills what the program knows of it, and zeroes what only the program knows.
    pub(crate) fn write(self, value: T) {
        let first = size_of::<usize>();
        let known = self.size.min(size_of::<T>());
        // SAFETY: `out` was promised `size` bytes, which are at least the struct_size; the
        // source has `known`.
        unsafe {
            let from = (&raw const value).cast::<u8>().add(first);
            let to = self.ptr.cast::<u8>();
            to.add(first).copy_from_nonoverlapping(from, known.saturating_sub(first));
            to.add(known).write_bytes(0, self.size.saturating_sub(known));
        }
    }
}

/// The size of a struct of the program's.
///
/// # Safety
/// `ptr` is NULL, or points to as many bytes as its first field says.
#[inline]
pub(crate) unsafe fn check<T: Growing>(ptr: *const T, name: &str) -> Result<usize, Failure> {
    if ptr.is_null() {
        return Err(Failure::null(name));
    }
    // SAFETY: as promised by the caller.
    let size = unsafe { ptr.cast::<usize>().read() };
    let is_whole = size.is_multiple_of(align_of::<T>());
    if !(T::FIRST_SIZE..=SIZE_MAX).contains(&size) || !is_whole {
        return Err(wrong_size::<T>(name, size));
    }
    Ok(size)
}

/// A switch: 1 or 0.
pub(crate) fn switch(number: u32, name: &str) -> Result<bool, Failure> {
    match number {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Failure::number(name, number)),
    }
}

/// A field that has no meaning yet: it must be zero, so that it can get one.
#[inline]
pub(crate) fn reserved(number: u32) -> Result<(), Failure> {
    if number == 0 { Ok(()) } else { Err(Failure::number("reserved", number)) }
}

/// What to say of a struct_size that cannot be.
pub(crate) fn wrong_size<T: Growing>(name: &str, size: usize) -> Failure {
    let (first, own) = (T::FIRST_SIZE, size_of::<T>());
    let what = if size < first || !size.is_multiple_of(align_of::<T>()) {
        format!("it was {first} in the first release: was it set to sizeof({})?", T::NAME)
    } else {
        format!("the library knows {own} bytes of it, and beyond them it is not zero")
    };
    Failure::new(RAFTCORE_ERR_STRUCT_SIZE, format!("{name}->struct_size is {size}; {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::RAFTCORE_OK;

    /// A struct of two fields that had one in the first release.
    #[repr(C)]
    #[derive(Clone, Copy, PartialEq, Debug)]
    struct grown {
        struct_size: usize,
        old: u64,
        new: u64,
    }

    // SAFETY: as `sized!` says.
    unsafe impl Growing for grown {
        const NAME: &'static str = "grown";
        const FIRST_SIZE: usize = std::mem::offset_of!(Self, new);
    }

    const SIZE: usize = size_of::<grown>();

    fn read_from(words: &[u64]) -> Result<grown, i32> {
        let defaults = grown { struct_size: SIZE, old: 7, new: 8 };
        // SAFETY: each case has as many bytes as its first word says, or is refused for it.
        unsafe { read(words.as_ptr().cast(), "it", defaults) }.map_err(|f| f.status())
    }

    #[test]
    fn older_and_newer_programs_are_understood() {
        let size = |words: usize| (words * 8) as u64;
        let old = read_from(&[size(2), 1]).unwrap();
        assert_eq!((old.old, old.new), (1, 8));
        let same = read_from(&[size(3), 1, 2]).unwrap();
        assert_eq!((same.old, same.new), (1, 2));
        let newer = read_from(&[size(4), 1, 2, 0]).unwrap();
        assert_eq!((newer.old, newer.new), (1, 2));
        assert_eq!(read_from(&[size(4), 1, 2, 3]), Err(RAFTCORE_ERR_STRUCT_SIZE));
        assert_eq!(read_from(&[size(1)]), Err(RAFTCORE_ERR_STRUCT_SIZE));
        assert_eq!(read_from(&[size(2) + 4, 1, 2]), Err(RAFTCORE_ERR_STRUCT_SIZE));
        assert_eq!(read_from(&[0xdead_beef_dead]), Err(RAFTCORE_ERR_STRUCT_SIZE));
        assert_ne!(RAFTCORE_ERR_STRUCT_SIZE, RAFTCORE_OK);
    }

    #[test]
    fn an_output_is_never_longer_than_the_program_says() {
        let value = grown { struct_size: 0, old: 1, new: 2 };
        for (size, expected) in [(16, [16, 1, 9, 9]), (24, [24, 1, 2, 9]), (32, [32, 1, 2, 0])] {
            let mut words = [size, 9, 9, 9u64];
            // SAFETY: four words are at least `size` bytes.
            unsafe { out(words.as_mut_ptr().cast::<grown>(), "it") }.unwrap().write(value);
            assert_eq!(words, expected);
        }
    }
}
