//! A request as it is shown while a test is developed.

use std::time::Duration;

use crate::metrics::RequestSample;

/// A request that was answered, or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestSeen {
    /// `GET`
    pub method: String,
    /// What its figures stand under.
    pub name: String,
    /// 0 if there was no answer.
    pub status: u16,
    /// Why there was none; empty otherwise.
    pub error: String,
    /// Whether it was as expected; nothing if it was cut off.
    pub expected: Option<bool>,
    /// Waiting for a connection, or making it, down to TLS.
    pub connecting: Duration,
    /// Sending.
    pub sending: Duration,
    /// Waiting for the first byte.
    pub waiting: Duration,
    /// Receiving.
    pub receiving: Duration,
}

impl RequestSeen {
    /// Takes what is recorded of a request.
    pub(super) fn of(sample: &RequestSample<'_>) -> Self {
        let timings = &sample.timings;
        Self {
            method: sample.method.to_owned(),
            name: sample.name.to_owned(),
            status: sample.status,
            error: sample.error.to_owned(),
            expected: sample.expected,
            connecting: timings.blocked
                + timings.looking_up
                + timings.connecting
                + timings.tls_handshaking,
            sending: timings.sending,
            waiting: timings.waiting,
            receiving: timings.receiving,
        }
    }

    /// Returns the time from the first byte sent to the last received, as `http_req_duration` has it.
    pub fn duration(&self) -> Duration {
        self.sending + self.waiting + self.receiving
    }

    /// Returns the whole time, with that for the connection.
    pub fn total(&self) -> Duration {
        self.connecting + self.duration()
    }

    /// Returns its phases in their order: connecting, sending, waiting, receiving.
    pub fn phases(&self) -> [Duration; 4] {
        [self.connecting, self.sending, self.waiting, self.receiving]
    }
}
