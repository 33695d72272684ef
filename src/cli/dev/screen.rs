//! `kingtide dev` on a terminal: the run on a thread of its own, keys and drawing here.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event as Input, KeyCode, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::super::errors::CliError;
use super::super::terminal;
use super::Loop;
use super::draw::draw;
use super::state::{State, Update};
use crate::api::Event;
use crate::output::{Progress, Style, brief, reload_line};
use crate::run::{self, Observer, Order, Reload, Sources, Watch, exit};
use crate::script::ScriptError;

/// How often keys and news are looked for.
const LOOK: Duration = Duration::from_millis(50);

/// What the author wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Restart,
    Quit,
}

/// Shows the test until the author has had enough; returns the exit code.
pub(super) fn run(work: &Loop) -> Result<u8, CliError> {
    let wrong = |error: std::io::Error| {
        CliError::Defect(format!("the terminal cannot be drawn on: {error}; use --plain"))
    };
    let style = terminal::out_style();
    let mut screen = ratatui::try_init().map_err(wrong)?;
    let mut rest = Rest::default();
    let ended = develop(work, &mut screen, style, &mut rest);
    ratatui::restore();
    // The screen is gone with all that stood on it.
    rest.print();
    ended.map_err(wrong)
}

/// What remains when the screen is gone.
#[derive(Debug, Default)]
struct Rest {
    /// What came of the last run.
    brief: Option<String>,
    /// Why what is saved cannot run.
    refusal: Option<String>,
}

impl Rest {
    fn print(&self) {
        if let Some(brief) = &self.brief {
            terminal::print(brief);
        }
        if let Some(refusal) = &self.refusal {
            terminal::eprint(&format!("{refusal}\n"));
        }
    }
}

fn develop(
    work: &Loop,
    terminal: &mut DefaultTerminal,
    style: Style,
    rest: &mut Rest,
) -> std::io::Result<u8> {
    let name = work.test.script.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut state = State::new(name.clone(), work.vus);
    loop {
        let mut sources = Sources::default();
        let wish = match work.prepare(&mut sources) {
            Err(error) => {
                state.phase = "waits for a script that can run";
                state.error = Some(error.render(Style::plain()));
                rest.refusal = Some(error.render(style));
                mend(terminal, &mut state, &mut sources)?
            }
            Ok(prepared) => {
                state = State::new(name.clone(), work.vus);
                for event in prepared.events {
                    state.update(Update::Event(event));
                }
                let (orders, inbox) = unbounded_channel();
                let watch = Watch { orders: Some(inbox), ..work.watch(sources) };
                let (updates, news) = channel();
                let test = prepared.test;
                let runner =
                    std::thread::Builder::new().name("run".to_owned()).spawn(move || {
                        let mut feed = Feed(updates);
                        let finished = run::run(&test, Some(watch), &mut feed);
                        let text = finished.as_ref().ok().map(|f| brief(&f.results(style), style));
                        let outcome =
                            finished.map_or_else(|ended| ended, |finished| finished.outcome);
                        feed.tell(Update::Ended(outcome.reason));
                        text
                    })?;
                let wish = show(terminal, &mut state, &news, &orders)?;
                let _order = orders.send(Order::End);
                // Tear-down has its time, unless the author has none; what it says is still shown.
                let mut hurried = false;
                while !runner.is_finished() && !hurried {
                    take(&mut state, &news);
                    terminal.draw(|frame| draw(frame, &state))?;
                    hurried = key(&mut state)? == Some(Wish::Quit);
                }
                take(&mut state, &news);
                rest.refusal = state.refusal.take();
                if hurried && !runner.is_finished() {
                    rest.brief = Some("left before the test had ended\n".to_owned());
                    return Ok(exit::PASSED);
                }
                rest.brief = runner.join().ok().flatten();
                wish
            }
        };
        if wish == Wish::Quit {
            return Ok(exit::PASSED);
        }
    }
}

/// Shows a run until the author wishes for something else.
fn show(
    terminal: &mut DefaultTerminal,
    state: &mut State,
    news: &Receiver<Update>,
    orders: &UnboundedSender<Order>,
) -> std::io::Result<Wish> {
    loop {
        take(state, news);
        terminal.draw(|frame| draw(frame, state))?;
        let paused = state.paused;
        if let Some(wish) = key(state)? {
            return Ok(wish);
        }
        if state.paused != paused {
            let _ended = orders.send(Order::Pause(state.paused));
        }
    }
}

/// Waits until what cannot run has been changed.
fn mend(
    terminal: &mut DefaultTerminal,
    state: &mut State,
    sources: &mut Sources,
) -> std::io::Result<Wish> {
    let before = sources.look();
    loop {
        terminal.draw(|frame| draw(frame, state))?;
        if let Some(wish) = key(state)? {
            return Ok(wish);
        }
        if sources.look() != before {
            return Ok(Wish::Restart);
        }
    }
}

fn take(state: &mut State, news: &Receiver<Update>) {
    for update in news.try_iter() {
        state.update(update);
    }
}

/// Acts on a key, if one comes soon.
fn key(state: &mut State) -> std::io::Result<Option<Wish>> {
    if !event::poll(LOOK)? {
        return Ok(None);
    }
    let Input::Key(key) = event::read()? else { return Ok(None) };
    if key.kind != KeyEventKind::Press {
        return Ok(None);
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    Ok(match key.code {
        KeyCode::Char('c') if control => Some(Wish::Quit),
        KeyCode::Char('q') | KeyCode::Esc => Some(Wish::Quit),
        KeyCode::Char('r') => Some(Wish::Restart),
        KeyCode::Char('p') => {
            state.paused = !state.paused;
            None
        }
        KeyCode::Char('v') => {
            state.bodies = !state.bodies;
            None
        }
        _ => None,
    })
}

/// Tells the screen what happens in the run.
struct Feed(Sender<Update>);

impl Feed {
    fn tell(&self, update: Update) {
        // The screen is gone at the end.
        let _gone = self.0.send(update);
    }
}

impl Observer for Feed {
    fn phase(&mut self, phase: &'static str) {
        self.tell(Update::Phase(phase));
    }

    fn progress(&mut self, progress: &Progress<'_>) {
        let iterations = progress.scenarios.iter().map(|one| one.iterations).sum();
        self.tell(Update::Progress(progress.elapsed, iterations));
    }

    fn event(&mut self, event: &Event) {
        self.tell(Update::Event(event.clone()));
    }

    fn reload(&mut self, reload: &Reload<'_>) {
        self.tell(match reload {
            Reload::Taken(taken) => {
                let mut lines = vec![reload_line(taken)];
                lines.extend(taken.left.iter().cloned());
                Update::Taken(taken.version, lines)
            }
            Reload::Refused(refusal) => Update::Refused(refusal.plain.clone()),
            Reload::Mended => Update::Mended,
        });
    }

    fn error(&mut self, error: &ScriptError, first: &(String, u64, u64)) {
        let seen = (!first.0.is_empty()).then_some((first, 1));
        self.tell(Update::Error(run::render(error, seen, Style::plain())));
    }
}
