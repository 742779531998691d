//! Time: one cheap reading per command boundary.
//!
//! A reading is a number of nanoseconds since an arbitrary start. On x86-64 with an invariant TSC it is one
//! `rdtsc` and a multiplication (about 8 ns here, where `clock_gettime` costs 25), calibrated against the
//! system's monotonic clock at start and corrected at every [`Clock::sync`]. Wall time is a reading plus an
//! offset taken at `sync`, which the event loop calls once per turn at most every 50 ms of readings.
//!
//! The simulation replaces the source: its clock is an atomic that the scheduler moves.
#![allow(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Nanoseconds between two comparisons of the TSC with the system's clock.
const SYNC_EVERY_NS: u64 = 50_000_000;

/// A source of time owned by one thread.
#[derive(Clone)]
pub struct Clock {
    source: Source,
    /// Unix time in nanoseconds minus the monotonic reading, as of the last `sync`.
    wall_offset_ns: i64,
    synced_at_ns: u64,
}

#[derive(Clone)]
enum Source {
    Tsc(Tsc),
    System,
    Simulated(Arc<SimulatedTime>),
}

/// The time of a simulation, in nanoseconds: monotonic since its start, and Unix time at that start. Every reading
/// moves it on by `step_ns`, so that work takes time and slices of it come to an end.
#[derive(Default)]
pub struct SimulatedTime {
    pub monotonic_ns: AtomicU64,
    pub step_ns: AtomicU64,
    pub unix_at_start_ns: AtomicU64,
}

impl SimulatedTime {
    fn read(&self) -> u64 {
        self.monotonic_ns
            .fetch_add(self.step_ns.load(Ordering::Relaxed), Ordering::Relaxed)
    }
}

/// `ns = base_ns + (tsc - base_tsc) * scale / 2^32`.
#[derive(Clone, Copy)]
struct Tsc {
    base_tsc: u64,
    base_ns: u64,
    scale: u64,
}

impl Clock {
    /// The machine's clock, through the TSC where it is invariant.
    pub fn real() -> Self {
        let source = Tsc::calibrate().map_or(Source::System, Source::Tsc);
        let mut clock = Self {
            source,
            wall_offset_ns: 0,
            synced_at_ns: 0,
        };
        clock.sync();
        clock
    }

    /// A clock that a scheduler moves.
    pub fn simulated(time: Arc<SimulatedTime>) -> Self {
        let mut clock = Self {
            source: Source::Simulated(time),
            wall_offset_ns: 0,
            synced_at_ns: 0,
        };
        clock.sync();
        clock
    }

    /// Monotonic nanoseconds since an arbitrary start; never goes backwards within one thread's use by
    /// more than the calibration error (below 1 µs per second).
    #[inline]
    pub fn monotonic_ns(&self) -> u64 {
        match &self.source {
            Source::Tsc(tsc) => tsc.nanos(),
            Source::System => system_monotonic_ns(),
            Source::Simulated(time) => time.read(),
        }
    }

    /// What the time is read from, as INFO names it.
    pub fn name(&self) -> &'static str {
        match &self.source {
            Source::Tsc(_) => "X86 TSC",
            Source::System => "POSIX clock_gettime",
            Source::Simulated(_) => "simulated",
        }
    }

    /// Unix time in nanoseconds for a monotonic reading taken since the last `sync`.
    #[inline]
    pub fn unix_ns_at(&self, monotonic_ns: u64) -> i64 {
        (monotonic_ns as i64).wrapping_add(self.wall_offset_ns)
    }

    /// Unix time in milliseconds for a monotonic reading taken since the last `sync`.
    #[inline]
    pub fn unix_ms_at(&self, monotonic_ns: u64) -> i64 {
        self.unix_ns_at(monotonic_ns) / 1_000_000
    }

    /// Unix time in milliseconds, now.
    pub fn unix_ms(&self) -> i64 {
        self.unix_ms_at(self.monotonic_ns())
    }

    /// Follows the system's clocks again if the last comparison is old. Called once per loop turn.
    #[inline]
    pub fn tick(&mut self) -> u64 {
        let now = self.monotonic_ns();
        if now.wrapping_sub(self.synced_at_ns) >= SYNC_EVERY_NS {
            self.sync();
            return self.monotonic_ns();
        }
        now
    }

    #[cold]
    fn sync(&mut self) {
        if let Source::Tsc(tsc) = &mut self.source {
            tsc.follow();
        }
        let now = self.monotonic_ns();
        self.wall_offset_ns = match &self.source {
            Source::Simulated(time) => time.unix_at_start_ns.load(Ordering::Relaxed) as i64,
            _ => system_unix_ns().wrapping_sub(now as i64),
        };
        self.synced_at_ns = now;
    }
}

impl Tsc {
    /// `None` where there is no invariant TSC.
    fn calibrate() -> Option<Self> {
        if !tsc_is_invariant() {
            return None;
        }
        let (tsc0, ns0) = (read_tsc(), system_monotonic_ns());
        // 2 ms bound the error of the scale to about 50 ppm; `follow` narrows it with every comparison.
        let mut now = ns0;
        while now - ns0 < 2_000_000 {
            std::hint::spin_loop();
            now = system_monotonic_ns();
        }
        let tsc1 = read_tsc();
        if tsc1 <= tsc0 {
            return None;
        }
        let scale = (u128::from(now - ns0) << 32) / u128::from(tsc1 - tsc0);
        Some(Self {
            base_tsc: tsc1,
            base_ns: now,
            scale: scale as u64,
        })
    }

    #[inline]
    fn nanos(&self) -> u64 {
        let cycles = read_tsc().wrapping_sub(self.base_tsc);
        // 2^32 cycles are over a second; the base moves every 50 ms of use, the u128 covers idle years.
        self.base_ns + ((u128::from(cycles) * u128::from(self.scale)) >> 32) as u64
    }

    /// Moves the base to now, so that the error of the scale cannot add up.
    fn follow(&mut self) {
        let (tsc, ns) = (read_tsc(), system_monotonic_ns());
        let cycles = tsc.wrapping_sub(self.base_tsc);
        if cycles > 1 << 24 && ns > self.base_ns {
            self.scale = ((u128::from(ns - self.base_ns) << 32) / u128::from(cycles)) as u64;
            (self.base_tsc, self.base_ns) = (tsc, ns);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn read_tsc() -> u64 {
    // SAFETY: `rdtsc` exists on every x86-64 processor and reads a register only.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(target_arch = "x86_64")]
fn tsc_is_invariant() -> bool {
    use core::arch::x86_64::__cpuid;
    __cpuid(0x8000_0000).eax >= 0x8000_0007 && __cpuid(0x8000_0007).edx & (1 << 8) != 0
}

#[cfg(not(target_arch = "x86_64"))]
fn read_tsc() -> u64 {
    0
}

#[cfg(not(target_arch = "x86_64"))]
fn tsc_is_invariant() -> bool {
    false
}

/// Unix time in milliseconds, for those who have no clock of their own: the log.
pub fn unix_ms() -> i64 {
    system_unix_ns() / 1_000_000
}

fn system_monotonic_ns() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC) as u64
}

fn system_unix_ns() -> i64 {
    clock_ns(libc::CLOCK_REALTIME)
}

fn clock_ns(id: libc::clockid_t) -> i64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid timespec for the call to fill in.
    let result = unsafe { libc::clock_gettime(id, &raw mut time) };
    assert_eq!(result, 0, "the kernel has no clock {id}");
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_clock_goes_forward_and_knows_the_date() {
        let mut clock = Clock::real();
        let before = clock.tick();
        let after = clock.monotonic_ns();
        assert!(after >= before);
        assert!(clock.unix_ms() > 1_700_000_000_000);
    }

    #[test]
    fn a_simulated_clock_stands_still_until_moved() {
        let time = Arc::new(SimulatedTime::default());
        time.unix_at_start_ns
            .store(5_000_000_000, Ordering::Relaxed);
        let clock = Clock::simulated(time.clone());
        assert_eq!((clock.monotonic_ns(), clock.unix_ms()), (0, 5_000));
        time.monotonic_ns.store(7_000_000, Ordering::Relaxed);
        assert_eq!(clock.unix_ms(), 5_007);
    }
}
