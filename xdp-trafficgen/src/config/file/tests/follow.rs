//! Followers and their leaders.

use super::{check_packet, only_packet};
use crate::config::{Advance, Follow};

/// Checks the followers in a packet: header and field, and the leader of each.
#[track_caller]
fn follows(packet: &str) -> Vec<((usize, usize), Follow)> {
    let headers = only_packet(packet);
    let fields = headers.iter().enumerate().flat_map(|(header, own)| {
        own.fields.iter().enumerate().map(move |(field, setting)| ((header, field), setting))
    });
    fields.filter_map(|(at, setting)| Some((at, setting.follow.as_ref()?.value))).collect()
}

/// [`check_packet`] of an IPv4 packet with a UDP header of these fields.
#[track_caller]
fn check_udp(fields: &str, expected: &[(&str, &str)]) {
    let count = "increment = { start = '10.0.0.1', count = 4 }";
    let ipv4 = format!(
        "{{ ipv4 = {{ src = {{ {count} }}, dst = '10.0.0.9', ecn = {{ random = {{}} }} }} }}"
    );
    check_packet(&format!("[{ipv4}, {{ udp = {{ {fields} }} }}]"), expected);
}

#[test]
fn found() {
    let step = |header, field| Follow { header, field, advance: Advance::Step };
    assert_eq!(
        follows(
            "[{ ipv4 = { ecn = 1, src = { increment = { start = '10.0.0.1', count = 4 } }, dst = { decrement = { start = '10.0.0.9', count = 4 }, follow = 'ipv4.src' } } }]"
        ),
        [((0, 2), step(0, 1))]
    );
    // A follower may be written before its leader, and may lead another field.
    assert_eq!(
        follows(
            "[{ ethernet = { dst = { increment = { start = '02:00:00:00:00:00', count = 3 }, follow.field = 'udp.dst_port' } } }, { udp = { src_port = { values = [7, 8, 9], follow = { field = 'ethernet.dst', pace = 'round' } }, dst_port = [1, 2, 3] } }]"
        ),
        [((0, 0), step(1, 1)), ((1, 0), Follow { header: 0, field: 0, advance: Advance::Round })]
    );
    assert_eq!(
        follows(
            "[{ vlan = { id = [1, 2] } }, { vlan = { id = [3, 4] } }, { vlan = { id = { values = [5, 6], follow = 'vlan[1].id' } } }]"
        ),
        [((2, 0), step(1, 0))]
    );
    assert_eq!(
        follows(
            "[{ udp = { bits = [{ offset = 0, mask = 'ff', values = [1, 2] }, { offset = 9, mask = '03', values = [1, 2], follow = 'udp.bits[0]' }] } }]"
        ),
        [((0, 1), step(0, 0))]
    );
    // Random values can be in step when they have a count, or when neither field has one.
    assert_eq!(follows("[{ udp = { src_port = { random = { count = 9 } }, dst_port = { random = { count = 9 }, follow = 'udp.src_port' } } }]").len(), 1);
    assert_eq!(
        follows("[{ udp = { src_port = { random = {} }, dst_port = { random = {}, follow = 'udp.src_port' } } }]")
            .len(),
        1
    );
    assert_eq!(follows("[{ udp = { src_port = { random = { min = 5, max = 6 } }, dst_port = { values = [7, 8], follow = 'udp.src_port' } } }]").len(), 1);
}

#[test]
fn paths() {
    let follow = |path: &str| format!("src_port = {{ values = [1, 2, 3, 4], follow = '{path}' }}");
    let check = |path: &str, part: &str| check_udp(&follow(path), &[(&format!("'{path}'"), part)]);
    check("ip.src", "this packet has no `ip` header; did you mean `ipv4`?");
    check(
        "gre.key",
        "this packet has no `gre` header; the headers of this packet are `ipv4`, `udp`",
    );
    check(
        "ipv4[1].src",
        "this packet has no `ipv4[1]`; the last one from the outside in is `ipv4[0]`",
    );
    check("ipv4.identificaton", "`ipv4` has no field `identificaton`; did you mean");
    check("ipv4.bits[0]", "`ipv4` has no field `bits[0]`");
    check(
        "ipv4.identification",
        "`ipv4.identification` is not among the fields this packet sets; give it values",
    );
    check("ipv4", "`ipv4` is not a header and its field; write the field to go along with");
    check("ipv4.src.x", "is not a header and its field");
    check("ipv4.src=5", "is not a header and its field");
    check("", "a name is missing");
    check("ipv4..src", "a name is missing");
    check("ipv4[x].src", "`[x]` is no index");
    check("ipv4[1", "`[1` is no index");
    check("ipv4[+0].src", "`[+0]` is no index");
    check("ipv4 src", "unexpected `s` in a path");
    check_packet(
        "[{ vlan = { id = [1, 2] } }, { vlan = { id = [3, 4] } }, { udp = { src_port = { values = [5, 6], follow = 'vlan.id' } } }]",
        &[(
            "'vlan.id'",
            "this packet has 2 `vlan` headers; say which, from the outside in: `vlan[0]` to `vlan[1]`",
        )],
    );
    check_udp(
        "src_port = { value = 1, follow = 5 }",
        &[("5", "`follow` must be a string or a table")],
    );
    check_udp(
        "src_port = { value = 1, follow = { pace = 'slow' } }",
        &[
            ("{ pace = 'slow' }", "this follow has no `field`"),
            ("'slow'", "unknown pace `slow`; the choices are `step`, `round`"),
        ],
    );
    check_udp(
        "src_port = { follow = 'ipv4.src' }",
        &[("{ follow = 'ipv4.src' }", "the pattern of `src_port` is empty")],
    );
    // A field that may be the leader once its error is mended is not reported as missing.
    check_packet(
        "[{ ipv5 = { src = ['10.0.0.1', '10.0.0.2'] } }, { udp = { src_port = { values = [5, 6], follow = 'ipv4.src' } } }]",
        &[("ipv5", "unknown header `ipv5`")],
    );
    check_packet(
        "[{ ipv4 = { sorc = ['10.0.0.1', '10.0.0.2'] } }, { udp = { src_port = { values = [5, 6], follow = 'ipv4.src' } } }]",
        &[("sorc", "no field `sorc`")],
    );
    check_packet(
        "[{ ipv4 = { src = ['10.0.0.1', 5] } }, { udp = { src_port = { values = [5, 6], follow = 'ipv4.src' } } }]",
        &[("5", "`src` must be an IPv4 address")],
    );
}

#[test]
fn circles() {
    check_udp(
        "src_port = { values = [1, 2], follow = 'udp.src_port' }",
        &[(
            "'udp.src_port'",
            "`udp.src_port` follows itself; follow a field that goes by its own pattern",
        )],
    );
    check_udp(
        "src_port = { values = [1, 2], follow = 'udp.dst_port' }, dst_port = { values = [1, 2], follow = { field = 'udp.src_port', pace = 'round' } }, bits = [{ offset = 0, mask = 'ff', values = [1, 2], follow = 'udp.src_port' }]",
        &[(
            "'udp.dst_port'",
            "`udp.src_port` follows itself in a circle: it follows `udp.dst_port`, which follows `udp.src_port`",
        )],
    );
}

#[test]
fn unequal() {
    check_udp(
        "src_port = { increment = { start = 1, count = 3 }, follow = 'ipv4.src' }",
        &[(
            "'ipv4.src'",
            "`udp.src_port` has 3 values, `ipv4.src` has 4; give both the same number of values, or",
        )],
    );
    check_udp(
        "src_port = { value = 3, follow = 'ipv4.src' }",
        &[("'ipv4.src'", "`udp.src_port` has 1 values, `ipv4.src` has 4")],
    );
    check_udp(
        "src_port = { values = [1, 2], follow = 'ipv4.dst' }",
        &[("'ipv4.dst'", "`ipv4.dst` has a single value, so there is nothing to go along with")],
    );
    check_udp(
        "src_port = { random = {}, follow = 'ipv4.src' }",
        &[(
            "'ipv4.src'",
            "`udp.src_port` takes random values without end, `ipv4.src` only 4; give it a count: `random = { …, count = 4 }`",
        )],
    );
    check_udp(
        "src_port = { values = [1, 2], follow = 'ipv4.ecn' }",
        &[("'ipv4.ecn'", "has 2 values, `ipv4.ecn` has 4")],
    );
    check_udp(
        "src_port = { random = {}, follow = 'ipv4.ecn' }",
        &[("'ipv4.ecn'", "has 65536 values, `ipv4.ecn` has 4")],
    );
    check_packet(
        "[{ ipv6 = { src = { random = {} }, dst = { values = ['::1', '::2'], follow = 'ipv6.src' } } }]",
        &[("'ipv6.src'", "`ipv6.dst` has 2 values, `ipv6.src` has 2¹²⁸")],
    );
}

#[test]
fn rounds() {
    let round = |pattern: &str, leader: &str| {
        format!("src_port = {{ {pattern}, follow = {{ field = '{leader}', pace = 'round' }} }}")
    };
    check_udp(
        &round("values = [1, 2]", "ipv4.ecn"),
        &[("'ipv4.ecn'", "`ipv4.ecn` takes random values without end, so")],
    );
    check_udp(
        &round("random = {}", "ipv4.src"),
        &[("'ipv4.src'", "`udp.src_port` takes random values without end; give")],
    );
    check_udp(
        &round("value = 1", "ipv4.src"),
        &[("'ipv4.src'", "has a single value, so there is nothing to move on to")],
    );
    check_udp(
        &round("values = [1, 2]", "ipv4.dst"),
        &[("'ipv4.dst'", "`ipv4.dst` has a single value")],
    );
    // A leader further up has random values without a count.
    check_udp(
        &format!(
            "dst_port = {{ values = [1, 2, 3, 4], follow = 'ipv4.ecn' }}, {}",
            round("values = [1, 2]", "udp.dst_port")
        ),
        &[(
            "'udp.dst_port'",
            "`ipv4.ecn` takes random values without end, so there is none to wait for",
        )],
    );
    let long = "increment = { start = '::', count = 0x1_0000_0000 }";
    check_packet(
        &format!(
            "[{{ ipv6 = {{ src = {{ {long} }}, dst = {{ {long}, follow = {{ field = 'ipv6.src', pace = 'round' }} }}, flow_label = {{ values = [1, 2], follow = {{ field = 'ipv6.dst', pace = 'round' }} }} }} }}]"
        ),
        &[(
            "'ipv6.dst'",
            "`ipv6.flow_label` would move on after more than 2⁶⁴ frames; give the fields it follows fewer",
        )],
    );
}
