//! All metrics of requests, found by one look-up per request.
//!
//! A request's times are only noted on its path, 36 bytes in a row; they are sorted into histograms
//! when enough of them have gathered, or by the reader of the snapshot.

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::{Histogram, MetricId, Range, TagSetId, builtin};

/// The parts of one request's time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestTimings {
    /// Waiting for a connection slot, plus looking_up, connecting and tls_handshaking.
    pub blocked: Duration,
    /// DNS.
    pub looking_up: Duration,
    /// TCP connect.
    pub connecting: Duration,
    /// TLS handshake.
    pub tls_handshaking: Duration,
    /// First to last byte written.
    pub sending: Duration,
    /// Last byte written to first byte read.
    pub waiting: Duration,
    /// First to last byte read.
    pub receiving: Duration,
}

/// One request as the metrics see it.
#[derive(Debug, Clone, Copy)]
pub struct RequestSample<'a> {
    /// `GET`.
    pub method: &'a str,
    /// The row it belongs to.
    pub name: &'a str,
    /// Its URL, or `name` if the author gave one.
    pub url: &'a str,
    /// `HTTP/1.1`; empty if there was no answer.
    pub proto: &'a str,
    /// 0 if there was no answer.
    pub status: u16,
    /// What went wrong, short and without addresses or ports; empty if nothing did.
    pub error: &'a str,
    /// k6's code; 0 if nothing went wrong.
    pub error_code: u16,
    /// Whether the answer was as expected; `None` if it is not judged (cut off at the end of the test).
    pub expected: Option<bool>,
    /// `tls1.3`; empty without TLS.
    pub tls_version: &'a str,
    /// Its time.
    pub timings: RequestTimings,
}

impl RequestSample<'_> {
    /// Calls `f` with the request's own tags.
    pub(super) fn with_tags<R>(&self, f: impl FnOnce(&[(&str, &str)]) -> R) -> R {
        let status = self.status.to_string();
        let code = if self.error_code == 0 { String::new() } else { self.error_code.to_string() };
        let expected = match self.expected {
            None => "",
            Some(false) => "false",
            Some(true) => "true",
        };
        f(&[
            ("error", self.error),
            ("error_code", &code),
            ("expected_response", expected),
            ("method", self.method),
            ("name", self.name),
            ("proto", self.proto),
            ("status", &status),
            ("tls_version", self.tls_version),
            ("url", self.url),
        ])
    }

    fn texts(&self) -> [&str; 6] {
        [self.url, self.name, self.method, self.proto, self.error, self.tls_version]
    }
}

/// The trends of a request, in the order of [`Record`].
pub(super) const TRENDS: [MetricId; 9] = [
    builtin::HTTP_REQ_DURATION,
    builtin::HTTP_REQ_BLOCKED,
    builtin::HTTP_REQ_LOOKING_UP,
    builtin::HTTP_REQ_CONNECTING,
    builtin::HTTP_REQ_TLS_HANDSHAKING,
    builtin::HTTP_REQ_SENDING,
    builtin::HTTP_REQ_WAITING,
    builtin::HTTP_REQ_RECEIVING,
    builtin::HTTP_REQ_TOTAL,
];

/// Series that one tag set of requests makes: its trends, `http_reqs` and `http_req_failed`.
pub(super) const SERIES_PER_SET: usize = TRENDS.len() + 2;

/// Requests of one tag set that are noted before they are sorted into histograms.
const PENDING_MAX: usize = 32;

/// One request's times in ticks; the range ends below 32 bits.
pub(super) type Record = [u32; TRENDS.len()];
/// One tag set's times.
pub(super) type Trends = [Histogram; TRENDS.len()];

#[inline]
fn record_of(timings: &RequestTimings) -> Record {
    let duration =
        timings.sending.saturating_add(timings.waiting).saturating_add(timings.receiving);
    [
        short_ticks(duration),
        short_ticks(timings.blocked),
        short_ticks(timings.looking_up),
        short_ticks(timings.connecting),
        short_ticks(timings.tls_handshaking),
        short_ticks(timings.sending),
        short_ticks(timings.waiting),
        short_ticks(timings.receiving),
        short_ticks(timings.blocked.saturating_add(duration)),
    ]
}

/// Returns a time in whole microseconds, rounded to nearest; what lies far beyond the range of
/// times stays beyond it.
#[inline]
fn short_ticks(time: Duration) -> u32 {
    /// More than the range's hour, and in microseconds less than 2^32.
    const SECONDS_MAX: u64 = 4_000;
    time.as_secs().min(SECONDS_MAX) as u32 * 1_000_000 + (time.subsec_nanos() + 500) / 1000
}

/// Returns trends without samples.
pub(super) fn no_trends() -> Trends {
    [const { Histogram::new(Range::Time) }; TRENDS.len()]
}

/// Sorts noted requests into histograms.
pub(super) fn fold(trends: &mut Trends, records: &[Record]) {
    for (at, trend) in trends.iter_mut().enumerate() {
        trend.record_all(records.iter().map(|record| u64::from(record[at])));
    }
}

/// What one tag set of requests received since the last snapshot.
#[derive(Debug)]
pub(super) struct RequestDelta {
    pub(super) tags: TagSetId,
    pub(super) expected: Option<bool>,
    pub(super) count: u64,
    /// What was sorted already.
    pub(super) trends: Option<Box<Trends>>,
    /// Whether the records have been added to the trends.
    pub(super) complete: bool,
    /// How many of the snapshot's records, in order, are this one's.
    pub(super) records: usize,
}

/// The tag sets of requests.
#[derive(Debug, Default)]
pub(super) struct RequestTable {
    hasher: DefaultHashBuilder,
    index: HashTable<(u64, u32)>,
    bundles: Vec<Bundle>,
    /// Where requests go that found no room, by overflow set and what was expected.
    overflow: Vec<(TagSetId, Option<bool>, u32)>,
    /// Tag sets that received something since the last snapshot.
    changed: Vec<u32>,
}

/// All metrics of the requests that have the same tags.
#[derive(Debug)]
struct Bundle {
    key: Key,
    tags: TagSetId,
    count: u64,
    pending: Vec<Record>,
    trends: Option<Box<Trends>>,
}

/// What requests are told apart by.
#[derive(Debug)]
struct Key {
    base: TagSetId,
    status: u16,
    error_code: u16,
    expected: Option<bool>,
    /// Of the texts in [`RequestSample::texts`], which stand in one block.
    lengths: [u32; 6],
    text: Box<str>,
}

impl Key {
    fn new(base: TagSetId, request: &RequestSample<'_>) -> Self {
        Self {
            base,
            status: request.status,
            error_code: request.error_code,
            expected: request.expected,
            lengths: request.texts().map(|text| text.len() as u32),
            text: request.texts().concat().into(),
        }
    }

    #[inline]
    fn is(&self, base: TagSetId, request: &RequestSample<'_>) -> bool {
        if self.base != base
            || self.status != request.status
            || self.error_code != request.error_code
            || self.expected != request.expected
        {
            return false;
        }
        let mut rest = self.text.as_bytes();
        for (text, length) in request.texts().into_iter().zip(self.lengths) {
            let (own, next) = rest.split_at(length as usize);
            if own != text.as_bytes() {
                return false;
            }
            rest = next;
        }
        true
    }
}

impl RequestTable {
    /// Returns a request's hash, for [`RequestTable::find`] and [`RequestTable::insert`].
    #[inline]
    pub(super) fn hash_of(&self, base: TagSetId, request: &RequestSample<'_>) -> u64 {
        // The URL, or the name in its place, tells nearly all requests apart; the rest goes in as far
        // as it is cheap, since whoever finds the hash compares everything.
        let mut state = self.hasher.build_hasher();
        state.write_u64(
            u64::from(base.0) << 32
                | u64::from(request.status) << 16
                | u64::from(request.error_code),
        );
        let method = request.method.as_bytes().first().copied().unwrap_or_default();
        state.write_u64(
            (request.name.len() as u64) << 32
                | u64::from(tail_of(request.name)) << 16
                | u64::from(method) << 8
                | expected_slot(request.expected) as u64,
        );
        state.write(request.url.as_bytes());
        state.finish()
    }

    /// Finds the place of requests like this one.
    #[inline]
    pub(super) fn find(
        &self,
        hash: u64,
        base: TagSetId,
        sample: &RequestSample<'_>,
    ) -> Option<u32> {
        let known = self.index.find(hash, |&(known, at)| {
            known == hash && self.bundles[at as usize].key.is(base, sample)
        });
        known.map(|entry| entry.1)
    }

    /// Makes a place for requests like this one.
    pub(super) fn insert(
        &mut self,
        hash: u64,
        base: TagSetId,
        request: &RequestSample<'_>,
        tags: TagSetId,
    ) -> u32 {
        let at = self.push(Key::new(base, request), tags);
        self.index.insert_unique(hash, (hash, at), |entry| entry.0);
        at
    }

    /// Returns the place of requests that found no room, under an overflow set.
    pub(super) fn overflow(&mut self, tags: TagSetId, request: &RequestSample<'_>) -> u32 {
        let expected = request.expected;
        let known = self.overflow.iter().find(|place| (place.0, place.1) == (tags, expected));
        if let Some(&(_, _, at)) = known {
            return at;
        }
        let at = self.push(Key::new(tags, request), tags);
        self.overflow.push((tags, expected, at));
        at
    }

    /// Notes a request.
    #[inline]
    pub(super) fn record(&mut self, at: u32, timings: &RequestTimings) {
        let bundle = &mut self.bundles[at as usize];
        if bundle.count == 0 {
            self.changed.push(at);
        }
        bundle.count += 1;
        bundle.pending.push(record_of(timings));
        if bundle.pending.len() >= PENDING_MAX {
            let trends = bundle.trends.get_or_insert_with(|| Box::new(no_trends()));
            fold(trends, &bundle.pending);
            bundle.pending.clear();
        }
    }

    /// Returns how many series the tag sets make.
    pub(super) fn series(&self) -> usize {
        self.bundles.len() * SERIES_PER_SET
    }

    /// Moves out what the tag sets received, with the records that are not sorted yet.
    pub(super) fn take(&mut self) -> (Vec<RequestDelta>, Vec<Record>) {
        let mut records = Vec::new();
        let bundles = &mut self.bundles;
        let deltas = self
            .changed
            .drain(..)
            .map(|at| {
                let bundle = &mut bundles[at as usize];
                records.extend_from_slice(&bundle.pending);
                let delta = RequestDelta {
                    tags: bundle.tags,
                    expected: bundle.key.expected,
                    count: std::mem::take(&mut bundle.count),
                    trends: bundle.trends.take(),
                    complete: false,
                    records: bundle.pending.len(),
                };
                bundle.pending.clear();
                delta
            })
            .collect();
        (deltas, records)
    }

    fn push(&mut self, key: Key, tags: TagSetId) -> u32 {
        let at = self.bundles.len() as u32;
        self.bundles.push(Bundle { key, tags, count: 0, pending: Vec::new(), trends: None });
        at
    }
}

fn tail_of(text: &str) -> u16 {
    text.as_bytes().last_chunk().map_or(0, |tail| u16::from_le_bytes(*tail))
}

fn expected_slot(expected: Option<bool>) -> usize {
    match expected {
        None => 0,
        Some(false) => 1,
        Some(true) => 2,
    }
}
