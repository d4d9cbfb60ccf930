//! What the kernel says of interfaces, in the network namespace of the thread that asks.

#[expect(dead_code, reason = "only the namespace is wanted here")]
mod net;

use net::TestNet;

/// veth says 10 Gb/s whatever it carries (drivers/net/veth.c, `veth_get_link_ksettings`); loopback has no answer at all.
#[test]
fn speeds_are_those_of_this_namespace() {
    let Some(net) = TestNet::enter() else { return };
    net.veth("a", "b");
    #[track_caller]
    fn check(net: &TestNet, interface: &str, expected: Option<u64>) {
        assert_eq!(net.link(interface).speed, expected, "{interface}");
    }
    check(&net, "a", Some(10_000_000_000));
    check(&net, "b", Some(10_000_000_000));
    check(&net, "lo", None);
    assert_eq!(net.link("a").bus, None, "no device, no bus");
}
