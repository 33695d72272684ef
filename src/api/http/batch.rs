//! Several requests at once, answered in the shape in which they were asked.

use std::collections::BTreeMap;
use std::rc::Rc;

use futures_util::future::join_all;
use tokio::sync::Semaphore;

use super::url::Place;
use super::{Call, send};
use crate::api::{ApiError, Args, Value, VuContext, Wait, batch};

/// `http.batch({ "url", { "GET", "url", body, params }, { method = ..., url = ... } })`
pub(super) fn batch(vu: &Rc<VuContext>, mut args: Args) -> Result<Wait, ApiError> {
    let (names, calls) =
        batch::read(&mut args, "request", |place, request| read(vu, place, request))?;
    let vu = Rc::clone(vu);
    Ok(Box::pin(async move { Ok(names.answer(all(&vu, calls).await?)) }))
}

const PARAMS: &[&str] = &["method", "url", "body?", "params?"];

/// Reads one request in any of its three forms.
fn read(vu: &Rc<VuContext>, place: String, request: Value) -> Result<Call, ApiError> {
    let parts = match request {
        url @ (Value::Text(_) | Value::Object(_)) => vec!["GET".into(), url],
        Value::List(parts) => parts,
        Value::Map(map) => {
            let mut fields =
                crate::api::Fields::new(place.clone(), map, &["method", "url", "body", "params"])?;
            let method = fields.take("method");
            let method = if method.is_nil() { "GET".into() } else { method };
            vec![method, fields.take("url"), fields.take("body"), fields.take("params")]
        }
        other => {
            return Err(ApiError::usage(format!(
                "{place} must be a URL, {{ method, url, body, params }} or a table with these names, \
                 got {}",
                other.type_name()
            )));
        }
    };
    let mut args = Args::new(place, PARAMS, parts);
    let method = super::method(&args.call.clone(), &args.text(0)?.to_str())?;
    Call::read(vu, &mut args, 1, method, true, None)
}

/// Sends all calls, as many at once as the test allows in total and per host.
async fn all(vu: &Rc<VuContext>, calls: Vec<Call>) -> Result<Vec<Value>, ApiError> {
    let (total, per_host) = vu.worker.http.batch;
    let total = Semaphore::new(total.max(1) as usize);
    let mut hosts: BTreeMap<String, Rc<Semaphore>> = BTreeMap::new();
    let sends = calls.into_iter().map(|call| {
        let host = match &call.address.place {
            Place::Known(destination) => destination.authority().to_owned(),
            Place::Nowhere(_) => String::new(),
        };
        let host = Rc::clone(
            hosts.entry(host).or_insert_with(|| Rc::new(Semaphore::new(per_host.max(1) as usize))),
        );
        let total = &total;
        async move {
            let _per_host = host.acquire().await.expect("the semaphore is never closed");
            let _total = total.acquire().await.expect("the semaphore is never closed");
            send::send(Rc::clone(vu), call).await
        }
    });
    join_all(sends).await.into_iter().collect()
}
