//! The command line of `xdp-trafficgen-bench`, which `cargo xtask bench` runs. Each command writes
//! one JSON object.

use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::values::cpus;
use crate::units::CpuList;

/// Single measurements for `cargo xtask bench`.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Bench {
    /// What to measure.
    #[command(subcommand)]
    pub command: BenchCommand,
}

/// The measurements.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Send as one case says, and count what arrives
    Run(BenchRun),
    /// What the programs of all cases are to the kernel
    Programs(BenchPrograms),
    /// Count what another generator sends
    Sink(BenchSink),
    /// Measure the gaps between the frames of another generator
    Arrivals(BenchArrivals),
}

/// Options of `run`.
#[derive(Args, Debug)]
pub struct BenchRun {
    /// What to measure.
    pub case: BenchCase,
    /// Listen to no trace point, so that the fate of the frames is not known.
    #[arg(long)]
    pub uncounted: bool,
    /// How long.
    #[arg(long, value_parser = seconds)]
    pub seconds: Duration,
    /// On which CPUs.
    #[arg(long, value_parser = cpus)]
    pub cpus: CpuList,
}

/// What `run` measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BenchCase {
    /// A program that only redirects.
    Floor,
    /// A range of 1000 destination ports.
    PortRange,
    /// A range of 64 000 destination ports: too many for the row table.
    LongPortRange,
    /// Both addresses and both ports, 1000 values each, with their checksums.
    FourFields,
    /// The same with numbers of values that share no factor: a sequence too long for the row table.
    FourFieldsLong,
    /// The same at random.
    FourFieldsRandom,
    /// Source MAC, VLAN id, both addresses, identification, TTL and both ports, with their
    /// checksums.
    EightFields,
    /// The same in a sequence too long for the row table.
    EightFieldsLong,
    /// VXLAN with two outer and four inner fields, and three checksums.
    Vxlan,
    /// The same in a sequence too long for the row table.
    VxlanLong,
    /// Simple IMIX: 64, 570 and 1518 bytes as 7 to 4 to 1.
    Imix,
    /// The same with 64 000 destination ports.
    ImixLong,
    /// A flow in which nothing varies.
    OneFlow,
    /// The same at a rate that cannot be reached: what departure times cost in batches.
    OneFlowPaced,
    /// 64 such flows.
    SixtyFourFlows,
    /// The same, each at a rate of its own that cannot be reached.
    SixtyFourFlowsPaced,
    /// 4096 such flows.
    ManyFlows,
    /// A flow with 60 000 source ports.
    OneFlowLong,
    /// 64 such flows.
    SixtyFourFlowsLong,
    /// 4096 such flows.
    ManyFlowsLong,
    /// Two such flows, one with a VLAN tag: each has a program of its own, reached by a tail call.
    TwoShapes,
}

/// Options of `programs`.
#[derive(Args, Debug)]
pub struct BenchPrograms {
    /// Measure how long a repetition takes too.
    #[arg(long)]
    pub time: bool,
}

/// Options of `sink`.
#[derive(Args, Debug)]
pub struct BenchSink {
    /// The receiving interface.
    pub interface: String,
    /// How long to count.
    #[arg(long, value_parser = seconds)]
    pub seconds: Duration,
    /// Be there at once, and count from the first line on standard input.
    #[arg(long)]
    pub standing_by: bool,
}

/// Options of `arrivals`.
#[derive(Args, Debug)]
pub struct BenchArrivals {
    /// The receiving interface.
    pub interface: String,
    /// How long to receive.
    #[arg(long, value_parser = seconds)]
    pub seconds: Duration,
    /// The gap that is wanted, in nanoseconds.
    #[arg(long)]
    pub gap_ns: f64,
    /// Be there at once, and receive from the first line on standard input.
    #[arg(long)]
    pub standing_by: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("`{text}` is no number of seconds"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
