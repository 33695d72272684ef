//! The module `kingtide/rpc`: JSON-RPC 2.0 over HTTP and WebSockets, each call measured.
//!
//! The encoding and the matching of answers are `protocol::rpc`'s; requests and sockets are the VU's
//! like all others and are recorded as such, and each call besides in `rpc_…`.

pub(super) use self::client::METHODS as CLIENT_METHODS;
pub(super) use self::feed::{
    MESSAGES_METHODS as NOTIFICATIONS_METHODS, METHODS as SUBSCRIPTION_METHODS,
};
pub(super) use self::reply::{FIELDS as REPLY_FIELDS, METHODS as REPLY_METHODS};
use super::{Function, Module, Run};

mod call;
mod client;
mod document;
mod exchange;
mod feed;
mod record;
mod reply;
mod socket;

pub(super) const MODULE: Module = Module {
    name: "rpc",
    functions: &[Function {
        name: "client",
        params: &["url", "options?"],
        run: Run::Now(client::client),
    }],
    constants: &[],
};
