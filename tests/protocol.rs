//! The HTTP client against servers on the loopback, most of which misbehave.

#[path = "support/certificates.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod certificates;
#[path = "support/loopback.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod loopback;
#[path = "support/requests.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod requests;

#[path = "protocol/answers.rs"]
mod answers;
#[path = "protocol/bodies.rs"]
mod bodies;
#[path = "protocol/connections.rs"]
mod connections;
#[path = "protocol/redirects.rs"]
mod redirects;
#[path = "protocol/times.rs"]
mod times;
#[path = "protocol/tls.rs"]
mod tls;

use std::rc::Rc;
use std::time::Duration;

use kingtide::plan::{Facts, HttpPlan, Options, resolve};
use kingtide::protocol::{HttpClient, Response};

use crate::loopback::{Peer, Server};
use crate::requests::{client as client_with, get};

const MS: Duration = Duration::from_millis(1);

fn plan() -> HttpPlan {
    let plan = resolve(&Options::default(), &Facts::default()).expect("nothing is set");
    HttpPlan {
        user_agent: "kingtide".to_owned(),
        timeout: Duration::from_secs(10),
        body_bytes_max: 1 << 20,
        connections_max: 10,
        ..plan.http
    }
}

fn client() -> HttpClient {
    client_with(plan())
}

/// Returns what a GET meets at a server that reads one request and then does this.
async fn at(handler: impl AsyncFn(Peer) + 'static) -> Response {
    let server = Server::start(async move |mut peer: Peer| {
        peer.request().await;
        handler(peer).await;
    })
    .await;
    get(&client(), &server.url("/")).await
}

/// Returns what a GET meets at a server that writes this and then closes.
async fn at_text(answer: impl Into<Vec<u8>>) -> Response {
    let answer: Rc<[u8]> = answer.into().into();
    at(async move |mut peer: Peer| {
        peer.write(&answer).await;
        peer.half_close().await;
    })
    .await
}
