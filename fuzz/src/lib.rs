//! Shared by the fuzz targets: an allocator that counts, and a reader of the input.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static NOW_BYTES: Cell<usize> = const { Cell::new(0) };
    static PEAK_BYTES: Cell<usize> = const { Cell::new(0) };
}

/// Counts the bytes that a thread holds, without those of C libraries.
pub struct Counting;

fn taken(bytes: usize) {
    let now = NOW_BYTES.get().wrapping_add(bytes);
    NOW_BYTES.set(now);
    // Bytes freed by another thread make the count negative: that is not a peak.
    if now < usize::MAX / 2 {
        PEAK_BYTES.set(PEAK_BYTES.get().max(now));
    }
}

fn given_back(bytes: usize) {
    NOW_BYTES.set(NOW_BYTES.get().wrapping_sub(bytes));
}

// Passes everything on to the system's allocator, whose contract is the same.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        given_back(layout.size());
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, new_bytes: usize) -> *mut u8 {
        // Both may exist for a moment.
        taken(new_bytes);
        given_back(layout.size());
        unsafe { System.realloc(at, layout, new_bytes) }
    }
}

/// Returns the most bytes that `work` held at once beyond those held before.
pub fn peak_bytes<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = NOW_BYTES.get();
    PEAK_BYTES.set(before);
    let result = work();
    (result, PEAK_BYTES.get().saturating_sub(before))
}

/// Takes bytes from the front of the input; zeros after its end.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    pub fn number(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    pub fn rest(self) -> &'a [u8] {
        self.0
    }
}

/// Returns whether a text does not act on a terminal and fits in a few lines of it.
pub fn is_showable(text: &str, max_chars: usize) -> bool {
    text.chars().all(skytail::display::printable::is_harmless) && text.chars().count() <= max_chars
}
