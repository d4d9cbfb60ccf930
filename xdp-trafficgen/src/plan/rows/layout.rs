//! Where the words of a port's rows are in its frames.

use xdp_trafficgen_ebpf::abi::{LEAD, ROW_WORDS};

use super::LongRow;

/// Words of the longest row.
pub(in crate::plan) const MAX_ROW_WORDS: usize = ROW_WORDS[2];

/// The layout of all of a port's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::plan) struct Layout {
    /// Bytes written in every repetition: an even number.
    pub(in crate::plan) written: usize,
    /// The words that vary in some flow: the first one, and the one behind the last; empty where
    /// none does.
    pub(in crate::plan) numbers: std::ops::Range<usize>,
}

impl Layout {
    /// Of `written` bytes, the words of which vary where `varies` says so for the word's bytes.
    pub(in crate::plan) fn new(
        written: usize,
        varies: impl Fn(std::ops::Range<usize>) -> bool,
    ) -> Self {
        let mut layout = Self { written, numbers: 0..0 };
        let words = 0..layout.first_unwritten();
        let mut varying = words.filter(|&word| varies(LEAD + 8 * word..LEAD + 8 * word + 8));
        if let Some(first) = varying.next() {
            layout.numbers = first..varying.last().unwrap_or(first) + 1;
        }
        layout
    }

    /// The first word that is not written.
    pub(in crate::plan) const fn first_unwritten(&self) -> usize {
        self.written.saturating_sub(LEAD).div_ceil(8)
    }

    /// Bytes of all words that are written.
    pub(super) const fn filled(&self) -> usize {
        LEAD + 8 * self.first_unwritten()
    }

    /// A row with this header.
    pub(super) fn row(&self, header: &[u8]) -> LongRow {
        let mut row = LongRow { lead: [header[0], header[1]], ..LongRow::NONE };
        let bytes = header[LEAD..self.filled()].as_chunks::<8>().0;
        for (number, (word, bytes)) in row.words.iter_mut().zip(bytes).enumerate() {
            *word = if self.numbers.contains(&number) {
                u64::from_be_bytes(*bytes)
            } else {
                u64::from_ne_bytes(*bytes)
            };
        }
        row
    }
}
