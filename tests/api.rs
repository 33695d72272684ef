//! The contract between both languages: every case under `tests/api` is written once in Luau and
//! once in Rhai, and must end the same way.
//!
//! A case is run with one VU and one iteration, unless its options say otherwise, against the
//! embedded demo target. It asserts for itself with `support.luau` and `support.rhai`. What it is
//! expected to end with stands in comments at its top, the same in both languages:
//!
//! ```text
//! expect exit 108
//! expect error script: a message        (any number of them, in any order)
//! expect load: a part of the message    (the script must not even load)
//! expect log info: a message            (in this order)
//! ```
//!
//! Without such lines a case must end with 0, without errors, whatever it logs.

#![expect(clippy::unwrap_used, reason = "what cannot be had ends the test")]

#[path = "support/odd_relay.rs"]
mod odd_relay;
#[path = "support/odd_socket.rs"]
mod odd_socket;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use certificates::Authority;
use kingtide::api::Event;
use kingtide::demo::{Demo, Settings};
use kingtide::output::{Progress, Style};
use kingtide::plan::{self, Facts, LimitOptions, Options};
use kingtide::run::{self, Gates, Observer, Reload, Test};
use kingtide::script::{Program, ScriptError, ScriptErrorKind};

#[path = "support/certificates.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod certificates;
#[path = "support/peers.rs"]
mod peers;

/// Cases of one language, with the reason why the other has none.
const SINGLES: &[(&str, &str)] = &[
    ("json/arrays.luau", "Rhai's arrays and maps are types of their own and need no mark"),
    ("encoding/bytes.rhai", "Luau has one type for text and bytes: the string"),
];

static DEMO: LazyLock<Demo> = LazyLock::new(|| {
    let listen = "127.0.0.1:0".parse().unwrap();
    Demo::start(Settings { listen, ..Settings::default() }).unwrap()
});

/// A server that wants digest authentication.
static GUARD: LazyLock<SocketAddr> = LazyLock::new(peers::guard);

/// A server that sends back what it is sent.
static MIRROR: LazyLock<SocketAddr> = LazyLock::new(peers::mirror);

/// A proxy that wants a password.
static PROXY: LazyLock<SocketAddr> = LazyLock::new(peers::proxy);

/// A server that lets in only whom its authority knows, and a folder with what one needs for that.
static LOCKED: LazyLock<(SocketAddr, tempfile::TempDir)> = LazyLock::new(|| {
    let authority = Authority::new();
    let client = authority.certify("vu.test");
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in
        [("ca.pem", &authority.pem), ("vu.pem", &client.cert), ("vu.key", &client.key)]
    {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let tide = (0..100_000).map(|hour| format!("{hour} high\n")).collect::<Vec<_>>().concat();
    fs::write(folder.path().join("tide.txt"), tide).unwrap();
    peers::on_socket(&folder.path().join("app.sock"));
    (peers::secure(authority.server_for_known("server.test")), folder)
});

static ODD_RELAY: LazyLock<SocketAddr> = LazyLock::new(odd_relay::start);
static ODD_SOCKET: LazyLock<SocketAddr> = LazyLock::new(odd_socket::start);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api")
}

/// Returns the scripts of a module's folder, relative to `tests/api`.
fn scripts(module: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(module)).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap())
        // Folders hold what cases import.
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| format!("{module}/{}", entry.file_name().into_string().unwrap()))
        .collect();
    names.sort();
    names
}

/// How a run ended.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ending {
    exit: u8,
    errors: BTreeSet<String>,
    load: Option<String>,
    logs: Vec<String>,
}

/// Reads what a script says about its end.
fn expected(text: &str) -> Ending {
    let mut ending = Ending::default();
    let lines = text.lines().map_while(|line| {
        line.strip_prefix("--").or_else(|| line.strip_prefix("//")).map(str::trim)
    });
    for line in lines.filter_map(|line| line.strip_prefix("expect ")) {
        if let Some(code) = line.strip_prefix("exit ") {
            ending.exit = code.parse().unwrap();
        } else if let Some(error) = line.strip_prefix("error ") {
            ending.errors.insert(error.to_owned());
        } else if let Some(error) = line.strip_prefix("load: ") {
            ending.load = Some(error.to_owned());
        } else if let Some(log) = line.strip_prefix("log ") {
            ending.logs.push(log.to_owned());
        } else {
            panic!("`expect {line}` is nothing that can be expected");
        }
    }
    ending
}

/// Keeps what a run says.
#[derive(Default)]
struct Ear {
    ending: Ending,
    told: Vec<String>,
}

/// Returns a message as both languages would word it: Rhai's `http::get` is Luau's `http.get`, and
/// its `"kingtide/http"` is `"@kingtide/http"` there.
fn worded(message: &str) -> String {
    message.replace("::", ".").replace("@kingtide", "kingtide")
}

fn kind(error: &ScriptError) -> &'static str {
    match error.kind {
        ScriptErrorKind::Load => "load",
        ScriptErrorKind::Uncaught(kind) => kind.as_str(),
        ScriptErrorKind::Stopped(_) => "stopped",
    }
}

impl Observer for Ear {
    fn phase(&mut self, _: &'static str) {}

    fn progress(&mut self, _: &Progress<'_>) {}

    fn event(&mut self, event: &Event) {
        match event {
            Event::Log { level, message, .. } => {
                self.ending.logs.push(format!("{}: {message}", level.as_str()));
            }
            Event::Warning(text) => self.told.push(format!("warning: {text}")),
            _ => {}
        }
    }

    fn reload(&mut self, _: &Reload<'_>) {}

    fn error(&mut self, error: &ScriptError, _: &(String, u64, u64)) {
        self.told.push(run::render(error, None, Style::plain()));
        self.ending.errors.insert(format!("{}: {}", kind(error), worded(&error.message)));
    }
}

/// Loads and runs a script; says how it ended, and all that it told on the way.
fn run_script(name: &str) -> Result<(Ending, String), String> {
    let program = Program::load(&root().join(name), &[root(), LOCKED.1.path().to_owned()]).unwrap();
    let env = BTreeMap::from([
        ("BASE_URL".to_owned(), format!("http://{}", DEMO.address())),
        ("ODD_RELAY_URL".to_owned(), format!("http://{}", *ODD_RELAY)),
        ("ODD_SOCKET_URL".to_owned(), format!("ws://{}", *ODD_SOCKET)),
        // Nothing listens on this port, which is reserved.
        ("CLOSED_URL".to_owned(), "http://127.0.0.1:1".to_owned()),
        ("GUARD_URL".to_owned(), format!("http://{}", *GUARD)),
        ("MIRROR_URL".to_owned(), format!("http://{}", *MIRROR)),
        ("PROXY_ADDRESS".to_owned(), PROXY.to_string()),
        ("LOCKED_URL".to_owned(), format!("https://{}", LOCKED.0)),
        ("GREETING".to_owned(), "hello".to_owned()),
    ]);
    let mut ear = Ear::default();
    let loaded = match run::load(&program, &env) {
        Ok(loaded) => loaded,
        Err(error) => {
            ear.ending.load = Some(worded(&error.message));
            return Ok((ear.ending, run::render(&error, None, Style::plain())));
        }
    };
    let script = match loaded.options.to_json() {
        serde_json::Value::Null => Options::default(),
        json => Options::from_json(json).map_err(|error| error.to_string())?,
    };
    // A machine that does much besides must not end a script that computes a little.
    let limits = LimitOptions { time: Some(Duration::from_secs(20)), ..LimitOptions::default() };
    let defaults =
        Options { vus: Some(1), iterations: Some(1), limits: Some(limits), ..Options::default() };
    let forced = Options { env: Some(env), workers: Some(1), seed: Some(7), ..Options::default() };
    let options = forced.over(script.over(defaults).0).0;
    let mut plan = plan::resolve(&options, &Facts::default()).map_err(|error| error.to_string())?;
    let files = program.files();
    plan.http.tls.load(|path| files.read_text(path)).map_err(|error| error.to_string())?;
    let test = Test {
        plan: Arc::new(plan),
        program: Arc::new(program),
        registry: Arc::new(loaded.registry),
        functions: loaded.functions,
        options: options.to_json(),
        gates: Gates { fail_on_error: true, ..Gates::default() },
    };
    for event in &loaded.events {
        ear.event(event);
    }
    let finished = run::run(&test, None, &mut ear).map_err(|outcome| outcome.reason)?;
    ear.ending.exit = finished.outcome.exit_code;
    ear.told.push(format!("{:?}", finished.outcome));
    Ok((ear.ending, ear.told.join("\n")))
}

/// Returns what is wrong with a script, if anything is.
fn problem(name: &str) -> Option<String> {
    let text = fs::read_to_string(root().join(name)).unwrap();
    let wanted = expected(&text);
    let (mut ending, told) = match run_script(name) {
        Ok(ran) => ran,
        Err(problem) => return Some(format!("{name}\n  cannot be run: {problem}\n")),
    };
    if wanted.logs.is_empty() {
        ending.logs.clear();
    }
    if let (Some(part), Some(message)) = (&wanted.load, &ending.load)
        && message.contains(part)
    {
        ending.load = Some(part.clone());
    }
    (ending != wanted)
        .then(|| format!("{name}\n  ended: {ending:?}\n expect: {wanted:?}\n{told}\n"))
}

fn check_module(module: &str) {
    let names = scripts(module);
    assert!(!names.is_empty(), "there are no cases in {module}");
    let problems: Vec<String> = std::thread::scope(|scope| {
        // Most of a case's time is waiting.
        let (left, right) = names.split_at(names.len() / 2);
        let runs = [left, right].map(|part| {
            scope.spawn(move || part.iter().filter_map(|name| problem(name)).collect::<Vec<_>>())
        });
        runs.into_iter().flat_map(|run| run.join().unwrap()).collect()
    });
    assert!(problems.is_empty(), "{} problems:\n\n{}", problems.len(), problems.join("\n"));
}

macro_rules! modules {
    ($($test:ident $module:literal),* $(,)?) => {
        const TESTED: &[&str] = &[$($module),*];
        $(
            #[test]
            fn $test() {
                check_module($module);
            }
        )*
    };
}

modules! {
    crypto_is_the_same_in_both_languages "crypto",
    data_is_the_same_in_both_languages "data",
    encoding_is_the_same_in_both_languages "encoding",
    ethereum_is_the_same_in_both_languages "ethereum",
    fake_is_the_same_in_both_languages "fake",
    html_is_the_same_in_both_languages "html",
    http_is_the_same_in_both_languages "http",
    json_is_the_same_in_both_languages "json",
    kingtide_is_the_same_in_both_languages "kingtide",
    the_languages_own_things_are_the_same "language",
    metrics_are_the_same_in_both_languages "metrics",
    mix_is_the_same_in_both_languages "mix",
    postgrest_is_the_same_in_both_languages "postgrest",
    profiles_are_the_same_in_both_languages "profiles",
    random_is_the_same_in_both_languages "random",
    rpc_is_the_same_in_both_languages "rpc",
    shared_is_the_same_in_both_languages "shared",
    slo_is_the_same_in_both_languages "slo",
    solana_is_the_same_in_both_languages "solana",
    time_is_the_same_in_both_languages "time",
    ws_is_the_same_in_both_languages "ws",
}

#[test]
fn every_case_has_a_twin_that_expects_the_same() {
    let mut folders: Vec<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    folders.sort();
    assert_eq!(folders, TESTED, "each folder needs its line in `modules!`");
    let all: BTreeSet<String> = folders.iter().flat_map(|folder| scripts(folder)).collect();
    for name in &all {
        let twin = match name.strip_suffix(".luau") {
            Some(stem) => format!("{stem}.rhai"),
            None => format!("{}.luau", name.strip_suffix(".rhai").expect("a script")),
        };
        let single = SINGLES.iter().any(|(known, _)| known == name);
        assert_ne!(all.contains(&twin), single, "{name}: {twin} must exist, or be excused");
        if !single {
            let of = |name: &str| expected(&fs::read_to_string(root().join(name)).unwrap());
            assert_eq!(of(name), of(&twin), "{name} and {twin} expect different endings");
        }
    }
    for (name, _) in SINGLES {
        assert!(all.contains(*name), "{name} is excused but not there");
    }
}
