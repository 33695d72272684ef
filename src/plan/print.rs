//! How a plan's values look when it is printed as JSON.

use std::time::Duration;

use serde::Serializer;

use crate::units::format_duration;

/// Writes a duration as people write it.
pub(super) fn duration<S: Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_duration(*duration))
}
