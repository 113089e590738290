//! What is measured: wall time, the CPU time of the process, memory, and, in the counting build,
//! allocations. And how it is printed.

use std::time::Instant;

/// No bookkeeping is as large as this: it is payload.
pub(crate) const LARGE: usize = 32 << 10;

/// The allocations so far: how many, how many bytes were asked for, and how many of these in
/// blocks of at least [`LARGE`] bytes. Zeros in a build that does not count.
#[derive(Clone, Copy, Default)]
pub(crate) struct Allocations {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
    pub(crate) large_bytes: u64,
}

#[cfg(feature = "count")]
mod alloc {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use super::LARGE;

    pub(super) static COUNT: AtomicU64 = AtomicU64::new(0);
    pub(super) static BYTES: AtomicU64 = AtomicU64::new(0);
    pub(super) static LARGE_BYTES: AtomicU64 = AtomicU64::new(0);

    struct Counting;

    fn count(size: usize) {
        COUNT.fetch_add(1, Relaxed);
        BYTES.fetch_add(size as u64, Relaxed);
        if size >= LARGE {
            LARGE_BYTES.fetch_add(size as u64, Relaxed);
        }
    }

    // SAFETY: everything is handed on to the system's allocator as it came.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            count(layout.size());
            // SAFETY: the caller's promise.
            unsafe { System.alloc(layout) }
        }
        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: the caller's promise.
            unsafe { System.dealloc(block, layout) }
        }
        unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            count(size);
            // SAFETY: the caller's promise.
            unsafe { System.realloc(block, layout, size) }
        }
    }

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;
}

impl Allocations {
    #[cfg(feature = "count")]
    pub(crate) fn so_far() -> Self {
        use std::sync::atomic::Ordering::Relaxed;
        Self {
            count: alloc::COUNT.load(Relaxed),
            bytes: alloc::BYTES.load(Relaxed),
            large_bytes: alloc::LARGE_BYTES.load(Relaxed),
        }
    }

    #[cfg(not(feature = "count"))]
    pub(crate) fn so_far() -> Self {
        Self::default()
    }
}

/// A stretch of work under way.
pub(crate) struct Meter {
    wall: Instant,
    cpu_ns: u64,
    allocations: Allocations,
}

/// What a stretch of work took.
#[derive(Clone, Copy, Default)]
pub(crate) struct Taken {
    pub(crate) wall_ns: u64,
    pub(crate) cpu_ns: u64,
    pub(crate) allocations: Allocations,
}

impl Meter {
    pub(crate) fn start() -> Self {
        let allocations = Allocations::so_far();
        Self { allocations, cpu_ns: cpu_ns(), wall: Instant::now() }
    }

    pub(crate) fn stop(self) -> Taken {
        let wall_ns = self.wall.elapsed().as_nanos() as u64;
        let cpu_ns = cpu_ns() - self.cpu_ns;
        let now = Allocations::so_far();
        let before = self.allocations;
        Taken {
            wall_ns,
            cpu_ns,
            allocations: Allocations {
                count: now.count - before.count,
                bytes: now.bytes - before.bytes,
                large_bytes: now.large_bytes - before.large_bytes,
            },
        }
    }
}

/// The CPU time of this process, all threads, user and system: what `getrusage` says, in
/// nanoseconds.
fn cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills the struct that it is given.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    assert_eq!(result, 0, "the clock of the process");
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The resident memory of this process in bytes.
pub(crate) fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux tells it here");
    let pages: u64 = statm.split(' ').nth(1).and_then(|n| n.parse().ok()).expect("the 2nd number");
    pages * 4096
}

impl std::ops::AddAssign for Taken {
    fn add_assign(&mut self, more: Self) {
        self.wall_ns += more.wall_ns;
        self.cpu_ns += more.cpu_ns;
        self.allocations.count += more.allocations.count;
        self.allocations.bytes += more.allocations.bytes;
        self.allocations.large_bytes += more.allocations.large_bytes;
    }
}

/// The figures of one run.
#[derive(Default)]
pub struct Report {
    figures: Vec<(&'static str, f64)>,
}

impl Report {
    pub(crate) fn add(&mut self, name: &'static str, value: f64) {
        self.figures.push((name, value));
    }

    /// Times per unit of work, and in the counting build allocations instead.
    pub(crate) fn add_taken(&mut self, names: [&'static str; 4], taken: &Taken, units: u64) {
        let per_unit = |total: u64| total as f64 / units as f64;
        if cfg!(feature = "count") {
            self.add(names[2], per_unit(taken.allocations.count));
            self.add(names[3], per_unit(taken.allocations.bytes));
        } else {
            self.add(names[0], per_unit(taken.cpu_ns));
            self.add(names[1], per_unit(taken.wall_ns));
        }
    }

    pub(crate) fn print(&self) {
        for (name, value) in &self.figures {
            println!("{name} {value:.4}");
        }
    }
}
