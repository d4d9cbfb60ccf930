//! Compares our counts with those of the interface and its NIC over the same time. Where they differ,
//! a layer does not do what it reports.

mod counters;

use std::collections::BTreeSet;

pub use counters::confirmed_by_nic;

use self::counters::losses;
use super::{DropReason, PortCount};
use crate::{
    host::{Counters, StackAnswers},
    units::WireLen,
};

/// A difference between our counts and an interface's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// The driver accepted more frames than the interface sent: some were lost between the two.
    SentLess {
        /// Frames the driver accepted.
        frames_tx: u64,
        /// Frames the interface counted as sent.
        sent: u64,
        /// Frames the interface or the NIC counted as lost, beyond those that the driver refused:
        /// which counter, and how many.
        lost: Vec<(String, u64)>,
    },
    /// Neither the interface's counters nor the NIC's include these frames: our count is
    /// unconfirmed.
    NotCounted {
        /// Frames the driver accepted.
        frames_tx: u64,
    },
    /// The interface sent more than we did: another sender uses it.
    Others {
        /// Frames.
        frames: u64,
        /// The answers of this host's own network stack in that time, which may be among them.
        answers: StackAnswers,
    },
    /// The driver accepted more than the link can carry: the excess cannot have left.
    AboveLineRate {
        /// Bits a second on the wire that were accepted.
        bits_per_s: u64,
        /// Bits a second of the link.
        line: u64,
    },
}

impl Mismatch {
    /// Adds a mismatch of an earlier run of the same port, if it is of the same kind. Returns whether
    /// it is.
    fn add(&mut self, earlier: &Self) -> bool {
        match (self, earlier) {
            (
                Self::SentLess { frames_tx, sent, lost },
                Self::SentLess { frames_tx: more_accepted, sent: more_sent, lost: more_lost },
            ) => {
                *frames_tx += more_accepted;
                *sent += more_sent;
                for (name, frames) in more_lost {
                    match lost.iter_mut().find(|(known, _)| known == name) {
                        Some((_, known)) => *known += frames,
                        None => lost.push((name.clone(), *frames)),
                    }
                }
            }
            (Self::NotCounted { frames_tx }, Self::NotCounted { frames_tx: more }) => {
                *frames_tx += more
            }
            (
                Self::Others { frames, answers },
                Self::Others { frames: more, answers: more_answers },
            ) => {
                *frames += more;
                answers.add(more_answers);
            }
            // The rates of two runs have no sum: the worse one is reported.
            (
                Self::AboveLineRate { bits_per_s, line },
                Self::AboveLineRate { bits_per_s: earlier, line: then },
            ) => {
                if *earlier > *bits_per_s {
                    (*bits_per_s, *line) = (*earlier, *then);
                }
            }
            _ => return false,
        }
        true
    }
}

/// Adds the mismatches of an earlier run of the same port: one of each kind remains.
pub(super) fn add_mismatches(mismatches: &mut Vec<Mismatch>, earlier: &[Mismatch]) {
    for mismatch in earlier {
        if !mismatches.iter_mut().any(|known| known.add(mismatch)) {
            mismatches.push(mismatch.clone());
        }
    }
}

/// Compares the counts of ports that sent together with those of their interfaces. Each mismatch
/// comes with the index of the first port that leaves by that interface. `unsettled`: interfaces
/// whose counters may still grow.
pub fn reconcile(all: &[PortCount], unsettled: &BTreeSet<u32>) -> Vec<(usize, Mismatch)> {
    let mut mismatches = Vec::new();
    for (first, port) in all.iter().enumerate() {
        let (Some(interface), Some(counted)) = (port.leaves_by, &port.interface_count) else {
            continue;
        };
        let shares = |other: &&PortCount| other.leaves_by == Some(interface);
        if all[..first].iter().any(|earlier| shares(&earlier)) {
            continue;
        }
        let ports: Vec<&PortCount> = all[first..].iter().filter(shares).collect();
        let missing = |mismatch: &Mismatch| {
            matches!(mismatch, Mismatch::SentLess { .. } | Mismatch::NotCounted { .. })
        };
        let sent = sent(&ports, counted)
            .filter(|mismatch| !(unsettled.contains(&interface) && missing(mismatch)));
        mismatches.extend(sent.map(|mismatch| (first, mismatch)));
        mismatches.extend(above_line_rate(&ports).map(|mismatch| (first, mismatch)));
    }
    mismatches
}

/// Corrects mismatches of ports that were counted separately, as a daemon's are: frames that one of
/// them sent by a shared interface do not count as other senders' traffic for another.
pub fn except_each_other(all: &mut [PortCount]) {
    let sent: Vec<(Option<u32>, u64)> =
        all.iter().map(|port| (port.leaves_by, port.frames_tx)).collect();
    for (index, port) in all.iter_mut().enumerate() {
        let shares = |&(other, (leaves_by, _)): &(usize, &(Option<u32>, u64))| {
            other != index && leaves_by.is_some() && *leaves_by == port.leaves_by
        };
        let beside: u64 = sent.iter().enumerate().filter(shares).map(|(_, (_, sent))| sent).sum();
        port.mismatches.retain_mut(|mismatch| match mismatch {
            Mismatch::Others { frames, .. } => {
                *frames = frames.saturating_sub(beside);
                *frames > 0
            }
            _ => true,
        });
    }
}

/// Where an interface counted less than one frame in this number, its counters leave XDP frames out,
/// and the frames are not lost.
const NONE_TO_SPEAK_OF: u64 = 100;

fn sent(ports: &[&PortCount], counted: &Counters) -> Option<Mismatch> {
    let frames_tx: u64 = ports.iter().map(|port| port.frames_tx).sum();
    let known = ports.iter().all(|port| port.lacks.is_empty());
    if frames_tx == 0 || !known {
        return None;
    }
    if let Some(others) = counted.tx_packets.checked_sub(frames_tx) {
        return (others > 0)
            .then_some(Mismatch::Others { frames: others, answers: counted.answers });
    }
    if confirmed_by_nic(counted, frames_tx) {
        return None;
    }
    let lost = losses(counted, ports.iter().map(|port| refused_by_driver(port)).sum());
    if lost.is_empty() && counted.tx_packets < frames_tx / NONE_TO_SPEAK_OF {
        return Some(Mismatch::NotCounted { frames_tx });
    }
    Some(Mismatch::SentLess { frames_tx, sent: counted.tx_packets, lost })
}

fn refused_by_driver(port: &PortCount) -> u64 {
    let of_driver =
        |reason: &DropReason| matches!(reason, DropReason::QueueFull | DropReason::Driver(_));
    port.drops.iter().filter(|(reason, _)| of_driver(reason)).map(|(_, count)| count).sum()
}

/// Seconds; shorter runs may end with a good part of their frames in the NIC's queue.
const LONG_ENOUGH: f64 = 0.2;
/// Clocks of NICs may differ by this share.
const TOLERANCE: f64 = 1.001;
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is compared to three digits"
)]
fn above_line_rate(ports: &[&PortCount]) -> Option<Mismatch> {
    let line = ports.iter().find_map(|port| port.line_rate)?;
    let bits: u64 =
        ports.iter().map(|port| WireLen::of_frames(port.frames_tx, port.bytes_tx()).bits()).sum();
    let seconds = ports.iter().map(|port| port.elapsed.as_secs_f64()).fold(0.0, f64::max);
    let bits_per_s = bits as f64 / seconds;
    (seconds >= LONG_ENOUGH && bits_per_s > line as f64 * TOLERANCE)
        .then_some(Mismatch::AboveLineRate { bits_per_s: bits_per_s.round() as u64, line })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{kernel::TracePoint, stats::FlowCount};

    /// A port that sent 1000 frames of 64 bytes in a second out of the interface with index 2.
    fn port(drops: &[(DropReason, u64)], counted: Counters) -> PortCount {
        PortCount {
            elapsed: Duration::from_secs(1),
            frames_attempted: 1000 + drops.iter().map(|(_, count)| count).sum::<u64>(),
            frames_tx: 1000,
            drops: drops.to_vec(),
            flows: vec![FlowCount { bytes_tx: 64_000, ..FlowCount::default() }],
            leaves_by: Some(2),
            interface_count: Some(counted),
            ..PortCount::default()
        }
    }

    fn above(bits_per_s: u64) -> Mismatch {
        Mismatch::AboveLineRate { bits_per_s, line: 10 }
    }

    fn others(frames: u64) -> Mismatch {
        Mismatch::Others { frames, answers: StackAnswers::default() }
    }

    fn counted(tx_packets: u64, tx_dropped: u64, nic: &[(&str, u64)]) -> Counters {
        let nic = nic.iter().map(|&(name, count)| (name.to_owned(), count)).collect();
        Counters { tx_packets, tx_dropped, nic, ..Counters::default() }
    }

    #[track_caller]
    fn check(ports: Vec<PortCount>, expected: &[(usize, Mismatch)]) {
        assert_eq!(reconcile(&ports, &BTreeSet::new()), expected);
    }

    #[test]
    fn counts_that_agree_have_no_mismatch() {
        check(vec![port(&[], counted(1000, 0, &[]))], &[]);
        let full = [(DropReason::QueueFull, 7)];
        check(vec![port(&full, counted(1000, 7, &[("tx_queue_0_xdp_xmit_errors", 7)]))], &[]);
        // An interface without counters, and a port whose frames do not leave.
        check(vec![PortCount { interface_count: None, ..port(&[], Counters::default()) }], &[]);
        check(vec![PortCount { leaves_by: None, ..port(&[], Counters::default()) }], &[]);
    }

    #[test]
    fn frames_lost_after_the_driver_are_named_with_their_counter() {
        let mismatch = |sent, lost: &[(&str, u64)]| {
            let lost = lost.iter().map(|&(name, count)| (name.to_owned(), count)).collect();
            [(0, Mismatch::SentLess { frames_tx: 1000, sent, lost })]
        };
        check(vec![port(&[], counted(990, 10, &[]))], &mismatch(990, &[("tx_dropped", 10)]));
        check(vec![port(&[], counted(990, 0, &[]))], &mismatch(990, &[]));
        // What a veth accepted does not confirm what its peer received.
        check(
            vec![port(&[], counted(990, 0, &[("tx_queue_0_xdp_xmit", 1000)]))],
            &mismatch(990, &[]),
        );
        let nic = [("tx0_xdp_tx_drops", 1000), ("tx0_bytes", 64_000)];
        check(vec![port(&[], counted(0, 0, &nic))], &mismatch(0, &[("tx0_xdp_tx_drops", 1000)]));
        // Frames that the driver refused are not lost after it.
        let full = [(DropReason::QueueFull, 10)];
        check(vec![port(&full, counted(995, 10, &[]))], &mismatch(995, &[]));
        check(vec![port(&full, counted(995, 15, &[]))], &mismatch(995, &[("tx_dropped", 15)]));
    }

    #[test]
    fn a_nic_may_know_what_the_interface_does_not() {
        check(vec![port(&[], counted(0, 0, &[("tx0_xdp_tx", 600), ("tx1_xdp_tx", 400)]))], &[]);
        check(vec![port(&[], counted(3, 0, &[("tx_xdp_xmit", 1000)]))], &[]);
        let unknown = [(0, Mismatch::NotCounted { frames_tx: 1000 })];
        // A driver's total beside those of its queues (mlx5) does not count twice.
        let totals = [("tx_xdp_xmit", 500), ("tx0_xdp_xmit", 250), ("tx1_xdp_xmit", 250)];
        check(vec![port(&[], counted(3, 0, &totals))], &unknown);
        check(
            vec![port(&[], counted(3, 0, &[("rx_xdp_tx_xmit", 5000), ("tx0_xdp_tx", 600)]))],
            &unknown,
        );
        check(vec![port(&[], counted(0, 0, &[("tx_bytes", 60_000)]))], &unknown);
    }

    #[test]
    fn an_interface_with_unsettled_counters_has_no_mismatch() {
        let short = [port(&[], counted(990, 0, &[]))];
        assert_eq!(reconcile(&short, &BTreeSet::from([2])), []);
        assert_eq!(reconcile(&short, &BTreeSet::from([3])).len(), 1);
        let more = [port(&[], counted(1005, 0, &[]))];
        assert_eq!(reconcile(&more, &BTreeSet::from([2])), [(0, others(5))]);
    }

    #[test]
    fn frames_of_other_senders_are_reported() {
        check(vec![port(&[], counted(1005, 0, &[]))], &[(0, others(5))]);
    }

    #[test]
    fn mismatches_of_the_same_kind_add_up() {
        let less = |frames_tx, sent, lost: &[(&str, u64)]| {
            let lost = lost.iter().map(|&(name, count)| (name.to_owned(), count)).collect();
            Mismatch::SentLess { frames_tx, sent, lost }
        };
        let mut mismatches = vec![less(100, 90, &[("tx_dropped", 10)]), others(1), above(12)];
        let lost = less(50, 30, &[("tx_errors", 15), ("tx_dropped", 5)]);
        let uncounted = Mismatch::NotCounted { frames_tx: 7 };
        add_mismatches(&mut mismatches, &[others(2), uncounted.clone(), lost, above(11)]);
        let both = less(150, 120, &[("tx_dropped", 15), ("tx_errors", 15)]);
        assert_eq!(mismatches, [both, others(3), above(12), uncounted]);
        add_mismatches(&mut mismatches, &[above(13), Mismatch::NotCounted { frames_tx: 1 }]);
        assert_eq!(mismatches[2..], [above(13), Mismatch::NotCounted { frames_tx: 8 }]);
    }

    #[test]
    fn ports_of_one_interface_are_compared_together() {
        let both = || vec![port(&[], counted(2000, 0, &[])), port(&[], counted(2000, 0, &[]))];
        check(both(), &[]);
        let mut apart = both();
        apart[1].leaves_by = Some(3);
        check(apart, &[(0, others(1000)), (1, others(1000))]);
        let mut less = both();
        less[0].interface_count = Some(counted(1999, 0, &[]));
        check(less, &[(0, Mismatch::SentLess { frames_tx: 2000, sent: 1999, lost: Vec::new() })]);
    }

    #[test]
    fn ports_that_were_counted_separately_are_not_other_senders() {
        let beside = |frames, leaves_by| PortCount {
            mismatches: vec![others(frames), above(12)],
            leaves_by,
            ..port(&[], Counters::default())
        };
        let mut all = [beside(1000, Some(2)), beside(1400, Some(2)), beside(7, Some(3))];
        except_each_other(&mut all);
        let mismatches = all.map(|port| port.mismatches);
        assert_eq!(
            mismatches,
            [vec![above(12)], vec![others(400), above(12)], vec![others(7), above(12)]]
        );
    }

    /// 1000 frames of 64 bytes take 672 000 bits on the wire: Ethernet at 10 Mb/s carries 14 880 a
    /// second (RFC 2544, appendix B).
    #[test]
    fn more_than_the_line_rate_is_a_mismatch() {
        let at = |line| PortCount { line_rate: Some(line), ..port(&[], counted(1000, 0, &[])) };
        check(vec![at(672_000)], &[]);
        check(
            vec![at(671_000)],
            &[(0, Mismatch::AboveLineRate { bits_per_s: 672_000, line: 671_000 })],
        );
        check(vec![PortCount { elapsed: Duration::from_millis(100), ..at(671_000) }], &[]);
        check(vec![PortCount { elapsed: Duration::ZERO, ..at(671_000) }], &[]);
    }

    #[test]
    fn unknown_fates_are_not_compared() {
        check(
            vec![PortCount {
                lacks: vec![TracePoint::DevmapXmit],
                ..port(&[], counted(5, 0, &[]))
            }],
            &[],
        );
    }
}
