//! What one source of options sets, and how sources are merged.

/// Optional settings of one source.
#[derive(Debug, Clone, Default, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {}
