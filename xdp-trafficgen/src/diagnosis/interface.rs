//! What an interface is too small or too slow for: MTU, rings, queues, and where its memory and interrupts are.

use super::{
    Finding, Severity, Situation,
    drivers::{QueueOfCpu, queue_of_cpu},
    path, words,
};
use crate::{
    host::{AttachedMode, Interface, Iommu, Peer, Queues},
    stats::errno_name,
};

/// Entries of a veth's ring (VETH_RING_SIZE of the kernel's drivers/net/veth.c).
const VETH_RING: u32 = 256;
/// Bulks of 16 frames are handed over one after the other (DEV_MAP_BULK_SIZE of include/net/xdp.h); the last one of a batch does not fit
/// into a ring that holds anything yet.
const BULK: u32 = 16;
/// Ethernet's header, and one tag, which the kernel allows beyond the MTU (xdp_ok_fwd_dev, __is_skb_forwardable).
const HEADERS: u32 = 14 + 4;
const FCS: u32 = 4;

/// Remarks on an interface that may take frames.
pub(super) fn foreseen(situation: &Situation<'_>) -> Vec<Finding> {
    let Some(interface) = situation.interface else { return Vec::new() };
    let mtu = (situation.largest > interface.link.mtu + HEADERS + FCS).then(|| above_mtu(situation));
    let queues = match queue_of_cpu(situation.driver()) {
        QueueOfCpu::Own(errno) => cpus_above_queues(situation, errno),
        _ => None,
    };
    let batch =
        (path::is_veth(situation) && situation.batch_size > VETH_RING - BULK).then(|| batch_above_ring(situation));
    let found = [
        mtu.or_else(|| above_peer_mtu(situation)),
        queues,
        batch,
        other_program(situation),
        translating(situation),
        shared_queues(situation),
        interrupts_on_workers(situation),
        node_apart(situation),
        frames_cut(situation),
    ];
    found.into_iter().flatten().collect()
}

pub(super) fn above_mtu(situation: &Situation<'_>) -> Finding {
    let Situation { name, largest, .. } = situation;
    let mtu = situation.interface.map_or(0, |interface| interface.link.mtu);
    Finding::new(
        "frame_above_mtu",
        Severity::Loses,
        format!("frames of {largest} bytes are longer than the MTU of `{name}`, {mtu}, allows"),
        format!(
            "send frames of {} bytes at most, or raise the MTU: `ip link set {name} mtu {}`",
            mtu + HEADERS + FCS,
            largest.saturating_sub(HEADERS + FCS)
        ),
    )
}

/// A veth drops frames that are longer than its peer allows (`max_len` of veth_xdp_xmit), with nothing to tell it from a full ring.
fn above_peer_mtu(situation: &Situation<'_>) -> Option<Finding> {
    let Situation { name, largest, .. } = situation;
    let Some(Peer::Here { name: peer, mtu, .. }) = situation.interface?.peer.as_ref() else { return None };
    (*largest > mtu + HEADERS + FCS).then(|| {
        Finding::new(
            "frame_above_peer_mtu",
            Severity::Loses,
            format!(
                "frames of {largest} bytes are longer than the MTU of `{peer}`, the peer of `{name}`, allows, {mtu}"
            ),
            format!(
                "send frames of {} bytes at most, or raise the MTU: `ip link set {peer} mtu {}`",
                mtu + HEADERS + FCS,
                largest.saturating_sub(HEADERS + FCS)
            ),
        )
    })
}

fn batch_above_ring(situation: &Situation<'_>) -> Finding {
    let Situation { name, batch_size, .. } = situation;
    Finding::new(
        "batch_above_ring",
        Severity::Loses,
        format!(
            "batches of {batch_size} frames hardly fit into the ring of a veth such as `{name}`, which has {VETH_RING} entries"
        ),
        "use a batch size of 64, the default, or 192: larger ones are no faster",
    )
}

/// Frames were left over when the driver had taken what it had room for.
pub(super) fn queue_full(situation: &Situation<'_>) -> Finding {
    let Situation { name, batch_size, .. } = situation;
    if let Some(finding) = above_peer_mtu(situation) {
        return finding;
    }
    if path::is_veth(situation) && *batch_size > VETH_RING - BULK {
        return batch_above_ring(situation);
    }
    let rings = situation.interface.and_then(|interface| interface.rings).filter(|rings| rings.tx > 0);
    let of = match rings {
        _ if path::is_veth(situation) => format!(" of {VETH_RING} entries"),
        Some(rings) => format!(" of {} entries", rings.tx),
        None => String::new(),
    };
    let fewer = if *batch_size > 16 { "a smaller batch size, " } else { "" };
    if path::is_veth(situation) {
        let peer = match situation.interface.and_then(|interface| interface.peer.as_ref()) {
            Some(Peer::Here { name, .. }) => name.as_str(),
            Some(Peer::Elsewhere) | None => "PEER",
        };
        return Finding::new(
            "queue_full",
            Severity::Loses,
            format!(
                "the ring{of} of the veth `{name}` was full{}: its receiver is slower than its sender",
                queues(situation)
            ),
            format!(
                "use {fewer}a lower rate, or a receive queue for each CPU that sends (`ethtool -L {peer} rx {}`)",
                situation.cpus.iter().max().map_or(1, |last| last + 1)
            ),
        );
    }
    if situation.driver() == "tun" {
        return Finding::new(
            "queue_full",
            Severity::Loses,
            format!(
                "the queue of the tap `{name}` was full: the program that has it open reads slower than frames are sent"
            ),
            format!("use a lower rate, or a longer queue: `ip link set {name} txqueuelen 10000`"),
        );
    }
    let larger = rings.filter(|rings| rings.tx < rings.tx_max);
    let larger =
        larger.map_or_else(String::new, |rings| format!(", larger rings (`ethtool -G {name} tx {}`)", rings.tx_max));
    Finding::new(
        "queue_full",
        Severity::Loses,
        format!("the transmit ring{of} of `{name}` was full{}: the link is slower than the sender", queues(situation)),
        format!("use {fewer}a rate that the link carries (`--rate 95%`){larger}, or more CPUs with a queue each"),
    )
}

/// ` (queue 1)`: those the workers' frames go through, where that is known.
fn queues(situation: &Situation<'_>) -> String {
    let Some(Interface { queues: Queues { tx, .. }, peer, .. }) = situation.interface else { return String::new() };
    let count = match (queue_of_cpu(situation.driver()), peer) {
        (QueueOfCpu::Own(_) | QueueOfCpu::OwnOrShared | QueueOfCpu::Modulo, _) => *tx,
        (QueueOfCpu::ModuloOfPeer, Some(Peer::Here { rx_queues, .. })) => *rx_queues,
        (QueueOfCpu::ModuloOfPeer | QueueOfCpu::Unknown, _) => 0,
    };
    if count == 0 || situation.cpus.is_empty() {
        return String::new();
    }
    let mut numbers: Vec<u32> = situation.cpus.iter().map(|cpu| cpu % count).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let (noun, those) = if numbers.len() == 1 { ("queue", "that") } else { ("queues", "those") };
    let list = numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    let of = words::cpus(situation.cpus);
    format!(" ({noun} {list} of {count}, {those} of {of})")
}

/// CPUs that have no queue in a driver which has one for each; none when all have one.
pub(super) fn cpus_above_queues(situation: &Situation<'_>, errno: u32) -> Option<Finding> {
    let Situation { name, cpus, allowed_cpus, .. } = situation;
    let interface = situation.interface?;
    let count = Some(interface.queues.tx).filter(|&count| count > 0)?;
    let without: Vec<u32> = cpus.iter().copied().filter(|&cpu| cpu >= count).collect();
    if without.is_empty() {
        return None;
    }
    let with: Vec<u32> = allowed_cpus.iter().copied().filter(|&cpu| cpu < count).collect();
    let severity = if without.len() == cpus.len() { Severity::Blocks } else { Severity::Loses };
    let more = interface.most_queues.filter(|most| most.tx > count);
    let needed = without.last().map_or(0, |last| last + 1);
    let more = more.filter(|most| most.tx >= needed).map(|_| format!("`ethtool -L {name} combined {needed}`"));
    let use_these =
        (!with.is_empty()).then(|| format!("send on {} (`--cpus {}`)", words::cpus(&with), words::option(&with)));
    let cure = [use_these, more].into_iter().flatten().collect::<Vec<_>>().join(", or ");
    Some(Finding::new(
        "cpu_above_queues",
        severity,
        format!(
            "{} of `{name}` has {} for XDP, one for each CPU from 0 on, and none for {} ({})",
            match situation.driver() {
                "" => "the driver".to_owned(),
                driver => format!("the driver {driver}"),
            },
            words::counted(count, "queue"),
            words::cpus(&without),
            errno_name(errno)
        ),
        cure,
    ))
}

/// Somebody's program that is there already does no harm; but it is worth knowing whose frames it sees.
fn other_program(situation: &Situation<'_>) -> Option<Finding> {
    let Situation { name, .. } = situation;
    let attached = situation.program(AttachedMode::Native)?;
    Some(Finding::new(
        "other_program",
        Severity::Note,
        format!("{attached} is attached to `{name}` already; it stays, and does not see the frames that are sent"),
        "",
    ))
}

fn translating(situation: &Situation<'_>) -> Option<Finding> {
    let Situation { name, .. } = situation;
    (situation.interface?.iommu == Some(Iommu::Translating)).then(|| {
        Finding::new(
            "iommu_translating",
            Severity::Slows,
            format!(
                "the IOMMU translates every buffer of `{name}`, which takes more than half of the rate of fast NICs"
            ),
            "boot with `iommu=pt` on the kernel's command line",
        )
    })
}

/// virtio_net keeps queues for XDP when its most is at least the queues in use and one for each CPU more (virtnet_xdp_set).
fn shared_queues(situation: &Situation<'_>) -> Option<Finding> {
    let Situation { name, .. } = situation;
    let interface = situation.interface?;
    let most = interface.most_queues?.tx;
    let cpus = u32::try_from(situation.system.cpus.len()).unwrap_or(u32::MAX);
    let wanted = interface.queues.tx.saturating_add(cpus);
    (situation.driver() == "virtio_net" && cpus > 0 && most < wanted).then(|| {
        Finding::new(
            "shared_queues",
            Severity::Slows,
            format!(
                "`{name}` has {}, fewer than the {wanted} that its driver wants for one of each of {}: XDP frames share them with \
                 ordinary ones, under a lock",
                words::counted(most, "queue pair"),
                words::counted(cpus, "CPU")
            ),
            format!("give the virtual machine more queue pairs (qemu: `queues={wanted}`), or use fewer of them: `ethtool -L {name} combined 1`"),
        )
    })
}

fn interrupts_on_workers(situation: &Situation<'_>) -> Option<Finding> {
    let Situation { name, cpus, .. } = situation;
    let interrupts = &situation.interface?.interrupts;
    let mut shared: Vec<u32> =
        cpus.iter().copied().filter(|cpu| interrupts.iter().any(|interrupt| interrupt.cpus == [*cpu])).collect();
    shared.sort_unstable();
    let here = interrupts.iter().filter(|interrupt| shared.iter().any(|cpu| interrupt.cpus == [*cpu]));
    let numbers: Vec<u32> = here.map(|interrupt| interrupt.number).collect();
    let first = numbers.first()?;
    Some(Finding::new(
        "interrupts_on_worker",
        Severity::Note,
        format!(
            "{} of `{name}` {} taken by {}, which {} too: received frames take time from it, and gaps are less even",
            words::counted(u32::try_from(numbers.len()).unwrap_or(u32::MAX), "interrupt"),
            if numbers.len() == 1 { "is" } else { "are" },
            words::cpus(&shared),
            if shared.len() == 1 { "sends" } else { "send" }
        ),
        format!(
            "send on other CPUs, or move them: `echo CPU > /proc/irq/{first}/smp_affinity_list` (irqbalance may move them back)"
        ),
    ))
}

fn node_apart(situation: &Situation<'_>) -> Option<Finding> {
    let Situation { name, system, cpus, allowed_cpus, .. } = situation;
    let node = situation.interface?.numa_node?;
    let node_of = |cpu: &u32| system.cpus.iter().find(|known| known.number == *cpu).and_then(|known| known.numa_node);
    let apart: Vec<u32> = cpus.iter().copied().filter(|cpu| node_of(cpu).is_some_and(|other| other != node)).collect();
    if apart.is_empty() {
        return None;
    }
    let near: Vec<u32> = allowed_cpus.iter().copied().filter(|cpu| node_of(cpu) == Some(node)).collect();
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

/// Before Linux 6.3 (commit e5995bc7e2ba) virtio_net's header stays in recycled frames; the plan cuts every frame then.
fn frames_cut(situation: &Situation<'_>) -> Option<Finding> {
    let Situation { name, system, .. } = situation;
    (situation.driver() == "virtio_net" && situation.kernel_before((6, 3))).then(|| {
        Finding::new(
            "virtio_frames_cut",
            Severity::Slows,
            format!(
                "Linux {} corrupts recycled frames on virtio_net such as `{name}`, unless every one is cut to its size anew, which is done \
                 and costs 5 % or more",
                system.release
            ),
            "use Linux 6.3 or later",
        )
    })
}
