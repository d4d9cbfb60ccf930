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
    /// Time the program's own `check` over a case, and say how much memory it took
    Check(BenchCheck),
    /// Time the program's start and its end
    Latency(BenchLatency),
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
    /// Queues of the interfaces; without this, one for each CPU.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub queues: Option<u32>,
    /// Frames that the kernel sends together; the program's default without this.
    #[arg(long)]
    pub batch_size: Option<u32>,
    /// Receive on another CPU, and take so many nanoseconds over each frame.
    #[arg(long)]
    pub slow_receiver_ns: Option<u64>,
    /// End after so many frames of each flow, if they are sent before the time is over.
    #[arg(long)]
    pub packets: Option<u64>,
}

/// Options of `check`.
#[derive(Args, Debug)]
pub struct BenchCheck {
    /// What to check.
    pub case: BenchCase,
}

/// Options of `latency`.
#[derive(Args, Debug)]
pub struct BenchLatency {
    /// How many ports, each with an interface of its own.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub ports: u32,
    /// How often it is started and stopped.
    #[arg(long, default_value_t = 1)]
    pub times: u32,
    /// The rate of each port; full speed without one.
    #[arg(long)]
    pub rate: Option<String>,
    /// The CPUs that ports are spread over, one each.
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
    /// A range of 64 000 destination ports.
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
    /// 64 such flows, which differ in their headers and in what varies.
    SixtyFourShapesLong,
    /// 1000 flows of 2000 frames a second each; more than 1 µs is late.
    ThousandFlowsPaced,
    /// 20 000 flows of 50 frames a second each; more than 10 µs is late.
    TwentyThousandFlowsPaced,
    /// 60 000 flows of 10 frames a second each; more than 10 µs is late.
    SixtyThousandFlowsPaced,
    /// 60 000 flows of one frame a second each; more than 10 µs is late.
    SixtyThousandFlowsSlow,
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
    /// Wait for a first frame, and so long after it, before counting.
    #[arg(long, value_parser = seconds)]
    pub warm_up: Option<Duration>,
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
    /// Then wait for a first frame, and so long after it.
    #[arg(long, requires = "standing_by", value_parser = seconds)]
    pub warm_up: Option<Duration>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("`{text}` is no number of seconds"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
