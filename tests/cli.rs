//! The program as its users run it: commands, exit codes, options, signals, results.
//!
//! Each test starts the real binary in a folder of its own, against a demo target of its own.
#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

#[path = "support/odd_relay.rs"]
mod odd_relay;
#[path = "support/tally.rs"]
mod tally;

mod cli {
    mod authoring;
    mod bench;
    mod codes;
    mod commands;
    mod counts;
    mod data;
    mod dev;
    mod edges;
    mod life;
    mod measuring;
    mod network;
    mod options;
    mod reload;
    mod reload_options;
    mod rpc;
    mod sharing;
    mod signals;
}
