//! Frames against etherparse's, byte by byte, and the rules that need no decoder to be seen.

use std::borrow::Cow;

use etherparse::{
    ArpHardwareId, ArpOperation, ArpPacket, EtherType, IpHeaders, IpNumber, Ipv4Header, Ipv4Options, PacketBuilder,
    TcpOptionElement::{MaximumSegmentSize, Noop, WindowScale},
    TcpOptions, VlanId,
};

use super::{HeaderKind::*, *};

const PAYLOAD: [u8; 5] = [1, 2, 3, 4, 5];

fn layer(kind: HeaderKind, set: &[(&str, u128)]) -> Layer {
    let field = |name| kind.field(name).unwrap_or_else(|| panic!("{kind:?} has no {name}")).clone();
    Layer {
        kind,
        set: set.iter().map(|&(name, value)| (field(name), value)).collect(),
        options: Vec::new(),
        checksum: ChecksumMode::Good,
    }
}

fn bits(bit_offset: i32, bits: u32) -> FieldDef {
    FieldDef::bits(Cow::Borrowed("bits"), bit_offset, bits)
}

/// Its headers and five bytes.
#[track_caller]
fn short(layers: &[Layer]) -> Template {
    let headers = assemble(layers, 2000, &Payload::Zeros).expect("a stack").header_len;
    assemble(layers, headers + PAYLOAD.len(), &Payload::Bytes(PAYLOAD.to_vec())).expect("the same stack")
}

#[track_caller]
fn check(layers: &[Layer], write: impl FnOnce(&mut Vec<u8>)) {
    let mut expected = Vec::new();
    write(&mut expected);
    let found = short(layers).bytes;
    assert_eq!(found, expected, "\nfound    {found:02x?}\nexpected {expected:02x?}");
}

const MACS: [(&str, u128); 2] = [("dst", 0x0200_0000_0002), ("src", 0x0200_0000_0001)];
const V4: [(&str, u128); 2] = [("src", 0x0a00_0001), ("dst", 0x0a00_0002)];
const V6: [(&str, u128); 2] = [("src", 0x2001 << 112 | 1), ("dst", 0x2001 << 112 | 2)];

#[test]
fn as_etherparse_builds_them() {
    let ethernet = || PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let v6 = |last| [0x20, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    let ports = [("src_port", 7), ("dst_port", 9)];

    check(&[layer(Ethernet, &MACS), layer(Ipv4, &V4), layer(Udp, &ports)], |frame| {
        // etherparse's builder sets "don't fragment", we do not.
        let mut ip = Ipv4Header::new(0, 64, IpNumber::UDP, [10, 0, 0, 1], [10, 0, 0, 2]).expect("short");
        ip.dont_fragment = false;
        ethernet().ip(IpHeaders::Ipv4(ip, Default::default())).udp(7, 9).write(frame, &PAYLOAD).expect("a frame");
    });
    let mut options = layer(Tcp, &[("src_port", 7), ("dst_port", 9), ("seq_num", 5), ("ctl_syn", 1), ("window", 3)]);
    let elements = [MaximumSegmentSize(1460), WindowScale(7), Noop, Noop];
    options.options = TcpOptions::try_from_elements(&elements).expect("few").as_slice().to_vec();
    check(&[layer(Ethernet, &MACS), layer(Vlan, &[("id", 5)]), layer(Ipv6, &V6), options], |frame| {
        let ip = ethernet().single_vlan(VlanId::try_new(5).expect("12 bits")).ipv6(v6(1), v6(2), 64);
        ip.tcp(7, 9, 5, 3).syn().options(&elements).expect("few").write(frame, &PAYLOAD).expect("a frame");
    });
    check(
        &[
            layer(Ethernet, &MACS),
            layer(Vlan, &[("tpid", 0x88a8), ("id", 5)]),
            layer(Vlan, &[("id", 6)]),
            layer(Ipv6, &V6),
            layer(Icmpv6, &[("identifier", 1), ("sequence_number", 2)]),
        ],
        |frame| {
            let id = |id| VlanId::try_new(id).expect("12 bits");
            let ip = ethernet().double_vlan(id(5), id(6)).ipv6(v6(1), v6(2), 64);
            ip.icmpv6_echo_request(1, 2).write(frame, &PAYLOAD).expect("a frame");
        },
    );
    let addresses = [("sender_hardware_addr", 1), ("sender_protocol_addr", 2), ("target_protocol_addr", 3)];
    check(&[layer(Ethernet, &MACS), layer(Arp, &addresses)], |frame| {
        let arp = ArpPacket::new(
            ArpHardwareId::ETHERNET,
            EtherType::IPV4,
            ArpOperation::REQUEST,
            &[0, 0, 0, 0, 0, 1],
            &[0, 0, 0, 2],
            &[0; 6],
            &[0, 0, 0, 3],
        );
        ethernet().arp(arp.expect("equal lengths")).write(frame).expect("a frame");
        frame.extend(PAYLOAD);
    });
}

#[test]
fn ipv4_options_are_padded_and_covered() {
    let mut ip = layer(Ipv4, &V4);
    ip.options = vec![1, 0x94, 4, 0, 0];
    let template = short(&[layer(Ethernet, &MACS), ip, layer(Icmp, &[])]);
    let (header, _) = Ipv4Header::from_slice(&template.bytes[14..]).expect("an IPv4 header");
    assert_eq!(header.options, Ipv4Options::from([1, 0x94, 4, 0, 0, 0, 0, 0]));
    assert_eq!(header.header_checksum, header.calc_header_checksum());
    assert_eq!(template.offsets, [0, 14, 42]);
    assert_eq!((template.checksums[0].start, template.checksums[0].reach(&template.bytes).end), (14, 42));
}

/// Where parts are absent, what is behind them moves up (RFC 2890 section 2).
#[test]
fn gre_has_the_parts_its_fields_want() {
    #[track_caller]
    fn check(set: &[(&str, u128)], expected: &str, key_at: Option<usize>) {
        let layers = [layer(Ethernet, &MACS), layer(Ipv4, &V4), layer(Gre, set), layer(Ipv6, &V6)];
        let template = short(&layers);
        let header = &template.bytes[34..template.offsets[3]];
        // The checksum is tshark's to judge.
        let hex: String = header.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex.len(), expected.len(), "{hex}");
        assert!(
            hex.chars().zip(expected.chars()).all(|(found, expected)| found == expected || expected == '?'),
            "{hex}"
        );
        if let Some(key_at) = key_at {
            let key = Gre.field("key").expect("a field");
            assert_eq!(template.window(2, key), Window { bytes: key_at..key_at + 4, shift: 0 });
        }
    }
    check(&[], "000086dd", None);
    check(&[("key", 5)], "200086dd00000005", Some(38));
    check(&[("sequence_number", 6), ("key", 5)], "300086dd0000000500000006", Some(38));
    check(&[("checksum_present", 1), ("key", 5)], "a00086dd????000000000005", Some(42));
    check(&[("sequence_present", 1)], "100086dd00000000", None);
    check(&[("checksum", 0x1234)], "800086dd12340000", None);
    // A lie, as told.
    check(&[("key_present", 0), ("key", 5)], "000086dd00000005", Some(38));

    let mut bad = layer(Gre, &[]);
    bad.checksum = ChecksumMode::Bad;
    let template = short(&[layer(Ethernet, &MACS), layer(Ipv4, &V4), bad, layer(Ipv4, &V4)]);
    assert_eq!(template.bytes[34..36], [0x80, 0]);
    assert_eq!(template.checksums.iter().map(|checksum| checksum.offset).collect::<Vec<_>>(), [24, 38, 52]);
}

/// 3GPP TS 29.281 section 5.1: the length counts from behind the eight bytes that are always there.
#[test]
fn gtp_has_its_optional_bytes_when_a_flag_or_a_field_wants_them() {
    #[track_caller]
    fn check(set: &[(&str, u128)], expected: &[u8]) {
        let layers = [layer(Ethernet, &MACS), layer(Ipv4, &V4), layer(Udp, &[]), layer(Gtpv1, set), layer(Ipv4, &V4)];
        let template = short(&layers);
        assert_eq!(template.bytes[42..template.offsets[4]], *expected);
        assert_eq!(template.bytes[36..38], [0x08, 0x68], "port 2152");
        let from = |offset, counted_from| LengthField { offset, counted_from };
        let inner = template.offsets[4];
        assert_eq!(template.lengths, [from(16, 14), from(38, 34), from(44, 50), from(inner + 2, inner)]);
    }
    check(&[("teid", 9)], &[0x30, 255, 0, 25, 0, 0, 0, 9]);
    check(&[("sequence_number", 7)], &[0x32, 255, 0, 29, 0, 0, 0, 0, 0, 7, 0, 0]);
    check(&[("e_flag", 1)], &[0x34, 255, 0, 29, 0, 0, 0, 0, 0, 0, 0, 0]);
    check(&[("n_pdu_number", 3), ("next_extension_header_type", 0)], &[0x35, 255, 0, 29, 0, 0, 0, 0, 0, 0, 3, 0]);
}

#[test]
fn extension_headers_are_padded_to_eight_bytes() {
    #[track_caller]
    fn check(kind: HeaderKind, options: &[u8], expected: &[u8]) {
        let mut extension = layer(kind, &[]);
        extension.options = options.to_vec();
        let template = short(&[layer(Ethernet, &MACS), layer(Ipv6, &V6), extension, layer(Udp, &[])]);
        assert_eq!(template.bytes[54..template.offsets[3]], *expected);
    }
    check(Ipv6HopByHop, &[], &[17, 0, 1, 4, 0, 0, 0, 0]);
    check(Ipv6HopByHop, &[5, 2, 0, 0], &[17, 0, 5, 2, 0, 0, 1, 0]);
    check(Ipv6Destination, &[1, 3, 0, 0, 0], &[17, 0, 1, 3, 0, 0, 0, 0]);
    check(Ipv6Destination, &[1, 4, 0, 0, 0, 0], &[17, 0, 1, 4, 0, 0, 0, 0]);
    check(Ipv6Routing, &[7, 7, 7, 7, 7], &[17, 1, 253, 0, 7, 7, 7, 7, 7, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn what_the_user_set_is_sent_and_not_listed() {
    let udp = layer(Udp, &[("length", 3), ("checksum", 0)]);
    let template = short(&[layer(Ethernet, &MACS), layer(Ipv4, &[("total_length", 1), ("header_length", 4)]), udp]);
    assert_eq!(template.bytes[38..42], [0, 3, 0, 0]);
    assert_eq!(template.bytes[14..18], [0x44, 0, 0, 1]);
    assert_eq!(template.lengths, []);
    assert_eq!(template.checksums.iter().map(|checksum| checksum.offset).collect::<Vec<_>>(), [24]);

    // The UDP checksum, named by its place in the Ethernet header's terms.
    let mut ethernet = layer(Ethernet, &MACS);
    ethernet.set.push((bits(8 * 41, 4), 0xf));
    let template = short(&[ethernet, layer(Ipv4, &V4), layer(Udp, &[])]);
    assert_eq!(template.bytes[40..42], [0, 0xf0]);
    assert_eq!(template.checksums.len(), 1);
}

#[test]
fn bits_are_counted_from_where_the_header_starts() {
    let mut gre = layer(Gre, &[("key", 1)]);
    // Beyond the header: the IPv4 identification's low bits.
    gre.set.push((bits(8 * 12 + 3, 13), 0x1fff));
    let template = short(&[layer(Ethernet, &MACS), layer(Ipv4, &V4), gre.clone(), layer(Ipv4, &V4)]);
    assert_eq!(template.bytes[46..48], [0x1f, 0xff]);
    assert_eq!(template.window(2, &gre.set[1].0), Window { bytes: 46..48, shift: 0 });
}

/// What a length counts and the frame has not got are zeros, and a length that ends before the checksum is none.
#[test]
fn lengths_that_no_receiver_believes() {
    #[track_caller]
    fn check(total_length: Option<u128>, length: Option<u128>, said: u16, payload: &[u8]) {
        let set = |name, value: Option<u128>| value.map(|value| (name, value));
        let ip = [&V4[..], &set("total_length", total_length).into_iter().collect::<Vec<_>>()].concat();
        let udp: Vec<_> = set("length", length).into_iter().collect();
        let template = short(&[layer(Ethernet, &MACS), layer(Ipv4, &ip), layer(Udp, &udp)]);
        let mut oracle = etherparse::UdpHeader { source_port: 49152, destination_port: 9, length: said, checksum: 0 };
        let field = template.bytes[38..40].try_into().expect("two bytes");
        // The header's own length field counts beside the pseudo header's.
        let shift = i64::from(u16::from_be_bytes(field)) - i64::from(said);
        oracle.checksum = oracle.calc_checksum_ipv4_raw([10, 0, 0, 1], [10, 0, 0, 2], payload).expect("short");
        let expected = (i64::from(!oracle.checksum) + shift).rem_euclid(0xffff);
        let found = i64::from(!u16::from_be_bytes([template.bytes[40], template.bytes[41]]));
        assert_eq!(found.rem_euclid(0xffff), expected, "{total_length:?} {length:?}");
    }
    let zeros = |len| [&PAYLOAD[..], &vec![0; len]].concat();
    check(None, None, 13, &PAYLOAD);
    check(Some(30), Some(10), 10, &[1, 2]);
    check(None, Some(10), 10, &[1, 2]);
    // Longer than the packet, whether that ends with the frame or before.
    check(None, Some(113), 113, &zeros(100));
    check(Some(30), Some(13), 13, &[1, 2, 0, 0, 0]);
    check(Some(1000), None, 13, &PAYLOAD);
    // Too short for a UDP header.
    check(None, Some(0), 13, &PAYLOAD);
    check(Some(31), Some(7), 11, &[1, 2, 3]);
    check(Some(0), None, 13, &PAYLOAD);
    check(Some(27), Some(11), 11, &[1, 2, 3]);
}

/// The header's own bytes are in its checksum whatever the header length says; of one that is a length, as many as it says.
#[test]
fn header_lengths_that_no_receiver_believes() {
    for options in [vec![], vec![0x94, 4, 0, 0]] {
        for words in 0..=15 {
            let ip = [&V4[..], &[("header_length", words), ("identification", 0xbeef)]].concat();
            let ip = Layer { options: options.clone(), ..layer(Ipv4, &ip) };
            let layers = [layer(Ethernet, &MACS), ip, layer(Udp, &[])];
            let bytes = assemble(&layers, 100, &Payload::Random { seed: 1 }).expect("a stack").bytes;
            let own = 20 + options.len();
            let said = usize::try_from(4 * words).expect("small");
            let covered = &bytes[14..14 + if words < 5 { own } else { said }];
            let sum = etherparse::checksum::Sum16BitWords::new().add_slice(covered);
            assert_eq!(sum.ones_complement(), 0, "{words} words, {own} bytes");
        }
    }
}

/// RFC 768: a sum that comes out as zero is sent as all ones, in inner headers, too.
#[test]
fn udp_zero_rule() {
    let layers = [layer(Ethernet, &MACS), layer(Ipv4, &V4), layer(Gre, &[]), layer(Ipv6, &V6), layer(Udp, &[])];
    let room = 8;
    let len = assemble(&layers, 500, &Payload::Zeros).expect("a stack").header_len + room;
    let checksum = |payload: Vec<u8>| {
        let template = assemble(&layers, len, &Payload::Bytes(payload)).expect("a stack");
        [template.bytes[len - room - 2], template.bytes[len - room - 1]]
    };
    // What is missing to a sum of 0xffff is the checksum of zeros.
    let missing = checksum(vec![0; room]);
    assert_eq!(checksum(missing.to_vec()), [0xff, 0xff]);
}

#[test]
fn what_is_no_frame() {
    #[track_caller]
    fn check(layers: &[Layer], frame_len: usize, expected: &str) {
        let error = assemble(layers, frame_len, &Payload::Zeros).expect_err("no frame");
        assert_eq!(error.to_string(), expected);
    }
    let ethernet = || layer(Ethernet, &MACS);
    check(&[layer(Ipv4, &[])], 60, "`ipv4` cannot come first");
    check(&[ethernet(), layer(Ipv4, &[]), layer(Icmpv6, &[])], 60, "`icmpv6` cannot follow `ipv4`");
    check(&[ethernet(), layer(Ipv6, &[])], 53, "the headers take 54 bytes and the FCS 4, more than the frame's 57");
    let long = |kind, len| Layer { options: vec![1; len], ..layer(kind, &[]) };
    check(&[ethernet(), long(Ipv4, 41)], 200, "41 bytes of options, but `ipv4` has room for 40");
    check(&[ethernet(), layer(Ipv4, &[]), long(Tcp, 41)], 200, "41 bytes of options, but `tcp` has room for 40");
    let extension = long(Ipv6Routing, 2045);
    check(
        &[ethernet(), layer(Ipv6, &[]), extension],
        4000,
        "2045 bytes of options, but `ipv6_routing` has room for 2044",
    );
    let mut beyond = ethernet();
    beyond.set.push((bits(8 * 59 + 4, 5), 1));
    check(&[beyond], 60, "`bits` lies outside of the frame's 64 bytes");
    check(&[long(Custom, 1), layer(Vlan, &[("tpid", 1)])], 60, "`tpid` lies outside of the frame's 64 bytes");
}

#[test]
fn custom_stands_anywhere_and_hides_nothing() {
    let custom = || Layer { options: vec![0xc5; 3], ..layer(Custom, &[]) };
    for kind in HeaderKind::ALL {
        let template =
            short(&[custom(), layer(Ethernet, &MACS), custom(), layer(kind, &[]), custom(), layer(Udp, &[])]);
        assert_eq!(template.bytes[15..17], [0x88, 0xb5], "before custom: {kind:?}");
    }
    let over = |middle: &[Layer]| {
        let stack = [&[layer(Ethernet, &MACS), layer(Ipv4, &V4)], middle, &[layer(Udp, &[])]].concat();
        short(&stack).checksums[1].addresses[0].clone()
    };
    assert_eq!(over(&[]), 26..34, "the addresses");
    assert_eq!(over(&[custom()]), 26..34, "the same ones");
}

#[test]
fn deep_stacks() {
    let mut layers = vec![layer(Ethernet, &MACS)];
    layers.extend((0..10).map(|_| layer(Ipv6, &V6)));
    layers.push(layer(Tcp, &[]));
    let template = short(&layers);
    assert_eq!(template.header_len, 14 + 10 * 40 + 20);
    assert_eq!(template.lengths.len(), 10);
    assert_eq!(template.checksums[0].addresses[0], 14 + 9 * 40 + 8..14 + 10 * 40, "the innermost addresses");
}
