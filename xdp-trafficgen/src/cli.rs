//! The command line: what can be typed, and its help. Parses; knows no environment.

mod bench;
mod check;
mod daemon;
mod demo;
mod output;
mod pace_test;
mod probe;
mod quick;
mod run;
mod shared;
mod show;
mod tune;
mod values;

use std::ffi::{OsStr, OsString};

use clap::{Parser, Subcommand};

#[doc(hidden)]
pub use bench::{
    Bench, BenchArrivals, BenchCase, BenchCheck, BenchCommand, BenchLatency, BenchPrograms,
    BenchRun, BenchSink,
};
pub use check::Check;
pub use daemon::Daemon;
pub use demo::Demo;
pub use output::Output;
pub use pace_test::{PaceTest, WarmUp};
pub use probe::Probe;
pub use quick::{Icmp, PortRange, Quick, QuickRateOptions, TcpSyn, Udp};
pub use run::Run;
pub use shared::{Common, Overrides, RateOptions, Scale, Session, Strict};
pub use show::Show;
pub use tune::Tune;

use crate::config::literal;

/// Traffic generator on XDP live frames.
///
/// The kernel runs a specialised XDP program over and over on a packet and really transmits the
/// result: no DPDK, no hugepages, no unbinding of the NIC. Needs Linux 5.18 or later, and root or
/// the capabilities CAP_NET_ADMIN and CAP_SYS_ADMIN.
///
/// Frames go from that program straight to the driver: tcpdump at the sending interface shows none
/// of them, and neither queueing disciplines (tc) nor nftables touch them. Capture where they
/// arrive, or look at them with `show --pcap`.
#[derive(Debug, Parser)]
#[command(version, after_long_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Results go to standard output, progress and remarks to standard error.
Frames are sent whether or not the output is read (`| head`); the exit status is the same.

Exit status:
  0    done, or stopped by SIGINT, SIGTERM or SIGHUP
  1    failed while running, not one frame could be sent, or the result could not be written
  2    wrong usage or configuration, or this machine cannot do it
  3    with --strict: less was sent than was asked for, or frames were dropped
  130  ended by a second signal, without a report";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send between two interfaces of a namespace of its own, at full speed without --rate, and
    /// count what arrives
    ///
    /// Makes a network namespace and a pair of veth interfaces that vanish at the end, sends UDP
    /// frames of 64 bytes with varying destination ports on every CPU, and counts them with an
    /// XDP program at the far end. Touches nothing else on the machine.
    Demo(Demo),
    /// Send UDP out of an interface, as the options say
    ///
    /// Without --packets and --duration it sends until it is stopped. For example:
    ///
    ///   xdp-trafficgen udp eth1 --dst-ip 10.0.0.2 --dst-port 5000-5999 --packets 1000000
    ///
    ///   xdp-trafficgen udp eth1 --dst-mac 02:00:00:00:00:02 --size 1518 --duration 10s --cpus 0-3
    /// --json
    ///
    ///   xdp-trafficgen udp eth1 --vlan 100,7 --dscp 46 --size imix --payload random
    Udp(Udp),
    /// Send TCP SYNs out of an interface, as the options say
    ///
    /// Each has another source port, unless --src-port says otherwise. Without --packets and
    /// --duration it sends until it is stopped. For example:
    ///
    ///   xdp-trafficgen tcp-syn eth1 --dst-ip 10.0.0.2 --dst-port 443 --duration 10s
    ///
    /// A source address that this host owns makes its own network stack answer each SYN-ACK with a
    /// RST; with one that it does not own (--src-ip), SYN-ACKs stay unanswered.
    TcpSyn(TcpSyn),
    /// Send ICMP echo requests out of an interface, as the options say
    ///
    /// ICMPv6 where the addresses are of IPv6. Sequence numbers count from 0. Without --packets and
    /// --duration it sends until it is stopped. For example:
    ///
    ///   xdp-trafficgen icmp eth1 --dst-ip 2001:db8::2 --ttl 255 --packets 1000
    Icmp(Icmp),
    /// Send what a configuration file describes
    Run(Run),
    /// Check a configuration file against this machine, and send none of its frames
    ///
    /// Says what is wrong with the file, all of it; of a right one what would be sent, and what
    /// would be in its way. Exit status 2 when the file is wrong, and when it is right but not
    /// one frame could be sent from here: this process lacks a capability, or an interface
    /// takes no frames, which `run` would end with too.
    ///
    /// As before a run, the kernel asks for the MAC addresses of next hops that it does not know
    /// (ARP, neighbour discovery). Nothing else leaves.
    Check(Check),
    /// Show the frames a configuration file describes, and send none of them
    ///
    /// The frames are made by the very eBPF program that would send them, in the kernel's ordinary
    /// BPF_PROG_RUN mode, which has no side effects.
    ///
    /// As before a run, the kernel asks for the MAC addresses of next hops that it does not know
    /// (ARP, neighbour discovery). Nothing else leaves.
    Show(Show),
    /// Measure how evenly frames leave: the gaps between them, at a receiver of this program
    ///
    /// Sends UDP frames at a constant rate, has an XDP program write down when each of them
    /// arrives, and shows how far the gaps are from what they should be: shares, percentiles
    /// and a histogram. For example:
    ///
    ///   xdp-trafficgen pace-test --self --rate 500kpps --svg gaps.svg
    ///
    ///   xdp-trafficgen pace-test eth1 --receiver eth2 --rate 1Mpps --duration 10s
    ///
    ///   xdp-trafficgen pace-test eth1 --receive-only --rate 100kpps
    PaceTest(PaceTest),
    /// Find the CPUs, the batch size and the path that send the most frames out of an interface
    ///
    /// Sends UDP frames at full speed with one setting after the other, first on more and more
    /// CPUs, then in batches of several sizes, then by the other path (`redirect`, `tx`); shows
    /// a table, and proposes the best setting as lines of a configuration. Each is measured in
    /// five rounds, next to rounds of the default (one CPU, batches of 64, `redirect`), and
    /// another setting is only proposed when it is faster than that by more than the rounds differ,
    /// or as fast and loses fewer frames. SIGINT ends it, with what was measured so far. For
    /// example:
    ///
    ///   xdp-trafficgen tune eth1 --dst-mac 02:00:00:00:00:02
    ///
    ///   xdp-trafficgen tune eth1 --cpus 0-7 --size 1518 --duration 5s --write config.toml
    Tune(Tune),
    /// Say what this machine and its interfaces can do, why not, and what would help
    ///
    /// Asks the kernel, the driver and the machine, and ends with a verdict: ready, ready with
    /// remarks, or not ready, each remark with its cure. Sends nothing unless told to, and
    /// leaves everything as it was; the XDP program that some drivers need is attached for as
    /// long as they are asked. Exit status 2 when not ready. For example:
    ///
    ///   xdp-trafficgen probe
    ///
    ///   xdp-trafficgen probe eth1 --send
    Probe(Probe),
    /// Send what a configuration file describes until SIGTERM, as a service
    ///
    /// Ports are supervised: one whose interface goes away is started again when it comes back,
    /// while the others go on. Its fields start again with their first values, and ramps,
    /// steps, traces and bursts from their beginning; flows with `packets` or a `duration` end
    /// when they would have, and departures that were due meanwhile count as never sent.
    /// Logs to standard error. SIGTERM or SIGINT ends it in order, with exit status 0.
    Daemon(Daemon),
}

/// The words of a command line, where a negative number belongs to the option before it: the reader
/// of the option's value can then explain why it is refused, and the parser does not take it for an
/// option of its own.
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
    word.to_str()
        .is_some_and(|word| word.len() > 2 && word.starts_with("--") && !word.contains('='))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn negative_numbers_belong_to_their_option() {
        let words = |line: &str| words(line.split(' ').map(OsString::from)).join(OsStr::new(" "));
        assert_eq!(words("x udp e --packets -1 --rate -5pps"), "x udp e --packets=-1 --rate=-5pps");
        assert_eq!(
            words("x udp e -1 --json --packets=1 -2 -- -3 -h"),
            "x udp e -1 --json --packets=1 -2 -- -3 -h"
        );
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
