//! Parses the command line, runs the command, and turns its outcome into an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use xdp_trafficgen::{
    cli::{self, Cli},
    commands,
};

fn main() -> ExitCode {
    match Cli::try_parse_from(cli::words(std::env::args_os())) {
        Ok(Cli { command }) => commands::run(command),
        Err(answer) => commands::answer(&answer),
    }
}
