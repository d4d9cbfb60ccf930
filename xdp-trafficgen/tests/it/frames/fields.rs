//! Fields of every width and place, as many as a program has slots for, and checksums over them.

use std::slice;

use xdp_trafficgen::{
    config::Origin,
    packet::HeaderKind::{Ethernet, Ipv4, Ipv6, Udp, Vlan},
};

use super::{
    address, check,
    model::{
        Advance, Fields, Flow, Follow, Pattern, Payload, decrement, flow, increment, random,
        text::toml,
    },
    rig::{self, largest_size, load, plan},
};
use crate::harness::privileged;

/// Fields with random values: a single one, and several of different widths in step.
#[test]
fn random_values_are_counted_and_followed() {
    if !privileged() {
        return;
    }
    let draws = |min, count| Pattern::Random { min, max: min + 0xffff, seed: Some(3), count };
    for count in [None, Some(1), Some(2), Some(30)] {
        let mut both = flow(
            70,
            &[
                (Ethernet, &[]),
                (Ipv6, &[("src", draws(1 << 100, count))]),
                (Udp, &[("dst_port", draws(0, count))]),
            ],
        );
        check(&both);
        if count != Some(1) {
            both.headers[2].fields[0].follow = Some(Follow { leader: (1, 0), pace: Advance::Step });
            check(&both);
        }
    }
}

#[test]
fn a_zero_udp_checksum_is_sent_as_ones() {
    if !privileged() {
        return;
    }
    for network in [Ipv4, Ipv6] {
        let at = |port: Pattern| {
            flow(66, &[(Ethernet, &[]), (network, &[]), (Udp, &[("src_port", port)])])
        };
        let checksum = 14 + if network == Ipv4 { 20 } else { 40 } + 6;
        let has_ones = |port: &u128| {
            at(Pattern::Value(*port)).frame(0)[checksum..checksum + 2] == [0xff, 0xff]
        };
        // RFC 768: only a zero result becomes 0xffff.
        let port = (1..=65534).find(has_ones).expect("one of all ports makes the sum 0xffff");
        check(&at(Pattern::Values(vec![port, port - 1, port + 1])));
        check(&at(increment(port - 1, 1, 3)));
        check(&at(random(port - 1, port + 1, 4)));
        // The same holds where the checksum does not vary with the field.
        let mut fixed = at(Pattern::Value(port));
        fixed.headers[0].fields[0].pattern = increment(0x0200_0000_0001, 1, 9);
        check(&fixed);
    }
}

/// RFC 791 has no such rule.
#[test]
fn a_zero_ipv4_checksum_stays_zero() {
    if !privileged() {
        return;
    }
    let at = |identification| {
        flow(64, &[(Ethernet, &[]), (Ipv4, &[("identification", identification)]), (Udp, &[])])
    };
    let has_zero = |value: &u128| at(Pattern::Value(*value)).frame(0)[24..26] == [0, 0];
    let value =
        (1..=65534).find(has_zero).expect("one of all identifications makes the sum 0xffff");
    check(&at(increment(value - 1, 1, 3)));
}

#[test]
fn odd_lengths() {
    if !privileged() {
        return;
    }
    for network in [Ipv4, Ipv6] {
        for size in [67, 68, 69, 1517, 1518, largest_size() - 1, largest_size()] {
            let mut odd = flow(
                size,
                &[(Ethernet, &[]), (network, &[]), (Udp, &[("dst_port", random(0, 65535, 5))])],
            );
            odd.payload = Payload::Pattern(vec![0xff, 0x01, 0x80]);
            check(&odd);
        }
    }
}

#[test]
fn addresses_of_128_bits() {
    if !privileged() {
        return;
    }
    let largest = u128::MAX;
    for src in [
        increment(address("2001:db8::"), address("0:0:0:1::"), 5),
        increment(address("2001:db8:0:0:ffff:ffff:ffff:ffff"), 1, 3),
        increment(0, address("8000::"), 2),
        increment(largest - 2, 1, 3),
        increment(0, 1, u64::MAX),
        increment(0, 1 << 64, u64::MAX),
        decrement(10, 1, 11),
        decrement(largest, largest / 4, 5),
        decrement(address("0:0:0:1::"), 1, 3),
        decrement(address("ffff::1"), address("0:0:0:1::1"), 2),
        Pattern::Values(vec![0, largest, address("::1"), address("1::")]),
        random(0, largest, 0),
        random(1, largest, u64::MAX),
        random(0, 1, 2),
        random(0, u64::MAX.into(), 3),
        random(0, 1 << 64, 3),
        random(address("2001:db8::"), address("2001:db8::ffff:ffff"), 6),
        random(largest, largest, 6),
    ] {
        check(&flow(70, &[(Ethernet, &[]), (Ipv6, &[("src", src.clone())]), (Udp, &[])]));
    }
}

#[test]
fn narrow_fields_at_their_ends() {
    if !privileged() {
        return;
    }
    let mac = (1 << 48) - 1;
    for dst in [
        decrement(5, 1, 6),
        decrement(mac, mac, 2),
        increment(0, mac, 2),
        increment(mac - 1, 1, 2),
        increment(7, 0, 1),
        Pattern::Values(vec![0x0200_0000_0001, mac, 0, 0x0200_0000_0001]),
        random(0, mac, 8),
        random(1, mac, 8),
        random(0, (1 << 32) - 2, 8),
        random(0, (1 << 32) - 1, 8),
        random(0, 1 << 32, 8),
    ] {
        check(&flow(64, &[(Ethernet, &[("dst", dst.clone())])]));
    }
}

#[test]
fn fields_that_share_bytes() {
    if !privileged() {
        return;
    }
    let (priority, cfi, id) = (|| decrement(7, 1, 8), || increment(0, 1, 2), || random(0, 4095, 3));
    let constant = Pattern::Value;
    let vlans: [Fields<'_>; 5] = [
        &[("id", id()), ("priority", priority())],
        &[("id", id()), ("priority", constant(5)), ("cfi", constant(1))],
        &[("id", constant(0xabc)), ("priority", priority()), ("cfi", cfi())],
        &[("cfi", cfi())],
        &[("id", id()), ("priority", priority()), ("cfi", cfi())],
    ];
    for vlan in vlans {
        check(&flow(64, &[(Ethernet, &[]), (Vlan, vlan), (Vlan, vlan)]));
    }
    let (dscp, ecn) = (|| increment(1, 9, 7), || Pattern::Values(vec![3, 0, 1]));
    let first_lines: [Fields<'_>; 3] = [
        &[("dscp", dscp()), ("ecn", ecn())],
        &[("dscp", constant(46)), ("ecn", ecn())],
        &[("dscp", dscp())],
    ];
    for fields in first_lines {
        check(&flow(64, &[(Ethernet, &[]), (Ipv4, fields), (Udp, &[])]));
    }
    let (class, label) = (|| increment(0, 5, 52), || random(0, 0xf_ffff, 6));
    let first_lines: [Fields<'_>; 3] = [
        &[("traffic_class", class()), ("flow_label", label())],
        &[("traffic_class", constant(0xff)), ("flow_label", label())],
        &[("traffic_class", class()), ("flow_label", constant(0xf_0f0f))],
    ];
    for fields in first_lines {
        check(&flow(70, &[(Ethernet, &[]), (Ipv6, fields), (Udp, &[])]));
    }
}

#[test]
fn next_protocols_vary_too() {
    if !privileged() {
        return;
    }
    check(&flow(
        64,
        &[
            (Ethernet, &[("ether_type", random(0, 0xffff, 1))]),
            (Vlan, &[("ether_type", increment(0x0800, 1, 20))]),
            (Ipv4, &[("protocol", increment(0, 1, 256)), ("time_to_live", decrement(255, 3, 80))]),
            (Udp, &[]),
        ],
    ));
    check(&flow(
        70,
        &[
            (Ethernet, &[]),
            (Ipv6, &[("next_header", random(0, 255, 1)), ("hop_limit", increment(1, 1, 255))]),
            (Udp, &[]),
        ],
    ));
}

/// As many varying fields as there are slots.
fn sixteen_fields() -> Flow {
    let tag: Fields<'_> = &[
        ("id", random(0, 4095, 1)),
        ("cfi", increment(0, 1, 2)),
        ("priority", decrement(7, 1, 8)),
    ];
    let mac = || Pattern::Values(vec![0x0200_0000_0001, 0x0200_0000_0002]);
    flow(
        64,
        &[
            (Ethernet, &[("dst", mac()), ("src", increment(0x0200_0000_0000, 1, 1 << 40))]),
            (Vlan, tag),
            (Vlan, tag),
            (
                Ipv4,
                &[
                    ("dscp", random(0, 63, 2)),
                    ("ecn", random(1, 3, 3)),
                    ("identification", increment(0, 7, 9362)),
                    ("time_to_live", decrement(64, 1, 64)),
                    ("src", random(0x0a00_0000, 0x0aff_ffff, 4)),
                    ("dst", increment(0xc612_0000, 1, 1 << 17)),
                ],
            ),
            (
                Udp,
                &[
                    ("src_port", random(1024, 65535, 5)),
                    ("dst_port", Pattern::Values(vec![53, 80, 443])),
                ],
            ),
        ],
    )
}

#[test]
fn many_fields_of_one_flow() {
    if !privileged() {
        return;
    }
    check(&sixteen_fields());
}

/// Plans `flow`, which must be refused: `place` is the text that the error points at, `message` all
/// it says.
#[track_caller]
fn check_refused(flow: &Flow, place: &str, message: &str) {
    let toml = toml(slice::from_ref(flow), &[0], "redirect");
    let diagnostics = plan(&toml).expect_err("a refusal");
    let [diagnostic] = diagnostics.list() else { panic!("{diagnostics}") };
    let Origin::File(span) = &diagnostic.place else { panic!("{diagnostic:?}") };
    assert_eq!((&toml[span.clone()], diagnostic.message.as_str()), (place, message));
    assert!(!diagnostic.help.is_empty());
}

#[test]
fn headers_that_fill_the_frame() {
    let full = |size| {
        flow(size, &[(Ethernet, &[]), (Ipv6, &[]), (Udp, &[("src_port", increment(0, 1, 65536))])])
    };
    check_refused(
        &full(65),
        "65",
        "the headers take 62 bytes and the FCS 4, more than the frame's 65",
    );
    if !privileged() {
        return;
    }
    check(&full(66));
    // No payload at all, and a payload of two bytes: no stack of these headers is 60 bytes long.
    check(&flow(
        66,
        &[(Ethernet, &[]), (Vlan, &[]), (Vlan, &[]), (Ipv6, &[("dst", random(0, u128::MAX, 2))])],
    ));
    check(&flow(64, &[(Ethernet, &[]), (Vlan, &[]), (Ipv6, &[("hop_limit", random(0, 255, 2))])]));
}

/// Two random fields, each with followers, one of which has to stand in front of everything.
#[test]
fn followers_keep_to_their_own_leader() {
    if !privileged() {
        return;
    }
    let toml = "[[ports]]\nname = 'p'\ninterface = 'p0'\naction = 'pass'\n[[flows]]\nname = 'f'\nport = 'p'\npacket = [\
        { ethernet = { dst = { random = { min = '02:00:00:00:00:00', max = '02:00:00:00:00:07' } }, \
                       src = { increment = { start = '02:00:00:00:01:00', count = 8 }, follow = 'ethernet.dst' } } },\
        { vlan = { id = { increment = { start = 1, count = 4 }, follow = { field = 'vlan[1].id', pace = 'round' } } } },\
        { vlan = { priority = { increment = { start = 0, count = 8 }, follow = 'udp.src_port' }, \
                   id = { increment = { start = 1, count = 4 } } } },\
        { ipv4 = {} }, { udp = { src_port = { random = { min = 0, max = 7 } } } }]\n";
    let port = rig::plan(toml).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let generator = load(&port.program, 0);
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..200_u32 {
        let (_, made) = generator.dry_run(&port.program.frame).expect("an ordinary run");
        let (outer, inner) = (made[15], made[19]);
        assert_eq!(made[5], made[11], "MAC addresses of frame {number}");
        assert_eq!(made[18] >> 5, made[43], "priority and source port of frame {number}");
        assert_eq!(
            (u32::from(outer) - 1, u32::from(inner) - 1),
            (number / 4 % 4, number % 4),
            "tags of frame {number}"
        );
        seen.insert((made[5], made[43]));
    }
    // The two are drawn independently: most of the 64 pairs occur.
    assert!(seen.len() > 40, "{seen:?}");
}
