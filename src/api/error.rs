//! Errors that a call raises in the script.

use std::fmt;

/// What kind of error ended an iteration: the tag `kind` of `iteration_errors`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// The script's own mistake, or a call that it made wrongly.
    Script,
    /// `kt.fail(message)`.
    Fail,
    /// A request that failed with `throw`.
    Request,
    /// More script time without waiting than allowed.
    Time,
    /// More memory than allowed.
    Memory,
    /// Calls nested deeper than allowed.
    Stack,
    /// A string, table or body larger than allowed.
    Size,
}

impl ErrorKind {
    /// Returns the tag's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Script => "script",
            Self::Fail => "fail",
            Self::Request => "request",
            Self::Time => "time",
            Self::Memory => "memory",
            Self::Stack => "stack",
            Self::Size => "size",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error that a call raises in the script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// How it is counted if the script does not catch it.
    pub kind: ErrorKind,
    /// Names the thing, the place and the remedy.
    pub message: String,
}

impl ApiError {
    /// Returns an error of a call that the script made wrongly.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Script, message: message.into() }
    }

    /// Returns an error of another kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}
