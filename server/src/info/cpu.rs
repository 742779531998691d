//! `# CPU`: processor time used.

use std::fmt::{self, Display};

use super::fields;
use crate::os::usage::{Whose, cpu_time};

fields! { f =>
    "used_cpu_sys" = Seconds(cpu_time(Whose::Process).system_us),
    "used_cpu_user" = Seconds(cpu_time(Whose::Process).user_us),
    "used_cpu_sys_children" = Seconds(cpu_time(Whose::Children).system_us),
    "used_cpu_user_children" = Seconds(cpu_time(Whose::Children).user_us),
    "used_cpu_sys_main_thread" = Seconds(cpu_time(Whose::Thread).system_us),
    "used_cpu_user_main_thread" = Seconds(cpu_time(Whose::Thread).user_us),
    "used_active_time_main_thread" = Seconds(f.server.loops[0].stats.eventloop_ns.get() / 1000),
}

/// Microseconds as `seconds.micros`.
struct Seconds(u64);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}
