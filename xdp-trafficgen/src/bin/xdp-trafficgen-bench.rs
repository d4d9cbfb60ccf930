//! Single measurements for `cargo xtask bench`, a command each: a tool for developers, beside the
//! product.

use std::process::ExitCode;

use clap::Parser as _;
use xdp_trafficgen::{
    cli::{self, Bench},
    commands,
};

fn main() -> ExitCode {
    match Bench::try_parse_from(cli::words(std::env::args_os())) {
        Ok(Bench { command }) => commands::run_bench(&command),
        Err(answer) => commands::answer(&answer),
    }
}
