//! What scripts can call, written once for both languages.
//!
//! A [`Module`] is a table of [`Function`]s and [`Constant`]s over neutral [`Value`]s; native things
//! that scripts hold are [`Object`]s. No script engine is named here: `script` binds [`MODULES`] to
//! each language and converts arguments and answers, nothing more. An operation that waits returns
//! a future, which looks like a blocking call to the script.

pub use self::args::{Args, Fields, unknown as unknown_name};
pub use self::context::{
    IterationFacts, Phase, ScenarioContext, ScenarioLife, VuContext, WorkerContext,
};
pub use self::data::DataSets;
pub use self::error::{ApiError, ErrorKind};
pub use self::event::{Event, LogLevel};
pub use self::files::Files;
pub use self::function::{Answer, Constant, Function, Method, Module, Object, Run, Shared, Wait};
pub use self::http::{RecentUrls, RequestSeen};
pub use self::interrupt::{Interrupt, ScenarioEnd, Stop, Stopped};
pub use self::kingtide::record_check;
pub use self::rounds::Rounds;
pub use self::slices::{Slice, Slices};
pub use self::state::VuState;
pub use self::status::{TestStatus, VuCounts};
pub use self::text::Text;
pub use self::value::{Map, Name, Value};
pub use self::ws::Sockets;

mod args;
mod batch;
mod common;
mod context;
mod crypto;
mod data;
mod encoding;
mod error;
mod event;
mod files;
#[cfg(test)]
mod fixture;
mod function;
mod html;
mod http;
mod interrupt;
mod json;
mod json_path;
mod kingtide;
mod metrics;
mod mix;
mod random;
mod rounds;
mod rpc;
mod shared;
mod slices;
mod state;
mod status;
mod text;
mod time;
mod value;
mod ws;

/// Every native module, in the order of documentation.
pub const MODULES: &[Module] = &[
    kingtide::MODULE,
    http::MODULE,
    ws::MODULE,
    rpc::MODULE,
    metrics::MODULE,
    json::MODULE,
    encoding::MODULE,
    crypto::MODULE,
    random::MODULE,
    time::MODULE,
    html::MODULE,
    data::MODULE,
    shared::MODULE,
    mix::MODULE,
];

/// Every method that an [`Object`] may have, for languages that bind methods by name.
pub const METHOD_TABLES: &[&[Method]] = &[
    http::RESPONSE_METHODS,
    http::HEADERS_METHODS,
    http::JAR_METHODS,
    http::SESSION_METHODS,
    ws::SOCKET_METHODS,
    ws::MESSAGES_METHODS,
    rpc::CLIENT_METHODS,
    rpc::REPLY_METHODS,
    rpc::SUBSCRIPTION_METHODS,
    rpc::NOTIFICATIONS_METHODS,
    metrics::METRIC_METHODS,
    crypto::HASH_METHODS,
    html::SELECTION_METHODS,
    data::ROWS_METHODS,
    data::FEED_METHODS,
    shared::COUNTER_METHODS,
    shared::MAP_METHODS,
    shared::QUEUE_METHODS,
    shared::BARRIER_METHODS,
    mix::METHODS,
];

/// The names of named arguments and of fields, by the type that editors' stubs give them.
pub const RECORDS: &[(&str, &[&str])] = &[
    ("Params", http::PARAM_NAMES),
    ("SessionDefaults", http::SESSION_NAMES),
    ("AwsKey", http::AWS_NAMES),
    ("Response", http::RESPONSE_FIELDS),
    ("SocketParams", ws::PARAM_NAMES),
    ("Socket", ws::SOCKET_FIELDS),
    ("Reply", rpc::REPLY_FIELDS),
];
