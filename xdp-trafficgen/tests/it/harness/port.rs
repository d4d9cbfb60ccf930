//! A port of the crate, loaded into the kernel, and the counts of its frames.

use std::collections::BTreeMap;

use xdp_trafficgen::{
    kernel::{
        Generator, Listener, TracePoint,
        generator::{Role, Sent},
    },
    plan::PortPlan,
};
use xdp_trafficgen_ebpf::abi::{DropLayer, Worker};

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

/// The counts of a port's frames, all CPUs together.
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

    /// Loads a port that shares this listener with others.
    pub(crate) fn load_beside(plan: PortPlan, listener: Option<&Listener>) -> Self {
        let generator = Generator::load(
            &plan.program,
            plan.pacing.as_ref(),
            plan.egress,
            Role::Generate,
            listener,
        )
        .unwrap();
        Self { plan, generator }
    }

    /// One live call.
    #[track_caller]
    pub(crate) fn send(&self, repeat: u32) {
        let Self { plan, generator } = self;
        let sent =
            generator.send(&plan.program.frame, plan.ingress, repeat, plan.batch_size).unwrap();
        assert_eq!(sent, Sent::All);
    }

    /// One counter, all CPUs together. Unlike [`Self::counts`] it can be read while frames are
    /// sent.
    pub(crate) fn total(&self, counter: impl Fn(&Worker) -> u64) -> u64 {
        self.generator.workers().unwrap().iter().map(|(_, worker)| counter(worker)).sum()
    }

    /// The counts of a port that is not sending at the moment.
    pub(crate) fn counts(&self) -> Counts {
        let mut drops = BTreeMap::new();
        for (refusal, count) in
            self.generator.drops().unwrap().iter().flat_map(|(_, drops)| drops.clone())
        {
            *drops.entry(refusal).or_default() += count;
        }
        let counts = Counts {
            attempted: self.total(|worker| worker.frames_attempted()),
            transmitted: self.total(|worker| worker.frames_tx()),
            dropped: self.total(|worker| worker.counts.dropped + worker.counts.refused),
            drops,
        };
        assert_eq!(self.total(|worker| worker.counts.aborted), 0);
        assert_eq!(
            counts.dropped,
            counts.drops.values().sum::<u64>(),
            "every drop has a reason: {counts:?}"
        );
        counts
    }

    /// The counts of a port that redirects; they must add up.
    #[track_caller]
    pub(crate) fn redirected(&self) -> Counts {
        let counts = self.counts();
        assert_eq!(counts.attempted, counts.transmitted + counts.dropped, "{counts:?}");
        counts
    }
}
