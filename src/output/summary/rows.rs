//! The summary's tables: requests by endpoint, JSON-RPC calls by method, and scenarios.

use crate::metrics::{Endpoint, Histogram, MetricId, RpcMethod, Stat, Stats, builtin};
use crate::units::format_count;

use super::super::figure::{self, ColumnUnit};
use super::super::style::{Paint, Style};
use super::super::table::{Cell, Column, Table};
use super::super::{Results, ScenarioResult};

/// Most endpoints, and most methods, that are shown.
const ROWS_MAX: usize = 40;
/// The percentiles of the tables of endpoints and methods; the greatest value follows.
const PERCENTILES: [(&str, f64); 4] = [("p50", 50.0), ("p90", 90.0), ("p95", 95.0), ("p99", 99.0)];

/// Returns the requests by method and name. If there are many, those with the most requests.
pub(super) fn endpoints(results: &Results<'_>, style: Style) -> Vec<String> {
    let all: Vec<&Endpoint> = results.aggregate.endpoints().collect();
    let origin = common_origin(&all);
    let row = |endpoint: &&Endpoint| Row {
        name: name_of(endpoint, &origin),
        count: endpoint.count,
        errors: endpoint.errors,
        duration: endpoint.duration.clone(),
    };
    let rows: Vec<Row> = all.iter().map(row).collect();
    let advice = "with fewer requests; name requests to put them into one row";
    let of = Rows { title: "Requests", duration: builtin::HTTP_REQ_DURATION, advice };
    let mut lines = of.lines(rows, results, style);
    if !origin.is_empty() {
        lines.push(style.fit_end(&style.paint(Paint::Quiet, &format!("  at {origin}"))));
    }
    lines
}

/// Returns the JSON-RPC calls by method. If there are many, those with the most calls.
pub(super) fn rpc_methods(results: &Results<'_>, style: Style) -> Vec<String> {
    let row = |method: &RpcMethod| Row {
        name: method.name.to_string(),
        count: method.count,
        errors: method.errors,
        duration: method.duration.clone(),
    };
    let rows: Vec<Row> = results.aggregate.rpc_methods().map(row).collect();
    let advice = "with fewer calls";
    let of = Rows { title: "JSON-RPC calls", duration: builtin::RPC_REQ_DURATION, advice };
    of.lines(rows, results, style)
}

/// What tells a table of rows from the other.
struct Rows {
    title: &'static str,
    /// The metric of all rows together.
    duration: MetricId,
    /// What is said of rows that are not shown.
    advice: &'static str,
}

impl Rows {
    fn lines(&self, mut rows: Vec<Row>, results: &Results<'_>, style: Style) -> Vec<String> {
        if rows.is_empty() {
            return Vec::new();
        }
        let all = rows.len();
        let (count, errors) =
            (rows.iter().map(|row| row.count).sum(), rows.iter().map(|row| row.errors).sum());
        if all > ROWS_MAX {
            rows.sort_by_key(|row| std::cmp::Reverse(row.count));
            rows.truncate(ROWS_MAX);
        }
        let shown = rows.len();
        if all > 1
            && let Some(Stats::Trend(duration, _)) = results.aggregate.metric(self.duration)
        {
            let duration = duration.clone();
            rows.push(Row { name: "all".to_owned(), count, errors, duration });
        }
        let mut lines = table_of(self.title, &rows, results, style).lines(style);
        if all > shown {
            let rest = format_count((all - shown) as u64);
            lines.extend(style.wrap("  ", &format!("and {rest} more {}", self.advice)));
        }
        lines
    }
}

/// A row of a table of what was asked.
struct Row {
    name: String,
    count: u64,
    errors: u64,
    duration: Histogram,
}

impl Row {
    fn percentile(&self, percent: f64) -> f64 {
        Histogram::to_unit(self.duration.percentile(percent) as f64)
    }
}

fn table_of(title: &'static str, rows: &[Row], results: &Results<'_>, style: Style) -> Table {
    let least = rows.iter().map(|row| row.percentile(50.0)).fold(f64::MAX, f64::min);
    let greatest = rows.iter().map(|row| row.percentile(100.0)).fold(0.0, f64::max);
    let unit = ColumnUnit::fitting(least, greatest);
    let group = format!("duration in {}", unit.name(style));
    let any_errors = rows.iter().any(|row| row.errors > 0);
    let mut columns = vec![Column::name(""), Column::figure("count"), Column::figure("/s")];
    columns.push(Column::figure("errors"));
    if any_errors {
        columns.push(Column::figure("").after(1));
    }
    let percentiles = PERCENTILES.into_iter().chain([("max", 100.0)]);
    columns.extend(percentiles.clone().map(|(name, _)| Column::figure(name).under(&group)));
    let times: Vec<Vec<String>> = percentiles
        .map(|(_, percent)| {
            let times: Vec<_> = rows.iter().map(|row| row.percentile(percent)).collect();
            figure::column(&times, unit)
        })
        .collect();
    let mut table = Table::new(title, columns);
    for (at, row) in rows.iter().enumerate() {
        let rate = Stats::Counter { count: row.count as f64 }
            .stat(Stat::Rate, results.metadata.duration)
            .unwrap_or(0.0);
        let mut cells = vec![
            row.name.as_str().into(),
            format_count(row.count).into(),
            figure::per_second(rate).into(),
            bad_if(row.errors > 0, format_count(row.errors)),
        ];
        if any_errors {
            let share = figure::share_of(row.errors, row.count);
            cells.push(bad_if(row.errors > 0, if row.errors > 0 { share } else { String::new() }));
        }
        cells.extend(times.iter().map(|column| Cell::from(column[at].as_str())));
        table.row(cells);
    }
    table
}

fn bad_if(bad: bool, text: String) -> Cell {
    if bad { Cell::painted(Paint::Bad, text) } else { text.into() }
}

fn name_of(endpoint: &Endpoint, origin: &str) -> String {
    let name = &*endpoint.name;
    let path = name.strip_prefix(origin).filter(|path| path.starts_with('/')).unwrap_or(name);
    if endpoint.method.is_empty() { path.to_owned() } else { format!("{} {path}", endpoint.method) }
}

/// Returns scheme and host that all names that are URLs share; empty if they share none.
fn common_origin(endpoints: &[&Endpoint]) -> String {
    let mut origins = endpoints.iter().filter_map(|endpoint| origin_of(&endpoint.name));
    let Some(first) = origins.next() else { return String::new() };
    if origins.all(|origin| origin == first) { first.to_owned() } else { String::new() }
}

fn origin_of(name: &str) -> Option<&str> {
    let host = name.find("://")? + 3;
    let end = name[host..].find('/').map_or(name.len(), |at| host + at);
    Some(&name[..end])
}

/// Returns the scenarios: where the iterations that were due are, and how long they took. What does
/// not fit beside goes below.
pub(super) fn scenarios(results: &Results<'_>, style: Style) -> Vec<String> {
    if results.scenarios.is_empty() {
        return Vec::new();
    }
    let counts = counts();
    let times: Vec<Part> = times()
        .into_iter()
        .filter(|part| results.scenarios.iter().any(|s| shows(part, results, s, style)))
        .collect();
    let name =
        || Part { column: Column::name(""), cell: |_, scenario, _| scenario.name.as_str().into() };
    let executor = || Part {
        column: Column::text(""),
        cell: |_, scenario, _| Cell::painted(Paint::Quiet, scenario.executor),
    };
    let mut one = vec![name(), executor()];
    one.extend(counts.clone());
    one.extend(times.clone());
    let table = filled("Scenarios", &one, results, style);
    if table.width() <= style.columns() {
        return table.lines(style);
    }
    let mut above = vec![name()];
    above.extend(counts);
    let mut below = vec![name(), executor()];
    below.extend(times);
    let mut lines = filled("Scenarios", &above, results, style).lines(style);
    lines.extend(filled("", &below, results, style).lines(style));
    lines
}

/// A column of the table of scenarios, and what stands in it.
#[derive(Clone)]
struct Part {
    column: Column,
    cell: fn(&Results<'_>, &ScenarioResult, Style) -> Cell,
}

fn shows(part: &Part, results: &Results<'_>, scenario: &ScenarioResult, style: Style) -> bool {
    !(part.cell)(results, scenario, style).is_empty()
}

fn filled(title: &str, parts: &[Part], results: &Results<'_>, style: Style) -> Table {
    let columns = parts.iter().map(|part| part.column.clone()).collect();
    let mut table = Table::new(title, columns);
    for scenario in &results.scenarios {
        table.row(parts.iter().map(|part| (part.cell)(results, scenario, style)).collect());
    }
    table
}

/// Returns the columns whose figures add up: due = ended + interrupted + dropped.
fn counts() -> Vec<Part> {
    fn sign(scenario: &ScenarioResult, sign: &str) -> Cell {
        Cell::painted(Paint::Quiet, if scenario.due.is_some() { sign } else { "" })
    }
    let part = |column, cell| Part { column, cell };
    vec![
        part(Column::figure("due"), |_, scenario, style| {
            scenario.due.map_or_else(|| style.none().to_owned(), format_count).into()
        }),
        part(Column::text("=").after(1), |_, scenario, _| sign(scenario, "=")),
        part(Column::figure("ended").after(1), |_, scenario, _| {
            format_count(scenario.ended).into()
        }),
        part(Column::text("+").after(1), |_, scenario, _| sign(scenario, "+")),
        part(Column::figure("interrupted").after(1), |_, scenario, _| {
            format_count(scenario.interrupted).into()
        }),
        part(Column::text("+").after(1), |_, scenario, _| sign(scenario, "+")),
        part(Column::figure("dropped").after(1), |_, scenario, _| {
            bad_if(scenario.dropped > 0, format_count(scenario.dropped))
        }),
        part(Column::figure("errors"), |_, scenario, _| {
            bad_if(scenario.errors > 0, format_count(scenario.errors))
        }),
        part(Column::figure("max VUs"), |_, scenario, _| format_count(scenario.vus_max).into()),
    ]
}

fn times() -> Vec<Part> {
    fn cell(
        results: &Results<'_>,
        scenario: &ScenarioResult,
        style: Style,
        metric: &str,
        percent: f64,
    ) -> Cell {
        let text = format!("{metric}{{scenario:{}}}", scenario.name);
        let found = results.aggregate.submetrics().find(|(known, _)| known.text() == text);
        let figure =
            found.and_then(|(_, stats)| stats.stat(Stat::P(percent), results.metadata.duration));
        figure.map(|figure| figure::time(style, figure)).unwrap_or_default().into()
    }
    let (duration, response, lateness) = ("duration", "response time", "lateness");
    vec![
        Part {
            column: Column::figure("p95").under(duration),
            cell: |results, scenario, style| {
                cell(results, scenario, style, "iteration_duration", 95.0)
            },
        },
        Part {
            column: Column::figure("p95").under(response),
            cell: |results, scenario, style| {
                cell(results, scenario, style, "iteration_response_time", 95.0)
            },
        },
        Part {
            column: Column::figure("p99").under(response),
            cell: |results, scenario, style| {
                cell(results, scenario, style, "iteration_response_time", 99.0)
            },
        },
        Part {
            column: Column::figure("p99").under(lateness),
            cell: |results, scenario, style| {
                cell(results, scenario, style, "iteration_lateness", 99.0)
            },
        },
    ]
}
