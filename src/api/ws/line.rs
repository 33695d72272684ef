//! Connections that another module talks over (`rpc`): opened and recorded like all others, but what
//! comes goes to that module, not to the script.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use super::connect::{self, Call, SCHEMES};
use super::params::Own;
use super::queue_full;
use super::socket::ScriptSocket;
use crate::api::http::handshake::{self, Common, Target};
use crate::api::{Answer, ApiError, Fields, Phase, Value, VuContext};
use crate::clock::{self, Instant};
use crate::protocol::ws::{Arrival, Kind};
use crate::protocol::{Auth, ErrorKind, Headers, ProtocolError, Via};

/// Where a connection leads, and how it is opened: as often as it broke off.
pub(in crate::api) struct Line {
    target: Target,
    own: Own,
    headers: Headers,
    tags: Vec<(String, String)>,
    timeout: Duration,
    auth: Option<Auth>,
    via: Via,
    /// Whether its connections end with the iteration that made it.
    in_iteration: bool,
    open: RefCell<Option<Rc<Open>>>,
}

/// An open connection.
pub(in crate::api) struct Open(Rc<ScriptSocket>);

/// Why nothing more comes.
pub(in crate::api) struct Lost {
    pub(in crate::api) error: ProtocolError,
    /// k6's number for it.
    pub(in crate::api) code: u16,
}

/// What a wait came to.
pub(in crate::api) enum Came {
    /// A message, and when its last byte was read.
    Message(Instant, Bytes),
    Lost(Lost),
}

impl Lost {
    fn new(error: ProtocolError) -> Self {
        Self { code: error.kind.code(), error }
    }

    fn closed() -> Self {
        Self::new(ProtocolError::new(ErrorKind::Other, "websocket: closed before the answer"))
    }
}

impl Line {
    /// The named arguments that [`Self::new`] reads.
    pub(in crate::api) const NAMES: [&'static str; 10] = [
        "headers",
        "auth",
        "tls",
        "proxy",
        "socket",
        "tags",
        "timeout",
        "subprotocols",
        "compression",
        "max_message_size",
    ];

    /// Returns whether an address is a WebSocket's.
    pub(in crate::api) fn leads_there(url: &Value) -> bool {
        handshake::is_of(url, SCHEMES)
    }

    /// Returns a line to a URL. Nothing is opened yet.
    ///
    /// # Errors
    /// If it is no URL, or a named argument is wrong.
    pub(in crate::api) fn new(
        vu: &Rc<VuContext>,
        call: &str,
        url: &Value,
        fields: &mut Fields,
    ) -> Result<Self, ApiError> {
        let target = handshake::target(url, SCHEMES, &vu.worker.urls).ok_or_else(|| {
            let got = url.type_name();
            ApiError::usage(format!(
                "{call}: argument 1 (url) must be a string or http.url(...), got {got}"
            ))
        })?;
        if let Err(why) = &target.destination {
            return Err(ApiError::usage(format!("{call}: {why}: \"{}\"", target.text)));
        }
        let mut own = Own::read(fields)?;
        let Common { mut headers, tags, timeout, auth, via, .. } =
            handshake::params(vu, fields, None)?;
        own.take_headers(&fields.place, &mut headers)?;
        let in_iteration = vu.phase.get() == Phase::Iteration;
        let open = RefCell::default();
        Ok(Self { target, own, headers, tags, timeout, auth, via, in_iteration, open })
    }

    /// Returns the URL.
    pub(in crate::api) fn url(&self) -> &str {
        &self.target.text
    }

    /// Returns the tags of what goes over it.
    pub(in crate::api) fn tags(&self) -> &[(String, String)] {
        &self.tags
    }

    /// Returns how long an answer is waited for.
    pub(in crate::api) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Returns the open connection, or opens one.
    ///
    /// # Errors
    /// The outer if the VU has too many sockets, the inner if none could be opened.
    pub(in crate::api) async fn open(
        &self,
        vu: &Rc<VuContext>,
        place: &str,
    ) -> Result<Result<Rc<Open>, Lost>, ApiError> {
        if let Some(open) = &*self.open.borrow()
            && open.is_open()
        {
            return Ok(Ok(Rc::clone(open)));
        }
        connect::room(vu, place)?;
        let common = Common {
            headers: self.headers.clone(),
            jar: Rc::clone(&vu.cookies),
            tags: self.tags.clone(),
            name: None,
            timeout: self.timeout,
            throw: false,
            auth: self.auth.clone(),
            via: self.via.clone(),
        };
        let call = Call { target: self.target.clone(), common, own: self.own.clone() };
        let socket = connect::open(vu, call, self.in_iteration).await;
        if let Some((error, code)) = &socket.facts.error {
            return Ok(Err(Lost { error: error.clone(), code: *code }));
        }
        let open = Rc::new(Open(Rc::new(socket)));
        self.open.replace(Some(Rc::clone(&open)));
        Ok(Ok(open))
    }
}

impl Open {
    /// Returns whether it can still be talked over.
    pub(in crate::api) fn is_open(&self) -> bool {
        self.0.socket().is_some_and(crate::protocol::ws::Socket::is_open)
    }

    /// Sends a text.
    ///
    /// # Errors
    /// If it cannot be sent: the connection is over, or the peer does not read.
    pub(in crate::api) async fn send(&self, vu: &Rc<VuContext>, text: Bytes) -> Result<(), Lost> {
        let sent = match Rc::clone(&self.0).send(vu, Kind::Text, text) {
            Answer::Now(sent) => Ok(sent),
            Answer::Wait(wait) => wait.await,
        };
        match sent {
            Ok(sent) if sent.is_truthy() => Ok(()),
            _ => Err(self.lost()),
        }
    }

    /// Takes the next message that is there.
    pub(in crate::api) fn take(&self) -> Option<Bytes> {
        self.0.take().map(|message| message.data)
    }

    /// Takes the next message; waits for it until `until` (nothing: for ever).
    ///
    /// # Errors
    /// If messages that nobody takes fill the queue.
    pub(in crate::api) async fn next(
        &self,
        vu: &Rc<VuContext>,
        until: Option<Instant>,
        place: &str,
    ) -> Result<Came, ApiError> {
        let Some(socket) = self.0.socket() else { return Ok(Came::Lost(Lost::closed())) };
        loop {
            if let Some(message) = self.0.take() {
                return Ok(Came::Message(message.at, message.data));
            }
            let late = async {
                match until {
                    Some(until) => {
                        let patience = until.saturating_duration_since(clock::now());
                        vu.http.elapse(patience).await;
                    }
                    None => std::future::pending().await,
                }
            };
            let arrival = tokio::select! {
                biased;
                arrival = socket.arrival(0) => arrival,
                () = vu.interrupt.stopped() => {
                    return Ok(Came::Lost(Lost::new(ErrorKind::Cut.into())));
                }
                () = late => return Ok(Came::Lost(Lost::new(ErrorKind::Timeout.into()))),
            };
            match arrival {
                Arrival::Message(_) => {}
                Arrival::Ended => return Ok(Came::Lost(self.lost())),
                Arrival::Full => return Err(queue_full(place, vu)),
            }
        }
    }

    /// Returns how the connection ended.
    fn lost(&self) -> Lost {
        let ended = self.0.socket().and_then(crate::protocol::ws::Socket::ended);
        ended.and_then(|ended| ended.error).map_or_else(Lost::closed, Lost::new)
    }
}
