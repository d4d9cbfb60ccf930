//! Stacks of headers, checked by tshark: nothing malformed, every checksum right, every field at
//! the value it was set to.

mod random;

use std::{
    collections::BTreeMap, fs::File, net::IpAddr, path::Path, process::Command, time::Duration,
};

use crate::harness::skipped;
use pcap_file::pcap::{PcapPacket, PcapWriter};
use random::Random;
use xdp_trafficgen::packet::{
    ChecksumMode, HeaderKind, HeaderKind::*, Layer, Payload, Template, assemble,
};

/// A field, and tshark's name for it.
struct Compared {
    kind: HeaderKind,
    name: &'static str,
    tshark: &'static str,
}

const fn compared(kind: HeaderKind, name: &'static str, tshark: &'static str) -> Compared {
    Compared { kind, name, tshark }
}

/// Fields that can have any value in every instance without changing how the rest is decoded.
static COMPARED: &[Compared] = &[
    compared(Ethernet, "dst", "eth.dst"),
    compared(Ethernet, "src", "eth.src"),
    compared(Vlan, "priority", "vlan.priority"),
    compared(Vlan, "cfi", "vlan.dei"),
    compared(Vlan, "id", "vlan.id"),
    compared(Pppoe, "session_id", "pppoe.session_id"),
    compared(Mpls, "label", "mpls.label"),
    compared(Mpls, "traffic_class", "mpls.exp"),
    compared(Mpls, "time_to_live", "mpls.ttl"),
    compared(Arp, "operation", "arp.opcode"),
    compared(Arp, "sender_hardware_addr", "arp.src.hw_mac"),
    compared(Arp, "sender_protocol_addr", "arp.src.proto_ipv4"),
    compared(Arp, "target_hardware_addr", "arp.dst.hw_mac"),
    compared(Arp, "target_protocol_addr", "arp.dst.proto_ipv4"),
    compared(Ipv4, "dscp", "ip.dsfield.dscp"),
    compared(Ipv4, "ecn", "ip.dsfield.ecn"),
    compared(Ipv4, "identification", "ip.id"),
    compared(Ipv4, "dont_fragment", "ip.flags.df"),
    compared(Ipv4, "time_to_live", "ip.ttl"),
    compared(Ipv4, "src", "ip.src"),
    compared(Ipv4, "dst", "ip.dst"),
    compared(Ipv6, "traffic_class", "ipv6.tclass"),
    compared(Ipv6, "flow_label", "ipv6.flow"),
    compared(Ipv6, "hop_limit", "ipv6.hlim"),
    compared(Ipv6, "src", "ipv6.src"),
    compared(Ipv6, "dst", "ipv6.dst"),
    compared(Ipv6Fragment, "identification", "ipv6.fraghdr.ident"),
    compared(Udp, "src_port", "udp.srcport"),
    compared(Udp, "dst_port", "udp.dstport"),
    compared(Tcp, "src_port", "tcp.srcport"),
    compared(Tcp, "dst_port", "tcp.dstport"),
    compared(Tcp, "seq_num", "tcp.seq_raw"),
    compared(Tcp, "ack_num", "tcp.ack_raw"),
    compared(Tcp, "ecn_ns", "tcp.flags.ae"),
    compared(Tcp, "ecn_cwr", "tcp.flags.cwr"),
    compared(Tcp, "ecn_echo", "tcp.flags.ece"),
    compared(Tcp, "ctl_urg", "tcp.flags.urg"),
    compared(Tcp, "ctl_ack", "tcp.flags.ack"),
    compared(Tcp, "ctl_psh", "tcp.flags.push"),
    compared(Tcp, "ctl_rst", "tcp.flags.reset"),
    compared(Tcp, "ctl_syn", "tcp.flags.syn"),
    compared(Tcp, "ctl_fin", "tcp.flags.fin"),
    compared(Tcp, "window", "tcp.window_size_value"),
    compared(Icmp, "sequence_number", "icmp.seq"),
    compared(Icmpv6, "identifier", "icmpv6.echo.identifier"),
    compared(Icmpv6, "sequence_number", "icmpv6.echo.sequence_number"),
    compared(Gre, "key", "gre.key"),
    compared(Gre, "sequence_number", "gre.sequence_number"),
    compared(Vxlan, "vni", "vxlan.vni"),
    compared(Gtpv1, "teid", "gtp.teid"),
    compared(Gtpv1, "sequence_number", "gtp.seq_number"),
    compared(Gtpv1, "n_pdu_number", "gtp.npdu_number"),
];

/// Lengths, which follow from a header's offset.
static LENGTHS: [(HeaderKind, &str, usize); 5] = [
    (Pppoe, "pppoe.payload_length", 6),
    (Ipv4, "ip.len", 0),
    (Ipv6, "ipv6.plen", 40),
    (Udp, "udp.length", 0),
    (Gtpv1, "gtp.length", 8),
];

/// tshark's verdict on a checksum: 0 is bad, 1 is good.
static CHECKSUMS: [(HeaderKind, &str); 6] = [
    (Ipv4, "ip.checksum.status"),
    (Udp, "udp.checksum.status"),
    (Tcp, "tcp.checksum.status"),
    (Icmp, "icmp.checksum.status"),
    (Icmpv6, "icmpv6.checksum.status"),
    (Gre, "gre.checksum.status"),
];

const PROTOCOLS: &str = "frame.protocols";
const EXPERT_GROUP: &str = "_ws.expert.group";
const EXPERT_MESSAGE: &str = "_ws.expert.message";

/// A frame's fields by tshark's names: the values of all instances, outer to inner.
type Dissected = BTreeMap<&'static str, Vec<String>>;

/// None where tshark is missing, with a message.
fn tshark(frames: &[Vec<u8>]) -> Option<Vec<Dissected>> {
    if Command::new("tshark").arg("--version").output().is_err() {
        skipped("tshark is not installed (`apt-get install tshark`)");
        return None;
    }
    let folder = tempfile::tempdir().expect("a folder for the capture");
    let path = folder.path().join("frames.pcap");
    write(&path, frames);
    let names: Vec<&'static str> = (COMPARED.iter().map(|compared| compared.tshark))
        .chain(LENGTHS.iter().map(|&(_, name, _)| name))
        .chain(CHECKSUMS.iter().map(|&(_, name)| name))
        .chain([PROTOCOLS, EXPERT_GROUP, EXPERT_MESSAGE])
        .collect();
    let mut command = Command::new("tshark");
    command.arg("-nr").arg(&path).args([
        "-T",
        "fields",
        "-E",
        "occurrence=a",
        "-E",
        "aggregator=|",
    ]);
    for preference in [
        "ip.check_checksum:TRUE",
        "udp.check_checksum:TRUE",
        "tcp.check_checksum:TRUE",
        "tcp.analyze_sequence_numbers:FALSE",
        "tcp.desegment_tcp_streams:FALSE",
    ] {
        command.args(["-o", preference]);
    }
    for name in &names {
        command.args(["-e", name]);
    }
    let output = command.output().expect("tshark runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("tshark writes text");
    let frames: Vec<Dissected> = text
        .lines()
        .map(|line| {
            let split = |column: &str| {
                column.split('|').filter(|part| !part.is_empty()).map(str::to_owned).collect()
            };
            names.iter().copied().zip(line.split('\t').map(split)).collect()
        })
        .collect();
    Some(frames)
}

fn write(path: &Path, frames: &[Vec<u8>]) {
    let mut writer =
        PcapWriter::new(File::create(path).expect("a new file")).expect("a header is written");
    for (number, frame) in (0..).zip(frames) {
        let length = u32::try_from(frame.len()).expect("a short frame");
        writer
            .write_packet(&PcapPacket::new(Duration::from_micros(number), length, frame))
            .expect("a frame is written");
    }
}

/// A value as tshark writes it, as a number.
fn number(text: &str) -> u128 {
    if let Some(hex) = text.strip_prefix("0x") {
        return u128::from_str_radix(hex, 16).expect("a hexadecimal number");
    }
    match (text, text.parse::<IpAddr>()) {
        ("True", _) => 1,
        ("False", _) => 0,
        (_, Ok(IpAddr::V4(address))) => u32::from(address).into(),
        (_, Ok(IpAddr::V6(address))) => address.into(),
        _ if text.len() == 17 && text.contains(':') => {
            u128::from_str_radix(&text.replace(':', ""), 16).expect("a MAC")
        }
        _ => text.parse().unwrap_or_else(|_| panic!("`{text}` is no number")),
    }
}

/// The layers that tshark sees: it cannot decode what follows custom bytes.
fn visible(layers: &[Layer]) -> &[Layer] {
    let custom = layers.iter().position(|layer| layer.kind == Custom);
    &layers[..custom.unwrap_or(layers.len())]
}

#[track_caller]
fn check(layers: &[Layer], template: &Template, dissected: &Dissected) {
    let visible = visible(layers);
    let kinds: Vec<_> = layers.iter().map(|layer| layer.kind.name()).collect();
    let numbers =
        |name: &str| -> Vec<u128> { dissected[name].iter().map(|text| number(text)).collect() };
    let filled: Vec<_> = dissected.iter().filter(|(_, values)| !values.is_empty()).collect();
    let context = format!("{}: {filled:?}", kinds.join(" / "));
    assert!(!dissected[PROTOCOLS].concat().contains("malformed"), "malformed: {context}");
    // PI_CHECKSUM, PI_MALFORMED (Wireshark's epan/proto.h).
    assert!(
        !numbers(EXPERT_GROUP).iter().any(|group| [0x0100_0000, 0x0700_0000].contains(group)),
        "expert: {context}"
    );
    // tshark shows the packet inside an ICMP error in another way.
    let errors = visible
        .windows(2)
        .any(|pair| matches!(pair[0].kind, Icmp | Icmpv6) && pair[1].kind != Custom);
    for compared in COMPARED.iter().filter(|compared| !(errors && compared.name == "seq_num")) {
        let set = |layer: &Layer| {
            layer.set.iter().find(|(field, _)| field.name == compared.name).map(|&(_, value)| value)
        };
        let expected: Vec<u128> =
            visible.iter().filter(|layer| layer.kind == compared.kind).filter_map(set).collect();
        // A tunnel's destination port is filled in, not set.
        let found: Vec<u128> = numbers(compared.tshark)
            .into_iter()
            .filter(|port| compared.name != "dst_port" || ![4789, 2152].contains(port))
            .collect();
        assert_eq!(found, expected, "{}.{}: {context}", compared.kind.name(), compared.name);
    }
    let at = |kind: HeaderKind| {
        let here =
            visible.iter().zip(&template.offsets).filter(move |(layer, _)| layer.kind == kind);
        here.map(|(_, &offset)| offset)
    };
    for (kind, name, before) in LENGTHS {
        let expected: Vec<u128> =
            at(kind).map(|offset| (template.bytes.len() - offset - before) as u128).collect();
        assert_eq!(numbers(name), expected, "{name}: {context}");
    }
    for (kind, name) in CHECKSUMS {
        let statuses = numbers(name);
        assert!(!statuses.contains(&0), "{name}: {context}");
        let good = statuses.iter().filter(|&&status| status == 1).count();
        let expected = match kind {
            Gre => visible
                .iter()
                .filter(|layer| layer.set.iter().any(|(field, _)| field.name == "checksum_present"))
                .count(),
            kind => at(kind).count(),
        };
        assert!(good == expected || errors, "{name}: {good} good ones of {expected}: {context}");
    }
}

#[test]
fn tshark_finds_what_was_asked_for_in_random_stacks() {
    let mut random = Random::new(3);
    let mut seen = BTreeMap::new();
    let stacks: Vec<(Vec<Layer>, Template)> = (0..1000)
        .map(|_| {
            let layers = random.stack();
            for layer in visible(&layers) {
                *seen.entry(layer.kind.name()).or_insert(0) += 1;
            }
            let headers =
                assemble(&layers, 4000, &Payload::Zeros).expect("a legal stack").header_len;
            let last = layers[layers.len() - 1].kind;
            let (frame_len, payload) = (random.frame_len(headers, last), random.payload(last));
            let template = assemble(&layers, frame_len, &payload).expect("a legal stack");
            (layers, template)
        })
        .collect();
    assert_eq!(seen.len(), HeaderKind::ALL.len() - 1, "all headers but custom: {seen:?}");
    let frames: Vec<_> = stacks.iter().map(|(_, template)| template.bytes.clone()).collect();
    let Some(dissected) = tshark(&frames) else { return };
    assert_eq!(dissected.len(), stacks.len());
    for ((layers, template), dissected) in stacks.iter().zip(&dissected) {
        check(layers, template, dissected);
    }
}

/// Every length says less than there is, an inner one less than an outer one, and the frame goes on
/// behind: no checksum covers bytes behind its packet's end, and each pseudo header has the
/// packet's stated length.
#[test]
fn tshark_finds_checksums_right_whatever_the_lengths_say() {
    let kinds: [&[HeaderKind]; 10] = [
        &[Ipv4, Udp],
        &[Ipv4, Tcp],
        &[Ipv4, Icmp],
        &[Ipv6, Udp],
        &[Ipv6, Ipv6Destination, Tcp],
        &[Ipv6, Icmpv6],
        &[Vlan, Ipv4, Gre, Ipv6, Udp],
        &[Ipv6, Udp, Vxlan, Ethernet, Ipv4, Udp],
        &[Ipv4, Udp, Vxlan, Ethernet, Vlan, Ipv6, Tcp],
        &[Mpls, Ipv6, Ipv4, Icmp],
    ];
    let mut random = Random::new(11);
    let stacks: Vec<(Vec<Layer>, Vec<u8>)> = (0..600)
        .map(|number| {
            let bare = |kind| Layer {
                kind,
                set: Vec::new(),
                options: Vec::new(),
                checksum: ChecksumMode::Good,
            };
            let mut layers: Vec<Layer> =
                [&[Ethernet], kinds[number % kinds.len()]].concat().into_iter().map(bare).collect();
            for layer in layers.iter_mut().filter(|layer| layer.kind == Gre) {
                layer.set.extend(Gre.field("checksum_present").map(|flag| (flag.clone(), 1)));
            }
            let headers =
                assemble(&layers, 4000, &Payload::Zeros).expect("a legal stack").header_len;
            let (room, payload) = (random.below(90), Payload::Random { seed: number as u64 });
            let whole = assemble(&layers, headers + room, &payload).expect("a legal stack");
            let mut cut = 0;
            for (index, layer) in layers.iter_mut().enumerate() {
                let Some(length) = ["total_length", "payload_length", "length"]
                    .iter()
                    .find_map(|name| layer.kind.field(name).filter(|field| field.bits == 16))
                else {
                    continue;
                };
                let bytes = whole.window(index, length).bytes;
                let said =
                    u16::from_be_bytes([whole.bytes[bytes.start], whole.bytes[bytes.start + 1]]);
                if !random.one_in(3) {
                    cut += random.below(room - cut + 1);
                    layer.set.push((length.clone(), u128::from(said) - cut as u128));
                } else if cut > 0 {
                    // An inner length is at most as long as the outer one allows.
                    layer.set.push((length.clone(), u128::from(said) - cut as u128));
                }
            }
            let bytes = assemble(&layers, headers + room, &payload).expect("the same stack").bytes;
            (layers, bytes)
        })
        .collect();
    let frames: Vec<_> = stacks.iter().map(|(_, bytes)| bytes.clone()).collect();
    let Some(dissected) = tshark(&frames) else { return };
    for ((layers, bytes), dissected) in stacks.iter().zip(&dissected) {
        for (kind, name) in CHECKSUMS {
            let expected = vec!["1"; layers.iter().filter(|layer| layer.kind == kind).count()];
            assert!(dissected[name] == expected, "{name}: {layers:?}\n{bytes:02x?}\n{dissected:?}");
        }
    }
}

/// Each stack has one bad checksum; tshark reports that one and no other.
#[test]
fn tshark_reports_checksums_that_are_bad_on_purpose() {
    let cases: [(&[HeaderKind], HeaderKind); 8] = [
        (&[Ethernet, Ipv4, Udp], Ipv4),
        (&[Ethernet, Ipv4, Udp], Udp),
        (&[Ethernet, Ipv6, Udp], Udp),
        (&[Ethernet, Ipv4, Tcp], Tcp),
        (&[Ethernet, Ipv4, Icmp], Icmp),
        (&[Ethernet, Ipv6, Icmpv6], Icmpv6),
        (&[Ethernet, Ipv4, Gre, Ipv6, Tcp], Gre),
        (&[Ethernet, Ipv6, Udp, Vxlan, Ethernet, Ipv4, Tcp], Tcp),
    ];
    let frames: Vec<Vec<u8>> = cases
        .iter()
        .map(|&(kinds, bad)| {
            let layers: Vec<Layer> = kinds
                .iter()
                .map(|&kind| Layer {
                    kind,
                    set: Vec::new(),
                    options: Vec::new(),
                    checksum: if kind == bad { ChecksumMode::Bad } else { ChecksumMode::Good },
                })
                .collect();
            assemble(&layers, 200, &Payload::Increment(0)).expect("a legal stack").bytes
        })
        .collect();
    let Some(dissected) = tshark(&frames) else { return };
    for ((kinds, bad), dissected) in cases.iter().zip(&dissected) {
        for (kind, name) in CHECKSUMS {
            let expected = if kind == *bad {
                vec!["0"]
            } else {
                vec!["1"; kinds.iter().filter(|&&k| k == kind).count()]
            };
            // GRE has a checksum only when asked to.
            assert!(
                dissected[name] == expected,
                "{name} of {kinds:?} with a bad {bad:?}: {dissected:?}"
            );
        }
    }
}
