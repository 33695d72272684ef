//! What one source of options sets, and how sources are merged.

use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use self::setting::{Fields, Setting, settings};
use super::{Http2, HttpDebug, Isolation, Pem, PlanError, Proxy, Statuses};

pub use self::dns::DnsOptions;
pub use self::proxy::ProxyOptions;
pub use self::rate::{Rate, StageOptions};
pub use self::scenario::ScenarioOptions;
pub use self::setting::Bytes;
pub use self::threshold::ThresholdOptions;
pub use self::tls::{TlsAuthOptions, TlsVersionOptions};

mod dns;
mod env;
mod merge;
mod proxy;
mod rate;
mod scenario;
mod setting;
mod threshold;
mod tls;

pub use self::merge::Notice;

settings! {
    /// Optional settings of one source. [`super::resolve()`] says what each defaults to.
    pub struct Options {
        /// VUs of the one scenario that the load options describe; with `rate`, the most VUs.
        pub vus: u64,
        /// How long the one scenario runs.
        pub duration: Duration,
        /// Iterations of the one scenario, shared by its VUs.
        pub iterations: u64,
        /// VUs of the one scenario over time.
        pub stages: Vec<StageOptions>,
        /// Iterations per time of the one scenario, with `duration`.
        pub rate: Rate,
        /// The scenarios by name.
        pub scenarios: IndexMap<String, ScenarioOptions>,
        /// What must hold, by metric selector.
        pub thresholds: IndexMap<String, Vec<ThresholdOptions>>,
        /// Tags on every sample.
        pub tags: BTreeMap<String, String>,
        /// What `kt.env` sees.
        pub env: BTreeMap<String, String>,
        /// How long `setup` may take.
        pub setup_timeout: Duration,
        /// How long `teardown` may take.
        pub teardown_timeout: Duration,
        /// Whether `setup` is left out.
        pub no_setup: bool,
        /// Whether `teardown` is left out.
        pub no_teardown: bool,
        /// Addresses for names: `name[:port]` or `*.suffix` to `address[:port]`.
        pub hosts: IndexMap<String, String>,
        /// How names become addresses.
        pub dns: DnsOptions,
        /// Names that nobody connects to.
        pub block_hostnames: Vec<String>,
        /// Networks that nobody connects to.
        pub blacklist_ips: Vec<String>,
        /// Addresses of this machine that the VUs' connections come from.
        pub local_ips: Vec<String>,
        /// What stands between us and the target.
        pub proxy: ProxyOptions,
        /// Whether the environment may name proxies.
        pub proxy_from_env: bool,
        /// Whether certificates go unchecked.
        pub insecure_skip_tls_verify: bool,
        /// Certificates that are trusted besides those of the machine: PEM files, or their text.
        pub tls_roots: Vec<String>,
        /// Client certificates.
        pub tls_auth: Vec<TlsAuthOptions>,
        /// The versions of TLS that may be spoken.
        pub tls_version: TlsVersionOptions,
        /// The only cipher suites.
        pub tls_cipher_suites: Vec<String>,
        /// `User-Agent`; empty for none.
        pub user_agent: String,
        /// Most redirects followed.
        pub max_redirects: u64,
        /// Time for one request with its redirects.
        pub timeout: Duration,
        /// Whether each request opens a connection.
        pub no_connection_reuse: bool,
        /// Whether each iteration opens its connections anew.
        pub no_vu_connection_reuse: bool,
        /// Whether the cookie jar is kept from one iteration to the next.
        pub no_cookies_reset: bool,
        /// Whether bodies are dropped unless a request asks for them.
        pub discard_response_bodies: bool,
        /// Whether a failed request raises an error in the script.
        pub throw: bool,
        /// Which statuses do not fail a request.
        pub expected_statuses: Statuses,
        /// Most requests per second, of all VUs together.
        pub rps: Rate,
        /// Parallel requests of one `batch`.
        pub batch: u64,
        /// Parallel requests of one `batch` to one host.
        pub batch_per_host: u64,
        /// Whether requests go over HTTP/2.
        pub http2: Http2,
        /// Least time between the starts of a VU's iterations.
        pub min_iteration_duration: Duration,
        /// Statistics of a trend that the summary shows: `avg`, `p(95)`, ….
        pub summary_trend_stats: Vec<String>,
        /// The seed of everything random.
        pub seed: u64,
        /// Worker threads.
        pub workers: u64,
        /// What of requests and answers is printed.
        pub http_debug: HttpDebug,
        /// How Luau VUs share states.
        pub isolation: Isolation,
        /// Most series that the metrics hold.
        pub series_max: u64,
        /// Most bytes of one answer's body, decoded.
        pub body_bytes_max: Bytes,
        /// What a script may use.
        pub limits: LimitOptions,
    }
}

settings! {
    /// What a script may use before its iteration ends with an error.
    pub struct LimitOptions {
        /// Bytes per VU.
        pub memory: Bytes,
        /// Script code without waiting.
        pub time: Duration,
        /// Script code without waiting after which the VU lets others run.
        pub slice: Duration,
        /// Nested calls.
        pub call_depth: u64,
        /// Bytes of one string.
        pub string: Bytes,
        /// Elements of one table, array or map.
        pub table: u64,
        /// WebSockets that a VU may have open.
        pub sockets: u64,
        /// Bytes of one WebSocket message, unpacked.
        pub message: Bytes,
        /// Messages of one WebSocket that wait to be received.
        pub queued_messages: u64,
    }
}

impl Setting for LimitOptions {
    fn read(path: &str, value: Value) -> Result<Self, PlanError> {
        let mut fields = Fields::open(path, value)?;
        let limits = Self::read_fields(&mut fields)?;
        fields.finish()?;
        Ok(limits)
    }

    fn write(&self) -> Value {
        Value::Object(self.write_fields())
    }

    fn over(self, lower: Self) -> Self {
        self.fields_over(lower)
    }
}

impl Options {
    /// Reads the options of a script, or of any other source that has them as a tree.
    ///
    /// Durations are texts (`"1m30s"`) or numbers of milliseconds, sizes texts (`"64MiB"`) or
    /// numbers of bytes. An unknown key or a wrong type is an error that names the key.
    pub fn from_json(tree: Value) -> Result<Self, PlanError> {
        let mut fields = Fields::open("", tree)?;
        let options = Self::read_fields(&mut fields)?;
        fields.finish()?;
        Ok(options)
    }

    /// Reads the options of a `kingtide.toml`.
    pub fn from_toml(text: &str) -> Result<Self, PlanError> {
        let tree: Value = toml::from_str(text).map_err(|error| {
            PlanError::new("", format!("not valid TOML: {}", error.to_string().trim_end()))
        })?;
        Self::from_json(tree)
    }

    /// Returns the options as others may see them: without passwords and keys.
    #[must_use]
    pub fn without_secrets(mut self) -> Self {
        if let Some(proxy) = &mut self.proxy {
            for url in [&mut proxy.http, &mut proxy.https].into_iter().flatten() {
                if let Ok(proxy) = Proxy::parse(url) {
                    *url = proxy.to_string();
                }
            }
        }
        for auth in self.tls_auth.iter_mut().flatten() {
            auth.key = auth.key.as_deref().map(|key| Pem::new(key).to_string());
        }
        self
    }

    /// Returns the options as the tree that [`Self::from_json`] reads; what is not set is left out.
    pub fn to_json(&self) -> Value {
        Value::Object(self.write_fields())
    }
}

impl serde::Serialize for Options {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.write_fields().serialize(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for Options {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tree = Map::deserialize(deserializer)?;
        Self::from_json(Value::Object(tree)).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::ExecutorKind;

    fn message(tree: Value) -> String {
        Options::from_json(tree).expect_err("the options are wrong").message
    }

    #[test]
    fn the_options_of_the_guide_are_read() {
        let options = Options::from_json(json!({
            "scenarios": {
                "readers": {
                    "executor": "ramping-vus",
                    "stages": [{ "duration": "10s", "target": 50 }],
                    "exec": "read",
                },
                "writers": {
                    "executor": "constant-arrival-rate",
                    "rate": 20, "duration": "30s", "exec": "write",
                },
            },
            "thresholds": {
                "http_req_duration{scenario:readers}": ["p(95) < 200ms"],
                "http_req_failed": "rate < 0.1%",
                "checks": [
                    { "threshold": "rate > 99%", "abort_on_fail": true, "delay_abort_eval": "10s" },
                ],
            },
            "limits": { "memory": "64MiB", "time": 500 },
            "summary_trend_stats": "avg, p(99)",
        }))
        .unwrap();
        let scenarios = options.scenarios.unwrap();
        assert_eq!(scenarios.keys().collect::<Vec<_>>(), ["readers", "writers"]);
        assert_eq!(scenarios["writers"].executor, Some(ExecutorKind::ConstantArrivalRate));
        assert_eq!(scenarios["writers"].rate, Some(Rate::plain(20.0)));
        let thresholds = options.thresholds.unwrap();
        assert_eq!(thresholds["http_req_failed"][0].threshold, "rate < 0.1%");
        assert_eq!(thresholds["checks"][0].delay_abort_eval, Duration::from_secs(10));
        let limits = options.limits.unwrap();
        assert_eq!(limits.memory, Some(Bytes(64 << 20)));
        assert_eq!(limits.time, Some(Duration::from_millis(500)));
        assert_eq!(options.summary_trend_stats.unwrap(), ["avg", "p(99)"]);
    }

    #[test]
    fn unknown_keys_get_the_nearest_known_one_at_every_level() {
        assert_eq!(
            message(json!({ "treshold": {} })),
            "unknown option `treshold`, did you mean `thresholds`?"
        );
        assert_eq!(message(json!({ "insecureSkipTLSVerify": true })), {
            "unknown option `insecureSkipTLSVerify`, did you mean `insecure_skip_tls_verify`?"
        });
        assert_eq!(message(json!({ "banana": 1 })), "unknown option `banana`");
        assert_eq!(
            message(json!({ "limits": { "memroy": 1 } })),
            "unknown option `limits.memroy`, did you mean `memory`?"
        );
        assert_eq!(
            message(json!({ "stages": [{ "duration": "1s", "targt": 1 }] })),
            "unknown option `stages[0].targt`, did you mean `target`?"
        );
        assert_eq!(
            message(json!({ "thresholds": { "checks": [{ "treshold": "rate > 1" }] } })),
            "unknown option `thresholds.checks[0].treshold`, did you mean `threshold`?"
        );
    }

    #[test]
    fn wrong_types_say_what_was_wanted_and_what_came() {
        let cases = [
            (
                json!({ "vus": "ten" }),
                r#"option `vus` must be a whole number, got the string "ten""#,
            ),
            (json!({ "vus": 1.5 }), "option `vus` must be a whole number, got the number 1.5"),
            (json!({ "vus": -1 }), "option `vus` must be a whole number, got the number -1"),
            (json!({ "throw": 1 }), "option `throw` must be true or false, got the number 1"),
            (
                json!({ "duration": true }),
                concat!(
                    "option `duration` must be a duration such as \"1m30s\" ",
                    "or a number of milliseconds, got true"
                ),
            ),
            (json!({ "tags": [1] }), "option `tags` must be a table, got a list"),
            (json!({ "user_agent": {} }), "option `user_agent` must be a string, got a table"),
            (
                json!({ "http_debug": "all" }),
                r#"option `http_debug` must be one of "off", "headers", "full"; got the string "all""#,
            ),
            (json!([1]), "the options must be a table, got a list"),
        ];
        for (tree, expected) in cases {
            assert_eq!(message(tree), expected);
        }
        let error = Options::from_json(json!({ "duration": "10x" })).unwrap_err();
        assert!(error.message.starts_with("option `duration`: \"10x\" is not a duration"));
        assert_eq!(error.path, "duration");
    }

    #[test]
    fn numbers_may_come_as_floats_and_nulls_are_unset() {
        let options = Options::from_json(json!({ "vus": 10.0, "duration": null })).unwrap();
        assert_eq!(options, Options { vus: Some(10), ..Options::default() });
    }

    #[test]
    fn empty_tables_of_luau_fit_lists_and_maps() {
        let options = Options::from_json(json!({ "tags": [], "stages": {} })).unwrap();
        assert_eq!(options.tags, Some(BTreeMap::new()));
        assert_eq!(options.stages, Some(Vec::new()));
    }

    #[test]
    fn a_toml_file_is_read_in_its_order() {
        let options = Options::from_toml(
            r#"
            workers = 2
            [scenarios.zebra]
            executor = "constant-vus"
            vus = 3
            duration = "5s"
            [scenarios.ant]
            executor = "constant-arrival-rate"
            rate = "5/10s"
            duration = "5s"
            [hosts]
            "*.test" = "127.0.0.1:8080"
            "#,
        )
        .unwrap();
        assert_eq!(options.workers, Some(2));
        assert_eq!(options.scenarios.unwrap().keys().collect::<Vec<_>>(), ["zebra", "ant"]);
        assert_eq!(options.hosts.unwrap()["*.test"], "127.0.0.1:8080");
        let error = Options::from_toml("vus = = 1").unwrap_err();
        assert!(error.message.starts_with("not valid TOML: TOML parse error at line 1"));
    }

    #[test]
    fn secrets_are_left_out_of_what_others_see() {
        let options = Options::from_json(json!({
            "proxy": { "http": "http://u:secret@p:1", "https": "q:2" },
            "tls_auth": [
                { "cert": "a.pem", "key": "a.key" },
                { "cert": "b.pem", "key": "-----BEGIN PRIVATE KEY-----\nsecret" },
            ],
        }));
        assert_eq!(
            options.unwrap().without_secrets().to_json(),
            json!({
                "proxy": { "http": "http://p:1", "https": "http://q:2" },
                "tls_auth": [
                    { "cert": "a.pem", "key": "a.key" },
                    { "cert": "b.pem", "key": "the PEM text" },
                ],
            })
        );
    }

    #[test]
    fn options_survive_being_written_as_json() {
        let tree = json!({
            "vus": 5,
            "duration": "1m30s",
            "rate": "100/m",
            "stages": [{ "duration": "10s", "target": 50 }],
            "scenarios": { "a": {
                "executor": "ramping-arrival-rate", "start_rate": "1/s", "arrivals": "poisson",
                "on_overload": "drop",
                "stages": [{ "duration": "1s", "target": 2.5 }], "start_after": "b",
            } },
            "thresholds": { "checks": [{
                "threshold": "rate > 0.9", "abort_on_fail": true, "delay_abort_eval": "5s",
                "min_samples": 7, "allow_empty": true,
            }, "rate > 0.5"] },
            "tags": { "team": "blue" },
            "hosts": { "a.test": "127.0.0.1" },
            "http_debug": "full",
            "isolation": "state",
            "limits": { "memory": 1000 },
        });
        let options = Options::from_json(tree.clone()).unwrap();
        assert_eq!(options.to_json(), tree);
        let text = serde_json::to_string(&options).unwrap();
        assert_eq!(serde_json::from_str::<Options>(&text).unwrap(), options);
    }
}
