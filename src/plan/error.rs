//! What was wrong with a test's options, where it was set, and how to mend it.

/// An option that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PlanError {
    /// Names the thing, the place and the remedy.
    pub message: String,
    /// The option's key at fault (`thresholds`, `scenarios.buy.max_vus`), to find its line.
    pub path: String,
}
