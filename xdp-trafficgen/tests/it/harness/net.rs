//! A namespace for tests of the crate, which send from their own thread.

use std::{ops::Deref, thread};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use xdp_trafficgen::{
    config::{Source, file},
    host::{Facts, online_cpus},
    kernel::{Capabilities, probe::probe},
    plan::{self, DefaultRoute, PortPlan},
};

use super::{PACKET, Port, allowed_cpus, namespace::Namespace, pin, turn::Turn};

/// A namespace of the test's own with the test's thread in it, pinned to one CPU. Dropping it takes
/// the thread back.
pub(crate) struct TestNet {
    pub(crate) kernel: Capabilities,
    /// The CPU that the test's thread is pinned to.
    pub(crate) cpu: u32,
    affinity: CpuSet,
    namespace: Namespace,
}

impl TestNet {
    /// None, with a message, when the test may not make namespaces.
    pub(crate) fn enter() -> Option<Self> {
        Self::in_turn(Turn::beside_others)
    }

    /// The same, while no other test has a namespace.
    pub(crate) fn alone() -> Option<Self> {
        Self::in_turn(Turn::alone)
    }

    fn in_turn(turn: fn() -> Turn) -> Option<Self> {
        let namespace = Namespace::enter(turn)?;
        let affinity = sched_getaffinity(None).unwrap();
        let cpu = allowed_cpus()[0];
        pin(cpu);
        Some(Self { kernel: probe().unwrap(), cpu, affinity, namespace })
    }

    /// A pair of interfaces, both up, with one queue each.
    pub(crate) fn veth(&self, name: &str, peer: &str) {
        self.pair(name, peer, 1);
    }

    /// Plans the port described by `settings`, TOML lines of `[[ports]]`; it sends frames of
    /// [`PACKET`].
    pub(crate) fn plan(&self, settings: &str) -> PortPlan {
        self.plan_flow(settings, &format!("packet = [{PACKET}]"))
    }

    pub(crate) fn plan_flow(&self, settings: &str, flow: &str) -> PortPlan {
        let text = format!(
            "[[ports]]\nname = \"p\"\n{settings}\n[[flows]]\nname = \"f\"\nport = \"p\"\n{flow}\n"
        );
        let config =
            file::parse(Source::file("test", &text)).unwrap_or_else(|errors| panic!("{errors}"));
        let facts = Facts {
            links: self.netlink.links().unwrap(),
            cpus: online_cpus().unwrap(),
            allowed_cpus: vec![self.cpu],
            largest_frame: Some(self.kernel.largest_frame),
            ..Facts::default()
        };
        let plan = plan::plan(&config, &facts, DefaultRoute::Refuse)
            .unwrap_or_else(|errors| panic!("{errors}"));
        plan.ports.into_iter().next().unwrap()
    }

    /// The port described by `settings`, loaded.
    pub(crate) fn port(&self, settings: &str) -> Port {
        Port::load(self.plan(settings))
    }
}

impl Deref for TestNet {
    type Target = Namespace;

    fn deref(&self) -> &Namespace {
        &self.namespace
    }
}

impl Drop for TestNet {
    fn drop(&mut self) {
        let unpinned = sched_setaffinity(None, &self.affinity);
        if !thread::panicking() {
            unpinned.unwrap();
        }
    }
}
