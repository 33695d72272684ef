//! The terminal: the only place that prints.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use super::advice::Advice;
use super::args::{LogFormat, Ui};
use super::env;
use super::errors::CliError;
use crate::api::{Event, LogLevel};
use crate::clock::{self, Instant};
use crate::output::{Level, Progress, Style, diagnostic, progress, progress_line, reload_line};
use crate::run::{self, Observer, Reload};
use crate::script::ScriptError;

/// How often a line of progress appears where nothing is redrawn.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The width where there is no terminal to ask.
const WIDTH: usize = 100;

/// Returns the style for text on standard output.
pub(super) fn out_style() -> Style {
    style(&std::io::stdout())
}

/// Returns the style for text on standard error.
pub(super) fn err_style() -> Style {
    style(&std::io::stderr())
}

fn style(stream: &(impl std::io::IsTerminal + std::os::fd::AsFd)) -> Style {
    let terminal = stream.is_terminal();
    let size = rustix::termios::tcgetwinsize(stream.as_fd()).ok();
    let width = size.map(|size| usize::from(size.ws_col)).filter(|width| *width > 0);
    Style {
        color: terminal && !env::no_color(),
        width: width.unwrap_or(WIDTH),
        unicode: env::is_unicode(),
    }
}

/// Prints on standard output. A closed pipe is the reader's decision, not an error.
pub(super) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _closed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints what a command is for on standard output. Whoever closed a pipe has read enough.
///
/// # Errors
/// If it cannot be written for another reason, such as a full disk.
pub(super) fn deliver(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(CliError::Output(format!("cannot write to standard output: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Prints on standard error.
pub(super) fn eprint(text: &str) {
    let mut out = std::io::stderr().lock();
    let _closed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints what ended a command; returns its exit code.
pub(super) fn fail(error: &CliError) -> u8 {
    eprint(&format!("{}\n", error.render(err_style())));
    error.code()
}

/// Prints an advice.
pub(super) fn warn(advice: &Advice) {
    let notes: Vec<_> = advice.help.iter().map(|help| format!("help: {help}")).collect();
    let text = diagnostic(Level::Warning, &advice.message, None, &notes, err_style());
    eprint(&format!("{text}\n"));
}

/// Shows a run while it goes on, on standard error.
pub(super) struct Terminal {
    redraws: bool,
    lines: bool,
    verbose: bool,
    format: LogFormat,
    style: Style,
    /// Lines of the display that stand on the terminal.
    drawn: usize,
    last_line: Option<Instant>,
}

impl Terminal {
    pub(super) fn new(ui: Ui, quiet: bool, verbose: bool, format: LogFormat) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let redraws = ui == Ui::Auto && terminal && !quiet && format == LogFormat::Text;
        Self {
            redraws,
            lines: ui != Ui::None && !quiet && !redraws && format == LogFormat::Text,
            verbose,
            format,
            style: err_style(),
            drawn: 0,
            last_line: None,
        }
    }

    /// Takes the display away, so that what follows stands in its place.
    pub(super) fn clear(&mut self) {
        if self.drawn > 0 {
            // To the line's begin, too: terminals show `^C` where the cursor stands.
            eprint(&format!("\r\x1b[{}A\x1b[J", self.drawn));
            self.drawn = 0;
        }
    }

    /// Shows a line with what the log says of where it comes from.
    fn log(&mut self, level: LogLevel, message: &str, origin: Origin<'_>) {
        if level == LogLevel::Debug && !self.verbose {
            return;
        }
        self.clear();
        if self.format == LogFormat::Json {
            let mut line = serde_json::json!({ "level": level.as_str(), "message": message });
            if let Some((scenario, vu, iteration)) = origin.vu {
                line["scenario"] = scenario.into();
                line["vu"] = vu.into();
                line["iteration"] = iteration.into();
            }
            if let Some(place) = origin.place {
                line["location"] = place.into();
            }
            eprint(&format!("{line}\n"));
            return;
        }
        let origin = match origin.vu {
            Some((scenario, vu, iteration)) if vu > 0 || !scenario.is_empty() => {
                format!(" ({scenario} VU {vu}, iteration {iteration})").replace("( ", "(")
            }
            _ => String::new(),
        };
        eprint(&format!("{}: {message}{origin}\n", level.as_str()));
    }
}

/// Where a log line comes from, as far as it is known.
#[derive(Default)]
struct Origin<'a> {
    /// Scenario (empty outside), VU, iteration.
    vu: Option<(&'a str, u64, u64)>,
    /// `notes.luau:41`
    place: Option<String>,
}

impl Observer for Terminal {
    fn phase(&mut self, phase: &'static str) {
        if phase == "stopping" && (self.redraws || self.lines) {
            let said =
                "stopping: iterations have their graceful stop to end; Ctrl-C again cuts them off";
            self.log(LogLevel::Info, said, Origin::default());
        } else if self.redraws && matches!(phase, "setup" | "teardown") {
            self.clear();
            eprint(&format!("{phase}…\n"));
            self.drawn = 1;
        }
    }

    fn progress(&mut self, now: &Progress<'_>) {
        if self.redraws {
            self.clear();
            let lines = progress(now, self.style);
            eprint(&format!("{}\n", lines.join("\n")));
            self.drawn = lines.len();
        } else if self.lines {
            let time = clock::now();
            if self.last_line.is_none_or(|last| time.duration_since(last) >= LINE_EVERY) {
                // The first line comes at once, so that one sees that it runs.
                self.last_line = Some(time - Duration::from_millis(100));
                eprint(&format!("{}\n", progress_line(now, self.style)));
            }
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Log { level, message, vu, iteration, scenario } => {
                let vu = Some((scenario.as_str(), *vu, *iteration));
                self.log(*level, message, Origin { vu, place: None });
            }
            Event::Debug(text) if self.format == LogFormat::Json => {
                let line = serde_json::json!({ "level": "http", "message": text.trim_end() });
                eprint(&format!("{line}\n"));
            }
            Event::Request(_) | Event::Check { .. } => {}
            Event::Debug(text) => {
                self.clear();
                eprint(&format!("{text}\n"));
            }
            Event::Warning(text) if self.format == LogFormat::Json => {
                self.log(LogLevel::Warn, text, Origin::default());
            }
            Event::Warning(text) => {
                self.clear();
                warn(&Advice { message: text.clone(), help: None });
            }
            Event::Abort(message) => {
                self.log(LogLevel::Error, &format!("test aborted: {message}"), Origin::default());
            }
            Event::MarkFailed(message) => {
                let message = format!("test marked as failed: {message}");
                self.log(LogLevel::Error, &message, Origin::default());
            }
            Event::EndScenario { why, .. } => {
                self.log(LogLevel::Info, why, Origin::default());
            }
        }
    }

    fn reload(&mut self, reload: &Reload<'_>) {
        self.clear();
        match reload {
            Reload::Taken(taken) => {
                self.log(LogLevel::Info, &reload_line(taken), Origin::default());
                for left in &taken.left {
                    self.log(LogLevel::Warn, left, Origin::default());
                }
            }
            Reload::Refused(refusal) if self.format == LogFormat::Json => {
                let message = format!("not reloaded: {}", refusal.plain);
                self.log(LogLevel::Error, &message, Origin::default());
            }
            Reload::Refused(refusal) => {
                let text = &refusal.styled;
                eprint(&format!("{text}\n  = not reloaded: the test goes on as it was\n\n"));
            }
            Reload::Mended => {
                let message = "the script is again the one that runs";
                self.log(LogLevel::Info, message, Origin::default());
            }
        }
    }

    fn error(&mut self, error: &ScriptError, first: &(String, u64, u64)) {
        self.clear();
        if self.format == LogFormat::Json {
            let place = error.location.as_ref().map(|at| format!("{}:{}", at.file, at.line));
            let vu = Some((first.0.as_str(), first.1, first.2));
            self.log(LogLevel::Error, &error.message, Origin { vu, place });
            return;
        }
        let seen = (!first.0.is_empty()).then_some((first, 1));
        eprint(&format!("{}\n\n", run::render(error, seen, self.style)));
    }
}
