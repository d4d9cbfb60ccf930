//! The report for people, and the numbers in it.

use std::{fmt::Write as _, time::Duration};

use comfy_table::{CellAlignment, Table, presets};

use crate::output::Report;

/// Several lines, with a line feed at the end of each.
pub fn render(report: &Report) -> String {
    let Report { snapshot, sink } = report;
    let mut table = table(&["port", "interface", "attempted", "sent", "dropped", "Mpps", "Gbit/s on the wire"]);
    for port in &snapshot.ports {
        let seconds = port.elapsed.as_secs_f64();
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
    let mut text = format!("{table}\n");
    for port in &snapshot.ports {
        for (reason, count) in &port.drops {
            let _ = writeln!(text, "port {}: {} dropped: {reason}", port.name, frames(*count));
        }
    }
    if let Some(sink) = sink {
        let _ = writeln!(text, "receiver: {} arrived, {} bytes on the wire", frames(sink.frames), grouped(sink.bytes));
    }
    let _ = writeln!(text, "duration: {}", duration(snapshot.elapsed));
    text
}

/// A table with these headings, numbers to the right.
pub fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(headings);
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// `1 frame`, `2 000 frames`.
pub fn frames(count: u64) -> String {
    format!("{} frame{}", grouped(count), if count == 1 { "" } else { "s" })
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

    #[test]
    fn digits_in_groups() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1 000"), (12_345_678, "12 345 678")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn ten_gigabit_ethernet_carries_14_88_million_frames() {
        let frames = 14_880_952;
        assert!((wire_bits(frames, frames * 64, 1.0) - 10.0).abs() < 1e-5);
    }
}
