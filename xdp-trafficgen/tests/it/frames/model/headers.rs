//! The bytes of each header without settings, its optional parts, its length field and its
//! checksum.

use xdp_trafficgen::packet::{
    FieldDef,
    HeaderKind::{
        self, Arp, Custom, Ethernet, Gre, Gtpv1, Icmp, Icmpv6, Ipv4, Ipv6, Ipv6Destination,
        Ipv6Fragment, Ipv6HopByHop, Ipv6Routing, Mpls, Pppoe, Tcp, Udp, Vlan, Vxlan,
    },
};

use super::{Checksum, Flow, Header, LINK_MAC, V4, V6};

/// A header's bytes before lengths, settings and checksums are filled in.
pub(super) fn bytes(flow: &Flow, index: usize) -> Vec<u8> {
    let header = &flow.headers[index];
    let next = flow.headers.get(index + 1).map(|header| header.kind);
    let [high, low] = ether_type(next).to_be_bytes();
    let number = ip_number(next);
    let options = &header.options;
    match header.kind {
        Ethernet => {
            let (destination, source) = match index {
                0 => (0xffff_ffff_ffff, LINK_MAC),
                _ => (INNER[1], INNER[0]),
            };
            [&mac(destination)[..], &mac(source), &[high, low]].concat()
        }
        Vlan => vec![0, 0, high, low],
        Pppoe => {
            let [high, low] = ppp_protocol(next).to_be_bytes();
            vec![0x11, 0, 0, 1, 0, 0, high, low]
        }
        Mpls => vec![0, 1, u8::from(next != Some(Mpls)), 64],
        Arp => {
            let sender = flow.headers[..index]
                .iter()
                .rposition(|header| header.kind == Ethernet)
                .map_or(0, |ethernet| {
                    let set = flow.headers[ethernet]
                        .fields
                        .iter()
                        .find(|setting| setting.field.name == "src");
                    set.map_or(if ethernet == 0 { LINK_MAC } else { INNER[0] }, |setting| {
                        setting.pattern.first()
                    })
                });
            let start = [0, 1, 8, 0, 6, 4, 0, 1];
            [&start[..], &mac(sender), &V4[0].octets(), &[0; 6], &V4[1].octets()].concat()
        }
        Ipv4 => {
            let first = [0x45 + words(options), 0, 0, 0, 0, 0, 0, 0, 64, number, 0, 0];
            [&first[..], &V4[0].octets(), &V4[1].octets(), options].concat()
        }
        Ipv6 => [&[0x60, 0, 0, 0, 0, 0, number, 64][..], &V6[0].octets(), &V6[1].octets()].concat(),
        // One option that pads the header.
        Ipv6HopByHop | Ipv6Destination if options.is_empty() => vec![number, 0, 1, 4, 0, 0, 0, 0],
        Ipv6HopByHop | Ipv6Destination => {
            [&[number, eights(2 + options.len())][..], options].concat()
        }
        Ipv6Routing if options.is_empty() => vec![number, 0, 253, 0, 0, 0, 0, 0],
        Ipv6Routing => [&[number, eights(4 + options.len()), 253, 0][..], options].concat(),
        Ipv6Fragment => vec![number, 0, 0, 0, 0, 0, 0, 0],
        Udp => {
            let port: u16 = match next {
                Some(Vxlan) => 4789,
                Some(Gtpv1) => 2152,
                _ => 9,
            };
            let [high, low] = port.to_be_bytes();
            vec![0xc0, 0, high, low, 0, 0, 0, 0]
        }
        Tcp => {
            let mut bytes = vec![0; 20];
            (bytes[0], bytes[3], bytes[12]) = (0xc0, 9, 0x50 + (words(options) << 4));
            bytes[14..16].fill(0xff);
            [&bytes, options.as_slice()].concat()
        }
        Icmp => vec![if next == Some(Ipv4) { 3 } else { 8 }, 0, 0, 0, 0, 0, 0, 0],
        Icmpv6 => vec![if next == Some(Ipv6) { 1 } else { 128 }, 0, 0, 0, 0, 0, 0, 0],
        Gre => {
            let [checksum, key, sequence] = gre_parts(header);
            let flags = u8::from(checksum) << 7 | u8::from(key) << 5 | u8::from(sequence) << 4;
            let parts = [checksum, key, sequence].iter().filter(|there| **there).count();
            [&[flags, 0, high, low][..], &vec![0; 4 * parts]].concat()
        }
        Vxlan => vec![8, 0, 0, 0, 0, 0, 0, 0],
        Gtpv1 => {
            let flags = GTP_PARTS.map(|name| u8::from(header.sets(name)));
            let there = flags.contains(&1);
            let first = 0x30 | flags[0] << 2 | flags[1] << 1 | flags[2];
            [&[first, 255, 0, 0, 0, 0, 0, 0][..], &vec![0; if there { 4 } else { 0 }]].concat()
        }
        Custom => options.clone(),
    }
}

/// Fields whose presence sets the flags E, S and PN.
const GTP_PARTS: [&str; 3] = ["next_extension_header_type", "sequence_number", "n_pdu_number"];

/// Which of the optional parts of RFC 2890 a header has: checksum, key, sequence number.
fn gre_parts(header: &Header) -> [bool; 3] {
    let checksum =
        ["checksum_present", "checksum", "reserved1"].iter().any(|name| header.sets(name));
    [checksum || header.checksum.is_some(), header.sets("key"), header.sets("sequence_number")]
}

/// Offset of a field from its header's first bit. An optional part that is missing shifts the
/// fields behind it.
pub(super) fn bit_offset(header: &Header, field: &FieldDef) -> i64 {
    let offset = i64::from(field.bit_offset);
    if header.kind != Gre || field.name.starts_with("bits") {
        return offset;
    }
    let missing = gre_parts(header)
        .into_iter()
        .zip([32, 64, 96])
        .filter(|(there, at)| !there && *at <= offset)
        .count();
    offset - 32 * i64::try_from(missing).expect("at most three")
}

/// Writes the length field; `rest` is the frame from the header's start on.
pub(super) fn write_length(kind: HeaderKind, rest: &mut [u8]) {
    let (at, uncounted) = match kind {
        Ipv4 => (2, 0),
        Ipv6 => (4, 40),
        Udp => (4, 0),
        Pppoe => (4, 6),
        Gtpv1 => (2, 8),
        _ => return,
    };
    let length = u16::try_from(rest.len() - uncounted).expect("at most a page");
    rest[at..at + 2].copy_from_slice(&length.to_be_bytes());
}

/// Writes the checksum of the header at `start`, unless it has none or the checksum is set.
pub(super) fn write_checksum(flow: &Flow, index: usize, start: usize, frame: &mut [u8]) {
    let header = &flow.headers[index];
    let at = start
        + match header.kind {
            Ipv4 => 10,
            Udp => 6,
            Tcp => 16,
            Icmp | Icmpv6 => 2,
            Gre if gre_parts(header)[0] => 4,
            _ => return,
        };
    if header.sets("checksum") || header.sets("header_checksum") {
        return;
    }
    frame[at..at + 2].fill(0);
    let said = lengths(flow, index, start, frame)
        .into_iter()
        .filter(|&end| end >= at + 2)
        .collect::<Vec<_>>();
    // The covered bytes end at the shortest length; what the last length says beyond that counts as
    // zeros.
    let end = said.iter().copied().fold(frame.len(), usize::min);
    let length = said.last().map_or(frame.len(), |&end| end) - start;
    let protocol = match header.kind {
        Udp => Some(17),
        Tcp => Some(6),
        Icmpv6 => Some(58),
        _ => None,
    };
    let mut covered = Vec::new();
    if let Some(protocol) = protocol {
        covered.extend(addresses(flow, index, frame));
        covered.extend(u32::try_from(length).expect("16 bits").to_be_bytes());
        covered.extend([0, protocol]);
    }
    covered.extend(&frame[start..end]);
    let mut value = internet_checksum(&covered);
    if header.kind == Udp && value == 0 {
        value = 0xffff;
    }
    if header.checksum == Some(Checksum::Bad) {
        value = if value == 0xffff { 1 } else { value + 1 };
    }
    frame[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// Where the lengths end what this header's checksum covers: the IP packet's length, and UDP's own.
/// IPv4's header itself ends where its first byte says, or at its real end if that is less than the
/// five words of RFC 791 section 3.1.
fn lengths(flow: &Flow, index: usize, start: usize, frame: &[u8]) -> Vec<usize> {
    let two = |at: usize| usize::from(frame[at]) << 8 | usize::from(frame[at + 1]);
    match flow.headers[index].kind {
        Ipv4 if frame[start] % 16 < 5 => vec![flow.start(index + 1)],
        Ipv4 => vec![start + 4 * usize::from(frame[start] % 16)],
        Udp => [packet_end(flow, index, frame), Some(start + two(start + 4))]
            .into_iter()
            .flatten()
            .collect(),
        _ => packet_end(flow, index, frame).into_iter().collect(),
    }
}

/// End of the IP packet whose payload contains the header with this index.
fn packet_end(flow: &Flow, index: usize, frame: &[u8]) -> Option<usize> {
    for (number, header) in flow.headers[..index].iter().enumerate().rev() {
        let at = flow.start(number);
        match header.kind {
            Ipv6HopByHop | Ipv6Destination | Ipv6Routing | Ipv6Fragment | Custom => {}
            Ipv4 => {
                return Some(at + usize::from(frame[at + 2]) * 256 + usize::from(frame[at + 3]));
            }
            Ipv6 => {
                return Some(
                    at + 40 + usize::from(frame[at + 4]) * 256 + usize::from(frame[at + 5]),
                );
            }
            _ => break,
        }
    }
    None
}

/// Source and destination of the IP packet whose payload contains the header with this index; none
/// when anything but extension headers or unknown bytes stands between them.
fn addresses(flow: &Flow, index: usize, frame: &[u8]) -> Vec<u8> {
    for (number, header) in flow.headers[..index].iter().enumerate().rev() {
        let start = flow.start(number);
        match header.kind {
            Ipv6HopByHop | Ipv6Destination | Ipv6Routing | Ipv6Fragment | Custom => {}
            Ipv4 => return frame[start + 12..start + 20].to_vec(),
            Ipv6 => return frame[start + 8..start + 40].to_vec(),
            _ => break,
        }
    }
    Vec::new()
}

/// RFC 1071, with the carry added back at once.
pub(crate) fn internet_checksum(bytes: &[u8]) -> u16 {
    let mut sum: u16 = 0;
    for pair in bytes.chunks(2) {
        let word = u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
        let (added, carry) = sum.overflowing_add(word);
        sum = added + u16::from(carry);
    }
    !sum
}

/// Locally administered addresses, source and destination: the defaults of an Ethernet header
/// inside a tunnel.
const INNER: [u128; 2] = [0x0200_0000_0001, 0x0200_0000_0002];

fn mac(value: u128) -> [u8; 6] {
    *value.to_be_bytes().last_chunk().expect("16 bytes")
}

fn words(options: &[u8]) -> u8 {
    u8::try_from(options.len() / 4).expect("at most ten")
}

fn eights(len: usize) -> u8 {
    u8::try_from(len / 8 - 1).expect("short")
}

/// Where no header with a type follows: IEEE 802 Local Experimental Ethertype 1.
fn ether_type(next: Option<HeaderKind>) -> u16 {
    match next {
        Some(Ethernet) => 0x6558,
        Some(Vlan) => 0x8100,
        Some(Pppoe) => 0x8864,
        Some(Mpls) => 0x8847,
        Some(Arp) => 0x0806,
        Some(Ipv4) => 0x0800,
        Some(Ipv6) => 0x86dd,
        _ => 0x88b5,
    }
}

/// Where no header follows that PPP carries: its padding protocol.
fn ppp_protocol(next: Option<HeaderKind>) -> u16 {
    match next {
        Some(Ipv4) => 0x0021,
        Some(Ipv6) => 0x0057,
        Some(Mpls) => 0x0281,
        _ => 0x0001,
    }
}

/// Where no header with a number follows: a number for experiments (RFC 3692).
fn ip_number(next: Option<HeaderKind>) -> u8 {
    match next {
        Some(Mpls) => 137,
        Some(Ipv4) => 4,
        Some(Ipv6) => 41,
        Some(Ipv6HopByHop) => 0,
        Some(Ipv6Destination) => 60,
        Some(Ipv6Routing) => 43,
        Some(Ipv6Fragment) => 44,
        Some(Udp) => 17,
        Some(Tcp) => 6,
        Some(Icmp) => 1,
        Some(Icmpv6) => 58,
        Some(Gre) => 47,
        _ => 253,
    }
}
