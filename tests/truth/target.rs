//! A target that writes down when each request came, and that can be slow, stalled or silent.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use kingtide::clock::{self, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What the target does to requests.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Behavior {
    /// How long each answer takes.
    pub(crate) delay: Duration,
    /// From when after the first request, and for how long, nothing is answered.
    pub(crate) stall: Option<(Duration, Duration)>,
    /// Nothing is ever answered.
    pub(crate) silent: bool,
}

/// A running target.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    first: mpsc::Receiver<Instant>,
    end: oneshot::Sender<()>,
    thread: JoinHandle<Vec<Instant>>,
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
                let served = Served { behavior, stamps: RefCell::default(), first: tell_first };
                serve(listener, Rc::new(served), ended).await
            })
        });
        let address = address.recv().expect("the target listens");
        Self { address, first, end, thread }
    }

    /// Waits for the first request, at most 20 s.
    pub(crate) fn wait_for_first(&self) -> Instant {
        self.first.recv_timeout(Duration::from_secs(20)).expect("a request came")
    }

    /// Ends the target; returns when each request came, in order.
    pub(crate) fn end(self) -> Vec<Instant> {
        self.end.send(()).expect("the target runs");
        self.thread.join().expect("the target did not panic")
    }
}

struct Served {
    behavior: Behavior,
    stamps: RefCell<Vec<Instant>>,
    first: mpsc::Sender<Instant>,
}

async fn serve(
    listener: TcpListener,
    served: Rc<Served>,
    mut ended: oneshot::Receiver<()>,
) -> Vec<Instant> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.expect("accepted");
                stream.set_nodelay(true).expect("set");
                connections.spawn_local(answer(stream, Rc::clone(&served)));
            }
            _ = &mut ended => break,
        }
    }
    connections.shutdown().await;
    served.stamps.take()
}

/// Answers the requests of a connection; they have no bodies and come one after another.
async fn answer(mut stream: TcpStream, served: Rc<Served>) {
    let mut unread = Vec::new();
    while stream.read_buf(&mut unread).await.is_ok_and(|bytes| bytes > 0) {
        if !unread.ends_with(b"\r\n\r\n") {
            continue;
        }
        unread.clear();
        let now = clock::now();
        let first = {
            let mut stamps = served.stamps.borrow_mut();
            stamps.push(now);
            stamps[0]
        };
        if first == now {
            // Nobody listens if the test does not wait for the first request.
            let _ = served.first.send(now);
        }
        if served.behavior.silent {
            continue;
        }
        let mut at = now + served.behavior.delay;
        if let Some((from, length)) = served.behavior.stall
            && (first + from..first + from + length).contains(&at)
        {
            at = first + from + length;
        }
        if at > now {
            tokio::time::sleep_until(at).await;
        }
        if stream.write_all(ANSWER).await.is_err() {
            return;
        }
    }
}
