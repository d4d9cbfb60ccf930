//! Frames against etherparse's, byte by byte, and the rules that need no decoder to be seen.

use etherparse::{
    ArpHardwareId, ArpOperation, ArpPacket, EtherType, IpHeaders, IpNumber, Ipv4Header,
    PacketBuilder,
    TcpOptionElement::{MaximumSegmentSize, Noop, WindowScale},
    TcpOptions, VlanId,
};

use super::{
    HeaderKind::*,
    headers::Addressing,
    testing::{MACS, PAYLOAD, V4, V6, bits, layer, short},
    *,
};

#[track_caller]
fn check(layers: &[Layer], write: impl FnOnce(&mut Vec<u8>)) {
    let mut expected = Vec::new();
    write(&mut expected);
    let found = short(layers).bytes;
    assert_eq!(found, expected, "\nfound    {found:02x?}\nexpected {expected:02x?}");
}

#[test]
fn as_etherparse_builds_them() {
    let ethernet = || PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let v6 = |last| [0x20, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    let ports = [("src_port", 7), ("dst_port", 9)];

    check(&[layer(Ethernet, &MACS), layer(Ipv4, &V4), layer(Udp, &ports)], |frame| {
        // etherparse's builder sets "don't fragment", we do not.
        let mut ip =
            Ipv4Header::new(0, 64, IpNumber::UDP, [10, 0, 0, 1], [10, 0, 0, 2]).expect("short");
        ip.dont_fragment = false;
        ethernet()
            .ip(IpHeaders::Ipv4(ip, Default::default()))
            .udp(7, 9)
            .write(frame, &PAYLOAD)
            .expect("a frame");
    });
    let mut options = layer(
        Tcp,
        &[("src_port", 7), ("dst_port", 9), ("seq_num", 5), ("ctl_syn", 1), ("window", 3)],
    );
    let elements = [MaximumSegmentSize(1460), WindowScale(7), Noop, Noop];
    options.options = TcpOptions::try_from_elements(&elements).expect("few").as_slice().to_vec();
    check(
        &[layer(Ethernet, &MACS), layer(Vlan, &[("id", 5)]), layer(Ipv6, &V6), options],
        |frame| {
            let ip =
                ethernet().single_vlan(VlanId::try_new(5).expect("12 bits")).ipv6(v6(1), v6(2), 64);
            ip.tcp(7, 9, 5, 3)
                .syn()
                .options(&elements)
                .expect("few")
                .write(frame, &PAYLOAD)
                .expect("a frame");
        },
    );
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
    let addresses =
        [("sender_hardware_addr", 1), ("sender_protocol_addr", 2), ("target_protocol_addr", 3)];
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
fn what_the_user_set_is_sent_and_not_listed() {
    let udp = layer(Udp, &[("length", 3), ("checksum", 0)]);
    let template = short(&[
        layer(Ethernet, &MACS),
        layer(Ipv4, &[("total_length", 1), ("header_length", 4)]),
        udp,
    ]);
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
    let template =
        short(&[layer(Ethernet, &MACS), layer(Ipv4, &V4), gre.clone(), layer(Ipv4, &V4)]);
    assert_eq!(template.bytes[46..48], [0x1f, 0xff]);
    assert_eq!(template.window(2, &gre.set[1].0), Window { bytes: 46..48, shift: 0 });
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
    check(
        &[ethernet(), layer(Ipv6, &[])],
        53,
        "the headers take 54 bytes and the FCS 4, more than the frame's 57",
    );
    let long = |kind, len| Layer { options: vec![1; len], ..layer(kind, &[]) };
    check(&[ethernet(), long(Ipv4, 41)], 200, "41 bytes of options, but `ipv4` has room for 40");
    check(
        &[ethernet(), layer(Ipv4, &[]), long(Tcp, 41)],
        200,
        "41 bytes of options, but `tcp` has room for 40",
    );
    let extension = long(Ipv6Routing, 2045);
    check(
        &[ethernet(), layer(Ipv6, &[]), extension],
        4000,
        "2045 bytes of options, but `ipv6_routing` has room for 2044",
    );
    let mut beyond = ethernet();
    beyond.set.push((bits(8 * 59 + 4, 5), 1));
    check(&[beyond], 60, "`bits` lies outside of the frame's 64 bytes");
    check(
        &[long(Custom, 1), layer(Vlan, &[("tpid", 1)])],
        60,
        "`tpid` lies outside of the frame's 64 bytes",
    );
}

#[test]
fn deep_stacks() {
    let mut layers = vec![layer(Ethernet, &MACS)];
    layers.extend((0..10).map(|_| layer(Ipv6, &V6)));
    layers.push(layer(Tcp, &[]));
    let template = short(&layers);
    assert_eq!(template.header_len, 14 + 10 * 40 + 20);
    assert_eq!(template.lengths.len(), 10);
    assert_eq!(
        template.checksums[0].addresses[0],
        14 + 9 * 40 + 8..14 + 10 * 40,
        "the innermost addresses"
    );
}

#[test]
fn fields_are_in_the_order_of_the_wire_and_do_not_overlap() {
    for kind in HeaderKind::ALL {
        let mut end = i32::MIN;
        for field in kind.fields() {
            let name = format!("{}.{}", kind.name(), field.name);
            assert!(field.bit_offset >= end, "{name} starts before the end of the field before");
            assert!((1..=128).contains(&field.bits), "{name} has {} bits", field.bits);
            end = field.bit_offset + i32::try_from(field.bits).expect("at most 128");
        }
        assert_eq!(end.max(0) % 8, 0, "{} ends within a byte", kind.name());
        if let Some(checksum) = kind.checksum_field() {
            assert_eq!(checksum.bits, 16, "{}.{}", kind.name(), checksum.name);
        }
    }
}

#[test]
fn a_tag_has_the_fields_that_name_its_vlan() {
    for kind in HeaderKind::ALL {
        if let Addressing::Tag { protocol, id } = kind.def().addressing {
            assert!(kind.field(protocol).is_some() && kind.field(id).is_some(), "{}", kind.name());
        }
    }
}
