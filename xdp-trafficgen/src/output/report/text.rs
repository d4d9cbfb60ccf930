//! The report of a run for people.

mod flows;
mod interfaces;

use std::fmt::Write as _;

use self::{
    flows::{flows, punctuality},
    interfaces::interfaces,
};
use crate::{
    output::{
        Format, Report,
        numbers::{duration, frames, grouped, mega, table, wire_bits},
        together,
    },
    stats::{PortCount, Snapshot, WorkerCount},
};

/// `--output text`.
pub const FORMAT: Format<Report> = Format {
    name: "text",
    help: "Tables and sentences, for people",
    render: |report| Ok(render(report)),
};

/// Several lines, with a line feed at the end of each.
pub fn render(report: &Report) -> String {
    let Report { snapshot, sink, findings } = report;
    let mut table = table(
        &["port", "interface", "attempted", "sent", "dropped", "Mpps", "Gbit/s on the wire"],
        2,
    );
    for port in &snapshot.ports {
        let seconds = port.due_time.as_secs_f64();
        table.add_row([
            port.name.clone(),
            port.interface.clone(),
            grouped(port.frames_attempted),
            grouped(port.frames_tx),
            grouped(port.frames_dropped()),
            format!("{:.3}", mega(port.frames_tx, seconds)),
            format!("{:.3}", wire_bits(port.frames_tx, port.bytes_tx(), seconds)),
        ]);
    }
    if snapshot.ports.len() > 1 {
        table.add_row(total(&snapshot.ports));
    }
    let mut text = format!("{table}\n");
    if snapshot.ports.iter().any(|port| port.workers.len() > 1) {
        text += &workers(snapshot);
    }
    if snapshot.ports.iter().any(|port| port.flows.len() > 1) {
        text += &flows(snapshot);
    }
    if snapshot.ports.iter().any(|port| port.punctuality.is_some()) {
        text += &punctuality(snapshot);
    }
    for finding in together::findings(findings) {
        let _ = writeln!(text, "{finding}");
    }
    text += &interfaces(&snapshot.ports);
    if let Some(sink) = sink {
        let _ = writeln!(
            text,
            "receiver: {} arrived, {} bytes on the wire",
            frames(sink.frames),
            grouped(sink.bytes)
        );
    }
    let _ = writeln!(text, "duration: {}", duration(snapshot.elapsed));
    text
}

/// The row of all ports together; rates add up to what this machine sends while all of them do.
fn total(ports: &[PortCount]) -> [String; 7] {
    let sum = |count: fn(&PortCount) -> u64| grouped(ports.iter().map(count).sum());
    let add = |rate: fn(&PortCount) -> f64| format!("{:.3}", ports.iter().map(rate).sum::<f64>());
    [
        "total".to_owned(),
        String::new(),
        sum(|port| port.frames_attempted),
        sum(|port| port.frames_tx),
        sum(PortCount::frames_dropped),
        add(|port| mega(port.frames_tx, port.due_time.as_secs_f64())),
        add(|port| wire_bits(port.frames_tx, port.bytes_tx(), port.due_time.as_secs_f64())),
    ]
}

/// A table of all workers.
fn workers(snapshot: &Snapshot) -> String {
    let mut table = table(&["CPU", "port", "attempted", "sent", "dropped", "Mpps"], 2);
    for port in &snapshot.ports {
        for WorkerCount { cpu, frames_attempted, frames_tx, drops, .. } in &port.workers {
            table.add_row([
                cpu.to_string(),
                port.name.clone(),
                grouped(*frames_attempted),
                grouped(*frames_tx),
                grouped(drops.iter().map(|(_, count)| count).sum()),
                format!("{:.3}", mega(*frames_tx, port.due_time.as_secs_f64())),
            ]);
        }
    }
    format!("{table}\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::stats::FlowCount;

    /// A port that sent 1000 frames a second of each of these flows.
    pub(super) fn port(flows: usize) -> PortCount {
        let count = |index| FlowCount {
            name: format!("f{index}"),
            frames_attempted: 1000,
            frames_tx: 1000,
            bytes_tx: 64_000,
            due_time: Duration::from_secs(1),
            ..FlowCount::default()
        };
        PortCount {
            name: "west".to_owned(),
            interface: "eth1".to_owned(),
            due_time: Duration::from_secs(1),
            frames_attempted: 1000 * flows as u64,
            frames_tx: 1000 * flows as u64,
            flows: (0..flows).map(count).collect(),
            ..PortCount::default()
        }
    }

    #[test]
    fn several_ports_have_a_total() {
        let report = |ports: usize| {
            let ports = (0..ports).map(|_| port(1)).collect();
            render(&Report {
                snapshot: Snapshot { elapsed: Duration::from_secs(1), ports },
                ..Report::default()
            })
        };
        assert!(!report(1).contains("total"));
        let text = report(3);
        let row = text.lines().find(|line| line.contains("total")).unwrap();
        assert_eq!(
            row.split_whitespace().collect::<Vec<_>>().join(" "),
            "total 3 000 3 000 0 0.003 0.002"
        );
    }
}
