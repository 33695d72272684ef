//! Requests over a socket: a message, and the one among those that come which is its reply.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::socket::{ScriptSocket, outgoing};
use super::{queue_full, socket_at};
use crate::api::{Answer, ApiError, Args, Map, Object, Value, VuContext, Wait, json};
use crate::clock::{self, Instant};
use crate::protocol::ErrorKind;
use crate::protocol::ws::{Arrival, Kind, Message, Socket};

/// Why a reply did not come, as tags have it.
const NO_REPLY: &str = "websocket: no reply in time";
const CLOSED: &str = "websocket: closed before the reply";

/// How a reply is known.
enum Match {
    /// By its JSON's `id`.
    Id(Value),
    /// By what its JSON has at paths.
    Fields(Map),
}

/// A request under way.
struct Pending {
    socket: Rc<ScriptSocket>,
    begun: Instant,
    until: Instant,
    /// The number of the last message that was looked at.
    seen: Cell<u64>,
}

/// What a wait for candidates came to.
enum Found {
    Candidate(Message),
    /// There will be no reply; that was recorded.
    Nothing,
    /// Nothing more can come, since nobody takes what came.
    Full,
}

/// `socket:request(message, match?, timeout?)` with an id or a table; predicates are called by the
/// adapters, which are made of [`begin`], [`next`] and [`take`].
pub(super) fn request(
    socket: Rc<ScriptSocket>,
    vu: &Rc<VuContext>,
    mut args: Args,
) -> Result<Answer, ApiError> {
    let wanted = args.take(1);
    let (kind, data, id) = message(&mut args, 0)?;
    let wanted = match wanted {
        id @ (Value::Int(_) | Value::Number(_) | Value::Text(_)) => Match::Id(id),
        Value::Map(fields) => Match::Fields(fields),
        Value::Nil | Value::Null => Match::Id(id.ok_or_else(|| {
            ApiError::usage(format!(
                "{}: argument 2 (match) must say how the reply is known, unless the message is a \
                 table with `id`",
                args.call
            ))
        })?),
        other => {
            return Err(args.wrong(1, "an id, a table of fields or a function", &other));
        }
    };
    let patience = args.optional_duration(2)?.unwrap_or(socket.timeout);
    let vu = Rc::clone(vu);
    Ok(Answer::Wait(Box::pin(async move {
        let Some(pending) = start(socket, &vu, kind, data, patience).await? else {
            return Ok(Value::Nil);
        };
        loop {
            match pending.next(&vu).await {
                Found::Candidate(message) => {
                    if let Some(reply) = wanted.reply(&message) {
                        pending.accept();
                        return Ok(reply);
                    }
                }
                Found::Nothing => return Ok(Value::Nil),
                Found::Full => return Err(queue_full("socket.request", &vu)),
            }
        }
    })))
}

/// Begins a request whose replies the script itself looks at; answers nothing if it cannot be sent.
pub(super) fn begin(vu: &Rc<VuContext>, mut args: Args) -> Result<Wait, ApiError> {
    // As the author called it.
    args.call = "socket.request".into();
    let socket = socket_at(&mut args, 1)?;
    let (kind, data, _) = message(&mut args, 0)?;
    let patience = args.optional_duration(2)?.unwrap_or(socket.timeout);
    let vu = Rc::clone(vu);
    Ok(Box::pin(async move {
        let pending = start(socket, &vu, kind, data, patience).await?;
        Ok(pending.map_or(Value::Nil, Value::object))
    }))
}

/// Waits for the next message that the script has not looked at; nothing if there will be no reply.
pub(super) fn next(vu: &Rc<VuContext>, mut args: Args) -> Result<Wait, ApiError> {
    let pending = args.object::<Pending>(0, "a request")?;
    let vu = Rc::clone(vu);
    Ok(Box::pin(async move {
        match pending.next(&vu).await {
            Found::Candidate(message) => Ok(super::value_of(message.kind, message.data)),
            Found::Nothing => Ok(Value::Nil),
            Found::Full => Err(queue_full("socket.request", &vu)),
        }
    }))
}

/// Takes the message that was looked at last as the reply.
pub(super) fn take(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    args.object::<Pending>(0, "a request")?.accept();
    Ok(Value::Nil)
}

/// Reads a message: text, bytes, or a table to be sent as JSON, with its `id`.
fn message(args: &mut Args, index: usize) -> Result<(Kind, bytes::Bytes, Option<Value>), ApiError> {
    match args.take(index) {
        value @ (Value::Map(_) | Value::List(_)) => {
            let text = json::document(&args.call, &value)?;
            let id = match value {
                Value::Map(map) => map.get("id").filter(|id| !id.is_nil()).cloned(),
                _ => None,
            };
            Ok((Kind::Text, text.into(), id))
        }
        other => {
            args.put(index, other);
            outgoing(args, index).map(|(kind, data)| (kind, data, None))
        }
    }
}

/// Sends a request; nothing, and that is recorded, if it cannot be sent.
async fn start(
    socket: Rc<ScriptSocket>,
    vu: &Rc<VuContext>,
    kind: Kind,
    data: bytes::Bytes,
    patience: Duration,
) -> Result<Option<Pending>, ApiError> {
    let begun = clock::now();
    // What lies there already is no reply.
    let seen = Cell::new(socket.socket().map_or(0, Socket::last_number));
    let sent = match Rc::clone(&socket).send(vu, kind, data) {
        Answer::Now(sent) => sent,
        Answer::Wait(wait) => wait.await?,
    };
    let until = begun.checked_add(patience).unwrap_or(begun);
    let pending = Pending { socket, begun, until, seen };
    if sent.is_truthy() {
        return Ok(Some(pending));
    }
    pending.fail(CLOSED, ErrorKind::Other.code());
    Ok(None)
}

impl Pending {
    async fn next(&self, vu: &Rc<VuContext>) -> Found {
        let Some(socket) = self.socket.socket() else { return Found::Nothing };
        let patience = self.until.saturating_duration_since(clock::now());
        let arrival = tokio::select! {
            biased;
            arrival = socket.arrival(self.seen.get()) => arrival,
            () = vu.interrupt.stopped() => {
                let kind = ErrorKind::Cut;
                self.fail(kind.message(), kind.code());
                return Found::Nothing;
            }
            () = vu.http.elapse(patience) => {
                self.fail(NO_REPLY, ErrorKind::Timeout.code());
                return Found::Nothing;
            }
        };
        match arrival {
            Arrival::Message(_) => {
                let Some(message) = socket.after(self.seen.get()) else { return Found::Nothing };
                self.seen.set(message.number);
                Found::Candidate(message)
            }
            Arrival::Ended => {
                self.fail(CLOSED, ErrorKind::Other.code());
                Found::Nothing
            }
            Arrival::Full => {
                self.fail(NO_REPLY, ErrorKind::Timeout.code());
                Found::Full
            }
        }
    }

    /// Takes the message that was looked at last as the reply.
    fn accept(&self) {
        let reply = self.socket.socket().and_then(|socket| socket.take_number(self.seen.get()));
        if let Some(reply) = reply {
            let took = reply.at.saturating_duration_since(self.begun);
            self.socket.recorder.round_trip(took, None);
            self.socket.hand_out(reply);
        }
    }

    fn fail(&self, error: &str, code: u16) {
        self.socket.recorder.round_trip(clock::now() - self.begun, Some((error, code)));
    }
}

impl Match {
    /// Returns what a message says if it is the reply.
    fn reply(&self, message: &Message) -> Option<Value> {
        if !matches!(message.kind, Kind::Text | Kind::Binary) {
            return None;
        }
        let at = |path: &str| json::extract(&message.data, path).ok();
        let fits = match self {
            Self::Id(id) => same(&at("id")?, id),
            Self::Fields(fields) => {
                let mut fields = fields.iter();
                fields.all(|(path, wanted)| at(path).is_some_and(|value| same(&value, wanted)))
            }
        };
        if fits { at("") } else { None }
    }
}

/// Returns whether two values are the same, whatever the order of names.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Nil | Value::Null, Value::Nil | Value::Null) => true,
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Map(one), Value::Map(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| other.get(name).is_some_and(|o| same(value, o)))
        }
        (one, other) => one == other,
    }
}

impl Object for Pending {
    fn type_name(&self) -> &'static str {
        "request"
    }
}
