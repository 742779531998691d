//! The allocator: jemalloc, what it says about itself, and asking it to give memory back.
//!
//! The numbers are those of jemalloc. In a process that was linked with another allocator (a test) they count next to
//! nothing, and purging does nothing; neither is an error.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};

use tikv_jemalloc_ctl::stats_print::{self, Options};
use tikv_jemalloc_ctl::thread::{ThreadLocal, allocatedp, deallocatedp};
use tikv_jemalloc_ctl::{epoch, raw, stats};
use tikv_jemallocator::Jemalloc;

/// jemalloc with size classes of 8 bytes (see `.cargo/config.toml`). Of a class that is no multiple of 16 it aligns to 8
/// only, whatever was asked for: its wrapper takes 16 for granted. Layouts of larger alignment are therefore rounded up
/// to a multiple of it. Nearly all are anyway; those of hash tables are not, which read their control bytes 16 at a
/// time.
pub struct Allocator;

#[inline(always)]
fn padded(layout: Layout) -> Layout {
    if layout.align() > 8 {
        layout.pad_to_align()
    } else {
        layout
    }
}

// SAFETY: as `Jemalloc`, which gets a layout that contains the caller's: of the same alignment and of at least its size,
// and the same one for the same request when memory is given back.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: see above.
        unsafe { Jemalloc.alloc(padded(layout)) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: see above.
        unsafe { Jemalloc.alloc_zeroed(padded(layout)) }
    }

    #[inline]
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: see above.
        unsafe { Jemalloc.dealloc(ptr, padded(layout)) }
    }

    #[inline]
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let new_size = if layout.align() > 8 {
            new_size.next_multiple_of(layout.align())
        } else {
            new_size
        };
        // SAFETY: see above.
        unsafe { Jemalloc.realloc(ptr, padded(layout), new_size) }
    }
}

/// Bytes, as of one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Snapshot {
    /// In use by the program.
    pub allocated: u64,
    /// In pages of which the program uses something.
    pub active: u64,
    /// In pages that are in memory, as far as the allocator knows.
    pub resident: u64,
    /// Given back to the kernel lazily.
    pub muzzy: u64,
}

/// Reads the counters afresh. Costs some microseconds per thread.
pub fn snapshot() -> Snapshot {
    // What cannot be read is 0: the counters are for display.
    let _epoch = epoch::advance();
    let allocated = stats::allocated::read().unwrap_or(0) as u64;
    Snapshot {
        // What threads keep at hand after it was freed counts as allocated there.
        allocated: allocated.saturating_sub(of_all_arenas(b"stats.arenas.4096.tcache_bytes\0")),
        active: stats::active::read().unwrap_or(0) as u64,
        resident: stats::resident::read().unwrap_or(0) as u64,
        muzzy: muzzy(),
    }
}

fn muzzy() -> u64 {
    of_all_arenas(b"stats.arenas.4096.pmuzzy\0") * super::usage::page_bytes()
}

/// A number that is kept for each arena; 4096 stands for all arenas together.
fn of_all_arenas(name: &[u8]) -> u64 {
    // SAFETY: jemalloc documents the numbers asked for here as `size_t`.
    let number = unsafe { raw::read::<usize>(name) };
    number.unwrap_or(0) as u64
}

/// What this thread allocated and freed since this was made, to be read by this thread alone.
pub struct ThreadBytes {
    /// `None` where the allocator does not count.
    counters: Option<(ThreadLocal<u64>, ThreadLocal<u64>)>,
    before: i64,
}

impl ThreadBytes {
    #[expect(clippy::new_without_default, reason = "it depends on the thread")]
    pub fn new() -> Self {
        let counters = allocatedp::read().and_then(|up| Ok((up, deallocatedp::read()?)));
        let mut bytes = Self {
            counters: counters.ok(),
            before: 0,
        };
        bytes.before = bytes.net();
        bytes
    }

    /// Allocated minus freed: below zero if others allocated what this thread freed.
    #[inline]
    pub fn net(&self) -> i64 {
        let net = self
            .counters
            .map(|(up, down)| up.get().wrapping_sub(down.get()) as i64);
        net.unwrap_or(0) - self.before
    }
}

/// Gives pages that are not used back to the kernel.
pub fn purge() {
    let arenas = tikv_jemalloc_ctl::arenas::narenas::read().unwrap_or(0);
    for arena in 0..arenas {
        for kind in ["dirty", "muzzy"] {
            let decay = format!("arena.{arena}.{kind}_decay_ms\0");
            // Setting the time after which pages are given back to none gives them back now. What could be set can be set
            // back.
            // SAFETY: jemalloc documents this number as an `ssize_t`.
            if let Ok(usual) = unsafe { raw::update::<isize>(decay.as_bytes(), 0) } {
                // SAFETY: as above.
                unsafe { raw::write(decay.as_bytes(), usual) }.ok();
            }
        }
    }
}

/// The allocator's own report, for those who know it.
pub fn report() -> Vec<u8> {
    let mut text = Vec::new();
    // Writing to memory does not fail.
    stats_print::stats_print(&mut text, Options::default()).ok();
    text
}

/// As INFO names it.
pub fn name() -> String {
    let version = tikv_jemalloc_ctl::version::read().unwrap_or("unknown");
    let number = version.split('-').next().unwrap_or_default();
    format!("jemalloc-{number}")
}
