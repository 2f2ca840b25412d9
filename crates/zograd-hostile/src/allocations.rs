//! A global allocator that keeps count.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static LARGEST: AtomicUsize = AtomicUsize::new(0);

/// Requests beyond this are refused, as a machine without the memory refuses them: a reader that believes a
/// length of exabytes is then an abort in the test and not a swap storm.
const REFUSED: usize = 8 << 30;

/// The system's allocator, counting: `#[global_allocator] static ALLOCATOR: Counting = Counting;`.
pub struct Counting;

/// What was allocated since [`start`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allocated {
    /// The largest single request, in bytes.
    pub largest: usize,
    /// The most bytes in use at one time, those from before not counted.
    pub peak: usize,
}

/// Begins to count.
pub(crate) fn start() -> usize {
    let live = LIVE.load(Relaxed);
    PEAK.store(live, Relaxed);
    LARGEST.store(0, Relaxed);
    live
}

/// What was allocated since `start` returned `before`.
pub(crate) fn since(before: usize) -> Allocated {
    Allocated {
        largest: LARGEST.load(Relaxed),
        peak: PEAK.load(Relaxed).saturating_sub(before),
    }
}

fn grown(by: usize, request: usize) {
    let live = LIVE.fetch_add(by, Relaxed) + by;
    PEAK.fetch_max(live, Relaxed);
    LARGEST.fetch_max(request, Relaxed);
}

// SAFETY: every call is handed on to the system's allocator as it is, or refused with a null pointer, as
// the trait allows.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > REFUSED {
            return std::ptr::null_mut();
        }
        grown(layout.size(), layout.size());
        // SAFETY: the caller keeps the contract of `alloc`, which is the same
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.size() > REFUSED {
            return std::ptr::null_mut();
        }
        grown(layout.size(), layout.size());
        // SAFETY: as above
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size > REFUSED {
            return std::ptr::null_mut();
        }
        // both lie in memory while the bytes are copied
        grown(size, size);
        // SAFETY: as above
        let moved = unsafe { System.realloc(pointer, layout, size) };
        LIVE.fetch_sub(if moved.is_null() { size } else { layout.size() }, Relaxed);
        moved
    }
}
