//! A paced run, with what arrived and when. The UDP destination port of every frame encodes the
//! flow and the frame's number in it.

use std::{
    fs,
    process::{Command, Stdio},
    sync::LazyLock,
};

use tempfile::TempDir;
use xdp_trafficgen::kernel::{
    Arrivals,
    arrivals::{Match, Stamp},
};

use crate::harness::{
    Report, Running, Stage, cpu_lists, reached, report::Flow, skipped, trafficgen,
};

/// The number of UDP ports of each flow: a flow's frames are numbered modulo this.
pub(crate) const SPAN: u64 = 512;

/// Offset of the UDP destination port in a frame without VLAN tags.
const DESTINATION_PORT: u32 = 36;

/// With this late policy no departure is given up because a busy machine took the CPU away.
pub(crate) const PATIENT: &str = "behind = { catch_up = '10s' }";

/// A stage for one test at a time, because a worker that waits inside the program needs its CPU for
/// itself.
pub(crate) struct Lab {
    _stage: Stage,
}

impl Lab {
    /// None, with a message, when the test may not make namespaces.
    pub(crate) fn enter() -> Option<Self> {
        Some(Self { _stage: Stage::alone()? })
    }
}

/// Numbers of workers, one and two, with their CPUs; on a machine with one CPU only one, with a
/// message.
pub(crate) fn one_and_two_workers() -> impl Iterator<Item = (u64, &'static str)> {
    if cpu_lists().len() < 2 {
        skipped("two workers need two CPUs");
    }
    (1..).zip(cpu_lists().iter().copied())
}

/// Times depend on the machine as much as on the program, and the machine may be busy: an attempt
/// that returns an error is repeated, five times in all. What does not depend on time fails at
/// once, by a panic.
#[track_caller]
pub(crate) fn in_time(mut attempt: impl FnMut() -> Result<(), String>) {
    let mut misses = Vec::new();
    while let Err(miss) = attempt() {
        misses.push(miss);
        assert!(misses.len() < 5, "{misses:#?}");
    }
}

/// An error that describes a miss, unless `kept`.
pub(crate) fn or_miss(kept: bool, miss: impl FnOnce() -> String) -> Result<(), String> {
    if kept { Ok(()) } else { Err(miss()) }
}

/// The port `west` out of `xtg0`.
pub(crate) fn port(settings: &str) -> String {
    format!("[[ports]]\nname = 'west'\ninterface = 'xtg0'\n{settings}\n")
}

/// Flow number `index` of the port, with the name `f{index}`.
pub(crate) fn flow(index: u64, settings: &str) -> String {
    assert!(index < 65536 / SPAN);
    let first = index * SPAN;
    format!(
        "[[flows]]\nname = 'f{index}'\nport = 'west'\n{settings}\npacket = [\n\
         {{ ethernet = {{ dst = '02:00:00:00:00:02' }} }},\n{{ ipv4 = {{}} }},\n\
         {{ udp = {{ src_port = 9, dst_port = {{ increment = {{ start = {first}, count = {SPAN} }} }} }} }},\n]\n"
    )
}

/// A configuration file, in a folder that is removed with this value.
pub(crate) struct Config {
    pub(crate) folder: TempDir,
    pub(crate) path: String,
}

impl Config {
    pub(crate) fn write(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pacing.toml");
        fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap().to_owned();
        Self { folder, path }
    }

    /// The command `run` with the report as JSON.
    pub(crate) fn run(&self, options: &[&str]) -> Running {
        Running::start(with_priority(&trafficgen(
            &[&["run", &self.path, "--json"], options].concat(),
        )))
    }
}

/// The same command with a real-time priority, where that is allowed: on a machine that runs other
/// programs, a spinning worker gets only a part of its CPU and cannot make up for the rest.
pub(crate) fn with_priority(command: &Command) -> Command {
    static ALLOWED: LazyLock<bool> = LazyLock::new(|| {
        let tried = Command::new("chrt").args(["--rr", "1", "true"]).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    });
    let mut first = Command::new(if *ALLOWED { "chrt" } else { "nice" });
    first.args(if *ALLOWED { ["--rr", "1"] } else { ["-n", "0"] });
    first.arg(command.get_program()).args(command.get_args()).env_remove("RUST_LOG");
    first
}

/// A receiver at `xtg1` with room for so many frames.
pub(crate) fn receiver(frames: u64) -> Arrivals {
    Arrivals::attach("xtg1", Match { mark: None, tag: Some(DESTINATION_PORT) }, frames).unwrap()
}

/// Runs a configuration to its end and waits for all frames that were sent: the report, and the
/// arrivals.
#[track_caller]
pub(crate) fn send(text: &str, options: &[&str], most: u64) -> (Report, Vec<Stamp>) {
    let arrivals = receiver(most);
    let report = Config::write(text).run(options).end().report(0);
    let stamps = arrived(arrivals, &report);
    (report, stamps)
}

/// All frames that were sent have arrived, and no others.
#[track_caller]
pub(crate) fn arrived(arrivals: Arrivals, report: &Report) -> Vec<Stamp> {
    let port = report.only_port();
    assert_eq!(port.frames_dropped, 0, "{report:?}");
    reached(|| arrivals.seen().is_ok_and(|seen| seen.stamped + seen.missed >= port.frames_tx));
    let arrived = arrivals.take().unwrap();
    assert_eq!(
        (arrived.stamps.len() as u64, arrived.missed, arrived.passed),
        (port.frames_tx, 0, 0),
        "{report:?}"
    );
    arrived.stamps
}

/// The flow that a frame belongs to.
pub(crate) fn flow_of(stamp: &Stamp) -> u64 {
    u64::from(stamp.tag) / SPAN
}

/// The times at which frames of a flow arrived.
pub(crate) fn times_of(stamps: &[Stamp], flow: u64) -> Vec<u64> {
    stamps.iter().filter(|stamp| flow_of(stamp) == flow).map(|stamp| stamp.ns).collect()
}

/// No frame is missing or out of order: worker w of n sends frames w, w + n, w + 2n, … of each
/// flow.
#[track_caller]
pub(crate) fn assert_in_sequence(stamps: &[Stamp], workers: u64) {
    let mut next: Vec<u64> = (0..65536 / SPAN).flat_map(|_| 0..workers).collect();
    for (place, stamp) in stamps.iter().enumerate() {
        let (flow, number) = (flow_of(stamp), u64::from(stamp.tag) % SPAN);
        // The span is a multiple of the number of workers.
        let next = &mut next[usize::try_from(flow * workers + number % workers).unwrap()];
        assert_eq!(number, *next, "frame {place}, of flow {flow}");
        *next = (*next + workers) % SPAN;
    }
}

impl Flow {
    /// Departures that were due: those with a frame, and those without.
    pub(crate) fn due(&self) -> u64 {
        self.frames_attempted + self.frames_unsent.unwrap_or(0)
    }
}

impl Report {
    /// The counts of the flow with this name.
    #[track_caller]
    pub(crate) fn flow(&self, name: &str) -> &Flow {
        self.flows
            .iter()
            .find(|flow| flow.name == name)
            .unwrap_or_else(|| panic!("no flow {name}: {self:?}"))
    }
}
