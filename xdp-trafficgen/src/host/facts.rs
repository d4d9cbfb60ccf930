//! All facts of the machine that a plan follows from, gathered at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

use tokio_util::sync::CancellationToken;

use crate::host::{
    Destinations, Egress, Interface, Link, Lookup, Netlink, NetlinkError, Reach, System,
    WorkerThread, cpus, resolve,
};

/// The facts of the machine that a plan follows from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The machine, beyond its CPUs' numbers.
    pub system: System,
    /// The interfaces of this network namespace.
    pub links: Vec<Link>,
    /// More about the interfaces that the caller asked for.
    pub interfaces: Vec<Interface>,
    /// Indices of interfaces that carry a default route.
    pub default_route: BTreeSet<u32>,
    /// How destinations that were asked about are reached, by the egress of their frames.
    pub reaches: BTreeMap<(Arc<Egress>, Destinations), Reach>,
    /// CPUs that are online, in order; without /sys, CPUs that this process can be bound to.
    pub cpus: Vec<u32>,
    /// Number of CPUs that this machine may ever have, for each of which the kernel counts; 0 when
    /// it does not say.
    pub possible_cpus: usize,
    /// CPUs in this process's affinity, in order (`taskset`, within its cpuset).
    pub allowed_cpus: Vec<u32>,
    /// CPUs that are online and outside of this process's cpuset, in order: its threads cannot be
    /// bound to them.
    pub barred_cpus: Vec<u32>,
    /// Workers that send already.
    pub workers: Vec<WorkerThread>,
    /// Bytes of the largest live frame, without FCS; none when the kernel could not be asked.
    pub largest_frame: Option<usize>,
    /// The kernel's version, major and minor; none when its release does not start with one.
    pub kernel: Option<(u32, u32)>,
}

/// Facts that could not be gathered.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// Links or routes.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// How destinations are reached.
    #[error("netlink: cannot ask for routes and neighbours")]
    Reaches(#[source] io::Error),
    /// The caller cancelled `stop`.
    #[error("stopped while next hops were asked for their MAC addresses")]
    Stopped,
    /// CPUs.
    #[error("cannot find out which CPUs there are")]
    Cpus(#[source] io::Error),
}

impl Facts {
    /// Asks the machine. `sought` are the destinations to look up, `interfaces` the names or
    /// alternative names of those to learn more about. Blocks, for a few seconds where a next hop
    /// does not answer a request for its MAC address; not to be called from async code.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn gather(
        sought: &[Lookup],
        interfaces: &[&str],
        largest_frame: Option<usize>,
    ) -> Result<Self, FactsError> {
        Self::until(&CancellationToken::new(), sought, interfaces, largest_frame)
    }

    /// As [`Self::gather`], but stops waiting for next hops when `stop` is cancelled.
    ///
    /// # Errors
    /// When the kernel does not answer, and when `stop` was cancelled.
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
        let cpus =
            cpus::online_cpus().or_else(|_| cpus::usable_cpus()).map_err(FactsError::Cpus)?;
        let reaches =
            resolve::reaches(stop, sought, &messages, &links).map_err(FactsError::Reaches)?;
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

    /// Facts of the interface of this name or alternative name, if the caller asked for it.
    pub fn interface(&self, name: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.link.answers_to(name))
    }

    /// The link of this name, or alternative name.
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.answers_to(name))
    }
}
