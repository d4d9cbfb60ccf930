//! The machine we are on: its links, routes, neighbours and CPUs, read into plain values.
//!
//! The plan is a pure function of the configuration and the [`Facts`] gathered here.

mod cpus;
mod netlink;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

pub use cpus::{online_cpus, parse_cpu_list};
pub use netlink::{Netlink, NetlinkError};

/// Six bytes.
pub type Mac = [u8; 6];

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Its index in this network namespace.
    pub index: u32,
    /// Largest network-layer packet, in bytes.
    pub mtu: u32,
    /// Whether it was set up (`ip link set up`).
    pub up: bool,
    /// Whether something is plugged in at the other end.
    pub carrier: bool,
    /// Its address, when it is of Ethernet.
    pub mac: Option<Mac>,
}

/// How to reach an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// The neighbour: a gateway, or the address itself.
    pub neighbour: IpAddr,
    /// The neighbour's MAC address, when the neighbour table has it.
    pub mac: Option<Mac>,
    /// The source address the kernel would use.
    pub source: Option<IpAddr>,
}

/// All that a plan wants to know of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The interfaces of this network namespace.
    pub links: Vec<Link>,
    /// Indices of interfaces that carry a default route.
    pub default_route: BTreeSet<u32>,
    /// Neighbours that were asked for, by interface name and destination.
    pub next_hops: BTreeMap<(String, IpAddr), NextHop>,
    /// CPUs that exist and are switched on, in order.
    pub cpus: Vec<u32>,
    /// CPUs this process may run on, in order.
    pub allowed_cpus: Vec<u32>,
    /// Bytes of the largest frame the kernel's live mode takes, without FCS.
    pub largest_frame: usize,
}

impl Facts {
    /// The link of this name.
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }
}
