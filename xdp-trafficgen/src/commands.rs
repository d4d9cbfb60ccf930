//! The commands: each puts the modules together for one purpose.

mod bench;
mod check;
mod daemon;
mod demo;
pub(crate) mod findings;
pub(crate) mod input;
mod order;
mod pace_test;
mod probe;
mod quick;
pub(crate) mod results;
mod run;
pub(crate) mod send;
mod show;
mod target;
mod tune;

use std::{fmt::Write as _, io, path::Path, process::ExitCode};

pub use pace_test::PaceTestError;
pub(crate) use send::{probe_kernel, signal_stop, work_out_until};

use crate::{
    cli::{self, BenchCommand, Command, Overrides},
    config::{Config, Diagnostic, Diagnostics, Flow, Located, Origin, Profile, Source, Total, file, rate::NotScalable},
    diagnosis::{self, Finding, in_full},
    engine::{EngineError, WorkerError},
    host::{FactsError, System, allowed_cpus, online_cpus, raise_descriptor_limit},
    kernel::{AttachError, KernelError, probe::CannotSend},
    output::{
        format::{EmitError, emit_text},
        log::{self, Complaint, one_line},
        streams::{self, say, show, tell_losses},
    },
    packet::Template,
    plan::PortPlan,
    units::Ratio,
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
    CannotSend(#[from] CannotSend),
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
    /// `--strict`: less was sent than was asked for.
    #[error("less than was asked for (--strict): {0}")]
    Short(String),
    /// `probe` found that nothing could be sent; its report says why.
    #[error("{0} is not ready to send: see the reasons above")]
    NotReady(String),
    /// A result could not be written.
    #[error(transparent)]
    Output(#[from] EmitError),
    /// A file that was opened before the run took no more.
    #[error("cannot write {path}, {left}")]
    Unwritten {
        /// The file.
        path: String,
        /// What is there instead.
        left: &'static str,
        /// Why.
        source: io::Error,
    },
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
    /// Standard output took no more of a result that is written bit by bit.
    pub(crate) fn standard_output(source: io::Error) -> Self {
        Self::Output(EmitError::StandardOutput(source))
    }

    /// 2 for what the user can put right before a run, 1 for what went wrong in one.
    fn exit_code(&self) -> u8 {
        match self {
            Self::Short(_) => 3,
            Self::Config(_)
            | Self::File { .. }
            | Self::CannotSend(_)
            | Self::NotReady(_)
            | Self::Engine(EngineError::StartIsOver) => 2,
            Self::Kernel(KernelError::Attach(error))
            | Self::Engine(EngineError::Load { source: KernelError::Attach(error), .. })
                if !matches!(error, AttachError::NotPutBack { .. }) =>
            {
                2
            }
            Self::PaceTest(error) => error.exit_code(),
            Self::Facts(_)
            | Self::Worker(_)
            | Self::Kernel(_)
            | Self::Engine(_)
            | Self::NothingSent
            | Self::Output(_)
            | Self::Unwritten { .. }
            | Self::System { .. } => 1,
        }
    }

    /// Whether it is none, but that it was told to stop while it waited for next hops.
    pub(crate) const fn is_stopped(&self) -> bool {
        matches!(self, Self::Facts(FactsError::Stopped))
    }

    /// The sentence for the user, with all causes.
    pub(crate) fn render(&self) -> String {
        if let Self::Config(diagnostics) = self {
            return diagnostics.render(streams::colour_for_people());
        }
        let mut text = format!("error: {}", in_full(self));
        if let Some(Finding { cause, cure, .. }) = self.finding() {
            let _ = write!(text, "\n  cause: {cause}\n  cure: {cure}");
        }
        text
    }

    /// The same for the log: all that is said of it, at least one.
    pub(crate) fn complaints(&self) -> Vec<Complaint> {
        if let Self::Config(diagnostics) = self {
            return Complaint::of_config(diagnostics);
        }
        let (code, cause, cure) = match self.finding() {
            Some(Finding { code, severity: _, cause, cure }) => {
                (Some(code), Some(one_line(&cause)), Some(one_line(&cure)))
            }
            None => (None, None, None),
        };
        vec![Complaint { error: one_line(&in_full(self)), place: None, code, cause, cure }]
    }

    /// What it means that the kernel refused something, or a worker was moved, where that is known.
    pub(crate) fn finding(&self) -> Option<Finding> {
        if let Self::Engine(EngineError::Worker { source, .. }) = self
            && let WorkerError::Moved { cpu, .. } | WorkerError::Strayed { cpu, .. } | WorkerError::Astray { cpu, .. } =
                source
        {
            let (online, allowed) = (online_cpus().unwrap_or_default(), allowed_cpus().unwrap_or_default());
            return Some(diagnosis::of_moved(*cpu, &online, &allowed));
        }
        diagnosis::of_kernel_error(self.kernel()?, System::gather().lockdown)
    }

    /// The port that failed, if it was one.
    fn port(&self) -> Option<&str> {
        match self {
            Self::Engine(
                EngineError::Load { port, .. } | EngineError::Worker { port, .. } | EngineError::Count { port, .. },
            ) => Some(port),
            _ => None,
        }
    }

    /// What the kernel refused.
    fn kernel(&self) -> Option<&KernelError> {
        match self {
            Self::Kernel(error) | Self::CannotSend(CannotSend::Kernel(error)) => Some(error),
            Self::Worker(error) | Self::Engine(EngineError::Worker { source: error, .. }) => match error {
                WorkerError::Send(error) | WorkerError::Count(error) => Some(error),
                WorkerError::Pin { .. }
                | WorkerError::Moved { .. }
                | WorkerError::Strayed { .. }
                | WorkerError::Astray { .. }
                | WorkerError::InterfaceGone
                | WorkerError::Panicked => None,
            },
            Self::Engine(
                EngineError::Load { source, .. }
                | EngineError::Count { source, .. }
                | EngineError::Clock(source)
                | EngineError::Listen(source)
                | EngineError::Release(source),
            ) => Some(source),
            Self::Engine(EngineError::Thread(_) | EngineError::StartIsOver)
            | Self::CannotSend(CannotSend::Privilege(_) | CannotSend::NotMounted(_) | CannotSend::NoLiveFrames)
            | Self::Config(_)
            | Self::File { .. }
            | Self::Facts(_)
            | Self::NothingSent
            | Self::PaceTest(_)
            | Self::Short(_)
            | Self::NotReady(_)
            | Self::Output(_)
            | Self::Unwritten { .. }
            | Self::System { .. } => None,
        }
    }
}

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
                log::tell_failure(error.complaints(), code);
            } else {
                show(error.render());
            }
            ExitCode::from(code)
        }
    };
    if streams::is_log() {
        log::tell_losses()
    } else {
        tell_losses()
    }
    code
}

/// Prints what the command line's parser has to say: help, the version, or what is wrong with it.
pub fn answer(parser: &clap::Error) -> ExitCode {
    let text = parser.render();
    if parser.use_stderr() {
        let text = if streams::colour_for_people() { text.ansi().to_string() } else { text.to_string() };
        say(text.trim_end());
        return ExitCode::from(2);
    }
    let text = if streams::colour_for_results() { text.ansi().to_string() } else { text.to_string() };
    finish(emit_text(&text).map_err(CommandError::from))
}

/// Reads and parses a configuration file, some of whose values are overridden. `-` is standard input.
pub(crate) fn read_config(path: &Path, overrides: &Overrides) -> Result<Config, CommandError> {
    let (name, text) = if path == Path::new("-") {
        ("standard input".to_owned(), input::read_text(io::stdin()))
    } else {
        (path.display().to_string(), input::read_file(path))
    };
    let text = text.map_err(|source| CommandError::File { action: "read", path: name.clone(), source })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let read = |name: &str| input::read_file(&folder.join(name));
    file::parse_with(Source::file(&name, &text), &overrides.set, &read).map_err(CommandError::Config)
}

/// Puts the rate of the command line in the place of the file's, or multiplies those, and the policy too. Flows with rates of
/// their own keep their shares of the new one. The files a rate names are those of the working directory.
pub(crate) fn replace_rates(
    config: &mut Config,
    pace: &cli::RateOptions,
    scale: cli::Scale,
) -> Result<(), CommandError> {
    let cli::RateOptions { rate, behind } = pace;
    let mut wrong = Diagnostics::new(config.source.clone());
    if let Some(text) = rate {
        match file::parse_rate_option("--rate", text, &|name| input::read_file(Path::new(name))) {
            Ok(rate) => share_rate(config, &rate, &mut wrong),
            Err(problems) => problems.into_iter().for_each(|problem| wrong.push(problem)),
        }
    }
    if let Some(factor) = scale.scale {
        multiply_rates(config, factor, &mut wrong);
    }
    if let Some(behind) = behind {
        let behind = Located::new(*behind, Origin::Option("--behind"));
        config.ports.iter_mut().for_each(|port| port.behind = behind.clone());
    }
    wrong.into_result(()).map_err(CommandError::Config)
}

/// Every port sends at this rate; where several flows have rates of their own, they come to it together.
fn share_rate(config: &mut Config, rate: &Located<Profile>, wrong: &mut Diagnostics) {
    let Config { ports, flows, .. } = config;
    for port in ports {
        let own = |flow: &&mut Flow| flow.port.value == port.name.value && flow.rate.is_some();
        let mut own: Vec<&mut Flow> = flows.iter_mut().filter(own).collect();
        if own.len() < 2 {
            own.iter_mut().for_each(|flow| flow.rate = None);
            port.rate = Some(rate.clone());
            continue;
        }
        let Profile::Constant(total) = rate.value else {
            let message = format!(
                "the flows of port `{}` have rates of their own, and none is `{}`",
                port.name.value, rate.value
            );
            wrong.push(
                Diagnostic::new(&rate.place, message)
                    .help("write what they come to together, such as `10kpps`: each keeps its share; or multiply them: `--scale 2x`"),
            );
            continue;
        };
        let share = |flow: &&mut Flow| match flow.rate.as_ref().map(|rate| &rate.value) {
            Some(Profile::Constant(rate) | Profile::Poisson { mean: rate, .. }) => Ok((*rate, flow.size.value.clone())),
            _ => Err((flow.name.value.clone(), flow.rate.as_ref().map(|rate| rate.place.clone()))),
        };
        match own.iter().map(share).collect() {
            Ok(among) => port.total = Some(Located::new(Total { rate: total, among }, rate.place.clone())),
            Err((name, place)) => {
                let place = place.as_ref().unwrap_or(&rate.place);
                let message =
                    format!("the flow `{name}` has no constant rate, and so no share of the {total} of `--rate`");
                let help = format!("multiply all rates: `--scale 2x`; or give it one: `--set flows.{name}.rate=1kpps`");
                wrong.push(Diagnostic::new(place, message).help(help));
            }
        }
    }
}

/// All rates of the file, so many times as high.
fn multiply_rates(config: &mut Config, factor: Ratio, wrong: &mut Diagnostics) {
    let ports = config.ports.iter_mut().filter_map(|port| port.rate.as_mut());
    let rates: Vec<&mut Located<Profile>> =
        ports.chain(config.flows.iter_mut().filter_map(|flow| flow.rate.as_mut())).collect();
    if rates.is_empty() {
        let message = "the file has no rate to multiply: all of it leaves as fast as it can";
        wrong.push(Diagnostic::new(&Origin::Option("--scale"), message).help("say how fast: `--rate 10kpps`"));
    }
    for rate in rates {
        match rate.value.scaled(factor) {
            Ok(scaled) => rate.value = scaled,
            Err(error) => {
                let help = match error {
                    NotScalable::Burst => {
                        "leave `--scale` out, and set the burst's `inter_burst_gap` or its `packets` with `--set`"
                    }
                    NotScalable::AboveTheLine | NotScalable::TooLong => "use a smaller factor",
                };
                wrong.push(Diagnostic::new(&rate.place, error.to_string()).help(help));
            }
        }
    }
}

/// The flows of a port as they are sent, in the order of the plan's.
pub(crate) fn flows_of<'a>(config: &'a Config, port: &'a PortPlan) -> impl Iterator<Item = &'a Flow> {
    let written = config.flows.iter().filter(|flow| flow.port.value == port.name);
    written.zip(&port.flows).map(|(flow, planned)| planned.addressed.as_deref().unwrap_or(flow))
}

/// The rate of a port, which all of its flows share; none when they have their own, or none.
fn rate_of<'a>(config: &'a Config, port: &PortPlan) -> Option<&'a Profile> {
    let port = config.ports.iter().find(|known| known.name.value == port.name)?;
    port.rate.as_ref().map(|rate| &rate.value)
}

/// Where everything is in the frames of a port's flow with this index.
fn layout(port: &PortPlan, flow: usize) -> &Template {
    &port.flows[flow].layout
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::RateOptions, config::LatePolicy};

    const FILE: &str = "
        ports = [{ name = 'p', interface = 'e', behind = 'skip' }, { name = 'q', interface = 'f', rate = '5pps' }]
        flows = [
          { name = 'a', port = 'p', rate = '1pps', packet = [{ ethernet = {} }] },
          { name = 'b', port = 'q', packet = [{ ethernet = {} }] },
        ]";

    /// Rates and policies of the ports and rates of the flows, in words.
    fn replaced(rate: Option<&str>, behind: Option<LatePolicy>) -> Result<(Vec<String>, Vec<String>), CommandError> {
        let mut config = file::parse(Source::file("test.toml", FILE)).unwrap_or_else(|wrong| panic!("{wrong}"));
        replace_rates(&mut config, &RateOptions { rate: rate.map(str::to_owned), behind }, cli::Scale::default())?;
        let shown = |rate: &Option<Located<crate::config::Profile>>| {
            rate.as_ref().map_or_else(|| "none".to_owned(), |rate| rate.value.to_string())
        };
        let ports = config.ports.iter().map(|port| format!("{}, {:?}", shown(&port.rate), port.behind.value));
        Ok((ports.collect(), config.flows.iter().map(|flow| shown(&flow.rate)).collect()))
    }

    const SHARES: &str = "
        ports = [{ name = 'p', interface = 'e' }, { name = 'q', interface = 'f', rate = '5pps' }]
        flows = [
          { name = 'a', port = 'p', rate = '28pps', packet = [{ ethernet = {} }] },
          { name = 'b', port = 'p', rate = { poisson = '4pps' }, packet = [{ ethernet = {} }] },
          { name = 'c', port = 'q', packet = [{ ethernet = {} }] },
        ]";

    /// Totals and rates of the ports, and rates of the flows, in words; or what is said.
    fn changed(text: &str, rate: Option<&str>, factor: Option<&str>) -> Result<Vec<String>, String> {
        let mut config = file::parse(Source::file("test.toml", text)).unwrap_or_else(|wrong| panic!("{wrong}"));
        let scale = cli::Scale { scale: factor.map(|factor| crate::config::rate::parse_factor(factor).unwrap()) };
        let pace = RateOptions { rate: rate.map(str::to_owned), behind: None };
        replace_rates(&mut config, &pace, scale).map_err(|error| error.render())?;
        let shown = |rate: &Option<Located<Profile>>| rate.as_ref().map(|rate| rate.value.to_string());
        let total =
            |port: &crate::config::Port| port.total.as_ref().map(|total| format!("{} in all", total.value.rate));
        let ports = config.ports.iter().flat_map(|port| [total(port), shown(&port.rate)]);
        Ok(ports.chain(config.flows.iter().map(|flow| shown(&flow.rate))).flatten().collect())
    }

    #[test]
    fn flows_with_rates_of_their_own_keep_their_shares() {
        let poisson = "at random (Poisson), 4 pps on average";
        assert_eq!(changed(SHARES, Some("48kpps"), None).unwrap(), ["48 kpps in all", "48 kpps", "28 pps", poisson]);
        let twice = changed(SHARES, None, Some("2x")).unwrap();
        assert_eq!(twice, ["10 pps", "56 pps", "at random (Poisson), 8 pps on average"]);
        #[track_caller]
        fn refused(text: &str, rate: Option<&str>, factor: Option<&str>, parts: &[&str]) {
            let said = changed(text, rate, factor).unwrap_err();
            assert!(parts.iter().all(|part| said.contains(part)), "{said}");
        }
        refused(SHARES, Some("{ poisson = '1kpps' }"), None, &["port `p` have rates of their own", "`--scale 2x`"]);
        let burst = SHARES.replace("'28pps'", "{ burst = { packets = 2, inter_burst_gap = '1ms' } }");
        refused(&burst, Some("1kpps"), None, &["the flow `a` has no constant rate", "--set flows.a.rate=1kpps"]);
        refused(
            &burst,
            None,
            Some("2x"),
            &["how often bursts come is said by gaps", "set the burst's `inter_burst_gap`", "test.toml:4:"],
        );
        let line = SHARES.replace("'28pps'", "'60%'");
        refused(&line, None, Some("2x"), &["more than the line carries", "use a smaller factor"]);
        let free = SHARES
            .replace("rate = '28pps', ", "")
            .replace("rate = { poisson = '4pps' }, ", "")
            .replace(", rate = '5pps'", "");
        refused(&free, None, Some("2x"), &["no rate to multiply", "--rate 10kpps"]);
    }

    #[test]
    fn what_the_kernel_refused_is_explained() {
        #[track_caller]
        fn check(error: impl FnOnce(KernelError) -> EngineError) {
            let refused =
                KernelError::Syscall { call: "bpf(BPF_PROG_LOAD)", source: io::Error::from_raw_os_error(libc::ENOMEM) };
            let finding = CommandError::Engine(error(refused)).finding();
            assert_eq!(finding.map(|finding| finding.code), Some("no_memory"));
        }
        check(EngineError::Listen);
        check(EngineError::Release);
        check(|source| EngineError::Load { port: "p".to_owned(), source });
    }

    #[test]
    fn rates_of_the_command_line_replace_all_of_the_file() {
        let words =
            |ports: [&str; 2], flows: [&str; 2]| (ports.map(str::to_owned).to_vec(), flows.map(str::to_owned).to_vec());
        let unchanged = replaced(None, None).unwrap();
        assert_eq!(unchanged, words(["none, Skip", "5 pps, CatchUp(100ms)"], ["1 pps", "none"]));
        let slow = replaced(Some("40%"), None).unwrap();
        assert_eq!(slow, words(["40 %, Skip", "40 %, CatchUp(100ms)"], ["none", "none"]));
        let skipping = replaced(None, Some(LatePolicy::Skip)).unwrap();
        assert_eq!(skipping, words(["none, Skip", "5 pps, Skip"], ["1 pps", "none"]));
        let wrong = replaced(Some("{ ramp = { over = 1 } }"), None).unwrap_err();
        let text = wrong.render();
        assert!(text.contains("--rate: this ramp has no `from`") && text.contains("no `to`"), "{text}");
        assert_eq!(wrong.exit_code(), 2);
    }
}
