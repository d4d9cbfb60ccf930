//! From what a user wrote of a packet to the layers it is assembled from: defaults that depend on the host or on the
//! headers around, and words for what cannot be assembled.

use std::net::IpAddr;

use xdp_trafficgen_ebpf::abi::FCS_LEN;

use crate::{
    config::{Diagnostic, FieldSetting, Flow, Header, Place, Port},
    host::{Mac, NextHop, mac_value, show_mac},
    packet::{HeaderKind, Layer, StackError},
};

/// The layers of a flow's packet, with everything the user left to us filled in: addresses of both ends, ports. Beside
/// them a sentence worth showing, when something was found out for the user.
///
/// # Errors
/// When something must be known that this host does not tell.
pub(super) fn layers(
    port: &Port,
    flow: &Flow,
    egress_mac: Option<Mac>,
    next_hop: Option<&NextHop>,
) -> Result<(Vec<Layer>, Option<String>), Diagnostic> {
    let mut layers: Vec<Layer> = flow.packet.iter().map(layer).collect();
    let mut note = None;
    for (layer, header) in layers.iter_mut().zip(&flow.packet) {
        match layer.kind {
            HeaderKind::Ethernet => {
                default(layer, "src", egress_mac.map(mac_value));
                if !is_set(layer, "dst") {
                    let Some((hop, mac)) = next_hop.and_then(|hop| Some((hop, hop.mac?))) else {
                        return Err(unknown_neighbour(port, flow, header));
                    };
                    default(layer, "dst", Some(mac_value(mac)));
                    note = Some(format!(
                        "flow {}: destination MAC {} is that of {} in the neighbour table",
                        flow.name.value,
                        show_mac(mac),
                        hop.neighbour
                    ));
                }
            }
            HeaderKind::Ipv4 => {
                let source = next_hop.and_then(|hop| hop.source).unwrap_or(BENCHMARK_SOURCE_V4);
                default(layer, "src", ip_value(source, layer.kind));
                default(layer, "dst", ip_value(BENCHMARK_DESTINATION_V4, layer.kind));
            }
            HeaderKind::Ipv6 => {
                let source = next_hop.and_then(|hop| hop.source).unwrap_or(BENCHMARK_SOURCE_V6);
                default(layer, "src", ip_value(source, layer.kind));
                default(layer, "dst", ip_value(BENCHMARK_DESTINATION_V6, layer.kind));
            }
            HeaderKind::Udp | HeaderKind::Tcp => {
                default(layer, "src_port", Some(DEFAULT_SOURCE_PORT));
                default(layer, "dst_port", Some(DISCARD_PORT));
            }
            HeaderKind::Vlan | HeaderKind::Icmp | HeaderKind::Icmpv6 => {}
        }
    }
    Ok((layers, note))
}

fn unknown_neighbour(port: &Port, flow: &Flow, ethernet: &Header) -> Diagnostic {
    let interface = &port.interface.value;
    let (how, place) = match &ethernet.kind.place {
        place @ Place::File(_) => ("write `dst` in the ethernet header", place),
        _ => ("give --dst-mac", &port.interface.place),
    };
    match destination(&flow.packet) {
        Some(destination) => Diagnostic::new(
            place,
            format!("the MAC address of {destination} is not in the neighbour table of `{interface}`"),
        )
        .help(format!("{how}, or let the kernel learn it: `ping -c 1 -I {interface} {destination}`")),
        None => Diagnostic::new(place, "this frame has no destination MAC address").help(how.to_owned()),
    }
}

/// Addresses set aside for benchmarks: RFC 2544 appendix C.2.2 (198.18.0.0/15) and RFC 5180 section 8 (2001:2::/48).
const BENCHMARK_SOURCE_V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 18, 0, 1));
const BENCHMARK_DESTINATION_V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 19, 0, 1));
const BENCHMARK_SOURCE_V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 1));
const BENCHMARK_DESTINATION_V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 2, 0, 1, 0, 0, 0, 1));
/// The first of the dynamic ports (RFC 6335).
const DEFAULT_SOURCE_PORT: u128 = 49152;
/// Discard (RFC 863).
const DISCARD_PORT: u128 = 9;

fn layer(header: &Header) -> Layer {
    let set = header.fields.iter().map(|setting| (setting.field.clone(), setting.pattern.value.first())).collect();
    Layer { kind: header.kind.value, set, options: header.options.value.clone(), checksum: header.checksum.value }
}

fn is_set(layer: &Layer, name: &str) -> bool {
    layer.set.iter().any(|(field, _)| field.name == name)
}

fn default(layer: &mut Layer, name: &str, value: Option<u128>) {
    if !is_set(layer, name)
        && let (Some(field), Some(value)) = (layer.kind.field(name), value)
    {
        layer.set.push((field.clone(), value));
    }
}

fn setting<'a>(header: &'a Header, kind: HeaderKind, name: &str) -> Option<&'a FieldSetting> {
    (header.kind.value == kind).then(|| header.fields.iter().find(|setting| setting.field.name == name)).flatten()
}

/// Whether the destination MAC address must be found out.
pub(super) fn wants_neighbour(packet: &[Header]) -> bool {
    !packet.iter().any(|header| setting(header, HeaderKind::Ethernet, "dst").is_some())
}

/// The first value of the outermost IP header's destination, defaults included.
pub(super) fn destination(packet: &[Header]) -> Option<IpAddr> {
    let ip = packet.iter().find(|header| matches!(header.kind.value, HeaderKind::Ipv4 | HeaderKind::Ipv6))?;
    let kind = ip.kind.value;
    let default = if kind == HeaderKind::Ipv4 { BENCHMARK_DESTINATION_V4 } else { BENCHMARK_DESTINATION_V6 };
    let Some(setting) = setting(ip, kind, "dst") else { return Some(default) };
    let value = setting.pattern.value.first();
    match kind {
        HeaderKind::Ipv4 => u32::try_from(value).ok().map(|bits| IpAddr::V4(bits.into())),
        _ => Some(IpAddr::V6(value.into())),
    }
}

fn ip_value(address: IpAddr, kind: HeaderKind) -> Option<u128> {
    match (address, kind) {
        (IpAddr::V4(v4), HeaderKind::Ipv4) => Some(u32::from(v4).into()),
        (IpAddr::V6(v6), HeaderKind::Ipv6) => Some(v6.into()),
        _ => None,
    }
}

/// The words for a stack that is none.
pub(super) fn diagnostic(flow: &Flow, error: &StackError) -> Diagnostic {
    match *error {
        StackError::Order { layer, kind, .. } => {
            let place = flow.packet.get(layer).map_or(&flow.name.place, |header| &header.kind.place);
            let cure = match kind {
                HeaderKind::Ethernet => "`ethernet` is the first header, and the only one of its kind",
                HeaderKind::Vlan => "`vlan` follows `ethernet` or another `vlan`",
                HeaderKind::Ipv4 | HeaderKind::Ipv6 => "an IP header follows `ethernet` or `vlan`",
                HeaderKind::Udp | HeaderKind::Tcp | HeaderKind::Icmp | HeaderKind::Icmpv6 => {
                    "`udp` follows `ipv4` or `ipv6`"
                }
            };
            Diagnostic::new(place, error.to_string()).help(cure)
        }
        StackError::TooSmall { headers, .. } => Diagnostic::new(&flow.size.place, error.to_string())
            .help(format!("write a size of at least {}", headers + FCS_LEN as usize)),
        StackError::PayloadTooLong { payload, room } => Diagnostic::new(&flow.payload.place, error.to_string())
            .help(format!("write a size of at least {}", flow.size.value.smallest() as usize + payload - room)),
    }
}
