//! `udp`: a configuration of one port and one flow, from options.

use std::net::IpAddr;

use crate::{
    cli::{self, PortRange},
    commands::{
        CommandError,
        send::{Format, default_route, send},
    },
    config::{
        Action, Config, Diagnostic, Diagnostics, FieldSetting, Flow, Header, Located, Pattern, Payload, Place, Port,
        Size, Source, literal, pattern::Count,
    },
    host::{Mac, mac_value},
    packet::{ChecksumMode, HeaderKind},
};

pub(super) fn udp(options: &cli::Udp) -> Result<(), CommandError> {
    let config = config(options).map_err(CommandError::Config)?;
    let cli::Common { json, allow_default_route } = options.common;
    send(&config, default_route(allow_default_route), Format::json_if(json))
}

/// The configuration the options stand for.
pub(super) fn config(options: &cli::Udp) -> Result<Config, Diagnostics> {
    let cli::Udp {
        interface,
        dst_mac,
        src_mac,
        dst_ip,
        src_ip,
        dst_port,
        src_port,
        size,
        packets,
        duration,
        cpus,
        batch_size,
        common: _,
    } = options;
    let mut wrong = Diagnostics::new(Source::command_line());
    check_range(&mut wrong, "--batch-size", *batch_size, &literal::BATCH_SIZE, "frames in a batch");
    check_range(&mut wrong, "--size", *size, &literal::FRAME_SIZE, "bytes in a frame");
    if let (Some(source), Some(destination)) = (src_ip, dst_ip)
        && source.is_ipv4() != destination.is_ipv4()
    {
        wrong.push(
            Diagnostic::new(
                &Place::Option("--src-ip"),
                format!("{source} and the destination {destination} are of different families"),
            )
            .help("give two IPv4 or two IPv6 addresses"),
        );
    }
    let ip = match dst_ip.or(*src_ip) {
        Some(IpAddr::V6(_)) => HeaderKind::Ipv6,
        Some(IpAddr::V4(_)) | None => HeaderKind::Ipv4,
    };
    let headers = vec![
        header(HeaderKind::Ethernet, [("dst", "--dst-mac", dst_mac.map(mac)), ("src", "--src-mac", src_mac.map(mac))]),
        header(ip, [("src", "--src-ip", src_ip.map(address)), ("dst", "--dst-ip", dst_ip.map(address))]),
        header(
            HeaderKind::Udp,
            [("src_port", "--src-port", Some(range(*src_port))), ("dst_port", "--dst-port", Some(range(*dst_port)))],
        ),
    ];
    wrong.into_result(Config {
        source: Source::command_line(),
        ports: vec![Port {
            name: Located::default(interface.clone()),
            interface: Located::new(interface.clone(), Place::Option("INTERFACE")),
            ingress: None,
            action: Located::default(Action::Redirect),
            cpus: cpus.as_ref().map(|list| Located::new(list.0.clone(), Place::Option("--cpus"))),
            batch_size: Located::new(*batch_size, Place::Option("--batch-size")),
        }],
        flows: vec![Flow {
            name: Located::default("udp".to_owned()),
            port: Located::default(interface.clone()),
            weight: Located::default(1),
            size: Located::new(Size::Fixed(*size), Place::Option("--size")),
            packets: packets.map(|packets| Located::new(packets, Place::Option("--packets"))),
            duration: duration.map(|duration| Located::new(duration, Place::Option("--duration"))),
            packet: headers,
            payload: Located::default(Payload::Zeros),
        }],
    })
}

fn check_range(
    wrong: &mut Diagnostics,
    option: &'static str,
    value: u32,
    range: &std::ops::RangeInclusive<u32>,
    what: &str,
) {
    if !range.contains(&value) {
        let (least, most) = (range.start(), range.end());
        let limits = if *most == u32::MAX { format!("at least {least}") } else { format!("{least} to {most}") };
        wrong.push(
            Diagnostic::new(&Place::Option(option), format!("there cannot be {value} {what}"))
                .help(format!("give {limits}")),
        );
    }
}

fn header<const N: usize>(kind: HeaderKind, fields: [(&str, &'static str, Option<Pattern>); N]) -> Header {
    let fields = fields.into_iter().filter_map(|(name, option, pattern)| {
        Some(FieldSetting {
            field: kind.field(name)?.clone(),
            pattern: Located::new(pattern?, Place::Option(option)),
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

fn mac(mac: Mac) -> Pattern {
    Pattern::Value(mac_value(mac))
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
