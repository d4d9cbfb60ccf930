//! The options of the commands that need no file: `udp`, `tcp-syn`, `icmp`.

use std::{net::IpAddr, num::TryFromIntError, time::Duration};

use clap::Args;

use super::{
    Common, Output, Session,
    values::{behind, count, cpus, duration, speed, time},
};
use crate::{
    config::{
        LatePolicy,
        literal::{self, BATCH_SIZE, Problem, parse_meant_for, parse_within},
    },
    host::Mac,
    output::Report,
    units::CpuList,
};

/// Options of `udp`.
#[derive(Args, Debug)]
pub struct Udp {
    /// Destination port, or a range of ports to go through: `5000-5999`
    #[arg(long, value_name = "P[-Q]", default_value = "9", value_parser = ports)]
    pub dst_port: PortRange,
    /// Source port, or a range of ports to go through
    #[arg(long, value_name = "P[-Q]", default_value = "49152", value_parser = ports)]
    pub src_port: PortRange,
    /// Those all of these commands have.
    #[command(flatten)]
    pub quick: Quick,
}

/// Options of `tcp-syn`.
#[derive(Args, Debug)]
pub struct TcpSyn {
    /// Destination port, or a range of ports to go through: `8000-8099`
    #[arg(long, value_name = "P[-Q]", default_value = "80", value_parser = ports)]
    pub dst_port: PortRange,
    /// Source port, or a range of ports to go through
    #[arg(long, value_name = "P[-Q]", default_value = "1024-65535", value_parser = ports)]
    pub src_port: PortRange,
    /// Those all of these commands have.
    #[command(flatten)]
    pub quick: Quick,
}

/// Options of `icmp`.
#[derive(Args, Debug)]
pub struct Icmp {
    /// Identifier of the echo requests
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = identifier)]
    pub identifier: u16,
    /// Those all of these commands have.
    #[command(flatten)]
    pub quick: Quick,
}

/// Options of all commands that need no file. What a field takes is the packet model's to say, so
/// numbers are wider here than their fields.
#[derive(Args, Debug)]
pub struct Quick {
    /// The interface to send out of
    pub interface: String,
    /// Destination MAC address [default: that of the next hop, resolved by the kernel (ARP,
    /// neighbour discovery); that of the group or of everybody for a multicast or broadcast
    /// address]
    #[arg(long, value_name = "MAC", value_parser = mac)]
    pub dst_mac: Option<Mac>,
    /// Source MAC address [default: the interface's]
    #[arg(long, value_name = "MAC", value_parser = mac)]
    pub src_mac: Option<Mac>,
    /// VLAN id; two of them, outer first, for 802.1ad (QinQ): `100,7`
    #[arg(long, value_name = "ID[,ID]", value_delimiter = ',', value_parser = vlan)]
    pub vlan: Vec<u32>,
    /// Destination address, IPv4 or IPv6 [default: 198.19.0.1 or 2001:2:0:1::1, set aside for
    /// benchmarks by RFC 2544 and RFC 5180]
    #[arg(long, value_name = "ADDRESS", value_parser = literal::parse_ip)]
    pub dst_ip: Option<IpAddr>,
    /// Source address, of the same family [default: the one the kernel would use; where it has
    /// none, 198.18.0.1 or 2001:2::1]
    #[arg(long, value_name = "ADDRESS", value_parser = literal::parse_ip)]
    pub src_ip: Option<IpAddr>,
    /// Time to live, of IPv6 the hop limit [default: 64]
    #[arg(long, value_name = "N", value_parser = ttl)]
    pub ttl: Option<u32>,
    /// Differentiated services code point, 0 to 63 or a name such as `EF` [default: 0]
    #[arg(long, value_name = "N", value_parser = literal::parse_dscp)]
    pub dscp: Option<u32>,
    /// Bytes of each frame on the wire, with the 4 of its FCS; or a mix of sizes: `imix`,
    /// `ipsec_imix`, `ipv6_imix`, `standard_imix`, `tcp_imix`, or an RFC 6985 genome such as
    /// `genome:aaafg` [default: 64, or what the headers need]
    #[arg(long, value_name = "SIZE")]
    pub size: Option<String>,
    /// What fills the frames: `zeros`, `increment`, `random`, `text:…` or `hex:…` (once, then
    /// zeros), `pattern:…` (hex, over and over)
    #[arg(long, value_name = "PAYLOAD", default_value = PAYLOAD)]
    pub payload: String,
    /// Frames that the driver is to take, over all CPUs together: `1000000`, `1M` or `1e6`
    #[arg(long, value_name = "N", value_parser = count)]
    pub packets: Option<u64>,
    /// How long to send
    #[arg(long, value_parser = duration)]
    pub duration: Option<Duration>,
    /// CPUs to send on, a worker each: `0,2-3` [default: the first of the CPUs allowed that have
    /// the fewest workers, those of other instances counted]
    #[arg(long, value_name = "LIST", value_parser = cpus)]
    pub cpus: Option<CpuList>,
    /// Frames the kernel sends together, 1 to 256
    #[arg(long, value_name = "N", default_value_t = crate::config::DEFAULT_BATCH_SIZE, value_parser = batch_size)]
    pub batch_size: u32,
    /// How fast to send.
    #[command(flatten)]
    pub rates: QuickRateOptions,
    /// How long after the start to begin: `500ms`, `10s`
    #[arg(long, value_parser = time)]
    pub delay: Option<Duration>,
    /// Frames that leave later than this after they were due count as late [default: 1us]
    #[arg(long, value_name = "DURATION", value_parser = time)]
    pub late_threshold: Option<Duration>,
    /// Speed of the link, which rates in percent refer to: `10Gbps` [default: that of the
    /// interface]
    #[arg(long, value_parser = speed)]
    pub speed: Option<u64>,
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

/// As [`RateOptions`](super::RateOptions), where there is no file.
#[derive(Args, Clone, Debug, Default)]
pub struct QuickRateOptions {
    /// How fast to send, all CPUs together: `500kpps`, `10Gbps`, `10GbpsL1`, `40%`, or a table as
    /// in a configuration file, such as `{ poisson = "10kpps" }` [default: as fast as it can]
    #[arg(long)]
    pub rate: Option<String>,
    /// What becomes of frames that are overdue: `catch_up`, `catch_up=20ms` (they are sent late,
    /// but not later than this), or `skip` (they are never sent) [default: catch_up=100ms]
    #[arg(long, value_name = "POLICY", value_parser = behind)]
    pub behind: Option<LatePolicy>,
    /// Attempt frames as fast as they can be made, whether the link takes them or not: `--packets`
    /// counts attempts then
    #[arg(long, conflicts_with = "rate")]
    pub flood: bool,
}

/// What fills frames without `--payload`.
const PAYLOAD: &str = "zeros";

impl Quick {
    /// Those of a command line with no other option than these.
    pub fn new(interface: &str, common: Common) -> Self {
        Self {
            interface: interface.to_owned(),
            dst_mac: None,
            src_mac: None,
            vlan: Vec::new(),
            dst_ip: None,
            src_ip: None,
            ttl: None,
            dscp: None,
            size: None,
            payload: PAYLOAD.to_owned(),
            packets: None,
            duration: None,
            cpus: None,
            batch_size: crate::config::DEFAULT_BATCH_SIZE,
            rates: QuickRateOptions::default(),
            delay: None,
            late_threshold: None,
            speed: None,
            session: Session::default(),
            output: Output::default(),
            common,
        }
    }
}

/// A port or a range of them; the first is not above the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

fn ports(text: &str) -> Result<PortRange, Problem> {
    const HELP: &str = "write a port or a range of ports from 0 to 65535: `5000` or `5000-5999`";
    let usual = text.replace("..=", "-").replace("..", "-").replace(':', "-");
    let number = |number: &str| {
        number.parse::<u16>().map_err(|_| {
            let is_name = number.starts_with(|first: char| first.is_ascii_alphabetic());
            let help = if usual != text && ports(&usual).is_ok() {
                format!("write `{usual}`")
            } else if text.contains(',') {
                "write one port or range; a configuration file has lists: `dst_port = [80, 443]`"
                    .to_owned()
            } else if is_name {
                format!("write its number, which `getent services {number}` tells")
            } else {
                HELP.to_owned()
            };
            Problem::new(format!("`{number}` is not a port"), help)
        })
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(Problem::new(
            format!("the range starts at {first}, above its end {last}"),
            format!("write `{last}-{first}`"),
        ));
    }
    Ok(PortRange { first, last })
}

fn vlan(text: &str) -> Result<u32, Problem> {
    parse_meant_for(text, "a VLAN id", &(0..=4095)).map_err(|problem| {
        match text.split_once(['.', ':', '/']) {
            Some((outer, inner)) => Problem {
                help: format!("write two tags, outer first, as `{outer},{inner}`"),
                ..problem
            },
            None => problem,
        }
    })
}

fn ttl(text: &str) -> Result<u32, Problem> {
    parse_meant_for(text, "a time to live", &(0..=255))
}

fn batch_size(text: &str) -> Result<u32, Problem> {
    parse_meant_for(text, "a number of frames that the kernel sends together", &BATCH_SIZE)
}

fn identifier(text: &str) -> Result<u16, Problem> {
    let of_16_bits = 0..=u32::from(u16::MAX);
    let number = parse_within(text, "an identifier", &of_16_bits)?;
    number
        .try_into()
        .map_err(|error: TryFromIntError| Problem::new(error.to_string(), "give 0 to 65535"))
}

pub(super) fn mac(text: &str) -> Result<Mac, Problem> {
    literal::parse_mac(text).map(|value| {
        let [.., a, b, c, d, e, f] = value.to_be_bytes();
        [a, b, c, d, e, f]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_ranges() {
        assert_eq!(ports("7"), Ok(PortRange { first: 7, last: 7 }));
        assert_eq!(ports("7-9"), Ok(PortRange { first: 7, last: 9 }));
        for (text, help) in [
            ("1..5", "`1-5`"),
            ("1:5", "`1-5`"),
            ("1,2", "[80, 443]"),
            ("http", "getent services http"),
        ] {
            let problem = ports(text).unwrap_err();
            assert!(problem.help.contains(help), "{problem}");
        }
        for wrong in ["9-7", "65536", "", "1-", "a", "-1"] {
            assert!(ports(wrong).is_err(), "{wrong}");
        }
    }
}
