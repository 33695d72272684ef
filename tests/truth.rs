//! Whether the figures are true: known disturbances, and what must be reported of them.
//!
//! Each test runs kingtide against a target that does something known and writes down what came.
//! `docs/truth.md` says which test stands for which claim; `scripts/truth.sh` runs the same at full
//! length and writes down what was expected beside what was reported.

#[path = "truth/arrivals.rs"]
mod arrivals;
#[path = "truth/equal_runs.rs"]
mod equal_runs;
#[path = "truth/finding.rs"]
mod finding;
#[path = "truth/floor.rs"]
mod floor;
#[path = "truth/full_length.rs"]
mod full_length;
#[path = "truth/generator.rs"]
mod generator;
#[path = "truth/histograms.rs"]
mod histograms;
#[path = "truth/latency.rs"]
mod latency;
#[path = "truth/run.rs"]
mod run;
#[path = "truth/stalls.rs"]
mod stalls;
#[path = "truth/target.rs"]
mod target;
#[path = "truth/vus.rs"]
mod vus;
