//! What scripts can call, written once for both languages.
//!
//! A [`Module`] is a table of [`Function`]s and [`Constant`]s over neutral [`Value`]s; native things
//! that scripts hold are [`Object`]s. No script engine is named here: `script` binds [`MODULES`] to
//! each language and converts arguments and answers, nothing more. An operation that waits returns
//! a future, which looks like a blocking call to the script.

pub use self::args::{Args, Fields};
pub use self::context::{
    Event, Interrupt, IterationFacts, LogLevel, Phase, ScenarioContext, Stop, TestStatus,
    VuContext, WorkerContext,
};
pub use self::error::{ApiError, ErrorKind};
pub use self::function::{Answer, Constant, Function, Method, Module, Object, Run, Wait};
pub use self::value::{Map, Text, Value};

mod args;
mod context;
mod crypto;
mod encoding;
mod error;
#[cfg(test)]
mod fixture;
mod function;
mod json;
mod json_path;
mod metrics;
mod random;
mod time;
mod value;

/// Every native module, in the order of documentation.
pub const MODULES: &[Module] = &[
    metrics::MODULE,
    json::MODULE,
    encoding::MODULE,
    crypto::MODULE,
    random::MODULE,
    time::MODULE,
];
