//! The floor of the loopback: what a client that is not kingtide measures meanwhile.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use kingtide::clock;

use crate::finding::{percentile, sorted};

/// Between two requests.
const PAUSE: Duration = Duration::from_millis(4);

/// A client on a thread of its own that asks for `/floor` again and again.
pub(crate) struct Watch {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<Vec<f64>>,
    began: (clock::Instant, Cpu),
}

/// What it measured.
#[derive(Debug)]
pub(crate) struct Floor {
    /// The times of requests in ms without the time that the target had them, in order.
    times: Vec<f64>,
    /// Cores that others than this test and its children used.
    foreign: f64,
}

/// What a machine did to a measurement.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Noise {
    /// The worst time of a request of the other client, in ms.
    pub(crate) worst_ms: f64,
    /// Cores that other processes used, and other machines on the same hardware.
    pub(crate) foreign_cores: f64,
}

impl Noise {
    /// Returns whether figures of a millisecond can be taken beside it.
    pub(crate) fn disturbs(self) -> bool {
        self.worst_ms > 4.0 || self.foreign_cores > 0.15
    }
}

impl Watch {
    /// Begins to watch a target.
    pub(crate) fn start(target: SocketAddr) -> Self {
        let ended = Arc::<AtomicBool>::default();
        let end = Arc::clone(&ended);
        let thread = std::thread::spawn(move || {
            let mut stream = TcpStream::connect(target).expect("the target listens");
            stream.set_nodelay(true).expect("set");
            let mut times = Vec::new();
            while !end.load(Ordering::Relaxed) {
                times.push(ask(&mut stream));
                std::thread::sleep(PAUSE);
            }
            times
        });
        Self { ended, thread, began: (clock::now(), Cpu::now()) }
    }

    /// Ends; returns what was measured. Children must have been waited for, to count as ours.
    pub(crate) fn end(self) -> Floor {
        self.ended.store(true, Ordering::Relaxed);
        let times = sorted(self.thread.join().expect("the watch did not panic"));
        let elapsed = clock::now().duration_since(self.began.0).as_secs_f64();
        Floor { times, foreign: Cpu::now().foreign_since(&self.began.1) / elapsed }
    }
}

impl Floor {
    /// Returns a percentile in ms; from the 99th on the worst, as few samples lie there.
    pub(crate) fn at(&self, p: f64) -> f64 {
        percentile(&self.times, if p < 99.0 { p } else { 100.0 })
    }

    /// Returns what the machine did.
    pub(crate) fn noise(&self) -> Noise {
        Noise { worst_ms: self.at(100.0), foreign_cores: self.foreign }
    }
}

/// CPU time in seconds: of all, with what the machine's host took away; and of us and our children.
struct Cpu {
    all: f64,
    ours: f64,
}

impl Cpu {
    /// Hundredths of a second are what Linux counts in for processes, on all that we build for.
    const TICK: f64 = 0.01;

    fn now() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).expect("the system tells");
        let ticks = |fields: &[&str]| -> f64 {
            let ticks = fields.iter().map(|field| field.parse::<f64>().expect("ticks"));
            ticks.sum::<f64>() * Self::TICK
        };
        // cpu user nice system idle iowait irq softirq steal ...
        let all = read("/proc/stat");
        let all: Vec<&str> = all.lines().next().expect("a line").split_whitespace().collect();
        // After the name, which stands in brackets: utime stime cutime cstime are numbers 14 to 17.
        let own = read("/proc/self/stat");
        let own = own.rsplit(") ").next().expect("the name in brackets");
        let own: Vec<&str> = own.split_whitespace().collect();
        Self { all: ticks(&all[1..4]) + ticks(&all[6..9]), ours: ticks(&own[11..15]) }
    }

    fn foreign_since(&self, before: &Self) -> f64 {
        ((self.all - before.all) - (self.ours - before.ours)).max(0.0)
    }
}

/// Returns the time of a request in ms, without the time that the target says it had it.
fn ask(stream: &mut TcpStream) -> f64 {
    let began = clock::now();
    stream.write_all(b"GET /floor HTTP/1.1\r\nhost: floor\r\n\r\n").expect("sent");
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    while !answer.ends_with(b"ok") {
        let count = stream.read(&mut buffer).expect("received");
        assert!(count > 0, "the target ended the watch's connection");
        answer.extend_from_slice(&buffer[..count]);
    }
    let elapsed = clock::now().duration_since(began).as_secs_f64() * 1e3;
    let text = String::from_utf8_lossy(&answer);
    let latency = text.split("Server-Latency: ").nth(1).expect("the header");
    let latency = latency.split("\r\n").next().expect("a line");
    elapsed - latency.parse::<f64>().expect("milliseconds")
}
