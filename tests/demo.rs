//! The demo target as a client sees it: over a socket, one request at a time.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use kingtide::clock;
use kingtide::demo::{Demo, DemoError, Settings};
use serde_json::{Value, json};

/// An answer as it came off the wire.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    fn text(&self) -> &str {
        str::from_utf8(&self.body).expect("UTF-8")
    }

    fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{}", self.text());
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// Returns the code of an error and the fields that it names.
    fn error(&self) -> (String, Vec<String>) {
        let document = self.json();
        let error = &document["error"];
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()));
        let fields = error["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
        let name = |field: &Value| field["field"].as_str().expect("a name").to_owned();
        (error["code"].as_str().expect("a code").to_owned(), fields.iter().map(name).collect())
    }
}

/// A connection that is kept open between requests.
struct Client {
    stream: BufReader<TcpStream>,
    token: Option<String>,
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        Self { stream: BufReader::new(stream), token: None }
    }

    fn logged_in(address: SocketAddr) -> Self {
        let mut client = Self::connect(address);
        let answer = client.post("/api/login", &json!({ "user": "ada", "password": "x" }));
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["user"], "ada");
        client.token = Some(answer.json()["token"].as_str().expect("a token").to_owned());
        client
    }

    fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[], body.to_string().as_bytes())
    }

    fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.write(method, path, headers, body);
        self.read(method)
    }

    fn write(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let own = bearer.as_deref().map(|value| ("Authorization", value));
        let length = body.len().to_string();
        let fields = [("Host", "demo"), ("Content-Length", &length)];
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        for (name, value) in fields.iter().copied().chain(own).chain(headers.iter().copied()) {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        let message = [head.as_bytes(), body].concat();
        self.stream.get_mut().write_all(&message).expect("written");
    }

    fn read(&mut self, method: &str) -> Answer {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.stream.read_line(&mut line).expect("a line"), 0, "closed");
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let status = lines[0].split(' ').nth(1).expect("a status").parse().expect("a number");
        let split = |line: &String| {
            let (name, value) = line.split_once(':').expect("a header");
            (name.to_owned(), value.trim().to_owned())
        };
        let headers = lines[1..].iter().map(split).collect();
        let mut answer = Answer { status, headers, body: Vec::new() };
        if method != "HEAD" {
            let length =
                answer.header("content-length").map_or(0, |n| n.parse().expect("a length"));
            answer.body.resize(length, 0);
            self.stream.read_exact(&mut answer.body).expect("the whole body");
        }
        answer
    }
}

fn settings() -> Settings {
    Settings { listen: "127.0.0.1:0".parse().expect("an address"), ..Settings::default() }
}

fn start() -> (Demo, Client) {
    let demo = Demo::start(settings()).expect("started");
    let client = Client::logged_in(demo.address());
    (demo, client)
}

#[test]
fn a_note_lives_from_creation_to_deletion() {
    let (demo, mut client) = start();
    let created = client.post("/api/notes", &json!({ "title": "Ebb", "body": "b", "tags": ["t"] }));
    assert_eq!(created.status, 201);
    let note = created.json();
    let path = format!("/api/notes/{}", note["id"]);
    assert_eq!(created.header("location"), Some(path.as_str()));
    assert_eq!((&note["author"], &note["version"]), (&json!("ada"), &json!(1)));
    assert_eq!(client.get(&path).json(), note);

    let replaced = client.send("PUT", &path, &[], br#"{"title": "Flood", "version": 1}"#);
    assert_eq!(replaced.status, 200);
    let note = replaced.json();
    assert_eq!(
        (&note["title"], &note["body"], &note["tags"]),
        (&json!("Flood"), &json!(""), &json!([]))
    );
    assert_eq!(replaced.header("etag"), Some("\"2\""));

    let patched = client.send("PATCH", &path, &[], br#"{"body": "high"}"#).json();
    assert_eq!((&patched["title"], &patched["body"]), (&json!("Flood"), &json!("high")));

    assert_eq!(client.send("DELETE", &path, &[], b"").status, 204);
    for method in ["GET", "DELETE"] {
        let gone = client.send(method, &path, &[], b"");
        assert_eq!((gone.status, gone.error().0.as_str()), (404, "unknown_note"));
    }
    assert_eq!(client.send("PUT", &path, &[], br#"{"title": "x"}"#).status, 404);
    demo.stop();
}

#[test]
fn a_stale_version_is_refused() {
    let (demo, mut client) = start();
    let body = br#"{"title": "x", "version": 7}"#;
    assert_eq!(client.send("PUT", "/api/notes/1", &[], body).status, 409);
    let stale = [("If-Match", "\"7\"")];
    assert_eq!(client.send("PUT", "/api/notes/1", &stale, br#"{"title": "x"}"#).status, 412);
    assert_eq!(client.send("DELETE", "/api/notes/1", &stale, b"").status, 412);
    assert_eq!(client.send("DELETE", "/api/notes/1", &[("If-Match", "x")], b"").status, 400);
    assert_eq!(client.send("DELETE", "/api/notes/1", &[("If-Match", "\"1\"")], b"").status, 204);
    demo.stop();
}

#[test]
fn invalid_requests_name_their_fields() {
    let (demo, mut client) = start();
    let mut refused = |method, path: &str, body: &[u8]| {
        let answer = client.send(method, path, &[], body);
        let (code, fields) = answer.error();
        (answer.status, code, fields.join(","))
    };
    let invalid = |fields: &str| (422, "invalid".to_owned(), fields.to_owned());
    let plain = |status, code: &str| (status, code.to_owned(), String::new());
    let title = |length| json!({ "title": "x".repeat(length) }).to_string();
    let body = |length| json!({ "title": "x", "body": "x".repeat(length) }).to_string();

    assert_eq!(refused("POST", "/api/login", b"{}"), invalid("user"));
    assert_eq!(
        refused("POST", "/api/login", br#"{"user": "", "password": 1}"#),
        invalid("user,password")
    );
    assert_eq!(refused("POST", "/api/notes", b"{}"), invalid("title"));
    assert_eq!(refused("POST", "/api/notes", title(0).as_bytes()), invalid("title"));
    assert_eq!(refused("POST", "/api/notes", title(201).as_bytes()), invalid("title"));
    assert_eq!(refused("POST", "/api/notes", body(65_537).as_bytes()), invalid("body"));
    assert_eq!(refused("POST", "/api/notes", b"{"), plain(400, "invalid_json"));
    assert_eq!(refused("PATCH", "/api/notes/1", br#"{"tags": "x"}"#), invalid("tags"));
    assert_eq!(refused("GET", "/api/notes/x", b""), plain(400, "not_a_number"));
    assert_eq!(refused("GET", "/api/notes/99999999999999999999", b""), plain(404, "unknown_note"));
    assert_eq!(refused("GET", "/api/notes?per_page=101&page=0", b""), invalid("per_page,page"));
    assert_eq!(refused("GET", "/api/notes?per_page=x", b""), invalid("per_page"));
    assert_eq!(refused("GET", "/nothing", b""), plain(404, "not_found"));
    assert_eq!(refused("POST", "/api/gzip", b""), plain(405, "method_not_allowed"));
    assert_eq!(client.send("POST", "/api/gzip", &[], b"").header("allow"), Some("GET,HEAD"));
    assert_eq!(
        client.post("/api/notes", &serde_json::from_str(&title(200)).expect("JSON")).status,
        201
    );
    assert_eq!(
        client.post("/api/notes", &serde_json::from_str(&body(65_536)).expect("JSON")).status,
        201
    );
    demo.stop();
}

#[test]
fn a_body_beyond_the_limit_is_refused() {
    let (demo, mut client) = start();
    // One byte too many: a target that refuses with more unread may reset the connection.
    let answer = client.send("POST", "/api/login", &[], &vec![b' '; 1024 * 1024 + 1]);
    assert_eq!((answer.status, answer.error().0.as_str()), (413, "body_too_large"));
    demo.stop();
}

#[test]
fn writing_takes_a_token_and_reading_does_not() {
    let (demo, _) = start();
    let mut client = Client::connect(demo.address());
    for (method, path) in [
        ("POST", "/api/notes"),
        ("PUT", "/api/notes/1"),
        ("PATCH", "/api/notes/1"),
        ("DELETE", "/api/notes/1"),
    ] {
        let answer = client.send(method, path, &[], br#"{"title": "x"}"#);
        assert_eq!((answer.status, answer.error().0.as_str()), (401, "unauthorized"), "{method}");
    }
    assert_eq!(client.get("/api/notes").status, 200);
    assert_eq!(client.get("/api/notes/1").status, 200);
    client.token = Some("forged.token".to_owned());
    assert_eq!(client.send("DELETE", "/api/notes/1", &[], b"").status, 401);
    demo.stop();
}

#[test]
fn a_list_comes_in_pages_and_by_filter() {
    let (demo, mut client) = start();
    let first = client.get("/api/notes").json();
    assert_eq!(
        (&first["page"], &first["per_page"], &first["total"]),
        (&json!(1), &json!(20), &json!(50))
    );
    assert_eq!(first["notes"].as_array().map(Vec::len), Some(20));
    let last = client.get("/api/notes?page=3&per_page=20").json();
    assert_eq!(last["notes"].as_array().map(Vec::len), Some(10));
    assert_eq!(last["notes"][9]["id"], 1);
    assert_eq!(client.get("/api/notes?page=4").json()["notes"], json!([]));

    client.post("/api/notes", &json!({ "title": "A&B über", "tags": ["rare tag"] }));
    let found = client.get("/api/notes?q=a%26b+%C3%BCber").json();
    assert_eq!((&found["total"], &found["notes"][0]["title"]), (&json!(1), &json!("A&B über")));
    assert_eq!(client.get("/api/notes?tag=rare%20tag&q=absent").json()["total"], 0);
    assert_eq!(client.get("/api/notes?tag=tides").json()["total"], 10);
    demo.stop();
}

#[test]
fn probes_answer_as_they_are_asked() {
    let (demo, mut client) = start();
    for code in [200, 204, 304, 404, 418, 599] {
        assert_eq!(client.get(&format!("/api/status/{code}")).status, code);
    }
    for code in ["100", "199", "600", "70000"] {
        assert_eq!(client.get(&format!("/api/status/{code}")).status, 422);
    }
    let begun = clock::now();
    assert_eq!(client.get("/api/delay/80").status, 200);
    assert!(clock::now() - begun >= Duration::from_millis(80));
    assert_eq!(client.get("/api/delay/60001").status, 422);

    for count in [0, 1, 65_536, 65_537, 1_000_000] {
        let answer = client.get(&format!("/api/bytes/{count}"));
        assert_eq!((answer.status, answer.body.len()), (200, count));
    }
    assert_eq!(client.get("/api/bytes/100000001").status, 422);
    let head = client.send("HEAD", "/api/bytes/70000", &[], b"");
    assert_eq!(head.header("content-length"), Some("70000"));

    let gzip = client.get("/api/gzip");
    assert_eq!(gzip.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*gzip.body).read_to_string(&mut text).expect("gzip");
    let document: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(document["encoding"], "gzip");

    assert_eq!(client.get("/health").json(), json!({ "status": "ok" }));
    assert!(client.get("/").text().contains("/api/notes/{id}"));
    demo.stop();
}

#[test]
fn an_echo_holds_the_whole_request() {
    let (demo, mut client) = start();
    let headers = [("X-Tide", "low"), ("X-Tide", "high")];
    let echo = client.send("BREW", "/api/echo/a%20b?x=1&y=%C3%A4&x=2", &headers, "grün".as_bytes());
    let echo = echo.json();
    assert_eq!(echo["method"], "BREW");
    assert_eq!(echo["path"], "/api/echo/a%20b");
    assert_eq!(echo["query"], json!({ "x": ["1", "2"], "y": "ä" }));
    assert_eq!(echo["headers"]["x-tide"], json!(["low", "high"]));
    assert_eq!(echo["body"], "grün");

    let echo = client.send("POST", "/api/echo", &[], &[0xff, 0xfe]).json();
    assert_eq!((&echo["body"], &echo["body_base64"]), (&Value::Null, &json!("//4=")));
    let large = client.send("PUT", "/api/echo", &[], &vec![b'x'; 3_000_000]);
    assert_eq!(large.json()["body"].as_str().map(str::len), Some(3_000_000));
    demo.stop();
}

#[test]
fn redirects_count_down_and_cookies_come_back() {
    let (demo, mut client) = start();
    let mut path = "/api/redirect/3".to_owned();
    let mut hops = 0;
    let last = loop {
        let answer = client.get(&path);
        match answer.header("location") {
            Some(location) => path = location.to_owned(),
            None => break answer,
        }
        assert_eq!(answer.status, 302);
        hops += 1;
    };
    assert_eq!((hops, last.status), (3, 200));

    let set = client.get("/api/cookies/set?tide=low&moon=new");
    assert_eq!((set.status, set.header("location")), (302, Some("/api/cookies")));
    let cookies: Vec<_> =
        set.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, v)| v).collect();
    assert_eq!(cookies, ["tide=low; Path=/", "moon=new; Path=/"]);
    let echoed = client.send("GET", "/api/cookies", &[("Cookie", "tide=low; moon=new")], b"");
    assert_eq!(echoed.json(), json!({ "cookies": { "tide": "low", "moon": "new" } }));
    demo.stop();
}

/// Reads the text format: every sample by its name and labels, every family's type.
fn parse_metrics(text: &str) -> (BTreeMap<String, f64>, BTreeMap<String, String>) {
    let (mut samples, mut types) = (BTreeMap::new(), BTreeMap::new());
    let mut helped = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            helped.push(rest.split(' ').next().expect("a name").to_owned());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a type");
            assert_eq!(helped.last().map(String::as_str), Some(name));
            assert_eq!(types.insert(name.to_owned(), kind.to_owned()), None, "{name} twice");
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a series and a value");
            let family = helped.last().expect("a family before its samples");
            assert!(series.starts_with(family.as_str()), "{series} outside its family");
            let value = value.parse().expect("a number");
            assert_eq!(samples.insert(series.to_owned(), value), None, "{series} twice");
        }
    }
    (samples, types)
}

#[test]
fn metrics_count_what_was_asked() {
    let (demo, mut client) = start();
    for _ in 0..3 {
        client.get("/api/notes/7");
    }
    client.get("/api/notes/999");
    client.get("/nothing");
    client.post("/api/notes", &json!({ "title": "counted" }));
    client.get("/api/delay/120");
    let answer = client.get("/metrics");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let (samples, types) = parse_metrics(answer.text());
    let value = |series: &str| samples.get(series).copied();
    let requests = |labels: &str| value(&format!("demo_http_requests_total{{{labels}}}"));
    assert_eq!(requests(r#"method="GET",route="/api/notes/{id}",status="200""#), Some(3.0));
    assert_eq!(requests(r#"method="GET",route="/api/notes/{id}",status="404""#), Some(1.0));
    assert_eq!(requests(r#"method="GET",route="unmatched",status="404""#), Some(1.0));
    assert_eq!(requests(r#"method="POST",route="/api/notes",status="201""#), Some(1.0));

    let duration = |part: &str, more: &str| {
        let labels = format!(r#"method="GET",route="/api/delay/{{ms}}"{more}"#);
        value(&format!("demo_http_request_duration_seconds_{part}{{{labels}}}"))
    };
    assert_eq!(duration("bucket", r#",le="0.1""#), Some(0.0));
    assert_eq!(duration("bucket", r#",le="+Inf""#), Some(1.0));
    assert_eq!(duration("count", ""), Some(1.0));
    assert!(duration("sum", "").is_some_and(|sum| (0.12..10.0).contains(&sum)));

    assert_eq!(value("demo_http_requests_in_flight"), Some(1.0));
    assert_eq!(value("demo_notes"), Some(51.0));
    assert_eq!(types["demo_http_requests_total"], "counter");
    assert_eq!(types["demo_http_request_duration_seconds"], "histogram");
    assert_eq!(types["demo_notes"], "gauge");
    if cfg!(target_os = "linux") {
        assert!(value("process_resident_memory_bytes").is_some_and(|bytes| bytes > 1e6));
        assert_eq!(types["process_cpu_seconds_total"], "counter");
    }
    demo.stop();
}

#[test]
fn an_error_rate_of_one_fails_the_api_and_nothing_else() {
    let demo = Demo::start(Settings { error_rate: 1.0, ..settings() }).expect("started");
    let mut client = Client::connect(demo.address());
    for path in ["/api/notes", "/api/status/204", "/api/gzip"] {
        let answer = client.get(path);
        assert_eq!((answer.status, answer.error().0.as_str()), (500, "injected"), "{path}");
    }
    assert_eq!(client.get("/health").status, 200);
    let metrics = client.get("/metrics");
    assert!(metrics.text().contains(r#"route="/api/notes",status="500"} 1"#));
    demo.stop();

    let (demo, mut client) = start();
    assert!((0..200).all(|_| client.get("/api/notes/1").status == 200));
    demo.stop();
}

#[test]
fn an_error_rate_outside_a_share_is_refused() {
    let outcome = Demo::start(Settings { error_rate: -0.1, ..settings() });
    assert!(matches!(outcome, Err(DemoError::Setting(_))));
}

#[test]
fn added_latency_delays_the_api_alone() {
    let latency = "120ms".parse().expect("a latency");
    let demo = Demo::start(Settings { latency, ..settings() }).expect("started");
    let mut client = Client::connect(demo.address());
    let mut time = |path| {
        let begun = clock::now();
        assert_eq!(client.get(path).status, 200);
        clock::now() - begun
    };
    let api = time("/api/notes/1");
    assert!((Duration::from_millis(120)..Duration::from_secs(5)).contains(&api), "{api:?}");
    let health = (0..5).map(|_| time("/health")).min().expect("five");
    assert!(health < Duration::from_millis(100), "{health:?}");
    demo.stop();
}

#[test]
fn a_stall_holds_arrivals_and_answers_under_way() {
    let stall = vec!["500ms:700ms".parse().expect("a stall")];
    let begun = clock::now();
    let demo = Demo::start(Settings { stall, ..settings() }).expect("started");
    let connect = || Client::connect(demo.address());
    let (mut early, mut late, mut other) = (connect(), connect(), connect());
    // Arrives before the window, and would be answered inside it.
    early.write("GET", "/api/delay/700", &[], b"");
    std::thread::sleep(Duration::from_millis(600));
    late.write("GET", "/api/notes/1", &[], b"");
    let health = clock::now();
    assert_eq!(other.get("/health").status, 200);
    assert!(clock::now() - health < Duration::from_millis(400), "the rest is not stalled");
    for client in [&mut early, &mut late] {
        assert_eq!(client.read("GET").status, 200);
        // The target reads its clock's start after `begun`, so this bound is exact.
        let elapsed = clock::now() - begun;
        assert!(elapsed >= Duration::from_millis(1200), "{elapsed:?}");
    }
    let after = clock::now();
    assert_eq!(late.get("/api/notes/1").status, 200);
    assert!(clock::now() - after < Duration::from_millis(500), "the window is over");
    demo.stop();
}

fn with_file(path: &Path) -> Settings {
    Settings { db: Some(path.to_owned()), ..settings() }
}

#[test]
fn a_file_keeps_the_notes_over_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notes.db");
    let demo = Demo::start(with_file(&path)).expect("started");
    let mut client = Client::logged_in(demo.address());
    let note = client.post("/api/notes", &json!({ "title": "kept", "tags": ["k"] })).json();
    assert_eq!(client.send("DELETE", "/api/notes/1", &[], b"").status, 204);
    demo.stop();

    let demo = Demo::start(with_file(&path)).expect("started again");
    let mut client = Client::logged_in(demo.address());
    let list = client.get("/api/notes?tag=k").json();
    assert_eq!((&list["total"], &list["notes"][0]), (&json!(1), &note));
    assert_eq!(client.get("/api/notes/1").status, 404);
    let next = client.post("/api/notes", &json!({ "title": "next" })).json();
    assert_eq!(next["id"].as_i64(), note["id"].as_i64().map(|id| id + 1));
    demo.stop();
}

#[test]
fn what_cannot_be_opened_is_named() {
    let (demo, _) = start();
    let taken = Demo::start(Settings { listen: demo.address(), ..settings() });
    let message = taken.expect_err("the port is taken").to_string();
    assert!(message.contains(&demo.address().to_string()), "{message}");
    demo.stop();

    let folder = tempfile::tempdir().expect("a folder");
    let outcome = Demo::start(with_file(&folder.path().join("absent/notes.db")));
    let message = outcome.expect_err("there is no such folder").to_string();
    assert!(message.contains("absent/notes.db"), "{message}");
}

#[test]
fn a_stop_does_not_wait_for_slow_answers_or_idle_connections() {
    let (demo, mut idle) = start();
    assert_eq!(idle.get("/health").status, 200);
    let mut slow = Client::connect(demo.address());
    slow.write("GET", "/api/delay/60000", &[], b"");
    // An answer on another connection shows that the target has had its turn.
    idle.get("/health");
    let handle = demo.stop_handle();
    let begun = clock::now();
    let stopper = std::thread::spawn(move || handle.stop());
    let address = demo.address();
    demo.wait();
    let took = clock::now() - begun;
    assert!(took < Duration::from_secs(3), "{took:?}");
    stopper.join().expect("stopped");
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}

fn rpc(client: &mut Client, body: &str) -> Value {
    let answer = client.send("POST", "/api/rpc", &[], body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Returns the result of a call.
fn call(client: &mut Client, method: &str, params: &Value) -> Value {
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let answer = rpc(client, &call.to_string());
    assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!(1)));
    answer.get("result").unwrap_or_else(|| panic!("{answer}")).clone()
}

fn quantity(value: &Value) -> u64 {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    u64::from_str_radix(digits.expect("hexadecimal"), 16).expect("a number")
}

#[test]
fn the_relay_answers_as_ethereum_does_and_the_same_at_every_start() {
    let ((demo, mut client), (other, mut second)) = (start(), start());
    assert_eq!(call(&mut client, "eth_chainId", &json!([])), "0x1cd4");
    assert_eq!(call(&mut client, "net_version", &json!([])), "7380");
    let newest = quantity(&call(&mut client, "eth_blockNumber", &json!([])));
    assert!((1_000_000..1_000_600).contains(&newest), "{newest}");

    let account = "0x00000000000000000000000000000000000000aa";
    for (method, params) in [
        ("eth_getBalance", json!([account, "latest"])),
        ("eth_getTransactionCount", json!([account, "0x10"])),
        ("eth_call", json!([{ "to": account, "data": "0x01020304" }, "latest"])),
        ("eth_getBlockByNumber", json!(["0x10", true])),
    ] {
        let found = call(&mut client, method, &params);
        assert_eq!(found, call(&mut second, method, &params), "{method}");
    }
    let balance = call(&mut client, "eth_getBalance", &json!([account]));
    assert!(balance.as_str().expect("hexadecimal").len() > 2 + 16, "more than 64 bits: {balance}");

    let block = call(&mut client, "eth_getBlockByNumber", &json!(["0x10", true]));
    assert_eq!(block["transactions"].as_array().expect("a list").len(), 20);
    assert_eq!(block["transactions"][3]["blockHash"], block["hash"]);
    let next = call(&mut client, "eth_getBlockByNumber", &json!(["0x11", false]));
    assert_eq!(next["parentHash"], block["hash"]);
    let large = call(&mut client, "eth_getBlockByNumber", &json!(["0x64", false]));
    assert_eq!(large["transactions"].as_array().expect("a list").len(), 5_000);
    let future = call(&mut client, "eth_getBlockByNumber", &json!(["0xffffffff", false]));
    assert_eq!(future, Value::Null);
    let sent = call(&mut client, "eth_sendRawTransaction", &json!(["0x02f8"]));
    assert_eq!(sent.as_str().expect("a hash").len(), 66);
    demo.stop();
    other.stop();
}

#[test]
fn the_relay_names_what_is_wrong_with_a_call() {
    let (demo, mut client) = start();
    let mut code = |body: &str| {
        let answer = rpc(&mut client, body);
        assert!(answer.get("result").is_none(), "{answer}");
        (answer["error"]["code"].as_i64().expect("a code"), answer["id"].clone())
    };
    assert_eq!(code("{"), (-32700, Value::Null));
    assert_eq!(code("[]"), (-32600, Value::Null));
    assert_eq!(code(r#"{"id":1,"method":"eth_chainId"}"#), (-32600, Value::Null));
    assert_eq!(code(r#"{"jsonrpc":"2.0","id":"a","method":"x"}"#), (-32601, json!("a")));
    let with = |method: &str, params: Value| {
        json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }).to_string()
    };
    assert_eq!(code(&with("eth_getBalance", json!(["0x1"]))).0, -32602);
    assert_eq!(code(&with("eth_getBlockByNumber", json!(["newest", false]))).0, -32602);
    assert_eq!(code(&with("eth_chainId", json!(7))).0, -32602);
    assert_eq!(code(&with("eth_sendRawTransaction", json!(["0x"]))).0, -32000);
    assert_eq!(code(&with("demo_error", json!([-31999, "x"]))).0, -31999);
    let account = format!("0x{}", "1".repeat(40));
    let reverted = with("eth_call", json!([{ "to": account, "data": "0xa9cc4718" }]));
    assert_eq!(code(&reverted), (3, json!(7)));
    demo.stop();
}

#[test]
fn the_relay_answers_batches_as_calls_end_and_notifications_not_at_all() {
    let (demo, mut client) = start();
    let batch = json!([
        { "jsonrpc": "2.0", "id": 1, "method": "demo_delay", "params": [80] },
        { "jsonrpc": "2.0", "method": "eth_chainId" },
        { "jsonrpc": "2.0", "id": "b", "method": "eth_chainId" },
        7,
    ]);
    let answers = rpc(&mut client, &batch.to_string());
    let ids: Vec<&Value> = answers.as_array().expect("a list").iter().map(|a| &a["id"]).collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(ids[2], &json!(1), "the slow one comes last: {answers}");
    let notification = br#"{"jsonrpc":"2.0","method":"eth_chainId"}"#;
    let silent = client.send("POST", "/api/rpc", &[], notification);
    assert_eq!((silent.status, silent.text()), (204, ""));
    let many = Value::from(vec![batch[2].clone(); 1_001]).to_string();
    assert_eq!(rpc(&mut client, &many)["error"]["code"], -32005);
    assert_eq!(client.get("/api/rpc").status, 405);
    demo.stop();
}

#[test]
fn the_relay_keeps_numbers_as_they_are_written() {
    let (demo, mut client) = start();
    let digits = "9".repeat(80);
    let call = format!(
        r#"{{"jsonrpc":"2.0","id":{digits},"method":"demo_echo","params":[{digits}, 1.50]}}"#
    );
    let answer = client.send("POST", "/api/rpc", &[], call.as_bytes());
    let wanted = format!(r#"{{"jsonrpc":"2.0","id":{digits},"result":[{digits}, 1.50]}}"#);
    assert_eq!(answer.text(), wanted);
    demo.stop();
}
