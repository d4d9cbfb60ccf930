//! Parses the command line, runs the command, and turns its outcome into an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use xdp_trafficgen::{cli::Cli, commands};

fn main() -> ExitCode {
    commands::run(Cli::parse().command)
}
