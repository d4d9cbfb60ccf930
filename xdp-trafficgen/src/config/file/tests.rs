//! Files and what is wrong with them.

use std::time::Duration;

mod fields;
mod follow;
mod kinds;
mod overrides;
mod rates;
mod robust;
mod sizes;

use rates::read as files;

use super::{parse, parse_with};
use crate::{
    config::{
        Action, Config, Flow, Header, Located, Origin, Pattern, Payload, Size, Source,
        pattern::Count,
    },
    packet::HeaderKind,
};

const PORT: &str = "[[ports]]\nname = 'west'\ninterface = 'veth0'\n";
const FLOW: &str = "[[flows]]\nname = 'dns'\nport = 'west'\npacket = [{ ethernet = {} }]\n";

/// The errors of `text`, in order: the text each points at and a part of its message or help.
#[track_caller]
fn check(text: &str, expected: &[(&str, &str)]) {
    check_set(text, &[], expected);
}

/// [`check`] with `--set`s.
#[track_caller]
fn check_set(text: &str, overrides: &[&str], expected: &[(&str, &str)]) {
    let overrides: Vec<String> = overrides.iter().map(|argument| (*argument).to_owned()).collect();
    let diagnostics = match parse_with(Source::file("test.toml", text), &overrides, &files) {
        Ok(_) => panic!("no errors in\n{text}"),
        Err(diagnostics) => diagnostics,
    };
    let found: Vec<(&str, String)> = diagnostics
        .list()
        .iter()
        .map(|diagnostic| match &diagnostic.place {
            Origin::File(span) => {
                (&text[span.clone()], format!("{}; {}", diagnostic.message, diagnostic.help))
            }
            Origin::Override(argument, span) => {
                (&argument[span.clone()], format!("{}; {}", diagnostic.message, diagnostic.help))
            }
            place => panic!("{place:?} in a file"),
        })
        .collect();
    let matches = found.len() == expected.len()
        && found
            .iter()
            .zip(expected)
            .all(|((at, message), (place, part))| at == place && message.contains(part));
    assert!(matches, "expected {expected:#?}\nfound {found:#?}\n{diagnostics}");
}

/// [`check`] for what a port has besides its name and interface.
#[track_caller]
fn check_port(lines: &str, expected: &[(&str, &str)]) {
    check(&format!("{PORT}{lines}\n{FLOW}"), expected);
}

/// [`check`] for what a flow has besides its name, port and packet.
#[track_caller]
fn check_flow(lines: &str, expected: &[(&str, &str)]) {
    check(&format!("{PORT}{FLOW}{lines}\n"), expected);
}

/// [`check`] for the packet of a flow.
#[track_caller]
fn check_packet(packet: &str, expected: &[(&str, &str)]) {
    check(&format!("{PORT}[[flows]]\nname = 'dns'\nport = 'west'\npacket = {packet}\n"), expected);
}

/// [`check`] for the fields of one header.
#[track_caller]
fn check_fields(header: &str, fields: &str, expected: &[(&str, &str)]) {
    check_packet(&format!("[{{ {header} = {{ {fields} }} }}]"), expected);
}

#[track_caller]
fn parsed(text: &str) -> Config {
    parse(Source::file("test.toml", text)).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

/// The pattern of the only field of the only header.
#[track_caller]
fn pattern(header: &str, field: &str) -> Pattern {
    let text = format!(
        "{PORT}[[flows]]\nname = 'a'\nport = 'west'\npacket = [{{ {header} = {{ {field} }} }}]"
    );
    parsed(&text).flows[0].packet[0].fields[0].pattern.value.clone()
}

/// The headers of a flow.
#[track_caller]
fn only_packet(packet: &str) -> Vec<Header> {
    let text = format!("{PORT}[[flows]]\nname = 'a'\nport = 'west'\npacket = {packet}");
    parsed(&text).flows.remove(0).packet
}

#[track_caller]
fn only_flow(lines: &str) -> Flow {
    parsed(&format!("{PORT}{FLOW}{lines}")).flows.remove(0)
}

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

#[test]
fn syntax() {
    check("a = 1\n[[flows", &[("", "unclosed array table")]);
    check(
        "name = west\nx = \"abc\n",
        &[("west", "string values must be quoted"), ("", "invalid basic string")],
    );
    check(
        &format!("{PORT}name = 'b'\nsize = 1\n{FLOW}"),
        &[("name", "duplicate key: `name`; remove one"), ("size", "unknown key `size`")],
    );
    check(
        "[ports]\nname = 'west'\n[ports]\nname = 'east'\n",
        &[
            ("", "this file has no flows"),
            ("[ports]", "`ports` must be an array of tables, not a table; write `[[ports]]`"),
            (
                "ports",
                "duplicate key: `ports`; write the header of each port and flow in double brackets",
            ),
            ("name", "duplicate key"),
        ],
    );
    check_fields("udp", "src_port = 1, src_port = 2", &[("src_port", "duplicate key")]);
}

#[test]
fn keys() {
    check(
        "",
        &[
            ("", "this file has no ports"),
            ("", "this file has no flows; start one with a line `[[flows]]`"),
        ],
    );
    check(
        "ports = []\nflows = 5",
        &[
            ("[]", "this file has no ports"),
            ("5", "`flows` must be an array of tables, not the integer 5"),
        ],
    );
    check(PORT, &[("", "this file has no flows")]);
    check(
        &format!("flow = 1\nx.y = 2\n{PORT}{FLOW}"),
        &[
            (
                "flow",
                "unknown key `flow` in a configuration; the keys of a configuration are `ports`, `flows`",
            ),
            ("x", "unknown key `x` in a configuration"),
        ],
    );
    check(
        &format!("{PORT}[[flow]]\nname = 'dns'\n"),
        &[
            ("", "this file has no flows"),
            ("flow", "unknown key `flow` in a configuration; did you mean `flows`?"),
        ],
    );
    check(
        "[[ports]]\n[[flows]]\n",
        &[
            ("[[ports]]", "this port has no `name`; add `name = \"west\"`"),
            ("[[ports]]", "this port has no `interface`"),
            ("[[flows]]", "this flow has no `name`"),
            ("[[flows]]", "this flow has no `port`"),
            ("[[flows]]", "this flow has no `packet`"),
        ],
    );
    check(
        &format!("[[ports]]\nname = 'west'\ninterfce = 'veth0'\nmtu = 9\n{FLOW}"),
        &[
            ("interfce", "unknown key `interfce` in a port; did you mean `interface`?"),
            (
                "mtu",
                "the keys of a port are `name`, `interface`, `ingress`, `action`, `cpus`, `batch_size`",
            ),
        ],
    );
    check(
        "ports = [{ name = 'west' }, 7]\nflows = []",
        &[
            ("{ name = 'west' }", "this port has no `interface`"),
            ("7", "`ports` must be a table, not the integer 7"),
            ("[]", "this file has no flows"),
        ],
    );
}

#[test]
fn ports() {
    check_port(
        "action = 'redirekt'",
        &[("'redirekt'", "unknown action `redirekt`; did you mean `redirect`?")],
    );
    check_port(
        "action = 'send'",
        &[("'send'", "the choices are `redirect`, `tx`, `pass`, `drop`")],
    );
    check_port("action = true", &[("true", "`action` must be a string, not the boolean true")]);
    check_port("ingress = ''", &[("''", "`ingress` is empty")]);
    check_port("batch_size = 0", &[("0", "`batch_size` is 0, too small; write at least 1")]);
    check_port("batch_size = 257", &[("257", "`batch_size` is 257, too large; write at most 256")]);
    check_port(
        "batch_size = 99999999999999999999",
        &[("99999999999999999999", "write at most 256")],
    );
    check_port("batch_size = -1", &[("-1", "-1 is negative; write a number of at least 0")]);
    check_port(
        "batch_size = 6.4",
        &[("6.4", "`batch_size` must be an integer, not the float 6.4")],
    );
    check_port(
        "batch_size = '64'",
        &[("'64'", "not the string \"64\"; write a number without quotes")],
    );
    check_port("cpus = ''", &[("''", "`` is not a CPU number or range")]);
    check_port("cpus = '0,x'", &[("'0,x'", "`x` is not a CPU number or range")]);
    check_port("cpus = '3-1'", &[("'3-1'", "the range of CPUs `3-1` runs backwards; write `1-3`")]);
    check_port("cpus = '0-3,2'", &[("'0-3,2'", "CPU 2 is listed twice")]);
    check_port("cpus = '0-9999999'", &[("'0-9999999'", "there is no CPU 9999999")]);
    check_port("cpus = []", &[("[]", "`cpus` is empty")]);
    check_port(
        "cpus = [1, -2, 1, 4096, 'a']",
        &[
            ("-2", "negative"),
            ("1", "CPU 1 is listed twice"),
            ("4096", "CPUs have numbers from 0 to 4095"),
            ("'a'", "`cpus` must be an integer"),
        ],
    );
    check_port(
        "cpus = 1.5",
        &[("1.5", "`cpus` must be a string, an integer or an array, not the float 1.5")],
    );
}

#[test]
fn names() {
    let (east, web) = (PORT.replace("west", "east"), FLOW.replace("dns", "web"));
    check(
        &format!("{PORT}{PORT}{FLOW}"),
        &[
            ("'west'", "two ports are named `west`; the first is on line 2: rename one of them"),
            ("'veth0'", "the interface `veth0` is already used by the port on line 3"),
        ],
    );
    check(
        &format!("{PORT}{east}{FLOW}"),
        &[
            ("'east'", "port `east` has no flow; add a flow with `port = \"east\"`"),
            ("'veth0'", "the interface `veth0` is already used"),
        ],
    );
    assert_eq!(parsed(&format!("{PORT}{FLOW}{web}")).flows.len(), 2);
    check(
        &format!("{PORT}{FLOW}{FLOW}"),
        &[("'dns'", "two flows are named `dns`; the first is on line 5")],
    );
    let wst = FLOW.replace("west", "wst");
    check(
        &format!("{PORT}{wst}"),
        &[
            ("'west'", "port `west` has no flow"),
            ("'wst'", "there is no port `wst`; did you mean `west`?"),
        ],
    );
    // A port or flow with an error of its own is still there for the others; where its name is
    // unknown, nothing is said.
    check_port("batch_size = 0", &[("0", "too small")]);
    check(
        &format!("[[ports]]\ninterface = 'veth0'\n{FLOW}"),
        &[("[[ports]]", "this port has no `name`")],
    );
    check(
        &format!("{PORT}[[flows]]\nname = 'dns'\npacket = [{{ ethernet = {{}} }}]"),
        &[("[[flows]]", "this flow has no `port`")],
    );
}

#[test]
fn flows() {
    check_flow("size = 63", &[("63", "`size` is 63, too small; write at least 64")]);
    check_flow("size = 65536", &[("65536", "`size` is 65536, too large; write at most 65535")]);
    check_flow("weight = 0", &[("0", "`weight` is 0, too small; write at least 1")]);
    check_flow("weight = 4294967296", &[("4294967296", "too large")]);
    check_flow("packets = 0", &[("0", "`packets` is 0, too small; write at least 1")]);
    check_flow("packets = 'many'", &[("'many'", "`many` is not a number; write a whole number")]);
    check_flow("packets = true", &[("true", "`packets` must be a number, not the boolean true")]);
    check_flow("duration = '0s'", &[("'0s'", "a duration of `0s` sends nothing")]);
    check_flow(
        "duration = '10'",
        &[("'10'", "`10` is not a duration: it has no unit; write its unit: `10s`")],
    );
    check_flow(
        "duration = 10",
        &[(
            "10",
            "`duration` must be a string, not the integer 10; write a number and its unit in",
        )],
    );
    check_flow("duration = '600 years'", &[("'600 years'", "above 584 years")]);
    check_flow("payload = 'ones'", &[("'ones'", "unknown payload `ones`; write `\"zeros\"`")]);
    check_flow("payload = 0", &[("0", "`payload` must be a string or a table, not the integer 0")]);
    check_flow(
        "payload = {}",
        &[("{}", "this payload is empty; write one of `pattern`, `hex`, `text`")],
    );
    check_flow(
        "payload = { hexx = '00' }",
        &[("hexx", "unknown key `hexx` in a payload; did you mean `hex`?")],
    );
    check_flow(
        "payload = { hex = '00', pattern = '00' }",
        &[("{ hex = '00', pattern = '00' }", "several forms at once: `pattern`, `hex`; keep")],
    );
    check_flow("payload = { hex = 'abc' }", &[("'abc'", "`abc` has an odd number of digits, 3")]);
    check_flow(
        "payload = { hex = '0x12' }",
        &[("'0x12'", "`x` in `0x12` is not a hexadecimal digit")],
    );
    check_flow("payload = { pattern = ' ' }", &[("' '", "there are no bytes in ` `")]);
    check_flow(
        "payload = { pattern = 12 }",
        &[("12", "`pattern` must be a string, not the integer 12")],
    );
}

#[test]
fn all_together_in_order() {
    let text = r#"
[[ports]]
name = "west"
interface = "veth0"
batch_size = 300
cpu = 1

[[flows]]
name = "dns"
port = "wset"
size = 20
duration = "soon"
packet = [
  { ethernet = { dst = "02:00" } },
  { vlan = { id = 4096 } },
  { udpp = {} },
  { udp = { dstport = 53, src_port = { random = { min = 2, max = 1 } } } },
]
"#;
    check(
        text,
        &[
            ("\"west\"", "port `west` has no flow"),
            ("300", "`batch_size` is 300"),
            ("cpu", "did you mean `cpus`?"),
            ("\"wset\"", "there is no port `wset`; did you mean `west`?"),
            ("20", "`size` is 20"),
            ("\"soon\"", "`soon` is not a duration"),
            ("\"02:00\"", "`02:00` is not a MAC address"),
            ("4096", "4096 is too large for `id`"),
            ("udpp", "did you mean `udp`?"),
            ("dstport", "did you mean `dst_port`?"),
            ("2", "the smallest value of `src_port`, 2, is above its largest, 1"),
        ],
    );
}

#[test]
fn rendered() {
    let text = format!("{PORT}batch_size = 300\n{FLOW}payload = {{\n  patern = '00',\n}}\n");
    let diagnostics = parse(Source::file("lab/test.toml", &text)).unwrap_err();
    let expected = "\
error: `batch_size` is 300, too large
 --> lab/test.toml:4:14
  |
4 | batch_size = 300
  |              ^^^
  |
  = help: write at most 256

error: unknown key `patern` in a payload
  --> lab/test.toml:10:3
   |
10 |   patern = '00',
   |   ^^^^^^
   |
   = help: did you mean `pattern`?";
    assert_eq!(diagnostics.to_string(), expected);
}
