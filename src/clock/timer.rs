//! A timer for arrivals, finer than tokio's wheel.
//!
//! tokio's timers fire on whole milliseconds, half a millisecond late at the median and a whole one
//! at the 99th percentile. A `timerfd` in the same runtime is 20 to 60 µs late. Wake-ups are spread
//! by at least [`COALESCE`], so that ten thousand arrivals a second do not cost as many wake-ups.

use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;

use super::Instant;

/// Least time between two wake-ups: at high rates several arrivals share one.
pub(super) const COALESCE: Duration = Duration::from_micros(100);

/// Wakes an arrival driver when its next arrival is due.
#[derive(Debug)]
pub struct ArrivalTimer {
    /// `None` where time is simulated or the system gives no timer: tokio's wheel serves then.
    timer: Option<AsyncFd<std::os::fd::OwnedFd>>,
    last_wake: Option<Instant>,
}

impl ArrivalTimer {
    /// Returns a timer of the system.
    pub fn new() -> Self {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).ok();
        #[expect(deprecated, reason = "an owned descriptor cannot be closed under it")]
        let timer = timer.and_then(|fd| AsyncFd::new(fd).ok());
        Self { timer, last_wake: None }
    }

    /// Returns a timer that follows the runtime's clock, for simulated time.
    pub const fn simulated() -> Self {
        Self { timer: None, last_wake: None }
    }

    /// Waits until a time. May return up to [`COALESCE`] late if the last wake-up was just before.
    ///
    /// Cancelling it is safe: the next call sets the timer anew.
    pub async fn wait_until(&mut self, time: Instant) {
        let now = super::now();
        if time <= now {
            return;
        }
        let Some(timer) = &self.timer else {
            tokio::time::sleep_until(time).await;
            return;
        };
        let wake = match self.last_wake {
            Some(last) => time.max(last + COALESCE),
            None => time,
        };
        let left = wake.saturating_duration_since(now).max(Duration::from_nanos(1));
        let spec = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec {
                tv_sec: left.as_secs() as i64,
                tv_nsec: i64::from(left.subsec_nanos()),
            },
        };
        if timerfd_settime(timer, TimerfdTimerFlags::empty(), &spec).is_err() {
            tokio::time::sleep_until(wake).await;
            return;
        }
        if let Ok(mut ready) = timer.readable().await {
            let mut expirations = [0_u8; 8];
            // Only readiness matters; a spurious one makes the caller look at the clock and return.
            let _count = rustix::io::read(timer.get_ref(), &mut expirations);
            ready.clear_ready();
        }
        self.last_wake = Some(super::now());
    }
}

impl Default for ArrivalTimer {
    fn default() -> Self {
        Self::new()
    }
}
