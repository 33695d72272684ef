//! Sending: a slot, a connection, an exchange, and where its answer leads.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use super::auth::Digests;
use super::body::Body;
use super::deadline::Timer;
use super::h1::{Connection, Event, Head};
use super::h2::{Failure, HTTP2, Lane, without_connection_headers};
use super::hop::Hop;
use super::pool::Pool;
use super::rate::RequestRate;
use super::route::{Tries, Way};
use super::{Exchange, Headers, Request, Response, ResponseKind, Sent, decode, redirect};
use crate::clock::{self, Instant};
use crate::plan::HttpPlan;
use crate::protocol::io::Traffic;
use crate::protocol::timing::{Phase, Stamps, Stopwatch};
use crate::protocol::tls::Sessions;
use crate::protocol::{CookieJar, ErrorKind, Network, ProtocolError};

pub(in crate::protocol) mod upgrade;

/// One VU's HTTP client: its own keep-alive connections.
#[derive(Debug)]
pub struct HttpClient {
    pub(super) network: Rc<Network>,
    pub(super) plan: Rc<HttpPlan>,
    pub(super) pool: Pool,
    timer: Timer,
    pub(super) traffic: Rc<Traffic>,
    pub(super) sessions: Sessions,
    /// The address that its connections come from; the system chooses if nothing.
    pub(super) local: Cell<Option<IpAddr>>,
    digests: Digests,
    /// The rates that limit its requests.
    rates: RefCell<Vec<Rc<RequestRate>>>,
}

/// What an exchange has come to: readable when it is dropped half-way, too.
#[derive(Debug)]
struct Progress {
    watch: Stopwatch,
    stamps: Stamps,
    /// The stamps of a stream on a shared connection, which takes them along.
    stream: RefCell<Option<Rc<Stamps>>>,
    line: RefCell<Option<Line>>,
    head: RefCell<Option<Head>>,
    /// Whether the answer was read to its end.
    done: Cell<bool>,
}

/// What is known of an exchange's connection.
#[derive(Debug)]
struct Line {
    remote: Option<SocketAddr>,
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
            sessions: Sessions::default(),
            local: Cell::default(),
            digests: Digests::default(),
            rates: RefCell::default(),
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
            // Boxed, as most clients have no rates.
            let is_cut_off =
                self.is_limited() && !Box::pin(self.turn(&progress.watch, cut.as_mut())).await;
            let result = if is_cut_off {
                Err(ErrorKind::Cut.into())
            } else {
                // Who waits for a turn has not begun: that is not the server's time.
                timer.as_mut().postpone(progress.watch.waited());
                tokio::select! {
                    biased;
                    () = &mut cut => Err(ErrorKind::Cut.into()),
                    result = self.exchange(&mut hop, jar, kind, &progress) => result,
                    () = &mut timer => Err(ErrorKind::Timeout.into()),
                }
            };
            let mut response = progress.into_response(&hop, result);
            if let (Some(jar), Some(_)) = (jar, response.exchange.status) {
                jar.borrow_mut().store(&response.exchange.url, &response.headers);
            }
            if hop.is_challenged(&response, &self.digests) {
                response.exchange.challenge = true;
                observe(&response.exchange);
                begun = clock::now();
                continue;
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
            let headers = match response.exchange.proto {
                HTTP2 => without_connection_headers(&hop.headers),
                _ => hop.headers,
            };
            response.sent = Sent { headers, body: hop.body };
            return response;
        }
    }

    /// Says whose client it is: VUs go round the local addresses of the plan by their numbers.
    pub fn set_number(&self, number: u64) {
        self.local.set(self.plan.network.local_ip(number));
    }

    /// Limits the rate of its requests from now on: each hop waits for a turn of each rate.
    pub fn set_rates(&self, rates: Vec<Rc<RequestRate>>) {
        *self.rates.borrow_mut() = rates;
    }

    fn is_limited(&self) -> bool {
        !self.rates.borrow().is_empty()
    }

    /// Waits until the rates allow a request; returns whether it was not cut off before.
    async fn turn(&self, watch: &Stopwatch, cut: Pin<&mut impl Future<Output = ()>>) -> bool {
        let rates = self.rates.borrow().clone();
        let turns = async {
            for rate in &rates {
                rate.turn().await;
            }
        };
        let came = tokio::select! {
            biased;
            () = cut => false,
            () = turns => true,
        };
        watch.enter(Phase::Waiting);
        came
    }

    /// Returns what it shares with the other clients of its worker.
    pub(in crate::protocol) fn network(&self) -> &Rc<Network> {
        &self.network
    }

    /// Waits so long, with the timer that the client's requests hand on.
    pub fn elapse(&self, time: Duration) -> impl Future<Output = ()> + '_ {
        self.timer.deadline(clock::now(), time)
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
        hop.prepare(jar, &self.network, &self.digests, self.plan.no_connection_reuse)?;
        let origin = hop.origin()?;
        let watch = &progress.watch;
        let mut tries = Tries::default();
        // What is boxed here is rare, and its state large: a send without it stays small.
        let mut way = match self.way_at_once(&origin, hop, watch) {
            Some(way) => way,
            None => Box::pin(self.way(&origin, hop, watch, &tries)).await?,
        };
        let body = loop {
            let result = match &mut way {
                Way::Own(own) => self.transfer(&mut own.connection, hop, kind, progress).await,
                Way::Lane(lane) => Box::pin(self.multiplex(lane, hop, kind, progress)).await,
            };
            let failure = match result {
                Ok(body) => break body,
                Err(failure) => failure,
            };
            let fresh = way.is_fresh();
            if !progress.with_stamps(|stamps| tries.allow(&failure, fresh, hop, stamps)) {
                return Err(failure.error);
            }
            progress.forget_line();
            drop(way);
            way = Box::pin(self.way_after_pause(&origin, hop, watch, &tries)).await?;
        };
        progress.done.set(true);
        self.settle(way, progress);
        match progress.head.borrow().as_ref() {
            Some(head) => decode::decode(&head.headers, body, self.plan.body_bytes_max),
            None => Ok(body),
        }
    }

    /// Keeps a connection after an exchange if it can serve another.
    fn settle(&self, way: Way<'_>, progress: &Progress) {
        if let Way::Own(mut own) = way
            && own.connection.settle(&progress.stamps)
            && !self.plan.no_connection_reuse
        {
            self.pool.keep(own.connection);
        }
    }

    /// Makes one exchange on a connection and returns the answer's body as it came.
    async fn transfer(
        &self,
        connection: &mut Connection,
        hop: &Hop,
        kind: ResponseKind,
        progress: &Progress,
    ) -> Result<Bytes, Failure> {
        progress.take_line(connection.remote, connection.tls_version, None);
        let mut gathered = Gathered::new(self.body(kind), progress);
        let request = hop.outgoing(&self.network);
        connection
            .exchange(&request, &self.network, &progress.stamps, |event| gathered.take(event))
            .await?;
        Ok(gathered.body.into_bytes())
    }

    /// Makes one exchange on a shared connection and returns the answer's body as it came.
    async fn multiplex(
        &self,
        lane: &Lane,
        hop: &Hop,
        kind: ResponseKind,
        progress: &Progress,
    ) -> Result<Bytes, Failure> {
        let stamps = Rc::new(Stamps::default());
        progress.take_line(lane.line.remote, lane.line.tls_version, Some(Rc::clone(&stamps)));
        let mut gathered = Gathered::new(self.body(kind), progress);
        lane.exchange(hop, &stamps, |event| gathered.take(event)).await?;
        Ok(gathered.body.into_bytes())
    }

    fn body(&self, kind: ResponseKind) -> Body {
        Body::new(match kind {
            ResponseKind::Keep => Some(self.plan.body_bytes_max),
            ResponseKind::Discard => None,
        })
    }
}

/// What has come of an answer.
struct Gathered<'a> {
    body: Body,
    progress: &'a Progress,
}

impl<'a> Gathered<'a> {
    fn new(body: Body, progress: &'a Progress) -> Self {
        Self { body, progress }
    }

    fn take(&mut self, event: Event<'_>) -> Result<(), ProtocolError> {
        match event {
            Event::Head(head, length) => {
                let upgrades = head.status == StatusCode::SWITCHING_PROTOCOLS;
                self.progress.head.replace(Some(head));
                if upgrades {
                    return Err(ErrorKind::UnexpectedUpgrade.into());
                }
                self.body.announce(length)
            }
            Event::Data(data) => self.body.take(data),
            Event::End => Ok(()),
        }
    }
}

impl Progress {
    fn start(begun: Instant) -> Self {
        Self {
            watch: Stopwatch::start(begun),
            stamps: Stamps::default(),
            stream: RefCell::default(),
            line: RefCell::default(),
            head: RefCell::default(),
            done: Cell::default(),
        }
    }

    /// Takes note of the connection that serves the exchange; a shared one comes with its own stamps.
    fn take_line(
        &self,
        remote: Option<SocketAddr>,
        tls_version: &'static str,
        stream: Option<Rc<Stamps>>,
    ) {
        self.stamps.clear();
        self.line.replace(Some(Line { remote, tls_version }));
        self.stream.replace(stream);
    }

    /// Looks at when the exchange's bytes passed.
    fn with_stamps<R>(&self, look: impl FnOnce(&Stamps) -> R) -> R {
        look(self.stream.borrow().as_deref().unwrap_or(&self.stamps))
    }

    /// Gives up a connection that turned out dead: its time was waiting for one that lives.
    fn forget_line(&self) {
        self.watch.enter(Phase::Waiting);
        self.line.replace(None);
        self.stream.replace(None);
        // An answer that broke off has a head, which is none of the next attempt's.
        self.head.replace(None);
    }

    fn into_response(self, hop: &Hop, result: Result<Bytes, ProtocolError>) -> Response {
        let line = self.line.into_inner();
        let stream = self.stream.into_inner();
        if let Some(taken) = stream.as_ref().and_then(|stamps| stamps.first_write()) {
            self.watch.enter_exchanging_at(taken);
        }
        let stamps = stream.as_deref().unwrap_or(&self.stamps);
        let stamps = line.is_some().then_some(stamps);
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
                remote_address: line.and_then(|line| line.remote),
                timings,
                error,
                challenge: false,
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
    use std::time::Duration;

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
            extras: None,
        };
        let send = client.send(request, None, std::future::pending(), |_| {});
        let size = size_of_val(&send);
        assert!(size <= 1_280, "it takes {size} bytes");
    }
}
