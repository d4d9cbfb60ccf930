//! The commands: each puts the modules together for one purpose.

mod bench;
mod check;
mod demo;
mod pace_test;
mod quick;
mod run;
pub(crate) mod send;
mod show;

use std::{
    fmt::Write as _,
    fs,
    io::{self, IsTerminal as _},
    path::Path,
    process::ExitCode,
};

pub use pace_test::PaceTestError;
pub(crate) use send::{probe_kernel, signal_stop, work_out};

use crate::{
    cli::{Command, Overrides},
    config::{Config, Diagnostics, Flow, Source, file},
    daemon,
    engine::{EngineError, WorkerError},
    host::FactsError,
    kernel::{KernelError, probe::Unable},
    packet::Template,
    plan::PortPlan,
};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// What the user wrote.
    #[error("{0}")]
    Config(Diagnostics),
    /// A file the user named.
    #[error("cannot {action} {path}")]
    File {
        /// What was to be done: read or write.
        action: &'static str,
        /// The file.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// This machine cannot send.
    #[error(transparent)]
    Unable(#[from] Unable),
    /// This machine does not tell what must be known.
    #[error(transparent)]
    Facts(#[from] FactsError),
    /// A thread could not be bound to its CPU.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The kernel refused something outside of a run.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// A run failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A run ended and nothing was sent; the report says why.
    #[error("not one frame could be sent: see the reasons above")]
    NothingSent,
    /// The gaps between frames could not be measured.
    #[error(transparent)]
    PaceTest(#[from] PaceTestError),
    /// The operating system refused something.
    #[error("{what}")]
    System {
        /// What could not be done.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl CommandError {
    /// 2 for what the user can put right before a run, 1 for what went wrong in one.
    fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::File { .. } | Self::Unable(_) => 2,
            Self::PaceTest(error) => error.exit_code(),
            Self::Facts(_)
            | Self::Worker(_)
            | Self::Kernel(_)
            | Self::Engine(_)
            | Self::NothingSent
            | Self::System { .. } => 1,
        }
    }

    /// The sentence for the user, with all causes.
    pub(crate) fn render(&self) -> String {
        if let Self::Config(diagnostics) = self {
            return diagnostics.render(io::stderr().is_terminal());
        }
        let mut text = format!("error: {self}");
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            // Some libraries repeat their cause in their own text.
            let cause_text = cause.to_string();
            if !text.ends_with(&cause_text) {
                let _ = write!(text, ": {cause_text}");
            }
            source = cause.source();
        }
        text
    }
}

/// Runs a command and says on standard error what went wrong.
pub fn run(command: Command) -> ExitCode {
    let result = match command {
        Command::Demo(options) => demo::demo(&options),
        Command::Udp(options) => quick::run(&options.quick, quick::udp::config(&options)),
        Command::TcpSyn(options) => quick::run(&options.quick, quick::tcp_syn::config(&options)),
        Command::Icmp(options) => quick::run(&options.quick, quick::icmp::config(&options)),
        Command::Run(options) => run::run(&options),
        Command::Check(options) => check::check(&options),
        Command::Show(options) => show::show(&options),
        Command::Daemon(options) => daemon::daemon(&options),
        Command::PaceTest(options) => pace_test::pace_test(&options),
        Command::BenchRun(options) => bench::run(&options),
        Command::BenchPrograms(options) => bench::programs(&options),
        Command::BenchSink(options) => bench::sink(&options),
        Command::BenchArrivals(options) => pace_test::bench_arrivals(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error.render());
            ExitCode::from(error.exit_code())
        }
    }
}

/// Reads and parses a configuration file, some of whose values are overridden.
pub(crate) fn read_config(path: &Path, overrides: &Overrides) -> Result<Config, CommandError> {
    let name = path.display().to_string();
    let text =
        fs::read_to_string(path).map_err(|source| CommandError::File { action: "read", path: name.clone(), source })?;
    file::parse_with(Source::file(&name, &text), &overrides.set).map_err(CommandError::Config)
}

/// The flows of a port, in the order of the plan's.
pub(crate) fn flows_of<'a>(config: &'a Config, port: &'a PortPlan) -> impl Iterator<Item = &'a Flow> {
    config.flows.iter().filter(|flow| flow.port.value == port.name)
}

/// Where everything is in the frames of a port's flow with this index.
fn layout(port: &PortPlan, flow: usize) -> &Template {
    &port.flows[flow].layout
}
