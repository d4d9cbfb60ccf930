//! `--set`.

use super::{FLOW, PORT, check_set};
use crate::{
    config::{
        Config, Located, Origin, Pattern, Payload, Size, Source,
        file::{no_files, parse_with},
    },
    packet::HeaderKind,
};

/// Two flows; the second has two VLAN tags.
const FILE: &str = "\
[[ports]]
name = 'west'
interface = 'veth0'

[[flows]]
name = 'dns'
port = 'west'
payload = 'zeros'
packet = [{ ethernet = {} }, { ipv4 = { src = '10.0.0.1' } }, { udp = { dst_port = [53, 54] } }]

[[flows]]
name = 'two tags.a'
port = 'west'
size = { random = { min = 64, max = 1518 } }
packet = [{ ethernet = {} }, { vlan = { id = 5 } }, { vlan = { id = 6, bits = [{ offset = 0, mask = '10', value = 1 }] } }]
";

#[track_caller]
fn set(overrides: &[&str]) -> Config {
    let overrides: Vec<String> = overrides.iter().map(|argument| (*argument).to_owned()).collect();
    parse_with(Source::file("test.toml", FILE), &overrides, &no_files)
        .unwrap_or_else(|wrong| panic!("{wrong}"))
}

#[track_caller]
fn wrong(overrides: &[&str], expected: &[(&str, &str)]) {
    check_set(FILE, overrides, expected);
}

/// The pattern of the field with these indices of flow, header and field.
fn pattern(config: &Config, flow: usize, header: usize, field: &str) -> Pattern {
    let fields = &config.flows[flow].packet[header].fields;
    let found = fields.iter().find(|setting| setting.field.name == field);
    found.unwrap_or_else(|| panic!("no {field} in {fields:?}")).pattern.value.clone()
}

#[test]
fn values() {
    let argument = "flows.dns.size=128";
    let place = Origin::in_override(argument.into(), 15..18);
    assert_eq!(set(&[argument]).flows[0].size, Located::new(Size::Fixed(128), place));
    assert_eq!(
        set(&["flows.dns.size=imix"]).flows[0].size.value,
        set(&["flows.dns.size='imix'"]).flows[0].size.value
    );
    assert_eq!(set(&["ports.west.interface=eth1"]).ports[0].interface.value, "eth1");
    assert_eq!(set(&["ports.west.cpus=0,2-3"]).ports[0].cpus.as_ref().unwrap().value, [0, 2, 3]);
    let config =
        set(&["flows.dns.packet.ipv4.src = 10.0.0.9", "flows.dns.packet.ipv4.dst=10.0.0.8"]);
    assert_eq!(pattern(&config, 0, 1, "src"), Pattern::Value(0x0a00_0009));
    assert_eq!(pattern(&config, 0, 1, "dst"), Pattern::Value(0x0a00_0008));
    let config = set(&[
        "flows.dns.packet.ipv4.src={ random = { seed = 1 } }",
        "flows.dns.packet.udp.dst_port.random.max=9",
    ]);
    let random = |max, seed| Pattern::Random { min: 0, max, seed, count: None };
    assert_eq!(pattern(&config, 0, 1, "src"), random(u32::MAX.into(), Some(1)));
    assert_eq!(pattern(&config, 0, 2, "dst_port"), random(9, None));
    assert_eq!(
        set(&["flows.dns.payload.text=hi"]).flows[0].payload.value,
        Payload::Bytes(b"hi".to_vec())
    );
    assert_eq!(
        set(&["flows.dns.payload.text = a=b "]).flows[0].payload.value,
        Payload::Bytes(b"a=b".to_vec())
    );
    assert_eq!(
        set(&["flows.'two tags.a'.size.random.max=100"]).flows[1].size.value,
        Size::Random { min: 64, max: 100, seed: None }
    );
    let config = set(&[
        "flows.\"two tags.a\".packet.vlan[1].id=7",
        "flows.'two tags.a'.packet.vlan[1].bits[0].value=0",
    ]);
    assert_eq!(
        (pattern(&config, 1, 1, "id"), pattern(&config, 1, 2, "id")),
        (Pattern::Value(5), Pattern::Value(7))
    );
    assert_eq!(pattern(&config, 1, 2, "bits[0]"), Pattern::Value(0));
    let config = set(&["flows.dns.packet[2]={ vlan = {} }", "flows.dns.packet.vlan.id=9"]);
    assert_eq!(config.flows[0].packet[2].kind.value, HeaderKind::Vlan);
    assert_eq!(pattern(&config, 0, 2, "id"), Pattern::Value(9));
    let config = set(&["flows.dns.packet=[{ ethernet = {} }]"]);
    assert_eq!(config.flows[0].packet.len(), 1);
    // Later overrides win, and may change values of earlier ones.
    let config = set(&[
        "flows.*.packets=5",
        "flows.dns.packets=6",
        "flows.dns.name=web",
        "flows.web.weight=2",
    ]);
    let packets: Vec<_> =
        config.flows.iter().map(|flow| flow.packets.as_ref().unwrap().value).collect();
    assert_eq!((packets.as_slice(), config.flows[0].weight.value), (&[6, 5][..], 2));
}

#[test]
fn paths() {
    wrong(
        &["flows.dns.size"],
        &[("flows.dns.size", "no `=` in `flows.dns.size`; write `--set flows.NAME.KEY=VALUE`")],
    );
    wrong(&["flows.dns=5"], &[("flows.dns", "this path is too short")]);
    wrong(&["size=5"], &[("size", "this path is too short")]);
    wrong(&["=5"], &[("=", "a name is missing in this path")]);
    wrong(&[""], &[("", "a name is missing in this path")]);
    wrong(
        &["flow.dns.size=5"],
        &[("flow", "there is no `flow` to set; a path starts with `ports` or `flows`")],
    );
    wrong(&["flows.dn.size=5"], &[("dn", "there is no flow `dn`; did you mean `dns`?")]);
    wrong(&["ports.wst.interface=5"], &[("wst", "there is no port `wst`; did you mean `west`?")]);
    wrong(&["flows[0].dns.size=5"], &[("flows[0]", "a flow is addressed by its name")]);
    wrong(
        &["flows.dns.packet.udp[1].dst_port=5"],
        &[("udp[1]", "the packet of flow `dns` has no `udp[1]`; the last one")],
    );
    wrong(
        &["flows.*.packet.udp.dst_port=5"],
        &[(
            "udp",
            "the packet of flow `two tags.a` has no `udp` header; the headers of this packet are",
        )],
    );
    wrong(
        &["flows.dns.packet.upd.dst_port=5"],
        &[("upd", "has no `upd` header; did you mean `udp`?")],
    );
    wrong(
        &["flows.*.packet.vlan.id=5", "flows.'two tags.a'.packet.vlan.id=5"],
        &[
            ("vlan", "the packet of flow `dns` has no `vlan` header"),
            ("vlan", "the packet of flow `two tags.a` has 2 `vlan` headers; say which"),
        ],
    );
    wrong(
        &["flows.dns.packet[3].udp={}"],
        &[("packet[3]", "`packet` has 3 elements, so there is none with this index")],
    );
    wrong(&["flows.dns.size[0]=5"], &[("size[0]", "`size` is no array; remove the index")]);
    wrong(
        &["flows.two tags.size=5"],
        &[("t", "unexpected `t` in a path; write names with a dot between two, a name with")],
    );
    wrong(&["flows.'dns.size=5"], &[("'dns.size=5", "the quote ' is not closed")]);
    wrong(&["flows.dns.packet.udp[-1].dst_port=5"], &[("[-1]", "`[-1]` is no index")]);
    wrong(&["flows.dns.ä]=5"], &[("]", "unexpected `]`")]);
    let long = format!("flows.dns{}", ".a".repeat(100_000));
    wrong(&[&format!("{long}=1")], &[(&long, "this path is too long")]);
}

#[test]
fn errors_in_values() {
    wrong(&["flows.dns.size=20"], &[("20", "`size` is 20, too small; write at least 64")]);
    wrong(
        &["flows.dns.packet.ipv4.src=10.0.0.256"],
        &[("10.0.0.256", "`10.0.0.256` is not an IPv4 address")],
    );
    wrong(
        &["flows.dns.packet.ipv4.src= { random = { min = '10.0.0.9', max = '10.0.0.8' }}"],
        &[("'10.0.0.9'", "is above its largest")],
    );
    wrong(
        &["flows.dns.packet.udp.dst_port={ increment = { strt = 5 } }"],
        &[
            ("{ strt = 5 }", "this counting pattern has no `count`"),
            ("strt", "did you mean `start`?"),
        ],
    );
    wrong(&["flows.dns.packet.udp.dstport=5"], &[("dstport", "`udp` has no field `dstport`")]);
    wrong(
        &["flows.dns.sizes=5", "ports.west.interface=7"],
        &[
            ("sizes", "unknown key `sizes` in a flow; did you mean `size`?"),
            ("7", "`interface` must be a string, not the integer 7"),
        ],
    );
    wrong(&["flows.dns.port=wst"], &[("wst", "there is no port `wst`; did you mean `west`?")]);
    wrong(
        &["flows.dns.name='two tags.a'"],
        &[("'two tags.a'", "two flows are named `two tags.a`; the first is")],
    );
    wrong(
        &["flows.'two tags.a'.size.genome=aaa"],
        &[(
            "genome",
            "this size has several forms at once: `random`, `genome`; set all of it, not just its `genome`: `…={ genome = … }`",
        )],
    );
    wrong(&["flows.dns.payload="], &[("", "unknown payload ``")]);
    wrong(&["flows.*.size=20"], &[("20", "`size` is 20, too small")]);
    // The file's errors come first.
    check_set(
        &format!("{PORT}batch_size = 0\n{FLOW}"),
        &["flows.dns.size=1"],
        &[("0", "`batch_size`"), ("1", "`size`")],
    );
    check_set(
        "flows = 5",
        &["flows.dns.size=1"],
        &[("", "no ports"), ("5", "`flows` must be an array")],
    );
    check_set("a = [", &["x"], &[("", "")]);
}

#[test]
fn rendered() {
    let overrides = ["flows.dns.packet.ipv4.src=10.0.0".to_owned()];
    let wrong = parse_with(Source::file("test.toml", FILE), &overrides, &no_files).unwrap_err();
    let expected = "\
error: `10.0.0` is not an IPv4 address
 --> --set:1:27
  |
1 | flows.dns.packet.ipv4.src=10.0.0
  |                           ^^^^^^
  |
  = help: write four numbers of 0 to 255, such as `192.0.2.1`";
    assert_eq!(wrong.to_string(), expected);
}
