//! The summary as JSON, schema `kingtide-summary/1`: `docs/summary.schema.json` says what it holds.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use super::{ReloadResult, Results, ScenarioResult};
use crate::metrics::{Definition, MetricId, Selector, Stat, Stats, Unit, builtin};

/// The name of the schema.
pub const SCHEMA: &str = "kingtide-summary/1";

/// The statistics that every trend has, beside those of the plan.
const TREND_STATS: [Stat; 9] = [
    Stat::Count,
    Stat::Min,
    Stat::Max,
    Stat::Avg,
    Stat::Med,
    Stat::P(90.0),
    Stat::P(95.0),
    Stat::P(99.0),
    Stat::P(99.9),
];

/// Returns the summary. Times are in milliseconds, rates per second of the run or shares of 1.
pub fn summary_json(results: &Results<'_>) -> Value {
    let mut summary = json!({
        "schema": SCHEMA,
        "outcome": {
            "exit_code": results.outcome.exit_code,
            "verdict": results.outcome.verdict,
            "reason": results.outcome.reason,
        },
        "metadata": metadata(results),
        "metrics": metrics(results),
        "thresholds": thresholds(results),
        "checks": checks(results),
        "endpoints": endpoints(results),
        "scenarios": results.scenarios.iter().map(scenario).collect::<Map<_, _>>(),
        "errors": errors(results),
        "generator": {
            "cpu": finite(results.generator.cpu),
            "lag_p99_ms": finite(results.generator.lag_p99_ms),
            "achieved": finite(results.generator.achieved),
            "memory_bytes": results.generator.memory_bytes,
            "warnings": results.generator.warnings,
        },
    });
    if !results.reloads.is_empty() {
        summary["reloads"] = results.reloads.iter().map(reload).collect();
    }
    let rpc = rpc_methods(results);
    if !rpc.is_empty() {
        summary["rpc"] = rpc.into();
    }
    summary
}

fn metadata(results: &Results<'_>) -> Value {
    let metadata = &results.metadata;
    json!({
        "started_at": stamp(metadata.started_at),
        "duration_ms": metadata.duration.as_secs_f64() * 1_000.0,
        "kingtide": env!("CARGO_PKG_VERSION"),
        "script": metadata.script,
        "script_hash": metadata.script_hash,
        "git_commit": metadata.git_commit,
        "host": metadata.host,
        "options": metadata.options,
        "seed": results.plan.seed,
        "tags": metadata.tags,
    })
}

/// Returns a time as RFC 3339 has it, in UTC to the millisecond.
fn stamp(at: SystemTime) -> String {
    let form =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    OffsetDateTime::from(at).format(&form).expect("a date of this era has all the parts")
}

/// Returns the metrics, each followed by the submetrics that thresholds are about.
fn metrics(results: &Results<'_>) -> Map<String, Value> {
    let aggregate = results.aggregate;
    let registry = aggregate.registry();
    let judged: BTreeSet<String> = results
        .plan
        .thresholds
        .iter()
        .filter_map(|threshold| Selector::parse(&threshold.selector, registry).ok())
        .map(|selector| selector.text().to_owned())
        .collect();
    let mut metrics = Map::new();
    for (id, definition) in registry.iter() {
        let entry = |stats| metric(results, id, definition, stats);
        if let Some(stats) = aggregate.metric(id) {
            metrics.insert(definition.name.clone(), entry(stats));
        }
        for (selector, stats) in aggregate.submetrics() {
            if selector.metric() == id && judged.contains(selector.text()) {
                metrics.insert(selector.text().to_owned(), entry(stats));
            }
        }
    }
    metrics
}

fn metric(results: &Results<'_>, id: MetricId, definition: &Definition, stats: Stats<'_>) -> Value {
    let elapsed = results.metadata.duration;
    let mut metric = Map::new();
    metric.insert("type".to_owned(), definition.kind.to_string().into());
    if let Some(unit) = unit_name(&definition.unit) {
        metric.insert("unit".to_owned(), unit.into());
    }
    let values = match stats {
        Stats::Counter { count } => json!({ "count": number(count), "rate": rate(count, elapsed) }),
        Stats::Gauge { value, min, max } => {
            json!({ "value": number(value), "min": number(min), "max": number(max) })
        }
        Stats::Rate { passes, total } => {
            let share = stats.stat(Stat::Rate, elapsed).unwrap_or(0.0);
            let of_failures = [builtin::HTTP_REQ_FAILED, builtin::RPC_REQ_FAILED].contains(&id);
            let counted = if of_failures { "failed" } else { "passes" };
            json!({ "rate": finite(share), counted: passes, "total": total })
        }
        Stats::Trend(..) => trend(results, stats),
    };
    metric.insert("values".to_owned(), values);
    if let Stats::Trend(histogram, _) = stats {
        metric.insert("histogram".to_owned(), histogram.encode().into());
    }
    Value::Object(metric)
}

fn unit_name(unit: &Unit) -> Option<&str> {
    match unit {
        Unit::None => None,
        Unit::Time => Some("ms"),
        Unit::Bytes => Some("bytes"),
        Unit::Named(name) => Some(name),
    }
}

fn trend(results: &Results<'_>, stats: Stats<'_>) -> Value {
    let own = results.plan.trend_stats.iter().filter_map(|text| Stat::parse(text));
    let mut values = Map::new();
    for stat in TREND_STATS.into_iter().chain(own) {
        if let Some(figure) = stats.stat(stat, results.metadata.duration) {
            let figure = if stat == Stat::Count { number(figure) } else { finite(figure).into() };
            values.entry(stat.to_string()).or_insert(figure);
        }
    }
    Value::Object(values)
}

fn thresholds(results: &Results<'_>) -> Vec<Value> {
    let one = |threshold: &super::ThresholdResult| {
        json!({
            "metric": threshold.metric,
            "expression": threshold.expression,
            "ok": threshold.verdict.ok,
            "observed": threshold.verdict.observed.map(finite),
            "abort_on_fail": threshold.abort_on_fail,
        })
    };
    results.thresholds.iter().map(one).collect()
}

fn checks(results: &Results<'_>) -> Vec<Value> {
    let one = |check: &crate::metrics::Check| {
        json!({
            "name": &*check.name,
            "group": &*check.group,
            "scenario": &*check.scenario,
            "passes": check.passes,
            "fails": check.fails,
        })
    };
    results.aggregate.checks().map(one).collect()
}

fn endpoints(results: &Results<'_>) -> Vec<Value> {
    let one = |endpoint: &crate::metrics::Endpoint| {
        json!({
            "name": format!("{} {}", endpoint.method, endpoint.name).trim_start(),
            "method": &*endpoint.method,
            "count": endpoint.count,
            "rate": rate(endpoint.count as f64, results.metadata.duration),
            "errors": endpoint.errors,
            "values": trend(results, Stats::Trend(&endpoint.duration, &Unit::Time)),
        })
    };
    results.aggregate.endpoints().map(one).collect()
}

fn rpc_methods(results: &Results<'_>) -> Vec<Value> {
    let one = |method: &crate::metrics::RpcMethod| {
        json!({
            "method": &*method.name,
            "count": method.count,
            "rate": rate(method.count as f64, results.metadata.duration),
            "errors": method.errors,
            "values": trend(results, Stats::Trend(&method.duration, &Unit::Time)),
        })
    };
    results.aggregate.rpc_methods().map(one).collect()
}

fn scenario(scenario: &ScenarioResult) -> (String, Value) {
    let value = json!({
        "executor": scenario.executor,
        "due": scenario.due,
        "ended": scenario.ended,
        "interrupted": scenario.interrupted,
        "dropped": scenario.dropped,
        "errors": scenario.errors,
        "vus_max": scenario.vus_max,
    });
    (scenario.name.clone(), value)
}

fn reload(reload: &ReloadResult) -> Value {
    json!({
        "version": reload.version,
        "at_ms": reload.at.as_secs_f64() * 1_000.0,
        "took_ms": reload.took.as_secs_f64() * 1_000.0,
        "changes": reload.changes,
        "left": reload.left,
    })
}

fn errors(results: &Results<'_>) -> Vec<Value> {
    let one = |error: &super::ErrorResult| {
        json!({
            "kind": error.kind,
            "message": error.message,
            "location": error.location,
            "count": error.count,
        })
    };
    results.errors.iter().map(one).collect()
}

fn rate(count: f64, elapsed: Duration) -> f64 {
    finite(Stats::Counter { count }.stat(Stat::Rate, elapsed).unwrap_or(0.0))
}

/// Returns a figure that JSON can hold: infinity as the greatest number, none as 0.
fn finite(figure: f64) -> f64 {
    if figure.is_nan() { 0.0 } else { figure.clamp(f64::MIN, f64::MAX) }
}

/// Returns a whole number without a fraction, as counts are read.
fn number(figure: f64) -> Value {
    /// Up to here, 2^53, floats hold every whole number.
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    let figure = finite(figure);
    if figure.fract() == 0.0 && figure.abs() <= WHOLE_MAX {
        (figure as i64).into()
    } else {
        figure.into()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{self, Fixture};
    use super::*;
    use crate::metrics::Histogram;

    fn assert_valid(summary: &Value) {
        let schema: Value =
            serde_json::from_str(include_str!("../../docs/summary.schema.json")).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<_> = validator
            .iter_errors(summary)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }

    fn is_valid(summary: &Value) -> bool {
        let schema: Value =
            serde_json::from_str(include_str!("../../docs/summary.schema.json")).unwrap();
        jsonschema::validator_for(&schema).unwrap().is_valid(summary)
    }

    #[test]
    fn summaries_of_all_runs_are_valid() {
        for fixture in fixture::all() {
            assert_valid(&summary_json(&fixture.results()));
        }
    }

    #[test]
    fn the_schema_refuses_what_it_does_not_know() {
        let valid = summary_json(&fixture::passed().results());
        let spoiled = |pointer: &str, value: Value| {
            let mut summary = valid.clone();
            match summary.pointer_mut(pointer).unwrap() {
                Value::Object(map) => drop(map.insert("surplus".to_owned(), value)),
                other => *other = value,
            }
            summary
        };
        assert!(is_valid(&valid));
        let closed = [
            "",
            "/outcome",
            "/metadata",
            "/metrics/http_reqs",
            "/metrics/http_reqs/values",
            "/metrics/http_req_failed/values",
            "/metrics/checks/values",
            "/metrics/vus/values",
            "/metrics/http_req_duration/values",
            "/thresholds/0",
            "/checks/0",
            "/endpoints/0",
            "/scenarios/readers",
            "/generator",
        ];
        for pointer in closed {
            assert!(!is_valid(&spoiled(pointer, json!("x"))), "{pointer}");
        }
        assert!(!is_valid(&spoiled("/schema", json!("kingtide-summary/2"))));
        assert!(!is_valid(&spoiled("/metadata/started_at", json!("today"))));
        assert!(!is_valid(&spoiled("/scenarios/readers/due", json!(-1))));
        assert!(!is_valid(&spoiled("/metrics/http_req_failed/values/rate", json!(2))));
    }

    /// Replaces histograms, whose compressed text would fill the snapshot.
    fn without_histograms(mut summary: Value) -> Value {
        for metric in summary["metrics"].as_object_mut().unwrap().values_mut() {
            if let Some(histogram) = metric.get_mut("histogram") {
                *histogram = json!("(histogram)");
            }
        }
        summary
    }

    #[test]
    fn a_summary_has_the_documented_fields_in_their_order() {
        let summary = without_histograms(summary_json(&fixture::violated().results()));
        let text = serde_json::to_string_pretty(&summary).unwrap();
        insta::assert_snapshot!("summary_json", text);
    }

    #[test]
    fn json_rpc_calls_have_a_row_for_each_method() {
        let summary = summary_json(&fixture::relay().results());
        assert_valid(&summary);
        let rows: Vec<_> = summary["rpc"].as_array().unwrap().iter().collect();
        let told = rows.iter().map(|row| (&row["method"], &row["count"], &row["errors"]));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                (&json!("eth_blockNumber"), &json!(100), &json!(0)),
                (&json!("eth_call"), &json!(60), &json!(10)),
            ]
        );
        assert!(rows[1]["values"]["p(99)"].as_f64().unwrap() > 10.0);
        let failed = &summary["metrics"]["rpc_req_failed"]["values"];
        assert_eq!((&failed["failed"], &failed["total"]), (&json!(10), &json!(160)));
        assert!(!is_valid(&{
            let mut spoiled = summary.clone();
            spoiled["rpc"][0]["unknown"] = json!(1);
            spoiled
        }));
        assert!(summary_json(&fixture::passed().results()).get("rpc").is_none());
    }

    #[test]
    fn reloads_are_told() {
        let fixture = fixture::passed();
        let mut results = fixture.results();
        results.reloads.push(ReloadResult {
            version: 1,
            at: Duration::from_millis(1_500),
            took: Duration::from_millis(40),
            changes: vec!["script".to_owned()],
            left: Vec::new(),
        });
        let summary = summary_json(&results);
        assert_valid(&summary);
        let told = json!([{ "version": 1, "at_ms": 1_500.0, "took_ms": 40.0, "changes": ["script"], "left": [] }]);
        assert_eq!(summary["reloads"], told);
        assert!(summary_json(&fixture.results()).get("reloads").is_none());
    }

    #[test]
    fn histograms_can_be_read_again() {
        let fixture = fixture::passed();
        let summary = summary_json(&fixture.results());
        let metric = &summary["metrics"]["http_req_duration"];
        let histogram = Histogram::decode(metric["histogram"].as_str().unwrap()).unwrap();
        assert_eq!(json!(histogram.count()), metric["values"]["count"]);
        let p95 = Histogram::to_unit(histogram.percentile(95.0) as f64);
        assert_eq!(json!(p95), metric["values"]["p(95)"]);
    }

    #[test]
    fn only_the_submetrics_that_thresholds_name_are_shown() {
        let summary = summary_json(&fixture::passed().results());
        let keys: Vec<_> = summary["metrics"].as_object().unwrap().keys().collect();
        assert!(keys.iter().any(|key| *key == "http_req_duration{scenario:readers}"), "{keys:?}");
        assert!(!keys.iter().any(|key| key.starts_with("iteration_lateness{")), "{keys:?}");
    }

    #[test]
    fn figures_that_are_no_numbers_become_finite() {
        assert_eq!(finite(f64::NAN), 0.0);
        assert_eq!(finite(f64::INFINITY), f64::MAX);
        assert_eq!(number(f64::NEG_INFINITY), json!(f64::MIN));
        assert_eq!(number(3.0), json!(3));
        assert_eq!(number(0.5), json!(0.5));
        let odd: Fixture = fixture::odd();
        let summary = summary_json(&odd.results());
        assert_eq!(summary["metrics"]["level"]["values"]["max"], json!(f64::MAX));
        assert_eq!(summary["metrics"]["http_reqs"]["values"]["rate"], json!(0.0));
    }
}
