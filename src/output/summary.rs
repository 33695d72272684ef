//! The end of a run on one screen: verdict first, then what it rests on.

use super::style::{Paint, Style, width_of, without_colors};
use super::table::{Cell, Column, Table};
use super::{ErrorResult, Results};
use super::{excerpt, figure, reloads};
use crate::metrics::{MetricId, Stat, Stats, builtin};
use crate::units::{format_bytes, format_count};

mod judged;
mod measured;
mod rows;

/// Most kinds of errors that are shown.
const ERRORS_MAX: usize = 10;

/// Returns the summary that ends a run, in lines of at most `style.width` columns.
///
/// The errors' own text stands as [`ErrorResult::rendered`] has it, followed by how often it
/// happened if that does not say so.
pub fn summary(results: &Results<'_>, style: Style) -> String {
    joined(&[
        verdict(results, style),
        warnings(results, style),
        judged::thresholds(results, style),
        judged::checks(results, style),
        rows::endpoints(results, style),
        rows::rpc_methods(results, style),
        rows::scenarios(results, style),
        reloads::section(&results.reloads, style),
        measured::metrics(results, style),
        totals(results, style),
        errors(results, style),
        last_lines(results, style),
    ])
}

/// Returns what came of a run that nobody judges, since its author has had enough of it: the last
/// version, checks, requests, errors.
pub fn brief(results: &Results<'_>, style: Style) -> String {
    let version = results.reloads.last().map_or(0, |reload| reload.version);
    let length = figure::length(style, results.metadata.duration);
    let name = style.paint(Paint::Strong, &results.metadata.script);
    let reloads = match results.reloads.len() {
        0 => String::new(),
        count => format!(" ({})", figure::counted(count as u64, "reload")),
    };
    let iterations = count_of(results, builtin::ITERATIONS) as u64;
    let iterations = figure::counted(iterations, "iteration");
    let head = format!("{name}  version {version}{reloads}, {iterations} in {length}");
    joined(&[
        vec![style.fit_end(&head)],
        judged::checks(results, style),
        rows::endpoints(results, style),
        rows::rpc_methods(results, style),
        errors(results, style),
    ])
}

fn joined(sections: &[Vec<String>]) -> String {
    let sections: Vec<_> =
        sections.iter().filter(|lines| !lines.is_empty()).map(|lines| lines.join("\n")).collect();
    sections.join("\n\n") + "\n"
}

fn verdict(results: &Results<'_>, style: Style) -> Vec<String> {
    let (paint, word) = verdict_word(results, style);
    let length = figure::length(style, results.metadata.duration);
    let head = style.paint(paint, &word);
    let mut lines = vec![style.fit_end(&format!("{head}  {}, {length}", results.metadata.script))];
    for part in results.outcome.reason.lines().filter(|part| !part.trim().is_empty()) {
        lines.extend(style.wrap("  ", part));
    }
    lines
}

/// Returns mark and word of the verdict with their color.
fn verdict_word(results: &Results<'_>, style: Style) -> (Paint, String) {
    let (paint, mark) = match results.outcome.verdict {
        "passed" => (Paint::Good, style.tick()),
        "interrupted" => (Paint::Doubtful, "!"),
        _ => (Paint::Bad, style.cross()),
    };
    let word = match results.outcome.verdict {
        "thresholds" => "THRESHOLDS VIOLATED".to_owned(),
        "regression" => "WORSE THAN THE BASELINE".to_owned(),
        other => other.to_uppercase().replace(['-', '_'], " "),
    };
    (paint, format!("{mark} {word}"))
}

fn warnings(results: &Results<'_>, style: Style) -> Vec<String> {
    let head = style.paint(Paint::Doubtful, "warning:") + " ";
    results.generator.warnings.iter().flat_map(|warning| style.wrap(&head, warning)).collect()
}

fn last_lines(results: &Results<'_>, style: Style) -> Vec<String> {
    let mut lines = judged::all_failed(results, style);
    lines.push(last_line(results, style));
    lines
}

fn last_line(results: &Results<'_>, style: Style) -> String {
    let (paint, word) = verdict_word(results, style);
    let met = results.thresholds.iter().filter(|threshold| threshold.verdict.ok).count();
    let all = results.thresholds.len();
    let thresholds = match (results.outcome.verdict, all) {
        (_, 0) => String::new(),
        ("thresholds", _) => format!("{} of {} not met, ", all - met, thresholds_of(all)),
        _ => format!("{met} of {} met, ", thresholds_of(all)),
    };
    let code = results.outcome.exit_code;
    style.fit_end(&format!("{}: {thresholds}exit code {code}", style.paint(paint, &word)))
}

fn thresholds_of(count: usize) -> String {
    figure::counted(count as u64, "threshold")
}

fn totals(results: &Results<'_>, style: Style) -> Vec<String> {
    let elapsed = results.metadata.duration;
    let columns = vec![Column::text(""), Column::figure(""), Column::figure(""), Column::text("")];
    let mut table = Table::new("Totals", columns);
    let mut counter = |label: &str, id: MetricId, note: Cell, bytes: bool| {
        let count = count_of(results, id);
        let stats = Stats::Counter { count };
        let rate = stats.stat(Stat::Rate, elapsed).unwrap_or(0.0);
        let (total, rate) = if bytes {
            (format_bytes(count), format_bytes(rate))
        } else {
            (format_count(count as u64), figure::per_second(rate))
        };
        table.row(vec![label.into(), total.into(), format!("{rate}/s").into(), note]);
    };
    if results.aggregate.metric(builtin::HTTP_REQS).is_some() {
        counter("requests", builtin::HTTP_REQS, failed(results), false);
    }
    counter("iterations", builtin::ITERATIONS, unfinished(results), false);
    if results.aggregate.metric(builtin::DATA_SENT).is_some() {
        counter("data sent", builtin::DATA_SENT, Cell::default(), true);
    }
    if results.aggregate.metric(builtin::DATA_RECEIVED).is_some() {
        counter("data received", builtin::DATA_RECEIVED, Cell::default(), true);
    }
    let vus = [builtin::VUS, builtin::VUS_MAX]
        .into_iter()
        .find_map(|id| results.aggregate.metric(id)?.stat(Stat::Max, elapsed));
    if let Some(vus) = vus {
        table.row(vec!["VUs at most".into(), figure::number(vus).into(), "".into(), "".into()]);
    }
    let length = figure::length(style, elapsed);
    table.row(vec!["duration".into(), length.into(), "".into(), "".into()]);
    let mut lines = table.lines(style);
    lines.extend(iteration_duration(results, style));
    lines
}

fn iteration_duration(results: &Results<'_>, style: Style) -> Option<String> {
    let stats = results.aggregate.metric(builtin::ITERATION_DURATION)?;
    let parts =
        [("p50", Stat::Med), ("p95", Stat::P(95.0)), ("p99", Stat::P(99.0)), ("max", Stat::Max)]
            .into_iter()
            .filter_map(|(name, stat)| {
                let figure = stats.stat(stat, results.metadata.duration)?;
                Some(format!("{name} {}", figure::time(style, figure)))
            });
    let parts: Vec<_> = parts.collect();
    Some(style.fit_end(&format!("  iteration duration  {}", parts.join("   "))))
}

fn count_of(results: &Results<'_>, id: MetricId) -> f64 {
    let stats = results.aggregate.metric(id);
    stats.and_then(|stats| stats.stat(Stat::Count, results.metadata.duration)).unwrap_or(0.0)
}

fn failed(results: &Results<'_>) -> Cell {
    let (failed, total) = match results.aggregate.metric(builtin::HTTP_REQ_FAILED) {
        Some(Stats::Rate { passes, total }) => (passes, total),
        _ => (0, 0),
    };
    let text = format!("{} failed", figure::share_of(failed, total));
    if failed > 0 { Cell::painted(Paint::Bad, text) } else { text.into() }
}

fn unfinished(results: &Results<'_>) -> Cell {
    let sum =
        |of: fn(&super::ScenarioResult) -> u64| -> u64 { results.scenarios.iter().map(of).sum() };
    let errors = sum(|scenario| scenario.errors);
    let mut parts = Vec::new();
    if errors > 0 {
        parts.push(figure::counted(errors, "error"));
    }
    for (count, word) in [
        (sum(|scenario| scenario.interrupted), "interrupted"),
        (sum(|scenario| scenario.dropped), "dropped"),
    ] {
        if count > 0 {
            parts.push(format!("{} {word}", format_count(count)));
        }
    }
    let text = parts.join(", ");
    if errors > 0 { Cell::painted(Paint::Bad, text) } else { text.into() }
}

fn errors(results: &Results<'_>, style: Style) -> Vec<String> {
    if results.errors.is_empty() {
        return Vec::new();
    }
    let all: u64 = results.errors.iter().map(|error| error.count).sum();
    let kinds = results.errors.len();
    let title = style.paint(Paint::Strong, "Errors");
    let of = if kinds == 1 { "one kind".to_owned() } else { format!("{kinds} kinds") };
    let mut lines = vec![format!("{title}  {} of {of}", format_count(all))];
    for error in results.errors.iter().take(ERRORS_MAX) {
        lines.push(String::new());
        lines.extend(one_error(error, style));
    }
    if kinds > ERRORS_MAX {
        let rest: u64 = results.errors[ERRORS_MAX..].iter().map(|error| error.count).sum();
        lines.push(String::new());
        lines.push(format!(
            "  and {}, {}",
            figure::counted((kinds - ERRORS_MAX) as u64, "more kind"),
            figure::counted(rest, "time")
        ));
    }
    lines
}

/// Returns the lines of an error whose source text has been made to fit, without colors where it was
/// cut.
fn fitted(rendered: &str, style: Style) -> Vec<String> {
    let lines: Vec<String> = rendered.lines().map(excerpt::without_tabs).collect();
    let room = style.columns() - 2;
    let is_source = |line: &&String| excerpt::gutter(&without_colors(line)).is_some();
    let mut fitted = Vec::new();
    let mut rest = lines.as_slice();
    while let Some(first) = rest.first() {
        let (part, behind) = rest.split_at(rest.iter().take_while(is_source).count().max(1));
        rest = behind;
        if part.iter().all(|line| width_of(line) <= room) || !is_source(&first) {
            fitted.extend_from_slice(part);
        } else {
            let plain: Vec<String> = part.iter().map(|line| without_colors(line)).collect();
            let plain: Vec<&str> = plain.iter().map(String::as_str).collect();
            fitted.extend(excerpt::fit(&plain, room, if style.unicode { '…' } else { '~' }));
        }
    }
    fitted
}

fn one_error(error: &ErrorResult, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    let sign = style.paint(Paint::Place, "=");
    // Notes are indented by the width of the line number; the count joins them.
    let mut margin = 2;
    for (at, line) in fitted(error.rendered.trim_end(), style).iter().enumerate() {
        let plain = without_colors(line);
        let text = plain.trim_start();
        let indent = plain.len() - text.len();
        let note = text.strip_prefix("= ");
        if note.is_some() {
            margin = indent;
        }
        let space = " ".repeat(2 + indent);
        match note {
            _ if width_of(&plain) + 2 <= style.columns() => {
                lines.push(format!("  {}", if style.color { line.as_str() } else { &plain }));
            }
            Some(note) => lines.extend(style.wrap(&format!("{space}{sign} "), note)),
            None if at == 0 => lines.extend(style.wrap("  ", text)),
            None => lines.push(style.fit_end(&format!("  {plain}"))),
        }
    }
    let times = format!("{} times", error.count);
    if error.count > 1 && !error.rendered.contains(&times) {
        lines.push(format!("{}{sign} {times}", " ".repeat(2 + margin)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{self, Fixture};
    use super::*;

    fn shown(fixture: &Fixture, width: usize) -> String {
        let style = Style { color: false, width, unicode: true };
        summary(&fixture.results(), style)
    }

    #[test]
    fn a_passed_run_at_80_columns() {
        insta::assert_snapshot!("passed_80", shown(&fixture::passed(), 80));
    }

    #[test]
    fn a_passed_run_at_120_columns() {
        insta::assert_snapshot!("passed_120", shown(&fixture::passed(), 120));
    }

    #[test]
    fn a_violated_run_at_80_columns() {
        insta::assert_snapshot!("violated_80", shown(&fixture::violated(), 80));
    }

    #[test]
    fn a_violated_run_at_120_columns() {
        insta::assert_snapshot!("violated_120", shown(&fixture::violated(), 120));
    }

    #[test]
    fn json_rpc_calls_by_method() {
        insta::assert_snapshot!("relay_80", shown(&fixture::relay(), 80));
    }

    #[test]
    fn a_run_that_passes_though_every_iteration_failed() {
        let end = |fixture: &Fixture| {
            let text = shown(fixture, 80);
            text.rsplit("\n\n").next().unwrap().to_owned()
        };
        let mut fixture = fixture::failed();
        insta::assert_snapshot!("failed_80", shown(&fixture, 80));
        fixture.errors.truncate(1);
        fixture.errors[0].count = 121;
        insta::assert_snapshot!("failed_one_kind_80", end(&fixture));
        fixture.scenarios[0].ended += 1;
        insta::assert_snapshot!(end(&fixture), @"✓ PASSED: 1 of 1 threshold met, exit code 0");
        fixture.scenarios[0].ended -= 1;
        fixture.thresholds[0].metric = "iteration_errors{scenario:buyers}".to_owned();
        insta::assert_snapshot!(end(&fixture), @"✓ PASSED: 1 of 1 threshold met, exit code 0");
    }

    #[test]
    fn an_empty_run() {
        insta::assert_snapshot!("empty_80", shown(&fixture::empty(), 80));
    }

    #[test]
    fn a_violated_run_in_color() {
        let style = Style { color: true, width: 100, unicode: true };
        let text = summary(&fixture::violated().results(), style);
        insta::assert_snapshot!("violated_color", text.replace('\u{1b}', "␛"));
    }

    #[test]
    fn a_violated_run_in_ascii() {
        let style = Style { color: false, width: 80, unicode: false };
        let text = summary(&fixture::violated().results(), style);
        assert!(text.is_ascii(), "{text}");
    }

    #[test]
    fn colors_add_nothing_but_color() {
        for fixture in fixture::all() {
            let style = Style { color: true, width: 90, unicode: true };
            let colored = summary(&fixture.results(), style);
            assert_eq!(without_colors(&colored), shown(&fixture, 90));
        }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for fixture in fixture::all() {
            for width in [0, 60, 61, 73, 80, 100, 120, 200] {
                for line in shown(&fixture, width).lines() {
                    assert!(width_of(line) <= width.max(Style::WIDTH_MIN), "{width}: {line}");
                    assert_eq!(line, line.trim_end());
                }
            }
        }
    }

    #[test]
    fn source_text_that_is_too_long_is_cut_around_what_is_underlined() {
        let mut fixture = fixture::empty();
        let source =
            "\tkt.check(res, { has_notes = function(r) return #r:json(\"notes\") > 0 end })";
        let carets = format!("\t{}^^^^^^^^^^^^^^^", " ".repeat(47));
        let rendered = format!(
            "error: no length\n  --> a.luau:8:49\n   |\n 8 | {source}\n   | {carets}\n   = in function `f`"
        );
        let (kind, message) = ("script".to_owned(), "no length".to_owned());
        fixture.errors = vec![ErrorResult { kind, message, location: None, count: 1, rendered }];
        let text = shown(&fixture, 60);
        let error = text.split("error: no length\n").nth(1).unwrap();
        insta::assert_snapshot!(error.split("\n\n").next().unwrap(), @r#"
         --> a.luau:8:49
          |
        8 | …nction(r) return #r:json("notes") > 0 end })
          |                   ^^^^^^^^^^^^^^^
          = in function `f`
        "#);
        // What fits stays as it is, but for tabs, which terminals make wider than they count.
        let text = shown(&fixture, 100);
        let error = text.split("error: no length\n").nth(1).unwrap();
        insta::assert_snapshot!(error.split("\n\n").next().unwrap(), @r#"
         --> a.luau:8:49
          |
        8 |     kt.check(res, { has_notes = function(r) return #r:json("notes") > 0 end })
          |                                                    ^^^^^^^^^^^^^^^
          = in function `f`
        "#);
    }

    #[test]
    fn what_is_too_much_is_counted() {
        let text = shown(&fixture::odd(), 100);
        assert!(text.contains("and 20 more with fewer requests"), "{text}");
        assert!(text.contains("and 3 more kinds, 6 times"), "{text}");
    }
}
