//! A folder, a target, and the binary with a time limit.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use kingtide::clock::{self, Instant};
use kingtide::demo::{Demo, Settings};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before it counts as hanging: far more than it needs on a busy
/// machine.
const LIMIT: Duration = Duration::from_secs(40);

/// A folder for scripts and results.
pub(super) struct Bench {
    folder: TempDir,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// Returns the folder.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file.
    pub(super) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Moves a file to another name.
    pub(super) fn rename(&self, from: &str, to: &str) {
        let path = |name| self.folder.path().join(name);
        std::fs::rename(path(from), path(to)).unwrap();
    }

    /// Reads a file.
    pub(super) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// Returns whether there is a file.
    pub(super) fn has(&self, name: &str) -> bool {
        self.folder.path().join(name).exists()
    }

    /// Reads a JSON file.
    pub(super) fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    /// Writes `test.luau` with what stands between its modules and its `return`.
    pub(super) fn luau(&self, body: &str) -> &'static str {
        let head = "local kt = require(\"@kingtide\")\nlocal http = require(\"@kingtide/http\")\n\
                    local BASE = kt.env(\"BASE\", \"\")\nlocal test = {}\n";
        self.write("test.luau", &format!("{head}{body}\nreturn test\n"));
        "test.luau"
    }

    /// Writes `test.rhai` with what stands below its modules.
    pub(super) fn rhai(&self, body: &str) -> &'static str {
        let head = "import \"kingtide\" as kt;\nimport \"kingtide/http\" as http;\n\
                    const BASE = kt::env(\"BASE\", \"\");\n";
        self.write("test.rhai", &format!("{head}{body}\n"));
        "test.rhai"
    }

    /// Writes the same script in both languages and returns the names.
    pub(super) fn both(&self, luau: &str, rhai: &str) -> [&'static str; 2] {
        [self.luau(luau), self.rhai(rhai)]
    }

    /// Starts the binary in the folder, with nothing of our environment but the path.
    pub(super) fn start(&self, args: &[&str]) -> Running {
        self.start_with(args, &[])
    }

    pub(super) fn start_with(&self, args: &[&str], environment: &[(&str, &str)]) -> Running {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kingtide"))
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .env("LANG", "C.UTF-8")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = lines(child.stdout.take().unwrap());
        let err = lines(child.stderr.take().unwrap());
        let (seen_out, seen_err) = Default::default();
        Running { child, out, err, seen_out, seen_err, ended: false }
    }

    /// Runs the binary to its end.
    pub(super) fn kingtide(&self, args: &[&str]) -> Ended {
        self.start(args).end()
    }

    pub(super) fn kingtide_with(&self, args: &[&str], environment: &[(&str, &str)]) -> Ended {
        self.start_with(args, environment).end()
    }
}

/// Returns the time until a deadline: output that never ends is a hang too.
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(clock::now())
}

/// Reads a stream on a thread of its own, so that a full pipe holds up nobody.
fn lines(stream: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            if sender.send(String::from_utf8(std::mem::take(&mut line)).unwrap()).is_err() {
                break;
            }
        }
    });
    receiver
}

/// The binary while it runs; killed if a test fails.
pub(super) struct Running {
    child: Child,
    out: Receiver<String>,
    err: Receiver<String>,
    seen_out: String,
    seen_err: String,
    ended: bool,
}

impl Running {
    /// Waits for a line on standard error that contains a text.
    pub(super) fn wait_for(&mut self, text: &str) {
        let deadline = clock::now() + LIMIT;
        loop {
            let line = self.err.recv_timeout(left(deadline));
            let line = line.unwrap_or_else(|why| {
                panic!("no line with `{text}` ({why}):\n{}", self.seen_err);
            });
            self.seen_err.push_str(&line);
            if line.contains(text) {
                return;
            }
        }
    }

    /// Waits for the next line on standard output.
    pub(super) fn next_line(&mut self) -> String {
        let line = self.out.recv_timeout(LIMIT).expect("a line on standard output");
        self.seen_out.push_str(&line);
        line
    }

    /// Sends a signal.
    pub(super) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end.
    pub(super) fn end(mut self) -> Ended {
        let deadline = clock::now() + LIMIT;
        for (stream, seen) in [(&self.err, &mut self.seen_err), (&self.out, &mut self.seen_out)] {
            loop {
                match stream.recv_timeout(left(deadline)) {
                    Ok(line) => seen.push_str(&line),
                    Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                    Err(why) => panic!("does not end ({why}):\n{seen}"),
                }
            }
        }
        let status = self.child.wait().unwrap();
        self.ended = true;
        Ended {
            code: status.code().unwrap_or_else(|| panic!("{status}: {}", self.seen_err)),
            out: std::mem::take(&mut self.seen_out),
            err: std::mem::take(&mut self.seen_err),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            // It may have ended by itself in the meantime.
            let _ended = self.child.kill();
            let _status = self.child.wait();
        }
    }
}

/// What the binary left.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: i32,
    pub(super) out: String,
    pub(super) err: String,
}

impl Ended {
    /// Asserts the exit code.
    #[track_caller]
    pub(super) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\n--- stdout\n{}\n--- stderr\n{}", self.out, self.err);
        self
    }

    /// Asserts that standard error has all of these.
    #[track_caller]
    pub(super) fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.err.contains(text), "`{text}` is not in\n{}", self.err);
        }
        self
    }

    /// Asserts that standard output has all of these.
    #[track_caller]
    pub(super) fn prints(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.out.contains(text), "`{text}` is not in\n{}", self.out);
        }
        self
    }

    /// Returns how many lines of standard error contain a text.
    pub(super) fn count(&self, text: &str) -> usize {
        self.err.lines().filter(|line| line.contains(text)).count()
    }
}

/// A demo target.
pub(super) struct Target {
    demo: Demo,
}

impl Target {
    pub(super) fn new() -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { demo: Demo::start(Settings { listen, ..Settings::default() }).unwrap() }
    }

    pub(super) fn port(&self) -> u16 {
        self.demo.address().port()
    }

    /// Returns the flag's value that tells scripts where it is.
    pub(super) fn env(&self) -> String {
        format!("BASE=http://{}", self.demo.address())
    }

    /// Returns how many requests it answered, by its own count.
    pub(super) fn requests(&self) -> u64 {
        get(self.demo.address(), "/metrics")
            .lines()
            .filter(|line| line.starts_with("demo_http_requests_total{"))
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }

    pub(super) fn stop(self) {
        self.demo.stop();
    }
}

/// Returns the answer to a request, head and body.
pub(super) fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
