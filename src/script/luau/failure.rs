//! Luau's errors as authors read them: place, function, words, advice.

use std::rc::Rc;

use mlua::Lua;

use super::chunks::{Chunks, PRELUDE};
use super::column;
use super::kit::Kit;
use super::meter::Raised;
use super::raw::from_lua;
use super::slot::{Frame, Slot};
use crate::api::{ErrorKind, Stop, Value};
use crate::script::syntax::tokens::{Dialect, Kind, tokens};
use crate::script::{Location, ScriptError, ScriptErrorKind, place};
use crate::units;

/// What Luau says when an allocation passes the limit.
const NO_MEMORY: &str = "not enough memory";

/// What the outermost frame without a name is called.
const TOP_LEVEL: &str = "top level";

/// Returns the text of an error that came through mlua, without tracebacks.
pub(super) fn plain(error: &mlua::Error) -> String {
    match error {
        mlua::Error::CallbackError { cause, .. } => plain(cause),
        mlua::Error::BadArgument { cause, pos, .. } => format!("argument {pos}: {}", plain(cause)),
        mlua::Error::MemoryError(_) => NO_MEMORY.to_owned(),
        mlua::Error::RuntimeError(text) => {
            text.split("\nstack traceback:").next().unwrap_or_default().to_owned()
        }
        mlua::Error::SyntaxError { message, .. } => message.clone(),
        mlua::Error::ExternalError(inner) => match inner.downcast_ref::<Raised>() {
            Some(raised) => raised.0.clone(),
            None => inner.to_string(),
        },
        other => other.to_string(),
    }
}

/// Returns whatever was raised as text, without calling the script's code.
pub(super) fn describe(lua: &Lua, kit: &Kit, value: &mlua::Value) -> String {
    match value {
        mlua::Value::String(text) => text.to_string_lossy(),
        mlua::Value::Error(error) => plain(error),
        mlua::Value::Nil => "nil".to_owned(),
        other => match from_lua(lua, kit, other) {
            Ok(Value::Object(object)) => object.describe(),
            Ok(value) => value.to_json().to_string(),
            Err(_) => format!("a {}", other.type_name()),
        },
    }
}

/// Returns the error of a script that was ended from outside.
pub(super) fn stopped(stop: Stop) -> ScriptError {
    let message = match stop {
        Stop::Cut => "the iteration was cut off",
        Stop::Abort => "the script ended the test",
        Stop::RanOut => "there is nothing left to iterate with",
    };
    bare(ScriptErrorKind::Stopped(stop), message.to_owned())
}

/// Returns an error without a place.
pub(super) fn bare(kind: ScriptErrorKind, message: String) -> ScriptError {
    ScriptError {
        kind,
        message,
        location: None,
        function: String::new(),
        stack: Vec::new(),
        help: None,
    }
}

/// Returns the error of a chunk that does not compile: `syntax` is `LINE: MESSAGE`.
pub(super) fn syntax(chunks: &Chunks, name: &Rc<str>, syntax: &str) -> ScriptError {
    let (line, message) = syntax.split_once(':').unwrap_or(("1", syntax));
    let message = message.trim_start();
    let line = line.trim().parse().unwrap_or(1);
    let mut error = bare(ScriptErrorKind::Load, lower_first(message));
    error.location = match unclosed(message) {
        // The end of the file says nothing: what is not closed does.
        Some((opened, word)) => {
            locate(chunks, name, opened, &format!("did you forget to close '{word}'"))
        }
        None => locate(chunks, name, line, &error.message),
    };
    error.help = advice(message, error.location.as_ref());
    error
}

/// Returns the line and the word of the block that a syntax error takes for unclosed.
fn unclosed(message: &str) -> Option<(u32, &str)> {
    let guess = message.split_once("did you forget to close '");
    let (_, rest) = match guess {
        Some(found) => found,
        None if message.contains("got <eof>") => message.split_once("(to close '")?,
        None => return None,
    };
    let (word, rest) = rest.split_once("' at line ")?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    Some((rest[..digits].parse().ok()?, word))
}

/// Returns the error of a call that hit a limit.
pub(super) fn tripped(kit: &Kit, slot: &Slot) -> Option<ScriptError> {
    let trip = slot.trip.borrow().clone()?;
    let mut error = bare(ScriptErrorKind::Uncaught(trip.kind), trip.message);
    locate_in(kit, &mut error, None, &trip.frames);
    error.help = limit_help(trip.kind);
    Some(error)
}

/// Returns the error that a call ended with.
pub(super) fn raised(lua: &Lua, kit: &Kit, slot: &Slot, value: &mlua::Value) -> ScriptError {
    let text = describe(lua, kit, value);
    let mut trace = slot.trace_of(&text);
    let mut rest = text.as_str();
    let mut spot = None;
    // An error that is raised again gets another place before it; the last is where it began.
    while let Some((chunk, line, after)) = kit.chunks.split_place(rest) {
        if kit.chunks.is_author(&chunk) {
            spot = Some((chunk, line));
        }
        rest = after;
    }
    let kind = slot.kind_of(&text).unwrap_or_else(|| kind_of(rest));
    let message = match kind {
        ScriptErrorKind::Uncaught(ErrorKind::Memory) => kit.memory_message(),
        _ => reworded(rest),
    };
    if kind == ScriptErrorKind::Load && spot.is_some() {
        // It lies in a module, not in the call that loads it.
        trace.retain(|frame| spot.as_ref().is_some_and(|(chunk, _)| *frame.chunk == **chunk));
    }
    let mut error = bare(kind, message);
    locate_in(kit, &mut error, spot, &trace);
    error.help = match kind {
        ScriptErrorKind::Uncaught(kind) if limit_help(kind).is_some() => limit_help(kind),
        _ => advice(&error.message, error.location.as_ref())
            .or_else(|| misspelt(kit, &error.message, error.location.as_ref()?)),
    };
    error
}

/// Gives an entry function that has no name of its own the one that it was called by.
pub(super) fn name_entry(mut error: ScriptError, name: &str) -> ScriptError {
    if let Some(last) = error.stack.last_mut()
        && let Some(rest) = last.strip_prefix(TOP_LEVEL)
    {
        *last = format!("{name}{rest}");
    }
    if error.function.is_empty() && error.location.is_some() {
        name.clone_into(&mut error.function);
    }
    error
}

/// Fills in place, function and stack.
fn locate_in(kit: &Kit, error: &mut ScriptError, spot: Option<(Rc<str>, u32)>, trace: &[Frame]) {
    let top = trace.first().map(|frame| (Rc::from(frame.chunk.as_str()), frame.line));
    let Some((chunk, line)) = spot.or(top) else { return };
    let at = trace.iter().position(|frame| *frame.chunk == *chunk && frame.line == line);
    let trace = &trace[at.unwrap_or(0)..];
    error.function = trace
        .iter()
        .find(|frame| !frame.function.is_empty())
        .filter(|_| at.is_some())
        .map(|frame| frame.function.clone())
        .unwrap_or_default();
    let last = trace.len().saturating_sub(1);
    error.stack = trace
        .iter()
        .enumerate()
        .map(|(index, frame)| {
            let name = match frame.function.as_str() {
                "" if index == last => TOP_LEVEL,
                "" => "anonymous function",
                name => name,
            };
            format!("{name} at {}:{}", frame.chunk, frame.line)
        })
        .collect();
    error.location = locate(&kit.chunks, &chunk, line, &error.message);
}

/// Finds the place in a line that a message speaks of.
fn locate(chunks: &Chunks, name: &str, line: u32, message: &str) -> Option<Location> {
    let chunk = chunks.get(name)?;
    let index = line.saturating_sub(1) as usize;
    let source = chunk.text.lines().nth(index).unwrap_or_default().trim_end().to_owned();
    let (column, width) = column::find(&source, message);
    if let Some(spot) = place::argument(&chunk.text, line, column, message) {
        let source = chunk.text.lines().nth(spot.line as usize - 1).unwrap_or_default();
        return Some(Location {
            file: name.to_owned(),
            line: spot.line,
            column: spot.column,
            width: spot.width,
            source: source.trim_end().to_owned(),
        });
    }
    Some(Location { file: name.to_owned(), line, column, width, source })
}

/// Libraries and functions that every script has.
pub(in crate::script) const GLOBALS: &[&str] = &[
    "assert",
    "bit32",
    "buffer",
    "collectgarbage",
    "coroutine",
    "error",
    "getmetatable",
    "ipairs",
    "math",
    "next",
    "pairs",
    "pcall",
    "print",
    "rawequal",
    "rawget",
    "rawlen",
    "rawset",
    "require",
    "select",
    "setmetatable",
    "string",
    "table",
    "tonumber",
    "tostring",
    "type",
    "typeof",
    "unpack",
    "utf8",
    "vector",
    "xpcall",
];

/// Returns advice on a name that nothing was ever assigned to, if another is near.
fn misspelt(kit: &Kit, message: &str, location: &Location) -> Option<String> {
    if !message.starts_with("attempt to call a nil") && !message.starts_with("attempt to index nil")
    {
        return None;
    }
    let from = location.column.saturating_sub(1) as usize;
    let name: String = location
        .source
        .chars()
        .skip(from)
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    let text = kit.chunks.get(&location.file)?.text;
    let (tokens, _) = tokens(&text, Dialect::Luau)?;
    let mut known: Vec<&str> = GLOBALS.to_vec();
    let mut before = "";
    for token in &tokens {
        let declared = matches!(before, "local" | "function" | "for");
        if token.kind == Kind::Name && (declared || matches!(before, "," | "(")) {
            if token.text != name {
                known.push(token.text);
            } else if declared {
                // It is there: its value is what is wrong.
                return None;
            }
        }
        before = token.text;
    }
    units::nearest(&name, known).map(|near| format!("did you mean `{near}`?"))
}

fn kind_of(message: &str) -> ScriptErrorKind {
    ScriptErrorKind::Uncaught(if message.starts_with(NO_MEMORY) {
        ErrorKind::Memory
    } else if message.starts_with("stack overflow") || message.contains("C stack overflow") {
        ErrorKind::Stack
    } else {
        ErrorKind::Script
    })
}

/// Returns Luau's words in ours where theirs say too little.
fn reworded(message: &str) -> String {
    if message.starts_with("attempt to modify a readonly table") {
        return "attempt to modify a read-only table: setup data is read-only, and so are modules \
                and libraries"
            .to_owned();
    }
    if message.starts_with("attempt to yield across metamethod/C-call boundary") {
        return "cannot wait or yield inside a metamethod, a table.sort comparator or a \
                string.gsub callback"
            .to_owned();
    }
    message.trim().replace(&format!("{PRELUDE}:"), "")
}

fn limit_help(kind: ErrorKind) -> Option<String> {
    let text = match kind {
        ErrorKind::Time => {
            "script code ran too long between two waits: shorten the loop, wait inside it \
             (kt.sleep), or raise the limit `time`"
        }
        ErrorKind::Memory => {
            "keep less in variables that live long, ask for `response = \"none\"` where bodies are \
             not needed, or raise the limit `memory`; this VU starts anew"
        }
        ErrorKind::Stack => "a function calls itself without end",
        _ => return None,
    };
    Some(text.to_owned())
}

/// Names of modules that authors forget to load.
const MODULES: [&str; 20] = [
    "ethereum",
    "solana",
    "http",
    "ws",
    "rpc",
    "metrics",
    "data",
    "shared",
    "mix",
    "json",
    "encoding",
    "crypto",
    "random",
    "time",
    "html",
    "profiles",
    "fake",
    "slo",
    "postgrest",
    "k6",
];

/// Returns advice on a name that is not there, but that many expect.
pub(in crate::script) fn advice_on_name(name: &str) -> Option<String> {
    if name == "kt" {
        return Some("`kt` is not loaded: local kt = require(\"@kingtide\")".to_owned());
    }
    if MODULES.contains(&name) {
        return Some(format!(
            "`{name}` is not loaded: local {name} = require(\"@kingtide/{name}\")"
        ));
    }
    match name {
        "os" | "io" | "debug" | "package" => Some(format!(
            "scripts have no `{name}`: time is in @kingtide/time, files in @kingtide/data"
        )),
        "loadstring" | "load" | "dofile" => {
            Some("scripts cannot compile text; use require(\"./file\")".to_owned())
        }
        "sleep" | "check" | "group" | "fail" => {
            Some(format!("call it as kt.{name}, with local kt = require(\"@kingtide\")"))
        }
        _ => None,
    }
}

/// Returns advice on common mistakes.
fn advice(message: &str, location: Option<&Location>) -> Option<String> {
    let source = location.map_or("", |location| location.source.as_str());
    let spot: String = location.map_or_else(String::new, |location| {
        let from = location.column.saturating_sub(1) as usize;
        source.chars().skip(from).take(location.width as usize).collect()
    });
    if message.contains("call it with `.`, not `:`") {
        return Some("functions of modules take no self: write a dot".to_owned());
    }
    if message.starts_with("attempt to index nil with")
        || message.starts_with("attempt to call a nil")
    {
        return advice_on_name(spot.split(['.', ':', '[']).next().unwrap_or_default());
    }
    if message.starts_with("attempt to modify a read-only table") {
        return Some("copy it first: local copy = table.clone(t)".to_owned());
    }
    if message.starts_with("cannot wait or yield") {
        return Some("make the call before, and use its result there".to_owned());
    }
    if message.contains("!=") || message.contains("'!'") {
        return Some("\"not equal\" is ~= in Luau".to_owned());
    }
    None
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
