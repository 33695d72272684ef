//! A target that does known things to requests and writes down when each came and went.

use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use rand::SeedableRng as _;
use rand_distr::{Distribution as _, LogNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use rustix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet};

const MS: Duration = Duration::from_millis(1);

/// How long answers take.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Delay {
    /// All alike.
    Constant(Duration),
    /// One in five the second, the others the first.
    Bimodal(Duration, Duration),
    /// Log-normal with a median and a shape, from a seed.
    LogNormal(Duration, f64, u64),
}

/// What the target does to requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Behavior {
    /// How long each answer takes, unless the path says.
    pub(crate) delay: Delay,
    /// From when after the first request, and for how long, nothing is answered.
    pub(crate) stall: Option<(Duration, Duration)>,
    /// Nothing is ever answered.
    pub(crate) silent: bool,
}

impl Default for Behavior {
    fn default() -> Self {
        Self { delay: Delay::Constant(Duration::ZERO), stall: None, silent: false }
    }
}

impl Behavior {
    /// Returns a target that answers after a delay.
    pub(crate) fn delayed(delay: Delay) -> Self {
        Self { delay, ..Self::default() }
    }
}

/// A request as the target saw it, in `CLOCK_MONOTONIC`.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    /// `/floor`: answered at once. `/after/20`: after 20 ms. `/torn`: half an answer, and the end of
    /// the connection. All others as the target behaves.
    pub(crate) path: String,
    /// When its first byte had come.
    pub(crate) arrived: Duration,
    /// When the last byte of the answer had gone; nothing without an answer.
    pub(crate) left: Option<Duration>,
}

impl Served {
    /// Returns how long the target had it, in ms.
    pub(crate) fn latency(&self) -> Option<f64> {
        Some(self.left?.saturating_sub(self.arrived).as_secs_f64() * 1e3)
    }
}

/// A running target.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    first: mpsc::Receiver<()>,
    end: oneshot::Sender<()>,
    thread: JoinHandle<Vec<Served>>,
}

impl Target {
    /// Starts a target on a free port, on a thread of its own.
    pub(crate) fn start(behavior: Behavior) -> Self {
        let (tell_address, address) = mpsc::channel();
        let (tell_first, first) = mpsc::channel();
        let (end, ended) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("made");
            LocalSet::new().block_on(&runtime, async {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("bound");
                tell_address.send(listener.local_addr().expect("bound")).expect("waited for");
                serve(listener, Rc::new(Desk::new(behavior, tell_first)), ended).await
            })
        });
        let address = address.recv().expect("the target listens");
        Self { address, first, end, thread }
    }

    /// Waits for the first request, at most 20 s.
    pub(crate) fn wait_for_first(&self) {
        self.first.recv_timeout(Duration::from_secs(20)).expect("a request came");
    }

    /// Ends the target; returns the requests in the order in which they came.
    pub(crate) fn end(self) -> Vec<Served> {
        self.end.send(()).expect("the target runs");
        self.thread.join().expect("the target did not panic")
    }
}

/// Returns the monotonic time, which all processes of a machine share.
fn monotonic() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

struct Desk {
    behavior: Behavior,
    random: RefCell<Xoshiro256PlusPlus>,
    count: Cell<u64>,
    log: RefCell<Vec<Served>>,
    first: mpsc::Sender<()>,
}

impl Desk {
    fn new(behavior: Behavior, first: mpsc::Sender<()>) -> Self {
        let seed = if let Delay::LogNormal(_, _, seed) = behavior.delay { seed } else { 0 };
        let random = RefCell::new(Xoshiro256PlusPlus::seed_from_u64(seed));
        Self { behavior, random, count: Cell::new(0), log: RefCell::default(), first }
    }

    /// Writes down that a request came; returns its number and when it is to be answered.
    fn open(&self, path: &str, arrived: Duration) -> (usize, Duration) {
        let mut log = self.log.borrow_mut();
        log.push(Served { path: path.to_owned(), arrived, left: None });
        if log.len() == 1 {
            // Nobody listens if the test does not wait for the first request.
            let _ = self.first.send(());
        }
        let mut at = arrived + self.delay(path);
        if let Some((from, length)) = self.behavior.stall {
            let stalls = log[0].arrived + from;
            if (stalls..stalls + length).contains(&at) {
                at = stalls + length;
            }
        }
        (log.len() - 1, at)
    }

    fn delay(&self, path: &str) -> Duration {
        if path == "/floor" {
            return Duration::ZERO;
        }
        if let Some(ms) = path.strip_prefix("/after/") {
            return MS * ms.parse().expect("a number of milliseconds");
        }
        let number = self.count.replace(self.count.get() + 1);
        match self.behavior.delay {
            Delay::Constant(delay) => delay,
            Delay::Bimodal(fast, slow) => {
                if number % 5 == 4 {
                    slow
                } else {
                    fast
                }
            }
            Delay::LogNormal(median, shape, _) => {
                let factor = LogNormal::new(0.0, shape).expect("a shape above 0");
                median.mul_f64(factor.sample(&mut *self.random.borrow_mut()))
            }
        }
    }
}

async fn serve(
    listener: TcpListener,
    desk: Rc<Desk>,
    mut ended: oneshot::Receiver<()>,
) -> Vec<Served> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.expect("accepted");
                stream.set_nodelay(true).expect("set");
                connections.spawn_local(answer(stream, Rc::clone(&desk)));
            }
            _ = &mut ended => break,
        }
    }
    connections.shutdown().await;
    desk.log.take()
}

/// Answers the requests of a connection; they have no bodies and come one after another.
async fn answer(mut stream: TcpStream, desk: Rc<Desk>) {
    let mut unread = Vec::new();
    let mut arrived = None;
    while stream.read_buf(&mut unread).await.is_ok_and(|bytes| bytes > 0) {
        let arrived_at = *arrived.get_or_insert_with(monotonic);
        if !unread.ends_with(b"\r\n\r\n") {
            continue;
        }
        arrived = None;
        let path = path_of(&unread);
        unread.clear();
        let (number, at) = desk.open(&path, arrived_at);
        if desk.behavior.silent {
            continue;
        }
        let wait = at.saturating_sub(monotonic());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let latency = monotonic().saturating_sub(arrived_at).as_secs_f64() * 1e3;
        let body = if path == "/torn" { "o" } else { "ok" };
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer-Latency: {latency:.4}\r\n\r\n{body}"
        );
        if stream.write_all(answer.as_bytes()).await.is_err() || path == "/torn" {
            return;
        }
        desk.log.borrow_mut()[number].left = Some(monotonic());
    }
}

fn path_of(request: &[u8]) -> String {
    let line = String::from_utf8_lossy(request);
    line.split(' ').nth(1).expect("a request line").to_owned()
}
