//! What tests on the real kernel share: a network namespace of their own, veth pairs in it, and a loaded port.

pub(crate) mod raw;

use std::{
    collections::BTreeMap,
    ops::{Deref, Sub},
    thread,
};

use crate::common::{namespace::Namespace, turn::Turn};
pub(crate) use crate::stage::{assert_arrived, ip, wait_until};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use xdp_trafficgen::{
    config::{Source, file},
    host::{Facts, online_cpus},
    kernel::{
        Capabilities, Generator, Listener, TracePoint,
        generator::{Role, Sent},
        probe::probe,
    },
    plan::{self, DefaultRoute, PortPlan},
};
use xdp_trafficgen_ebpf::abi::{DropLayer, Worker};

/// A namespace of the test's own with the test's thread in it, pinned to one CPU. Dropping it takes the thread back.
pub(crate) struct TestNet {
    pub(crate) kernel: Capabilities,
    /// Where the test's thread runs.
    pub(crate) cpu: u32,
    affinity: CpuSet,
    namespace: Namespace,
}

impl TestNet {
    /// None, and a word about it, when the test may not do this.
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

    /// Works out what the port described by `settings`, TOML lines of `[[ports]]`, sends: frames of [`PACKET`].
    pub(crate) fn plan(&self, settings: &str) -> PortPlan {
        self.plan_flow(settings, &format!("packet = [{PACKET}]"))
    }

    pub(crate) fn plan_flow(&self, settings: &str, flow: &str) -> PortPlan {
        let text = format!("[[ports]]\nname = \"p\"\n{settings}\n[[flows]]\nname = \"f\"\nport = \"p\"\n{flow}\n");
        let config = file::parse(Source::file("test", &text)).unwrap_or_else(|errors| panic!("{errors}"));
        let facts = Facts {
            links: self.netlink.links().unwrap(),
            cpus: online_cpus().unwrap(),
            allowed_cpus: vec![self.cpu],
            largest_frame: Some(self.kernel.largest_frame),
            ..Facts::default()
        };
        let plan = plan::plan(&config, &facts, DefaultRoute::Refuse).unwrap_or_else(|errors| panic!("{errors}"));
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

/// Headers of a 64-byte frame with a varying port, and so a varying checksum.
pub(crate) const PACKET: &str = r#"
    { ethernet = { src = "02:00:00:00:00:01", dst = "02:00:00:00:00:02" } },
    { ipv4 = { src = "192.0.2.2", dst = "192.0.2.1" } },
    { udp = { src_port = 1000, dst_port = { increment = { start = 2000, count = 60000 } } } },
"#;

/// A loaded generator and what it is to send.
pub(crate) struct Port {
    pub(crate) plan: PortPlan,
    pub(crate) generator: Generator,
}

/// What became of a port's frames, all CPUs together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) attempted: u64,
    pub(crate) transmitted: u64,
    pub(crate) dropped: u64,
    pub(crate) drops: BTreeMap<(DropLayer, u32), u64>,
}

impl Port {
    pub(crate) fn load(plan: PortPlan) -> Self {
        let listener = plan.leaves_by().map(|_| Listener::new(1, &TracePoint::ALL).unwrap());
        Self::load_beside(plan, listener.as_ref())
    }

    /// One of several with the same listener.
    pub(crate) fn load_beside(plan: PortPlan, listener: Option<&Listener>) -> Self {
        let generator =
            Generator::load(&plan.program, plan.pacing.as_ref(), plan.egress, Role::Generate, listener).unwrap();
        Self { plan, generator }
    }

    /// One live call.
    #[track_caller]
    pub(crate) fn send(&self, repeat: u32) {
        let Self { plan, generator } = self;
        let sent = generator.send(&plan.program.frame, plan.ingress, repeat, plan.batch_size).unwrap();
        assert_eq!(sent, Sent::All);
    }

    /// One counter, all CPUs together. Unlike [`Self::counts`] it can be asked while frames are sent.
    pub(crate) fn total(&self, counter: impl Fn(&Worker) -> u64) -> u64 {
        self.generator.workers().unwrap().iter().map(|(_, worker)| counter(worker)).sum()
    }

    /// Of a port that is not sending just now.
    pub(crate) fn counts(&self) -> Counts {
        let mut drops = BTreeMap::new();
        for (refusal, count) in self.generator.drops().unwrap().iter().flat_map(|(_, drops)| drops.clone()) {
            *drops.entry(refusal).or_default() += count;
        }
        let counts = Counts {
            attempted: self.total(|worker| worker.attempted()),
            transmitted: self.total(|worker| worker.transmitted()),
            dropped: self.total(|worker| worker.dropped + worker.refused),
            drops,
        };
        assert_eq!(self.total(|worker| worker.aborted), 0);
        assert_eq!(counts.dropped, counts.drops.values().sum::<u64>(), "every drop has a reason: {counts:?}");
        counts
    }

    /// The counts of a port that redirects, which add up.
    #[track_caller]
    pub(crate) fn redirected(&self) -> Counts {
        let counts = self.counts();
        assert_eq!(counts.attempted, counts.transmitted + counts.dropped, "{counts:?}");
        counts
    }
}

/// Pins the calling thread: a worker's state is its CPU's.
pub(crate) fn pin(cpu: u32) {
    let mut set = CpuSet::new();
    set.set(cpu as usize);
    sched_setaffinity(None, &set).unwrap();
}

pub(crate) fn allowed_cpus() -> Vec<u32> {
    let set = sched_getaffinity(None).unwrap();
    (0..1024).filter(|&cpu| set.is_set(cpu as usize)).collect()
}

/// What became of the frames an interface was to send, as its own statistics say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transmitted {
    pub(crate) packets: u64,
    pub(crate) dropped: u64,
}

impl Transmitted {
    pub(crate) const fn frames(self) -> u64 {
        self.packets + self.dropped
    }
}

impl Sub for Transmitted {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self { packets: self.packets - before.packets, dropped: self.dropped - before.dropped }
    }
}

/// Of a veth, whose packets are those that its peer has received.
pub(crate) fn transmitted(interface: &str) -> Transmitted {
    // `/proc/net` would be the main thread's namespace.
    let table = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let line = table.lines().find_map(|line| line.trim().strip_prefix(interface)?.strip_prefix(':')).unwrap();
    // Eight columns of receiving; then bytes, packets, errs, drop.
    let columns: Vec<u64> = line.split_whitespace().map(|column| column.parse().unwrap()).collect();
    Transmitted { packets: columns[9], dropped: columns[11] }
}
