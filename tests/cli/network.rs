//! What of the network the command line alone can allow, and errors of the network's options.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;

use super::bench::Bench;

#[test]
fn tls_secrets_are_written_only_where_the_command_line_says_so() {
    let bench = Bench::new();
    let script = bench.luau("function test.iteration() end");
    let environment = [("SSLKEYLOGFILE", "keys.log")];
    bench.kingtide_with(&["run", script], &environment).exits(0);
    assert!(!bench.has("keys.log"));
    bench.kingtide_with(&["run", script, "--tls-key-log"], &environment).exits(0);
    assert_eq!(bench.read("keys.log"), "");
    bench.kingtide(&["run", script, "--tls-key-log=named.log"]).exits(0);
    assert!(bench.has("named.log"));
    bench
        .kingtide(&["run", script, "--tls-key-log"])
        .exits(64)
        .says(&["--tls-key-log: SSLKEYLOGFILE is not set", "--tls-key-log=FILE"]);
    bench
        .kingtide(&["run", script, "--tls-key-log=none/keys.log"])
        .exits(104)
        .says(&["the TLS key log none/keys.log cannot be written"]);
    let script =
        bench.luau("test.options = { tls_key_log = \"x\" }\nfunction test.iteration() end");
    bench.kingtide(&["run", script]).exits(104).says(&["unknown option `tls_key_log`"]);
}

#[test]
fn certificates_are_read_before_the_start_and_from_the_scripts_folder_alone() {
    let bench = Bench::new();
    let [luau, rhai] = bench.both(
        "test.options = { tls_auth = { { cert = \"a.pem\", key = \"../b.key\" } } }\n\
         function test.iteration() end",
        "fn options() { #{ tls_auth: [#{ cert: \"a.pem\", key: \"../b.key\" }] } }\n\
         fn iteration() {}",
    );
    for script in [luau, rhai] {
        bench
            .kingtide(&["check", script])
            .exits(104)
            .says(&["option `tls_auth[0].cert`: cannot find a.pem", "tls_auth"]);
    }
    bench.write("a.pem", "nothing");
    bench.kingtide(&["check", luau]).exits(104).says(&["option `tls_auth[0].key`: cannot "]);
    let script =
        bench.luau("test.options = { tls_roots = { \"a.pem\" } }\nfunction test.iteration() end");
    bench
        .kingtide(&["check", script])
        .exits(104)
        .says(&["tls_roots[0]: a.pem holds no certificate in PEM"]);
}

/// Where the system lets nobody make namespaces, this says so and passes.
#[test]
fn a_resolver_that_does_not_answer_is_an_error_of_its_own() {
    let bench = Bench::new();
    bench.luau(
        "function test.iteration()
            local res = http.get(\"http://kingtide.test/\")
            kt.log.info(`it is {res.error_code}, {res.error}`)
        end",
    );
    // In a network of its own nobody listens on port 53.
    bench.write("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
    let inside = "mount --bind resolv.conf /etc/resolv.conf || exit 77\nexec \"$0\" run test.luau";
    let made = Command::new("unshare")
        .args(["-rmn", "sh", "-c", inside, env!("CARGO_BIN_EXE_kingtide")])
        .current_dir(bench.path())
        .env("LANG", "C.UTF-8")
        .output();
    let said = match made {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stderr).into_owned()
        }
        _ => {
            println!("no namespace can be made here; nothing was tested");
            return;
        }
    };
    assert!(said.contains("it is 1100, host look-up failed"), "{said}");
}

#[test]
fn a_rate_of_requests_is_limited_by_flag_and_option() {
    let bench = Bench::new();
    let script = bench.luau(
        "test.options = { scenarios = { a = { executor = \"constant-vus\", duration = \"1s\", \
         rps = \"30/m\" } }, rps = 7 }\nfunction test.iteration() end",
    );
    let plan = |args: &[&str]| {
        let ended = bench.kingtide(&[&["check", "--json", script], args].concat()).exits(0);
        let mut json: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
        json["plan"].take()
    };
    assert_eq!(plan(&[])["scenarios"][0]["rps"], 0.5);
    assert_eq!(plan(&[])["http"]["rps"], 7.0);
    assert_eq!(plan(&["--rps", "300/m"])["http"]["rps"], 5.0);
    assert!(plan(&["--rps", "0"])["http"]["rps"].is_null());
    bench.kingtide(&["check", script, "--rps", "fast"]).exits(64).says(&["--rps: \"fast\" is not"]);
}

#[test]
fn proxies_of_the_environment_count_where_they_are_allowed() {
    let bench = Bench::new();
    let script = bench.luau(
        "function test.iteration()
            local res = http.get(\"http://target.test/\")
            kt.log.info(`it is {res.error_code}, {res.remote_address}`)
        end",
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap();
    let hosts = format!("target.test={target}");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _head = stream.read(&mut [0; 1000]).unwrap();
            stream.write_all(b"HTTP/1.1 204 Here\r\n\r\n").unwrap();
        }
    });
    // Nobody listens on this port, which is reserved.
    let closed = "http://127.0.0.1:1";
    let run = |args: &[&str], environment: &[(&str, &str)]| {
        let args = [&["run", script, "--hosts", &hosts], args].concat();
        bench.kingtide_with(&args, environment).exits(0)
    };
    let (direct, refused) = (format!("it is 0, {target}"), "it is 1212,");
    run(&[], &[("HTTP_PROXY", closed)]).says(&[&direct]);
    run(&["--proxy-from-env"], &[("HTTP_PROXY", closed)]).says(&[refused]);
    run(&["--proxy-from-env"], &[("all_proxy", closed)]).says(&[refused]);
    let except = [("HTTP_PROXY", closed), ("NO_PROXY", "target.test")];
    run(&["--proxy-from-env"], &except).says(&[&direct]);
    run(&["--proxy", closed], &[]).says(&[refused]);
    let wrong = [("HTTP_PROXY", "gopher://u:secret@p:1")];
    let said = bench.kingtide_with(&["check", script, "--proxy-from-env"], &wrong).exits(104);
    let said = said.says(&["environment variable HTTP_PROXY: a proxy is not spoken to by"]);
    assert!(!said.err.contains("secret"));
}
