//! Numbers, rates and times as people read them, and the tables they stand in.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};

use crate::units::WireLen;

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

/// The same of any noun: `1 departure`, `2 000 departures`.
pub fn counted(count: u64, noun: &str) -> String {
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

/// Gigabits a second on the wire: frames with FCS, and for each the preamble and gap of Ethernet
/// ([`WireLen`]).
pub fn wire_bits(frames: u64, bytes: u64, seconds: f64) -> f64 {
    rate(WireLen::of_frames(frames, bytes).bits(), seconds) / 1e9
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
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1 000"), (12_345_678, "12 345 678")]
        {
            assert_eq!(grouped(number), text);
        }
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
