//! What a script may use.

use std::time::Duration;

use super::print;

/// What a script may use before its iteration ends with an error.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ScriptLimits {
    /// Bytes per VU.
    pub memory_bytes: usize,
    /// Script code without waiting.
    #[serde(serialize_with = "print::duration")]
    pub time: Duration,
    /// Script code without waiting after which the VU lets others run.
    #[serde(serialize_with = "print::duration")]
    pub slice: Duration,
    /// Nested calls.
    pub call_depth: usize,
    /// Bytes of one string.
    pub string_bytes: usize,
    /// Elements of one table, array or map.
    pub table_entries: usize,
    /// WebSockets that a VU may have open.
    pub sockets: usize,
    /// Bytes of one WebSocket message, unpacked.
    pub message_bytes: usize,
    /// Messages of one WebSocket that wait to be received; then nothing more is read.
    pub queued_messages: usize,
}

impl Default for ScriptLimits {
    /// 64 MiB per VU, and strings may be all of it; a second of script code, in slices of 2 ms so
    /// that the other VUs of the worker keep their schedule; 200 nested calls, which a VU's stack
    /// holds in both languages; a million elements, which are 16 MB of numbers in Luau; a thousand
    /// WebSockets with messages of 32 MiB, a thousand of which wait.
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            time: Duration::from_secs(1),
            slice: Duration::from_millis(2),
            call_depth: 200,
            string_bytes: 64 << 20,
            table_entries: 1_000_000,
            sockets: 1_000,
            message_bytes: 32 << 20,
            queued_messages: 1_000,
        }
    }
}

/// How Luau VUs share states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// 250 VUs to a state.
    Shared,
    /// A state each.
    State,
}
