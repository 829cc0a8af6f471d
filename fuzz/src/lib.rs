//! What the targets share: seeds that are made at run time, and a bound on memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicIsize, Ordering};

/// What a program may hold for each byte of its input: compressed sections grow 256-fold, a tree of one leaf takes a
/// few hundred bytes where its file has twenty, and all is written and read again.
const MOST_GROWTH: isize = 1 << 14;
/// What it may hold however short the input is.
const MOST_ANYWAY: isize = 64 << 20;

/// Bytes in use.
static HELD: AtomicIsize = AtomicIsize::new(0);
/// The most that may be.
static MOST: AtomicIsize = AtomicIsize::new(isize::MAX);

/// Counts what is held, and refuses more than [`MOST`].
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: `System` does all the work; what it is not asked for is answered by null, as a full memory is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let size = layout.size() as isize;
        if HELD.fetch_add(size, Ordering::Relaxed) + size > MOST.load(Ordering::Relaxed) {
            HELD.fetch_sub(size, Ordering::Relaxed);
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(place, layout) }
    }
}

/// Runs a target that may not hold more memory than suits an input of `length` bytes; the process ends where it does.
pub fn bounded(length: usize, run: impl FnOnce()) {
    let most = MOST_ANYWAY + length as isize * MOST_GROWTH;
    MOST.store(HELD.load(Ordering::Relaxed) + most, Ordering::Relaxed);
    run();
    MOST.store(isize::MAX, Ordering::Relaxed);
}

/// Writes seeds into the folder that `DATALAKE_SEEDS` names, if it does: the corpus is read after this.
///
/// # Panics
/// If they cannot be written.
pub fn write_seeds(seeds: impl FnOnce() -> Vec<Vec<u8>>) {
    let Some(folder) = std::env::var_os("DATALAKE_SEEDS") else { return };
    for (number, seed) in seeds().iter().enumerate() {
        fs::write(Path::new(&folder).join(format!("seed-{number:02}")), seed).expect("a folder to write to");
    }
}
