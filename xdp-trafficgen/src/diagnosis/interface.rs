//! Findings about an interface that takes frames: its programs, its queueing discipline, and where
//! its memory and interrupts are.

use super::{
    Finding, Severity, Situation,
    mtu::{above_mtu, too_long},
    queues, veth, words,
};
use crate::host::{
    AttachedMode, Iommu,
    drivers::{QueueOfCpu, queue_of_cpu},
};

/// What would go wrong or be slow with this interface.
pub(super) fn foreseen(situation: &Situation<'_>) -> Vec<Finding> {
    let Some(interface) = situation.interface else { return Vec::new() };
    let mtu = too_long(situation.largest, interface.link.mtu).then(|| above_mtu(situation));
    let queues = match queue_of_cpu(situation.driver()) {
        QueueOfCpu::Own(errno) => queues::cpus_above(situation, errno),
        _ => None,
    };
    let batch = (veth::is_one(situation) && !veth::fits_ring(situation.batch_size))
        .then(|| veth::batch_above_ring(situation));
    let found = [
        mtu.or_else(|| veth::above_peer_mtu(situation)),
        queues,
        batch,
        other_program(situation),
        translating(situation),
        queues::shared(situation),
        interrupts_on_workers(situation),
        node_apart(situation),
        frames_cut(situation),
        interface.captured.then(|| of_capture(&interface.link.name)),
        bypassed(situation),
    ];
    found.into_iter().flatten().collect()
}

/// A program that is attached already does no harm, but users should know which frames it sees.
fn other_program(situation: &Situation<'_>) -> Option<Finding> {
    let Situation { name, .. } = situation;
    let attached = situation.program(AttachedMode::Native)?;
    Some(Finding::new(
        "other_program",
        Severity::Note,
        format!(
            "{attached} is attached to `{name}` already; it stays, and does not see the frames \
                 that are sent"
        ),
        "",
    ))
}

/// XDP frames go from the program to the driver, past packet sockets (dev_queue_xmit_nit of the
/// kernel's net/core/dev.c). ISC's dhclient has such a socket for as long as it runs, as tcpdump
/// has.
pub fn of_capture(name: &str) -> Finding {
    Finding::new(
        "capture_sees_nothing",
        Severity::Note,
        format!(
            "a process captures at `{name}`, as tcpdump or a DHCP client does, and does not see \
             the frames that are sent, which bypass it"
        ),
        "capture where they arrive, or let `xdp-trafficgen show` write the frames of a \
         configuration into a file (`--pcap`)",
    )
}

/// The queueing disciplines that kernels choose themselves (`net.core.default_qdisc` selects some
/// of them).
const ORDINARY_QDISCS: [&str; 8] =
    ["noqueue", "noop", "mq", "pfifo_fast", "pfifo", "bfifo", "fq", "fq_codel"];

/// A queueing discipline that was configured, perhaps to shape or to lose frames.
fn bypassed(situation: &Situation<'_>) -> Option<Finding> {
    let Situation { name, .. } = situation;
    let qdisc =
        situation.interface?.qdisc.as_deref().filter(|qdisc| !ORDINARY_QDISCS.contains(qdisc))?;
    Some(Finding::new(
        "qdisc_bypassed",
        Severity::Note,
        format!(
            "the queueing discipline {qdisc} of `{name}` does nothing to the frames that are \
                 sent: they bypass it"
        ),
        "ask for what it should do to them, such as a rate (`--rate`), or let the receiver do it",
    ))
}

fn translating(situation: &Situation<'_>) -> Option<Finding> {
    let Situation { name, .. } = situation;
    (situation.interface?.iommu == Some(Iommu::Translating)).then(|| {
        Finding::new(
            "iommu_translating",
            Severity::Slows,
            format!(
                "the IOMMU translates every buffer of `{name}`, which takes more than half of the \
                 rate of fast NICs"
            ),
            "boot with `iommu=pt` on the kernel's command line",
        )
    })
}

fn interrupts_on_workers(situation: &Situation<'_>) -> Option<Finding> {
    let Situation { name, cpus, .. } = situation;
    let interrupts = &situation.interface?.interrupts;
    let mut shared: Vec<u32> = cpus
        .iter()
        .copied()
        .filter(|cpu| interrupts.iter().any(|interrupt| interrupt.cpus == [*cpu]))
        .collect();
    shared.sort_unstable();
    let here =
        interrupts.iter().filter(|interrupt| shared.iter().any(|cpu| interrupt.cpus == [*cpu]));
    let numbers: Vec<u32> = here.map(|interrupt| interrupt.number).collect();
    let first = numbers.first()?;
    Some(Finding::new(
        "interrupts_on_worker",
        Severity::Note,
        format!(
            "{} of `{name}` {} taken by {}, which {} too: received frames take time from it, and \
             gaps are less even",
            words::counted(numbers.len() as u64, "interrupt"),
            if numbers.len() == 1 { "is" } else { "are" },
            words::cpus(&shared),
            if shared.len() == 1 { "sends" } else { "send" }
        ),
        match situation
            .system
            .cpus
            .iter()
            .map(|cpu| cpu.number)
            .find(|number| !cpus.contains(number))
        {
            Some(free) => format!(
                "send on other CPUs, or move them: `echo {free} > \
                 /proc/irq/{first}/smp_affinity_list` (irqbalance may move them back)"
            ),
            None => "leave a CPU without a worker for them (`--cpus`)".to_owned(),
        },
    ))
}

fn node_apart(situation: &Situation<'_>) -> Option<Finding> {
    let Situation { name, system, cpus, allowed_cpus, .. } = situation;
    let node = situation.interface?.numa_node?;
    let node_of = |cpu: &u32| {
        system.cpus.iter().find(|known| known.number == *cpu).and_then(|known| known.numa_node)
    };
    let apart: Vec<u32> = cpus
        .iter()
        .copied()
        .filter(|cpu| node_of(cpu).is_some_and(|other| other != node))
        .collect();
    if apart.is_empty() {
        return None;
    }
    let near: Vec<u32> =
        allowed_cpus.iter().copied().filter(|cpu| node_of(cpu) == Some(node)).collect();
    let cure = match near.is_empty() {
        true => format!("let this run on CPUs of node {node}, where `{name}` is"),
        false => format!("send on {} (`--cpus {}`)", words::cpus(&near), words::option(&near)),
    };
    Some(Finding::new(
        "numa_apart",
        Severity::Slows,
        format!(
            "`{name}` is on NUMA node {node}, and {} {} not",
            words::cpus(&apart),
            if apart.len() == 1 { "is" } else { "are" }
        ),
        cure,
    ))
}

/// Before Linux 6.3 (commit e5995bc7e2ba) virtio_net's header stays in recycled frames; the plan
/// cuts every frame then.
fn frames_cut(situation: &Situation<'_>) -> Option<Finding> {
    let Situation { name, system, .. } = situation;
    (situation.driver() == "virtio_net" && situation.kernel_before((6, 3))).then(|| {
        Finding::new(
            "virtio_frames_cut",
            Severity::Slows,
            format!(
                "Linux {} corrupts recycled frames on virtio_net such as `{name}`, unless every \
                 one is cut to its size anew, which is done and costs 5 % or more",
                system.release
            ),
            "use Linux 6.3 or later",
        )
    })
}
