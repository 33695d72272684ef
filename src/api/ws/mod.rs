//! The module `kingtide/ws`: WebSockets, in a blocking style and by callbacks.

use std::rc::Rc;

use super::{ApiError, Args, ErrorKind, Function, Module, Run, Value, VuContext, Wait};
use crate::protocol::ws;

pub(super) use self::line::{Came, Line, Lost, Open};
pub(super) use self::messages::METHODS as MESSAGES_METHODS;
pub(super) use self::params::NAMES as PARAM_NAMES;
pub(super) use self::socket::{FIELDS as SOCKET_FIELDS, METHODS as SOCKET_METHODS};
pub use self::sockets::Sockets;

mod connect;
mod events;
mod line;
mod messages;
mod params;
mod record;
mod request;
mod socket;
mod sockets;

pub(super) const MODULE: Module = Module {
    name: "ws",
    functions: &[
        Function { name: "connect", params: &["url", "params?"], run: Run::Wait(connect) },
        Function { name: "run", params: &["url", "params", "handlers"], run: Run::Script },
        // Parts of `run` and of `socket:request` with a predicate, for the adapters.
        Function { name: "_check_handlers", params: &["names"], run: Run::Now(check_handlers) },
        Function {
            name: "_begin_events",
            params: &["socket", "every", "after", "pings", "pongs"],
            run: Run::Now(events::begin),
        },
        Function { name: "_next_event", params: &["events"], run: Run::Wait(events::next) },
        Function { name: "_leave", params: &["socket"], run: Run::Now(leave) },
        Function {
            name: "_begin_request",
            params: &["message", "socket", "timeout?"],
            run: Run::Wait(request::begin),
        },
        Function { name: "_next_reply", params: &["request"], run: Run::Wait(request::next) },
        Function { name: "_take_reply", params: &["request"], run: Run::Now(request::take) },
    ],
    constants: &[],
};

/// The names of what `ws.run` calls, and of what it does besides.
const HANDLERS: &[&str] = &["open", "message", "error", "close", "ping", "pong", "every", "after"];

/// `ws.connect(url, params?)`: a socket, open or not.
fn connect(vu: &Rc<VuContext>, mut args: Args) -> Result<Wait, ApiError> {
    let call = connect::Call::read(vu, &mut args)?;
    Ok(Box::pin(connect::connect(Rc::clone(vu), call)))
}

/// Refuses handlers that nobody calls.
fn check_handlers(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let names = match args.take(0) {
        Value::List(names) => names,
        _ => Vec::new(),
    };
    for name in names.iter().filter_map(Value::as_text) {
        if !HANDLERS.contains(&&*name) {
            let message = super::unknown_name("ws.run: handlers", "handler", &name, HANDLERS);
            return Err(ApiError::usage(message));
        }
    }
    Ok(Value::Nil)
}

/// Closes a socket whose handler failed, without waiting.
fn leave(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    if let Some(socket) = socket_at(&mut args, 0)?.socket() {
        socket.leave(sockets::GOING_AWAY, sockets::PATIENCE);
    }
    Ok(Value::Nil)
}

/// Takes a socket.
fn socket_at(args: &mut Args, index: usize) -> Result<Rc<socket::ScriptSocket>, ApiError> {
    args.object(index, "a socket")
}

/// Returns the error of a queue that nobody empties.
fn queue_full(place: &str, vu: &VuContext) -> ApiError {
    let most = vu.worker.plan.limits.queued_messages;
    ApiError::new(
        ErrorKind::Size,
        format!(
            "{place}: the socket's queue is full of other messages, so that nothing more is read; \
             receive them, or raise the option limits.queued_messages ({most})"
        ),
    )
}

/// Returns a message as scripts see it.
fn value_of(kind: ws::Kind, data: bytes::Bytes) -> Value {
    match kind {
        ws::Kind::Text => Value::Text(super::Text::from_bytes(data)),
        ws::Kind::Binary | ws::Kind::Ping | ws::Kind::Pong => Value::Bytes(data),
    }
}
