//! Why our counts and an interface's differ.

use super::{Finding, Severity, Situation, veth};
use crate::{host::StackAnswers, stats::reconcile::Mismatch};

/// The cause of a mismatch.
pub fn of_mismatch(mismatch: &Mismatch, situation: &Situation<'_>) -> Finding {
    let Situation { name, .. } = situation;
    match mismatch {
        Mismatch::SentLess { frames_tx, sent, lost } => {
            sent_less(*frames_tx, *sent, lost, situation)
        }
        Mismatch::NotCounted { frames_tx } => not_counted(*frames_tx, situation),
        Mismatch::Others { frames, answers } => others(*frames, *answers, situation),
        Mismatch::AboveLineRate { bits_per_s, line } => Finding::new(
            "above_line_rate",
            Severity::Loses,
            format!(
                "the driver of `{name}` accepted {} Gbit/s, and its link carries {} Gbit/s: the \
                 driver drops frames that it has accepted",
                gigabits(*bits_per_s),
                gigabits(*line)
            ),
            format!(
                "ask for what the link carries (`--rate 100%`), and rely on the NIC's own \
                 counters: `ethtool -S {name}`"
            ),
        ),
    }
}

/// Answers to frames from an address of this host come back to this host, whose stack has no such
/// connection.
fn others(frames: u64, answers: StackAnswers, situation: &Situation<'_>) -> Finding {
    let Situation { name, .. } = situation;
    let StackAnswers { resets, unreachables } = answers;
    let kinds = [(resets, "TCP resets (RST)"), (unreachables, "ICMP \"destination unreachable\"")];
    let kinds: Vec<String> = kinds
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, kind)| format!("{count} {kind}"))
        .collect();
    let kinds = kinds.join(" and ");
    if are_all(answers.all(), frames) {
        return Finding::new(
            "own_stack_answers",
            Severity::Note,
            format!(
                "this host's own network stack answered what came back with {kinds}: the {frames} \
                 frames that `{name}` counted beyond these"
            ),
            format!(
                "send from an address that this host does not own (`--src-ip`), or keep its stack \
                 from answering: `nft 'add table inet xtg; add chain inet xtg out {{ type filter \
                 hook output priority 0; }}; {}'` (`nft delete table inet xtg` removes the rules)",
                rules_against(answers, name)
            ),
        );
    }
    let among = match answers.all() {
        0 => "this host's own network stack, for ARP and the like".to_owned(),
        _ => format!("this host's own network stack, which sent {kinds} out of all its interfaces"),
    };
    Finding::new(
        "other_traffic",
        Severity::Note,
        format!(
            "others send out of `{name}` too, perhaps {among}: it counted {frames} more than \
                 these"
        ),
        "the counts here are ours alone; for an undisturbed test, keep others off the interface",
    )
}

/// Answers that may be sent between the two readings of counters.
const FEW: u64 = 3;

/// Whether these answers are all of these frames. Answers are counted for the whole network
/// namespace and all interfaces, at about the same time: if there are many more of them than
/// frames, they say nothing about this interface.
const fn are_all(answers: u64, frames: u64) -> bool {
    let about = frames / 10;
    answers > 0 && answers >= frames - about && answers <= frames + about + FEW
}

/// Rules of nftables that drop only answers of these kinds: ICMPv6 has other messages, which find
/// neighbours.
fn rules_against(StackAnswers { resets, unreachables }: StackAnswers, name: &str) -> String {
    let resets: &[&str] = if resets > 0 { &["tcp flags rst"] } else { &[] };
    let unreachables: &[&str] = match unreachables {
        0 => &[],
        _ => &["icmp type destination-unreachable", "icmpv6 type destination-unreachable"],
    };
    let rule = |what: &&str| format!("add rule inet xtg out oifname {name} {what} drop");
    resets.iter().chain(unreachables).map(rule).collect::<Vec<_>>().join("; ")
}

fn sent_less(
    frames_tx: u64,
    sent: u64,
    lost: &[(String, u64)],
    situation: &Situation<'_>,
) -> Finding {
    let Situation { name, .. } = situation;
    let counters: Vec<String> =
        lost.iter().map(|(counter, count)| format!("{counter} {count}")).collect();
    let counters =
        if counters.is_empty() { String::new() } else { format!(" ({})", counters.join(", ")) };
    let missing = frames_tx - sent;
    let cure = if veth::is_one(situation) {
        "its peer drops the frames in its ring when it is set down, or loses its last XDP program \
         or GRO: leave the peer as it is while frames are sent"
            .to_owned()
    } else {
        format!(
            "find out which of the NIC's counters grows (`ethtool -S {name}`): a lower rate \
             (`--rate`) or fewer CPUs keep its queue from overflowing. Some drivers update their \
             counters only every few seconds"
        )
    };
    Finding::new(
        "lost_behind_driver",
        Severity::Loses,
        format!(
            "between the driver and the wire: the driver of `{name}` accepted {frames_tx} frames \
             and the interface sent {sent}, {missing} fewer{counters}"
        ),
        cure,
    )
}

fn not_counted(frames_tx: u64, situation: &Situation<'_>) -> Finding {
    let Situation { name, .. } = situation;
    let (cause, cure) = if situation.driver() == "tun" {
        (
            format!(
                "none of the {frames_tx} frames that `{name}` took has been read from it: they \
                     wait in its queue"
            ),
            "let the program that holds the other end read them".to_owned(),
        )
    } else {
        (
            format!(
                "neither `{name}` nor its driver counts XDP frames: only the driver's answers tell \
                 that {frames_tx} frames left"
            ),
            "count them where they arrive".to_owned(),
        )
    };
    Finding::new("not_counted", Severity::Note, cause, cure)
}

/// In Gbit/s, exact to the megabit.
fn gigabits(bits: u64) -> String {
    let megabits = bits.div_ceil(1_000_000);
    let text = format!("{}.{:03}", megabits / 1000, megabits % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Action, WhenFull},
        host::{Driver, Interface, Link, LinkHistory, System},
        plan::RequiredProgram,
    };

    #[track_caller]
    fn check(
        driver: &str,
        mismatch: &Mismatch,
        code: &str,
        severity: Severity,
        cause: &str,
        cure: &str,
    ) {
        let link = Link {
            name: "eth1".to_owned(),
            alt_names: Vec::new(),
            index: 2,
            mtu: 1500,
            up: true,
            carrier: true,
            mac: None,
            speed: None,
            bus: None,
        };
        let driver = Driver { name: driver.to_owned(), ..Driver::default() };
        let interface = Interface { driver: Some(driver), ..Interface::of(link) };
        let situation = Situation {
            system: &System::default(),
            interface: Some(&interface),
            name: "eth1",
            meanwhile: LinkHistory::default(),
            peer_meanwhile: None,
            action: Action::Redirect,
            cpus: &[0],
            allowed_cpus: &[0],
            batch_size: 64,
            when_full: WhenFull::Flood,
            largest: 64,
            attach: RequiredProgram::Nothing,
        };
        let finding = of_mismatch(mismatch, &situation);
        assert_eq!(
            (finding.code, finding.severity, finding.cause.as_str()),
            (code, severity, cause)
        );
        assert!(finding.cure.contains(cure), "{}", finding.cure);
    }

    #[test]
    fn each_mismatch_names_its_layer() {
        let less = |lost: &[(&str, u64)]| Mismatch::SentLess {
            frames_tx: 1000,
            sent: 990,
            lost: lost.iter().map(|&(name, count)| (name.to_owned(), count)).collect(),
        };
        let said = "between the driver and the wire: the driver of `eth1` accepted 1000 frames and \
                    the interface sent 990, 10 fewer";
        check(
            "veth",
            &less(&[]),
            "lost_behind_driver",
            Severity::Loses,
            said,
            "leave the peer as it is",
        );
        let counter = format!("{said} (tx_dropped 10)");
        check(
            "ice",
            &less(&[("tx_dropped", 10)]),
            "lost_behind_driver",
            Severity::Loses,
            &counter,
            "ethtool -S eth1",
        );
        let unread = "none of the 7 frames that `eth1` took has been read from it: they wait in \
                      its queue";
        check(
            "tun",
            &Mismatch::NotCounted { frames_tx: 7 },
            "not_counted",
            Severity::Note,
            unread,
            "read them",
        );
        let unknown = "neither `eth1` nor its driver counts XDP frames: only the driver's answers tell that \
                       7 frames left";
        check(
            "mystery",
            &Mismatch::NotCounted { frames_tx: 7 },
            "not_counted",
            Severity::Note,
            unknown,
            "where they arrive",
        );
        let others = "others send out of `eth1` too, perhaps this host's own network stack, for \
                      ARP and the like: it counted 5 more than these";
        let with = |resets, unreachables| Mismatch::Others {
            frames: 5,
            answers: StackAnswers { resets, unreachables },
        };
        check("ice", &with(0, 0), "other_traffic", Severity::Note, others, "ours alone");
        let some = "others send out of `eth1` too, perhaps this host's own network stack, which \
                    sent 2 TCP resets (RST) out of all its interfaces: it counted 5 more than \
                    these";
        check("ice", &with(2, 0), "other_traffic", Severity::Note, some, "ours alone");
        let answered = "this host's own network stack answered what came back with 4 TCP resets \
                        (RST) and 1 ICMP \"destination unreachable\": the 5 frames that `eth1` \
                        counted beyond these";
        let both = "add rule inet xtg out oifname eth1 tcp flags rst drop; \
                    add rule inet xtg out oifname eth1 icmp type destination-unreachable drop; \
                    add rule inet xtg out oifname eth1 icmpv6 type destination-unreachable drop'`";
        check("ice", &with(4, 1), "own_stack_answers", Severity::Note, answered, both);
        let answered = "this host's own network stack answered what came back with 5 ICMP \
                        \"destination unreachable\": the 5 frames that `eth1` counted beyond these";
        let rules = "priority 0; }; add rule inet xtg out oifname eth1 icmp type destination-unreachable \
             drop; add rule";
        check("ice", &with(0, 5), "own_stack_answers", Severity::Note, answered, rules);
        // More answers than frames: most left by other interfaces of the namespace.
        let elsewhere = "others send out of `eth1` too, perhaps this host's own network stack, \
                         which sent 100000 TCP resets (RST) out of all its interfaces: it counted \
                         5 more than these";
        check("ice", &with(100_000, 0), "other_traffic", Severity::Note, elsewhere, "ours alone");
        for (answers, code) in [
            (899, "other"),
            (900, "own"),
            (1000, "own"),
            (1103, "own"),
            (1104, "other"),
            (0, "other"),
        ] {
            assert_eq!(are_all(answers, 1000), code == "own", "{answers}");
        }
        let above = Mismatch::AboveLineRate { bits_per_s: 12_345_600_000, line: 10_000_000_000 };
        let said = "the driver of `eth1` accepted 12.346 Gbit/s, and its link carries 10 Gbit/s: \
                    the driver drops frames that it has accepted";
        check("mystery", &above, "above_line_rate", Severity::Loses, said, "--rate 100%");
    }
}
