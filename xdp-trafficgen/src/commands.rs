//! The commands: each puts the modules together for one purpose.

mod bench;
mod check;
mod daemon;
mod demo;
mod error;
pub(crate) mod findings;
pub(crate) mod input;
mod order;
mod pace_test;
mod planned;
mod probe;
mod quick;
mod rates;
pub(crate) mod results;
mod run;
pub(crate) mod send;
mod show;
mod target;
mod tune;

use std::process::ExitCode;

use self::planned::{flows_of, layout, rate_of};
pub use self::{error::CommandError, pace_test::PaceTestError};
pub(crate) use self::{
    input::read_config,
    rates::replace_rates,
    send::{probe_kernel, signal_stop, work_out_until},
};
use crate::{
    cli::{BenchCommand, Command},
    host::raise_descriptor_limit,
    output::{
        format::emit_text,
        log,
        streams::{self, report_losses, say, show},
    },
};

/// Runs a command and says on standard error what went wrong.
pub fn run(command: Command) -> ExitCode {
    raise_descriptor_limit();
    let result = match command {
        Command::Demo(options) => demo::demo(&options),
        Command::Udp(options) => quick::run(&options.quick, quick::udp::config(&options)),
        Command::TcpSyn(options) => quick::run(&options.quick, quick::tcp_syn::config(&options)),
        Command::Icmp(options) => quick::run(&options.quick, quick::icmp::config(&options)),
        Command::Run(options) => run::run(&options),
        Command::Check(options) => check::check(&options),
        Command::Show(options) => show::show(&options),
        Command::Probe(options) => probe::probe(&options),
        Command::Daemon(options) => daemon::daemon(&options),
        Command::PaceTest(options) => pace_test::pace_test(&options),
        Command::Tune(options) => tune::tune(&options),
    };
    finish(result)
}

/// Runs a measurement of `xdp-trafficgen-bench`.
#[doc(hidden)]
pub fn run_bench(command: &BenchCommand) -> ExitCode {
    raise_descriptor_limit();
    finish(bench::bench(command))
}

/// Says what went wrong, and gives the exit status of it.
fn finish(result: Result<(), CommandError>) -> ExitCode {
    let code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = error.exit_code();
            if log::is_for_programs() {
                log::report_failure(error.complaints(), code);
            } else {
                show(error.render());
            }
            ExitCode::from(code)
        }
    };
    if streams::is_log() {
        log::report_losses()
    } else {
        report_losses()
    }
    code
}

/// Prints what the command line's parser has to say: help, the version, or what is wrong with it.
pub fn answer(parser: &clap::Error) -> ExitCode {
    let text = parser.render();
    if parser.use_stderr() {
        let text =
            if streams::colour_for_people() { text.ansi().to_string() } else { text.to_string() };
        say(text.trim_end());
        return ExitCode::from(2);
    }
    let text =
        if streams::colour_for_results() { text.ansi().to_string() } else { text.to_string() };
    finish(emit_text(&text).map_err(CommandError::from))
}
