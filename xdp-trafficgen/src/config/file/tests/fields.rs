//! Headers, their fields, and their other parts.

use super::{check_fields, check_packet, only_packet, pattern};
use crate::{
    config::{Header, Located, Pattern, literal::parse_mask, pattern::Count},
    packet::{ChecksumMode, FieldType},
};

#[test]
fn headers() {
    check_packet("[]", &[("[]", "this packet has no headers")]);
    check_packet("'udp'", &[("'udp'", "`packet` must be an array, not the string \"udp\"")]);
    check_packet("['udp']", &[("'udp'", "`packet` must be a table, not the string \"udp\"")]);
    check_packet("[{}]", &[("{}", "name one of `ethernet`, `vlan`,")]);
    check_packet(
        "[{ vlan = {}, udp = { x = 1 } }]",
        &[
            (
                "{ vlan = {}, udp = { x = 1 } }",
                "several headers in one element of `packet`: `vlan`, `udp`",
            ),
            ("x", "`udp` has no field `x`"),
        ],
    );
    check_packet(
        "[{ ip = {} }, { quic = {} }, { udp = 5 }]",
        &[
            ("ip", "unknown header `ip`; did you mean `ipv4`?"),
            ("quic", "unknown header `quic`; the headers are `ethernet`, `vlan`,"),
            ("5", "`udp` must be a table, not the integer 5"),
        ],
    );
    check_fields(
        "udp",
        "dstport = 1, flags = 2",
        &[
            ("dstport", "`udp` has no field `dstport`; did you mean `dst_port`?"),
            ("flags", "`udp` has no field `flags`; the fields are `src_port`, `dst_port`"),
        ],
    );
}

#[test]
fn values() {
    check_fields(
        "udp",
        "dst_port = 65536",
        &[(
            "65536",
            "65536 is too large for `dst_port`; `dst_port` has 16 bits: its largest value is 65535",
        )],
    );
    check_fields(
        "vlan",
        "cfi = '0x2'",
        &[("'0x2'", "0x2 is too large for `cfi`; `cfi` has 1 bit:")],
    );
    check_fields("udp", "dst_port = -1", &[("-1", "-1 is negative")]);
    check_fields(
        "udp",
        "dst_port = 'http'",
        &[("'http'", "`http` is not a number; `dst_port` takes 0 to 65535")],
    );
    check_fields("udp", "dst_port = '+1'", &[("'+1'", "`+1` is not a number")]);
    check_fields(
        "udp",
        "dst_port = 1.0",
        &[("1.0", "`dst_port` must be a number, not the float 1.0")],
    );
    let large = "0xfffffffffffffffffffffffffffffffff";
    check_fields(
        "udp",
        &format!("dst_port = '{large}'"),
        &[(&format!("'{large}'"), "is too large for `dst_port`")],
    );
    check_fields("udp", &format!("dst_port = {large}"), &[(large, "has more than 128 bits")]);
    for mac in
        ["02:00:00:00:00", "02:00:00:00:00:00:01", "02:00-00:00:00:01", "02:00:00:00:00:+1", ""]
    {
        check_fields(
            "ethernet",
            &format!("dst = '{mac}'"),
            &[(&format!("'{mac}'"), "is not a MAC address; write six pairs")],
        );
    }
    check_fields(
        "ethernet",
        "dst = 2",
        &[("2", "`dst` must be a MAC address, not the integer 2; write it in quotes")],
    );
    check_fields("ipv4", "src = '10.0.0'", &[("'10.0.0'", "`10.0.0` is not an IPv4 address")]);
    check_fields(
        "ipv4",
        "src = '::1'",
        &[("'::1'", "`::1` is an IPv6 address, but this `src` is of IPv4")],
    );
    check_fields(
        "ipv6",
        "src = '10.0.0.1'",
        &[("'10.0.0.1'", "`10.0.0.1` is an IPv4 address, but this `src` is of IPv6")],
    );
    check_fields("ipv6", "src = 'fe80::1/64'", &[("'fe80::1/64'", "is a network")]);
}

#[test]
fn patterns() {
    check_fields("udp", "dst_port = []", &[("[]", "the list of values of `dst_port` is empty")]);
    check_fields(
        "udp",
        "dst_port = [1, 70000, 'a', 70001]",
        &[("70000", "too large"), ("'a'", "not a number"), ("70001", "too large")],
    );
    check_fields(
        "udp",
        "dst_port = { values = 1 }",
        &[("1", "`values` must be an array, not the integer 1")],
    );
    check_fields(
        "udp",
        "dst_port = {}",
        &[("{}", "the pattern of `dst_port` is empty; write one of `value`")],
    );
    check_fields(
        "udp",
        "dst_port = { incr = 5 }",
        &[("incr", "unknown key `incr` in a pattern; did you mean `increment`?")],
    );
    check_fields(
        "udp",
        "dst_port = { value = 1, random = {} }",
        &[(
            "{ value = 1, random = {} }",
            "the pattern of `dst_port` has several forms at once: `value`, `random`; keep one",
        )],
    );
    check_fields(
        "udp",
        "dst_port = { increment = 5 }",
        &[("5", "`increment` must be a table, not the integer 5")],
    );
    check_fields(
        "ipv4",
        "dst = { increment = { stride = 1 } }",
        &[
            ("{ stride = 1 }", "this counting pattern has no `start`; add `start = \"192.0.2.1\"`"),
            ("{ stride = 1 }", "this counting pattern has no `count`; add `count = 10`"),
            (
                "stride",
                "unknown key `stride` in a counting pattern; the keys of a counting pattern are `start`, `step`, `count`",
            ),
        ],
    );
    check_fields(
        "vlan",
        "id = { random = { min = 9, max = 5000, seed = 'x', sed = 1 } }",
        &[
            ("5000", "too large for `id`"),
            ("'x'", "`seed` must be an integer"),
            ("sed", "unknown key `sed` in a random pattern"),
        ],
    );
    check_fields(
        "vlan",
        "id.random = { min = 9, max = 8 }",
        &[("9", "the smallest value of `id`, 9, is above its largest, 8")],
    );
    check_fields(
        "ipv4",
        "src.random = { min = '10.0.0.9', max = '10.0.0.8' }",
        &[("'10.0.0.9'", "the smallest value of `src`, 10.0.0.9, is above its largest, 10.0.0.8")],
    );
}

#[test]
fn counting() {
    check_fields(
        "udp",
        "dst_port.increment = { start = 5, count = 0 }",
        &[("0", "`dst_port` counts 0 values")],
    );
    check_fields(
        "udp",
        "dst_port.increment = { start = 5, step = 0, count = 2 }",
        &[("0", "in steps of 0")],
    );
    check_fields(
        "udp",
        "dst_port.increment = { start = 70000, step = -1, count = 'x' }",
        &[("70000", "too large"), ("-1", "negative"), ("'x'", "`count` must be an integer")],
    );
    check_fields(
        "udp",
        "dst_port.increment = { start = 65000, step = 2, count = 1000 }",
        &[(
            "1000",
            "`dst_port` counts up from 65000 to 66998, above its largest value, 65535; a count of at most 268 stays",
        )],
    );
    check_fields(
        "udp",
        "dst_port.decrement = { start = 99, count = 101 }",
        &[(
            "101",
            "`dst_port` counts down from 99 to -1, below its smallest value, 0; a count of at most 100 stays",
        )],
    );
    check_fields(
        "ipv4",
        "src.increment = { start = '255.255.255.0', count = 257 }",
        &[(
            "257",
            "counts up from 255.255.255.0 to 255.255.255.255 + 1, above its largest value, 255.255.255.255; a count of at most 256",
        )],
    );
    check_fields(
        "ethernet",
        "src.decrement = { start = '00:00:00:00:00:02', count = 9 }",
        &[("9", "counts down from 00:00:00:00:00:02 to 00:00:00:00:00:00 - 6, below")],
    );
    check_fields(
        "ipv6",
        "src.increment = { start = '::1', step = '8000::', count = 4 }",
        &[(
            "4",
            "counts up from ::1 to a number of more than 128 bits, above its largest value, ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff; a count of at most 2",
        )],
    );
    // The last value that fits is accepted.
    pattern("udp", "dst_port.increment = { start = 65000, step = 5, count = 108 }");
    pattern("udp", "dst_port.decrement = { start = 99, count = 100 }");
    pattern(
        "ipv6",
        "src.increment = { start = '8000::', step = '7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', count = 2 }",
    );
}

#[test]
fn random_counts() {
    assert_eq!(
        pattern("udp", "dst_port.random = { min = 5, count = 1000 }"),
        Pattern::Random { min: 5, max: 65535, seed: None, count: Some(1000) }
    );
    check_fields(
        "udp",
        "dst_port.random = { count = 0 }",
        &[("0", "`dst_port` counts 0 values; write how many")],
    );
    check_fields("udp", "dst_port.random = { count = -1 }", &[("-1", "negative")]);
}

#[test]
fn bits() {
    let packet = only_packet(
        "[{ ipv4 = { bits = [{ offset = 6, mask = '1fff', value = 0x1234 }], ecn = 1 } }]",
    );
    let [bits, ecn] = packet[0].fields.as_slice() else { panic!("{packet:?}") };
    assert_eq!((&*bits.field.name, bits.field.bit_offset, bits.field.bits), ("bits[0]", 51, 13));
    assert_eq!(
        (bits.field.kind, &bits.pattern.value),
        (FieldType::Number, &Pattern::Value(0x1234))
    );
    assert_eq!(&*ecn.field.name, "ecn");
    let packet = only_packet(
        "[{ udp = { bits = [{ offset = 0, mask = '80', value = 1 }, { offset = 65535, mask = '00 01 00', increment = { start = 0, count = 2 } }] } }]",
    );
    let names: Vec<_> =
        packet[0].fields.iter().map(|read| (&*read.field.name, read.field.bit_offset)).collect();
    assert_eq!(names, [("bits[0]", 0), ("bits[1]", 65535 * 8 + 15)]);
    assert_eq!(
        packet[0].fields[1].pattern.value,
        Pattern::Increment(Count { start: 0, step: 1, count: 2 })
    );

    check_fields("udp", "bits = 5", &[("5", "`bits` must be an array, not the integer 5")]);
    check_fields("udp", "bits = [5]", &[("5", "`bits` must be a table, not the integer 5")]);
    check_fields(
        "udp",
        "bits = [{ value = 1 }]",
        &[
            ("{ value = 1 }", "this `bits` element has no `offset`; add `offset = 6`"),
            ("{ value = 1 }", "this `bits` element has no `mask`"),
        ],
    );
    check_fields(
        "udp",
        "bits = [{ offset = 1, mask = 'ff' }]",
        &[("{ offset = 1, mask = 'ff' }", "is empty")],
    );
    check_fields(
        "udp",
        "bits = [{ offset = 1, mask = 'ff', valeu = 1 }]",
        &[("valeu", "unknown key `valeu` in a `bits` element; did you mean `value`?")],
    );
    check_fields(
        "udp",
        "bits = [{ offset = 65536, mask = 'ff', value = 1 }]",
        &[("65536", "too large")],
    );
    check_fields(
        "udp",
        "bits = [{ offset = 1, mask = 0xff, value = 1 }]",
        &[("0xff", "`mask` must be a string")],
    );
    check_fields(
        "udp",
        "bits = [{ offset = 1, mask = '0f', value = 16 }]",
        &[("16", "16 is too large for `bits[0]`; `bits[0]` has 4 bits: its largest value is 15")],
    );
    check_fields(
        "udp",
        "bits = [{ offset = 1, mask = '0f0', value = 16 }, { offset = -1, mask = 'ff', increment = { start = 0, count = 0 } }]",
        &[("'0f0'", "odd number"), ("-1", "negative"), ("0", "counts 0 values")],
    );
}

#[test]
fn masks() {
    #[track_caller]
    fn check(text: &str, expected: Result<(u32, u32), &str>) {
        match (parse_mask(text), expected) {
            (Ok(mask), Ok(expected)) => assert_eq!((mask.skipped, mask.bits), expected, "{text}"),
            (Err(problem), Err(part)) => assert!(problem.to_string().contains(part), "{problem}"),
            (found, _) => panic!("{text}: {found:?}"),
        }
    }
    check("ff", Ok((0, 8)));
    check("1fff", Ok((3, 13)));
    check("00 00 18 00", Ok((19, 2)));
    check("01", Ok((7, 1)));
    check(&"ff".repeat(16), Ok((0, 128)));
    check(&format!("{}01", "00".repeat(15)), Ok((127, 1)));
    check(&"ff".repeat(17), Err("has 17 bytes; write 16 bytes at most"));
    check("00", Err("the mask `00` picks no bits"));
    check("f0f0", Err("are not in one piece"));
    check("05", Err("are not in one piece"));
    check("0x0f", Err("`x` in `0x0f`"));
    check("", Err("no bytes"));
}

#[test]
fn options() {
    let packet = only_packet("[{ ipv4 = { options = '94 04 00 00', ecn = 1 } }]");
    let [Header { options, fields, .. }] = packet.as_slice() else { panic!("{packet:?}") };
    assert_eq!((options.value.as_slice(), fields.len()), (&[0x94, 4, 0, 0][..], 1));
    assert!(only_packet("[{ ipv4 = {} }]")[0].options.value.is_empty());
    check_fields("ipv4", "options = 5", &[("5", "`options` must be a string, not the integer 5")]);
    check_fields(
        "ipv4",
        "options = ['nop']",
        &[("['nop']", "`options` must be a string, not an array")],
    );
    check_fields("ipv4", "options = ''", &[("''", "there are no bytes in ``")]);
    check_fields("udp", "options = '00'", &[("options", "`udp` has no field `options`")]);
}

#[test]
fn checksums() {
    for (text, mode) in [("'good'", ChecksumMode::Good), ("'bad'", ChecksumMode::Bad)] {
        assert_eq!(only_packet(&format!("[{{ udp.checksum = {text} }}]"))[0].checksum.value, mode);
        assert_eq!(
            only_packet(&format!("[{{ ipv4.header_checksum = {text} }}]"))[0].checksum.value,
            mode
        );
    }
    assert_eq!(only_packet("[{ udp = {} }]")[0].checksum, Located::default(ChecksumMode::Good));
    check_fields(
        "udp",
        "checksum = 'goood'",
        &[("'goood'", "unknown checksum `goood`; write `\"good\"`, `\"bad\"` or")],
    );
    check_fields("ipv4", "checksum = 'bad'", &[("checksum", "`ipv4` has no field `checksum`")]);
    check_fields(
        "ethernet",
        "checksum = 'bad'",
        &[("checksum", "`ethernet` has no field `checksum`")],
    );
}
