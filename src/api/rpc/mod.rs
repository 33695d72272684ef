//! The module `kingtide/rpc`: JSON-RPC 2.0, single calls and batches, each call measured.
//!
//! The encoding and the matching of answers are `protocol::rpc`'s; requests go the way of all of the
//! VU's HTTP requests and are recorded as such, and each call besides in `rpc_…`.

pub(super) use self::client::METHODS as CLIENT_METHODS;
pub(super) use self::reply::METHODS as REPLY_METHODS;
use super::{Function, Module, Run};

mod call;
mod client;
mod document;
mod exchange;
mod record;
mod reply;

pub(super) const MODULE: Module = Module {
    name: "rpc",
    functions: &[Function {
        name: "client",
        params: &["url", "options?"],
        run: Run::Now(client::client),
    }],
    constants: &[],
};
