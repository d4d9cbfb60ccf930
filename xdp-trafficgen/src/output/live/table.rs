//! The table of a run that goes on, within the lines and columns of a terminal: what there is no
//! room for is left out, the least telling columns first, and ports that lose the fewest frames.

use std::cmp::Reverse;

use super::{known, now};
use crate::{
    output::{
        numbers,
        terminal::{Size, width},
    },
    plan::port_name,
    stats::{PortCount, Snapshot},
};

/// What a line of the table says.
struct Row {
    name: String,
    frames_tx: u64,
    dropped: u64,
    /// Frames a second since the last call.
    now: f64,
    paced: Option<Paced>,
}

/// Of ports whose frames are paced.
struct Paced {
    requested: Option<f64>,
    achieved: Option<f64>,
    late: u64,
    unsent: u64,
}

/// A column: its heading, and what it says of a port.
type Column = (&'static str, fn(&Row) -> String);

const ALWAYS: [Column; 3] = [
    ("port", |row| row.name.clone()),
    ("sent", |row| numbers::grouped(row.frames_tx)),
    ("dropped", |row| numbers::grouped(row.dropped)),
];
const AT_FULL_SPEED: Column = ("Mpps", |row| format!("{:.3}", row.now / 1e6));
const PACED: [Column; 5] = [
    ("now", |row| numbers::pps(row.now.round())),
    ("requested", |row| of_paced(row, |paced| known(paced.requested))),
    ("achieved", |row| of_paced(row, |paced| known(paced.achieved))),
    ("late", |row| of_paced(row, |paced| numbers::grouped(paced.late))),
    ("never sent", |row| of_paced(row, |paced| numbers::grouped(paced.unsent))),
];

/// Columns to do without, the first one first: the report has them, and `now` and `never sent` say
/// whether all is well.
const DISPENSABLE: [&str; 3] = ["requested", "achieved", "late"];

fn of_paced(row: &Row, words: impl FnOnce(&Paced) -> String) -> String {
    row.paced.as_ref().map_or_else(String::new, words)
}

/// The table, and the time below it.
pub(super) fn render(snapshot: &Snapshot, last: &Snapshot, Size { columns, rows }: Size) -> String {
    let ports: Vec<Row> = snapshot
        .ports
        .iter()
        .enumerate()
        .map(|(index, port)| of_port(port, now(snapshot, last, index)))
        .collect();
    let paced = ports.iter().any(|row| row.paced.is_some());
    let mut shown: Vec<Column> = ALWAYS.to_vec();
    if paced {
        shown.extend(PACED)
    } else {
        shown.push(AT_FULL_SPEED)
    }
    let total = (ports.len() > 1).then(|| total(&ports));
    // Beside the ports there are the heading, the total, the time and the cursor, and the word
    // about those left out.
    let room = rows.saturating_sub(3 + usize::from(total.is_some()));
    let more = ports.len() - if ports.len() <= room { ports.len() } else { room.saturating_sub(1) };
    let ports = worst(ports, more);
    let mut table = lines(&shown, ports.iter().chain(&total));
    for heading in DISPENSABLE {
        if table.lines().all(|line| width(line.trim_end()) <= columns) {
            break;
        }
        shown.retain(|(known, _)| *known != heading);
        table = lines(&shown, ports.iter().chain(&total));
    }
    let more = match more {
        0 => String::new(),
        1 => "\n… and 1 more port".to_owned(),
        more => format!("\n… and {more} more ports"),
    };
    format!("{table}{more}\n{}\n", numbers::duration(snapshot.elapsed))
}

fn of_port(port: &PortCount, now: f64) -> Row {
    Row {
        name: port_name(&port.name, &port.interface),
        frames_tx: port.frames_tx,
        dropped: port.frames_dropped(),
        now,
        paced: port.punctuality.map(|punctuality| Paced {
            requested: punctuality.requested,
            achieved: punctuality.achieved,
            late: punctuality.late,
            unsent: punctuality.unsent,
        }),
    }
}

fn total(ports: &[Row]) -> Row {
    let paced = || ports.iter().filter_map(|row| row.paced.as_ref());
    // Of some ports only, a sum of rates would look like that of all.
    let sum = |rate: fn(&Paced) -> Option<f64>| paced().map(rate).sum::<Option<f64>>();
    Row {
        name: "total".to_owned(),
        frames_tx: ports.iter().map(|row| row.frames_tx).sum(),
        dropped: ports.iter().map(|row| row.dropped).sum(),
        now: ports.iter().map(|row| row.now).sum(),
        paced: (paced().count() == ports.len()).then(|| Paced {
            requested: sum(|paced| paced.requested),
            achieved: sum(|paced| paced.achieved),
            late: paced().map(|paced| paced.late).sum(),
            unsent: paced().map(|paced| paced.unsent).sum(),
        }),
    }
}

/// Without the `fewer` ports that lose the fewest frames, in their order.
fn worst(ports: Vec<Row>, fewer: usize) -> Vec<Row> {
    let lost = |row: &Row| row.dropped + row.paced.as_ref().map_or(0, |paced| paced.unsent);
    let mut order: Vec<usize> = (0..ports.len()).collect();
    order.sort_by_key(|&index| Reverse(lost(&ports[index])));
    let kept = &order[..ports.len() - fewer];
    ports
        .into_iter()
        .enumerate()
        .filter(|(index, _)| kept.contains(index))
        .map(|(_, row)| row)
        .collect()
}

fn lines<'a>(columns: &[Column], rows: impl Iterator<Item = &'a Row>) -> String {
    let headings: Vec<&str> = columns.iter().map(|(heading, _)| *heading).collect();
    let mut table = numbers::table(&headings, 1);
    for row in rows {
        table.add_row(columns.iter().map(|(_, cell)| cell(row)));
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::stats::Punctuality;

    /// So many ports with long names and large counts, of which this one loses frames.
    fn snapshot(ports: usize, losing: usize) -> Snapshot {
        let port = |index| PortCount {
            name: format!("port{index}"),
            interface: format!("enp{index}s0f0np0"),
            frames_attempted: 123_456_789_012,
            frames_tx: 123_456_789_000,
            punctuality: Some(Punctuality {
                requested: Some(14_880_952.0),
                achieved: Some(14_880_123.4),
                late: 12_345_678,
                unsent: if index == losing { 12_345_678 } else { 0 },
                ..Punctuality::default()
            }),
            ..PortCount::default()
        };
        Snapshot { elapsed: Duration::from_secs(7200), ports: (0..ports).map(port).collect() }
    }

    #[track_caller]
    fn check(ports: usize, size: Size, parts: &[&str], absent: &[&str]) {
        let text = render(&snapshot(ports, ports - 1), &Snapshot::default(), size);
        assert!(text.lines().all(|line| width(line.trim_end()) <= size.columns), "{text}");
        assert!(text.lines().count() < size.rows, "no room for the cursor: {text}");
        for part in parts {
            assert!(text.contains(part), "no `{part}` in\n{text}");
        }
        for part in absent {
            assert!(!text.contains(part), "`{part}` in\n{text}");
        }
    }

    #[test]
    fn it_fits_the_terminal() {
        let usual = Size { columns: 80, rows: 24 };
        check(
            1,
            usual,
            &["port0 (enp0s0f0np0)", "never sent", "7200.000 s"],
            &["total", "more", "requested"],
        );
        check(1, Size { columns: 200, rows: 24 }, &["requested", "achieved", "late"], &[]);
        check(20, usual, &["port0 ", "port19 ", "total"], &["more"]);
        // The last port loses frames.
        check(
            30,
            usual,
            &["port0 ", "port17", "port29 ", "total", "… and 11 more ports"],
            &["port18"],
        );
        check(21, usual, &["port17 ", "port20 ", "… and 2 more ports"], &["port18 "]);
        check(30, Size { columns: 80, rows: 5 }, &["total", "… and 30 more ports"], &["port29"]);
    }
}
