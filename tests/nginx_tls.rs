//! Client certificates, roots and versions of TLS as options, against a real nginx that insists on
//! them, whose access log must agree.
//!
//! Where nginx is not installed the test says so and passes, unless `TEST_NGINX` is `required`.

#![expect(clippy::unwrap_used, reason = "what cannot be had ends the test")]
#![expect(clippy::disallowed_methods, reason = "tests find nginx by the environment")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use binary::run;
use certificates::{Authority, Certified};
use kingtide::clock;
use nginx::Running;

#[path = "support/binary.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod binary;
#[path = "support/certificates.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod certificates;
#[path = "support/nginx.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod nginx;

/// Starts nginx with two servers that want certificates: one speaks TLS 1.2 alone, one 1.3.
fn start(program: &Path, folder: &Path) -> (Running, [u16; 2]) {
    nginx::start(program, folder, |[old, new]| {
        let server = |port: u16, version: &str| {
            format!(
                "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate server.pem; \
                 ssl_certificate_key server.key; ssl_client_certificate ca.pem; \
                 ssl_verify_client on; ssl_protocols {version}; return 200 \"$ssl_client_s_dn\"; }}"
            )
        };
        format!(
            "log_format seen '$ssl_protocol|$ssl_cipher|$ssl_client_verify|$status';
            access_log access.log seen;
            {}
            {}",
            server(old, "TLSv1.2"),
            server(new, "TLSv1.3"),
        )
    })
}

const LUAU: &str = r#"
local kt = require("@kingtide")
local http = require("@kingtide/http")
local test = {}
function test.iteration()
    local old = http.get(kt.env("OLD"))
    local new = http.get(kt.env("NEW"))
    kt.check(old, { old = function(r) return r.body == "CN=vu 7" and r.tls_version == "tls1.2" end })
    kt.check(new, { new = function(r) return r.body == "CN=vu 7" and r.tls_version == "tls1.3" end })
    local nobody = http.get(kt.env("STRANGER"))
    kt.check(nobody, { nobody = function(r) return r.status == 400 end })
    local none = http.get(kt.env("NEW"), { tls = { max_version = "tls1.2" } })
    kt.check(none, { ["no version"] = function(r) return r.error_code == 1300 end })
end
return test
"#;

const RHAI: &str = r#"
import "kingtide" as kt;
import "kingtide/http" as http;
fn iteration() {
    let former = http::get(kt::env("OLD"));
    let latter = http::get(kt::env("NEW"));
    kt::check(former, #{ "old": |r| r.body == "CN=vu 7" && r.tls_version == "tls1.2" });
    kt::check(latter, #{ "new": |r| r.body == "CN=vu 7" && r.tls_version == "tls1.3" });
    let nobody = http::get(kt::env("STRANGER"));
    kt::check(nobody, #{ nobody: |r| r.status == 400 });
    let none = http::get(kt::env("NEW"), #{ tls: #{ max_version: "tls1.2" } });
    kt::check(none, #{ "no version": |r| r.error_code == 1300 });
}
"#;

const OPTIONS: &str = r#"
tls_roots = ["ca.pem"]
tls_cipher_suites = ["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"]
[[tls_auth]]
cert = "vu.pem"
key = "vu.key"
domains = ["127.0.0.1"]
[thresholds]
checks = ["rate == 1", "count == 4"]
[hosts]
"stranger.test" = "127.0.0.1"
"#;

/// Returns the answered requests of the log, once there are so many: nginx writes a line when the client
/// has its answer already.
fn logged(log: &Path, wanted: usize) -> Vec<String> {
    let limit = clock::now() + Duration::from_secs(10);
    loop {
        let text = fs::read_to_string(log).unwrap();
        let lines = text.lines().filter(|line| !line.ends_with('|'));
        let lines: Vec<String> = lines.map(str::to_owned).collect();
        if lines.len() >= wanted || clock::now() > limit {
            return lines;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn nginx_knows_who_the_vus_are() {
    let Some(program) = nginx::program() else { return };
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let Certified { cert, key } = authority.certify_all(&["127.0.0.1", "stranger.test"], "server");
    let vu = authority.certify_all(&["vu.test"], "vu 7");
    for (name, text) in [
        ("ca.pem", authority.pem.as_str()),
        ("server.pem", &cert),
        ("server.key", &key),
        ("vu.pem", &vu.cert),
        ("vu.key", &vu.key),
        ("test.luau", LUAU),
        ("test.rhai", RHAI),
        ("kingtide.toml", OPTIONS),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let (nginx, [old, new]) = start(&program, folder.path());
    let urls = [
        format!("OLD=https://127.0.0.1:{old}/"),
        format!("NEW=https://127.0.0.1:{new}/"),
        format!("STRANGER=https://stranger.test:{new}/"),
    ];
    let [a, b, c] = urls.each_ref().map(String::as_str);
    let log = folder.path().join("access.log");
    for name in ["test.luau", "test.rhai"] {
        // nginx goes on at the end of what is there.
        fs::File::create(&log).unwrap();
        let script = folder.path().join(name);
        let keys = folder.path().join(format!("{name}.keys"));
        let key_log = format!("--tls-key-log={}", keys.display());
        let ran = run(script.to_str().unwrap(), &["-e", a, "-e", b, "-e", c, &key_log]);
        assert_eq!(ran.code, 0, "{}", ran.text);
        assert_eq!(
            logged(&log, 3),
            [
                "TLSv1.2|ECDHE-ECDSA-CHACHA20-POLY1305|SUCCESS|200",
                "TLSv1.3|TLS_AES_128_GCM_SHA256|SUCCESS|200",
                "TLSv1.3|TLS_AES_128_GCM_SHA256|NONE|400",
            ],
            "{name}"
        );
        let keys = fs::read_to_string(keys).unwrap();
        assert_eq!(keys.lines().filter(|line| line.starts_with("CLIENT_RANDOM ")).count(), 1);
        assert!(keys.lines().any(|line| line.starts_with("CLIENT_TRAFFIC_SECRET_0 ")));
    }
    drop(nginx);
}
