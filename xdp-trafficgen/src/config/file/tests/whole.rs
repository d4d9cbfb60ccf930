//! A file with everything in it, and the notations of values.

use std::time::Duration;

use super::{FLOW, PORT, only_flow, parsed, pattern};
use crate::{
    config::{Action, Config, Located, Origin, Pattern, Payload, Size, pattern::Count},
    packet::HeaderKind,
};

#[test]
fn full_file() {
    let text = r#"
[[ports]]
name = "west"
interface = "veth0"
ingress = "veth2"
action = "tx"
cpus = "0,2-3"
batch_size = 256

[[ports]]
name = "east"
interface = "veth4"

[[flows]]
name = "dns"
port = "west"
size = 1_518
packets = 1_000_000
duration = "1m 500ms"
payload = { pattern = "dead BEEF" }
packet = [
  { ethernet = { dst = "02:00:00:00:00:fE" } },
  { vlan = { id = { increment = { start = 100, step = 2, count = 4 } } } },
  { ipv4 = { src = "10.0.0.1", dst = ["10.0.0.2", "10.0.0.9"] } },
  { udp = {
    src_port = { random = { min = 1024, max = 65535, seed = 7 } },
    dst_port = { decrement = { start = 1100, count = 100 } },
  } },
]

[[flows]]
name = "plain"
port = "east"
packet = [{ ethernet = {} }]
"#;
    let Config { source, ports, flows } = parsed(text);
    let [west, east] = ports.as_slice() else { panic!("{ports:?}") };
    assert_eq!(west.name.value, "west");
    assert_eq!(west.interface.value, "veth0");
    assert_eq!(west.ingress.as_ref().unwrap().value, "veth2");
    assert_eq!(west.action.value, Action::Tx);
    assert_eq!(west.cpus.as_ref().unwrap().value, [0, 2, 3]);
    assert_eq!(west.batch_size.value, 256);
    let Origin::File(span) = &west.batch_size.place else { panic!("{:?}", west.batch_size) };
    assert_eq!(&source.text[span.clone()], "256");
    assert_eq!((east.name.value.as_str(), east.interface.value.as_str()), ("east", "veth4"));
    assert_eq!((&east.ingress, &east.cpus), (&None, &None));
    assert_eq!(east.action, Located::default(Action::Redirect));
    assert_eq!(east.batch_size, Located::default(64));

    let [dns, plain] = flows.as_slice() else { panic!("{flows:?}") };
    assert_eq!(
        (dns.name.value.as_str(), dns.port.value.as_str(), dns.size.value.clone()),
        ("dns", "west", Size::Fixed(1518))
    );
    assert_eq!(dns.packets.as_ref().unwrap().value, 1_000_000);
    assert_eq!(dns.duration.as_ref().unwrap().value, Duration::from_millis(60_500));
    assert_eq!(dns.payload.value, Payload::Pattern(vec![0xde, 0xad, 0xbe, 0xef]));
    let kinds: Vec<_> = dns.packet.iter().map(|header| header.kind.value).collect();
    assert_eq!(kinds, [HeaderKind::Ethernet, HeaderKind::Vlan, HeaderKind::Ipv4, HeaderKind::Udp]);
    let fields: Vec<_> = dns.packet.iter().flat_map(|header| &header.fields).collect();
    let names: Vec<_> = fields.iter().map(|setting| &*setting.field.name).collect();
    assert_eq!(names, ["dst", "id", "src", "dst", "src_port", "dst_port"]);
    let patterns: Vec<_> = fields.iter().map(|setting| setting.pattern.value.clone()).collect();
    let Pattern::Values(values) = &patterns[3] else { panic!("{patterns:?}") };
    assert_eq!(
        values.iter().map(|value| value.value).collect::<Vec<_>>(),
        [0x0a00_0002, 0x0a00_0009]
    );
    assert_eq!(
        patterns[..3],
        [
            Pattern::Value(0x0200_0000_00fe),
            Pattern::Increment(Count { start: 100, step: 2, count: 4 }),
            Pattern::Value(0x0a00_0001),
        ]
    );
    assert_eq!(
        patterns[4..],
        [
            Pattern::Random { min: 1024, max: 65535, seed: Some(7), count: None },
            Pattern::Decrement(Count { start: 1100, step: 1, count: 100 }),
        ]
    );

    assert_eq!(plain.size, Located::default(Size::Fixed(64)));
    assert_eq!((&plain.packets, &plain.duration), (&None, &None));
    assert_eq!(plain.payload, Located::default(Payload::Zeros));
    assert!(plain.packet[0].fields.is_empty());
}

#[test]
fn notations() {
    for cpus in ["'5,0,2-3'", "[5, 0, 2, 3]", "' 5, 0, 2 - 3 '"] {
        let config = parsed(&format!("{PORT}cpus = {cpus}\n{FLOW}"));
        assert_eq!(config.ports[0].cpus.as_ref().unwrap().value, [5, 0, 2, 3], "{cpus}");
    }
    assert_eq!(
        parsed(&format!("{PORT}cpus = 3\n{FLOW}")).ports[0].cpus.as_ref().unwrap().value,
        [3]
    );
    for port in ["0x0035", "'0x35'", "53", "'53'", "{ value = 53 }", "0b11_0101"] {
        assert_eq!(pattern("udp", &format!("dst_port = {port}")), Pattern::Value(53), "{port}");
    }
    assert_eq!(pattern("ipv6", "src = '2001:db8::1'"), Pattern::Value(0x2001_0db8 << 96 | 1));
    assert_eq!(
        pattern("ipv6", "src = { increment = { start = '::', step = '0:0:0:1::', count = 1 } }"),
        Pattern::Increment(Count { start: 0, step: 1 << 64, count: 1 })
    );
    for step in ["'0.0.1.0'", "256", "'256'", "'0x100'"] {
        assert_eq!(
            pattern(
                "ipv4",
                &format!("src.increment = {{ start = '10.0.0.0', step = {step}, count = 9 }}")
            ),
            Pattern::Increment(Count { start: 0x0a00_0000, step: 256, count: 9 })
        );
    }
    assert_eq!(
        pattern(
            "ethernet",
            "src.decrement = { start = '00:00:00:00:02:00', step = '00:00:00:00:01:00', count = 3 }"
        ),
        Pattern::Decrement(Count { start: 512, step: 256, count: 3 })
    );
    assert_eq!(
        pattern("vlan", "id.random = {}"),
        Pattern::Random { min: 0, max: 4095, seed: None, count: None }
    );
    assert_eq!(
        pattern("ipv6", "dst.random.seed = 0xffff_ffff_ffff_ffff"),
        Pattern::Random { min: 0, max: u128::MAX, seed: Some(u64::MAX), count: None }
    );
    assert_eq!(
        pattern("udp", "dst_port.increment = { start = 65535, step = 0, count = 1 }"),
        Pattern::Increment(Count { start: 65535, step: 0, count: 1 })
    );
    assert_eq!(
        only_flow("payload = { hex = '00 ff' }").payload.value,
        Payload::Bytes(vec![0, 0xff])
    );
    assert_eq!(only_flow("payload = 'zeros'").payload.value, Payload::Zeros);
    assert_eq!(only_flow("weight = 3").weight.value, 3);
    assert_eq!(only_flow("").weight, Located::default(1));
    assert_eq!(only_flow("packets = 18446744073709551615").packets.unwrap().value, u64::MAX);
    assert_eq!(only_flow("size = 0xffff").size.value, Size::Fixed(65_535));
}
