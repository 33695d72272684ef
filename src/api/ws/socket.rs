//! A socket as scripts see it.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use super::messages::Messages;
use super::record::{Recorder, failure};
use super::{request, sockets, value_of};
use crate::api::http::handshake;
use crate::api::{Answer, ApiError, Args, Method, Object, Value, VuContext, json};
use crate::clock;
use crate::protocol::ws::{self, Arrival, Kind, Message, Sent, Socket};
use crate::protocol::{Headers, ProtocolError, Response, Timings};

pub(in crate::api) const METHODS: &[Method] = &[
    Method { name: "send", params: &["message"], waits: true },
    Method { name: "send_binary", params: &["message"], waits: true },
    Method { name: "send_json", params: &["value"], waits: true },
    Method { name: "receive", params: &["timeout?"], waits: true },
    Method { name: "receive_json", params: &["timeout?"], waits: true },
    Method { name: "messages", params: &["timeout?"], waits: false },
    Method { name: "request", params: &["message", "match?", "timeout?"], waits: true },
    Method { name: "ping", params: &["timeout?"], waits: true },
    Method { name: "close", params: &["code?", "reason?"], waits: true },
];

pub(in crate::api) const FIELDS: &[&str] = &[
    "open",
    "url",
    "status",
    "headers",
    "body",
    "protocol",
    "extensions",
    "timings",
    "error",
    "error_code",
    "close_code",
    "close_reason",
    "binary",
    "remote_address",
    "remote_ip",
    "remote_port",
    "tls_version",
];

/// The longest that `close` waits for the peer's close frame.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

/// What is known of a handshake.
pub(super) struct Facts {
    pub(super) url: String,
    status: u16,
    headers: Headers,
    /// Of an answer that was no consent.
    body: Bytes,
    pub(super) protocol: String,
    pub(super) extensions: String,
    timings: Timings,
    /// Why there is no connection, and k6's code.
    pub(super) error: Option<(ProtocolError, u16)>,
    remote: Option<SocketAddr>,
    tls_version: &'static str,
}

impl Facts {
    /// Takes over what the client returned, with k6's code of the error, if there is one.
    pub(super) fn of(url: String, response: Response, code: u16) -> Self {
        let exchange = response.exchange;
        Self {
            url,
            status: exchange.status.map_or(0, |status| status.as_u16()),
            headers: response.headers,
            body: response.body,
            protocol: String::new(),
            extensions: String::new(),
            timings: exchange.timings,
            error: exchange.error.map(|error| (error, code)),
            remote: exchange.remote_address,
            tls_version: exchange.tls_version,
        }
    }

    /// Returns the facts of an address that leads nowhere.
    pub(super) fn nowhere(url: String, error: &ProtocolError) -> Self {
        Self {
            url,
            status: 0,
            headers: Headers::new(),
            body: Bytes::new(),
            protocol: String::new(),
            extensions: String::new(),
            timings: Timings::default(),
            error: Some((error.clone(), error.kind.code())),
            remote: None,
            tls_version: "",
        }
    }
}

/// A socket as scripts see it.
pub(super) struct ScriptSocket {
    pub(super) facts: Facts,
    /// `None` if connecting failed.
    pub(super) socket: Option<Socket>,
    pub(super) recorder: Recorder,
    /// For whatever has no time of its own.
    pub(super) timeout: Duration,
    /// Whether the last message that the script received was binary.
    pub(super) binary: Cell<bool>,
}

impl ScriptSocket {
    /// Returns the socket of a handshake that failed.
    pub(super) fn failed(facts: Facts, recorder: Recorder, timeout: Duration) -> Self {
        Self { facts, socket: None, recorder, timeout, binary: Cell::default() }
    }

    /// Returns the connection, if there was one.
    pub(super) fn socket(&self) -> Option<&Socket> {
        self.socket.as_ref()
    }

    /// Hands a message out.
    pub(super) fn hand_out(&self, message: Message) -> Value {
        self.binary.set(message.kind == Kind::Binary);
        value_of(message.kind, message.data)
    }

    /// Takes the first message that is queued, not what `ws.run` listens for besides.
    pub(super) fn take(&self) -> Option<Message> {
        let socket = self.socket()?;
        std::iter::from_fn(|| socket.take())
            .find(|message| matches!(message.kind, Kind::Text | Kind::Binary))
    }

    /// Sends; waits for the peer to read if it reads too slowly. Answers whether it could be sent.
    pub(super) fn send(self: Rc<Self>, vu: &Rc<VuContext>, kind: Kind, data: Bytes) -> Answer {
        let Some(socket) = self.socket().cloned() else { return Answer::Now(false.into()) };
        match socket.send(kind, &data) {
            Sent::Full => {}
            sent => {
                if sent == Sent::Yes {
                    self.recorder.sent();
                }
                return Answer::Now((sent == Sent::Yes).into());
            }
        }
        let vu = Rc::clone(vu);
        Answer::Wait(Box::pin(async move {
            let patience = vu.http.elapse(self.timeout);
            let sending = async {
                loop {
                    socket.room().await;
                    match socket.send(kind, &data) {
                        Sent::Full => {}
                        sent => break sent == Sent::Yes,
                    }
                }
            };
            let sent = tokio::select! {
                biased;
                sent = sending => sent,
                () = patience => false,
            };
            if sent {
                self.recorder.sent();
            }
            Ok(sent.into())
        }))
    }

    /// Takes the next message, at most after `patience` (nothing: for ever); nothing if none comes.
    pub(super) fn receive(
        self: Rc<Self>,
        vu: &Rc<VuContext>,
        patience: Option<Duration>,
        show: fn(&Self, Message) -> Result<Value, ApiError>,
    ) -> Result<Answer, ApiError> {
        let Some(socket) = self.socket().cloned() else { return Ok(Answer::Now(Value::Nil)) };
        if let Some(message) = self.take() {
            return show(&self, message).map(Answer::Now);
        }
        let vu = Rc::clone(vu);
        Ok(Answer::Wait(Box::pin(async move {
            let waiting = async {
                loop {
                    if socket.arrival(0).await == Arrival::Ended {
                        break None;
                    }
                    if let Some(message) = self.take() {
                        break Some(message);
                    }
                }
            };
            let came = match patience {
                None => waiting.await,
                Some(patience) => tokio::select! {
                    biased;
                    came = waiting => came,
                    () = vu.http.elapse(patience) => None,
                },
            };
            came.map_or(Ok(Value::Nil), |message| show(&self, message))
        })))
    }

    fn ping(self: Rc<Self>, vu: &Rc<VuContext>, patience: Duration) -> Answer {
        let Some(socket) = self.socket().cloned() else { return Answer::Now(Value::Nil) };
        let sent = clock::now();
        let Some(number) = socket.ping() else { return Answer::Now(Value::Nil) };
        let vu = Rc::clone(vu);
        Answer::Wait(Box::pin(async move {
            let answered = tokio::select! {
                biased;
                answered = socket.pong(number) => answered,
                () = vu.interrupt.stopped() => None,
                () = vu.http.elapse(patience) => None,
            };
            socket.forget_ping(number);
            Ok(match answered {
                Some(at) => {
                    let took = at.saturating_duration_since(sent);
                    self.recorder.ping(took);
                    Value::Number(took.as_secs_f64() * 1e3)
                }
                None => Value::Nil,
            })
        }))
    }

    /// Closes and waits for the peer's close frame; answers whether one came.
    fn close(self: Rc<Self>, code: Option<u16>, reason: &str) -> Answer {
        let Some(socket) = self.socket().cloned() else { return Answer::Now(false.into()) };
        let farewell =
            |socket: &Socket| socket.ended().is_some_and(|ended| ended.code != ws::ABNORMAL);
        if socket.ended().is_some() {
            return Answer::Now(farewell(&socket).into());
        }
        socket.close(code, reason, self.timeout.min(CLOSE_PATIENCE));
        Answer::Wait(Box::pin(async move {
            socket.closed().await;
            Ok(farewell(&socket).into())
        }))
    }

    fn error(&self) -> Option<(String, u16)> {
        let ended = || self.socket()?.ended()?.error.as_ref().map(failure).map(owned);
        let refused = self.facts.error.as_ref();
        refused.map(|(error, code)| (error.message.clone(), *code)).or_else(ended)
    }
}

fn owned((error, code): (&str, u16)) -> (String, u16) {
    (error.to_owned(), code)
}

/// Shows a message as it is.
pub(super) fn as_it_is(socket: &ScriptSocket, message: Message) -> Result<Value, ApiError> {
    Ok(socket.hand_out(message))
}

/// Shows what a message's JSON says.
fn as_json(socket: &ScriptSocket, message: Message) -> Result<Value, ApiError> {
    let data = message.data.clone();
    socket.hand_out(message);
    json::extract_from("socket.receive_json: the message", &data, "")
}

/// Reads what is to be sent: text as text, bytes as bytes.
pub(super) fn outgoing(args: &mut Args, index: usize) -> Result<(Kind, Bytes), ApiError> {
    match args.take(index) {
        Value::Text(text) => {
            let data = text.into_bytes();
            if std::str::from_utf8(&data).is_err() {
                return Err(ApiError::usage(format!(
                    "{}: the message is no UTF-8; send it with send_binary",
                    args.call
                )));
            }
            Ok((Kind::Text, data))
        }
        Value::Bytes(data) => Ok((Kind::Binary, data)),
        other => Err(args.wrong(index, "a string or bytes", &other)),
    }
}

fn code_and_reason(args: &mut Args) -> Result<(Option<u16>, String), ApiError> {
    let code = args.optional_int(0)?;
    let known = |code: i64| u16::try_from(code).ok().filter(|code| ws::can_be_sent(*code));
    let code = match code {
        None => 1000,
        Some(code) => known(code).ok_or_else(|| {
            ApiError::usage(format!(
                "{}: {code} is no code to close with: 1000 to 1003, 1007 to 1014 and 3000 to 4999 \
                 are",
                args.call
            ))
        })?,
    };
    let reason = args.optional_text(1)?.map_or_else(String::new, |text| text.to_str().into_owned());
    if reason.len() > ws::REASON_BYTES_MAX {
        return Err(ApiError::usage(format!(
            "{}: the reason has {} bytes, more than {}",
            args.call,
            reason.len(),
            ws::REASON_BYTES_MAX
        )));
    }
    Ok((Some(code), reason))
}

impl Object for ScriptSocket {
    fn type_name(&self) -> &'static str {
        "socket"
    }

    fn get(&self, _: &Rc<VuContext>, field: &str) -> Result<Option<Value>, ApiError> {
        let facts = &self.facts;
        let ended = || self.socket().and_then(Socket::ended);
        let text = |text: &str| if text.is_empty() { Value::Nil } else { text.into() };
        Ok(Some(match field {
            "open" => self.socket().is_some_and(Socket::is_open).into(),
            "url" => facts.url.as_str().into(),
            "status" => Value::Int(i64::from(facts.status)),
            "headers" => handshake::headers(&facts.headers),
            "body" => Value::Text(crate::api::Text::from_bytes(facts.body.clone())),
            "protocol" => text(&facts.protocol),
            "extensions" => text(&facts.extensions),
            "timings" => handshake::timings(&facts.timings),
            "error" => self.error().map(|(error, _)| error).into(),
            "error_code" => Value::Int(self.error().map_or(0, |(_, code)| i64::from(code))),
            "close_code" => ended().map(|ended| i64::from(ended.code)).into(),
            "close_reason" => ended().map(|ended| String::from(ended.reason)).into(),
            "binary" => self.binary.get().into(),
            "remote_address" => facts.remote.map(|address| address.to_string()).into(),
            "remote_ip" => facts.remote.map(|address| address.ip().to_string()).into(),
            "remote_port" => facts.remote.map(|address| i64::from(address.port())).into(),
            "tls_version" => text(facts.tls_version),
            _ => return Ok(None),
        }))
    }

    fn fields(&self) -> &'static [&'static str] {
        FIELDS
    }

    fn methods(&self) -> &'static [Method] {
        METHODS
    }

    fn call(
        self: Rc<Self>,
        vu: &Rc<VuContext>,
        method: &'static Method,
        mut args: Args,
    ) -> Result<Answer, ApiError> {
        match method.name {
            "send" => {
                let (kind, data) = outgoing(&mut args, 0)?;
                Ok(self.send(vu, kind, data))
            }
            "send_binary" => {
                let data = args.bytes(0)?;
                Ok(self.send(vu, Kind::Binary, data))
            }
            "send_json" => {
                let value = args.take(0);
                let text = json::document(&args.call, &value)?;
                Ok(self.send(vu, Kind::Text, text.into()))
            }
            "receive" => {
                let patience = args.optional_duration(0)?.unwrap_or(self.timeout);
                self.receive(vu, Some(patience), as_it_is)
            }
            "receive_json" => {
                let patience = args.optional_duration(0)?.unwrap_or(self.timeout);
                self.receive(vu, Some(patience), as_json)
            }
            "messages" => {
                let patience = args.optional_duration(0)?;
                Ok(Answer::Now(Value::object(Messages { socket: self, patience })))
            }
            "request" => request::request(self, vu, args),
            "ping" => {
                let patience = args.optional_duration(0)?.unwrap_or(self.timeout);
                Ok(self.ping(vu, patience))
            }
            _ => {
                let (code, reason) = code_and_reason(&mut args)?;
                Ok(self.close(code, &reason))
            }
        }
    }

    fn held_bytes(&self) -> usize {
        // The socket itself, its buffers and its task: a script that keeps none makes garbage.
        size_of::<Self>() + 2_048 + self.facts.body.len() + self.facts.headers.held_bytes()
    }

    fn describe(&self) -> String {
        let url = &self.facts.url;
        match (self.error(), self.socket()) {
            (Some((error, _)), _) => format!("<socket {url}: {error}>"),
            (None, Some(socket)) if socket.is_open() => format!("<socket {url}>"),
            (None, _) => format!("<socket {url}, closed>"),
        }
    }
}

impl Drop for ScriptSocket {
    fn drop(&mut self) {
        // Nobody can use it any more.
        if let Some(socket) = self.socket() {
            socket.leave(sockets::GOING_AWAY, sockets::PATIENCE);
        }
    }
}
