//! Plans of ports and flows that a machine can have, and errors of those that it cannot.

use super::*;
use crate::config::{Source, file};
use crate::host::Link;

/// A machine where `eth0` carries the default route, `veth0` nothing, and `tun0` no Ethernet.
pub(crate) fn facts() -> Facts {
    let link = |name: &str, index| Link {
        name: name.to_owned(),
        alt_names: Vec::new(),
        index,
        mtu: 1500,
        up: true,
        carrier: true,
        mac: (name != "tun0").then_some([2, 0, 0, 0, 0, 1]),
        speed: None,
        bus: None,
    };
    Facts {
        links: vec![link("eth0", 2), link("veth0", 3), link("tun0", 4)],
        default_route: [2].into(),
        cpus: vec![0],
        allowed_cpus: vec![0],
        ..Facts::default()
    }
}

pub(super) fn planned(
    port: &str,
    flow: &str,
    facts: &Facts,
    consent: impl Into<Consent>,
) -> Result<Plan, Diagnostics> {
    let text =
        format!("[[ports]]\nname = 'p'\n{port}\n[[flows]]\nname = 'f'\nport = 'p'\n{flow}\n");
    let config =
        file::parse(Source::file("test.toml", &text)).unwrap_or_else(|wrong| panic!("{wrong}"));
    plan(&config, facts, consent)
}

/// The error of a port that has these settings.
fn said(port: &str, flow: &str) -> String {
    planned(port, flow, &facts(), DefaultRoute::Refuse)
        .err()
        .map_or(String::new(), |wrong| wrong.to_string())
}

pub(super) const UDP: &str =
    "packet = [{ ethernet = { dst = '02:00:00:00:00:02' } }, { ipv4 = {} }, { udp = {} }]";

#[track_caller]
fn check(port: &str, flow: &str, expected: &str) {
    let said = said(port, flow);
    assert!(if expected.is_empty() { said.is_empty() } else { said.contains(expected) }, "{said}");
}

#[test]
fn the_default_route_is_guarded_where_frames_leave() {
    check("interface = 'eth0'", UDP, "default route");
    check("interface = 'veth0'", UDP, "");
    check("interface = 'veth0'\ningress = 'eth0'", UDP, "");
    check("interface = 'veth0'\ningress = 'eth0'\naction = 'tx'", UDP, "default route");
    check("interface = 'eth0'\naction = 'drop'", UDP, "");
}

/// The kernels and devices of `Planner::cut`.
#[test]
fn every_frame_is_cut_on_virtio_before_linux_6_3() {
    #[track_caller]
    fn check(bus: Option<&str>, kernel: Option<(u32, u32)>, is_cut: bool) {
        let mut facts = Facts { kernel, ..facts() };
        facts.links[1].bus = bus.map(str::to_owned);
        let plan = planned("interface = 'veth0'", UDP, &facts, DefaultRoute::Refuse)
            .unwrap_or_else(|wrong| panic!("{wrong}"));
        let spare = plan.ports[0].program.frame.len() - 60;
        assert_eq!(spare, if is_cut { program::CUT_LEN } else { 0 }, "{bus:?} {kernel:?}");
        assert_eq!(
            plan.notes.iter().any(|note| note.text.contains("virtio_net")),
            is_cut,
            "{:?}",
            plan.notes
        );
    }
    check(Some("virtio"), Some((6, 2)), true);
    check(Some("virtio"), Some((5, 19)), true);
    check(Some("virtio"), Some((6, 3)), false);
    check(Some("virtio"), Some((7, 0)), false);
    check(Some("virtio"), None, false);
    check(Some("pci"), Some((6, 1)), false);
    check(None, Some((6, 1)), false);
}

#[test]
fn fields_that_cannot_vary_together_are_errors() {
    let waiting = "packet = [{ ethernet = { dst = '02:00:00:00:00:02' } }, \
        { vlan = { priority = { increment = { start = 0, count = 8 } }, \
                   id = { increment = { start = 1, count = 10 }, follow = { field = 'ipv4.ecn', pace = 'round' } } } }, \
        { ipv4 = { dscp = { increment = { start = 0, count = 4 }, follow = { field = 'vlan.priority', pace = 'round' } }, \
                   ecn = { increment = { start = 0, count = 4 } } } }]";
    // Nothing stands in their way: rows have no order of fields.
    check("interface = 'veth0'", waiting, "");
    let covered = "packet = [{ ethernet = { dst = '02:00:00:00:00:02' } }, \
        { ipv4 = { dst = { increment = { start = '10.0.0.1', count = 250 } }, bits = [{ offset = 16, mask = 'ff', value = 9 }] } }]";
    check("interface = 'veth0'", covered, "this constant covers bits of `dst`");
}

/// A header length that is too small leaves the header's end open, and so may vary beside any
/// field.
#[test]
fn header_lengths_that_are_too_small_vary_with_any_field() {
    for length in ["[0, 5]", "{ random = { max = 5 } }", "{ increment = { start = 0, count = 6 } }"]
    {
        let packet = format!(
            "packet = [{{ ethernet = {{ dst = '02:00:00:00:00:02' }} }}, {{ ipv4 = {{ header_length = {length}, src = {{ random = {{}} }} }} }}, \
             {{ udp = {{ src_port = {{ random = {{}} }} }} }}]\nsize = {{ random = {{ min = 64, max = 1000 }} }}"
        );
        check("interface = 'veth0'", &packet, "");
    }
    let six = "packet = [{ ethernet = { dst = '02:00:00:00:00:02' } }, { ipv4 = { header_length = [0, 6] } }, \
               { udp = { src_port = [1, 2, 3] } }]";
    check("interface = 'veth0'", six, "covers in some frames only");
}

/// RFC 8200 section 8.1: the pseudo header has the final destination while segments are left, and
/// the header's own after.
#[test]
fn the_destination_of_a_pseudo_header_stays_where_it_is() {
    let routed = |routing: &str, next: &str| {
        let (addresses, none) = ("00".repeat(20), "00".repeat(4));
        let routing = routing.replace("ADDRESSES", &addresses).replace("NONE", &none);
        format!(
            "size = 200\npacket = [{{ ethernet = {{ dst = '02:00:00:00:00:02' }} }}, {{ ipv6 = {{}} }}, \
             {{ ipv6_routing = {{ {routing} }} }}, {next}]"
        )
    };
    #[track_caller]
    fn refused(flow: &str, field: &str, header: &str) {
        check("interface = 'veth0'", flow, &format!("`{field}` varies, and with it which address"));
        check("interface = 'veth0'", flow, &format!("or set the checksum of `{header}`"));
    }
    #[track_caller]
    fn taken(flow: &str) {
        check("interface = 'veth0'", flow, "");
    }
    const LEFT: &str = "options = 'ADDRESSES', routing_type = 0, segments_left = [0, 1]";
    refused(&routed(LEFT, "{ udp = {} }"), "segments_left", "udp");
    refused(&routed(LEFT, "{ ipv6_destination = {} }, { tcp = {} }"), "segments_left", "tcp");
    refused(&routed(LEFT, "{ icmpv6 = {} }"), "segments_left", "icmpv6");
    let kinds = "options = 'ADDRESSES', routing_type = [0, 253], segments_left = 1";
    refused(&routed(kinds, "{ udp = {} }"), "routing_type", "udp");
    // The checksum is set, absent, or that of another packet inside.
    taken(&routed(LEFT, "{ udp = { checksum = 0 } }"));
    taken(&routed(LEFT, "{ ipv6 = {} }, { udp = {} }"));
    taken(&routed(LEFT, "{ gre = {} }"));
    // The header has no addresses, an unknown type, or no segments left.
    taken(&routed("options = 'NONE', routing_type = 0, segments_left = [0, 1]", "{ udp = {} }"));
    taken(&routed(
        "options = 'ADDRESSES', routing_type = 253, segments_left = [0, 1]",
        "{ udp = {} }",
    ));
    taken(&routed(
        "options = 'ADDRESSES', routing_type = [0, 4], segments_left = 0",
        "{ udp = {} }",
    ));
}

#[test]
fn only_the_first_part_of_long_headers_is_written() {
    let long = |fields: &str| {
        format!(
            "size = 800\npacket = [{{ ethernet = {{ dst = '02:00:00:00:00:02' }} }}, {{ custom = {{ bytes = '{}'{fields} }} }}]",
            "00".repeat(400)
        )
    };
    check("interface = 'veth0'", &long(""), "");
    check(
        "interface = 'veth0'",
        &long(", bits = [{ offset = 350, mask = 'ff', random = {} }]"),
        "beyond the 250",
    );
    // Every repetition writes an even number of bytes.
    #[track_caller]
    fn written(flow: &str, expected: u32) {
        let plan = planned("interface = 'veth0'", flow, &facts(), DefaultRoute::Refuse)
            .unwrap_or_else(|wrong| panic!("{wrong}"));
        assert_eq!(plan.ports[0].program.generator.written, expected, "{flow}");
    }
    written(&long(""), 250);
    written(&long(", bits = [{ offset = 9, mask = 'ff', random = {} }]"), 250);
    written(UDP, 42);
}

#[test]
fn the_advised_mtu_is_enough() {
    let qinq = "size = 1526\npacket = [{ ethernet = { dst = '02:00:00:00:00:02' } }, { vlan = {} }, { vlan = {} }, \
                { ipv4 = {} }, { udp = {} }]";
    // 1522 bytes without the FCS; the kernel takes 18 more than the MTU.
    check("interface = 'veth0'", qinq, "mtu 1504");
    check("interface = 'tun0'", UDP, "not an Ethernet interface");
}
