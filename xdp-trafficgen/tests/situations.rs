//! What use has shown to go wrong: situations of public bug reports and lab days, each tried on the program as a user would
//! meet it. Prints a table of all that were tried: `cargo test --test situations`.
//!
//! One file a theme. A harness of its own (libtest-mimic), because only that can print the table after the last test.

#[path = "situations/addresses.rs"]
mod addresses;
#[path = "situations/causes.rs"]
mod causes;
mod common;
#[path = "situations/frames.rs"]
mod frames;
#[path = "situations/limits.rs"]
mod limits;
#[path = "situations/outages.rs"]
mod outages;
mod stage;
#[path = "situations/streams.rs"]
mod streams;
#[path = "situations/table.rs"]
mod table;
#[path = "situations/workers.rs"]
mod workers;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    // One line a theme, each adds its trials.
    let themes: [fn() -> Vec<Trial>; _] = [
        addresses::trials,
        causes::trials,
        frames::trials,
        limits::trials,
        outages::trials,
        streams::trials,
        workers::trials,
    ];
    let conclusion = libtest_mimic::run(&Arguments::from_args(), themes.iter().flat_map(|trials| trials()).collect());
    table::print();
    conclusion.exit_code()
}
