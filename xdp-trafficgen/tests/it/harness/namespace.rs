//! A network namespace that belongs to one test. Programs that the test starts run in it too,
//! because children inherit the namespace of the thread that starts them.

use std::{fs, marker::PhantomData, thread};

use xdp_trafficgen::{
    host::{Link, Netlink},
    kernel::PrivateNetns,
};

use super::{privileged, turn::Turn};

/// While this value lives, the calling thread is in its namespace. Dropping it takes the thread
/// back.
///
/// Not `Send`, because a thread's namespace belongs to that thread.
pub(crate) struct Namespace {
    pub(crate) netlink: Netlink,
    home: PrivateNetns,
    _turn: Turn,
    _not_send: PhantomData<*mut ()>,
}

impl Namespace {
    /// None, with a message, when the test may not make namespaces.
    pub(crate) fn enter(turn: fn() -> Turn) -> Option<Self> {
        if !privileged() {
            return None;
        }
        let turn = turn();
        let home = PrivateNetns::current().unwrap();
        PrivateNetns::enter().unwrap();
        let namespace =
            Self { netlink: Netlink::open().unwrap(), home, _turn: turn, _not_send: PhantomData };
        // Only the tests may send on these wires: the kernel does neither duplicate address
        // detection nor router solicitation.
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
