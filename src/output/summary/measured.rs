//! The summary's other metrics: what the script declared, and what protocols beside HTTP count.

use super::super::style::Style;
use super::super::table::{Cell, Column, Table};
use super::super::{Results, figure};
use crate::metrics::{Definition, Kind, Stat, Stats, builtin};

/// Returns the metrics that no other section shows, one table for each kind.
pub(super) fn metrics(results: &Results<'_>, style: Style) -> Vec<String> {
    let registry = results.aggregate.registry();
    let shown: Vec<(&Definition, Stats<'_>)> = results
        .aggregate
        .metrics()
        .filter(|(id, _)| {
            // JSON-RPC's have a table of their own.
            let of_sockets = (builtin::WS_CONNECTING..=builtin::WS_ROUND_TRIP).contains(id);
            usize::from(id.0) >= builtin::ALL.len() || of_sockets || *id == builtin::GROUP_DURATION
        })
        .map(|(id, stats)| (registry.definition(id), stats))
        .collect();
    let trend_stats: Vec<Stat> =
        results.plan.trend_stats.iter().filter_map(|text| Stat::parse(text)).collect();
    let tables = [
        (Kind::Trend, "Trends", trend_stats.as_slice()),
        (Kind::Counter, "Counters", &[Stat::Count, Stat::Rate][..]),
        (Kind::Rate, "Rates", &[Stat::Rate][..]),
        (Kind::Gauge, "Gauges", &[Stat::Value, Stat::Min, Stat::Max][..]),
    ];
    let mut lines = Vec::new();
    for (kind, title, stats) in tables {
        let rows: Vec<_> = shown.iter().filter(|(metric, _)| metric.kind == kind).collect();
        if rows.is_empty() {
            continue;
        }
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(table(title, &rows, stats, results, style));
    }
    lines
}

/// Returns a table with a column for each statistic; those that do not fit beside go below.
fn table(
    title: &str,
    rows: &[&(&Definition, Stats<'_>)],
    stats: &[Stat],
    results: &Results<'_>,
    style: Style,
) -> Vec<String> {
    let filled = |stats: &[Stat], title: &str| {
        let mut columns = vec![Column::name("")];
        columns.extend(stats.iter().map(|stat| Column::figure(&head(*stat))));
        if rows[0].0.kind == Kind::Rate {
            columns.push(Column::text(""));
        }
        let mut table = Table::new(title, columns);
        for (metric, figures) in rows {
            let mut cells = vec![Cell::from(metric.name.as_str())];
            cells.extend(stats.iter().map(|&stat| {
                let figure = figures.stat(stat, results.metadata.duration);
                let text = figure.map_or_else(
                    || style.none().to_owned(),
                    |figure| figure::statistic(style, metric.kind, &metric.unit, stat, figure),
                );
                Cell::from(text)
            }));
            if let Stats::Rate { passes, total } = figures {
                let (passes, total) =
                    (figure::number(*passes as f64), figure::number(*total as f64));
                cells.push(format!("{passes} of {total}").into());
            }
            table.row(cells);
        }
        table
    };
    let mut fitting = stats.len();
    // Names give way to at most a third of the width before columns do.
    let names = rows.iter().map(|(metric, _)| metric.name.len()).max().unwrap_or(0);
    let spared = names.saturating_sub(style.columns() / 3);
    while fitting > 1 && filled(&stats[..fitting], title).width() - spared > style.columns() {
        fitting -= 1;
    }
    let mut lines = Vec::new();
    for (at, part) in stats.chunks(fitting.max(1)).enumerate() {
        lines.extend(filled(part, if at == 0 { title } else { "" }).lines(style));
    }
    lines
}

fn head(stat: Stat) -> String {
    match stat {
        Stat::Rate => String::new(),
        Stat::Value => "last".to_owned(),
        Stat::P(percent) => format!("p{percent}"),
        other => other.to_string(),
    }
}
