//! The embedded demo target: a small notes application to run load tests against.
//!
//! It is axum over SQLite, on one thread with a runtime of its own, and it misbehaves on demand
//! ([`Latency`], an error rate, [`Stall`]s). Nothing of the load path touches it: a test run
//! speaks to it over the network as to any target, although both may share a process.

mod error;
mod faults;
mod input;
mod notes;
mod observe;
mod probes;
mod relay;
mod routes;
mod rpc;
mod rpc_socket;
mod session;
mod settings;
mod sockets;
mod store;

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt as _;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

pub use error::DemoError;
pub use settings::{Latency, SettingError, Settings, Stall};

use store::Store;

/// How many connections may wait to be accepted: a thousand virtual users connect at once, and
/// the customary 128 would make them retry after a second.
const BACKLOG: u32 = 4096;

/// How long answers under way may take once a stop was asked for.
const GRACE: Duration = Duration::from_millis(500);

/// A running demo target. Dropping it stops it without waiting, unless a [`StopHandle`] lives.
#[derive(Debug)]
pub struct Demo {
    address: SocketAddr,
    stop: StopHandle,
    thread: JoinHandle<()>,
}

/// Stops a [`Demo`] from elsewhere, such as from a signal handler.
#[derive(Debug, Clone)]
pub struct StopHandle(watch::Sender<bool>);

impl StopHandle {
    /// Asks the target to stop; answers under way get half a second. Asking twice does no harm.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Demo {
    /// Starts the target on a thread of its own; it accepts connections once this returns.
    ///
    /// Fails when a setting is out of range, the address cannot be listened on or the database
    /// cannot be opened.
    pub fn start(settings: Settings) -> Result<Self, DemoError> {
        settings.validate()?;
        let (stop, stopped) = watch::channel(false);
        let (ready, started) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("kingtide-demo".to_owned())
            .spawn(move || serve(&settings, &ready, stopped))
            .map_err(DemoError::Thread)?;
        let address = started.recv().expect("the thread reports before it ends")?;
        Ok(Self { address, stop: StopHandle(stop), thread })
    }

    /// Returns the address listened on, with the port that the system chose if 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns a handle that stops the target from elsewhere while someone sits in [`Self::wait`].
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// Stops the target and returns when its thread has ended, within about a second.
    pub fn stop(self) {
        self.stop.stop();
        self.wait();
    }

    /// Returns when the target has stopped, which takes a [`StopHandle`].
    pub fn wait(self) {
        if let Err(panic) = self.thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

/// The body of the target's thread: reports the address or why there is none, then serves.
fn serve(
    settings: &Settings,
    ready: &mpsc::SyncSender<Result<SocketAddr, DemoError>>,
    stopped: watch::Receiver<bool>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(ready, Err(DemoError::Thread(error))),
    };
    runtime.block_on(async {
        match prepare(settings) {
            Ok((listener, address, router)) => {
                report(ready, Ok(address));
                run(listener, router, stopped).await;
            }
            Err(error) => report(ready, Err(error)),
        }
    });
}

/// Tells [`Demo::start`], which waits for exactly one report.
fn report(
    ready: &mpsc::SyncSender<Result<SocketAddr, DemoError>>,
    outcome: Result<SocketAddr, DemoError>,
) {
    ready.send(outcome).expect("start waits for the report");
}

fn prepare(settings: &Settings) -> Result<(TcpListener, SocketAddr, Router), DemoError> {
    let store = Store::open(settings.db.as_deref())
        .map_err(|source| DemoError::Database { path: settings.db.clone(), source })?;
    let (listener, address) = listen(settings.listen)
        .map_err(|source| DemoError::Listen { address: settings.listen, source })?;
    Ok((listener, address, routes::router(settings, store)))
}

fn listen(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Lets a restarted target take its port back from connections in TIME_WAIT.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Serves until told to stop, then until answers under way are out or [`GRACE`] is over; what is
/// left after that ends with the runtime.
async fn run(listener: TcpListener, router: Router, stopped: watch::Receiver<bool>) {
    let listener = listener.tap_io(|stream| {
        // A stream that refuses the option is closing already and shows it when it is read.
        let _ = stream.set_nodelay(true);
    });
    let grace = stopped.clone();
    let server = axum::serve(listener, router).with_graceful_shutdown(stop_asked(stopped));
    tokio::select! {
        _ = server.into_future() => {}
        () = async {
            stop_asked(grace).await;
            tokio::time::sleep(GRACE).await;
        } => {}
    }
}

/// Waits until a stop is asked for or nobody is left who could ask.
async fn stop_asked(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
