//! Rows: the headers of all frames of a sequence that soon starts again, made beforehand by the very code that makes them
//! in the kernel otherwise.

use xdp_trafficgen_ebpf::{
    abi::{LINE_LEN, Line, MAX_LINES, ROW_TABLE_LINES, Word128},
    field::{Load, Values},
    frame::{FrameMut, write_checksums, write_fields},
};

use crate::{
    config::{FieldSetting, Pattern},
    plan::program::{Program, varies},
};

/// After how many frames the sequence starts again; none when that is later than the row table has room for, or never.
pub(super) fn period<'a>(header_len: usize, fields: impl Iterator<Item = &'a FieldSetting>) -> Option<u64> {
    let room = (ROW_TABLE_LINES / header_len.div_ceil(LINE_LEN).max(1)) as u64;
    fields.map(|setting| &setting.pattern.value).filter(|pattern| varies(pattern)).try_fold(1, |period, pattern| {
        let count = match pattern {
            Pattern::Value(_) => 1,
            Pattern::Values(values) => values.len() as u64,
            Pattern::Increment(count) | Pattern::Decrement(count) => count.count,
            Pattern::Random { .. } => return None,
        };
        least_common_multiple(period, count).filter(|&period| period <= room)
    })
}

fn least_common_multiple(a: u64, b: u64) -> Option<u64> {
    let (mut divisor, mut rest) = (a, b);
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    (a / divisor).checked_mul(b)
}

/// How many bytes of each line the headers fill.
pub(super) fn line_len(header_len: usize) -> [u32; MAX_LINES] {
    std::array::from_fn(|line| {
        let len = header_len.saturating_sub(line * LINE_LEN).min(LINE_LEN);
        u32::try_from(len).unwrap_or(0)
    })
}

/// The headers in lines, the rest of which is zero.
pub(super) fn lines(header: &[u8]) -> [Line; MAX_LINES] {
    let mut bytes = [0; MAX_LINES * LINE_LEN];
    bytes[..header.len()].copy_from_slice(header);
    let mut words = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word));
    std::array::from_fn(|_| std::array::from_fn(|_| words.next().unwrap_or(0)))
}

/// The rows of the first `period` frames of `sequence`, a program of a single worker.
pub(super) fn record(sequence: &Program, header_len: usize, period: u64) -> Vec<Line> {
    let mut header = bytes(&sequence.header, header_len);
    let mut worker = sequence.workers.values().next().copied().unwrap_or_default();
    let row_lines = header_len.div_ceil(LINE_LEN);
    let mut rows = Vec::new();
    for frame in 0..period {
        let mut writer = Header(&mut header);
        let sums = write_fields::<Plain>(
            &mut writer,
            &sequence.fields,
            &mut worker.values,
            &mut worker.joined,
            || frame,
            &Table(&sequence.values),
        );
        write_checksums::<Plain>(&mut writer, sequence.generator.checksum_count, &sequence.checksums, &sums);
        rows.extend_from_slice(&lines(&header)[..row_lines]);
    }
    rows
}

fn bytes(lines: &[Line; MAX_LINES], len: usize) -> Vec<u8> {
    lines.iter().flatten().flat_map(|word| word.to_ne_bytes()).take(len).collect()
}

/// Specifications as they are.
struct Plain;

impl Load for Plain {
    fn load<T: Copy>(place: &T) -> T {
        *place
    }
}

struct Table<'a>(&'a [Word128]);

impl Values for Table<'_> {
    fn value(&self, index: u32) -> Word128 {
        self.0.get(index as usize).copied().unwrap_or_default()
    }
}

struct Header<'a>(&'a mut [u8]);

impl Header<'_> {
    fn store(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

impl FrameMut for Header<'_> {
    fn store_u8(&mut self, at: usize, value: u8) {
        self.store(at, &[value]);
    }
    fn store_u16(&mut self, at: usize, value: u16) {
        self.store(at, &value.to_be_bytes());
    }
    fn store_u32(&mut self, at: usize, value: u32) {
        self.store(at, &value.to_be_bytes());
    }
    fn store_u64(&mut self, at: usize, value: u64) {
        self.store(at, &value.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_hold_the_headers() {
        assert_eq!(line_len(42), [42, 0]);
        assert_eq!(line_len(64), [64, 0]);
        assert_eq!(line_len(70), [64, 6]);
        let header: Vec<u8> = (0..70).collect();
        assert_eq!(bytes(&lines(&header), 70), header);
    }

    #[test]
    fn periods() {
        assert_eq!(least_common_multiple(4, 6), Some(12));
        assert_eq!(least_common_multiple(u64::MAX, 2), None);
    }
}
