//! The allocator of a build for tests (`--features guarding-allocator`): it counts, and ends the
//! process when memory comes back through the wrong door. A piece that C's `free` gets is none
//! that C handed out; one that the library gets must be its own, of the size and alignment that it
//! is said to have, and whole behind its end. Valgrind sees neither of the latter two.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

struct Guarding;

#[global_allocator]
static ALLOCATOR: Guarding = Guarding;

/// How many pieces of memory the library has.
static LIVE: AtomicUsize = AtomicUsize::new(0);

/// For the tests: not in the header, not in any other build.
#[unsafe(export_name = "raftcore_guarding_live")]
extern "C" fn live() -> usize {
    LIVE.load(Ordering::Relaxed)
}

/// What stands before each piece.
#[repr(C)]
struct Header {
    size: usize,
    align: usize,
    mark: u64,
    unused: u64,
}

const LIVING: u64 = 0x6c69_7669_6e67_2121;
const DEAD: u64 = 0x6465_6164_6465_6164;
const TAIL: usize = size_of::<u64>();

/// Where the piece begins in the block that contains it, and the block.
fn around(layout: Layout) -> Option<(usize, Layout)> {
    let offset = size_of::<Header>().max(layout.align());
    let size = offset.checked_add(layout.size())?.checked_add(TAIL)?;
    let align = layout.align().max(align_of::<Header>());
    Some((offset, Layout::from_size_align(size, align).ok()?))
}

// SAFETY: pieces lie inside blocks of the system's allocator, behind their header and aligned.
unsafe impl GlobalAlloc for Guarding {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((offset, block)) = around(layout) else { return std::ptr::null_mut() };
        // SAFETY: the block is not empty; header and tail lie within it.
        unsafe {
            let start = System.alloc(block);
            if start.is_null() {
                return start;
            }
            let piece = start.add(offset);
            let (size, align) = (layout.size(), layout.align());
            piece.cast::<Header>().sub(1).write(Header { size, align, mark: LIVING, unused: 0 });
            piece.add(size).cast::<u64>().write_unaligned(LIVING);
            LIVE.fetch_add(1, Ordering::Relaxed);
            piece
        }
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        let Some((offset, block)) = around(layout) else { std::process::abort() };
        // SAFETY: a piece of ours has a header before it; of another's we look at bytes that are
        // there in all but the worst case, and then end the process.
        unsafe {
            let header = piece.cast::<Header>().sub(1);
            let Header { size, align, mark, .. } = header.read();
            let tail = piece.add(layout.size()).cast::<u64>();
            let is_ours = mark == LIVING && size == layout.size() && align == layout.align();
            if !is_ours || tail.read_unaligned() != LIVING {
                std::process::abort();
            }
            (*header).mark = DEAD;
            piece.write_bytes(0xdb, size);
            LIVE.fetch_sub(1, Ordering::Relaxed);
            System.dealloc(piece.sub(offset), block);
        }
    }
}
