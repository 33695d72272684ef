//! JSON-RPC 2.0 without a transport: how calls are written, and which answer is whose.
//!
//! Nothing here waits or sends. [`encode`] and [`encode_batch`] write what a transport carries;
//! [`read`] takes a document apart without building what it holds, [`answer_to`] and [`answers_to`] say
//! what came of each call. After <https://www.jsonrpc.org/specification>, with the leniency
//! that real servers need: the member `jsonrpc` is not judged.

use std::borrow::Cow;
use std::fmt;

pub use self::decode::{AnswerId, Document, Message, read, subscribed};
pub use self::encode::{Outgoing, encode, encode_batch};
pub use self::matching::{answer_to, answers_to, error_without_call};

mod decode;
mod encode;
mod matching;

/// What tells one call from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Id {
    /// A whole number.
    Number(i64),
    /// Text, which is another id than the number that it shows.
    Text(Box<str>),
}

/// What came of a call. Texts are parts of the document that was read, as they stood there.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome<'a> {
    /// The result, as JSON.
    Result(&'a str),
    /// The server's error.
    Error(RpcError<'a>),
    /// There is no answer to this call that could be believed.
    Broken(Problem),
}

/// The member `error` of an answer (section 5.1).
#[derive(Debug, Clone, PartialEq)]
pub struct RpcError<'a> {
    /// Nothing if the server gives none that is a whole number.
    pub code: Option<i64>,
    /// The error itself, as JSON, if it has no message.
    pub message: Cow<'a, str>,
    /// The member `data`, as JSON.
    pub data: Option<&'a str>,
}

/// Why there is no answer that could be believed. The texts are few, so that they can be tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// No answer has the call's id.
    NoAnswer,
    /// What came is not JSON.
    NotJson,
    /// What came is JSON, but no answer: it has neither result nor error, or a member twice.
    Invalid,
    /// The only answer has another id.
    WrongId,
    /// More answers have the call's id than calls.
    Duplicate,
}

impl Problem {
    /// Returns the problem in a few words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoAnswer => "no answer",
            Self::NotJson => "not json",
            Self::Invalid => "invalid answer",
            Self::WrongId => "wrong id",
            Self::Duplicate => "duplicate answer",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
