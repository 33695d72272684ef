//! Calls over HTTP: what comes back is matched, each call recorded and its reply made.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use super::call::{Call, Params};
use super::client::{Client, calls};
use super::record::{Sample, record};
use super::reply::{Failure, Reply, answered};
use crate::api::http::{Carried, Carrier, Extra};
use crate::api::{Answer, ApiError, Args, Method, Value, VuContext};
use crate::metrics::TagSetId;
use crate::protocol::rpc::{self, Id, Outcome, Outgoing};

/// The named arguments of a call; a batch and a notification have no `id`.
const CALL_OPTIONS: &[&str] =
    &["headers", "auth", "tls", "proxy", "socket", "tags", "timeout", "name", "id"];
const MORE_OPTIONS: &[&str] =
    &["headers", "auth", "tls", "proxy", "socket", "tags", "timeout", "name"];

/// The row of HTTP requests that hold a batch.
const BATCH_NAME: &str = "batch";

/// A call with its id, ready to be sent.
pub(super) struct Numbered {
    method: Rc<str>,
    params: Option<Params>,
    pub(super) id: Option<Id>,
}

/// What is known of a call besides its outcome.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told {
    /// HTTP's status; 0 without an answer, nothing on a WebSocket.
    pub(super) status: Option<u16>,
    /// Nothing if there was nothing to wait for.
    pub(super) duration: Option<Duration>,
    /// Whether it was cut off at the end of the test or of the iteration.
    pub(super) cut: bool,
}

impl Numbered {
    pub(super) fn of(client: &Client, call: Call) -> Self {
        Self { method: call.method, params: call.params, id: client.id(call.id) }
    }

    /// Numbers the calls of a batch, and splits it as the client asks.
    pub(super) fn parts(client: &Client, calls: Vec<Call>) -> impl Iterator<Item = Vec<Self>> {
        let most = client.batch_max;
        let mut left: Vec<Self> = calls.into_iter().map(|call| Self::of(client, call)).collect();
        std::iter::from_fn(move || {
            let rest = left.split_off(left.len().min(most));
            let part = std::mem::replace(&mut left, rest);
            (!part.is_empty()).then_some(part)
        })
    }

    fn outgoing(&self) -> Outgoing<'_, &Params> {
        Outgoing::new(&self.method, self.params.as_ref(), self.id.as_ref())
    }

    pub(super) fn encoded(&self) -> Bytes {
        rpc::encode(&self.outgoing()).expect(WRITABLE).into()
    }
}

/// Carries a method of a client out.
///
/// # Errors
/// If an argument is wrong, or the method needs a WebSocket.
pub(super) fn over_http(
    client: Rc<Client>,
    carrier: Rc<Carrier>,
    vu: Rc<VuContext>,
    method: &'static Method,
    mut args: Args,
) -> Result<Answer, ApiError> {
    if method.name == "subscribe" {
        return Err(ApiError::usage(format!(
            "{}: notifications need a connection that stays: make the client with ws:// or wss:// \
             instead of {}",
            args.call,
            carrier.url()
        )));
    }
    if method.name == "batch" {
        let (names, calls) = calls(&mut args)?;
        let extra = carrier.extra(&vu, &mut args.fields(1, MORE_OPTIONS)?)?;
        return Ok(Answer::Wait(Box::pin(async move {
            Ok(names.answer(batch(&client, &carrier, &vu, calls, extra).await))
        })));
    }
    let options = if method.name == "notify" { MORE_OPTIONS } else { CALL_OPTIONS };
    let (made, mut fields) = Call::of_method(method, &mut args, options)?;
    let extra = carrier.extra(&vu, &mut fields)?;
    Ok(Answer::Wait(Box::pin(async move { Ok(call(&client, &carrier, &vu, made, extra).await) })))
}

/// Sends one call, or a notification, and returns its reply.
async fn call(
    client: &Client,
    carrier: &Carrier,
    vu: &Rc<VuContext>,
    call: Call,
    extra: Extra,
) -> Value {
    let call = Numbered::of(client, call);
    let tags = vu.tag_set_with(carrier.tags(&extra));
    let name = client.names_by_method.then_some(&*call.method);
    let carried = carrier.post(vu, call.encoded(), name, &extra).await;
    let outcome = match (&carried.error, &call.id) {
        (Some(_), _) => Err(Box::new(Failure::of_http(&carried))),
        (None, Some(id)) => answered(rpc::answer_to(id, &rpc::read(&carried.body)), &carried),
        (None, None) => notified(&carried),
    };
    Value::object(reply(vu, tags, call, Told::of(&carried), outcome))
}

/// Sends a batch, in parts if it is too large, and returns the replies in the order of the calls.
async fn batch(
    client: &Client,
    carrier: &Carrier,
    vu: &Rc<VuContext>,
    calls: Vec<Call>,
    extra: Extra,
) -> Vec<Value> {
    let tags = vu.tag_set_with(carrier.tags(&extra));
    let mut replies = Vec::with_capacity(calls.len());
    for part in Numbered::parts(client, calls) {
        let name = client.names_by_method.then_some(BATCH_NAME);
        let carried = carrier.post(vu, encoded(&part), name, &extra).await;
        let ids: Vec<Option<Id>> = part.iter().map(|call| call.id.clone()).collect();
        let outcomes = match &carried.error {
            Some(_) => vec![None; part.len()],
            None => rpc::answers_to(&ids, &rpc::read(&carried.body)),
        };
        for (call, outcome) in part.into_iter().zip(outcomes) {
            let outcome = match (&carried.error, outcome) {
                (Some(_), _) => Err(Box::new(Failure::of_http(&carried))),
                (None, Some(outcome)) => answered(outcome, &carried),
                (None, None) if !carried.is_answer() => Err(Box::new(Failure::of_http(&carried))),
                // What the server answers is about the calls beside it.
                (None, None) => Ok(None),
            };
            replies.push(Value::object(reply(vu, tags, call, Told::of(&carried), outcome)));
        }
        if carried.is_cut() {
            break;
        }
    }
    replies
}

/// Why a call can always be written.
const WRITABLE: &str = "params were checked when they were read";

pub(super) fn encoded(calls: &[Numbered]) -> Bytes {
    let calls: Vec<_> = calls.iter().map(Numbered::outgoing).collect();
    rpc::encode_batch(&calls).expect(WRITABLE).into()
}

impl Told {
    fn of(carried: &Carried) -> Self {
        Self {
            status: Some(carried.status),
            duration: Some(carried.duration),
            cut: carried.is_cut(),
        }
    }
}

/// Returns what came of a notification. Servers do not answer it, but may have an error to tell.
fn notified(carried: &Carried) -> Result<Option<Bytes>, Box<Failure>> {
    match rpc::error_without_call(&rpc::read(&carried.body)) {
        Some(error) => answered(Outcome::Error(error), carried),
        None if !carried.is_answer() => Err(Box::new(Failure::of_http(carried))),
        None => Ok(None),
    }
}

/// Records a call and makes its reply.
pub(super) fn reply(
    vu: &VuContext,
    tags: TagSetId,
    call: Numbered,
    told: Told,
    outcome: Result<Option<Bytes>, Box<Failure>>,
) -> Reply {
    let sample = Sample {
        method: &call.method,
        error: outcome.as_ref().err().map_or("", |failure| &*failure.tag),
        duration: told.duration,
        cut: told.cut,
    };
    record(vu, tags, &sample);
    let Told { status, duration, .. } = told;
    Reply { method: call.method, id: call.id, outcome, status, duration }
}
