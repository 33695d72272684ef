//! Errors of scripts, folded: each kind once, with how often it happened.

use std::cell::RefCell;

use indexmap::IndexMap;

use crate::api::VuContext;
use crate::script::ScriptError;

/// Most kinds of errors that one worker tells apart in an interval.
const ROWS_MAX: usize = 1_000;

/// An error of a script, with how often it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorRow {
    /// The error as it was first seen.
    pub error: ScriptError,
    /// Where it was first seen: scenario (empty outside), VU, iteration.
    pub first: (String, u64, u64),
    /// How often it happened.
    pub count: u64,
}

/// The errors of one interval.
#[derive(Debug, Default)]
pub(super) struct Errors {
    rows: RefCell<IndexMap<String, ErrorRow>>,
}

impl Errors {
    /// Counts an error.
    pub(super) fn add(&self, error: &ScriptError, vu: &VuContext) {
        let mut rows = self.rows.borrow_mut();
        let key = key(error);
        if let Some(row) = rows.get_mut(&key) {
            row.count += 1;
            return;
        }
        let mut error = error.clone();
        let key = if rows.len() < ROWS_MAX {
            key
        } else {
            // Messages with a number in them could be without end.
            "other errors".clone_into(&mut error.message);
            error.location = None;
            error.message.clone()
        };
        let scenario = vu.scenario.borrow().as_ref().map_or_else(String::new, |s| s.name.clone());
        let first = (scenario, vu.id, vu.iteration.in_vu.get());
        rows.entry(key).or_insert(ErrorRow { error, first, count: 0 }).count += 1;
    }

    /// Takes the errors since the last time.
    pub(super) fn take(&self) -> Vec<ErrorRow> {
        self.rows.take().into_values().collect()
    }
}

/// Returns what makes two errors the same: kind, message and place.
pub fn key(error: &ScriptError) -> String {
    let place = error.location.as_ref();
    let place =
        place.map_or_else(String::new, |at| format!("{}:{}:{}", at.file, at.line, at.column));
    format!("{:?}\n{}\n{place}", error.kind, error.message)
}
