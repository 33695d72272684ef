//! The only source of time: everything else asks here, so that tests can drive it.
//!
//! Inside a runtime whose time is paused ([`tokio::time::pause`]) the monotonic clock is the
//! runtime's virtual one.

use std::time::SystemTime;

pub use self::timer::ArrivalTimer;

mod timer;

/// A reading of the monotonic clock.
pub type Instant = tokio::time::Instant;

/// Returns the monotonic time.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads it")]
pub fn now() -> Instant {
    Instant::now()
}

/// Returns the wall-clock time, for stamps and names; never for measuring.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads it")]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// Returns the CPU time of the calling thread.
pub fn thread_cpu() -> std::time::Duration {
    cpu(rustix::time::ClockId::ThreadCPUTime)
}

/// Returns the CPU time of the process.
pub fn process_cpu() -> std::time::Duration {
    cpu(rustix::time::ClockId::ProcessCPUTime)
}

fn cpu(clock: rustix::time::ClockId) -> std::time::Duration {
    let time = rustix::time::clock_gettime(clock);
    std::time::Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
