//! The report of a run as CSV (RFC 4180): one table for spreadsheets, whose columns have the names
//! of the JSON report. They are a promise as well: columns are only ever added, at the end.
//!
//! `kind` says what a row is of: the `run` (first, once), a `port`, a `worker`, a `flow`, a `drop`
//! (how many frames of a port were dropped for the reason `name`) or a `finding` (`name` is its
//! code, `frames_dropped` what it cost). `port` is the port that a row belongs to. A cell is empty
//! where its column says nothing of such a row, or nothing is known. The same frames are counted by
//! their port, by its workers and by its flows: sums are over rows of one kind.

use std::io;

use csv::{Terminator, WriterBuilder};
use serde::Serialize;

use crate::{
    diagnosis::Finding,
    output::{Format, PortFinding, Report, plain},
    stats::{DropReason, FlowCount, PortCount, Punctuality, WorkerCount},
};

/// `--output csv`.
pub const FORMAT: Format<Report> = Format {
    name: "csv",
    help: "A table with a row for each port, worker and flow, for spreadsheets",
    render,
};

/// The columns, in their order.
#[derive(Debug, Default, Serialize)]
struct Row<'a> {
    kind: &'static str,
    port: Option<&'a str>,
    name: Option<String>,
    interface: Option<&'a str>,
    cpu: Option<u32>,
    frames_attempted: Option<u64>,
    frames_tx: Option<u64>,
    bytes_tx: Option<u64>,
    frames_dropped: Option<u64>,
    pps: Option<u64>,
    requested_pps: Option<f64>,
    achieved_pps: Option<f64>,
    frames_late: Option<u64>,
    worst_lateness_ns: Option<u128>,
    frames_unsent: Option<u64>,
    due_ns: Option<u128>,
    down_ns: Option<u128>,
    restarts: Option<u64>,
    batch_size: Option<u64>,
    duration_ns: Option<u128>,
    frames_rx: Option<u64>,
    bytes_rx: Option<u64>,
    severity: Option<&'static str>,
    cause: Option<&'a str>,
    cure: Option<&'a str>,
}

fn render(report: &Report) -> io::Result<String> {
    let Report { snapshot, sink, findings } = report;
    let mut table = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    table.serialize(Row {
        kind: "run",
        duration_ns: Some(snapshot.elapsed.as_nanos()),
        frames_rx: sink.map(|sink| sink.frames),
        bytes_rx: sink.map(|sink| sink.bytes),
        ..Row::default()
    })?;
    let ports = &snapshot.ports;
    ports.iter().try_for_each(|port| table.serialize(of_port(port)))?;
    for port in ports {
        port.workers.iter().try_for_each(|worker| table.serialize(of_worker(port, worker)))?;
    }
    for port in ports {
        port.flows.iter().try_for_each(|flow| table.serialize(of_flow(port, flow)))?;
    }
    for port in ports {
        port.drops.iter().try_for_each(|drop| table.serialize(of_drop(port, drop)))?;
    }
    findings.iter().try_for_each(|found| table.serialize(of_finding(found)))?;
    let bytes = table.into_inner().map_err(|error| error.into_error())?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

fn of_port(port: &PortCount) -> Row<'_> {
    Row {
        kind: "port",
        port: Some(&port.name),
        name: Some(port.name.clone()),
        interface: Some(&port.interface),
        frames_attempted: Some(port.frames_attempted),
        frames_tx: Some(port.frames_tx),
        bytes_tx: Some(port.bytes_tx()),
        frames_dropped: Some(port.frames_dropped()),
        pps: Some(plain::per_second(port.frames_tx, port.due_time.as_secs_f64())),
        due_ns: Some(port.due_time.as_nanos()),
        down_ns: Some(port.outage.down.as_nanos()),
        restarts: Some(port.outage.restarts),
        batch_size: port.batch_size,
        ..of_departures(port.punctuality)
    }
}

fn of_worker<'a>(port: &'a PortCount, worker: &WorkerCount) -> Row<'a> {
    Row {
        kind: "worker",
        port: Some(&port.name),
        cpu: Some(worker.cpu),
        frames_attempted: Some(worker.frames_attempted),
        frames_tx: Some(worker.frames_tx),
        frames_dropped: Some(sum(&worker.drops)),
        ..Row::default()
    }
}

fn of_flow<'a>(port: &'a PortCount, flow: &FlowCount) -> Row<'a> {
    Row {
        kind: "flow",
        port: Some(&port.name),
        name: Some(flow.name.clone()),
        frames_attempted: Some(flow.frames_attempted),
        frames_tx: Some(flow.frames_tx),
        bytes_tx: Some(flow.bytes_tx),
        frames_dropped: Some(sum(&flow.drops)),
        pps: Some(plain::per_second(flow.frames_tx, flow.due_time.as_secs_f64())),
        due_ns: Some(flow.due_time.as_nanos()),
        ..of_departures(flow.punctuality)
    }
}

fn of_drop<'a>(port: &'a PortCount, &(reason, count): &(DropReason, u64)) -> Row<'a> {
    Row {
        kind: "drop",
        port: Some(&port.name),
        name: Some(reason.code()),
        frames_dropped: Some(count),
        ..Row::default()
    }
}

fn of_finding(PortFinding { port, frames, finding }: &PortFinding) -> Row<'_> {
    let Finding { code, severity, cause, cure } = finding;
    Row {
        kind: "finding",
        port: Some(port),
        name: Some((*code).to_owned()),
        frames_dropped: *frames,
        severity: Some(severity.code()),
        cause: Some(cause),
        cure: Some(cure),
        ..Row::default()
    }
}

/// The columns of what has departure times.
fn of_departures(punctuality: Option<Punctuality>) -> Row<'static> {
    let Some(Punctuality { requested, achieved, time: _, late, worst, unsent }) = punctuality
    else {
        return Row::default();
    };
    Row {
        requested_pps: requested.map(plain::rate),
        achieved_pps: achieved.map(plain::rate),
        frames_late: Some(late),
        worst_lateness_ns: Some(worst.as_nanos()),
        frames_unsent: Some(unsent),
        ..Row::default()
    }
}

fn sum(drops: &[(DropReason, u64)]) -> u64 {
    drops.iter().map(|&(_, count)| count).sum()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use csv::ReaderBuilder;
    use serde_json::Value;
    use xdp_trafficgen_ebpf::abi;

    use super::*;
    use crate::{diagnosis::Severity, output::report::json, stats::Snapshot};

    fn report() -> Report {
        let punctuality = Punctuality {
            requested: Some(1000.0),
            achieved: Some(999.9995),
            late: 3,
            worst: Duration::from_micros(7),
            unsent: 1,
            ..Punctuality::default()
        };
        let second = Duration::from_secs(1);
        let flow = |name: &str, punctuality| FlowCount {
            frames_attempted: 10,
            frames_tx: 9,
            bytes_tx: 576,
            due_time: second,
            drops: vec![(DropReason::QueueFull, 1)],
            punctuality,
            ..FlowCount::none(name)
        };
        let port = PortCount {
            name: "west".to_owned(),
            interface: "eth1".to_owned(),
            due_time: second,
            frames_attempted: 20,
            frames_tx: 18,
            drops: vec![(DropReason::QueueFull, 2)],
            punctuality: Some(punctuality),
            batch_size: Some(64),
            flows: vec![flow("plain", None), flow("a \"comma\", and\na line", Some(punctuality))],
            workers: vec![WorkerCount {
                cpu: 3,
                frames_attempted: 20,
                frames_tx: 18,
                ..WorkerCount::default()
            }],
            ..PortCount::default()
        };
        let finding = Finding {
            code: "queue_full",
            severity: Severity::Loses,
            cause: "it was full, \"always\"".to_owned(),
            cure: "smaller batches; or fewer\r\nframes".to_owned(),
        };
        Report {
            snapshot: Snapshot { elapsed: second, ports: vec![port] },
            sink: Some(abi::Sink { frames: 18, bytes: 1152 }),
            findings: vec![PortFinding { port: "west".to_owned(), frames: Some(2), finding }],
        }
    }

    /// The rows as a reader has them, without empty cells.
    fn read(text: &str) -> Vec<BTreeMap<String, String>> {
        let mut reader = ReaderBuilder::new().from_reader(text.as_bytes());
        let rows =
            reader.deserialize().collect::<Result<Vec<BTreeMap<String, String>>, _>>().unwrap();
        rows.into_iter()
            .map(|row| row.into_iter().filter(|(_, cell)| !cell.is_empty()).collect())
            .collect()
    }

    fn of_kind<'a>(
        rows: &'a [BTreeMap<String, String>],
        kind: &str,
    ) -> Vec<&'a BTreeMap<String, String>> {
        rows.iter().filter(|row| row["kind"] == kind).collect()
    }

    /// Each of these columns has what the JSON report has by the same name, and no other column has
    /// anything.
    #[track_caller]
    fn check(
        row: &BTreeMap<String, String>,
        json: &Value,
        besides: &[(&str, &str)],
        not_in_csv: &[&str],
    ) {
        let mut row = row.clone();
        for (column, cell) in besides {
            assert_eq!(row.remove(*column).as_deref(), Some(*cell), "{column}");
        }
        let fields = json.as_object().unwrap().iter();
        let fields =
            fields.filter(|(name, value)| !not_in_csv.contains(&name.as_str()) && !value.is_null());
        let expected: BTreeMap<String, String> = fields
            .map(|(name, value)| {
                (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            })
            .collect();
        assert_eq!(row, expected);
    }

    #[test]
    fn columns_are_those_of_the_json_report() {
        let report = report();
        let (text, json) = (render(&report).unwrap(), json::render(&report).unwrap());
        let (rows, json): (_, Value) = (read(&text), serde_json::from_str(&json).unwrap());
        let kinds: Vec<&str> = rows.iter().map(|row| row["kind"].as_str()).collect();
        assert_eq!(kinds, ["run", "port", "worker", "flow", "flow", "drop", "finding"]);
        let sink = [("kind", "run"), ("frames_rx", "18"), ("bytes_rx", "1152")];
        check(&rows[0], &json, &sink, &["ports", "flows", "sink", "findings"]);
        let port = &json["ports"][0];
        check(&rows[1], port, &[("kind", "port"), ("port", "west")], &["drops", "workers"]);
        check(
            of_kind(&rows, "worker")[0],
            &port["workers"][0],
            &[("kind", "worker"), ("port", "west")],
            &["drops"],
        );
        for (row, flow) in of_kind(&rows, "flow").into_iter().zip(json["flows"].as_array().unwrap())
        {
            check(row, flow, &[("kind", "flow")], &["drops"]);
        }
        let reason = [
            ("kind", "drop"),
            ("port", "west"),
            ("name", "driver_queue_full"),
            ("frames_dropped", "2"),
        ];
        check(of_kind(&rows, "drop")[0], &port["drops"][0], &reason, &["reason", "count"]);
        let found = [("kind", "finding"), ("name", "queue_full"), ("frames_dropped", "2")];
        check(of_kind(&rows, "finding")[0], &json["findings"][0], &found, &["code", "frames"]);
    }

    #[test]
    fn a_report_of_nothing_is_a_table_too() {
        let text = render(&Report::default()).unwrap();
        // A promise to whoever reads the table by position: only ever added to, at the end.
        let columns = "kind,port,name,interface,cpu,frames_attempted,frames_tx,bytes_tx,\
                       frames_dropped,pps,requested_pps,achieved_pps,frames_late,\
                       worst_lateness_ns,frames_unsent,due_ns,down_ns,restarts,batch_size,\
                       duration_ns,frames_rx,bytes_rx,severity,cause,cure";
        assert_eq!(text.lines().next(), Some(columns));
        assert_eq!(text.matches("\r\n").count(), 2, "RFC 4180: lines end with CR LF: {text:?}");
        assert_eq!(
            read(&text)[0],
            BTreeMap::from(
                [("kind", "run"), ("duration_ns", "0")].map(|(k, v)| (k.to_owned(), v.to_owned()))
            )
        );
    }
}
