//! Parts that only some kinds of headers have.

use std::fmt::Write as _;

use super::{check_fields, check_packet, only_packet};
use crate::{
    config::{Header, Origin, Pattern},
    packet::{ChecksumMode, FieldType, HeaderKind},
};

#[test]
fn every_field_of_every_header() {
    for kind in HeaderKind::ALL {
        let mut fields = String::new();
        for field in kind.fields() {
            let value = match field.kind {
                FieldType::Number => field.max().to_string(),
                FieldType::Mac => "'ff:ff:ff:ff:ff:ff'".to_owned(),
                FieldType::Ipv4 => "'255.255.255.255'".to_owned(),
                FieldType::Ipv6 => "'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'".to_owned(),
            };
            write!(fields, "{} = {value}, ", field.name).unwrap();
        }
        if let Some(options) = kind.options() {
            write!(fields, "{} = '0102'", options.name).unwrap();
        }
        let packet = only_packet(&format!("[{{ {} = {{ {fields} }} }}]", kind.name()));
        let [Header { kind: read, fields, options, .. }] = packet.as_slice() else {
            panic!("{packet:?}")
        };
        assert_eq!(read.value, kind);
        assert_eq!(
            options.value.as_slice(),
            if kind.options().is_some() { &[1, 2][..] } else { &[] }
        );
        let read: Vec<_> = fields.iter().map(|read| (&*read.field, &read.pattern.value)).collect();
        let values: Vec<_> =
            kind.fields().iter().map(|field| Pattern::Value(field.max())).collect();
        assert_eq!(read, kind.fields().iter().zip(&values).collect::<Vec<_>>());
    }
}

#[test]
fn custom_bytes() {
    assert_eq!(only_packet("[{ custom = { bytes = 'de ad' } }]")[0].options.value, [0xde, 0xad]);
    check_fields(
        "custom",
        "",
        &[("{  }", "this `custom` has no `bytes`; add `bytes = \"dead beef\"`")],
    );
    check_fields("custom", "bytes = ''", &[("''", "there are no bytes in ``")]);
    check_fields(
        "custom",
        "src = 1, bytes = '00'",
        &[("src", "`custom` has no field `src`; the fields are `bytes`, `bits`")],
    );
}

#[test]
fn tcp_options() {
    #[track_caller]
    fn check(options: &str, expected: &[u8]) {
        assert_eq!(
            only_packet(&format!("[{{ tcp = {{ options = {options} }} }}]"))[0].options.value,
            expected
        );
    }
    // RFC 9293 section 3.2, RFC 7323 sections 2.2 and 3.2, RFC 2018 sections 2 and 3.
    check("'0204 05b4'", &[2, 4, 5, 0xb4]);
    check("[]", &[]);
    check("[{ mss = 1460 }]", &[2, 4, 5, 0xb4]);
    check("['nop', { window_scale = 7 }]", &[1, 3, 3, 7]);
    check("['sack_permitted']", &[4, 2, 0, 0]);
    check("['end']", &[0, 0, 0, 0]);
    check("['nop', 'nop', 'nop', 'nop', 'end']", &[1, 1, 1, 1, 0, 0, 0, 0]);
    check("['nop', 'nop', 'nop', 'end']", &[1, 1, 1, 0]);
    check(
        "['nop', 'nop', { timestamp = { value = 0x01020304, echo = 5 } }]",
        &[1, 1, 8, 10, 1, 2, 3, 4, 0, 0, 0, 5],
    );
    check("[{ timestamp.value = 1 }]", &[8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    check(
        "['nop', 'nop', { sack = [[1, 2], [3, 4]] }]",
        &[1, 1, 5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4],
    );

    let wrong = |options: &str, expected: &[(&str, &str)]| {
        check_fields("tcp", &format!("options = {options}"), expected)
    };
    wrong(
        "['nopp', 7]",
        &[("'nopp'", "unknown TCP option `nopp`; did you mean `nop`?"), ("7", "must be a table")],
    );
    wrong(
        "['end', 'nop']",
        &[("'end'", "there are options behind `end`; `end` must be the last one")],
    );
    wrong(
        "[{ mss = 65536 }, { window_scale = 256 }]",
        &[("65536", "too large"), ("256", "too large")],
    );
    wrong(
        "[{ mss = 1, window_scale = 2 }]",
        &[("{ mss = 1, window_scale = 2 }", "several forms at once")],
    );
    wrong("[{ timestamp = {} }]", &[("{}", "this TCP timestamp has no `value`")]);
    wrong("[{ sack = [] }]", &[("[]", "`sack` has 0 blocks; write one to four pairs")]);
    wrong(
        "[{ sack = [[1, 2], [3], 4] }]",
        &[("[3]", "a pair, not 1 numbers"), ("4", "`sack` must be an array")],
    );
    let long = format!("[{}'nop']", "'nop', ".repeat(40));
    wrong(
        &long,
        &[(
            &long,
            "these TCP options have 41 bytes together; remove some: there is room for 40 bytes",
        )],
    );
    wrong("5", &[("5", "`options` must be a string, not the integer 5; write them as a list")]);
}

#[test]
fn checksum_values() {
    let packet = only_packet(
        "[{ udp.checksum = 0 }, { tcp = { checksum = [1, 2] } }, { ipv4.header_checksum = '0xffff' }]",
    );
    for header in &packet {
        assert_eq!(
            (header.fields.len(), header.checksum.value, &header.checksum.place),
            (1, ChecksumMode::Good, &Origin::Default)
        );
    }
    assert_eq!(packet[2].fields[0].pattern.value, Pattern::Value(0xffff));
    check_fields("udp", "checksum = '65536'", &[("'65536'", "too large for `checksum`")]);
}

/// In GRE a flag announces the checksum; a requested checksum sets it.
#[test]
fn gre_checksums() {
    let fields = |text: &str| {
        let packet = only_packet(&format!("[{{ gre = {{ {text} }} }}]"));
        let fields = packet[0].fields.iter();
        let fields: Vec<_> =
            fields.map(|read| (read.field.name.to_string(), read.pattern.value.first())).collect();
        (packet[0].checksum.value, fields)
    };
    let present = |value| vec![("checksum_present".to_owned(), value)];
    assert_eq!(fields(""), (ChecksumMode::Good, vec![]));
    assert_eq!(fields("checksum = 'good'"), (ChecksumMode::Good, present(1)));
    assert_eq!(fields("checksum = 'bad'"), (ChecksumMode::Bad, present(1)));
    assert_eq!(fields("checksum = 'bad', checksum_present = 0"), (ChecksumMode::Bad, present(0)));
    assert_eq!(fields("checksum = 7"), (ChecksumMode::Good, vec![("checksum".to_owned(), 7)]));
}

/// A field of the header before, and inner headers as distinct from outer ones.
#[test]
fn stacks() {
    let packet = only_packet(
        "[{ vlan.tpid = 0x88a8 }, { ipv4.src = ['10.0.0.1', '10.0.0.2'] }, { gre.key = 5 }, \
         { ipv4.src = { values = ['10.0.0.3', '10.0.0.4'], follow = 'ipv4[0].src' } }]",
    );
    assert_eq!(packet[0].fields[0].field.bit_offset, -16);
    let follow = packet[3].fields[0].follow.as_ref().unwrap().value;
    assert_eq!((follow.header, follow.field), (1, 0));
    check_packet(
        "[{ ipv4.src = ['10.0.0.1', '10.0.0.2'] }, { gre = {} }, { ipv4 = {} }, { udp.src_port = { values = [1, 2], follow = 'ipv4[1].src' } }]",
        &[("'ipv4[1].src'", "`ipv4[1].src` is not among the fields this packet sets")],
    );
}
