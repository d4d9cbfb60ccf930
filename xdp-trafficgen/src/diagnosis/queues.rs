//! Queues: which ones frames use, full ones, and CPUs without one.

use super::{Finding, Severity, Situation, veth, words};
use crate::{
    config::WhenFull,
    host::{
        Interface, Peer, Queues,
        drivers::{QueueOfCpu, queue_of_cpu},
    },
    stats::errno_name,
};

/// The driver took a part of the frames: its queue had no room for the rest.
pub(super) fn full(situation: &Situation<'_>) -> Finding {
    let Situation { name, batch_size, .. } = situation;
    if let Some(finding) = veth::above_peer_mtu(situation) {
        return finding;
    }
    if situation.when_full == WhenFull::Wait && veth::perhaps_above_peer_mtu(situation).is_none() {
        return Finding::new(
            "link_full",
            Severity::Note,
            format!(
                "`{name}` had no room for them: its link takes fewer frames than could be made, and \
                 the port kept to its rate; flows that end by a number of frames sent others in \
                 their place"
            ),
            "",
        );
    }
    if veth::is_one(situation) && !veth::fits_ring(*batch_size) {
        return veth::batch_above_ring(situation);
    }
    let rings =
        situation.interface.and_then(|interface| interface.rings).filter(|rings| rings.tx > 0);
    let of = match rings {
        _ if veth::is_one(situation) => format!(" of {} entries", veth::RING_ENTRIES),
        Some(rings) => format!(" of {} entries", rings.tx),
        None => String::new(),
    };
    let fewer = if *batch_size > 16 { "a smaller batch size, " } else { "" };
    if veth::is_one(situation) {
        let full = format!(
            "the ring{of} of the veth `{name}` was full{}: its receiver is slower than its sender",
            through(situation)
        );
        let cures = [
            (*batch_size > 16).then(|| "a smaller batch size".to_owned()),
            Some("a lower rate (`--rate`)".to_owned()),
            more_queues(situation),
        ];
        let cures: Vec<String> = cures.into_iter().flatten().collect();
        let cure = match cures.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("use {}, or {last}", rest.join(", ")),
            _ => format!("use {}", cures.concat()),
        };
        // A veth reports both in the same way (veth_xdp_xmit).
        return match veth::perhaps_above_peer_mtu(situation) {
            None => Finding::new("queue_full", Severity::Loses, full, cure),
            Some((long, put_right)) => Finding::new(
                "queue_full_or_frame_above_peer_mtu",
                Severity::Loses,
                format!("either {long}; or {full}"),
                format!("for the one, {put_right}; for the other, {cure}"),
            ),
        };
    }
    if situation.driver() == "tun" {
        return Finding::new(
            "queue_full",
            Severity::Loses,
            format!(
                "the queue of the tap `{name}` was full: the program that has it open reads slower \
                 than frames are sent"
            ),
            format!("use a lower rate, or a longer queue: `ip link set {name} txqueuelen 10000`"),
        );
    }
    let larger = rings.filter(|rings| rings.tx < rings.tx_max);
    // A share needs a known speed.
    let speed = situation.interface.and_then(|interface| interface.link.speed);
    let share = if speed.is_some() { " 95%" } else { "" };
    let larger = larger.map_or_else(String::new, |rings| {
        format!(", larger rings (`ethtool -G {name} tx {}`)", rings.tx_max)
    });
    Finding::new(
        "queue_full",
        Severity::Loses,
        format!(
            "the transmit ring{of} of `{name}` was full{}: the link is slower than the sender",
            through(situation)
        ),
        format!(
            "use {fewer}a rate that the link carries (`--rate{share}`){larger}, or more CPUs \
                 with a queue each"
        ),
    )
}

/// How to give the receiver of a veth a receive queue for each CPU that sends, so that CPUs do not
/// share a ring; none where it has enough queues, or can have no more.
fn more_queues(situation: &Situation<'_>) -> Option<String> {
    let end = veth::OtherEnd::of(situation)?;
    let sending = u32::try_from(sorted(situation.cpus.iter().copied()).len()).ok()?;
    // A CPU uses the queue of its number modulo the number of queues.
    let wanted = situation.cpus.iter().max()? + 1;
    let (now, most) = match situation.interface?.peer.as_ref()? {
        Peer::Here { rx_queues, most_rx_queues, .. } => (*rx_queues, *most_rx_queues),
        Peer::There { .. } | Peer::Elsewhere => return None,
    };
    let distinct = sorted(situation.cpus.iter().map(|cpu| cpu % now.max(1))).len();
    let shared = u32::try_from(distinct).is_ok_and(|distinct| distinct < sending);
    (shared && most.is_none_or(|most| most >= wanted)).then(|| {
        let command = end.commands(&[format!("ethtool -L {} rx {wanted}", end.name())], "");
        format!("a receive queue for each CPU that sends ({command})")
    })
}

/// ` (queue 1 of 4, that of CPU 5)`: the queues that the workers' frames use, with numbers if they
/// are known; empty if the queues are not known.
fn through(situation: &Situation<'_>) -> String {
    let Some(Interface { queues: Queues { tx, .. }, peer, .. }) = situation.interface else {
        return String::new();
    };
    if situation.cpus.is_empty() {
        return String::new();
    }
    let cpus = sorted(situation.cpus.iter().copied());
    let of = words::cpus(&cpus);
    let count = match (queue_of_cpu(situation.driver()), peer) {
        (QueueOfCpu::Own(_) | QueueOfCpu::Modulo, _) => *tx,
        (QueueOfCpu::ModuloOfPeer, Some(Peer::Here { rx_queues, .. })) => *rx_queues,
        (QueueOfCpu::OwnOrShared, _) => {
            return format!(
                " (the XDP {} of {of})",
                if cpus.len() == 1 { "queue" } else { "queues" }
            );
        }
        (QueueOfCpu::ModuloOfPeer | QueueOfCpu::Unknown, _) => return String::new(),
    };
    if count == 0 {
        return String::new();
    }
    let numbers = sorted(cpus.iter().map(|cpu| cpu % count));
    let (noun, those) = if numbers.len() == 1 { ("queue", "that") } else { ("queues", "those") };
    let list = numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    format!(" ({noun} {list} of {count}, {those} of {of})")
}

/// In order and without repetition: users may write CPUs in any order.
fn sorted(numbers: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut numbers: Vec<u32> = numbers.collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// In the place of an errno, for drivers that return none.
const UNCHECKED: &str = "which it does not check: sending from there may crash the machine";

/// Workers on CPUs without a queue, for a driver with a queue per CPU, which refuses such frames
/// with this errno; none when every CPU has one.
pub(super) fn cpus_above(situation: &Situation<'_>, errno: Option<u32>) -> Option<Finding> {
    let Situation { name, cpus, allowed_cpus, .. } = situation;
    let interface = situation.interface?;
    let count = Some(interface.queues.tx).filter(|&count| count > 0)?;
    let without = sorted(cpus.iter().copied().filter(|&cpu| cpu >= count));
    let needed = without.last()? + 1;
    let with = sorted(allowed_cpus.iter().copied().filter(|&cpu| cpu < count));
    let severity =
        if cpus.iter().all(|&cpu| cpu >= count) { Severity::Blocks } else { Severity::Loses };
    let more = interface.most_queues.filter(|most| most.tx > count);
    let more = more
        .filter(|most| most.tx >= needed)
        .map(|_| format!("`ethtool -L {name} combined {needed}`"));
    let use_these = (!with.is_empty())
        .then(|| format!("send on {} (`--cpus {}`)", words::cpus(&with), words::option(&with)));
    let cures: Vec<String> = [use_these, more].into_iter().flatten().collect();
    let cure = if cures.is_empty() {
        format!(
            "let this process run on CPUs below {count}, from which its cpuset or `taskset` keeps \
             it, and send on them, or send out of an interface with more queues"
        )
    } else {
        cures.join(", or ")
    };
    Some(Finding::new(
        "cpu_above_queues",
        severity,
        format!(
            "{} of `{name}` has {} for XDP, one for each CPU from 0 on, and none for {} ({})",
            match situation.driver() {
                "" => "the driver".to_owned(),
                driver => format!("the driver {driver}"),
            },
            words::counted(count.into(), "queue"),
            words::cpus(&without),
            errno.map_or_else(|| UNCHECKED.to_owned(), errno_name)
        ),
        cure,
    ))
}

/// virtio_net keeps queues for XDP if the most it can have is at least the queues in use plus one
/// per possible CPU (virtnet_xdp_set, `nr_cpu_ids`). The number of possible CPUs is not known here,
/// but it is not less than the number of CPUs.
pub(super) fn shared(situation: &Situation<'_>) -> Option<Finding> {
    let Situation { name, .. } = situation;
    let interface = situation.interface?;
    let most = u64::from(interface.most_queues?.tx);
    let cpus = situation.system.cpus.len() as u64;
    let wanted = u64::from(interface.queues.tx) + cpus;
    let fewer = if most > cpus {
        format!(", or use fewer of them: `ethtool -L {name} combined {}`", most - cpus)
    } else {
        String::new()
    };
    (situation.driver() == "virtio_net" && cpus > 0 && most < wanted).then(|| {
        Finding::new(
            "shared_queues",
            Severity::Slows,
            format!(
                "`{name}` has {}, and its driver wants {wanted} at least, {} in use and one for \
                 each of {} and of those that may be added: XDP frames share them with ordinary \
                 ones, under a lock",
                words::counted(most, "queue pair"),
                interface.queues.tx,
                words::counted(cpus, "CPU")
            ),
            format!(
                "give the virtual machine more queue pairs (qemu: `queues={wanted}`, and one more \
                 for each CPU that may be added){fewer}"
            ),
        )
    })
}
