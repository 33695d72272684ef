//! The same conversation in both languages with a WebSocket server of another make, Python's
//! `websockets`: plain, compressed in every way that can be agreed on, and through nginx over TLS.
//!
//! Where Python's `websockets` (Debian: python3-websockets) or nginx is not installed the tests say so
//! and pass, unless `TEST_WEBSOCKETS` or `TEST_NGINX` is `required`.

#![expect(clippy::unwrap_used, reason = "what cannot be had ends the test")]
#![expect(clippy::disallowed_methods, reason = "tests find programs by the environment")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use binary::run;
use kingtide::clock;
use serde_json::Value;
use tempfile::TempDir;

#[path = "support/binary.rs"]
mod binary;

/// A server that runs; ends with its value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

/// Says that nothing was tested, unless it must be.
fn missing(what: &str, variable: &str) {
    let required = std::env::var(variable).is_ok_and(|value| value == "required");
    assert!(!required, "{what} is required, but is not there");
    #[expect(clippy::print_stderr, reason = "a test that tests nothing must say so")]
    {
        eprintln!("{what} is not installed; nothing was tested");
    }
}

/// Starts the Python server; returns its ports by variant, or nothing if it is not installed.
fn websockets() -> Option<(Running, Value)> {
    // The system's Python has the system's packages; another one on PATH has not.
    let python = ["/usr/bin/python3", "python3"].into_iter().find(|python| {
        let import = Command::new(python).args(["-c", "import websockets"]).output();
        import.is_ok_and(|output| output.status.success())
    });
    let Some(python) = python else {
        missing("Python's websockets", "TEST_WEBSOCKETS");
        return None;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/websockets/server.py");
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    Some((Running(child), serde_json::from_str(&line).unwrap()))
}

/// Holds the conversation in both languages.
fn talk(url: &str, compression: &str, compressed: bool, arguments: &[&str]) {
    for language in ["luau", "rhai"] {
        let url = format!("URL={url}");
        let offer = format!("COMPRESSION={compression}");
        let expected = format!("COMPRESSED={}", if compressed { "yes" } else { "no" });
        let env = ["-e", &url, "-e", &offer, "-e", &expected];
        let ran = run(&format!("websockets/talk.{language}"), &[&env[..], arguments].concat());
        assert_eq!(ran.code, 0, "{language}, {compression}: {}", ran.text);
        assert_eq!(ran.number("/metrics/ws_sessions/values/count"), 6.0, "{}", ran.text);
        assert_eq!(ran.number("/metrics/ws_msgs_sent/values/count"), 6.0 * 15.0);
        assert_eq!(ran.number("/metrics/ws_msgs_received/values/count"), 6.0 * 14.0);
        assert_eq!(ran.number("/metrics/ws_ping/values/count"), 6.0);
        assert_eq!(ran.number("/metrics/ws_round_trip/values/count"), 6.0);
        assert_eq!(ran.number("/metrics/ws_session_duration/values/count"), 6.0);
        let sent = ran.number("/metrics/data_sent/values/count");
        // Six times two messages of 170 KB, and 150 KB that compress as well.
        if compressed {
            assert!(sent < 1e6, "{language}, {compression}: {sent} bytes were sent");
        } else {
            assert!(sent > 6.0 * 0.4e6, "{language}, {compression}: {sent} bytes were sent");
        }
    }
}

#[test]
fn every_agreement_with_a_server_of_another_make_works_in_both_languages() {
    let Some((_server, ports)) = websockets() else { return };
    let url = |variant: &str| format!("ws://127.0.0.1:{}/", ports[variant]);
    talk(&url("plain"), "none", false, &[]);
    talk(&url("plain"), "forgetting", false, &[]);
    talk(&url("kept"), "none", false, &[]);
    for variant in ["kept", "server_forgets", "client_forgets", "both_forget"] {
        talk(&url(variant), "forgetting", true, &[]);
        talk(&url(variant), "keeping", true, &[]);
    }
    talk(&url("small_windows"), "windows", true, &[]);
}

fn nginx() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = folders.map(|folder| folder.join("nginx")).find(|file| file.is_file());
    if found.is_none() {
        missing("nginx", "TEST_NGINX");
    }
    found
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts nginx as a TLS proxy before a server; returns its port.
fn proxy(program: &Path, upstream: &Value) -> (Running, TempDir, u16) {
    let folder = tempfile::tempdir().unwrap();
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    fs::write(folder.path().join("cert.pem"), certified.cert.pem()).unwrap();
    fs::write(folder.path().join("key.pem"), certified.signing_key.serialize_pem()).unwrap();
    // Between finding a port and listening on it, it may be taken: then others are tried.
    for _ in 0..5 {
        let port = free_port();
        let config = format!(
            "daemon off; master_process off; worker_processes 1; pid nginx.pid; error_log error.log;
            events {{ worker_connections 512; }}
            http {{
                access_log off;
                client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
                uwsgi_temp_path uwsgi; scgi_temp_path scgi;
                server {{
                    listen 127.0.0.1:{port} ssl http2;
                    ssl_certificate cert.pem;
                    ssl_certificate_key key.pem;
                    location / {{
                        proxy_pass http://127.0.0.1:{upstream};
                        proxy_http_version 1.1;
                        proxy_set_header Upgrade $http_upgrade;
                        proxy_set_header Connection upgrade;
                    }}
                }}
            }}"
        );
        fs::write(folder.path().join("nginx.conf"), config).unwrap();
        let child = Command::new(program)
            .arg("-p")
            .arg(folder.path())
            .args(["-c", "nginx.conf", "-e", "error.log"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut running = Running(child);
        let limit = clock::now() + Duration::from_secs(10);
        while clock::now() < limit && running.0.try_wait().unwrap().is_none() {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return (running, folder, port);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    let log = fs::read_to_string(folder.path().join("error.log")).unwrap_or_default();
    panic!("nginx does not start:\n{log}");
}

#[test]
fn sockets_pass_nginx_over_tls_though_it_speaks_http2_too() {
    let Some(program) = nginx() else { return };
    let Some((_server, ports)) = websockets() else { return };
    let (_nginx, _folder, port) = proxy(&program, &ports["kept"]);
    let url = format!("wss://127.0.0.1:{port}/");
    talk(&url, "none", false, &["--insecure"]);
    talk(&url, "keeping", true, &["--insecure"]);
}
