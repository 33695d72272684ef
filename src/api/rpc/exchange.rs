//! Sends calls over HTTP, matches what comes back, records each call and makes its reply.

use std::rc::Rc;

use bytes::Bytes;

use super::call::{Call, Params};
use super::client::Client;
use super::record::{Sample, record};
use super::reply::{Failure, Reply, concluded};
use crate::api::http::{Carried, Extra};
use crate::api::{Value, VuContext};
use crate::metrics::TagSetId;
use crate::protocol::rpc::{self, Id, Outcome, Outgoing};

/// The row of HTTP requests that hold a batch.
const BATCH_NAME: &str = "batch";

/// A call with its id, ready to be sent.
struct Numbered {
    method: Rc<str>,
    params: Option<Params>,
    id: Option<Id>,
}

impl Numbered {
    fn of(client: &Client, call: Call) -> Self {
        Self { method: call.method, params: call.params, id: client.id(call.id) }
    }

    fn outgoing(&self) -> Outgoing<'_, &Params> {
        Outgoing::new(&self.method, self.params.as_ref(), self.id.as_ref())
    }
}

/// Sends one call, or a notification, and returns its reply.
pub(super) async fn call(client: Rc<Client>, vu: Rc<VuContext>, call: Call, extra: Extra) -> Value {
    let call = Numbered::of(&client, call);
    let tags = vu.tag_set_with(client.carrier.tags(&extra));
    let body = rpc::encode(&call.outgoing()).expect(WRITABLE);
    let name = client.names_by_method.then_some(&*call.method);
    let carried = client.carrier.post(&vu, body.into(), name, &extra).await;
    let outcome = match (&carried.error, &call.id) {
        (Some(_), _) => Err(Box::new(Failure::of_http(&carried))),
        (None, Some(id)) => concluded(rpc::answer_to(id, rpc::read(&carried.body)), &carried),
        (None, None) => notified(&carried),
    };
    reply(&vu, tags, call, &carried, outcome)
}

/// Sends a batch, in parts if it is too large, and returns the replies in the order of the calls.
pub(super) async fn batch(
    client: Rc<Client>,
    vu: Rc<VuContext>,
    calls: Vec<Call>,
    extra: Extra,
) -> Vec<Value> {
    let tags = vu.tag_set_with(client.carrier.tags(&extra));
    let mut calls: Vec<Numbered> =
        calls.into_iter().map(|call| Numbered::of(&client, call)).collect();
    let mut replies = Vec::with_capacity(calls.len());
    while !calls.is_empty() {
        let rest = calls.split_off(calls.len().min(client.batch_max));
        let part = std::mem::replace(&mut calls, rest);
        let name = client.names_by_method.then_some(BATCH_NAME);
        let carried = client.carrier.post(&vu, encoded(&part), name, &extra).await;
        let ids: Vec<Option<Id>> = part.iter().map(|call| call.id.clone()).collect();
        let outcomes = match &carried.error {
            Some(_) => vec![None; part.len()],
            None => rpc::answers_to(&ids, rpc::read(&carried.body)),
        };
        for (call, outcome) in part.into_iter().zip(outcomes) {
            let outcome = match (&carried.error, outcome) {
                (Some(_), _) => Err(Box::new(Failure::of_http(&carried))),
                (None, Some(outcome)) => concluded(outcome, &carried),
                (None, None) if !carried.is_answer() => Err(Box::new(Failure::of_http(&carried))),
                // What the server answers is about the calls beside it.
                (None, None) => Ok(None),
            };
            replies.push(reply(&vu, tags, call, &carried, outcome));
        }
        if carried.is_cut() {
            break;
        }
    }
    replies
}

/// Why a call can always be written.
const WRITABLE: &str = "params were checked when they were read";

fn encoded(calls: &[Numbered]) -> Bytes {
    let calls: Vec<_> = calls.iter().map(Numbered::outgoing).collect();
    rpc::encode_batch(&calls).expect(WRITABLE).into()
}

/// Returns what came of a notification. Servers do not answer it, but may have an error to tell.
fn notified(carried: &Carried) -> Result<Option<Bytes>, Box<Failure>> {
    match rpc::error_without_call(rpc::read(&carried.body)) {
        Some(error) => concluded(Outcome::Error(error), carried),
        None if !carried.is_answer() => Err(Box::new(Failure::of_http(carried))),
        None => Ok(None),
    }
}

/// Records a call and makes its reply.
fn reply(
    vu: &VuContext,
    tags: TagSetId,
    call: Numbered,
    carried: &Carried,
    outcome: Result<Option<Bytes>, Box<Failure>>,
) -> Value {
    let sample = Sample {
        method: &call.method,
        error: outcome.as_ref().err().map_or("", |failure| &*failure.tag),
        duration: Some(carried.duration),
        cut: carried.is_cut(),
    };
    record(vu, tags, &sample);
    Value::object(Reply {
        method: call.method,
        id: call.id,
        outcome,
        status: Some(carried.status),
        duration: Some(carried.duration),
    })
}
