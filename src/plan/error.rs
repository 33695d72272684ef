//! What was wrong with a test's options, where it was set, and how to mend it.

use crate::units::nearest;

/// An option that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PlanError {
    /// Names the thing, the place and the remedy.
    pub message: String,
    /// The option's key at fault (`thresholds`, `scenarios.buy.max_vus`), to find its line.
    pub path: String,
}

impl PlanError {
    /// Makes an error about the option at `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { message: message.into(), path: path.into() }
    }
}

/// Returns `, did you mean ...?` if one of the candidates is near the name, or nothing.
pub(super) fn suggestion<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, candidates).map_or_else(String::new, |known| format!(", did you mean `{known}`?"))
}

/// Lists names in a sentence: `a`, `b` and `c`.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
