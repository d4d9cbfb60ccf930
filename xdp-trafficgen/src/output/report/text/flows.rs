//! The rows of flows: what became of their frames, and how well departure times were kept.

use std::{cmp::Reverse, fmt::Write as _};

use crate::{
    output::{
        numbers::{grouped, mega, percent, pps, table},
        shortfall::shortfall,
    },
    stats::{FlowCount, PortCount, Punctuality, Snapshot},
};

/// So many flows are worth a row in the report for people.
const FLOW_ROWS: usize = 20;

/// All flows, or the worst where they are many: those that lost the most frames, then those that
/// were late the most often.
fn worst(snapshot: &Snapshot) -> Vec<(&PortCount, &FlowCount)> {
    let mut flows: Vec<_> = snapshot
        .ports
        .iter()
        .flat_map(|port| port.flows.iter().map(move |flow| (port, flow)))
        .collect();
    if flows.len() > FLOW_ROWS {
        flows.sort_by_cached_key(|(_, flow)| {
            let Punctuality { late, worst, unsent, .. } = flow.punctuality.unwrap_or_default();
            Reverse((dropped(flow) + unsent, late, worst))
        });
        flows.truncate(FLOW_ROWS);
    }
    flows
}

fn dropped(flow: &FlowCount) -> u64 {
    flow.drops.iter().map(|(_, count)| count).sum()
}

/// What to say of flows that have no row.
fn left_out(snapshot: &Snapshot) -> String {
    let all: usize = snapshot.ports.iter().map(|port| port.flows.len()).sum();
    let more = all.saturating_sub(FLOW_ROWS);
    if more == 0 {
        return String::new();
    }
    let (more, plural) = (grouped(more as u64), if more == 1 { "" } else { "s" });
    format!(
        "… and {more} more flow{plural}; these are the {FLOW_ROWS} with the most frames dropped or never sent, then late (--output json \
         has all)\n"
    )
}

/// A table of flows.
pub(super) fn flows(snapshot: &Snapshot) -> String {
    let mut table = table(&["flow", "port", "sent", "dropped", "share", "bytes", "Mpps"], 2);
    for (port, flow) in worst(snapshot) {
        table.add_row([
            flow.name.clone(),
            port.name.clone(),
            grouped(flow.frames_tx),
            grouped(dropped(flow)),
            percent(flow.frames_tx, port.frames_tx),
            grouped(flow.bytes_tx),
            format!("{:.3}", mega(flow.frames_tx, flow.due_time.as_secs_f64())),
        ]);
    }
    format!("{table}\n{}", left_out(snapshot))
}

/// How well departure times were kept, of the same flows, and what to do where they were not.
pub(super) fn punctuality(snapshot: &Snapshot) -> String {
    let mut table = table(
        &["flow", "port", "requested", "achieved", "late", "worst lateness", "never sent"],
        2,
    );
    let punctual = worst(snapshot)
        .into_iter()
        .filter_map(|(port, flow)| Some((port, flow, flow.punctuality?)));
    for (port, flow, Punctuality { requested, achieved, late, worst, unsent, time: _ }) in punctual
    {
        table.add_row([
            flow.name.clone(),
            port.name.clone(),
            requested.map_or_else(String::new, pps),
            achieved.map_or_else(String::new, pps),
            grouped(late),
            format!("{worst:.1?}"),
            grouped(unsent),
        ]);
    }
    let mut text = format!("{table}\n");
    for port in &snapshot.ports {
        if let Some(sentence) = shortfall(port) {
            let _ = writeln!(text, "port {}: {sentence}", port.name);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        output::{
            Report,
            report::text::{render, tests::port},
        },
        stats::DropReason,
    };

    #[test]
    fn flows_are_listed_when_there_are_several_and_not_too_many() {
        let report = |ports: &[usize]| {
            let snapshot = Snapshot {
                elapsed: Duration::from_secs(1),
                ports: ports.iter().copied().map(port).collect(),
            };
            render(&Report { snapshot, ..Report::default() })
        };
        assert!(!report(&[1, 1]).contains("share"), "the ports say it all");
        let text = report(&[1, 4]);
        let row = text.lines().find(|line| line.contains(" f3 ")).unwrap();
        assert_eq!(
            row.split_whitespace().collect::<Vec<_>>().join(" "),
            "f3 west 1 000 0 25.0 % 64 000 0.001"
        );
        assert!(!text.contains("more flow"), "{text}");
        let text = report(&[4096]);
        assert!(text.contains(" f19 ") && !text.contains(" f20 "), "{text}");
        assert!(
            text.contains("… and 4 076 more flows; these are the 20 with the most frames dropped"),
            "{text}"
        );
        assert!(report(&[21]).contains("… and 1 more flow; these"));
    }

    #[test]
    fn of_many_flows_the_worst_are_listed() {
        let mut port = port(30);
        port.punctuality = Some(Punctuality::default());
        let punctuality =
            |late, unsent| Some(Punctuality { late, unsent, ..Punctuality::default() });
        port.flows[29].drops = vec![(DropReason::QueueFull, 7)];
        port.flows[28].punctuality = punctuality(0, 8);
        port.flows[27].punctuality = punctuality(900, 0);
        port.flows[26].punctuality = punctuality(1000, 0);
        let snapshot = Snapshot { elapsed: Duration::from_secs(1), ports: vec![port] };
        let names: Vec<&str> =
            worst(&snapshot).iter().map(|(_, flow)| flow.name.as_str()).collect();
        assert_eq!(names[..6], ["f28", "f29", "f26", "f27", "f0", "f1"]);
        assert_eq!(names.len(), FLOW_ROWS);
        let text = render(&Report { snapshot, ..Report::default() });
        let rows = text.lines().filter(|line| line.starts_with(" f28 ")).count();
        assert_eq!(rows, 2, "among the counts, and among the departures: {text}");
    }

    #[test]
    fn departures_without_a_frame_are_told() {
        let mut port = port(1);
        assert_eq!(shortfall(&port), None);
        let punctuality = Punctuality {
            requested: Some(40e6),
            achieved: Some(17_300_123.4),
            unsent: 1000,
            ..Punctuality::default()
        };
        port.punctuality = Some(punctuality);
        port.flows[0].punctuality = Some(punctuality);
        let snapshot = Snapshot { elapsed: Duration::from_secs(1), ports: vec![port] };
        let text = render(&Report { snapshot, ..Report::default() });
        let sentence = "port west: asked for 40 Mpps, sent 17.3001 Mpps: 1 000 departures (50.00 %) had no frame";
        assert!(text.contains(sentence), "{text}");
        assert!(text.contains("never sent"), "{text}");
    }
}
