//! SIGINT and SIGTERM: the first asks, the second insists, the third ends at once.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that stop a run.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    count: u32,
}

impl Signals {
    /// Listens from now on. Needs a runtime.
    ///
    /// # Errors
    /// If the system does not let it.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            count: 0,
        })
    }

    /// Waits for the next signal and returns how many there have been. Safe to cancel.
    pub async fn next(&mut self) -> u32 {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        self.count += 1;
        self.count
    }
}
