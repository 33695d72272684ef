//! What lies between a client and its target: authentication, proxies, TLS, names, addresses. The
//! servers are on the loopback and of the tests' own.

#[path = "support/certificates.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod certificates;
#[path = "support/loopback.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod loopback;
#[path = "support/requests.rs"]
mod requests;

#[path = "support/proxies.rs"]
mod proxies;

#[path = "network/auth.rs"]
mod auth;
#[path = "network/names.rs"]
mod names;
#[path = "network/sockets.rs"]
mod sockets;
#[path = "network/proxies.rs"]
mod through_proxies;
#[path = "network/tls.rs"]
mod tls;
#[path = "network/uploads.rs"]
mod uploads;
