//! The commands of `xdp-trafficgen-bench`: single measurements, which `cargo xtask bench`
//! interleaves and compares. One file each; this one has what they share.

mod arrivals;
mod cases;
mod check;
mod latency;
mod programs;
mod run;
mod sink;
mod standing;

use std::{env, io, path::PathBuf};

use crate::{
    cli::{BenchCase, BenchCommand},
    commands::{
        CommandError,
        demo::{CountedPair, SENDER},
    },
    config::{Config, Source, file},
    host::show_mac,
    kernel::generator::Role,
};

pub(super) fn bench(command: &BenchCommand) -> Result<(), CommandError> {
    match command {
        BenchCommand::Run(options) => run::run(options),
        BenchCommand::Check(options) => check::check(options),
        BenchCommand::Latency(options) => latency::latency(options),
        BenchCommand::Programs(options) => programs::programs(options),
        BenchCommand::Sink(options) => sink::sink(options),
        BenchCommand::Arrivals(options) => arrivals::arrivals(options),
    }
}

const fn role(case: BenchCase) -> Role {
    match case {
        BenchCase::Floor => Role::Floor,
        _ => Role::Generate,
    }
}

fn config(
    case: BenchCase,
    stage: &CountedPair,
    limits: cases::Limits,
) -> Result<Config, CommandError> {
    let text = cases::toml(case, SENDER, &show_mac(stage.receiver_mac), &stage.cpus, limits);
    file::parse(Source::file("bench", &text)).map_err(CommandError::Config)
}

/// The program itself, which was built beside this one: what a user starts and waits for.
fn product() -> Result<PathBuf, CommandError> {
    let this = env::current_exe()
        .map_err(|source| CommandError::System { what: "cannot tell where this is", source })?;
    let product = this.with_file_name("xdp-trafficgen");
    if product.is_file() {
        Ok(product)
    } else {
        Err(unable("xdp-trafficgen is not beside this program: build both"))
    }
}

fn unable(why: &'static str) -> CommandError {
    CommandError::System { what: "cannot measure", source: io::Error::other(why) }
}
