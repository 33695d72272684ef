//! The summary's judgments: thresholds and checks.

use indexmap::IndexMap;

use super::super::style::{Paint, Style};
use super::super::table::{Cell, Column, Table};
use super::super::{Results, ThresholdResult, figure};
use crate::metrics::{Check, Selector, Stat, Stats};
use crate::units::format_count;

/// Returns what must not be overlooked: that the run passes though every iteration failed, since
/// nobody asked how many may.
pub(super) fn all_failed(results: &Results<'_>, style: Style) -> Vec<String> {
    let ended: u64 = results.scenarios.iter().map(|scenario| scenario.ended).sum();
    let failed: u64 = results.scenarios.iter().map(|scenario| scenario.errors).sum();
    let counted = "iteration_errors";
    let judged = results.thresholds.iter().any(|threshold| {
        threshold.metric.split('{').next().is_some_and(|metric| metric == counted)
    });
    let Some(error) = results.errors.first() else { return Vec::new() };
    if results.outcome.exit_code != 0 || failed < ended || failed == 0 || judged {
        return Vec::new();
    }
    let who = match failed {
        1 => "the only iteration failed".to_owned(),
        all => format!("all {} iterations failed", format_count(all)),
    };
    let most = match results.errors.len() {
        1 => String::new(),
        _ => format!("{} times ", format_count(error.count)),
    };
    let place = error.location.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
    let message = error.message.lines().next().unwrap_or_default();
    let text = format!(
        "{who}: {most}{message}{place}; no threshold judges this, so the run passes; \
         --fail-on-error makes it fail, or the threshold `{counted}: count == 0`"
    );
    style.wrap(&(style.paint(Paint::Doubtful, "warning:") + " "), &text)
}

/// Returns the thresholds with what was observed.
pub(super) fn thresholds(results: &Results<'_>, style: Style) -> Vec<String> {
    if results.thresholds.is_empty() {
        return Vec::new();
    }
    let aborted = results.thresholds.iter().any(|threshold| threshold.aborted);
    let mut columns = vec![
        Column::text(""),
        Column::name("").after(1),
        Column::expression(""),
        Column::figure(""),
    ];
    if aborted {
        columns.push(Column::text(""));
    }
    let mut table = Table::new("Thresholds", columns);
    for threshold in &results.thresholds {
        let ok = threshold.verdict.ok;
        let observed = observed(results, threshold, style);
        let mut cells = vec![
            mark(style, ok),
            threshold.metric.as_str().into(),
            threshold.expression.as_str().into(),
            if ok { observed.into() } else { Cell::painted(Paint::Bad, observed) },
        ];
        if aborted {
            cells.push(if threshold.aborted { "ended the test" } else { "" }.into());
        }
        table.row(cells);
    }
    table.lines(style)
}

fn mark(style: Style, ok: bool) -> Cell {
    if ok {
        Cell::painted(Paint::Good, style.tick())
    } else {
        Cell::painted(Paint::Bad, style.cross())
    }
}

/// Returns the observed value with the unit of its statistic, which it names if the expression has
/// several.
fn observed(results: &Results<'_>, threshold: &ThresholdResult, style: Style) -> String {
    let Some(observed) = threshold.verdict.observed else {
        return "(no samples)".to_owned();
    };
    let registry = results.aggregate.registry();
    let stats: Vec<Stat> = threshold.expression.split("&&").filter_map(stat_of).collect();
    let Ok(selector) = Selector::parse(&threshold.metric, registry) else {
        return figure::number(observed);
    };
    let figures = figures_of(results, &selector);
    let is_observed = |stat: &&Stat| {
        figures.and_then(|of| of.stat(**stat, results.metadata.duration)) == Some(observed)
    };
    // What holds shows its first comparison; what fails the one that does.
    let failed = if threshold.verdict.ok { None } else { stats.iter().find(is_observed) };
    let Some(stat) = failed.or(stats.first()) else {
        return figure::number(observed);
    };
    let metric = registry.definition(selector.metric());
    let text = figure::statistic(style, metric.kind, &metric.unit, *stat, observed);
    if stats.len() > 1 { format!("{stat} {text}") } else { text }
}

fn figures_of<'a>(results: &'a Results<'_>, selector: &Selector) -> Option<Stats<'a>> {
    if !selector.has_tags() {
        return results.aggregate.metric(selector.metric());
    }
    let text = selector.text();
    results.aggregate.submetrics().find(|(known, _)| known.text() == text).map(|found| found.1)
}

fn stat_of(comparison: &str) -> Option<Stat> {
    let comparison = comparison.trim();
    let end = comparison.find(['<', '>', '=', '!']).unwrap_or(comparison.len());
    Stat::parse(comparison[..end].trim())
}

/// Returns the checks: those that failed with their shares, then the others by group.
pub(super) fn checks(results: &Results<'_>, style: Style) -> Vec<String> {
    let checks: Vec<&Check> = results.aggregate.checks().collect();
    if checks.is_empty() {
        return Vec::new();
    }
    let (failed, passed): (Vec<&Check>, Vec<&Check>) =
        checks.into_iter().partition(|check| check.fails > 0);
    let passes: u64 = failed.iter().chain(&passed).map(|check| check.passes).sum();
    let fails: u64 = failed.iter().map(|check| check.fails).sum();
    let title = style.paint(Paint::Strong, "Checks");
    let share = figure::share_of(passes, passes + fails);
    let of = format_count(passes + fails);
    let mut lines = vec![style.fit_end(&format!("{title}  {share} of {of} passed"))];
    lines.extend(failed_checks(results, &failed, style));
    let mut groups: IndexMap<&str, Vec<&str>> = IndexMap::new();
    for check in &passed {
        let names = groups.entry(&check.group).or_default();
        if !names.contains(&&*check.name) {
            names.push(&check.name);
        }
    }
    let sign = style.paint(Paint::Good, style.tick());
    for (group, names) in groups {
        let names = names.join(", ");
        lines.extend(style.wrap(&format!("  {sign} "), &in_group(group, &names, style)));
    }
    lines
}

fn failed_checks(results: &Results<'_>, failed: &[&Check], style: Style) -> Vec<String> {
    let columns = vec![
        Column::text(""),
        Column::name("").after(1),
        Column::figure(""),
        Column::figure(""),
        Column::figure("").after(1),
    ];
    let mut table = Table::new("", columns);
    for check in failed {
        let mut name = in_group(&check.group, &check.name, style);
        if results.scenarios.len() > 1 && !check.scenario.is_empty() {
            name = format!("{name} ({})", check.scenario);
        }
        let all = check.passes + check.fails;
        let share = format!("{} failed", figure::share_of(check.fails, all));
        table.row(vec![
            mark(style, false),
            name.into(),
            Cell::painted(Paint::Bad, share),
            format_count(check.fails).into(),
            format!("of {}", format_count(all)).into(),
        ]);
    }
    table.lines(style)
}

fn in_group(group: &str, text: &str, style: Style) -> String {
    let path: Vec<_> = group.split("::").filter(|part| !part.is_empty()).collect();
    if path.is_empty() {
        return text.to_owned();
    }
    format!("{}: {text}", path.join(style.within()))
}
