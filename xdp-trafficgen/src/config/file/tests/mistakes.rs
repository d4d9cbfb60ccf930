//! Files with mistakes, and where each one is shown.

use super::{FLOW, PORT, check, check_fields, check_flow, check_port, parsed};
use crate::config::{Source, file::parse};

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
    // A port or flow with an error of its own still counts for the others; where its name is
    // unknown, no missing reference is reported.
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
