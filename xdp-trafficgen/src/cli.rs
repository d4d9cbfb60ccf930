//! The command line: what can be typed, and its help. Parses; knows no environment.

mod bench;
mod output;
mod pace_test;
mod probe;
mod quick;
mod tune;

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    time::{Duration, SystemTime},
};

use clap::{Args, Parser, Subcommand};

#[doc(hidden)]
pub use bench::{Bench, BenchArrivals, BenchCase, BenchCommand, BenchPrograms, BenchRun, BenchSink};
pub use output::Output;
pub use pace_test::{PaceTest, WarmUp};
pub use probe::Probe;
pub use quick::{Icmp, PortRange, Quick, QuickRateOptions, TcpSyn, Udp};
pub use tune::Tune;

use crate::{
    config::{
        LatePolicy,
        literal::{self, Problem},
        rate,
    },
    output::{Format, Report, log::LogFormat},
    units::{CpuList, Ratio},
};

/// Line-rate traffic generator on XDP live frames.
///
/// The kernel runs a specialised XDP program over and over on a packet and really transmits the result: no DPDK, no
/// hugepages, no unbinding of the NIC. Needs Linux 5.18 or later, and root or the capabilities CAP_NET_ADMIN
/// and CAP_SYS_ADMIN.
///
/// Frames go from that program straight to the driver: tcpdump at the sending interface shows none of them, and neither
/// queueing disciplines (tc) nor nftables touch them. Capture where they arrive, or look at them with `show --pcap`.
#[derive(Debug, Parser)]
#[command(version, after_long_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Results go to standard output, progress and remarks to standard error.
Frames leave whether or not anybody reads (`| head`), and the exit status is the same.

Exit status:
  0    done, or stopped by SIGINT, SIGTERM or SIGHUP
  1    failed while running, not one frame could be sent, or the result could not be written
  2    wrong usage or configuration, or this machine cannot do it
  3    with --strict: less was sent than was asked for, or frames were dropped
  130  ended by a second signal, without a report";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send between two interfaces of a namespace of its own, at full speed unless told otherwise, and count what arrives
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
    ///
    ///   xdp-trafficgen udp eth1 --vlan 100,7 --dscp 46 --size imix --payload random
    Udp(Udp),
    /// Send TCP SYNs out of an interface, as the options say
    ///
    /// Each with another source port, unless told otherwise. Without --packets and --duration it sends until it is
    /// stopped. For example:
    ///
    ///   xdp-trafficgen tcp-syn eth1 --dst-ip 10.0.0.2 --dst-port 443 --duration 10s
    ///
    /// A source address that this host owns makes its own network stack answer each SYN-ACK with a RST; with one that it does
    /// not own (--src-ip), nobody does.
    TcpSyn(TcpSyn),
    /// Send ICMP echo requests out of an interface, as the options say
    ///
    /// ICMPv6 where the addresses are of IPv6. Sequence numbers count from 0. Without --packets and --duration it sends
    /// until it is stopped. For example:
    ///
    ///   xdp-trafficgen icmp eth1 --dst-ip 2001:db8::2 --ttl 255 --packets 1000
    Icmp(Icmp),
    /// Send what a configuration file describes
    Run(Run),
    /// Check a configuration file against this machine, and send none of its frames
    ///
    /// Says what is wrong with the file, all of it; of a right one what would be sent, and what would be in its way. Exit
    /// status 2 when the file is wrong, and when it is right but not one frame could be sent from here: this process lacks a
    /// capability, or an interface takes no frames, which `run` would end with too.
    ///
    /// As before a run, the kernel asks for the MAC addresses of next hops that it does not know (ARP, neighbour discovery).
    /// Nothing else leaves.
    Check(Check),
    /// Show the frames a configuration file describes, and send none of them
    ///
    /// The frames are made by the very eBPF program that would send them, in the kernel's ordinary BPF_PROG_RUN mode,
    /// which has no side effects.
    ///
    /// As before a run, the kernel asks for the MAC addresses of next hops that it does not know (ARP, neighbour discovery).
    /// Nothing else leaves.
    Show(Show),
    /// Measure how evenly frames leave: the gaps between them, at a receiver of ours
    ///
    /// Sends UDP frames at a constant rate, has an XDP program write down when each of them arrives, and shows how far the
    /// gaps are from what they should be: shares, percentiles and a histogram. For example:
    ///
    ///   xdp-trafficgen pace-test --self --rate 500kpps --svg gaps.svg
    ///
    ///   xdp-trafficgen pace-test eth1 --receiver eth2 --rate 1Mpps --duration 10s
    ///
    ///   xdp-trafficgen pace-test eth1 --receive-only --rate 100kpps
    PaceTest(PaceTest),
    /// Find the CPUs, the batch size and the path that send the most frames out of an interface
    ///
    /// Sends UDP frames at full speed with one setting after the other, first on more and more CPUs, then in batches of
    /// several sizes, then by the other path (`redirect`, `tx`); shows a table, and proposes the best setting as lines of a
    /// configuration. Each is measured in five rounds, next to rounds of the default (one CPU, batches of 64, `redirect`), and
    /// another setting is only proposed when it is faster than that by more than the rounds differ, or as fast and loses fewer
    /// frames. SIGINT ends it, with what was measured so far. For example:
    ///
    ///   xdp-trafficgen tune eth1 --dst-mac 02:00:00:00:00:02
    ///
    ///   xdp-trafficgen tune eth1 --cpus 0-7 --size 1518 --duration 5s --write config.toml
    Tune(Tune),
    /// Say what this machine and its interfaces can do, why not, and what would help
    ///
    /// Asks the kernel, the driver and the machine, and ends with a verdict: ready, ready with remarks, or not ready, each
    /// remark with its cure. Sends nothing unless told to, and leaves everything as it was; the XDP program that some
    /// drivers need is attached for as long as they are asked. Exit status 2 when not ready. For example:
    ///
    ///   xdp-trafficgen probe
    ///
    ///   xdp-trafficgen probe eth1 --send
    Probe(Probe),
    /// Send what a configuration file describes until SIGTERM, as a service
    ///
    /// Ports are supervised: one whose interface goes away is started again when it comes back, while the others go on. Its
    /// fields start again with their first values, and ramps, steps, traces and bursts from their beginning; flows with
    /// `packets` or a `duration` end when they would have, and departures that were due meanwhile count as never sent.
    /// Logs to standard error. SIGTERM or SIGINT ends it in order, with exit status 0.
    Daemon(Daemon),
}

/// Options of `demo`.
#[derive(Args, Debug)]
pub struct Demo {
    /// How long to send: `5s`, `500ms`, `1m 30s`
    #[arg(long, default_value = "5s", value_parser = duration)]
    pub duration: Duration,
    /// How fast to send, all CPUs together: `500kpps`, `10Gbps`, or a table such as `{ poisson = "10kpps" }` [default: as fast
    /// as it can]
    #[arg(long)]
    pub rate: Option<String>,
    /// How the report is written.
    #[command(flatten)]
    pub output: Output<Report>,
    /// Whether it must all be sent.
    #[command(flatten)]
    pub strict: Strict,
}

/// Options of `run`.
#[derive(Args, Debug)]
pub struct Run {
    /// The configuration file (TOML); `-` is standard input
    pub config: PathBuf,
    /// Values to use instead of the file's.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Send for this long, whatever the file says
    #[arg(long, value_parser = duration)]
    pub duration: Option<Duration>,
    /// Send this many frames of each flow, whatever the file says: `1000000`, `1M` or `1e6`
    #[arg(long, value_name = "N", value_parser = count)]
    pub packets: Option<u64>,
    /// Rates to use instead of the file's.
    #[command(flatten)]
    pub rates: RateOptions,
    /// By how much to multiply the file's.
    #[command(flatten)]
    pub scale: Scale,
    /// What a run has that a daemon has not.
    #[command(flatten)]
    pub session: Session,
    /// How the report is written.
    #[command(flatten)]
    pub output: Output<Report>,
    /// What all sending commands have.
    #[command(flatten)]
    pub common: Common,
}

/// Options of the commands that can pace a file's frames. They replace the rates of all ports; flows with
/// rates of their own keep their shares.
#[derive(Args, Clone, Debug, Default)]
pub struct RateOptions {
    /// How fast each port sends, over all CPUs; flows with rates of their own keep their shares of it: `500kpps`, `10Gbps`,
    /// `10GbpsL1`, `40%`, or a table as in the file, such as `{ poisson = "10kpps" }` [default: as the file says, or else as
    /// fast as it can]
    #[arg(long)]
    pub rate: Option<String>,
    /// What becomes of frames that are overdue: `catch_up`, `catch_up=20ms` (they are sent late, but not later than this), or
    /// `skip` (they are never sent) [default: as the file says, or else
    /// catch_up=100ms]
    #[arg(long, value_name = "POLICY", value_parser = behind)]
    pub behind: Option<LatePolicy>,
}

/// The option of the commands that send at the rates of a file.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Scale {
    /// Multiply all rates of the file: `2x`, `0.5x`
    #[arg(long, value_name = "FACTOR", value_parser = factor, conflicts_with = "rate")]
    pub scale: Option<Ratio>,
}

/// Options of the commands that send and end.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Session {
    /// Start at this instant, for machines that are to start together: `2026-11-22T14:00:00Z`, or `@1764000000.5` in seconds
    /// since 1970
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub at: Option<SystemTime>,
    /// Whether it must all be sent.
    #[command(flatten)]
    pub strict: Strict,
}

/// The option of the commands that can fail for what was not sent.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Strict {
    /// Exit with 3 when less than 99.9 % of what was asked for was sent, or any frame was dropped
    #[arg(long)]
    pub strict: bool,
}

/// Options of all commands that read a configuration file.
#[derive(Args, Debug)]
pub struct Overrides {
    /// Use this value instead of the file's, such as `flows.dns.size=128`; may be given several times
    #[arg(long, value_name = "PATH=VALUE")]
    pub set: Vec<String>,
}

/// Options of all commands that send.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Common {
    /// Send even out of an interface that carries this machine's default route
    #[arg(long)]
    pub allow_default_route: bool,
    /// Take an XDP program that is in the way off the interface, and put it back at the end
    ///
    /// Some drivers send only while an XDP program is attached to them, and have room for one. A program in the driver stays
    /// in any case, for it does as well. One that was attached by a BPF link cannot be taken off. After SIGKILL or a
    /// second signal it is not put back.
    #[arg(long)]
    pub replace_xdp: bool,
}

/// Options of `check`.
#[derive(Args, Debug)]
pub struct Check {
    /// The configuration file (TOML); `-` is standard input
    pub config: PathBuf,
    /// Values to use instead of the file's.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Rates to use instead of the file's.
    #[command(flatten)]
    pub rates: RateOptions,
    /// By how much to multiply the file's.
    #[command(flatten)]
    pub scale: Scale,
    /// Accept interfaces that carry this machine's default route
    #[arg(long)]
    pub allow_default_route: bool,
    /// Accept interfaces that have an XDP program in the way
    #[arg(long)]
    pub replace_xdp: bool,
}

/// Options of `show`.
#[derive(Args, Debug)]
pub struct Show {
    /// The configuration file (TOML); `-` is standard input
    pub config: PathBuf,
    /// Values to use instead of the file's.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Rates to use instead of the file's.
    #[command(flatten)]
    pub rates: RateOptions,
    /// By how much to multiply the file's.
    #[command(flatten)]
    pub scale: Scale,
    /// How many frames of each port
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = count)]
    pub packets: u64,
    /// Describe only this flow; may be given several times [default: all, up to 20 of a port]
    #[arg(long, value_name = "NAME")]
    pub flow: Vec<String>,
    /// Write them to this file too, in the pcap format; `-` is standard output, which then has nothing else
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
}

/// Options of `daemon`.
#[derive(Args, Debug)]
pub struct Daemon {
    /// The configuration file (TOML); `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Values to use instead of the file's.
    #[command(flatten)]
    pub overrides: Overrides,
    /// How the log is written
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// How often the counts are logged
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub report_interval: Duration,
    /// Rates to use instead of the file's.
    #[command(flatten)]
    pub rates: RateOptions,
    /// By how much to multiply the file's.
    #[command(flatten)]
    pub scale: Scale,
    /// Write a report at the end, on standard output and in this format
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        default_value_if("json", "true", "json"),
        value_parser = output::format::<Report>()
    )]
    pub output: Option<&'static Format<Report>>,
    /// The same as --output json
    #[arg(long, conflicts_with = "output")]
    json: bool,
    /// What all sending commands have.
    #[command(flatten)]
    pub common: Common,
}

fn cpus(text: &str) -> Result<CpuList, Problem> {
    literal::parse_cpus(text).map(CpuList)
}

/// The words of a command line, where a negative number belongs to the option before it: whoever reads the option's value says
/// why it cannot be, and the parser does not take it for an option of its own.
pub fn words(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    for word in arguments {
        let is_negative = word.to_str().is_some_and(literal::is_negative);
        match words.last_mut().filter(|last| is_negative && is_option(last)) {
            Some(option) => {
                option.push("=");
                option.push(word);
            }
            None => words.push(word),
        }
    }
    words
}

/// Whether it is a long option without its value, `--packets`.
fn is_option(word: &OsStr) -> bool {
    word.to_str().is_some_and(|word| word.len() > 2 && word.starts_with("--") && !word.contains('='))
}

fn count(text: &str) -> Result<u64, Problem> {
    literal::parse_count(text)
}

fn frame_size(text: &str) -> Result<u32, Problem> {
    literal::parse_within(text, "a number of bytes that a frame has", &literal::FRAME_SIZE)
}

fn duration(text: &str) -> Result<Duration, Problem> {
    literal::parse_duration(text)
}

fn time(text: &str) -> Result<Duration, Problem> {
    literal::parse_time(text)
}

fn instant(text: &str) -> Result<SystemTime, Problem> {
    literal::parse_instant(text)
}

fn factor(text: &str) -> Result<Ratio, Problem> {
    rate::parse_factor(text)
}

fn behind(text: &str) -> Result<LatePolicy, Problem> {
    rate::parse_behind(text)
}

fn speed(text: &str) -> Result<u64, Problem> {
    rate::parse_speed(text)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn negative_numbers_belong_to_their_option() {
        let words = |line: &str| words(line.split(' ').map(OsString::from)).join(OsStr::new(" "));
        assert_eq!(words("x udp e --packets -1 --rate -5pps"), "x udp e --packets=-1 --rate=-5pps");
        assert_eq!(words("x udp e -1 --json --packets=1 -2 -- -3 -h"), "x udp e -1 --json --packets=1 -2 -- -3 -h");
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
