//! All facts of the machine that a plan follows from, gathered at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

use tokio_util::sync::CancellationToken;

use crate::host::{
    Destinations, Egress, Interface, Link, Lookup, Netlink, NetlinkError, Reach, System, WorkerThread, cpus, resolve,
};

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
    /// answer; not to be called from async code.
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
