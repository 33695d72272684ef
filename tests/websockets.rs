//! The same conversation in both languages with a WebSocket server of another make, Python's
//! `websockets`: plain, compressed in every way that can be agreed on, and through nginx over TLS.
//!
//! Where Python's `websockets` (Debian: python3-websockets) or nginx is not installed the tests say so
//! and pass, unless `TEST_WEBSOCKETS` or `TEST_NGINX` is `required`.

#![expect(clippy::unwrap_used, reason = "what cannot be had ends the test")]
#![expect(clippy::disallowed_methods, reason = "tests find programs by the environment")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use binary::run;
use nginx::{Running, missing};
use serde_json::Value;
use tempfile::TempDir;

#[path = "support/binary.rs"]
mod binary;
#[path = "support/nginx.rs"]
mod nginx;

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

/// Starts nginx as a TLS proxy before a server; returns its port.
fn proxy(program: &Path, upstream: &Value) -> (Running, TempDir, u16) {
    let folder = tempfile::tempdir().unwrap();
    nginx::self_signed(folder.path());
    let (running, [port]) = nginx::start(program, folder.path(), |[port]| {
        format!(
            "access_log off;
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
            }}"
        )
    });
    (running, folder, port)
}

#[test]
fn sockets_pass_nginx_over_tls_though_it_speaks_http2_too() {
    let Some(program) = nginx::program() else { return };
    let Some((_server, ports)) = websockets() else { return };
    let (_nginx, _folder, port) = proxy(&program, &ports["kept"]);
    let url = format!("wss://127.0.0.1:{port}/");
    talk(&url, "none", false, &["--insecure"]);
    talk(&url, "keeping", true, &["--insecure"]);
}
