//! The summary's rows: requests by name and method, JSON-RPC calls by method, and checks.

use std::sync::Arc;

use indexmap::IndexMap;

use super::super::{Histogram, MetricId, Range, Stats, Tags, builtin};

/// The requests of one name and method.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// The tag `name`.
    pub name: Arc<str>,
    /// The tag `method`.
    pub method: Arc<str>,
    /// Requests.
    pub count: u64,
    /// Requests that failed.
    pub errors: u64,
    /// `http_req_duration` in ticks.
    pub duration: Histogram,
}

/// The JSON-RPC calls of one method, whatever carried them.
#[derive(Debug, Clone, PartialEq)]
pub struct RpcMethod {
    /// The tag `rpc_method`.
    pub name: Arc<str>,
    /// Calls, those of batches each for itself.
    pub count: u64,
    /// Calls that failed.
    pub errors: u64,
    /// `rpc_req_duration` in ticks.
    pub duration: Histogram,
}

/// The results of one check in one group and scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The tag `check`.
    pub name: Arc<str>,
    /// The tag `group`; empty outside of groups.
    pub group: Arc<str>,
    /// The tag `scenario`.
    pub scenario: Arc<str>,
    /// How often it held.
    pub passes: u64,
    /// How often it did not.
    pub fails: u64,
}

/// Rows in the order in which they were first seen.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) endpoints: IndexMap<(Arc<str>, Arc<str>), Endpoint>,
    pub(super) rpc_methods: IndexMap<Arc<str>, RpcMethod>,
    pub(super) checks: IndexMap<[Arc<str>; 3], Check>,
}

/// The rows that the series of one tag set belong to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rows {
    endpoint: Option<usize>,
    rpc_method: Option<usize>,
    check: Option<usize>,
}

impl Tables {
    /// Adds what a series received to its row, which is made when first needed.
    pub(super) fn enter(
        &mut self,
        rows: &mut Rows,
        metric: MetricId,
        tags: &Tags,
        stats: Stats<'_>,
    ) {
        match (metric, stats) {
            (builtin::CHECKS, Stats::Rate { passes, total }) => {
                if let Some(check) = self.check(rows, tags) {
                    check.passes += passes;
                    check.fails += total - passes;
                }
            }
            (builtin::HTTP_REQS, Stats::Counter { count }) => {
                if let Some(endpoint) = self.endpoint(rows, tags) {
                    endpoint.count += count as u64;
                }
            }
            (builtin::HTTP_REQ_FAILED, Stats::Rate { passes, .. }) => {
                if let Some(endpoint) = self.endpoint(rows, tags) {
                    endpoint.errors += passes;
                }
            }
            (builtin::HTTP_REQ_DURATION, Stats::Trend(trend, _)) => {
                if let Some(endpoint) = self.endpoint(rows, tags) {
                    endpoint.duration.add(trend);
                }
            }
            (builtin::RPC_REQS, Stats::Counter { count }) => {
                if let Some(method) = self.rpc_method(rows, tags) {
                    method.count += count as u64;
                }
            }
            (builtin::RPC_REQ_FAILED, Stats::Rate { passes, .. }) => {
                if let Some(method) = self.rpc_method(rows, tags) {
                    method.errors += passes;
                }
            }
            (builtin::RPC_REQ_DURATION, Stats::Trend(trend, _)) => {
                if let Some(method) = self.rpc_method(rows, tags) {
                    method.duration.add(trend);
                }
            }
            _ => {}
        }
    }

    fn rpc_method(&mut self, rows: &mut Rows, tags: &Tags) -> Option<&mut RpcMethod> {
        if rows.rpc_method.is_none() {
            let name: Arc<str> = Arc::from(tags.get("rpc_method")?);
            let entry = self.rpc_methods.entry(Arc::clone(&name));
            rows.rpc_method = Some(entry.index());
            let duration = Histogram::new(Range::Time);
            entry.or_insert(RpcMethod { name, count: 0, errors: 0, duration });
        }
        Some(&mut self.rpc_methods[rows.rpc_method?])
    }

    fn endpoint(&mut self, rows: &mut Rows, tags: &Tags) -> Option<&mut Endpoint> {
        if rows.endpoint.is_none() {
            let name: Arc<str> = Arc::from(tags.get("name")?);
            let method: Arc<str> = Arc::from(tags.get("method").unwrap_or_default());
            let entry = self.endpoints.entry((Arc::clone(&name), Arc::clone(&method)));
            rows.endpoint = Some(entry.index());
            let duration = Histogram::new(Range::Time);
            entry.or_insert(Endpoint { name, method, count: 0, errors: 0, duration });
        }
        Some(&mut self.endpoints[rows.endpoint?])
    }

    fn check(&mut self, rows: &mut Rows, tags: &Tags) -> Option<&mut Check> {
        if rows.check.is_none() {
            let name: Arc<str> = Arc::from(tags.get("check")?);
            let group: Arc<str> = Arc::from(tags.get("group").unwrap_or_default());
            let scenario: Arc<str> = Arc::from(tags.get("scenario").unwrap_or_default());
            let entry = self.checks.entry([&name, &group, &scenario].map(Arc::clone));
            rows.check = Some(entry.index());
            entry.or_insert(Check { name, group, scenario, passes: 0, fails: 0 });
        }
        Some(&mut self.checks[rows.check?])
    }
}
