//! The machine: its links, routes, neighbours, CPUs and memory, read into plain values.
//!
//! The plan is a pure function of the configuration and of the [`Facts`] gathered here. Nothing
//! here knows the configuration, or what is sent.

mod answers;
mod attached;
mod changes;
mod counters;
mod cpus;
mod descriptors;
mod device;
pub mod drivers;
mod elsewhere;
mod ethtool;
mod facts;
mod files;
mod gather;
mod groups;
mod interface;
mod link;
mod machine;
mod memory;
mod mitigations;
mod mounts;
mod neighbours;
mod netdev;
mod netlink;
mod quota;
mod reach;
mod resolve;
mod routes;
mod system;
mod taps;
mod workers;

pub use answers::StackAnswers;
pub use changes::{LinkChanges, LinkHistory, LinkKey, LinkStatus};
pub use counters::{CounterReader, Counters};
#[cfg(test)]
pub(crate) use cpus::parse_cpu_list;
pub(crate) use cpus::possible_cpus;
pub use cpus::{allowed_cpus, online_cpus};
pub use descriptors::{descriptor_limit, raise_descriptor_limit};
pub use facts::{Facts, FactsError};
pub use interface::{AttachedXdp, Bond, Interface, Interrupt, Iommu, Peer, XdpFeatures};
pub use link::{Link, Mac, index_of, is_gone, mac_value, name_of, show_mac};
pub use machine::machine;
pub use memory::resident_memory;
pub use mounts::Unmounted;
pub use netdev::{queues_in_use, xdp_features};
pub use netlink::{Netlink, NetlinkError};
pub use quota::{Quota, Throttled};
pub use reach::{
    BROADCAST_MAC, Destinations, Egress, Lookup, MacSource, NextHop, Reach, Required, Unreachable, Vlan, group_mac,
};
pub use system::{Cpu, Lockdown, System};
pub use taps::is_captured;
pub use workers::{WORKER_THREAD, WorkerThread};

pub use crate::sys::{
    ioctl::{Driver, Queues, Rings},
    xdp_netlink::AttachedMode,
};
