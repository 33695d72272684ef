//! Scripts from text, run as a worker runs them.

mod calls;
mod errors;
mod hostile;
mod modules;
