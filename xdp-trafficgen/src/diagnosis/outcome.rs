//! Findings at the end of a run, besides those about drops.

use super::{Finding, Severity, Situation, path};
use crate::{kernel::TracePoint, stats::PortCount};

/// Why a port sent nothing; none when it sent something, or when drops explain it.
pub fn of_nothing_sent(count: &PortCount) -> Option<Finding> {
    if count.frames_tx > 0 || count.frames_dropped() > 0 {
        return None;
    }
    let unsent = count.punctuality.map_or(0, |punctuality| punctuality.unsent);
    Some(if unsent > 0 {
        Finding::new(
            "every_departure_missed",
            Severity::Blocks,
            format!(
                "not one of {unsent} departures had a frame: the workers were too far behind \
                     at every one of them"
            ),
            "ask for a lower rate, use more CPUs, or send what is late too: `--behind catch_up=1s`",
        )
    } else {
        Finding::new(
            "nothing_due",
            Severity::Note,
            "no frame was due before the end: it was stopped before its first departure, or every \
             flow begins later than it ends"
                .to_owned(),
            "let it run for longer, or look with `xdp-trafficgen check` when flows begin",
        )
    })
}

/// The interface disappeared during the run; none when it is still there.
pub fn of_gone(situation: &Situation<'_>) -> Option<Finding> {
    (situation.sends() && situation.interface.is_none()).then(|| path::gone(situation))
}

/// The interface was renamed during the run.
pub fn of_renamed(then: &str, now: &str) -> Finding {
    Finding::new(
        "interface_renamed",
        Severity::Note,
        format!("`{then}` was renamed to `{now}` meanwhile; frames go on leaving by it"),
        format!("call it `{now}` in the next run"),
    )
}

/// Counts that are missing because a trace point is.
pub fn of_lacking(lacks: &[TracePoint]) -> Option<Finding> {
    let names =
        lacks.iter().map(|point| format!("`{}`", point.name())).collect::<Vec<_>>().join(" and ");
    (!lacks.is_empty()).then(|| {
        Finding::new(
            "no_trace_points",
            Severity::Loses,
            format!(
                "this kernel has no trace point {names}, so the fate of frames is not known: every \
                 frame that the kernel was handed counts as sent"
            ),
            "rely on the interface's own counters (`ip -s link`, `ethtool -S`), or use a kernel \
             with CONFIG_TRACEPOINTS=y",
        )
    })
}
