//! Next hops, source addresses and lookups, on machines whose reaches are given.

use super::*;
use crate::{
    config::{Advance, Follow, Pattern, Source, file},
    host::Required,
    plan::tests::{facts, planned},
    plan::{DefaultRoute, Plan},
};

const PORT: &str = "interface = 'veth0'";

/// A machine where these destinations have these MAC addresses, given by their last bytes.
fn machine(hosts: &[(&str, u8)]) -> Facts {
    let egress = Arc::new(Egress { interface: "veth0".to_owned(), vlans: Vec::new() });
    let reach = |last| Reach {
        source: Some("192.0.2.1".parse().unwrap()),
        other_source: None,
        next_hop: Some(Ok(NextHop {
            interface: "veth0".into(),
            neighbour: "192.0.2.254".parse().unwrap(),
            mac: [2, 0, 0, 0, 0, last],
            by: MacSource::Neighbour,
        })),
    };
    let one = |host: &str| Destinations::one(host.parse().unwrap());
    let reaches = hosts.iter().map(|&(host, last)| ((Arc::clone(&egress), one(host)), reach(last)));
    Facts { reaches: reaches.collect(), ..facts() }
}

fn packet(ethernet: &str, ip: &str) -> String {
    format!(
        "packet = [{{ ethernet = {{ {ethernet} }} }}, {{ ipv4 = {{ {ip} }} }}, {{ udp = {{}} }}]"
    )
}

fn plan(flow: &str, hosts: &[(&str, u8)]) -> Result<Plan, String> {
    planned(PORT, flow, &machine(hosts), DefaultRoute::Refuse).map_err(|wrong| wrong.to_string())
}

#[test]
fn a_single_next_hop_is_the_same_in_every_frame() {
    let flow = packet("", "dst = { increment = { start = '192.0.2.2', count = 2 } }");
    let plan = plan(&flow, &[("192.0.2.2", 7), ("192.0.2.3", 7)]).unwrap();
    let flow = &plan.ports[0].flows[0];
    assert!(flow.addressed.is_none(), "{flow:?}");
    assert_eq!(flow.layout.bytes[..6], [2, 0, 0, 0, 0, 7]);
    assert_eq!(
        plan.notes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["port p: destination MAC 02:00:00:00:00:07 is that of 192.0.2.254 in the neighbour table"]
    );
}

#[test]
fn several_next_hops_go_along_with_the_destinations() {
    let hosts = [("192.0.2.2", 7), ("192.0.2.3", 8), ("192.0.2.4", 7)];
    for ip in [
        "dst = { increment = { start = '192.0.2.2', count = 3 } }",
        "dst = ['192.0.2.2', '192.0.2.3', '192.0.2.4']",
        "dst = { random = { min = '192.0.2.2', max = '192.0.2.4' } }",
    ] {
        let plan = plan(&packet("", ip), &hosts).unwrap();
        let flow = plan.ports[0].flows[0].addressed.as_ref().expect("a pattern");
        let setting = flow.packet[0].fields.last().unwrap();
        let Pattern::Values(values) = &setting.pattern.value else { panic!("{setting:?}") };
        let values: Vec<u128> = values.iter().map(|value| value.value).collect();
        assert_eq!(values, [7, 8, 7].map(|last| mac_value([2, 0, 0, 0, 0, last])), "{ip}");
        assert_eq!(
            setting.follow.as_ref().unwrap().value,
            Follow { header: 1, field: 0, advance: Advance::Step }
        );
    }
    let counted = plan(
        &packet("", "dst = { random = { min = '192.0.2.2', max = '192.0.2.4', count = 9 } }"),
        &hosts,
    );
    assert!(counted.unwrap_err().contains("cannot go along with random values that have a count"));
}

#[test]
fn several_sources_go_along_with_the_destinations() {
    let source = |last: u8| IpAddr::from([192, 0, 2, last]);
    let egress = Arc::new(Egress { interface: "veth0".to_owned(), vlans: Vec::new() });
    let mut machine = machine(&[("192.0.2.2", 7), ("192.0.2.3", 7)]);
    let second = Destinations::one(source(3));
    machine.reaches.get_mut(&(Arc::clone(&egress), second)).unwrap().source = Some(source(200));
    let notes = |plan: &Plan| plan.notes.iter().map(ToString::to_string).collect::<Vec<_>>();
    let planned = |ip: &str| {
        let flow = packet("dst = '02:00:00:00:00:02'", ip);
        planned(PORT, &flow, &machine, DefaultRoute::Refuse)
            .unwrap_or_else(|wrong| panic!("{wrong}"))
    };
    for ip in [
        "dst = ['192.0.2.2', '192.0.2.3']",
        "dst = { random = { min = '192.0.2.2', max = '192.0.2.3' } }",
    ] {
        let plan = planned(ip);
        let flow = plan.ports[0].flows[0].addressed.as_ref().expect("a pattern");
        let setting = flow.packet[1].fields.last().unwrap();
        let Pattern::Values(values) = &setting.pattern.value else { panic!("{setting:?}") };
        let values: Vec<u128> = values.iter().map(|value| value.value).collect();
        assert_eq!(
            (setting.field.name.as_ref(), values),
            ("src", vec![0xc000_0201, 0xc000_02c8]),
            "{ip}"
        );
        assert_eq!(
            setting.follow.as_ref().unwrap().value,
            Follow { header: 1, field: 0, advance: Advance::Step }
        );
        let said = "port p: flow f: the kernel has several source addresses for its destinations: `ipv4.src` goes along \
                    with `ipv4.dst`";
        assert_eq!(notes(&plan), [said]);
    }
    let plan = planned("dst = { random = { min = '192.0.2.2', max = '192.0.2.3', count = 9 } }");
    let said = "port p: flow f: all frames come from 192.0.2.1, though the kernel's source address for 192.0.2.3 is \
                192.0.2.200: list the destinations, or write `src`";
    assert!(plan.ports[0].flows[0].addressed.is_none());
    assert_eq!(notes(&plan), [said]);
    // A source that the user wrote stays.
    assert!(planned("src = '192.0.2.9', dst = ['192.0.2.2', '192.0.2.3']").notes.is_empty());
}

#[test]
fn destinations_without_a_lookup_are_errors() {
    #[track_caller]
    fn check(flow: &str, expected: &str) {
        let said = plan(flow, &[("10.0.0.0", 7), ("192.0.2.2", 7)]).unwrap_err();
        assert!(said.contains(expected), "{said}");
    }
    check(&packet("", "dst = '192.0.2.3'"), "who takes the frames for 192.0.2.3 is not known");
    let tagged =
        packet("", "dst = '192.0.2.2'").replace("{ ipv4", "{ vlan = { id = [5, 6] } }, { ipv4");
    check(&tagged, "this VLAN varies");
    // A flow with a MAC address needs no lookup.
    let tagged = tagged.replace("ethernet = {  }", "ethernet = { dst = '02:00:00:00:00:02' }");
    assert!(plan(&tagged, &[]).is_ok(), "{tagged}");
}

/// A session's frames go to its other end, whatever the destination of the packets in it.
#[test]
fn a_session_needs_a_mac_address() {
    let with_headers = |headers: &str, mac: &str| {
        packet(mac, "dst = '192.0.2.2'").replace("{ ipv4", &format!("{headers}, {{ ipv4"))
    };
    let machine = [("192.0.2.2", 7)];
    for session in
        ["{ pppoe = {} }", "{ vlan = {} }, { pppoe = {} }", "{ pppoe = {} }, { mpls = {} }"]
    {
        let said = plan(&with_headers(session, ""), &machine).unwrap_err();
        assert!(said.contains("no address behind `pppoe` tells it"), "{said}");
        assert!(said.contains("write `dst` in the ethernet header: the MAC"), "{said}");
        let mac = "dst = '02:00:00:00:00:02'";
        let plan = plan(&with_headers(session, mac), &machine).unwrap();
        let bytes = &plan.ports[0].flows[0].layout.bytes;
        // The first of the addresses set aside for benchmarks (RFC 2544), not 192.0.2.1, which the
        // kernel would use on the interface itself. The destination is behind it.
        let destination = bytes.windows(4).position(|bytes| bytes == [192, 0, 2, 2]).unwrap();
        assert_eq!(bytes[destination - 4..destination], [198, 18, 0, 1], "{session}");
        assert!(plan.notes.is_empty(), "{:?}", plan.notes);
    }
    // Labels lead to the next hop that the destination has without them.
    let plan = plan(&with_headers("{ mpls = {} }", ""), &machine).unwrap();
    assert_eq!(plan.ports[0].flows[0].layout.bytes[..6], [2, 0, 0, 0, 0, 7]);
}

/// Frames that leave do not reach their own machine; frames that stay are for this machine alone.
#[test]
fn frames_that_stay_are_for_this_machine() {
    let mut machine = machine(&[("192.0.2.1", 7)]);
    machine.reaches.values_mut().for_each(|reach| reach.next_hop = Some(Err(Unreachable::Own)));
    let planned = |action: &str| {
        let port = format!("{PORT}\naction = '{action}'");
        planned(&port, &packet("", "dst = '192.0.2.1'"), &machine, DefaultRoute::Refuse)
    };
    let own_mac = machine.link("veth0").unwrap().mac.unwrap();
    for action in ["pass", "drop"] {
        let plan = planned(action).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert_eq!(plan.ports[0].flows[0].layout.bytes[..6], own_mac, "{action}");
    }
    let said = planned("redirect").unwrap_err().to_string();
    assert!(said.contains("192.0.2.1 is an address of this machine"), "{said}");
}

#[test]
fn lookups_are_for_addresses_that_are_left_open() {
    #[track_caller]
    fn check(flow: &str, expected: &[(&str, &str, Required)]) {
        let text =
            format!("[[ports]]\nname = 'p'\n{PORT}\n[[flows]]\nname = 'f'\nport = 'p'\n{flow}\n");
        let config =
            file::parse(Source::file("test.toml", &text)).unwrap_or_else(|wrong| panic!("{wrong}"));
        let found: Vec<_> =
            sought(&config).into_iter().map(|sought| (sought.destinations, sought.what)).collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(first, last, what)| {
                (Destinations { first: first.parse().unwrap(), last: last.parse().unwrap() }, *what)
            })
            .collect();
        assert_eq!(found, expected);
    }
    let mac = "dst = '02:00:00:00:00:02'";
    check(&packet("", "dst = '192.0.2.2'"), &[("192.0.2.2", "192.0.2.2", Required::NextHop)]);
    check(
        &packet("", "dst = '192.0.2.2', src = '192.0.2.1'"),
        &[("192.0.2.2", "192.0.2.2", Required::NextHop)],
    );
    // Each may have a source of its own.
    check(
        &packet(mac, "dst = ['192.0.2.2', '192.0.2.3']"),
        &[
            ("192.0.2.2", "192.0.2.2", Required::Source),
            ("192.0.2.3", "192.0.2.3", Required::Source),
        ],
    );
    let many = packet(mac, "dst = { random = { min = '10.0.0.0', max = '10.255.255.255' } }");
    check(
        &many,
        &[
            ("10.0.0.0", "10.0.0.0", Required::Source),
            ("10.0.0.0", "10.255.255.255", Required::Source),
        ],
    );
    check(&packet(mac, "dst = '192.0.2.2', src = '192.0.2.1'"), &[]);
    // A session's addresses are none of this host's.
    check(&packet(mac, "dst = '192.0.2.2'").replace("{ ipv4", "{ pppoe = {} }, { ipv4"), &[]);
    check(&packet("", ""), &[("198.19.0.1", "198.19.0.1", Required::NextHop)]);
    let decrement =
        packet("", "dst = { decrement = { start = '192.0.2.9', step = 4, count = 2 } }");
    check(
        &decrement,
        &[
            ("192.0.2.5", "192.0.2.5", Required::NextHop),
            ("192.0.2.9", "192.0.2.9", Required::NextHop),
        ],
    );
    // These are too many for lookups of their own.
    let many = packet("", "dst = { increment = { start = '10.0.0.0', step = 2, count = 100000 } }");
    check(
        &many,
        &[
            ("10.0.0.0", "10.0.0.0", Required::Source),
            ("10.0.0.0", "10.3.13.62", Required::NextHop),
        ],
    );
    let arp = "packet = [{ ethernet = {} }, { arp = { target_protocol_addr = '192.0.2.2' } }]";
    check(arp, &[("192.0.2.2", "192.0.2.2", Required::Source)]);
}
