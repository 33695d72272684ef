//! Errors as authors read them: what Rhai raises, in plain words, with place, stack and remedy.

use rhai::{Dynamic, EvalAltResult, GlobalRuntimeState, ParseErrorType, Position};

use super::advice;
use super::current::Ending;
use super::failure::Failure;
use super::library::Library;
use super::value::{from_dynamic, readable_type};
use super::{ScriptError, ScriptErrorKind};
use crate::api::{ApiError, ErrorKind, Stop, Value};
use crate::plan::ScriptLimits;
use crate::script::Location;
use crate::units;

/// What is known about a script when it fails.
pub(super) struct Explain<'a> {
    pub(super) library: &'a Library,
    /// The entry's name.
    pub(super) entry: &'a str,
    /// What the top level left, if it ran.
    pub(super) global: Option<&'a GlobalRuntimeState>,
    /// Why the call was ended, if it was.
    pub(super) ending: Option<(Ending, ScriptLimits)>,
}

/// Where in the script's calls an error happened.
struct Trace {
    file: String,
    function: String,
    position: Position,
    /// Outermost first: the calling function, its file and the place of the call.
    calls: Vec<(String, String, Position)>,
}

/// What an error says.
pub(super) struct Text {
    kind: ScriptErrorKind,
    message: String,
    help: Option<String>,
}

impl Text {
    /// Returns an error of the script itself.
    pub(super) fn script(message: impl Into<String>) -> Self {
        Self {
            kind: ScriptErrorKind::Uncaught(ErrorKind::Script),
            message: message.into(),
            help: None,
        }
    }

    /// Adds a remedy.
    pub(super) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Explain<'_> {
    /// Explains an error of the top level or of a call.
    pub(super) fn error(&self, error: &EvalAltResult, top_level: bool) -> ScriptError {
        let (mut trace, inner) = self.trace(error, top_level);
        if !matches!(inner, EvalAltResult::ErrorParsing(..)) {
            self.leave_shipped(&mut trace);
        }
        let text = match &self.ending {
            Some((ending, limits)) => ended(*ending, limits),
            None => self.text(inner),
        };
        let mut stack: Vec<String> = Vec::new();
        if !trace.function.is_empty() || !trace.calls.is_empty() {
            let mut place = trace.position;
            let mut frames = trace.calls.iter().rev();
            let mut frame = Some((&trace.function, &trace.file));
            while let Some((function, file)) = frame {
                let name = if function.is_empty() { "the top level" } else { function };
                stack.push(match place.line() {
                    Some(line) => format!("{name} at {file}:{line}"),
                    None => name.to_owned(),
                });
                frame = frames.next().map(|(function, file, position)| {
                    place = *position;
                    (function, file)
                });
            }
        }
        let mut location = self.location(&trace.file, trace.position);
        let mut help = text.help;
        if let (Some(at), Some(file)) = (&mut location, self.library.file(&trace.file)) {
            advice::refine(inner, &text.message, &file.text, at, &mut help);
        }
        ScriptError {
            kind: text.kind,
            message: text.message,
            location,
            function: trace.function,
            stack,
            help,
        }
    }

    /// Explains a call that was ended although the script seemed to return.
    pub(super) fn ended(&self) -> ScriptError {
        let ended_at = Position::NONE;
        self.error(&EvalAltResult::ErrorTerminated(Dynamic::UNIT, ended_at), true)
    }

    /// Explains a top level that returned before its end.
    pub(super) fn early_return(&self) -> ScriptError {
        let message = "the script's top level must run to its end, without `return` or `exit`";
        let error = Failure::load(message, Position::NONE);
        self.error(&error, true)
    }

    /// Explains an answer that cannot leave the script.
    pub(super) fn answer(&self, function: &str, error: &ApiError) -> ScriptError {
        let message = format!("what {function}() returned cannot be used: {}", error.message);
        let error = Failure::raise(ApiError::new(error.kind, message), Position::NONE);
        let mut error = self.error(&error, true);
        function.clone_into(&mut error.function);
        error
    }

    /// Follows an error to where it happened. Rhai wraps it once per call: with the called
    /// function, that function's file, and the place of the call in the caller.
    fn trace<'e>(&self, error: &'e EvalAltResult, top_level: bool) -> (Trace, &'e EvalAltResult) {
        let mut trace = Trace {
            file: self.entry.to_owned(),
            function: String::new(),
            position: Position::NONE,
            calls: Vec::new(),
        };
        let mut error = error;
        let mut host_calls = !top_level;
        loop {
            let (function, file, inner, position) = match error {
                EvalAltResult::ErrorInFunctionCall(name, source, inner, position) => {
                    let file = if source.is_empty() { trace.file.clone() } else { source.clone() };
                    if !self.is_script_function(&file, name) {
                        // A native such as `map` that was given a closure.
                        if !position.is_none() {
                            trace.position = *position;
                        }
                        error = inner;
                        continue;
                    }
                    (function_name(name), file, inner, *position)
                }
                EvalAltResult::ErrorInModule(name, inner, position) => {
                    (String::new(), name.clone(), inner, *position)
                }
                _ => break,
            };
            let place = if position.is_none() { trace.position } else { position };
            let caller = std::mem::replace(&mut trace.function, function);
            let from = std::mem::replace(&mut trace.file, file);
            if host_calls {
                host_calls = false;
            } else {
                trace.calls.push((caller, from, place));
            }
            trace.position = Position::NONE;
            error = inner;
        }
        if !error.position().is_none() {
            trace.position = error.position();
        } else if trace.position.is_none()
            && let Some(file) = self.library.file(&trace.file)
            && let Some(known) = file.functions.iter().find(|known| known.name == trace.function)
        {
            trace.position = known.start;
        }
        (trace, error)
    }

    /// Goes back from what is shipped to the author's call of it: that is what the author can mend.
    fn leave_shipped(&self, trace: &mut Trace) {
        while self.library.is_shipped(&trace.file)
            && let Some((function, file, position)) = trace.calls.pop()
        {
            (trace.function, trace.file, trace.position) = (function, file, position);
        }
    }

    fn is_script_function(&self, file: &str, name: &str) -> bool {
        name.starts_with("anon$")
            || self
                .library
                .file(file)
                .is_some_and(|file| file.functions.iter().any(|known| known.name == name))
    }

    fn location(&self, file: &str, position: Position) -> Option<Location> {
        let line = position.line()?;
        let text = self.library.file(file)?;
        let source = text.text.lines().nth(line - 1).unwrap_or_default().to_owned();
        let mut column = position.position().unwrap_or(0);
        if column > 0 && source.chars().nth(column - 1) == Some('.') {
            // Rhai points at the dot of a field.
            column += 1;
        }
        Some(Location {
            file: file.to_owned(),
            line: line as u32,
            column: column as u32,
            width: width(&source, column),
            source,
        })
    }

    fn text(&self, error: &EvalAltResult) -> Text {
        match error {
            EvalAltResult::ErrorRuntime(value, _) => thrown(value),
            EvalAltResult::ErrorParsing(error, _) => syntax(error),
            EvalAltResult::ErrorFunctionNotFound(signature, _) => self.no_function(signature),
            EvalAltResult::ErrorVariableNotFound(name, _) => self.no_variable(name),
            EvalAltResult::ErrorModuleNotFound(name, _) => self.no_module(name),
            EvalAltResult::ErrorDataTooLarge(what, _) => Text {
                kind: ScriptErrorKind::Uncaught(ErrorKind::Size),
                message: format!("{} is over the limit", lower_first(what)),
                help: Some("keep less in one value, or raise the limit".to_owned()),
            },
            EvalAltResult::ErrorStackOverflow(_) => stack_overflow(),
            EvalAltResult::ErrorTooManyVariables(_) => Text {
                kind: ScriptErrorKind::Uncaught(ErrorKind::Size),
                message: "a function has too many variables".to_owned(),
                help: None,
            },
            EvalAltResult::ErrorArithmetic(message, _) => Text::script(lower_first(message)),
            EvalAltResult::ErrorDotExpr(message, _) => dot(message),
            EvalAltResult::ErrorMismatchDataType(wanted, got, _)
            | EvalAltResult::ErrorMismatchOutputType(wanted, got, _) => {
                let (wanted, got) = (readable_type(wanted), readable_type(got));
                Text::script(match wanted {
                    "" => format!("{got} does not fit here"),
                    wanted => format!("expected {wanted}, got {got}"),
                })
            }
            EvalAltResult::ErrorAssignmentToConstant(name, _) => {
                Text::script(format!("`{name}` is a constant and cannot be changed"))
            }
            EvalAltResult::ErrorFor(_) => Text::script("`for` cannot iterate over this value"),
            EvalAltResult::ErrorIndexingType(kinds, _) => {
                let (value, index) = kinds.split_once(" [").unwrap_or((kinds, ""));
                Text::script(format!(
                    "{} has no elements to read by {}",
                    readable_type(value),
                    readable_type(index.trim_end_matches(']'))
                ))
            }
            other => {
                let message = other.to_string();
                let message = match message.rfind(" (line ") {
                    Some(end) => &message[..end],
                    None => &message,
                };
                Text::script(lower_first(message))
            }
        }
    }
}

fn ended(ending: Ending, limits: &ScriptLimits) -> Text {
    match ending {
        Ending::Limit(ErrorKind::Time) => Text {
            kind: ScriptErrorKind::Uncaught(ErrorKind::Time),
            message: format!("the script ran for more than {:?} without waiting", limits.time),
            help: Some("look for a loop that does not end, or raise the limit".to_owned()),
        },
        Ending::Limit(ErrorKind::Stack) => stack_overflow(),
        Ending::Limit(ErrorKind::Memory) => Text {
            kind: ScriptErrorKind::Uncaught(ErrorKind::Memory),
            message: format!(
                "the script keeps more than {}",
                units::format_bytes(limits.memory_bytes as f64)
            ),
            help: Some("keep less at a time, or raise the limit".to_owned()),
        },
        Ending::Limit(kind) => Text {
            kind: ScriptErrorKind::Uncaught(kind),
            message: format!("the script is over its limit of {kind}"),
            help: None,
        },
        Ending::Stopped(stop) => Text {
            kind: ScriptErrorKind::Stopped(stop),
            message: match stop {
                Stop::Cut => "the call was cut off".to_owned(),
                Stop::Abort => "the script ended the test".to_owned(),
                Stop::RanOut => "there is nothing left to iterate with".to_owned(),
            },
            help: None,
        },
    }
}

fn stack_overflow() -> Text {
    Text {
        kind: ScriptErrorKind::Uncaught(ErrorKind::Stack),
        message: "calls are nested too deeply".to_owned(),
        help: Some("look for a function that calls itself without end".to_owned()),
    }
}

/// Returns the text of a thrown value.
fn thrown(value: &Dynamic) -> Text {
    if let Some(failure) = value.read_lock::<Failure>() {
        let kind = if failure.load {
            ScriptErrorKind::Load
        } else {
            ScriptErrorKind::Uncaught(failure.error.kind)
        };
        return Text { kind, message: failure.error.message.clone(), help: None };
    }
    Text::script(match from_dynamic(value) {
        Ok(Value::Nil) => "an error was thrown without a message".to_owned(),
        Ok(Value::Text(text)) => text.to_str().into_owned(),
        Ok(value) => value.to_json().to_string(),
        Err(error) => error.message,
    })
}

fn syntax(error: &ParseErrorType) -> Text {
    let help = advice::on_syntax(error).map(str::to_owned);
    let message = lower_first(&error.to_string()).replace('\'', "`");
    Text { kind: ScriptErrorKind::Load, message, help }
}

/// Explains `Unknown property 'x' - a getter is not registered for type 'y'`.
fn dot(message: &str) -> Text {
    let mut quoted = message.split('\'').skip(1).step_by(2);
    match (quoted.next(), quoted.next()) {
        (Some(property), Some("()")) => {
            Text::script(format!("cannot read `{property}` of nothing: what stands before is `()`"))
        }
        (Some(property), Some(kind)) => {
            Text::script(format!("{} has no field `{property}`", readable_type(kind)))
        }
        _ => Text::script(lower_first(message)),
    }
}

/// What stands for the name of a function that has none.
const A_CLOSURE: &str = "a closure";

fn function_name(name: &str) -> String {
    if name.starts_with("anon$") { A_CLOSURE.to_owned() } else { name.to_owned() }
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// Returns how many characters the token at a column has.
fn width(source: &str, column: usize) -> u32 {
    let Some(start) = column.checked_sub(1) else { return 1 };
    let rest: Vec<char> = source.chars().skip(start).collect();
    let is_name = |letter: &char| letter.is_alphanumeric() || *letter == '_';
    let length = match rest.first() {
        Some(quote @ ('"' | '`')) => {
            let end = rest[1..].iter().position(|letter| letter == quote);
            end.map_or(rest.len(), |end| end + 2)
        }
        Some(letter) if is_name(letter) => {
            let mut end = 0;
            loop {
                end += rest[end..].iter().take_while(|letter| is_name(letter)).count();
                let next = rest.get(end..end + 3);
                if !next.is_some_and(|next| next.starts_with(&[':', ':']) && is_name(&next[2])) {
                    break;
                }
                end += 2;
            }
            end
        }
        _ => 1,
    };
    length.max(1) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_as_wide_as_its_token() {
        assert_eq!(width("let x = http::gett(1);", 9), 10);
        assert_eq!(width("import \"helpers\" as h;", 8), 9);
        assert_eq!(width("a + b", 3), 1);
        assert_eq!(width("", 4), 1);
        assert_eq!(width("abc", 0), 1);
    }
}
