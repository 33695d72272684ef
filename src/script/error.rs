//! A script's error as the author reads it: what, where, in which function.

use std::fmt;

use crate::api::{ErrorKind, Stop};

/// An error of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptError {
    /// How it is counted.
    pub kind: ScriptErrorKind,
    /// The language's or the call's own message, without place and stack.
    pub message: String,
    /// Where it happened, if it is known.
    pub location: Option<Location>,
    /// The script function that it happened in; empty at the top level.
    pub function: String,
    /// The script's calls, innermost first, as `name at file:line`; without frames of our own.
    pub stack: Vec<String>,
    /// What to do about it, if it is known.
    pub help: Option<String>,
}

/// How a script's error is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScriptErrorKind {
    /// It does not compile, or a module cannot be loaded.
    Load,
    /// An uncaught error.
    Uncaught(ErrorKind),
    /// Not an error of the script: it was ended from outside or by `kt.abort`.
    Stopped(Stop),
}

/// A place in a source file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Location {
    /// The file as the author knows it, relative to the script's folder: `checkout.luau`.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// In characters, from 1; 0 if it is not known.
    pub column: u32,
    /// How many characters to underline; at least 1.
    pub width: u32,
    /// The source line, without its end.
    pub source: String,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ScriptError {}
