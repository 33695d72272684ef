//! Kingtide: a load runner with scripted virtual users.
//!
//! The modules, from the entry down; `docs/architecture.md` says why they lie so and
//! `tests/layers.rs` keeps the arrows pointing down:
//!
//! `cli` → `run` → `output`, `worker` → `executor` → `vu` → `script` → `api` → `protocol`, with
//! `plan`, `metrics`, `units` and `clock` as leaves that all of them use, and `demo` as a leaf that
//! nothing of the load path touches.

pub mod api;
pub mod cli;
pub mod clock;
pub mod demo;
pub mod executor;
pub mod metrics;
pub mod output;
pub mod plan;
pub mod protocol;
pub mod run;
pub mod script;
pub mod units;
pub mod vu;
pub mod worker;
