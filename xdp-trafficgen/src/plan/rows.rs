//! Rows: the first bytes of all frames of a flow whose sequence soon starts again, made beforehand
//! by the very code that makes them in the kernel otherwise.

use xdp_trafficgen_ebpf::{
    abi::{Group, HeaderState, LINE_LEN, Line, MAX_LINES, Word128},
    field::{Load, Values},
    frame::{self, FrameMut},
};

/// The lines of this number of bytes.
pub(super) const fn line_count(len: usize) -> usize {
    len.div_ceil(LINE_LEN)
}

/// The bytes in lines, the rest of which is zero.
pub(super) fn lines(bytes: &[u8]) -> [Line; MAX_LINES] {
    let mut filled = [0; MAX_LINES * LINE_LEN];
    filled[..bytes.len()].copy_from_slice(bytes);
    let mut words = filled.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word));
    std::array::from_fn(|_| std::array::from_fn(|_| words.next().unwrap_or(0)))
}

/// The rows of the first `period` frames of a flow, and the length of each frame (0 where the group
/// is not sized). `written`: bytes of a row; `frame` has at least as many. `state` is that of a
/// single worker.
pub(super) fn record(
    group: &Group,
    mut state: HeaderState,
    values: &[Word128],
    frame: &[u8],
    written: usize,
    period: u64,
) -> (Vec<Line>, Vec<u32>) {
    let mut frame = frame.to_vec();
    let (mut rows, mut sizes) = (Vec::new(), Vec::new());
    for number in 0..period {
        let size = frame::write::<Plain>(
            &mut Frame(&mut frame),
            group,
            &mut state,
            || number,
            &Table(values),
        );
        let row = &lines(&frame[..written])[..line_count(written)];
        rows.extend_from_slice(row);
        // The size stands at the row's first line.
        sizes.push(size);
        sizes.resize(rows.len(), 0);
    }
    (rows, sizes)
}

/// Loads specifications without a transformation.
pub(super) struct Plain;

impl Load for Plain {
    fn load<T: Copy>(place: &T) -> T {
        *place
    }
    fn add(sum: &mut u64, amount: u64) {
        *sum = sum.wrapping_add(amount);
    }
}

/// A value table in memory.
pub(super) struct Table<'a>(pub(super) &'a [Word128]);

impl Values for Table<'_> {
    fn value(&self, index: u32) -> Word128 {
        self.0.get(index as usize).copied().unwrap_or_default()
    }
}

struct Frame<'a>(&'a mut [u8]);

impl Frame<'_> {
    fn store(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

impl FrameMut for Frame<'_> {
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
    fn lines_hold_the_bytes() {
        let header: Vec<u8> = (0..72).collect();
        let bytes: Vec<u8> =
            lines(&header).iter().flatten().flat_map(|word| word.to_ne_bytes()).take(72).collect();
        assert_eq!(bytes, header);
        assert_eq!((line_count(64), line_count(65)), (1, 2));
    }
}
