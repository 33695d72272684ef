//! `kingtide dev` without a terminal: a line for each request, and what happens besides.

use tokio::sync::mpsc::unbounded_channel;

use super::super::args::{LogFormat, Ui};
use super::super::errors::CliError;
use super::super::terminal::{self, Terminal};
use super::Loop;
use super::draw::figures;
use super::state::{State, Update};
use crate::api::Event;
use crate::output::{Progress, brief};
use crate::run::{self, Observer, Reload, Sources, Watch};
use crate::script::ScriptError;
use crate::units::format_latency_ms;

/// Runs to the end of the test, or to a signal; returns the exit code.
pub(super) fn run(work: &Loop) -> Result<u8, CliError> {
    let mut sources = Sources::default();
    let prepared = work.prepare(&mut sources)?;
    let state = State::new(prepared.test.program.name(), work.vus);
    let terminal = Terminal::new(Ui::None, true, true, LogFormat::Text);
    let mut lines = Lines { terminal, state };
    for event in &prepared.events {
        lines.event(event);
    }
    // Nobody gives orders; but somebody looks on.
    let (_orders, inbox) = unbounded_channel();
    let watch = Watch { orders: Some(inbox), ..work.watch(sources) };
    let finished = run::run(&prepared.test, Some(watch), &mut lines);
    lines.figures();
    let style = terminal::out_style();
    if let Ok(finished) = &finished {
        terminal::print(&format!("\n{}", brief(&finished.results(style), style)));
    }
    Ok(finished.map_or_else(|outcome| outcome, |finished| finished.outcome).exit_code)
}

/// Prints what happens.
struct Lines {
    terminal: Terminal,
    state: State,
}

impl Lines {
    fn figures(&self) {
        let text = figures(&self.state.now, self.state.before.as_ref());
        terminal::print(&format!("version {}: {}\n", self.state.now.version, text.trim()));
    }
}

impl Observer for Lines {
    fn phase(&mut self, _: &'static str) {}

    fn progress(&mut self, _: &Progress<'_>) {}

    fn event(&mut self, event: &Event) {
        match event {
            Event::Request(request) => {
                let status = match request.status {
                    0 => "error".to_owned(),
                    status => status.to_string(),
                };
                let took = format_latency_ms(request.duration().as_secs_f64() * 1e3);
                let mut line = format!("{} {} {status} {took}", request.method, request.name);
                if !request.error.is_empty() {
                    line = format!("{line}: {}", request.error);
                }
                terminal::print(&format!("{line}\n"));
            }
            Event::Check { name, passed: false } => {
                terminal::print(&format!("check failed: {name}\n"));
            }
            Event::Check { .. } | Event::Debug(_) => {}
            other => self.terminal.event(other),
        }
        self.state.update(Update::Event(event.clone()));
    }

    fn reload(&mut self, reload: &Reload<'_>) {
        if let Reload::Taken(taken) = reload {
            self.figures();
            self.state.update(Update::Taken(taken.version, Vec::new()));
        }
        self.terminal.reload(reload);
    }

    fn error(&mut self, error: &ScriptError, first: &(String, u64, u64)) {
        self.terminal.error(error, first);
    }
}
