//! The commands that need no file: a configuration of one port and one flow, from options.
//!
//! What they share is here, what stands behind the IP header in a module a protocol.

pub(super) mod icmp;
pub(super) mod tcp_syn;
pub(super) mod udp;
mod values;

use std::{net::IpAddr, path::Path, time::Duration};

use etherparse::{Ethernet2Header, Ipv4Header, Ipv6Header, SingleVlanHeader};
use xdp_trafficgen_ebpf::abi::FCS_LEN;

use crate::{
    cli::{self, PortRange, Quick},
    commands::{
        CommandError, input,
        send::{self, send},
    },
    config::{
        Action, Config, DEFAULT_BATCH_SIZE, DEFAULT_SIZE, Diagnostic, Diagnostics, FieldSetting,
        Flow, Header, LatePolicy, Located, Origin, Pattern, Payload, Port, Profile, Size, Source,
        WhenFull, checked, file, literal::Problem, pattern::Count, rate::DEFAULT_LATE_THRESHOLD,
    },
    host::mac_value,
    packet::{ChecksumMode, HeaderKind},
};

/// Sends what a command's `config` says.
pub(super) fn run(
    options: &Quick,
    config: Result<Config, Diagnostics>,
) -> Result<(), CommandError> {
    let config = config.map_err(CommandError::Config)?;
    send(&config, send::Options::of(&options.common, options.session, &options.output))
}

/// A header and how many bytes it takes.
struct HeaderLength {
    header: Header,
    len: usize,
}

/// The configuration the options stand for: a flow of this name, with the part that `transport`
/// puts behind an IP header of the kind it is told.
fn config(
    options: &Quick,
    name: &str,
    transport: impl FnOnce(HeaderKind) -> HeaderLength,
) -> Result<Config, Diagnostics> {
    let Quick {
        interface,
        dst_mac,
        src_mac,
        vlan,
        dst_ip,
        src_ip,
        ttl,
        dscp,
        size,
        payload,
        packets,
        duration,
        cpus,
        batch_size,
        rates: cli::QuickRateOptions { rate, behind, flood },
        delay,
        late_threshold,
        speed,
        session: _,
        output: _,
        common: _,
    } = options;
    let mut wrong = OptionErrors(Diagnostics::new(Source::command_line()));
    let batch_size = wrong.or("--batch-size", values::batch_size(*batch_size), DEFAULT_BATCH_SIZE);
    let payload = wrong.or("--payload", values::payload(payload), Payload::Zeros);
    let rate = rate.as_ref().and_then(|rate| wrong.rate(rate));
    wrong.check_families(*src_ip, *dst_ip);

    let mac = |mac| Pattern::Value(mac_value(mac));
    let ethernet = header(
        HeaderKind::Ethernet,
        [("dst", "--dst-mac", dst_mac.map(mac)), ("src", "--src-mac", src_mac.map(mac))],
    );
    let mut parts = vec![HeaderLength { header: ethernet, len: Ethernet2Header::LEN }];
    parts.extend(wrong.tags(vlan));
    let ip = wrong.ip(*src_ip, *dst_ip, *ttl, *dscp);
    let kind = ip.header.kind.value;
    parts.push(ip);
    parts.push(transport(kind));

    let size = match size {
        Some(size) => {
            let size = wrong.or("--size", values::size(size), Size::Fixed(DEFAULT_SIZE));
            Located::new(size, Origin::Option("--size"))
        }
        None => Located::default(Size::Fixed(default_size(&parts, &payload))),
    };
    wrong.0.into_result(Config {
        source: Source::command_line(),
        ports: vec![Port {
            name: Located::default(interface.clone()),
            interface: Located::new(interface.clone(), Origin::Option("INTERFACE")),
            ingress: None,
            action: Located::default(Action::Redirect),
            cpus: cpus.as_ref().map(|list| Located::new(list.0.clone(), Origin::Option("--cpus"))),
            batch_size: Located::new(batch_size, Origin::Option("--batch-size")),
            when_full: given("--flood", flood.then_some(WhenFull::Flood), WhenFull::Wait),
            rate,
            speed: speed.map(|speed| Located::new(speed, Origin::Option("--speed"))),
            total: None,
            behind: given("--behind", *behind, LatePolicy::DEFAULT),
            late_threshold: given("--late-threshold", *late_threshold, DEFAULT_LATE_THRESHOLD),
        }],
        flows: vec![Flow {
            name: Located::default(name.to_owned()),
            port: Located::default(interface.clone()),
            weight: Located::default(1),
            size,
            rate: None,
            delay: given("--delay", *delay, Duration::ZERO),
            packets: packets.map(|packets| Located::new(packets, Origin::Option("--packets"))),
            duration: duration.map(|duration| Located::new(duration, Origin::Option("--duration"))),
            packet: parts.into_iter().map(|part| part.header).collect(),
            payload: Located::new(payload, Origin::Option("--payload")),
        }],
    })
}

/// The value of an option, or the default.
fn given<T>(option: &'static str, value: Option<T>, default: T) -> Located<T> {
    value.map_or_else(
        || Located::default(default),
        |value| Located::new(value, Origin::Option(option)),
    )
}

/// As small as Ethernet allows and the options need.
fn default_size(parts: &[HeaderLength], payload: &Payload) -> u32 {
    let headers: usize = parts.iter().map(|part| part.len).sum();
    let payload = if let Payload::Bytes(bytes) = payload { bytes.len() } else { 0 };
    u32::try_from(headers + payload)
        .map_or(u32::MAX, |len| len.saturating_add(FCS_LEN))
        .max(DEFAULT_SIZE)
}

/// All errors found so far: they are reported together.
struct OptionErrors(Diagnostics);

impl OptionErrors {
    /// The value; when it is wrong, one to go on with.
    fn or<T>(&mut self, option: &'static str, value: Result<T, Problem>, otherwise: T) -> T {
        value.unwrap_or_else(|problem| {
            self.0.push(problem.at(&Origin::Option(option)));
            otherwise
        })
    }

    /// The value as that of a field; none when there is none, or it does not fit.
    fn fitting(
        &mut self,
        kind: HeaderKind,
        name: &str,
        option: &'static str,
        value: Option<u32>,
    ) -> Option<u128> {
        let (field, value) = (kind.field(name)?, u128::from(value?));
        match checked::value(field, &Located::new(value, Origin::Option(option))) {
            Ok(_) => Some(value),
            Err(diagnostic) => {
                self.0.push(diagnostic);
                None
            }
        }
    }

    /// None when it is wrong. The files it names are those of the working directory.
    fn rate(&mut self, text: &str) -> Option<Located<Profile>> {
        match file::parse_rate_option("--rate", text, &|name| input::read_file(Path::new(name))) {
            Ok(profile) => Some(profile),
            Err(problems) => {
                problems.into_iter().for_each(|problem| self.0.push(problem));
                None
            }
        }
    }

    fn check_families(&mut self, source: Option<IpAddr>, destination: Option<IpAddr>) {
        if let (Some(source), Some(destination)) = (source, destination)
            && source.is_ipv4() != destination.is_ipv4()
        {
            self.0.push(
                Diagnostic::new(
                    &Origin::Option("--src-ip"),
                    format!("{source} and the destination {destination} are of different families"),
                )
                .help("give two IPv4 or two IPv6 addresses"),
            );
        }
    }

    /// The VLAN tags, outer to inner.
    fn tags(&mut self, ids: &[u32]) -> Vec<HeaderLength> {
        const OPTION: &str = "--vlan";
        if ids.len() > 2 {
            self.0.push(
                Diagnostic::new(
                    &Origin::Option(OPTION),
                    format!("a frame cannot have {} VLAN tags here", ids.len()),
                )
                .help("give one id, or two for QinQ; a configuration file has room for more"),
            );
        }
        let tags = ids.iter().enumerate().map(|(index, id)| {
            let id = self.fitting(HeaderKind::Vlan, "id", OPTION, Some(*id));
            let tpid = (index + 1 < ids.len()).then_some(Pattern::Value(SERVICE_TAG));
            let header = header(
                HeaderKind::Vlan,
                [("tpid", OPTION, tpid), ("id", OPTION, id.map(Pattern::Value))],
            );
            HeaderLength { header, len: SingleVlanHeader::LEN }
        });
        tags.collect()
    }

    fn ip(
        &mut self,
        src: Option<IpAddr>,
        dst: Option<IpAddr>,
        ttl: Option<u32>,
        dscp: Option<u32>,
    ) -> HeaderLength {
        const TTL: &str = "--ttl";
        // IPv6 has it in the upper six of its traffic class's bits (RFC 2474).
        let dscp = self.fitting(HeaderKind::Ipv4, "dscp", "--dscp", dscp);
        let (kind, len, ttl_name, dscp) = match dst.or(src) {
            Some(IpAddr::V6(_)) => (
                HeaderKind::Ipv6,
                Ipv6Header::LEN,
                "hop_limit",
                ("traffic_class", dscp.map(|dscp| dscp << 2)),
            ),
            Some(IpAddr::V4(_)) | None => {
                (HeaderKind::Ipv4, Ipv4Header::MIN_LEN, "time_to_live", ("dscp", dscp))
            }
        };
        let ttl = self.fitting(kind, ttl_name, TTL, ttl);
        let fields = [
            (dscp.0, "--dscp", dscp.1.map(Pattern::Value)),
            (ttl_name, TTL, ttl.map(Pattern::Value)),
            ("src", "--src-ip", src.map(address)),
            ("dst", "--dst-ip", dst.map(address)),
        ];
        HeaderLength { header: header(kind, fields), len }
    }
}

/// The tag protocol identifier of the outer of two tags (IEEE 802.1Q, S-tag).
const SERVICE_TAG: u128 = 0x88a8;

/// A header with those of the fields that have a pattern; each with the option it comes from.
fn header<const N: usize>(
    kind: HeaderKind,
    fields: [(&str, &'static str, Option<Pattern>); N],
) -> Header {
    let fields = fields.into_iter().filter_map(|(name, option, pattern)| {
        Some(FieldSetting {
            field: kind.field(name)?.into(),
            pattern: Located::new(pattern?, Origin::Option(option)),
            follow: None,
        })
    });
    Header {
        kind: Located::default(kind),
        fields: fields.collect(),
        options: Located::default(Vec::new()),
        checksum: Located::default(ChecksumMode::Good),
    }
}

fn address(address: IpAddr) -> Pattern {
    Pattern::Value(match address {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    })
}

fn range(PortRange { first, last }: PortRange) -> Pattern {
    Pattern::Increment(Count { start: first.into(), step: 1, count: u64::from(last - first) + 1 })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::{
        cli::{Cli, Command},
        config::literal,
    };

    /// The configuration of a command line.
    fn parsed(arguments: &str) -> Result<Config, Diagnostics> {
        let arguments = std::iter::once("xdp-trafficgen").chain(arguments.split(' '));
        match Cli::try_parse_from(arguments).unwrap().command {
            Command::Udp(options) => udp::config(&options),
            Command::TcpSyn(options) => tcp_syn::config(&options),
            Command::Icmp(options) => icmp::config(&options),
            other => panic!("{other:?}"),
        }
    }

    /// Header, field and first value of everything that is set.
    fn set(config: &Config) -> Vec<String> {
        let headers = config.flows[0].packet.iter();
        let fields = headers.flat_map(|header| {
            header.fields.iter().map(move |setting| (header.kind.value, setting))
        });
        fields
            .map(|(kind, FieldSetting { field, pattern, .. })| {
                let value = literal::show_value(field, pattern.value.first());
                let count = pattern.value.value_count();
                let times = if count > 1 { format!(" x{count}") } else { String::new() };
                format!("{}.{} {value}{times}", kind.name(), field.name)
            })
            .collect()
    }

    #[track_caller]
    fn check(arguments: &str, fields: &[&str], size: u32) {
        let config = parsed(arguments).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert_eq!(set(&config), fields);
        assert_eq!(config.flows[0].size.value, Size::Fixed(size));
    }

    #[test]
    fn options_become_fields() {
        check("udp e", &["udp.src_port 49152", "udp.dst_port 9"], 64);
        check(
            "udp e --dst-ip 10.0.0.2 --ttl 3 --dscp 46 --vlan 100,7 --dst-port 1-9",
            &[
                "vlan.tpid 34984",
                "vlan.id 100",
                "vlan.id 7",
                "ipv4.dscp 46",
                "ipv4.time_to_live 3",
                "ipv4.dst 10.0.0.2",
                "udp.src_port 49152",
                "udp.dst_port 1 x9",
            ],
            64,
        );
        check(
            "tcp-syn e --src-ip 2001:db8::1 --ttl 255 --dscp 46 --vlan 5",
            &[
                "vlan.id 5",
                "ipv6.traffic_class 184",
                "ipv6.hop_limit 255",
                "ipv6.src 2001:db8::1",
                "tcp.src_port 1024 x64512",
                "tcp.dst_port 80",
                "tcp.ctl_syn 1",
                "tcp.window 64240",
            ],
            // 14 + 4 + 40 + 24, and the FCS.
            86,
        );
        let echo = |kind: &str, number: u8| {
            [
                format!("{kind}.type {number}"),
                format!("{kind}.code 0"),
                format!("{kind}.identifier 7"),
                format!("{kind}.sequence_number 0 x65536"),
            ]
        };
        let fields = echo("icmp", 8);
        check("icmp e --identifier 7", &fields.each_ref().map(String::as_str), 64);
        let fields = echo("icmpv6", 128);
        let config = parsed("icmp e --identifier 7 --dst-ip ::1 --size 100").unwrap();
        assert_eq!(set(&config)[1..], fields);
    }

    #[test]
    fn rates_are_the_ports() {
        let config = parsed("udp e").unwrap();
        assert!(
            config.ports[0].rate.is_none()
                && config.ports[0].behind == Located::default(LatePolicy::DEFAULT)
        );
        let config = parsed(
            "icmp e --rate 1.5Mpps --behind catch_up=20ms --speed 10Gbps --late-threshold 5us --delay 2s \
             --strict --at @1764000000",
        );
        let Config { ports, flows, .. } = config.unwrap();
        let port = &ports[0];
        assert_eq!(port.rate.as_ref().unwrap().value.to_string(), "1.5 Mpps");
        assert_eq!(port.rate.as_ref().unwrap().place, Origin::Option("--rate"));
        assert_eq!(port.speed, Some(Located::new(10_000_000_000, Origin::Option("--speed"))));
        let catch_up = LatePolicy::CatchUp(Duration::from_millis(20));
        assert_eq!(port.behind, Located::new(catch_up, Origin::Option("--behind")));
        assert_eq!(port.late_threshold.value, Duration::from_micros(5));
        assert_eq!((flows[0].delay.value, flows[0].rate.is_none()), (Duration::from_secs(2), true));
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let wrong = parsed(
            "icmp e --vlan 1,2,4096 --ttl 256 --dscp 64 --size big --payload hex:0 --batch-size 0 --rate 10 --src-ip ::1 --dst-ip 1.1.1.1",
        );
        let wrong = wrong.unwrap_err();
        let options: Vec<&Origin> =
            wrong.list().iter().map(|diagnostic| &diagnostic.place).collect();
        let expected = [
            "--batch-size",
            "--payload",
            "--rate",
            "--src-ip",
            "--vlan",
            "--vlan",
            "--dscp",
            "--ttl",
            "--size",
        ]
        .map(Origin::Option);
        assert_eq!(options, expected.iter().collect::<Vec<_>>());
        assert!(wrong.list().iter().all(|diagnostic| !diagnostic.help.is_empty()), "{wrong}");
    }
}
