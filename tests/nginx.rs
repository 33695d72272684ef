//! The same scenarios in both languages against a real nginx, whose access log must agree with what
//! is reported.
//!
//! Where nginx is not installed the tests say so and pass, unless `TEST_NGINX` is
//! `required`.

#![expect(clippy::unwrap_used, reason = "what cannot be had ends the test")]
#![expect(clippy::disallowed_methods, reason = "tests find nginx by the environment")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use binary::{Ran, run};
use kingtide::clock;
use nginx::Running;
use serde_json::{Value, json};
use tempfile::TempDir;

#[path = "support/binary.rs"]
mod binary;
#[path = "support/nginx.rs"]
mod nginx;

/// A running nginx; ends with its value.
struct Nginx {
    running: Running,
    folder: TempDir,
    plain: u16,
    tls: u16,
    /// Speaks HTTP/2 over TLS to who chooses it.
    http2: u16,
    /// Speaks HTTP/2 alone, over plain TCP.
    plain_http2: u16,
}

/// A line of the access log.
struct Line {
    connection: u64,
    request: String,
    status: u16,
    bytes: f64,
    protocol: String,
}

impl Nginx {
    /// Starts it; nothing if it is not installed.
    fn start() -> Option<Self> {
        let program = nginx::program()?;
        let folder = tempfile::tempdir().unwrap();
        nginx::self_signed(folder.path());
        let (running, [plain, tls, http2, plain_http2]) =
            nginx::start(&program, folder.path(), |ports| http(ports, &"x".repeat(3_000)));
        Some(Self { running, folder, plain, tls, http2, plain_http2 })
    }

    fn url(&self) -> String {
        format!("BASE_URL=http://127.0.0.1:{}", self.plain)
    }

    fn tls_url(&self) -> String {
        format!("BASE_URL=https://127.0.0.1:{}", self.tls)
    }

    fn lines(&self) -> Vec<Line> {
        let text = fs::read_to_string(self.folder.path().join("access.log")).unwrap();
        let lines = text.lines().map(|line| {
            let parts: Vec<&str> = line.split('|').collect();
            Line {
                connection: parts[0].parse().unwrap(),
                request: parts[1].to_owned(),
                status: parts[2].parse().unwrap(),
                bytes: parts[3].parse().unwrap(),
                protocol: parts[4].to_owned(),
            }
        });
        // Neither requests nor connections of an earlier run are left.
        lines.collect()
    }

    fn forget(&self) {
        fs::File::create(self.folder.path().join("access.log")).unwrap();
    }

    fn stop(&mut self) {
        let _ended = self.running.0.kill();
        self.running.0.wait().unwrap();
    }
}

/// Returns what the block `http` of the configuration holds.
fn http([plain, tls, http2, plain_http2]: [u16; 4], item: &str) -> String {
    format!(
        "log_format counted '$connection|$request_method $uri|$status|$bytes_sent|$server_protocol';
        access_log access.log counted;
        keepalive_requests 100000;
        server {{
            listen 127.0.0.1:{plain};
            listen 127.0.0.1:{tls} ssl;
            listen 127.0.0.1:{http2} ssl http2;
            listen 127.0.0.1:{plain_http2} http2;
            ssl_certificate cert.pem;
            ssl_certificate_key key.pem;
            location = /list {{ return 200 'the tides'; }}
            location = /item {{ return 200 '{item}'; }}
            location / {{ return 404 'nothing'; }}
        }}"
    )
}

/// Returns how often each request is in the log.
fn counted(lines: &[Line]) -> BTreeMap<String, u64> {
    lines.iter().fold(BTreeMap::new(), |mut counts, line| {
        *counts.entry(format!("{} {}", line.request, line.status)).or_default() += 1;
        counts
    })
}

/// Returns what must be equal in both languages: checks, thresholds, scenarios, endpoints.
fn judged(ran: &Ran) -> Value {
    let part = |list: &str, keys: &[&str]| -> Vec<Value> {
        let rows = ran.at(list).as_array().unwrap().iter();
        let mut rows: Vec<Value> =
            rows.map(|row| keys.iter().map(|key| row[key].clone()).collect()).collect();
        rows.sort_by_key(Value::to_string);
        rows
    };
    json!({
        "exit": ran.code,
        "checks": part("/checks", &["name", "group", "scenario", "passes", "fails"]),
        "thresholds": part("/thresholds", &["metric", "expression", "ok"]),
        "endpoints": part("/endpoints", &["name", "method", "count", "errors"]),
        "readers": ran.number("/scenarios/readers/ended"),
        "writers": ran.number("/scenarios/writers/ended"),
        "errors": ran.at("/errors"),
    })
}

#[test]
fn the_access_log_agrees_with_what_is_reported_in_both_languages() {
    let Some(nginx) = Nginx::start() else { return };
    let mut verdicts = Vec::new();
    for language in ["luau", "rhai"] {
        nginx.forget();
        let ran = run(&format!("nginx/mix.{language}"), &["-e", &nginx.url()]);
        let lines = nginx.lines();
        let expected = [
            ("GET /item 200", 35),
            ("GET /list 200", 35),
            ("GET /missing 404", 30),
            ("POST /list 200", 14),
        ];
        let expected = expected.map(|(request, count)| (request.to_owned(), count));
        assert_eq!(counted(&lines), BTreeMap::from(expected), "{language}");
        assert_eq!(ran.number("/metrics/http_reqs/values/count"), lines.len() as f64);
        assert_eq!(ran.number("/metrics/http_req_failed/values/failed"), 30.0);
        let sent: f64 = lines.iter().map(|line| line.bytes).sum();
        let received = ran.number("/metrics/data_received/values/count");
        assert!((received - sent).abs() <= sent * 0.01, "{language}: {received} of {sent} bytes");
        // Two requests at once need a second connection: the VU that sends batches has two.
        let connections: BTreeSet<u64> = lines.iter().map(|line| line.connection).collect();
        assert_eq!(connections.len(), 3 + 2 + 2, "{language}: each VU keeps its connections");
        assert_eq!(ran.code, 2, "{language}: a threshold is violated\n{}", ran.text);
        verdicts.push(judged(&ran));
    }
    assert_eq!(verdicts[0], verdicts[1]);
    let checks = verdicts[0]["checks"].to_string();
    assert!(checks.contains("::browse::detail"), "{checks}");
    let failed = json!(["checks{check:missing is there}", "rate > 0.5", false]);
    assert!(verdicts[0]["thresholds"].as_array().unwrap().contains(&failed), "{verdicts:#?}");
}

#[test]
fn https_works_with_insecure_and_is_refused_without() {
    let Some(nginx) = Nginx::start() else { return };
    for language in ["luau", "rhai"] {
        let script = format!("nginx/steady.{language}");
        let url = nginx.tls_url();
        let arguments = ["-e", &url, "-u", "2", "-i", "10"];
        nginx.forget();
        let refused = run(&script, &arguments);
        assert_eq!(refused.number("/metrics/http_req_failed/values/failed"), 10.0, "{language}");
        assert_eq!(nginx.lines().len(), 0, "{language}");
        let ran = run(&script, &[&arguments[..], &["--insecure"]].concat());
        assert_eq!(ran.number("/metrics/http_req_failed/values/failed"), 0.0, "{language}");
        assert_eq!(nginx.lines().len(), 10, "{language}");
        assert!(ran.number("/metrics/http_req_tls_handshaking/values/max") > 0.0, "{language}");
    }
}

#[test]
fn a_target_that_goes_away_leaves_results() {
    for language in ["luau", "rhai"] {
        let Some(mut nginx) = Nginx::start() else { return };
        let url = nginx.url();
        let running = std::thread::spawn(move || {
            let script = format!("nginx/steady.{language}");
            run(&script, &["-e", &url, "--rate", "100/s", "-d", "2s", "-u", "5"])
        });
        let limit = clock::now() + Duration::from_secs(20);
        while nginx.lines().len() < 50 {
            assert!(clock::now() < limit, "{language}: no requests come");
            std::thread::sleep(Duration::from_millis(5));
        }
        nginx.stop();
        let ran = running.join().unwrap();
        let served = nginx.lines().len() as f64;
        assert_eq!(ran.code, 0, "{language}: {}", ran.text);
        assert_eq!(ran.number("/metrics/http_reqs/values/count"), 200.0, "{language}");
        let answered = 200.0 - ran.number("/metrics/http_req_failed/values/failed");
        // At most what was under way on five connections was logged and never received.
        assert!(answered <= served && served <= answered + 5.0, "{answered} of {served}");
        assert_eq!(ran.number("/scenarios/default/ended"), 200.0, "{language}");
        assert_eq!(ran.at("/errors"), &json!([]), "failed requests are no errors of the script");
    }
}

#[test]
fn http2_is_spoken_as_the_option_says_and_multiplexed_within_a_vu() {
    let Some(nginx) = Nginx::start() else { return };
    let over_tls = format!("BASE_URL=https://127.0.0.1:{}", nginx.http2);
    let plain = format!("BASE_URL=http://127.0.0.1:{}", nginx.plain_http2);
    for language in ["luau", "rhai"] {
        for (url, wish, proto, connections) in [
            (&over_tls, "auto", "HTTP/2.0", 3),
            (&over_tls, "always", "HTTP/2.0", 3),
            (&plain, "always", "HTTP/2.0", 3),
            // Four requests at once are four connections each.
            (&over_tls, "never", "HTTP/1.1", 12),
            (&nginx.tls_url(), "auto", "HTTP/1.1", 12),
        ] {
            nginx.forget();
            let what = format!("{language} {url} {wish}");
            let (http2, expected) = (format!("HTTP2={wish}"), format!("PROTO={proto}"));
            let arguments =
                ["-e", url, "-e", &http2, "-e", &expected, "--vus", "3", "--iterations", "12"];
            let ran = run(&format!("nginx/http2.{language}"), &arguments);
            assert_eq!(ran.code, 0, "{what}: {}", ran.text);
            let checks = ran.at("/checks").as_array().unwrap();
            assert_eq!(checks.len(), 6, "{what}");
            for check in checks {
                assert_eq!(check["fails"], json!(0), "{what}: {check}\n{}", ran.text);
            }
            assert_eq!(ran.number("/metrics/http_reqs/values/count"), 72.0, "{what}");
            let lines = nginx.lines();
            assert_eq!(lines.len(), 72, "{what}");
            assert!(lines.iter().all(|line| line.protocol == proto), "{what}");
            let used: BTreeSet<u64> = lines.iter().map(|line| line.connection).collect();
            assert!(used.len() <= connections, "{what}: {} connections", used.len());
            if proto == "HTTP/2.0" {
                assert_eq!(used.len(), connections, "{what}");
            }
        }
    }
}
