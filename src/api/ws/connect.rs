//! Connecting: what a call asks for, and the socket that comes of it.

use std::cell::Cell;
use std::rc::Rc;

use super::params::{self, Own};
use super::record::{Recorder, Tags, failure};
use super::socket::{Facts, ScriptSocket};
use crate::api::http::handshake::{self, Common, Target};
use crate::api::{ApiError, Args, ErrorKind, Phase, Value, VuContext};
use crate::protocol::ws::{self, Handshake, Limits};
use crate::protocol::{self, ErrorKind as ProtocolErrorKind, ProtocolError, Response};

/// The schemes of this protocol.
pub(super) const SCHEMES: (&str, &str) = ("ws", "wss");

/// What one call asks for, read and checked.
pub(super) struct Call {
    pub(super) target: Target,
    pub(super) common: Common,
    pub(super) own: Own,
}

impl Call {
    /// Reads the URL and the params.
    ///
    /// # Errors
    /// If they are not what they must be, the script still loads, or the VU has too many sockets.
    pub(super) fn read(vu: &Rc<VuContext>, args: &mut Args) -> Result<Self, ApiError> {
        crate::api::kingtide::not_while_loading(vu, "sockets cannot be opened")?;
        let address = args.take(0);
        let target = handshake::target(&address, SCHEMES, &vu.worker.urls)
            .ok_or_else(|| args.wrong(0, "a string or http.url(...)", &address))?;
        let mut fields = args.fields(1, params::NAMES)?;
        let mut own = Own::read(&mut fields)?;
        let destination = target.destination.as_ref().ok().map(|known| &**known);
        let mut common = handshake::params(vu, &mut fields, destination)?;
        own.take_headers(&fields.place, &mut common.headers)?;
        room(vu, &args.call)?;
        Ok(Self { target, common, own })
    }
}

/// Refuses a socket more than the VU may have.
///
/// # Errors
/// If it has as many.
pub(super) fn room(vu: &VuContext, place: &str) -> Result<(), ApiError> {
    let most = vu.worker.plan.limits.sockets;
    if vu.ws.count() < most {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorKind::Size,
        format!(
            "{place}: the VU has {most} open sockets, as many as it may; close some, or raise the \
             option limits.sockets"
        ),
    ))
}

/// Connects and returns the socket, whatever came of it.
///
/// # Errors
/// If connecting failed and the author asked for errors with `throw`.
pub(super) async fn connect(vu: Rc<VuContext>, call: Call) -> Result<Value, ApiError> {
    let (throw, in_iteration) = (call.common.throw, vu.phase.get() == Phase::Iteration);
    let socket = open(&vu, call, in_iteration).await;
    match &socket.facts.error {
        Some((error, _)) if throw => {
            let message = format!("ws.connect {}: {}", socket.facts.url, error.message);
            Err(ApiError::new(ErrorKind::Request, message))
        }
        _ => Ok(Value::object(socket)),
    }
}

/// Connects, for the time of an iteration or for the VU's, and returns the socket, whatever came of
/// it.
pub(super) async fn open(vu: &Rc<VuContext>, call: Call, in_iteration: bool) -> ScriptSocket {
    let Call { target, common, own } = call;
    let base = vu.tag_set_with(&common.tags);
    let given = common.name.or(target.name);
    let destination = match target.destination {
        Ok(destination) => destination,
        Err(why) => {
            let name = given.as_deref().unwrap_or(&target.text);
            let tags = Tags { name, subprotocol: "", status: 0 };
            let error = ProtocolError::new(ProtocolErrorKind::InvalidUrl, "invalid URL");
            let recorder = Recorder::new(&vu.worker, base, &tags);
            recorder.connected(std::time::Duration::ZERO, Some(failure(&error)));
            let facts = Facts::nowhere(target.text, &ProtocolError { message: why, ..error });
            return ScriptSocket::failed(facts, recorder, common.timeout);
        }
    };
    let handshake = Handshake {
        url: Rc::clone(&destination),
        headers: common.headers,
        subprotocols: own.subprotocols,
        compression: own.compression,
        timeout: common.timeout,
        auth: common.auth,
        via: common.via,
    };
    let stopped = vu.interrupt.stopped();
    let answered = ws::connect(&vu.http, handshake, Some(&*common.jar), stopped).await;
    let response = answered.response;
    handshake::debug(vu, &response);
    let subprotocol = answered.opening.as_ref().map_or("", |opening| opening.protocol.as_str());
    let own_name = web_socket(destination.name());
    let tags = Tags {
        name: given.as_deref().unwrap_or(&own_name),
        subprotocol,
        status: response.exchange.status.map_or(0, |status| status.as_u16()),
    };
    let recorder = Recorder::new(&vu.worker, base, &tags);
    let failed = response.exchange.error.as_ref();
    let failed = failed.map(|error| (error.message.as_str(), error_code(error, &response)));
    recorder.connected(response.exchange.timings.total(), failed);
    let code = failed.map_or(0, |(_, code)| code);
    let Some(opening) = answered.opening else {
        let facts = Facts::of(web_socket(destination.as_str()), response, code);
        return ScriptSocket::failed(facts, recorder, common.timeout);
    };
    let mut facts = Facts::of(web_socket(destination.as_str()), response, code);
    facts.protocol.clone_from(&opening.protocol);
    facts.extensions.clone_from(&opening.extensions);
    let limits = &vu.worker.plan.limits;
    let limits = Limits {
        message_bytes: own.message_bytes.unwrap_or(limits.message_bytes),
        queued_messages: limits.queued_messages,
    };
    let (socket, driver) = opening.start(limits, Box::new(recorder.clone()));
    vu.ws.keep(socket.clone(), in_iteration);
    tokio::task::spawn_local(driver);
    ScriptSocket {
        facts,
        socket: Some(socket),
        recorder,
        timeout: common.timeout,
        binary: Cell::default(),
    }
}

/// Returns k6's code of a failed handshake: that of the answer's status if it says what is wrong.
fn error_code(error: &ProtocolError, response: &Response) -> u16 {
    let status = response.exchange.status.map_or(0, |status| status.as_u16());
    match error.kind {
        ProtocolErrorKind::BadHandshake => {
            protocol::status_code_error(status).unwrap_or(error.kind.code())
        }
        kind => kind.code(),
    }
}

/// Returns a URL of HTTP's as one of this protocol.
fn web_socket(url: &str) -> String {
    format!("ws{}", url.strip_prefix("http").unwrap_or(url))
}
