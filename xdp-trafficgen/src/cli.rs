//! The command line: what can be typed, and its help. Parses; knows no environment.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    config::literal::{self, Problem},
    host::Mac,
};

/// Line-rate traffic generator on XDP live frames.
///
/// The kernel runs a specialised XDP program over and over on a packet and really transmits the result: no DPDK, no
/// hugepages, no unbinding of the NIC. Needs Linux 5.18 or later with BTF, and root or the capabilities CAP_NET_ADMIN
/// and CAP_SYS_ADMIN.
#[derive(Debug, Parser)]
#[command(version, after_long_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Results go to standard output, progress and remarks to standard error.

Exit status:
  0    done, or stopped by SIGINT, SIGTERM or SIGHUP
  1    failed while running, or not one frame could be sent
  2    wrong usage or configuration, or this machine cannot do it
  130  ended by a second signal, without a report";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send at full speed between two interfaces of a namespace of its own, and count what arrives
    ///
    /// Makes a network namespace and a pair of veth interfaces that vanish at the end, sends UDP frames of 64 bytes with
    /// varying destination ports on every CPU, and counts them with an XDP program at the far end. Touches nothing else
    /// on the machine.
    Demo(Demo),
    /// Send UDP out of an interface, as the options say
    ///
    /// Without --packets and --duration it sends until it is stopped. For example:
    ///
    ///   xdp-trafficgen udp eth1 --dst-ip 10.0.0.2 --dst-port 5000-5999 --packets 1000000
    ///
    ///   xdp-trafficgen udp eth1 --dst-mac 02:00:00:00:00:02 --size 1518 --duration 10s --cpus 0-3 --json
    Udp(Udp),
    /// Send what a configuration file describes
    Run(Run),
    /// Check a configuration file against this machine, and send nothing
    Check(Check),
    /// Show the frames a configuration file describes, and send nothing
    ///
    /// The frames are made by the very eBPF program that would send them, in the kernel's ordinary BPF_PROG_RUN mode,
    /// which has no side effects.
    Show(Show),
    /// Send what a configuration file describes until SIGTERM, as a service
    ///
    /// Ports are supervised: one whose interface goes away is started again when it comes back, while the others go on.
    /// Logs to standard error. SIGTERM or SIGINT ends it in order, with exit status 0.
    Daemon(Daemon),
    /// One measurement of `cargo xtask bench`
    #[command(hide = true)]
    BenchRun(BenchRun),
    /// The receiving end for other generators in `cargo xtask bench`
    #[command(hide = true)]
    BenchSink(BenchSink),
}

/// Options of `demo`.
#[derive(Args, Debug)]
pub struct Demo {
    /// How long to send: `5s`, `500ms`, `1m 30s`
    #[arg(long, default_value = "5s", value_parser = duration)]
    pub duration: Duration,
    /// Print the report as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Options of `udp`.
#[derive(Args, Debug)]
pub struct Udp {
    /// The interface to send out of
    pub interface: String,
    /// Destination MAC address [default: that of the next hop, from the neighbour table]
    #[arg(long, value_name = "MAC", value_parser = mac)]
    pub dst_mac: Option<Mac>,
    /// Source MAC address [default: the interface's]
    #[arg(long, value_name = "MAC", value_parser = mac)]
    pub src_mac: Option<Mac>,
    /// Destination address, IPv4 or IPv6 [default: 198.19.0.1 or 2001:2:0:1::1, set aside for benchmarks by RFC 2544 and
    /// RFC 5180]
    #[arg(long, value_name = "ADDRESS")]
    pub dst_ip: Option<std::net::IpAddr>,
    /// Source address, of the same family [default: the one the kernel would use]
    #[arg(long, value_name = "ADDRESS")]
    pub src_ip: Option<std::net::IpAddr>,
    /// Destination port, or a range of ports to go through: `5000-5999`
    #[arg(long, value_name = "P[-Q]", default_value = "9", value_parser = ports)]
    pub dst_port: PortRange,
    /// Source port, or a range of ports to go through
    #[arg(long, value_name = "P[-Q]", default_value = "49152", value_parser = ports)]
    pub src_port: PortRange,
    /// Bytes of each frame on the wire, with the 4 of its FCS
    #[arg(long, value_name = "BYTES", default_value_t = crate::config::DEFAULT_SIZE)]
    pub size: u32,
    /// Frames to send, over all CPUs together
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub packets: Option<u64>,
    /// How long to send
    #[arg(long, value_parser = duration)]
    pub duration: Option<Duration>,
    /// CPUs to send on, a worker each: `0,2-3` [default: the first CPU allowed]
    #[arg(long, value_name = "LIST", value_parser = cpus)]
    pub cpus: Option<CpuList>,
    /// Frames the kernel sends together, 1 to 256
    #[arg(long, value_name = "N", default_value_t = crate::config::DEFAULT_BATCH_SIZE)]
    pub batch_size: u32,
    /// What all sending commands have.
    #[command(flatten)]
    pub common: Common,
}

/// Options of `run`.
#[derive(Args, Debug)]
pub struct Run {
    /// The configuration file (TOML)
    pub config: PathBuf,
    /// Send for this long, whatever the file says
    #[arg(long, value_parser = duration)]
    pub duration: Option<Duration>,
    /// Send this many frames of each flow, whatever the file says
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub packets: Option<u64>,
    /// What all sending commands have.
    #[command(flatten)]
    pub common: Common,
}

/// Options of all commands that send.
#[derive(Args, Debug)]
pub struct Common {
    /// Print the report as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Send even out of an interface that carries this machine's default route
    #[arg(long)]
    pub allow_default_route: bool,
}

/// Options of `check`.
#[derive(Args, Debug)]
pub struct Check {
    /// The configuration file (TOML)
    pub config: PathBuf,
    /// Accept interfaces that carry this machine's default route
    #[arg(long)]
    pub allow_default_route: bool,
}

/// Options of `show`.
#[derive(Args, Debug)]
pub struct Show {
    /// The configuration file (TOML)
    pub config: PathBuf,
    /// How many frames of each flow
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub packets: u64,
    /// Write them to this file too, in the pcap format
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
}

/// Options of `daemon`.
#[derive(Args, Debug)]
pub struct Daemon {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// How the log is written
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// How often the counts are logged
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub report_interval: Duration,
    /// What all sending commands have.
    #[command(flatten)]
    pub common: Common,
}

/// How the daemon writes its log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// Options of `bench-run`.
#[derive(Args, Debug)]
pub struct BenchRun {
    /// What to measure.
    pub case: BenchCase,
    /// How long.
    #[arg(long)]
    pub seconds: f64,
    /// On which CPUs.
    #[arg(long, value_parser = cpus)]
    pub cpus: CpuList,
    /// For xtask, which always asks for it.
    #[arg(long)]
    pub json: bool,
}

/// What `bench-run` measures.
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
}

/// Options of `bench-sink`.
#[derive(Args, Debug)]
pub struct BenchSink {
    /// The receiving interface.
    pub interface: String,
    /// How long to count.
    #[arg(long)]
    pub seconds: f64,
    /// For xtask, which always asks for it.
    #[arg(long)]
    pub json: bool,
}

/// A port or a range of them; the first is not above the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

/// CPUs, each once. (A type of its own, because clap takes a plain `Vec` for repeated options.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuList(pub Vec<u32>);

fn ports(text: &str) -> Result<PortRange, Problem> {
    const HELP: &str = "write a port or a range of ports from 0 to 65535: `5000` or `5000-5999`";
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.parse::<u16>().map_err(|_| Problem::new(format!("`{text}` is not a port"), HELP));
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(Problem::new(
            format!("the range starts at {first}, above its end {last}"),
            format!("write `{last}-{first}`"),
        ));
    }
    Ok(PortRange { first, last })
}

fn cpus(text: &str) -> Result<CpuList, Problem> {
    literal::parse_cpus(text).map(CpuList)
}

fn duration(text: &str) -> Result<Duration, Problem> {
    literal::parse_duration(text)
}

fn mac(text: &str) -> Result<Mac, Problem> {
    literal::parse_mac(text).map(|value| {
        let [.., a, b, c, d, e, f] = value.to_be_bytes();
        [a, b, c, d, e, f]
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn port_ranges() {
        assert_eq!(ports("7"), Ok(PortRange { first: 7, last: 7 }));
        assert_eq!(ports("7-9"), Ok(PortRange { first: 7, last: 9 }));
        for wrong in ["9-7", "65536", "", "1-", "a", "-1"] {
            assert!(ports(wrong).is_err(), "{wrong}");
        }
    }
}
