//! What a terminal, or a log, shows while a run goes on.

use super::figure;
use super::style::{Paint, Style, width_of};
use super::{Progress, ScenarioProgress};
use crate::metrics::{Stat, Stats, builtin};
use crate::units::format_count;

/// The least and the greatest width of a bar.
const BAR: (usize, usize) = (8, 30);
/// The width to which names are shortened.
const NAME_MAX: usize = 24;

/// Returns a line about the run and one for each scenario, for a terminal that draws them anew.
pub fn progress(progress: &Progress<'_>, style: Style) -> Vec<String> {
    let phase = style.paint(Paint::Strong, progress.phase);
    let head = format!("{phase}  {}", figure::clock(progress.elapsed));
    let mut head = vec![head];
    if let Some(requests) = Requests::of(progress) {
        let failed = format!("{} failed", requests.failed);
        head.push(format!("{} requests", requests.count));
        head.push(format!("{}/s", requests.rate));
        head.push(if requests.any_failed { style.paint(Paint::Bad, &failed) } else { failed });
        head.extend(requests.p95.map(|p95| format!("p95 {}", figure::time(style, p95))));
    }
    let mut lines = vec![style.fit_end(&head.join("   "))];
    let rows: Vec<Row> = progress.scenarios.iter().map(|one| Row::of(one, style)).collect();
    lines.extend(scenarios(&progress.scenarios, &rows, style));
    lines
}

/// Returns one plain line, for a log that gets one every few seconds; it is as long as it is.
pub fn progress_line(progress: &Progress<'_>, style: Style) -> String {
    let mut parts = vec![format!("{} {}", figure::clock(progress.elapsed), progress.phase)];
    for scenario in &progress.scenarios {
        let (active, existing) = scenario.vus;
        let mut part = if scenario.ended {
            format!("{} ended", scenario.name)
        } else {
            let rate = figure::per_second(scenario.rate);
            format!("{} {active}/{existing} VUs {rate}/s", scenario.name)
        };
        for trouble in [errors(scenario), dropped(scenario)] {
            if !trouble.is_empty() {
                part = format!("{part} {trouble}");
            }
        }
        parts.push(part);
    }
    if let Some(requests) = Requests::of(progress) {
        let p95 = requests.p95.map(|p95| format!(", p95 {}", figure::time(style, p95)));
        parts.push(format!(
            "requests {} ({}/s, {} failed{})",
            requests.count,
            requests.rate,
            requests.failed,
            p95.unwrap_or_default()
        ));
    }
    parts.join("  ")
}

/// The requests of all scenarios.
struct Requests {
    count: String,
    /// Per second of the last interval.
    rate: String,
    failed: String,
    any_failed: bool,
    /// Of the last interval, or so far if it had none.
    p95: Option<f64>,
}

impl Requests {
    fn of(progress: &Progress<'_>) -> Option<Self> {
        let aggregate = progress.aggregate;
        let interval = aggregate.interval();
        let count = aggregate.metric(builtin::HTTP_REQS)?.stat(Stat::Count, progress.elapsed)?;
        let last = aggregate.metric_interval(builtin::HTTP_REQS);
        let rate = last.and_then(|stats| stats.stat(Stat::Rate, interval)).unwrap_or(0.0);
        let (failed, total) = match aggregate.metric(builtin::HTTP_REQ_FAILED) {
            Some(Stats::Rate { passes, total }) => (passes, total),
            _ => (0, 0),
        };
        let duration = aggregate.metric_interval(builtin::HTTP_REQ_DURATION);
        let duration = duration.or_else(|| aggregate.metric(builtin::HTTP_REQ_DURATION));
        Some(Self {
            count: format_count(count as u64),
            rate: figure::per_second(rate),
            failed: figure::share_of(failed, total),
            any_failed: failed > 0,
            p95: duration.and_then(|stats| stats.stat(Stat::P(95.0), interval)),
        })
    }
}

fn errors(scenario: &ScenarioProgress) -> String {
    if scenario.errors == 0 { String::new() } else { figure::counted(scenario.errors, "error") }
}

fn dropped(scenario: &ScenarioProgress) -> String {
    if scenario.dropped == 0 {
        String::new()
    } else {
        format!("{} dropped", format_count(scenario.dropped))
    }
}

/// What a scenario's line says, beside name and bar.
struct Row {
    position: String,
    vus: String,
    rate: String,
    iterations: String,
    errors: String,
    dropped: String,
}

impl Row {
    fn of(scenario: &ScenarioProgress, _style: Style) -> Self {
        let (active, existing) = scenario.vus;
        Self {
            position: scenario.position.clone(),
            vus: format!("{}/{} VUs", format_count(active), format_count(existing)),
            rate: format!("{}/s", figure::per_second(scenario.rate)),
            iterations: figure::counted(scenario.iterations, "iteration"),
            errors: errors(scenario),
            dropped: dropped(scenario),
        }
    }
}

/// A field of [`Row`], to the left or to the right, and its color.
type Field = (fn(&Row) -> &str, bool, Option<Paint>);

const POSITION: Field = (|row| &row.position, true, Some(Paint::Quiet));
const VUS: Field = (|row| &row.vus, false, None);
const RATE: Field = (|row| &row.rate, false, None);
const ITERATIONS: Field = (|row| &row.iterations, false, None);
const ERRORS: Field = (|row| &row.errors, false, Some(Paint::Bad));
const DROPPED: Field = (|row| &row.dropped, false, Some(Paint::Bad));

fn scenarios(all: &[ScenarioProgress], rows: &[Row], style: Style) -> Vec<String> {
    let name = all.iter().map(|one| width_of(&one.name)).max().unwrap_or(0).min(NAME_MAX);
    // What is said twice goes first if room is short, then the bar.
    let layouts: [&[Field]; 3] = [
        &[POSITION, VUS, RATE, ITERATIONS, ERRORS, DROPPED],
        &[POSITION, VUS, RATE, ERRORS, DROPPED],
        &[VUS, RATE, ERRORS, DROPPED],
    ];
    let width = |field: &Field| rows.iter().map(|row| width_of((field.0)(row))).max().unwrap_or(0);
    let taken = |fields: &[Field]| {
        let widths = fields.iter().map(width).filter(|&width| width > 0);
        widths.map(|width| width + 2).sum::<usize>() + name + 2
    };
    let bar_of = |fields: &[Field]| style.columns().checked_sub(taken(fields) + 2);
    let fitting = layouts.iter().find(|fields| bar_of(fields).is_some_and(|room| room >= BAR.0));
    let narrow = || layouts.iter().find(|fields| bar_of(fields).is_some());
    let fields = fitting.or_else(narrow).unwrap_or(&layouts[2]);
    let bar = bar_of(fields).filter(|&room| room >= BAR.0).map(|room| room.min(BAR.1));
    let line = |(scenario, row): (&ScenarioProgress, &Row)| {
        let mut line = format!("  {:name$}", style.fit_middle(&scenario.name, name));
        if let Some(bar) = bar {
            line = format!("{line}  {}", bar_text(scenario.done, bar, style));
        }
        for field in *fields {
            let (text, left, paint) = ((field.0)(row), field.1, field.2);
            let space = width(field);
            if space == 0 {
                continue;
            }
            let pad = " ".repeat(space - width_of(text));
            let text = paint.map_or_else(|| text.to_owned(), |paint| style.paint(paint, text));
            line = format!("{line}  {}", if left { [text, pad] } else { [pad, text] }.concat());
        }
        style.fit_end(line.trim_end())
    };
    all.iter().zip(rows).map(line).collect()
}

/// Returns a bar of `width` columns, filled to `done` of 1.
fn bar_text(done: f64, width: usize, style: Style) -> String {
    let done = if done.is_nan() { 0.0 } else { done.clamp(0.0, 1.0) };
    if !style.unicode {
        let inner = width - 2;
        let full = (done * inner as f64).floor() as usize;
        return format!("[{}{}]", "=".repeat(full), " ".repeat(inner - full));
    }
    let halves = (done * 2.0 * width as f64).floor() as usize;
    let (full, half) = (halves / 2, halves % 2);
    let filled = "━".repeat(full) + if half == 1 { "╸" } else { "" };
    let rest = "─".repeat(width - full - half);
    format!("{}{}", style.paint(Paint::Good, &filled), style.paint(Paint::Quiet, &rest))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fixture;
    use super::*;

    const WIDE: Style = Style { color: false, width: 120, unicode: true };

    fn shown(style: Style) -> String {
        let fixture = fixture::violated();
        progress(&fixture.progress(), style).join("\n")
    }

    #[test]
    fn progress_at_120_columns() {
        insta::assert_snapshot!("progress_120", shown(WIDE));
    }

    #[test]
    fn progress_at_80_columns() {
        insta::assert_snapshot!("progress_80", shown(Style { width: 80, ..WIDE }));
    }

    #[test]
    fn progress_in_ascii_at_60_columns() {
        let style = Style { width: 60, unicode: false, ..WIDE };
        let text = shown(style);
        assert!(text.is_ascii(), "{text}");
        insta::assert_snapshot!("progress_60", text);
    }

    #[test]
    fn a_line_for_logs_says_all_in_one() {
        let fixture = fixture::violated();
        insta::assert_snapshot!("progress_line", progress_line(&fixture.progress(), WIDE));
    }

    #[test]
    fn before_the_first_request_there_are_no_figures_of_requests() {
        let fixture = fixture::empty();
        let start = Progress {
            aggregate: &fixture.aggregate,
            elapsed: Duration::ZERO,
            phase: "setup",
            scenarios: Vec::new(),
        };
        assert_eq!(progress(&start, WIDE), ["setup  00:00"]);
        assert_eq!(progress_line(&start, WIDE), "00:00 setup");
    }

    #[test]
    fn a_bar_is_filled_as_far_as_it_is_done() {
        let ascii = Style { unicode: false, ..WIDE };
        assert_eq!(bar_text(0.0, 8, WIDE), "────────");
        assert_eq!(bar_text(0.45, 10, WIDE), "━━━━╸─────");
        assert_eq!(bar_text(1.0, 8, WIDE), "━━━━━━━━");
        assert_eq!(bar_text(7.0, 8, ascii), "[======]");
        assert_eq!(bar_text(f64::NAN, 8, ascii), "[      ]");
    }
}
