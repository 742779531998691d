//! How recently or how often a key was used, in 16 bits: what eviction compares and `OBJECT IDLETIME` and `FREQ` tell.
//!
//! The bits lie beside the key's pointer in its table slot. Which of the two readings applies is the eviction policy's
//! choice; nothing here remembers it. Time and chance are arguments.
//!
//! ```text
//!   LRU   seconds of the last use, modulo 2^16: idle times begin anew after 18 hours
//!   LFU   8 bits: minutes of the last use, modulo 256 | 8 bits: logarithmic counter
//! ```
//!
//! The counter goes up by chance, ever more rarely, and down by one per `lfu-decay-time` minutes without use, by the
//! rules of Redis (antirez, "Random notes on improving the Redis LRU algorithm", 2016). Redis has 16 bits for the
//! minutes. In 8 bits a key that nobody used for 256 minutes would look fresh again; so whoever samples keys for
//! eviction stores what [`lfu_decayed`] gives, and a decay time beyond 255 minutes never takes effect.

/// A new key's counter: enough not to be evicted before it had a chance to be used.
const COUNTER_NEW: u8 = 5;

/// The clock that an LRU hint is a reading of, in seconds.
#[inline]
pub fn lru_clock(now_ms: u64) -> u16 {
    (now_ms / 1000) as u16
}

/// Seconds since the use that a hint tells of.
pub fn lru_idle_s(hint: u16, now_ms: u64) -> u16 {
    lru_clock(now_ms).wrapping_sub(hint)
}

/// The clock of LFU hints, of which they keep the low half.
#[inline]
pub fn lfu_minutes(now_ms: u64) -> u16 {
    (now_ms / 60_000) as u16
}

/// The hint of a new key.
pub fn lfu_new(minutes: u16) -> u16 {
    lfu_hint(COUNTER_NEW, minutes)
}

fn lfu_hint(counter: u8, minutes: u16) -> u16 {
    minutes << 8 | u16::from(counter)
}

/// The hint after one more use. `decay_minutes` and `log_factor` as configured (`lfu-decay-time`, 0 for never, and
/// `lfu-log-factor`); `roll` is uniform over its type.
pub fn lfu_touch(hint: u16, minutes: u16, decay_minutes: u32, log_factor: u32, roll: u64) -> u16 {
    let counter = lfu_counter(hint, minutes, decay_minutes);
    let above_new = f64::from(counter.saturating_sub(COUNTER_NEW));
    let chance = 1.0 / (above_new * f64::from(log_factor) + 1.0);
    let rises = (roll as f64) < chance * u64::MAX as f64 || chance == 1.0;
    lfu_hint(counter.saturating_add(u8::from(rises)), minutes)
}

/// The counter by now: what `OBJECT FREQ` tells, and what eviction compares.
pub fn lfu_counter(hint: u16, minutes: u16, decay_minutes: u32) -> u8 {
    let idle_minutes = (minutes as u8).wrapping_sub((hint >> 8) as u8);
    let periods = u32::from(idle_minutes)
        .checked_div(decay_minutes)
        .unwrap_or(0);
    (hint as u8).saturating_sub(periods as u8)
}

/// The hint of a key that was looked at but not used: young again, once it has paid for the time that passed. Before that
/// it stays as it is, since minutes short of a period would be forgotten.
pub fn lfu_decayed(hint: u16, minutes: u16, decay_minutes: u32) -> u16 {
    let counter = lfu_counter(hint, minutes, decay_minutes);
    let paid = counter != hint as u8 || counter == 0;
    if paid {
        lfu_hint(counter, minutes)
    } else {
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_700_000_000_000;

    #[test]
    fn idle_time_survives_the_wrap() {
        for idle_s in [0, 1, 1000, 65_535] {
            for now_ms in [NOW_MS, 65_536_000 * 7, 65_536_000 * 7 + 5000] {
                assert_eq!(
                    lru_idle_s(lru_clock(now_ms - idle_s * 1000), now_ms),
                    idle_s as u16
                );
            }
        }
    }

    #[test]
    fn a_new_key_starts_at_five_and_loses_one_per_decay_time() {
        for minutes in [0, 255, 256, lfu_minutes(NOW_MS), u16::MAX] {
            for decay_minutes in [1, 3, 7] {
                let hint = lfu_new(minutes);
                let later = |periods| {
                    let minutes = minutes.wrapping_add(periods * decay_minutes as u16);
                    lfu_counter(hint, minutes, decay_minutes)
                };
                assert_eq!([0, 1, 2, 5, 6, 30].map(later), [5, 4, 3, 0, 0, 0]);
            }
        }
    }

    #[test]
    fn without_a_decay_time_nothing_is_lost() {
        assert_eq!(lfu_counter(lfu_new(0), 10_000, 0), 5);
    }

    #[test]
    fn a_key_that_is_sampled_does_not_look_fresh_again() {
        for decay_minutes in [1, 10] {
            let mut hint = lfu_hint(200, 0);
            for minutes in (0..3000).step_by(50) {
                let before = lfu_counter(hint, minutes, decay_minutes);
                hint = lfu_decayed(hint, minutes, decay_minutes);
                assert_eq!(lfu_counter(hint, minutes, decay_minutes), before);
                let expected =
                    200u8.saturating_sub((u32::from(minutes) / decay_minutes).min(200) as u8);
                assert_eq!(before, expected);
            }
        }
    }

    /// The table in redis.conf: counters after so many uses, by factor.
    #[test]
    fn the_counter_rises_as_redis_documents_it() {
        let documented = [
            (0, [104, 255, 255]),
            (1, [18, 49, 255]),
            (10, [10, 18, 142]),
            (100, [8, 11, 49]),
        ];
        for (log_factor, expected) in documented {
            for (uses, expected) in [100, 1000, 100_000].into_iter().zip(expected) {
                let mean = mean_counter(log_factor, uses);
                let tolerance = 2.0 + f64::from(expected) * 0.12;
                let off = (mean - f64::from(expected)).abs();
                assert!(
                    off <= tolerance,
                    "factor {log_factor}, {uses} uses: {mean}, not {expected}"
                );
            }
        }
    }

    fn mean_counter(log_factor: u32, uses: u32) -> f64 {
        let (rounds, mut state) = (8, 1u128);
        let mut sum = 0;
        for _ in 0..rounds {
            let mut hint = lfu_new(0);
            for _ in 0..uses {
                state = state
                    .wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645)
                    .wrapping_add(1);
                hint = lfu_touch(hint, 0, 1, log_factor, (state >> 64) as u64);
            }
            sum += u32::from(lfu_counter(hint, 0, 1));
        }
        f64::from(sum) / f64::from(rounds)
    }
}
