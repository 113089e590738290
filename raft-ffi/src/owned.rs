//! Objects that a call returns for the caller to own: a plain C struct for the caller to read, and
//! behind it, in the same allocation, what its pointers point to.

use std::mem::MaybeUninit;

/// The struct, and behind it what it points into.
#[repr(C)]
struct Owned<V, B> {
    view: MaybeUninit<V>,
    backing: B,
}

/// Puts `backing` where it will stay and makes the struct that points into it.
pub(crate) fn give<V, B>(backing: B, view: impl FnOnce(&B) -> V) -> *mut V {
    let owned = Box::into_raw(Box::new(Owned { view: MaybeUninit::uninit(), backing }));
    // SAFETY: just allocated, and the two fields do not overlap. The struct comes first, so its
    // address is that of the whole.
    unsafe {
        let made = view(&(*owned).backing);
        (&raw mut (*owned).view).write(MaybeUninit::new(made));
    }
    owned.cast()
}

/// Frees what [`give`] made. NULL is allowed.
///
/// # Safety
/// `ptr` is NULL or came from `give` with the same two types, and is not used again.
pub(crate) unsafe fn take_back<V, B>(ptr: *mut V) {
    if !ptr.is_null() {
        // SAFETY: as promised by the caller.
        drop(unsafe { Box::from_raw(ptr.cast::<Owned<V, B>>()) });
    }
}
