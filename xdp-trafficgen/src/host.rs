//! The machine we are on: its links, routes, neighbours and CPUs, read into plain values.
//!
//! The plan is a pure function of the configuration and the [`Facts`] gathered here.

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
mod files;
mod gather;
mod groups;
mod interface;
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

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketType, netdevice, socket},
};
use tokio_util::sync::CancellationToken;

pub use answers::StackAnswers;
pub use changes::{LinkChanges, LinkHistory, LinkKey};
pub use counters::{CounterReader, Counters};
#[cfg(test)]
pub(crate) use cpus::parse_cpu_list;
pub(crate) use cpus::possible_cpus;
pub use cpus::{allowed_cpus, online_cpus};
pub use descriptors::{descriptor_limit, raise_descriptor_limit};
pub use interface::{AttachedXdp, Bond, Interface, Interrupt, Iommu, Peer, XdpFeatures};
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

/// Six bytes.
pub type Mac = [u8; 6];

/// The address as users write it.
pub fn show_mac([a, b, c, d, e, f]: Mac) -> String {
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}

/// The address as the number that fields hold.
pub fn mac_value(mac: Mac) -> u128 {
    mac.iter().fold(0, |value, &byte| value << 8 | u128::from(byte))
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Other names it answers to (`ip link property add dev NAME altname OTHER`), which may be longer than 15 characters.
    pub alt_names: Vec<String>,
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
    /// Bits a second, as the kernel says (10 Gb/s for any veth); none when it does not know.
    pub speed: Option<u64>,
    /// The bus its device is on, such as `pci` or `virtio`; none for virtual interfaces, and before Linux 5.14.
    pub bus: Option<String>,
}

impl Link {
    /// Whether it is called this: its name, or one of its alternative names. No two interfaces of a network namespace share one.
    pub fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.alt_names.iter().any(|other| other == name)
    }

    /// All that it is called, its name first.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        [self.name.as_str()].into_iter().chain(self.alt_names.iter().map(String::as_str))
    }
}

/// All that a plan wants to know of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The machine, beyond its CPUs' numbers.
    pub system: System,
    /// The interfaces of this network namespace.
    pub links: Vec<Link>,
    /// More about the interfaces that were asked for.
    pub interfaces: Vec<Interface>,
    /// Indices of interfaces that carry a default route.
    pub default_route: BTreeSet<u32>,
    /// How destinations that were asked about are reached, by the way that frames for them leave.
    pub reaches: BTreeMap<(Arc<Egress>, Destinations), Reach>,
    /// CPUs that exist and are switched on, in order; without /sys, those that this process can be bound to.
    pub cpus: Vec<u32>,
    /// How many CPUs there may ever be, for which the kernel counts; 0 when it does not say.
    pub possible_cpus: usize,
    /// CPUs this process runs on, in order: its affinity, which is what it was given (`taskset`) of its cpuset.
    pub allowed_cpus: Vec<u32>,
    /// CPUs that are online and outside of its cpuset, in order: no thread of it can be bound to them.
    pub barred_cpus: Vec<u32>,
    /// Who sends already.
    pub workers: Vec<WorkerThread>,
    /// Bytes of the largest frame the kernel's live mode takes, without FCS; none when it could not be asked.
    pub largest_frame: Option<usize>,
    /// The kernel's version, major and minor; none when its release does not start with one.
    pub kernel: Option<(u32, u32)>,
}

/// What could not be found out.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// Links or routes.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// How destinations are reached.
    #[error("netlink: cannot ask for routes and neighbours")]
    Reaches(#[source] io::Error),
    /// It was told to stop before they were known.
    #[error("stopped while next hops were asked for their MAC addresses")]
    Stopped,
    /// CPUs.
    #[error("cannot find out which CPUs there are")]
    Cpus(#[source] io::Error),
}

impl Facts {
    /// Asks the machine; `sought` are the destinations to look up, `interfaces` the names, or alternative names, of
    /// those to learn more about. Blocks, for a few seconds where a next hop must be asked for its MAC address and does not
    /// answer.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn gather(sought: &[Lookup], interfaces: &[&str], largest_frame: Option<usize>) -> Result<Self, FactsError> {
        Self::until(&CancellationToken::new(), sought, interfaces, largest_frame)
    }

    /// The same, but waits for no next hop any more once `stop` is cancelled.
    ///
    /// # Errors
    /// When the kernel does not answer, and when it was told to stop.
    pub fn until(
        stop: &CancellationToken,
        sought: &[Lookup],
        interfaces: &[&str],
        largest_frame: Option<usize>,
    ) -> Result<Self, FactsError> {
        let named = |link: &Link| interfaces.iter().any(|name| link.answers_to(name));
        let netlink = Netlink::open()?;
        let messages = netlink.link_messages()?;
        let links: Vec<Link> = messages.iter().map(|message| netlink.link(message)).collect();
        let interfaces = Interface::described(&netlink, &messages, named)?;
        let system = System::gather();
        let cpus = cpus::online_cpus().or_else(|_| cpus::usable_cpus()).map_err(FactsError::Cpus)?;
        let reaches = resolve::reaches(stop, sought, &messages, &links).map_err(FactsError::Reaches)?;
        let reaches = reaches.ok_or(FactsError::Stopped)?;
        Ok(Self {
            default_route: netlink.default_route_interfaces()?.into_iter().collect(),
            links,
            interfaces,
            reaches,
            possible_cpus: cpus::possible_cpus().map_or(0, |cpus| cpus.len()),
            barred_cpus: cpus::barred_cpus(&cpus),
            cpus,
            allowed_cpus: cpus::allowed_cpus().map_err(FactsError::Cpus)?,
            workers: WorkerThread::gather(),
            largest_frame,
            kernel: system.version,
            system,
        })
    }

    /// What is known of the interface of this name, or alternative name, if it was asked for.
    pub fn interface(&self, name: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.link.answers_to(name))
    }

    /// The link of this name, or alternative name.
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.answers_to(name))
    }
}

/// Major and minor of a kernel release such as `6.1.0-41-cloud-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The index of the interface of this name in the calling thread's network namespace.
///
/// # Errors
/// When there is none.
pub fn index_of(name: &str) -> io::Result<u32> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    Ok(netdevice::name_to_index(socket, name)?)
}

/// What the interface with this index is called in the calling thread's network namespace by now; none when it is gone.
pub fn name_of(index: u32) -> Option<String> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None).ok()?;
    netdevice::index_to_name(socket, index).ok()
}

/// Whether the interface with this index is gone from the calling thread's network namespace. By index, for a renamed
/// interface is still there; in doubt, it is.
pub fn is_gone(index: u32) -> bool {
    let Ok(socket) = socket(AddressFamily::INET, SocketType::DGRAM, None) else { return false };
    netdevice::index_to_name(socket, index).is_err_and(|error| matches!(error, Errno::NODEV | Errno::NXIO))
}
