//! Sending: a slot, a connection, an exchange, and where its answer leads.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use rustls::ClientConfig;

use super::body::Body;
use super::deadline::Timer;
use super::h1::{Connection, Event, Head};
use super::hop::Hop;
use super::pool::Pool;
use super::{Exchange, Headers, Request, Response, ResponseKind, Sent, decode, redirect};
use crate::clock::{self, Instant};
use crate::plan::HttpPlan;
use crate::protocol::connect::{self, Origin};
use crate::protocol::io::Traffic;
use crate::protocol::timing::{Phase, Stamps, Stopwatch};
use crate::protocol::{CookieJar, ErrorKind, Network, ProtocolError, tls};

/// A connection that was idle for longer is looked at again before a request that cannot be
/// repeated: its end may wait in the queue behind a script that ran long.
const TRUSTED_IDLE: Duration = Duration::from_millis(10);

/// One VU's HTTP client: its own keep-alive connections.
#[derive(Debug)]
pub struct HttpClient {
    network: Rc<Network>,
    plan: Rc<HttpPlan>,
    pool: Pool,
    timer: Timer,
    traffic: Rc<Traffic>,
    /// The worker's TLS configuration with this VU's sessions.
    tls: OnceCell<Arc<ClientConfig>>,
}

/// What an exchange has come to: readable when it is dropped half-way, too.
#[derive(Debug)]
struct Progress {
    watch: Stopwatch,
    stamps: Stamps,
    line: RefCell<Option<Line>>,
    head: RefCell<Option<Head>>,
    /// Whether the answer was read to its end.
    done: Cell<bool>,
}

/// What is known of an exchange's connection.
#[derive(Debug)]
struct Line {
    remote: SocketAddr,
    tls_version: &'static str,
}

impl HttpClient {
    /// Returns a client without connections.
    pub fn new(network: Rc<Network>, plan: Rc<HttpPlan>) -> Self {
        let pool = Pool::new(plan.connections_max);
        Self {
            network,
            plan,
            pool,
            timer: Timer::default(),
            traffic: Rc::default(),
            tls: OnceCell::new(),
        }
    }

    /// Sends a request and follows its redirects. Never fails: what went wrong is in the answer.
    ///
    /// `observe` sees each hop when it ends, the last one too. When `cut` resolves, the hop ends at
    /// once with [`ErrorKind::Cut`] and the time that it had. Dropping the future closes the
    /// connection.
    pub async fn send(
        &self,
        request: Request,
        jar: Option<&RefCell<CookieJar>>,
        cut: impl Future<Output = ()>,
        mut observe: impl FnMut(&Exchange),
    ) -> Response {
        let mut cut = pin!(cut);
        let mut begun = clock::now();
        let mut timer = pin!(self.timer.deadline(begun, request.timeout));
        let (kind, redirects) = (request.response, request.redirects);
        let mut hop = Hop::first(request);
        let mut followed = 0;
        loop {
            let progress = Progress::start(begun);
            let result = tokio::select! {
                biased;
                () = &mut cut => Err(ErrorKind::Cut.into()),
                result = self.exchange(&mut hop, jar, kind, &progress) => result,
                () = &mut timer => Err(ErrorKind::Timeout.into()),
            };
            let mut response = progress.into_response(&hop, result);
            if let (Some(jar), Some(_)) = (jar, response.exchange.status) {
                jar.borrow_mut().store(&response.exchange.url, &response.headers);
            }
            let leads_on = response.leads_on();
            if let Some(status) = leads_on.filter(|_| followed < redirects) {
                match redirect::follow(&mut hop, status, &response.headers) {
                    Ok(()) => {
                        observe(&response.exchange);
                        followed += 1;
                        begun = clock::now();
                        continue;
                    }
                    Err(error) => response.exchange.error = Some(error),
                }
            } else if leads_on.is_some() && redirects > 0 {
                response.warning = Some(format!("stopped after {redirects} redirects"));
            }
            observe(&response.exchange);
            response.sent = Sent { headers: hop.headers, body: hop.body };
            return response;
        }
    }

    /// Closes idle connections (`no_vu_connection_reuse`, end of the VU).
    pub fn close_idle(&self) {
        self.pool.clear();
    }

    /// Returns bytes sent and received on the sockets, TLS records included, since the last call.
    pub fn take_bytes(&self) -> (u64, u64) {
        self.traffic.take()
    }

    /// Sends one hop and returns the answer's body.
    async fn exchange(
        &self,
        hop: &mut Hop,
        jar: Option<&RefCell<CookieJar>>,
        kind: ResponseKind,
        progress: &Progress,
    ) -> Result<Bytes, ProtocolError> {
        hop.prepare(jar, &self.network, self.plan.no_connection_reuse)?;
        let origin = Rc::clone(hop.url.origin()?);
        let watch = &progress.watch;
        // What is boxed here is rare, and its state large: a send without it stays small.
        let _slot = match self.pool.free_slot() {
            Some(slot) => slot,
            None => Box::pin(self.pool.slot(watch)).await,
        };
        let kept = match self.pool.take(&origin) {
            Some(connection) if is_trusted(&connection, hop) => {
                watch.enter_exchanging_at_once();
                Some(connection)
            }
            Some(connection) => Box::pin(self.looked_at(connection, watch)).await,
            None => None,
        };
        let mut fresh = kept.is_none();
        let mut connection = match kept {
            Some(connection) => connection,
            None => Box::pin(self.open(&origin, watch)).await?,
        };
        let body = loop {
            match self.transfer(&mut connection, hop, kind, progress).await {
                Err(error) if !fresh && may_repeat(&error, hop, &progress.stamps) => {
                    progress.forget_line();
                    fresh = true;
                    drop(connection);
                    connection = Box::pin(self.open(&origin, watch)).await?;
                }
                result => break result?,
            }
        };
        progress.done.set(true);
        if connection.settle(&progress.stamps) && !self.plan.no_connection_reuse {
            self.pool.keep(connection);
        }
        match progress.head.borrow().as_ref() {
            Some(head) => decode::decode(&head.headers, body, self.plan.body_bytes_max),
            None => Ok(body),
        }
    }

    /// Returns a kept connection, this one or an older one, after another look at it.
    async fn looked_at(&self, kept: Box<Connection>, watch: &Stopwatch) -> Option<Box<Connection>> {
        let mut connection = kept;
        loop {
            // The worker looks at its sockets before it comes back to us.
            tokio::task::yield_now().await;
            if connection.is_usable() {
                watch.enter(Phase::Exchanging);
                return Some(connection);
            }
            let origin = Rc::clone(&connection.origin);
            connection = self.pool.take(&origin)?;
        }
    }

    /// Opens a connection.
    async fn open(
        &self,
        origin: &Rc<Origin>,
        watch: &Stopwatch,
    ) -> Result<Box<Connection>, ProtocolError> {
        self.pool.make_room();
        let tls = origin.is_tls().then(|| {
            let ours = || Arc::new(tls::for_one_vu(&self.network.tls()));
            Arc::clone(self.tls.get_or_init(ours))
        });
        let dialed = connect::dial(&self.network, tls, origin, &self.traffic, watch).await?;
        watch.enter(Phase::Exchanging);
        Ok(Box::new(Connection::new(dialed, Rc::clone(origin))))
    }

    /// Makes one exchange on a connection and returns the answer's body as it came.
    async fn transfer(
        &self,
        connection: &mut Connection,
        hop: &Hop,
        kind: ResponseKind,
        progress: &Progress,
    ) -> Result<Bytes, ProtocolError> {
        progress.take_line(connection);
        let mut body = Body::new(match kind {
            ResponseKind::Keep => Some(self.plan.body_bytes_max),
            ResponseKind::Discard => None,
        });
        let take = |event: Event<'_>| match event {
            Event::Head(head, length) => {
                let upgrades = head.status == StatusCode::SWITCHING_PROTOCOLS;
                progress.head.replace(Some(head));
                if upgrades {
                    return Err(ErrorKind::UnexpectedUpgrade.into());
                }
                body.announce(length)
            }
            Event::Data(data) => body.take(data),
            Event::End => Ok(()),
        };
        let request = hop.outgoing(&self.network);
        connection.exchange(&request, &self.network, &progress.stamps, take).await?;
        Ok(body.into_bytes())
    }
}

/// Returns whether a kept connection may serve a request without another look at it.
fn is_trusted(connection: &Connection, hop: &Hop) -> bool {
    hop.is_idempotent() || clock::now() - connection.idle_since < TRUSTED_IDLE
}

/// Returns whether a request that failed on a kept connection may be sent once more, as the server
/// may have closed it before it saw the request (RFC 9112, 9.3.1).
fn may_repeat(error: &ProtocolError, hop: &Hop, stamps: &Stamps) -> bool {
    let closed = matches!(
        error.kind,
        ErrorKind::ClosedEarly | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    );
    closed && !stamps.has_read() && (hop.is_idempotent() || !stamps.has_written())
}

impl Progress {
    fn start(begun: Instant) -> Self {
        Self {
            watch: Stopwatch::start(begun),
            stamps: Stamps::default(),
            line: RefCell::default(),
            head: RefCell::default(),
            done: Cell::default(),
        }
    }

    fn take_line(&self, connection: &Connection) {
        self.stamps.clear();
        self.line
            .replace(Some(Line { remote: connection.remote, tls_version: connection.tls_version }));
    }

    /// Gives up a connection that turned out dead: its time was waiting for one that lives.
    fn forget_line(&self) {
        self.watch.enter(Phase::Waiting);
        self.line.replace(None);
    }

    fn into_response(self, hop: &Hop, result: Result<Bytes, ProtocolError>) -> Response {
        let line = self.line.into_inner();
        let stamps = line.is_some().then_some(&self.stamps);
        let timings = self.watch.timings(stamps, !self.done.get());
        let (error, body) = match result {
            Ok(body) => (None, body),
            Err(error) => (Some(error), Bytes::new()),
        };
        let head = self.head.into_inner();
        let (proto, status) = head.as_ref().map_or(("", None), |h| (h.proto, Some(h.status)));
        let (status_text, headers) =
            head.map_or((Cow::Borrowed(""), Headers::new()), |h| (h.status_text, h.headers));
        Response {
            exchange: Exchange {
                method: hop.method.clone(),
                url: Rc::clone(&hop.url),
                proto,
                status,
                tls_version: line.as_ref().map_or("", |line| line.tls_version),
                remote_address: line.map(|line| line.remote),
                timings,
                error,
            },
            status_text,
            headers,
            body,
            sent: Sent::default(),
            warning: None,
        }
    }
}

impl Response {
    /// Returns the status if the answer asks for another request.
    fn leads_on(&self) -> Option<StatusCode> {
        let status = self.exchange.status.filter(|_| self.exchange.error.is_none())?;
        redirect::is_redirect(status, &self.headers).then_some(status)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Destination;
    use super::*;
    use crate::plan::{Facts, Options, resolve};

    #[tokio::test]
    async fn a_send_stays_small_since_every_request_allocates_one() {
        let plan = resolve(&Options::default(), &Facts::default()).unwrap();
        let client = HttpClient::new(Network::new(&plan.http).unwrap(), Rc::new(plan.http));
        let request = Request {
            method: http::Method::GET,
            url: Rc::new(Destination::new("http://127.0.0.1/".parse().unwrap())),
            headers: Headers::new(),
            body: Bytes::new(),
            timeout: Duration::from_secs(1),
            redirects: 0,
            response: ResponseKind::Keep,
        };
        let send = client.send(request, None, std::future::pending(), |_| {});
        let size = size_of_val(&send);
        assert!(size <= 1_250, "it takes {size} bytes");
    }
}
