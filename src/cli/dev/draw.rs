//! The screen of `kingtide dev`.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph};

use super::state::{Figures, Row, State, Tone};
use super::wrap;
use crate::units::{format_count, format_latency_ms};

/// The width of a request's bar.
const BAR: usize = 24;

/// The phases of a request in a bar: what they are called, their mark, their color.
const PHASES: [(&str, char, Color); 4] = [
    ("connecting", '▒', Color::Yellow),
    ("sending", '▓', Color::Blue),
    ("waiting", '█', Color::Green),
    ("receiving", '░', Color::Cyan),
];

const KEYS: &str = " r restart   p pause   v bodies   q quit ";

fn quiet() -> Style {
    Style::new().fg(Color::DarkGray)
}

fn strong() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// Draws the state.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State) {
    let area = frame.area();
    let width = usize::from(area.width.saturating_sub(2));
    let wrong = state.error.as_deref().map(|text| wrap::diagnostic(text, width));
    let error = wrong.as_ref().map_or(0, |lines| lines.len() as u16 + 1);
    let error = error.min(area.height / 2);
    let checks = (state.checks.len() as u16).min(area.height / 5);
    let log = (area.height / 4).clamp(3, 10);
    let parts = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(1 + checks),
        Constraint::Length(error),
        Constraint::Length(log),
        Constraint::Length(1),
    ]);
    let [head, requests, figures, error, lines, keys] = parts.areas(area);
    frame.render_widget(Paragraph::new(heading(state)), head);
    draw_requests(frame, state, requests);
    draw_figures(frame, state, figures);
    if let (Some(lines), Some(text)) = (wrong, &state.error) {
        let head = text.lines().next().map_or(0, |line| wrap::words(line, width).len());
        draw_error(frame, lines, head, error);
    }
    draw_log(frame, state, lines);
    frame.render_widget(Paragraph::new(KEYS).style(quiet()), keys);
}

fn heading(state: &State) -> Line<'_> {
    let seconds = state.elapsed.as_secs();
    let phase = if state.paused { "paused" } else { state.phase };
    Line::from(vec![
        Span::styled(format!(" {} ", state.script), strong()),
        Span::raw(format!(
            " {}  {:02}:{:02}  {} VU{}  {} iteration{}  version {}",
            phase,
            seconds / 60,
            seconds % 60,
            state.vus,
            if state.vus == 1 { "" } else { "s" },
            format_count(state.iterations),
            if state.iterations == 1 { "" } else { "s" },
            state.now.version,
        )),
    ])
}

fn section(title: &str) -> Block<'_> {
    let title = Span::styled(format!(" {title} "), strong());
    Block::new().borders(Borders::TOP).border_style(quiet()).title(title)
}

fn draw_requests(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let mut title = vec![Span::styled(" Requests ", strong())];
    for (name, mark, color) in PHASES {
        title.push(Span::styled(format!(" {mark}"), Style::new().fg(color)));
        title.push(Span::styled(format!(" {name}"), quiet()));
    }
    title.push(Span::raw(" "));
    let block = Block::new().borders(Borders::TOP).border_style(quiet()).title(Line::from(title));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let height = usize::from(inner.height);
    let shown: Vec<&Row> = state.rows.iter().rev().take(height).collect();
    let longest = shown.iter().map(|row| row.request.total().as_secs_f64()).fold(0.0, f64::max);
    let mut lines: Vec<Line<'_>> = Vec::new();
    for row in shown {
        // The newest stands at the bottom, its details below it.
        let mut block = vec![request(row, longest, usize::from(inner.width))];
        if state.bodies {
            let details =
                row.details.lines().skip(1).map(|line| {
                    Line::styled(format!("      {}", line.replace('\t', "  ")), quiet())
                });
            block.extend(details);
        }
        block.extend(lines);
        lines = block;
        if lines.len() >= height {
            break;
        }
    }
    let surplus = lines.len().saturating_sub(height);
    if lines.is_empty() {
        lines.push(Line::styled(" none yet", quiet()));
    }
    frame.render_widget(Paragraph::new(lines.split_off(surplus)), inner);
}

fn request(row: &Row, longest: f64, width: usize) -> Line<'_> {
    let request = &row.request;
    let wrong = request.expected == Some(false);
    let color = if wrong { Color::Red } else { Color::Green };
    let status = match request.status {
        0 => "error".to_owned(),
        status => status.to_string(),
    };
    let took = if request.error.is_empty() { request.duration() } else { request.total() };
    let took = format_latency_ms(took.as_secs_f64() * 1e3);
    let name_width = width.saturating_sub(BAR + 30).clamp(8, 60);
    let name = if request.error.is_empty() {
        request.name.clone()
    } else {
        format!("{}: {}", request.name, request.error)
    };
    let name: String = name.chars().take(name_width).collect();
    let mut spans = vec![
        Span::styled(format!(" {:<6} ", request.method), strong()),
        Span::raw(format!("{name:<name_width$} ")),
        Span::styled(format!("{status:>5} "), Style::new().fg(color)),
        Span::raw(format!("{took:>9}  ")),
    ];
    let parts = request.phases().map(|part| part.as_secs_f64());
    for (cells, (_, mark, color)) in cells(parts, longest, BAR).into_iter().zip(PHASES) {
        let text: String = std::iter::repeat_n(mark, cells).collect();
        spans.push(Span::styled(text, Style::new().fg(color)));
    }
    Line::from(spans)
}

/// Returns how many cells of a bar each part takes, the longest request filling it; every part that
/// is a fiftieth of it has one.
fn cells(parts: [f64; 4], longest: f64, width: usize) -> [usize; 4] {
    if longest <= 0.0 {
        return [0; 4];
    }
    parts.map(|part| {
        let share = part / longest;
        let cells = (share * width as f64).round() as usize;
        if share >= 0.02 { cells.max(1) } else { cells }
    })
}

fn draw_figures(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let mut lines = vec![Line::from(figures(&state.now, state.before.as_ref()))];
    for (name, (passes, fails)) in &state.checks {
        let (mark, color) = if *fails == 0 { ('✓', Color::Green) } else { ('✗', Color::Red) };
        let total = passes + fails;
        lines.push(Line::from(vec![
            Span::styled(format!("  {mark} "), Style::new().fg(color)),
            Span::raw(name.clone()),
            Span::styled(
                format!("  {} of {}", format_count(*passes), format_count(total)),
                quiet(),
            ),
        ]));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

/// Returns the figures of the version that runs beside those of the last one.
pub(super) fn figures(now: &Figures, before: Option<&Figures>) -> String {
    let time = |figures: &Figures, p| figures.percentile(p).map(format_latency_ms);
    let compared = |name: &str, p: f64| {
        let now = time(now, p)?;
        match before.and_then(|before| time(before, p)) {
            Some(was) => Some(format!("{name} {was} -> {now}")),
            None => Some(format!("{name} {now}")),
        }
    };
    let mut parts = vec![format!(
        " {} request{}",
        format_count(now.count()),
        if now.count() == 1 { "" } else { "s" }
    )];
    if now.failed > 0 {
        parts.push(format!("{} failed", format_count(now.failed)));
    }
    parts.extend(compared("p50", 50.0));
    parts.extend(compared("p95", 95.0));
    if before.is_some() && now.version > 0 {
        parts.push(format!("since reload {}", now.version));
    }
    parts.join("   ")
}

/// Draws as much of an error as there is room for, and says how much is missing.
fn draw_error(frame: &mut Frame<'_>, mut lines: Vec<String>, head: usize, area: Rect) {
    let block = Block::new().borders(Borders::TOP).border_style(Style::new().fg(Color::Red));
    let room = usize::from(block.inner(area).height);
    if lines.len() > room && room > 1 {
        let missing = lines.len() - room + 1;
        lines.truncate(room - 1);
        lines.push(format!("… {missing} more lines"));
    }
    let lines: Vec<Line<'_>> = lines
        .into_iter()
        .enumerate()
        .map(|(at, line)| {
            let carets = line.contains('^') && line.trim_start().starts_with('|');
            let style = match (at < head, carets) {
                (true, _) => strong().fg(Color::Red),
                (false, true) => Style::new().fg(Color::Red),
                (false, false) => Style::new(),
            };
            Line::styled(format!(" {line}"), style)
        })
        .collect();
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn draw_log(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let block = section("Log");
    let height = usize::from(block.inner(area).height);
    let width = usize::from(area.width.saturating_sub(2));
    let skipped = state.log.len().saturating_sub(height);
    let lines = state.log.iter().skip(skipped).flat_map(|(tone, text)| {
        let style = match tone {
            Tone::Plain => Style::new(),
            Tone::Good => Style::new().fg(Color::Green),
            Tone::Doubtful => Style::new().fg(Color::Yellow),
            Tone::Bad => Style::new().fg(Color::Red),
        };
        let lines = text.lines().flat_map(move |line| wrap::words(line, width));
        lines.map(move |line| Line::styled(format!(" {line}"), style))
    });
    let mut lines: Vec<Line<'_>> = lines.collect();
    let surplus = lines.len().saturating_sub(height);
    frame.render_widget(Paragraph::new(lines.split_off(surplus)).block(block), area);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::state::Update;
    use super::*;
    use crate::api::{Event, LogLevel, RequestSeen};

    fn request(method: &str, name: &str, status: u16, millis: [u64; 4]) -> Update {
        let [connecting, sending, waiting, receiving] = millis.map(Duration::from_millis);
        Update::Event(Event::Request(Box::new(RequestSeen {
            method: method.to_owned(),
            name: name.to_owned(),
            status,
            error: if status == 0 { "connection refused".to_owned() } else { String::new() },
            expected: Some((200..400).contains(&status)),
            connecting,
            sending,
            waiting,
            receiving,
        })))
    }

    fn check(name: &str, passed: bool) -> Update {
        Update::Event(Event::Check { name: name.to_owned(), passed })
    }

    fn log(level: LogLevel, message: &str) -> Update {
        let (message, scenario) = (message.to_owned(), "default".to_owned());
        Update::Event(Event::Log { level, message, vu: 1, iteration: 0, scenario })
    }

    /// A test in its third version.
    fn state() -> State {
        let mut state = State::new("notes.luau".to_owned(), 1);
        state.update(Update::Phase("running"));
        for _ in 0..20 {
            state.update(request("GET", "list notes", 200, [0, 0, 40, 1]));
        }
        state.update(check("of the old version", false));
        let said = "reload 2 at 01:02 (41 ms): script".to_owned();
        state.update(Update::Taken(2, vec![said, "workers cannot change".to_owned()]));
        state.update(request("POST", "log in", 200, [12, 1, 30, 1]));
        state.update(request("GET", "list notes", 200, [0, 0, 20, 3]));
        state.update(request(
            "GET",
            "a name that is far too long to be shown whole",
            404,
            [0, 0, 9, 0],
        ));
        state.update(request("DELETE", "note", 0, [3, 0, 0, 0]));
        state.update(Update::Event(Event::Debug(
            "VU 1, iteration 3\n> DELETE http://127.0.0.1/notes/1\n> accept: */*".to_owned(),
        )));
        state.update(check("status is 200", true));
        state.update(check("status is 200", true));
        state.update(check("has notes", true));
        state.update(check("has notes", false));
        state.update(log(LogLevel::Info, "logged in as ada"));
        state.update(log(LogLevel::Error, "no notes"));
        state.update(Update::Progress(Duration::from_secs(75), 23));
        state
    }

    fn shown(state: &State, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, state)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let line = |y| {
            let cells = (0..width).map(|x| buffer[(x, y)].symbol());
            cells.collect::<String>().trim_end().to_owned()
        };
        (0..height).map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_screen_shows_requests_figures_checks_and_the_log() {
        insta::assert_snapshot!("dev_100", shown(&state(), 100, 26));
    }

    #[test]
    fn an_error_stands_above_the_log_and_details_below_their_request() {
        let mut state = state();
        state.bodies = true;
        state.paused = true;
        let error =
            "error: expected 'end'\n --> notes.luau:31:1\n   |\n31 | return test\n   | ^^^^^^";
        state.update(Update::Refused(error.to_owned()));
        let text = shown(&state, 80, 24);
        insta::assert_snapshot!("dev_80", text);
        state.update(Update::Mended);
        assert!(!shown(&state, 80, 24).contains("expected 'end'"));
    }

    #[test]
    fn a_screen_of_any_size_can_be_drawn_on() {
        for (width, height) in [(1, 1), (7, 3), (30, 10), (300, 100)] {
            shown(&state(), width, height);
            shown(&State::new("a.rhai".to_owned(), 2), width, height);
        }
    }

    #[test]
    fn a_bar_is_as_long_as_the_longest_request_and_shows_small_parts() {
        assert_eq!(cells([0.0, 0.0, 10.0, 0.0], 10.0, 24), [0, 0, 24, 0]);
        assert_eq!(cells([0.3, 0.01, 5.0, 0.0], 10.0, 24), [1, 0, 12, 0]);
        assert_eq!(cells([0.0; 4], 0.0, 24), [0; 4]);
    }

    #[test]
    fn the_last_version_that_made_requests_is_compared_with() {
        let mut state = state();
        assert!(figures(&state.now, state.before.as_ref()).contains("p95 41"));
        state.renew(3);
        state.renew(4);
        state.update(request("GET", "list notes", 200, [0, 0, 10, 0]));
        let text = figures(&state.now, state.before.as_ref());
        assert!(text.contains("-> 10") && text.ends_with("since reload 4"), "{text}");
    }
}
