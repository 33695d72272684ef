//! What the target knows about itself, in the Prometheus text format (version 0.0.4).

#![expect(clippy::disallowed_types, reason = "the target is not a worker")]

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::faults::Faults;
use super::routes::App;
use crate::clock;

/// The upper bounds of the duration histogram's buckets, in seconds.
const BOUNDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// A route as it is observed, and what is done to its answers.
pub(super) struct Endpoint {
    template: &'static str,
    faults: Option<Arc<Faults>>,
    in_flight: Arc<AtomicU64>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    requests: BTreeMap<(&'static str, u16), u64>,
    durations: BTreeMap<&'static str, Histogram>,
}

#[derive(Default)]
struct Histogram {
    /// One count per bound, and one for what lies above them.
    counts: [u64; BOUNDS.len() + 1],
    sum: Duration,
}

impl Histogram {
    fn record(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        self.counts[BOUNDS.partition_point(|bound| *bound < seconds)] += 1;
        self.sum += duration;
    }
}

impl Endpoint {
    /// Describes a route; `in_flight` is one gauge for all of them.
    pub(super) fn new(
        template: &'static str,
        faults: Option<Arc<Faults>>,
        in_flight: Arc<AtomicU64>,
    ) -> Self {
        Self { template, faults, in_flight, seen: Mutex::default() }
    }

    async fn answer(&self, request: Request, next: Next) -> Response {
        let Some(faults) = &self.faults else {
            return next.run(request).await;
        };
        if let Err(error) = faults.before().await {
            return error.into_response();
        }
        let response = next.run(request).await;
        faults.hold().await;
        response
    }

    fn record(&self, method: &'static str, status: StatusCode, duration: Duration) {
        let mut seen = self.seen.lock().expect("no holder panics");
        *seen.requests.entry((method, status.as_u16())).or_default() += 1;
        seen.durations.entry(method).or_default().record(duration);
    }

    fn write_requests(&self, out: &mut String) -> fmt::Result {
        let seen = self.seen.lock().expect("no holder panics");
        for ((method, status), count) in &seen.requests {
            let route = self.template;
            writeln!(
                out,
                "demo_http_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}} {count}"
            )?;
        }
        Ok(())
    }

    fn write_durations(&self, out: &mut String) -> fmt::Result {
        const NAME: &str = "demo_http_request_duration_seconds";
        let seen = self.seen.lock().expect("no holder panics");
        for (method, histogram) in &seen.durations {
            let labels = format!("method=\"{method}\",route=\"{}\"", self.template);
            let mut total = 0;
            let bounds = BOUNDS.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
            for (bound, count) in bounds.zip(histogram.counts) {
                total += count;
                writeln!(out, "{NAME}_bucket{{{labels},le=\"{bound}\"}} {total}")?;
            }
            writeln!(out, "{NAME}_sum{{{labels}}} {}", histogram.sum.as_secs_f64())?;
            writeln!(out, "{NAME}_count{{{labels}}} {total}")?;
        }
        Ok(())
    }
}

/// A request in flight; leaves the gauge also when the client goes away.
struct InFlight<'a>(&'a AtomicU64);

impl<'a> InFlight<'a> {
    fn enter(gauge: &'a AtomicU64) -> Self {
        gauge.fetch_add(1, Ordering::Relaxed);
        Self(gauge)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The middleware around every route: observes it and lets its faults act.
pub(super) async fn observe(
    State(endpoint): State<Arc<Endpoint>>,
    request: Request,
    next: Next,
) -> Response {
    let start = clock::now();
    let method = label(request.method());
    let _in_flight = InFlight::enter(&endpoint.in_flight);
    let response = endpoint.answer(request, next).await;
    endpoint.record(method, response.status(), clock::now().duration_since(start));
    response
}

/// Names a method; unknown ones share a label, so that clients cannot multiply the series.
fn label(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("OTHER")
}

/// `/metrics`: everything above, and what the process uses.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    let mut text = String::with_capacity(16 * 1024);
    write_metrics(&app, &mut text).expect("a String takes all");
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

fn write_metrics(app: &App, out: &mut String) -> fmt::Result {
    family(out, "demo_http_requests_total", "counter", "Requests answered.")?;
    for endpoint in &app.endpoints {
        endpoint.write_requests(out)?;
    }
    let help = "Time from a request's head to its answer's, in seconds.";
    family(out, "demo_http_request_duration_seconds", "histogram", help)?;
    for endpoint in &app.endpoints {
        endpoint.write_durations(out)?;
    }
    single(
        out,
        "demo_http_requests_in_flight",
        "gauge",
        "Requests not answered yet, this one included.",
        app.in_flight.load(Ordering::Relaxed),
    )?;
    single(out, "demo_notes", "gauge", "Notes in the database.", app.store.count())?;
    if let Some(bytes) = resident_bytes() {
        let help = "Resident memory of the process, in bytes.";
        single(out, "process_resident_memory_bytes", "gauge", help, bytes)?;
    }
    if let Some(seconds) = cpu_seconds() {
        let help = "User and system CPU time of the process, in seconds.";
        single(out, "process_cpu_seconds_total", "counter", help, seconds)?;
    }
    Ok(())
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

fn single(
    out: &mut String,
    name: &str,
    kind: &str,
    help: &str,
    value: impl fmt::Display,
) -> fmt::Result {
    family(out, name, kind, help)?;
    writeln!(out, "{name} {value}")
}

/// Returns the resident memory; `None` where there is no `/proc`.
#[cfg(target_os = "linux")]
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// Returns the CPU time used, all threads together; `None` where there is no `/proc`.
#[cfg(target_os = "linux")]
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    ticks(&stat).map(|ticks| ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Reads `utime` and `stime` (proc_pid_stat(5)); the program's name before them is in
/// parentheses and may hold spaces and parentheses itself.
#[cfg(target_os = "linux")]
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(not(target_os = "linux"))]
fn resident_bytes() -> Option<u64> {
    None
}

#[cfg(not(target_os = "linux"))]
fn cpu_seconds() -> Option<f64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_on_a_bound_counts_below_it() {
        let mut histogram = Histogram::default();
        for milliseconds in [0, 1, 2, 10_000, 10_001] {
            histogram.record(Duration::from_millis(milliseconds));
        }
        assert_eq!(histogram.counts[..3], [1, 1, 1]);
        assert_eq!(histogram.counts[13..], [1, 1]);
    }

    #[test]
    fn unknown_methods_share_a_label() {
        assert_eq!(label(&Method::PATCH), "PATCH");
        assert_eq!(label(&Method::from_bytes(b"BREW").expect("a token")), "OTHER");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_cpu_time_is_found_behind_any_program_name() {
        let stat = "7 (a) b) (c) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 100";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("7 (a"), None);
    }
}
