//! The report for people, and the numbers in it.

use std::{cmp::Reverse, fmt::Write as _, time::Duration};

use comfy_table::{CellAlignment, Table, presets};

use crate::{
    diagnosis,
    host::Counters,
    output::{Format, Report, together},
    stats::{FlowCount, PortCount, Punctuality, Snapshot, WorkerCount},
};

/// `--output text`.
pub const FORMAT: Format<Report> =
    Format { name: "text", help: "Tables and sentences, for people", render: |report| Ok(render(report)) };

/// Several lines, with a line feed at the end of each.
pub fn render(report: &Report) -> String {
    let Report { snapshot, sink, findings } = report;
    let mut table = table(&["port", "interface", "attempted", "sent", "dropped", "Mpps", "Gbit/s on the wire"], 2);
    for port in &snapshot.ports {
        let seconds = port.due_time.as_secs_f64();
        table.add_row([
            port.name.clone(),
            port.interface.clone(),
            grouped(port.attempted),
            grouped(port.transmitted),
            grouped(port.dropped()),
            format!("{:.3}", mega(port.transmitted, seconds)),
            format!("{:.3}", wire_bits(port.transmitted, port.bytes(), seconds)),
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
        let _ = writeln!(text, "receiver: {} arrived, {} bytes on the wire", frames(sink.frames), grouped(sink.bytes));
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
        sum(|port| port.attempted),
        sum(|port| port.transmitted),
        sum(PortCount::dropped),
        add(|port| mega(port.transmitted, port.due_time.as_secs_f64())),
        add(|port| wire_bits(port.transmitted, port.bytes(), port.due_time.as_secs_f64())),
    ]
}

/// A table of all workers.
fn workers(snapshot: &Snapshot) -> String {
    let mut table = table(&["CPU", "port", "attempted", "sent", "dropped", "Mpps"], 2);
    for port in &snapshot.ports {
        for WorkerCount { cpu, attempted, transmitted, drops, .. } in &port.workers {
            table.add_row([
                cpu.to_string(),
                port.name.clone(),
                grouped(*attempted),
                grouped(*transmitted),
                grouped(drops.iter().map(|(_, count)| count).sum()),
                format!("{:.3}", mega(*transmitted, port.due_time.as_secs_f64())),
            ]);
        }
    }
    format!("{table}\n")
}

/// So many ports have a line each, though there is nothing to say of them.
const LISTED: usize = 3;

/// What the interfaces say, of many ports only those that say something else than we do.
fn interfaces(ports: &[PortCount]) -> String {
    let counted = ports.iter().filter_map(|port| Some((port, port.interface_count.as_ref()?)));
    let agrees = |(port, counters): &(&PortCount, &Counters)| {
        let same =
            (counters.tx_packets, counters.tx_dropped, counters.tx_errors) == (port.transmitted, port.dropped(), 0);
        same && !counters.nic.iter().any(|(name, count)| *count > 0 && is_loss(name))
    };
    let (agreeing, mut others): (Vec<_>, Vec<_>) = counted.partition(agrees);
    let mut text = String::new();
    if agreeing.len() > LISTED {
        let names: Vec<&str> = agreeing.iter().map(|(port, _)| port.name.as_str()).collect();
        let _ = writeln!(text, "{}: their interfaces counted the same", together::ports(&names));
    } else {
        others.splice(0..0, agreeing);
    }
    others.iter().for_each(|(port, counters)| text += &interface(port, counters));
    text
}

fn is_of_sending(counter: &str) -> bool {
    counter.contains("tx") || counter.contains("xmit")
}

/// Whether a NIC's own counter, of this name, is of frames that did not leave. Each driver has names of its own; what it lost of
/// what came in (`rx_dropped`) is not meant.
fn is_loss(counter: &str) -> bool {
    let name = counter.to_ascii_lowercase().replace("interrupt", "");
    let lost = ["drop", "discard", "err", "timeout"].iter().any(|part| name.contains(part));
    lost && (is_of_sending(&name) || !name.contains("rx"))
}

/// So many counters of a NIC are worth showing to people.
const NIC_COUNTERS: usize = 4;

/// What the interface says, and its NIC of what was sent.
fn interface(port: &PortCount, counters: &Counters) -> String {
    let Counters { tx_packets, tx_bytes: _, tx_dropped, tx_errors, nic, answers: _ } = counters;
    let mut text = format!(
        "port {}: its interface counted {} sent, {} dropped, {} in error",
        port.name,
        frames(*tx_packets),
        grouped(*tx_dropped),
        grouped(*tx_errors)
    );
    let told = |name: &str| (is_of_sending(name) && !name.contains("byte")) || is_loss(name);
    let mut counted = nic.iter().filter(|(name, count)| **count > 0 && told(name)).collect::<Vec<_>>();
    counted.sort_by_key(|(name, count)| std::cmp::Reverse((is_loss(name), **count)));
    for (index, (name, count)) in counted.iter().take(NIC_COUNTERS).enumerate() {
        let _ = write!(text, "{} {name} {}", if index == 0 { "; ethtool -S:" } else { "," }, grouped(**count));
    }
    let more = counted.len().saturating_sub(NIC_COUNTERS);
    let _ = if more > 0 { writeln!(text, ", … and {more} more") } else { writeln!(text) };
    text
}

/// So many flows are worth a row in the report for people.
const FLOW_ROWS: usize = 20;

/// All flows, or the worst where they are many: those that lost the most frames, then those that were late the most often.
fn worst(snapshot: &Snapshot) -> Vec<(&PortCount, &FlowCount)> {
    let mut flows: Vec<_> =
        snapshot.ports.iter().flat_map(|port| port.flows.iter().map(move |flow| (port, flow))).collect();
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
fn flows(snapshot: &Snapshot) -> String {
    let mut table = table(&["flow", "port", "sent", "dropped", "share", "bytes", "Mpps"], 2);
    for (port, flow) in worst(snapshot) {
        table.add_row([
            flow.name.clone(),
            port.name.clone(),
            grouped(flow.transmitted),
            grouped(dropped(flow)),
            percent(flow.transmitted, port.transmitted),
            grouped(flow.bytes),
            format!("{:.3}", mega(flow.transmitted, flow.due_time.as_secs_f64())),
        ]);
    }
    format!("{table}\n{}", left_out(snapshot))
}

/// How well departure times were kept, of the same flows, and what to do where they were not.
fn punctuality(snapshot: &Snapshot) -> String {
    let mut table = table(&["flow", "port", "requested", "achieved", "late", "worst lateness", "never sent"], 2);
    let punctual = worst(snapshot).into_iter().filter_map(|(port, flow)| Some((port, flow, flow.punctuality?)));
    for (port, flow, Punctuality { requested, achieved, late, worst, unsent, time: _ }) in punctual {
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

/// What to say of a port that did not send all that was due.
pub fn shortfall(port: &PortCount) -> Option<String> {
    let punctuality = port.punctuality.filter(|punctuality| punctuality.unsent > 0)?;
    let asked = punctuality.requested.map_or_else(String::new, |rate| format!("asked for {}, ", pps(rate)));
    let sent = punctuality.achieved.map_or_else(|| "sent less".to_owned(), |rate| format!("sent {}", pps(rate)));
    Some(format!(
        "{asked}{sent}: {} ({:.2} %) had no frame, for {}",
        counted(punctuality.unsent, "departure"),
        punctuality.shortfall(port.attempted) * 100.0,
        diagnosis::of_unsent(port)
    ))
}

/// `part` of `whole`, with one decimal.
#[expect(clippy::cast_precision_loss, reason = "a share is shown to three digits")]
pub fn percent(part: u64, whole: u64) -> String {
    let share = if whole > 0 { part as f64 / whole as f64 } else { 0.0 };
    format!("{:.1} %", share * 100.0)
}

/// A table with these headings: so many columns of words, then numbers, which stand to the right.
pub fn table(headings: &[&str], words: usize) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(headings);
    for column in table.column_iter_mut().skip(words) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// `1 frame`, `2 000 frames`.
pub fn frames(count: u64) -> String {
    counted(count, "frame")
}

fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// Frames a second, with a unit that suits them: `499.998 kpps`.
pub fn pps(rate: f64) -> String {
    let (number, unit) = match rate {
        rate if rate >= 1e6 => (rate / 1e6, "Mpps"),
        rate if rate >= 1e3 => (rate / 1e3, "kpps"),
        rate => (rate, "pps"),
    };
    let digits = format!("{number:.4}");
    format!("{} {unit}", digits.trim_end_matches('0').trim_end_matches('.'))
}

/// Digits in groups of three, with spaces (ISO 80000-1).
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// To the millisecond.
pub fn duration(duration: Duration) -> String {
    format!("{:.3} s", duration.as_secs_f64())
}

/// To the nanosecond, for departures: `0.038600000 s`.
pub fn instant(since_start: Duration) -> String {
    format!("{}.{:09} s", since_start.as_secs(), since_start.subsec_nanos())
}

/// Millions of `count` a second.
pub fn mega(count: u64, seconds: f64) -> f64 {
    rate(count, seconds) / 1e6
}

/// Gigabits a second on the wire: frames with FCS, and for each the preamble and gap of Ethernet, 20 bytes
/// (IEEE 802.3).
pub fn wire_bits(frames: u64, bytes: u64, seconds: f64) -> f64 {
    rate(bytes + 20 * frames, seconds) * 8.0 / 1e9
}

#[expect(clippy::cast_precision_loss, reason = "a rate is shown to far fewer than 53 bits")]
fn rate(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::DropReason;

    #[test]
    fn digits_in_groups() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1 000"), (12_345_678, "12 345 678")] {
            assert_eq!(grouped(number), text);
        }
    }

    /// A port that sent 1000 frames a second of each of these flows.
    fn port(flows: usize) -> PortCount {
        let count = |index| FlowCount {
            name: format!("f{index}"),
            attempted: 1000,
            transmitted: 1000,
            bytes: 64_000,
            due_time: Duration::from_secs(1),
            ..FlowCount::default()
        };
        PortCount {
            name: "west".to_owned(),
            interface: "eth1".to_owned(),
            due_time: Duration::from_secs(1),
            attempted: 1000 * flows as u64,
            transmitted: 1000 * flows as u64,
            flows: (0..flows).map(count).collect(),
            ..PortCount::default()
        }
    }

    #[test]
    fn flows_are_listed_when_there_are_several_and_not_too_many() {
        let report = |ports: &[usize]| {
            let snapshot =
                Snapshot { elapsed: Duration::from_secs(1), ports: ports.iter().copied().map(port).collect() };
            render(&Report { snapshot, ..Report::default() })
        };
        assert!(!report(&[1, 1]).contains("share"), "the ports say it all");
        let text = report(&[1, 4]);
        let row = text.lines().find(|line| line.contains(" f3 ")).unwrap();
        assert_eq!(row.split_whitespace().collect::<Vec<_>>().join(" "), "f3 west 1 000 0 25.0 % 64 000 0.001");
        assert!(!text.contains("more flow"), "{text}");
        let text = report(&[4096]);
        assert!(text.contains(" f19 ") && !text.contains(" f20 "), "{text}");
        assert!(text.contains("… and 4 076 more flows; these are the 20 with the most frames dropped"), "{text}");
        assert!(report(&[21]).contains("… and 1 more flow; these"));
    }

    #[test]
    fn of_many_flows_the_worst_are_listed() {
        let mut port = port(30);
        port.punctuality = Some(Punctuality::default());
        let punctuality = |late, unsent| Some(Punctuality { late, unsent, ..Punctuality::default() });
        port.flows[29].drops = vec![(DropReason::QueueFull, 7)];
        port.flows[28].punctuality = punctuality(0, 8);
        port.flows[27].punctuality = punctuality(900, 0);
        port.flows[26].punctuality = punctuality(1000, 0);
        let snapshot = Snapshot { elapsed: Duration::from_secs(1), ports: vec![port] };
        let names: Vec<&str> = worst(&snapshot).iter().map(|(_, flow)| flow.name.as_str()).collect();
        assert_eq!(names[..6], ["f28", "f29", "f26", "f27", "f0", "f1"]);
        assert_eq!(names.len(), FLOW_ROWS);
        let text = render(&Report { snapshot, ..Report::default() });
        let rows = text.lines().filter(|line| line.starts_with(" f28 ")).count();
        assert_eq!(rows, 2, "among the counts, and among the departures: {text}");
    }

    #[test]
    fn an_interface_that_lost_frames_is_not_among_many_that_agree() {
        let with = |counter: &str| {
            let one = |index: usize| {
                let nic = [("tx_queue_0_packets", 1000), ("tx_1", 900), ("tx_2", 800), ("tx_3", 700), (counter, 3)];
                let nic = nic.iter().filter(|(name, _)| index == 4 || *name != counter);
                let nic = nic.map(|(name, count)| ((*name).to_owned(), *count)).collect();
                let counters = Counters { tx_packets: 1000, nic, ..Counters::default() };
                PortCount { name: format!("p{index}"), interface_count: Some(counters), ..port(1) }
            };
            interfaces(&(0..5).map(one).collect::<Vec<_>>())
        };
        for loss in
            ["tx_dropped.nic", "port.tx_errors", "tx_timeout", "tx_discards_phy", "carrier_errors", "ucast_xmit_err"]
        {
            let text = with(loss);
            assert!(text.contains("ports p0, p1, p2 and 1 more: their"), "{text}");
            assert!(text.contains("port p4: its interface counted 1 000"), "{text}");
            assert!(text.contains(&format!("ethtool -S: {loss} 3, ")), "{text}");
        }
        for other in ["rx_dropped", "tx_interrupts", "tx_xdp_redirect"] {
            assert!(with(other).contains("ports p0, p1, p2 and 2 more: their"), "{other}");
        }
    }

    #[test]
    fn several_ports_have_a_total() {
        let report = |ports: usize| {
            let ports = (0..ports).map(|_| port(1)).collect();
            render(&Report { snapshot: Snapshot { elapsed: Duration::from_secs(1), ports }, ..Report::default() })
        };
        assert!(!report(1).contains("total"));
        let text = report(3);
        let row = text.lines().find(|line| line.contains("total")).unwrap();
        assert_eq!(row.split_whitespace().collect::<Vec<_>>().join(" "), "total 3 000 3 000 0 0.003 0.002");
    }

    #[test]
    fn departures_without_a_frame_are_told() {
        let mut port = port(1);
        assert_eq!(shortfall(&port), None);
        let punctuality =
            Punctuality { requested: Some(40e6), achieved: Some(17_300_123.4), unsent: 1000, ..Punctuality::default() };
        port.punctuality = Some(punctuality);
        port.flows[0].punctuality = Some(punctuality);
        let snapshot = Snapshot { elapsed: Duration::from_secs(1), ports: vec![port] };
        let text = render(&Report { snapshot, ..Report::default() });
        let sentence = "port west: asked for 40 Mpps, sent 17.3001 Mpps: 1 000 departures (50.00 %) had no frame";
        assert!(text.contains(sentence), "{text}");
        assert!(text.contains("never sent"), "{text}");
    }

    #[test]
    fn rates_have_a_unit_that_suits_them() {
        for (rate, text) in [
            (0.5, "0.5 pps"),
            (10.0, "10 pps"),
            (1500.44, "1.5004 kpps"),
            (500_000.0, "500 kpps"),
            (1.25e6, "1.25 Mpps"),
        ] {
            assert_eq!(pps(rate), text);
        }
    }

    #[test]
    fn ten_gigabit_ethernet_carries_14_88_million_frames() {
        let frames = 14_880_952;
        assert!((wire_bits(frames, frames * 64, 1.0) - 10.0).abs() < 1e-5);
    }
}
