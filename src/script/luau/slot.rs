//! A VU's place in a Lua state: what calls from its script find, and what is counted to it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use mlua::{Lua, Table};

use super::chunks::Chunks;
use crate::api::{ApiError, ErrorKind, Value, VuContext, Wait};
use crate::clock::Instant;
use crate::script::ScriptErrorKind;

/// Most frames that are kept of a stack.
const FRAMES: usize = 24;

/// Most levels that are looked at for them.
const LEVELS: usize = 200;

/// Most raised errors whose kinds are remembered.
const RAISED: usize = 8;

/// A VU's place in a Lua state.
pub(super) struct Slot {
    /// The VU.
    pub(super) vu: Rc<VuContext>,
    /// Its memory category in the state, from 1.
    pub(super) category: u8,
    /// Its globals.
    pub(super) globals: Table,
    /// The coroutine that its calls run in, by address.
    pub(super) thread: Cell<usize>,
    /// What its coroutine waits for.
    pub(super) wait: RefCell<Option<Wait>>,
    /// What its call came to, on the way into the coroutine.
    pub(super) answer: RefCell<Option<Result<Value, ApiError>>>,
    /// What the script returned: its functions. Nothing while it loads.
    pub(super) test: RefCell<Option<Table>>,
    /// Bytes that its objects hold natively.
    pub(super) held: Rc<Cell<usize>>,
    /// Bytes at which the state is collected for it.
    pub(super) watermark: Cell<usize>,
    /// Modules by chunk name; `None` while one is being loaded.
    pub(super) modules: RefCell<BTreeMap<Rc<str>, Option<mlua::Value>>>,
    /// Script time since the last wait, up to the last slice's end.
    pub(super) spent: Cell<Duration>,
    /// When the limits were first checked in this slice.
    pub(super) started: Cell<Option<Instant>>,
    /// Whether the last check ended the slice.
    pub(super) sliced: Cell<bool>,
    /// The limit that ended the call.
    pub(super) trip: RefCell<Option<Trip>>,
    /// Where the last error was raised.
    trace: RefCell<Option<(String, Vec<Frame>)>>,
    /// Kinds of raised errors, by message: the script sees text alone.
    raised: RefCell<Vec<(String, ScriptErrorKind)>>,
}

/// A limit that was hit.
#[derive(Debug, Clone)]
pub(super) struct Trip {
    /// Which.
    pub(super) kind: ErrorKind,
    /// What to say.
    pub(super) message: String,
    /// Where.
    pub(super) frames: Vec<Frame>,
}

/// A call of the author's code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    /// The chunk.
    pub(super) chunk: String,
    /// From 1.
    pub(super) line: u32,
    /// Empty at the top level or without a name.
    pub(super) function: String,
}

impl Slot {
    /// Returns a place for a VU.
    pub(super) fn new(vu: Rc<VuContext>, category: u8, globals: Table, limit: usize) -> Self {
        Self {
            vu,
            category,
            globals,
            thread: Cell::new(0),
            wait: RefCell::default(),
            answer: RefCell::default(),
            test: RefCell::default(),
            held: Rc::default(),
            watermark: Cell::new(limit / 2),
            modules: RefCell::default(),
            spent: Cell::default(),
            started: Cell::default(),
            sliced: Cell::default(),
            trip: RefCell::default(),
            trace: RefCell::default(),
            raised: RefCell::default(),
        }
    }

    /// Forgets what belonged to the last call.
    pub(super) fn begin(&self) {
        self.spent.set(Duration::ZERO);
        self.wait.replace(None);
        self.answer.replace(None);
        if self.trip.borrow().is_some() {
            self.trip.replace(None);
        }
        if self.trace.borrow().is_some() {
            self.trace.replace(None);
        }
        if !self.raised.borrow().is_empty() {
            self.raised.borrow_mut().clear();
        }
    }

    /// Remembers the kind of an error that is about to be raised as text.
    pub(super) fn note(&self, message: &str, kind: ScriptErrorKind) {
        if kind == ScriptErrorKind::Uncaught(ErrorKind::Script) {
            return;
        }
        let mut raised = self.raised.borrow_mut();
        if raised.len() == RAISED {
            raised.remove(0);
        }
        raised.push((message.to_owned(), kind));
    }

    /// Returns the kind of an error by its text, which may have places before it.
    pub(super) fn kind_of(&self, text: &str) -> Option<ScriptErrorKind> {
        let raised = self.raised.borrow();
        raised.iter().rev().find(|(message, _)| text.ends_with(message.as_str())).map(|r| r.1)
    }

    /// Keeps the stack of an error, unless it is one that is being raised again.
    pub(super) fn keep_trace(&self, text: String, frames: Vec<Frame>) {
        let mut trace = self.trace.borrow_mut();
        if trace.as_ref().is_none_or(|(known, _)| *known != text) {
            *trace = Some((text, frames));
        }
    }

    /// Returns the stack of an error by its text.
    pub(super) fn trace_of(&self, text: &str) -> Vec<Frame> {
        match &*self.trace.borrow() {
            Some((known, frames)) if known == text => frames.clone(),
            _ => Vec::new(),
        }
    }
}

/// Returns the author's frames of the coroutine that runs, innermost first.
pub(super) fn frames(lua: &Lua, chunks: &Chunks) -> Vec<Frame> {
    frames_by(chunks, |level| {
        lua.inspect_stack(level, |debug| {
            let source = debug.source().source.map(std::borrow::Cow::into_owned);
            let line = debug.current_line().unwrap_or(0) as u32;
            let function = debug.names().name.map(std::borrow::Cow::into_owned);
            (source.unwrap_or_default(), line, function.unwrap_or_default())
        })
    })
}

/// Returns the author's frames among calls: source with its mark, line and function by level.
pub(super) fn frames_by(
    chunks: &Chunks,
    call_at: impl Fn(usize) -> Option<(String, u32, String)>,
) -> Vec<Frame> {
    let calls = (0..LEVELS).map_while(call_at);
    let author = calls.filter_map(|(source, line, function)| {
        let chunk = source.strip_prefix('=').filter(|name| chunks.is_author(name))?.to_owned();
        Some(Frame { chunk, line, function })
    });
    author.take(FRAMES).collect()
}

/// Returns the chunk, ours or the author's, whose code calls the native function that runs.
pub(super) fn caller(lua: &Lua, chunks: &Chunks) -> Option<Rc<str>> {
    (0..LEVELS).find_map(|level| {
        lua.inspect_stack(level, |debug| {
            let source = debug.source();
            let name = source.source.as_deref().and_then(|name| name.strip_prefix('='))?;
            chunks.get(name).map(|_| Rc::from(name))
        })?
    })
}
