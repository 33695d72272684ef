//! The program as its users run it: commands, exit codes, options, signals, results.
//!
//! Each test starts the real binary in a folder of its own, against a demo target of its own.

mod cli {
    mod bench;
    mod codes;
    mod commands;
    mod life;
    mod options;
    mod signals;
}
