//! The table of routes: what a path is called, what it is for and who answers.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::extract::{DefaultBodyLimit, State};
use axum::handler::Handler as _;
use axum::http::{StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, any, get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::error::ApiError;
use super::faults::Faults;
use super::observe::{self, Endpoint};
use super::relay::Relay;
use super::session::Sessions;
use super::settings::Settings;
use super::store::Store;
use super::{notes, probes, rpc, rpc_socket, sockets};
use crate::clock;

/// The largest request body, and the largest that is echoed, in bytes.
const BODY_MAX: usize = 1024 * 1024;
const ECHO_MAX: usize = 16 * 1024 * 1024;

/// The name under which requests that match no route are counted.
const UNMATCHED: &str = "unmatched";

/// What the handlers share.
pub(super) struct App {
    pub(super) store: Store,
    pub(super) sessions: Sessions,
    pub(super) relay: Relay,
    pub(super) endpoints: Vec<Arc<Endpoint>>,
    pub(super) in_flight: Arc<AtomicU64>,
    index: String,
}

struct Route {
    template: &'static str,
    summary: &'static str,
    handlers: MethodRouter<Arc<App>>,
}

/// A route that answers the methods it lists and refuses others.
fn route(template: &'static str, summary: &'static str, handlers: MethodRouter<Arc<App>>) -> Route {
    Route { template, summary, handlers: handlers.fallback(method_not_allowed) }
}

/// A route that answers every method.
fn open_route(
    template: &'static str,
    summary: &'static str,
    handlers: MethodRouter<Arc<App>>,
) -> Route {
    Route { template, summary, handlers }
}

fn table() -> Vec<Route> {
    let echo = || any(probes::echo).layer(DefaultBodyLimit::max(ECHO_MAX));
    let one_note = get(notes::read).put(notes::replace).patch(notes::patch).delete(notes::delete);
    vec![
        route("/", "this page", get(index)),
        route("/health", "200 while the target runs", get(health)),
        route("/metrics", "Prometheus text format", get(observe::metrics)),
        route("/api/login", "POST {user, password?}: {token, user}", post(notes::login)),
        route(
            "/api/notes",
            "GET ?page=1&per_page=20&q=text&tag=name; POST {title, body?, tags?}",
            get(notes::list).post(notes::create),
        ),
        route("/api/notes/{id}", "GET, PUT, PATCH, DELETE (If-Match: \"version\")", one_note),
        open_route("/api/status/{code}", "any method: that status", any(probes::status)),
        open_route("/api/delay/{ms}", "any method: 200 after that time", any(probes::delay)),
        open_route("/api/echo", "any method: what was sent", echo()),
        open_route("/api/echo/{*rest}", "the same", echo()),
        route("/api/page", "POST: the page that was sent", post(probes::page)),
        route("/api/bytes/{n}", "that many bytes", get(probes::bytes)),
        route("/api/redirect/{n}", "200 after that many hops", get(probes::redirect)),
        route("/api/cookies", "the cookies that were sent", get(probes::cookies)),
        route("/api/cookies/set", "?name=value: sets cookies", get(probes::set_cookies)),
        route("/api/rpc", "POST JSON-RPC 2.0: an Ethereum-like relay", post(rpc::rpc)),
        route("/api/gzip", "JSON in gzip", get(probes::gzip)),
        route(
            "/ws/echo",
            "WebSocket: what is sent; protocols echo.v1, echo.v2",
            get(sockets::echo),
        ),
        route(
            "/ws/feed",
            "WebSocket: {id, method: subscribe, params: {topic}}",
            get(sockets::feed),
        ),
        route("/ws/rpc", "WebSocket: the relay, and eth_subscribe", get(rpc_socket::rpc)),
        route("/ws/handshake", "WebSocket: tells what it was asked with", get(sockets::handshake)),
        route("/ws/close/{code}", "WebSocket: closed with that code", get(sockets::close)),
    ]
}

/// Puts the target together: every route observed, those under `/api` with their faults.
pub(super) fn router(settings: &Settings, store: Store) -> Router {
    let faults = Arc::new(Faults::new(settings, clock::now()));
    let in_flight = Arc::new(AtomicU64::new(0));
    let endpoint = |template: &'static str| {
        let faults = template.starts_with("/api/").then(|| Arc::clone(&faults));
        Arc::new(Endpoint::new(template, faults, Arc::clone(&in_flight)))
    };
    let table = table();
    let index = index_page(&table);
    let mut endpoints = Vec::with_capacity(table.len() + 1);
    let mut router = Router::new();
    for Route { template, handlers, .. } in table {
        let endpoint = endpoint(template);
        let layer = from_fn_with_state(Arc::clone(&endpoint), observe::observe);
        let handlers = handlers.layer(layer);
        router = router.route(template, handlers);
        endpoints.push(endpoint);
    }
    let unmatched = endpoint(UNMATCHED);
    endpoints.push(Arc::clone(&unmatched));
    let (sessions, relay) = (Sessions::new(), Relay::new());
    let app = App { store, sessions, relay, endpoints, in_flight, index };
    router
        .fallback(not_found.layer(from_fn_with_state(unmatched, observe::observe)))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(Arc::new(app))
}

fn index_page(table: &[Route]) -> String {
    let mut page = "Kingtide's demo target. Errors are {\"error\": {\"code\", \"message\"}}; \
                    writing notes takes \"Authorization: Bearer TOKEN\".\n\n"
        .to_owned();
    for Route { template, summary, .. } in table {
        writeln!(page, "{template:<20} {summary}").expect("a String takes all");
    }
    page
}

async fn index(State(app): State<Arc<App>>) -> String {
    app.index.clone()
}

async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

async fn not_found(uri: Uri) -> ApiError {
    let message = format!("there is nothing at {}; / lists the routes", uri.path());
    ApiError::new(StatusCode::NOT_FOUND, "not_found", message)
}

async fn method_not_allowed() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this route does not take the method; the header Allow lists those that it takes",
    )
}
