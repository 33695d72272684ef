//! When the phases of a request began and ended.

use std::time::Duration;

/// The parts of one exchange's time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// Waiting for a connection slot, plus looking_up, connecting and tls_handshaking.
    pub blocked: Duration,
    /// DNS; 0 when cached or an address.
    pub looking_up: Duration,
    /// TCP connect; 0 on reuse.
    pub connecting: Duration,
    /// TLS handshake; 0 on reuse.
    pub tls_handshaking: Duration,
    /// First byte written to last byte written.
    pub sending: Duration,
    /// Last byte written to first byte of the answer.
    pub waiting: Duration,
    /// First to last byte of the answer.
    pub receiving: Duration,
}

impl Timings {
    /// Returns sending + waiting + receiving.
    pub fn duration(&self) -> Duration {
        self.sending + self.waiting + self.receiving
    }

    /// Returns blocked + duration.
    pub fn total(&self) -> Duration {
        self.blocked + self.duration()
    }
}
