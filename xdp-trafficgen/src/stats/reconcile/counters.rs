//! Which counters of interfaces and NICs count frames that were sent, or lost.

use crate::host::Counters;

/// Whether one of the NIC's counters, or those of all its queues together, include all of our frames.
/// Many drivers leave XDP frames out of the interface's counters and count them under names such as
/// mlx5's `tx_xdp_xmit` or virtio_net's `tx0_xdp_tx`.
pub fn confirmed_by_nic(counted: &Counters, frames_tx: u64) -> bool {
    let mut sums: Vec<(String, u64)> = Vec::new();
    for (name, &count) in counted.nic.iter().filter(|(name, _)| counts_sent(name)) {
        // Queues of the same kind are added up, apart from the driver's own total.
        let name: String = name
            .chars()
            .map(|character| if character.is_ascii_digit() { '#' } else { character })
            .collect();
        match sums.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += count,
            None => sums.push((name, count)),
        }
    }
    sums.iter().any(|&(_, sum)| sum >= frames_tx)
}

/// Whether a counter of this name counts frames that were sent.
fn counts_sent(name: &str) -> bool {
    let sends = name.contains("tx") || name.contains("xmit");
    // A veth's count of what it accepted (`peer_tq_xdp_xmit` of veth_xdp_xmit), which is our own
    // count once more.
    let accepted = name.starts_with("tx_queue_") && name.ends_with("_xdp_xmit");
    sends
        && !accepted
        && !counts_lost(name)
        && !name.contains("byte")
        && !name.contains("octet")
        && !name.starts_with("rx")
}

/// Whether a counter of this name counts frames that were to be sent and were not.
fn counts_lost(name: &str) -> bool {
    let sends = name.contains("tx") || name.contains("xmit");
    sends
        && ["drop", "err", "full", "fail", "discard", "timeout", "abort"]
            .iter()
            .any(|word| name.contains(word))
}

/// The counters of losses that exceed the frames that the driver refused.
pub(super) fn losses(counted: &Counters, refused: u64) -> Vec<(String, u64)> {
    let interface = [("tx_dropped", counted.tx_dropped), ("tx_errors", counted.tx_errors)];
    let interface = interface.into_iter().map(|(name, count)| (name.to_owned(), count));
    let nic = counted
        .nic
        .iter()
        .filter(|(name, _)| counts_lost(name))
        .map(|(name, &count)| (name.clone(), count));
    interface.chain(nic).filter(|&(_, count)| count > refused).collect()
}
