//! What went wrong with an exchange, with k6's error codes.

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ProtocolError {
    /// What callers branch on.
    pub kind: ErrorKind,
    /// Short, lower case, without addresses and ports, so that it can be a tag.
    pub message: String,
}

/// The kinds of errors; [`ErrorKind::code`] is k6's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Not one of the others.
    Other,
    /// Cut off because the test or the iteration ended.
    Cut,
}
