//! A network namespace of a test's own. A program that the test starts finds itself in there:
//! children inherit the namespace of the thread that starts them.

use std::{fs, marker::PhantomData, thread};

use xdp_trafficgen::{
    host::{Link, Netlink},
    kernel::PrivateNetns,
};

use super::{privileged, turn::Turn};

/// The calling thread is in it. Dropping it takes the thread back.
///
/// Not `Send`: a namespace is a thread's.
pub(crate) struct Namespace {
    pub(crate) netlink: Netlink,
    home: PrivateNetns,
    _turn: Turn,
    _not_send: PhantomData<*mut ()>,
}

impl Namespace {
    /// None, and a word about it, when the test may not do this.
    pub(crate) fn enter(turn: fn() -> Turn) -> Option<Self> {
        if !privileged() {
            return None;
        }
        let turn = turn();
        let home = PrivateNetns::current().unwrap();
        PrivateNetns::enter().unwrap();
        let namespace =
            Self { netlink: Netlink::open().unwrap(), home, _turn: turn, _not_send: PhantomData };
        // Nobody shall talk on the wires but the tests: no duplicate address detection, no router
        // solicitation.
        fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").unwrap();
        Some(namespace)
    }

    /// A pair of interfaces that face each other, both up.
    pub(crate) fn pair(&self, name: &str, peer: &str, queues: u32) {
        self.netlink.add_veth(name, peer, queues).unwrap();
        self.set_up([peer, name]);
    }

    pub(crate) fn set_up(&self, interfaces: [&str; 2]) {
        interfaces.iter().for_each(|interface| self.netlink.set_up(interface).unwrap());
    }

    pub(crate) fn link(&self, name: &str) -> Link {
        let links = self.netlink.links().unwrap();
        links.into_iter().find(|link| link.name == name).unwrap_or_else(|| panic!("no {name}"))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let back = self.home.join();
        if !thread::panicking() {
            back.unwrap();
        }
    }
}
