//! A block of values that one writer fills while others read what it wrote before.
//!
//! `bytes::BytesMut` lets one go on writing into a buffer whose beginning is shared already. This
//! is the same for any type, and no more than that: a [`Writer`] puts values into a block of fixed
//! capacity, a [`Shared`] counts as a reader of it and sees all values that are written. The block,
//! a header included, is one allocation; both handles are pointers to it.
//!
//! ```
//! use raftcore_blocks::Writer;
//!
//! let mut writer = Writer::new((), 2);
//! assert_eq!(writer.push("one"), Ok(()));
//! let reader = writer.share();
//! assert_eq!(reader[..], ["one"]);
//! assert_eq!(writer.push("two"), Ok(()));
//! assert_eq!(reader[..], ["one"]);
//! assert_eq!(writer.share()[..], ["one", "two"]);
//! assert_eq!(reader[..], ["one", "two"]);
//! assert_eq!(writer.push("three"), Err("three"));
//! ```

#![warn(missing_docs)]
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ops::Deref;
use std::process::abort;
use std::ptr::{self, NonNull, addr_of, addr_of_mut};
use std::slice;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// So many references a writer owns from the start, to give them away without counting.
const STOCK: usize = usize::MAX / 4;

/// From here on counting goes wrong before long: somebody leaks handles.
const TOO_MANY: usize = usize::MAX / 2;

/// A block in memory. `slots` marks where as many slots as `capacity` begin.
///
/// Invariants: the first `written` slots are initialised, and never written again before the block
/// is freed; `count` is how many `Shared` there are, and what the writer still has in stock.
///
/// No reference is ever made to all of it, but to fields: it may end with padding that slots use.
#[repr(C)]
struct Block<H, T> {
    count: AtomicUsize,
    capacity: u32,
    written: AtomicU32,
    header: H,
    slots: [MaybeUninit<T>; 0],
}

impl<H, T> Block<H, T> {
    fn layout(capacity: u32) -> Layout {
        Layout::array::<T>(capacity as usize)
            .and_then(|slots| Layout::new::<Self>().extend(slots))
            .map_or_else(|_| panic!("no block is so large"), |(block, _)| block.pad_to_align())
    }
}

/// The one handle that writes. What it wrote is its own until it shares it.
pub struct Writer<H, T> {
    block: NonNull<Block<H, T>>,
    /// How many references it owns: at least one.
    stock: usize,
    /// How many slots are initialised: those after the block's `written` are not shared yet.
    len: u32,
    capacity: u32,
    /// Invariant in `T`: see `Shared`.
    owns: PhantomData<(H, T, *mut T)>,
}

/// All that it wrote, shared or not.
impl<H, T> Deref for Writer<H, T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: the first `len` slots are initialised, and only `&mut self` writes others.
        unsafe { slice::from_raw_parts(self.slots(), self.len as usize) }
    }
}

/// A counted reference to a block: a slice of all that is shared.
///
/// What lives longer can stand in for what lives shorter here, and not with a writer, or else it
/// would push something shorter-lived before somebody who was promised more:
///
/// ```
/// fn shorter<'a>(it: raftcore_blocks::Shared<(), &'static str>)
///     -> raftcore_blocks::Shared<(), &'a str> { it }
/// ```
/// ```compile_fail
/// fn shorter<'a>(it: raftcore_blocks::Writer<(), &'static str>)
///     -> raftcore_blocks::Writer<(), &'a str> { it }
/// ```
pub struct Shared<H, T> {
    block: NonNull<Block<H, T>>,
    owns: PhantomData<(H, T)>,
}

// SAFETY: a handle gives `&H` and `&T` to its thread, while others on other threads do the same,
// and the last one drops both there: that is what `Arc` asks, too. All else is atomic.
unsafe impl<H: Send + Sync, T: Send + Sync> Send for Shared<H, T> {}
// SAFETY: as above, since a reference to a handle can be cloned into a handle.
unsafe impl<H: Send + Sync, T: Send + Sync> Sync for Shared<H, T> {}
// SAFETY: as above, and moves values in. There is one writer only, and it writes through `&mut`.
unsafe impl<H: Send + Sync, T: Send + Sync> Send for Writer<H, T> {}
// SAFETY: a reference to a writer gives `&T` and numbers.
unsafe impl<H: Send + Sync, T: Send + Sync> Sync for Writer<H, T> {}

impl<H, T> Writer<H, T> {
    /// An empty block for so many values.
    #[inline]
    pub fn new(header: H, capacity: u32) -> Self {
        let layout = Block::<H, T>::layout(capacity);
        // SAFETY: the layout has a size, since a block has a count.
        let memory = unsafe { alloc(layout) }.cast::<Block<H, T>>();
        let Some(block) = NonNull::new(memory) else { handle_alloc_error(layout) };
        let (count, written) = (AtomicUsize::new(STOCK), AtomicU32::new(0));
        // SAFETY: it was allocated with the layout of a block, and nobody else has it.
        unsafe { block.write(Block { count, capacity, written, header, slots: [] }) };
        Self { block, stock: STOCK, len: 0, capacity, owns: PhantomData }
    }

    fn slots(&self) -> *mut T {
        // SAFETY: the writer owns references, so the block is there.
        unsafe { addr_of_mut!((*self.block.as_ptr()).slots).cast() }
    }

    fn written(&self) -> &AtomicU32 {
        // SAFETY: as above; nobody has the block for itself alone while there is a writer.
        unsafe { &(*self.block.as_ptr()).written }
    }

    /// The value becomes the last one of the block; it comes back when the block is full.
    #[inline]
    pub fn push(&mut self, value: T) -> Result<(), T> {
        if self.is_full() {
            return Err(value);
        }
        // SAFETY: the slot lies within the allocation, for `len < capacity`. Readers look at the
        // slots that are shared alone, and `&mut self` is the only writer.
        unsafe { self.slots().add(self.len as usize).write(value) };
        self.len += 1;
        Ok(())
    }

    /// Whether no more fit.
    #[inline]
    pub const fn is_full(&self) -> bool {
        self.len == self.capacity
    }

    /// How many values are shared.
    #[inline]
    pub fn shared(&self) -> u32 {
        self.written().load(Ordering::Relaxed)
    }

    /// A reader, which sees all that is written, as all other readers do from now on. It is taken
    /// from the stock: that costs no atomic operation.
    #[inline]
    pub fn share(&mut self) -> Shared<H, T> {
        // Release: who sees the number sees the values.
        self.written().store(self.len, Ordering::Release);
        if self.stock == 1 {
            count_one_more(self.block);
        } else {
            self.stock -= 1;
        }
        Shared { block: self.block, owns: PhantomData }
    }

    /// Goes on in a new block, into which it moves what is not shared yet. That must fit.
    pub fn move_on(&mut self, header: H, capacity: u32) {
        let mut next = Self::new(header, capacity);
        let shared = self.shared();
        let moved = self.len - shared;
        assert!(moved <= capacity, "what moves on must fit");
        // SAFETY: the slots from `shared` on are initialised, and the new block has room for them.
        // From here on they are not this block's any more: its number of values says so.
        unsafe {
            let from = self.slots().add(shared as usize);
            ptr::copy_nonoverlapping(from, next.slots(), moved as usize);
        }
        self.len = shared;
        next.len = moved;
        *self = next;
    }

    /// Ends writing: a reader in the place of the writer.
    #[inline]
    pub fn into_shared(self) -> Shared<H, T> {
        let this = ManuallyDrop::new(self);
        this.written().store(this.len, Ordering::Release);
        // SAFETY: the writer owns references, so the block is there.
        let count = unsafe { &(*this.block.as_ptr()).count };
        if this.stock == STOCK {
            // Nobody else was ever given one.
            count.store(1, Ordering::Relaxed);
        } else {
            count.fetch_sub(this.stock - 1, Ordering::Relaxed);
        }
        Shared { block: this.block, owns: PhantomData }
    }
}

impl<H, T> Drop for Writer<H, T> {
    fn drop(&mut self) {
        // Whoever frees the block drops what was not shared, too.
        self.written().store(self.len, Ordering::Release);
        // SAFETY: so many references are the writer's, and it is no more.
        unsafe { give_back(self.block, self.stock) };
    }
}

impl<H, T> Shared<H, T> {
    /// What the block was made with.
    #[inline]
    pub fn header(&self) -> &H {
        // SAFETY: the block is there, and its header changes in `header_mut` alone, where there is
        // no other handle.
        unsafe { &(*self.block.as_ptr()).header }
    }

    /// The header to be changed, if this is the only handle of the block.
    pub fn header_mut(&mut self) -> Option<&mut H> {
        let block = self.block.as_ptr();
        // SAFETY: the block is there. Acquire: whatever others did with it lies before.
        let only = unsafe { &(*block).count }.load(Ordering::Acquire) == 1;
        // SAFETY: a writer would own one of the references, and so would another reader. Neither
        // can come about but from this one, which is borrowed.
        only.then(|| unsafe { &mut (*block).header })
    }

    /// Whether both are of one block.
    #[inline]
    pub fn is_same_block(&self, other: &Self) -> bool {
        self.block == other.block
    }
}

impl<H, T> Deref for Shared<H, T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        let block = self.block.as_ptr();
        // SAFETY: the block is there. Acquire: with the number come the values.
        let written = unsafe { &(*block).written }.load(Ordering::Acquire);
        // SAFETY: so many slots are initialised, and nobody writes them while a handle lives.
        unsafe {
            let slots = addr_of!((*block).slots).cast::<T>();
            slice::from_raw_parts(slots, written as usize)
        }
    }
}

impl<H, T> Clone for Shared<H, T> {
    #[inline]
    fn clone(&self) -> Self {
        count_one_more(self.block);
        Self { block: self.block, owns: PhantomData }
    }
}

impl<H, T> Drop for Shared<H, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: one reference is this handle's, and it is no more.
        unsafe { give_back(self.block, 1) };
    }
}

impl<H, T: fmt::Debug> fmt::Debug for Shared<H, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<H, T> fmt::Debug for Writer<H, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("len", &self.len())
            .field("capacity", &self.capacity)
            .finish()
    }
}

/// Counts a new handle, for a handle that is there.
#[inline]
fn count_one_more<H, T>(block: NonNull<Block<H, T>>) {
    // SAFETY: the caller has a handle, so the block is there.
    let count = unsafe { &(*block.as_ptr()).count };
    // Relaxed, since whoever gets the new handle gets it from one who has another.
    if count.fetch_add(1, Ordering::Relaxed) > TOO_MANY {
        abort();
    }
}

/// Gives back references, and the block with the last of them.
///
/// # Safety
/// The caller owns as many, and uses the block no more.
#[inline]
unsafe fn give_back<H, T>(block: NonNull<Block<H, T>>, references: usize) {
    // SAFETY: the caller owns references, so the block is there.
    let count = unsafe { &(*block.as_ptr()).count };
    // Release: what was done with the block lies before whoever frees it.
    if count.fetch_sub(references, Ordering::Release) == references {
        // SAFETY: the last are gone.
        unsafe { free(block) };
    }
}

/// # Safety
/// Nobody has a reference any more.
#[cold]
#[inline(never)]
unsafe fn free<H, T>(block: NonNull<Block<H, T>>) {
    let block = block.as_ptr();
    // SAFETY: it is not freed yet. Acquire: what others did with the block lies before.
    unsafe { &(*block).count }.load(Ordering::Acquire);
    // SAFETY: nobody else has the block, its first `written` slots are initialised, and the memory
    // came from `alloc` with this layout.
    unsafe {
        let layout = Block::<H, T>::layout((*block).capacity);
        let written = *(*block).written.get_mut() as usize;
        let slots = addr_of_mut!((*block).slots).cast::<T>();
        ptr::slice_from_raw_parts_mut(slots, written).drop_in_place();
        addr_of_mut!((*block).header).drop_in_place();
        dealloc(block.cast(), layout);
    }
}

#[cfg(test)]
mod tests;
