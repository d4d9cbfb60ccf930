//! Makes the layers that a packet is assembled from: fills in the addresses that the user did not
//! set, and turns errors of the packet model into diagnostics.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use xdp_trafficgen_ebpf::abi::FCS_LEN;

use crate::{
    config::{
        Diagnostic, Flow, Header, Located, Origin, Size, SizeWeight, names, size::with_at_least,
    },
    host::{BROADCAST_MAC, Mac, mac_value},
    packet::{
        FieldDef, FieldType, HeaderKind, Layer, StackError,
        field::FieldDefault,
        headers::{IpPart, Place},
    },
};

/// What this host gives to a flow's outermost headers, the same in every frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HostAddresses {
    /// The source address; when none, one set aside for benchmarks.
    pub(super) source: Option<IpAddr>,
    /// The destination's MAC address; none where the user or a pattern gives it.
    pub(super) mac: Option<Mac>,
}

/// The layers of a flow's packet, with addresses where the user set none: the outermost headers get
/// those that the host has `given`, headers in a tunnel get constants.
pub(super) fn layers(flow: &Flow, egress_mac: Option<Mac>, given: HostAddresses) -> Vec<Layer> {
    let mut layers: Vec<Layer> = flow.packet.iter().map(layer).collect();
    let mut ends = Ends {
        egress_mac: egress_mac.map(mac_value),
        given,
        outermost_ip: flow.packet.iter().position(is_ip),
        sender_mac: None,
    };
    for (index, (layer, header)) in layers.iter_mut().zip(&flow.packet).enumerate() {
        for field in header.kind.value.fields() {
            default(layer, field, ends.value(index, field));
            if field.default == FieldDefault::SourceMac {
                ends.sender_mac = layer.value(field);
            }
        }
        // A checksum that the user set is present.
        let checksum =
            layer.kind.checksum_field().filter(|_| header.checksum.place != Origin::Default);
        if let Some(flag) = checksum.and_then(|field| layer.kind.def().presence_of(field)) {
            default(layer, flag, Some(1));
        }
    }
    layers
}

/// The addresses for fields that the user left open.
struct Ends {
    egress_mac: Option<u128>,
    given: HostAddresses,
    /// Index of the outermost IP header.
    outermost_ip: Option<usize>,
    /// The source of the last Ethernet header visited.
    sender_mac: Option<u128>,
}

impl Ends {
    /// The value for `field` of the header with this index; none when its default is a constant.
    fn value(&self, index: usize, field: &FieldDef) -> Option<u128> {
        let given = self.given;
        match field.default {
            FieldDefault::Number(_) => None,
            FieldDefault::SourceMac if index == 0 => self.egress_mac,
            FieldDefault::SourceMac => Some(INNER_SOURCE_MAC),
            // The plan finds the next hop's address for all packets but ARP, which is a broadcast.
            FieldDefault::DestinationMac if index == 0 => {
                Some(mac_value(given.mac.unwrap_or(BROADCAST_MAC)))
            }
            FieldDefault::DestinationMac => Some(INNER_DESTINATION_MAC),
            FieldDefault::SenderMac => self.sender_mac,
            FieldDefault::Source => {
                address(field, given.source.filter(|_| self.outermost_ip == Some(index)), SOURCES)
            }
            FieldDefault::Sender => {
                address(field, given.source.filter(|_| self.outermost_ip.is_none()), SOURCES)
            }
            FieldDefault::Destination => address(field, None, DESTINATIONS),
        }
    }
}

/// The host's `own` address, or else the one set aside for benchmarks, as a value of the field.
fn address(field: &FieldDef, own: Option<IpAddr>, (v4, v6): (Ipv4Addr, Ipv6Addr)) -> Option<u128> {
    match (field.kind, own) {
        (FieldType::Ipv4, None) => Some(u32::from(v4).into()),
        (FieldType::Ipv6, None) => Some(v6.into()),
        (FieldType::Ipv4, Some(IpAddr::V4(own))) => Some(u32::from(own).into()),
        (FieldType::Ipv6, Some(IpAddr::V6(own))) => Some(own.into()),
        (FieldType::Ipv4 | FieldType::Ipv6 | FieldType::Mac | FieldType::Number, _) => None,
    }
}

/// Source and destination for a header of this kind, from the addresses set aside for
/// benchmarks.
pub(super) fn benchmark_addresses(kind: HeaderKind) -> (IpAddr, IpAddr) {
    let is_v6 = kind.fields().iter().any(|field| field.kind == FieldType::Ipv6);
    let of = |(v4, v6): (Ipv4Addr, Ipv6Addr)| if is_v6 { IpAddr::V6(v6) } else { IpAddr::V4(v4) };
    (of(SOURCES), of(DESTINATIONS))
}

/// Set aside for benchmarks: RFC 2544 appendix C.2.2 (198.18.0.0/15) and RFC 5180 section 8
/// (2001:2::/48).
const SOURCES: (Ipv4Addr, Ipv6Addr) =
    (Ipv4Addr::new(198, 18, 0, 1), Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 1));
const DESTINATIONS: (Ipv4Addr, Ipv6Addr) =
    (Ipv4Addr::new(198, 19, 0, 1), Ipv6Addr::new(0x2001, 2, 0, 1, 0, 0, 0, 1));

/// Locally administered addresses (IEEE 802) for Ethernet inside of a tunnel.
const INNER_SOURCE_MAC: u128 = 0x0200_0000_0001;
const INNER_DESTINATION_MAC: u128 = 0x0200_0000_0002;

fn layer(header: &Header) -> Layer {
    let set = header
        .fields
        .iter()
        .map(|setting| (FieldDef::clone(&setting.field), setting.pattern.value.first()))
        .collect();
    Layer {
        kind: header.kind.value,
        set,
        options: header.options.value.clone(),
        checksum: header.checksum.value,
    }
}

fn default(layer: &mut Layer, field: &FieldDef, value: Option<u128>) {
    if let (None, Some(value)) = (layer.value(field), value) {
        layer.set.push((field.clone(), value));
    }
}

/// The first value of a field that the user set.
pub(super) fn first_value(header: &Header, name: &str) -> Option<u128> {
    let setting = header.fields.iter().find(|setting| setting.field.name == name)?;
    Some(setting.pattern.value.first())
}

pub(super) fn is_ip(header: &Header) -> bool {
    matches!(header.kind.value.def().ip, IpPart::Header { .. })
}

/// The diagnostic for headers that cannot be assembled.
pub(super) fn diagnostic(flow: &Flow, error: &StackError) -> Diagnostic {
    let header = |layer: usize| flow.packet.get(layer);
    let diagnostic = |origin: Option<&Origin>| {
        Diagnostic::new(origin.unwrap_or(&flow.name.place), error.to_string())
    };
    match error {
        StackError::Order { layer, kind, below } => {
            let first =
                || HeaderKind::ALL.into_iter().filter(|kind| kind.def().place == Place::First);
            let start = match below {
                None => format!("start with {}; ", names::list(first().map(HeaderKind::name))),
                Some(_) => String::new(),
            };
            let anywhere =
                HeaderKind::ALL.into_iter().filter(|kind| kind.def().place == Place::Anywhere);
            let before = names::list(kind.follows().chain(anywhere).map(HeaderKind::name));
            diagnostic(header(*layer).map(|header| &header.kind.place))
                .help(format!("{start}`{}` can follow {before}", kind.name()))
        }
        StackError::OptionsTooLong { layer, max, .. } => {
            diagnostic(header(*layer).map(|header| &header.options.place))
                .help(format!("write at most {max} bytes"))
        }
        StackError::TooSmall { headers, .. } => {
            // A default size has no origin in the text, so the diagnostic points at the flow.
            let origin = Some(&flow.size.place).filter(|origin| **origin != Origin::Default);
            diagnostic(origin).help(larger_size(&flow.size, headers + FCS_LEN as usize))
        }
        StackError::TooLarge { .. } => {
            diagnostic(Some(&flow.size.place)).help("write a smaller size")
        }
        StackError::OutsideFrame { layer, field, .. } => {
            let settings =
                header(*layer).map(|header| header.fields.as_slice()).unwrap_or_default();
            let setting = settings.iter().find(|setting| setting.field.name == *field);
            diagnostic(setting.map(|setting| &setting.pattern.place))
                .help("write a larger size, or an offset within the frame")
        }
        StackError::PayloadTooLong { payload, room } => {
            diagnostic(Some(&flow.payload.place)).help(format!(
                "write a size of at least {}",
                flow.size.value.smallest() as usize + payload - room
            ))
        }
    }
}

/// The cure of a size below `least`. A mix is written out, since its name may hide the sizes.
fn larger_size(size: &Located<Size>, least: usize) -> String {
    let Size::Weighted(mix) = &size.value else {
        return format!("write a size of at least {least}");
    };
    let mut raised: Vec<(usize, u64)> = Vec::new();
    for &SizeWeight { size, weight } in mix {
        let size = least.max(size as usize);
        match raised.iter_mut().find(|(known, _)| *known == size) {
            Some((_, sum)) => *sum += u64::from(weight),
            None => raised.push((size, weight.into())),
        }
    }
    let pairs: Vec<_> = raised
        .iter()
        .map(|(size, weight)| format!("{{ size = {size}, weight = {weight} }}"))
        .collect();
    let written = format!("`size = {{ weighted = [{}] }}`", pairs.join(", "));
    // Tables are for files; the command line has named mixes.
    let Origin::Option(option) = size.place else {
        return format!("write sizes of at least {least}: {written}");
    };
    let larger = with_at_least(least);
    let or_mix = larger
        .map_or_else(String::new, |mix| format!(", `{option} {mix}`, whose frames are larger,"));
    format!("give `{option} {least}`{or_mix} or write in a configuration file {written}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Source, file, size::predefined},
        packet::{ChecksumMode, Payload, assemble},
    };

    const HOST_MAC: Mac = [2, 0, 0, 0, 0, 0x99];
    const NEXT_HOP_MAC: Mac = [2, 0, 0, 0, 0, 0x77];

    fn flow(packet: &str) -> Flow {
        let text = format!(
            "[[ports]]\nname = 'p'\ninterface = 'veth0'\n[[flows]]\nname = 'f'\nport = 'p'\nsize = 500\npacket = [{packet}]\n"
        );
        let config =
            file::parse(Source::file("test.toml", &text)).unwrap_or_else(|wrong| panic!("{wrong}"));
        config.flows[0].clone()
    }

    /// The fields of each header, in a line a header.
    fn filled(packet: &str) -> Vec<String> {
        let given = HostAddresses {
            mac: Some(NEXT_HOP_MAC),
            source: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))),
        };
        let given =
            if packet.contains("arp") { HostAddresses { mac: None, ..given } } else { given };
        let layers = layers(&flow(packet), Some(HOST_MAC), given);
        assemble(&layers, 496, &Payload::Zeros).expect("a stack");
        let line = |layer: &Layer| {
            let fields: Vec<_> = layer
                .set
                .iter()
                .map(|(field, value)| format!("{} {value:x}", field.name))
                .collect();
            fields.join(", ")
        };
        layers.iter().map(line).collect()
    }

    #[test]
    fn outermost_headers_have_the_hosts_addresses_and_inner_ones_constants() {
        let lines = filled(
            "{ ethernet = {} }, { ipv4 = {} }, { udp = {} }, { vxlan = {} }, { ethernet = {} }, { ipv6 = {} }, { tcp = {} }",
        );
        let inner_v6 = "src 20010002000000000000000000000001, dst 20010002000000010000000000000001";
        let expected = [
            "dst 20000000077, src 20000000099",
            "src c0000201, dst c6130001",
            "",
            "",
            "dst 20000000002, src 20000000001",
            inner_v6,
            "",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn arp_is_a_broadcast_from_the_sender_of_the_frame() {
        let arp = "sender_protocol_addr c0000201, target_protocol_addr c6130001";
        let lines = filled("{ ethernet = {} }, { vlan = {} }, { arp = {} }");
        assert_eq!(lines[0], "dst ffffffffffff, src 20000000099");
        assert_eq!(lines[2], format!("sender_hardware_addr 20000000099, {arp}"));
        let lines = filled("{ ethernet = { src = '02:00:00:00:00:05' } }, { arp = {} }");
        assert_eq!(lines[1], format!("sender_hardware_addr 20000000005, {arp}"));
    }

    #[test]
    fn a_gre_checksum_that_is_set_is_present() {
        let mut flow =
            flow("{ ethernet = { dst = '02:00:00:00:00:05' } }, { ipv4 = {} }, { gre = {} }");
        let set = |flow: &Flow| layers(flow, None, HostAddresses::default())[2].set.len();
        assert_eq!(set(&flow), 0);
        flow.packet[2].checksum = Located::new(ChecksumMode::Good, Origin::Option("--checksum"));
        assert_eq!(set(&flow), 1);
    }

    #[test]
    fn a_header_out_of_place_has_its_possible_places_named() {
        #[track_caller]
        fn check(packet: &str, expected: &str) {
            let flow = flow(packet);
            let layers: Vec<Layer> = flow.packet.iter().map(layer).collect();
            let error = assemble(&layers, 496, &Payload::Zeros).expect_err("no stack");
            let said = diagnostic(&flow, &error);
            assert!(format!("{said:?}").contains(expected), "{said:?}");
        }
        check("{ udp = {} }", "start with `ethernet`; `udp` can follow `ipv4`");
        check("{ ethernet = {} }, { vxlan = {} }", "`vxlan` can follow `udp`, `custom`");
    }

    #[test]
    fn a_default_size_that_is_too_small_is_reported_at_the_flow() {
        let mut flow = flow("{ ethernet = {} }, { ipv6 = {} }, { udp = {} }");
        let error = StackError::TooSmall { headers: 62, size: 64 };
        let written = diagnostic(&flow, &error);
        flow.size = Located::default(flow.size.value);
        let unwritten = diagnostic(&flow, &error);
        let origin = |origin: &Origin| format!("{origin:?}");
        let name = origin(&flow.name.place);
        assert!(format!("{unwritten:?}").contains(&name), "{unwritten:?}");
        assert!(!format!("{written:?}").contains(&name), "{written:?}");
    }

    /// The sizes and weights are those of the Open Traffic Generator model, with what IPv6 and UDP
    /// need instead of 64.
    #[test]
    fn a_mix_with_too_small_sizes_is_reported_as_a_whole() {
        #[track_caller]
        fn check(size: Located<Size>, headers: usize, expected: &str) {
            let mut flow = flow("{ ethernet = {} }, { ipv6 = {} }, { udp = {} }");
            flow.size = size;
            let said = diagnostic(&flow, &StackError::TooSmall { headers, size: 64 });
            assert_eq!(said.help, expected);
        }
        let named = |name: &str| predefined(name).unwrap_or_else(|_| panic!("{name}"));
        let in_file = |size| Located::new(size, Origin::File(0..0));
        check(
            in_file(named("ipv6_imix")),
            62,
            "write sizes of at least 66: `size = { weighted = [{ size = 66, weight = 5867 }, { size = 496, weight = 200 }, \
             { size = 594, weight = 2366 }, { size = 1518, weight = 1567 }] }`",
        );
        // Sizes that are now equal are merged.
        check(
            Located::new(named("tolly"), Origin::Option("--size")),
            78,
            "give `--size 82`, `--size ipsec_imix`, whose frames are larger, or write in a configuration file \
             `size = { weighted = [{ size = 82, weight = 60 }, \
             { size = 576, weight = 17 }, { size = 1518, weight = 23 }] }`",
        );
        check(in_file(Size::Fixed(64)), 62, "write a size of at least 66");
    }
}
