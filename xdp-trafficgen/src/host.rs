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
#[doc(hidden)]
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

#[doc(hidden)]
pub use answers::StackAnswers;
#[doc(hidden)]
pub use changes::{LinkChanges, LinkHistory, LinkKey, LinkStatus};
#[doc(hidden)]
pub use counters::CounterReader;
pub use counters::Counters;
pub(crate) use cpus::possible_cpus;
#[doc(hidden)]
pub use cpus::{allowed_cpus, online_cpus};
#[doc(hidden)]
pub use descriptors::{descriptor_limit, raise_descriptor_limit};
pub use facts::{Facts, FactsError};
pub use interface::{AttachedXdp, Bond, Interface, Interrupt, Iommu, Peer, XdpFeatures};
pub use link::{Link, Mac};
#[doc(hidden)]
pub use link::{index_of, is_gone, mac_value, name_of, show_mac};
#[doc(hidden)]
pub use machine::machine;
#[doc(hidden)]
pub use memory::resident_memory;
pub use mounts::Unmounted;
#[doc(hidden)]
pub use netdev::{queues_in_use, xdp_features};
#[doc(hidden)]
pub use netlink::Netlink;
pub use netlink::NetlinkError;
pub use quota::Quota;
#[doc(hidden)]
pub use quota::Throttled;
pub use reach::{
    BROADCAST_MAC, Destinations, Egress, Lookup, MacSource, NextHop, Reach, Required, Unreachable,
    Vlan, group_mac,
};
pub use system::{Cpu, Lockdown, System};
#[doc(hidden)]
pub use taps::is_captured;
#[doc(hidden)]
pub use workers::WORKER_THREAD;
pub use workers::WorkerThread;

pub use crate::sys::{
    ioctl::{Driver, Queues, Rings},
    xdp_netlink::AttachedMode,
};
