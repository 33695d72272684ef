//! Clients: where calls go, how they are numbered, and what they have in common.

use std::cell::Cell;
use std::rc::Rc;

use super::call::{Call, CallId};
use super::exchange;
use super::socket::{self, Peer};
use crate::api::args::joined;
use crate::api::batch::Names;
use crate::api::http::Carrier;
use crate::api::ws::Line;
use crate::api::{Answer, ApiError, Args, Fields, Method, Object, Value, VuContext, batch};
use crate::protocol::rpc::Id;

pub(in crate::api) const METHODS: &[Method] = &[
    Method { name: "call", params: &["method", "params?", "options?"], waits: true },
    // The same, for Rhai: there `call` is a word of its own, for functions.
    Method { name: "request", params: &["method", "params?", "options?"], waits: true },
    Method { name: "notify", params: &["method", "params?", "options?"], waits: true },
    Method { name: "batch", params: &["calls", "options?"], waits: true },
    Method { name: "subscribe", params: &["method", "params?", "options?"], waits: true },
];

/// The named arguments of a client over HTTP.
const OPTIONS: &[&str] = &joined::<10>(&Carrier::DEFAULTS, &["batch_max", "name_tag", "ids"]);

/// Those of a client over a WebSocket.
const LINE_OPTIONS: &[&str] = &joined::<12>(&Line::NAMES, &["batch_max", "ids"]);

/// Speaks JSON-RPC with one URL.
pub(super) struct Client {
    transport: Transport,
    /// Most calls of one request; larger batches are split.
    pub(super) batch_max: usize,
    /// Whether HTTP requests have the method as their name, and not the URL.
    pub(super) names_by_method: bool,
    /// Whether ids are texts.
    text_ids: bool,
    next_id: Cell<i64>,
}

/// What carries the calls.
enum Transport {
    Http(Rc<Carrier>),
    /// A connection that stays, with the notifications that come over it.
    Socket(Rc<Peer>),
}

/// `rpc.client(url, { headers = ..., batch_max = ..., name_tag = ..., ids = ... })`
pub(super) fn client(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let url = args.take(0);
    let over_socket = Line::leads_there(&url);
    let mut fields = args.fields(1, if over_socket { LINE_OPTIONS } else { OPTIONS })?;
    let batch_max = match fields.count("batch_max")? {
        None => usize::MAX,
        Some(0) => {
            return Err(ApiError::usage(format!(
                "{}: `batch_max` must be at least 1; leave it out for batches of any size",
                fields.place
            )));
        }
        Some(most) => usize::try_from(most).unwrap_or(usize::MAX),
    };
    let names_by_method = !takes_second(&mut fields, "name_tag", ["method", "url"])?;
    let text_ids = takes_second(&mut fields, "ids", ["number", "string"])?;
    let transport = if over_socket {
        Transport::Socket(Rc::new(Peer::new(Line::new(vu, &args.call, &url, &mut fields)?)))
    } else {
        let carrier = Carrier::new(vu, &args.call, &url, &mut fields, "application/json")?;
        Transport::Http(Rc::new(carrier))
    };
    let next_id = Cell::new(1);
    Ok(Value::object(Client { transport, batch_max, names_by_method, text_ids, next_id }))
}

/// Reads an option of two words: whether it is the second; the first is the default.
fn takes_second(fields: &mut Fields, name: &str, words: [&str; 2]) -> Result<bool, ApiError> {
    let Some(text) = fields.text(name)? else { return Ok(false) };
    let text = text.to_str();
    words.iter().position(|word| *word == text).map(|at| at == 1).ok_or_else(|| {
        let [first, second] = words;
        ApiError::usage(format!(
            "{}: `{name}` must be \"{first}\" or \"{second}\", not \"{text}\"",
            fields.place
        ))
    })
}

impl Client {
    /// Returns a call's id; nothing for a notification.
    pub(super) fn id(&self, id: CallId) -> Option<Id> {
        match id {
            CallId::Notification => None,
            CallId::Own(id) => Some(id),
            CallId::Next => {
                let number = self.next_id.get();
                self.next_id.set(number + 1);
                Some(if self.text_ids {
                    Id::Text(number.to_string().into())
                } else {
                    Id::Number(number)
                })
            }
        }
    }

    /// Returns the URL.
    fn url(&self) -> &str {
        match &self.transport {
            Transport::Http(carrier) => carrier.url(),
            Transport::Socket(peer) => peer.url(),
        }
    }
}

/// Reads the calls of a batch.
///
/// # Errors
/// If it is no batch, or one of its calls is none.
pub(super) fn calls(args: &mut Args) -> Result<(Names, Vec<Call>), ApiError> {
    batch::read(args, "call", |place, call| Call::of_batch(&place, call))
}

impl Object for Client {
    fn type_name(&self) -> &'static str {
        "rpc client"
    }

    fn get(&self, _: &Rc<VuContext>, field: &str) -> Result<Option<Value>, ApiError> {
        Ok((field == "url").then(|| self.url().into()))
    }

    fn fields(&self) -> &'static [&'static str] {
        &["url"]
    }

    fn methods(&self) -> &'static [Method] {
        METHODS
    }

    fn call(
        self: Rc<Self>,
        vu: &Rc<VuContext>,
        method: &'static Method,
        args: Args,
    ) -> Result<Answer, ApiError> {
        crate::api::kingtide::not_while_loading(vu, "calls cannot be made")?;
        let vu = Rc::clone(vu);
        match &self.transport {
            Transport::Http(carrier) => {
                let carrier = Rc::clone(carrier);
                exchange::over_http(self, carrier, vu, method, args)
            }
            Transport::Socket(peer) => {
                let peer = Rc::clone(peer);
                socket::call(self, peer, vu, method, args)
            }
        }
    }

    fn describe(&self) -> String {
        format!("<rpc client of {}>", self.url())
    }
}
