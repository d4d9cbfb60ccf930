//! A checksum with all of its reaches, and how it covers bytes that vary.

use std::{iter, ops::Range};

use xdp_trafficgen_ebpf::checksum;

use super::{At, IndexSource};
use crate::packet::{CoveredChecksum, Reach};

/// A checksum of the flow's frames with all of its reaches.
#[derive(Debug)]
pub(super) struct Reaching {
    pub(super) checksum: CoveredChecksum,
    /// The reaches by the index of `clock`; a single one where it is the same in all frames.
    reaches: Reaches,
    pub(super) clock: Option<Clock>,
}

/// Reaches by an index; there is at least one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reaches {
    pub(super) first: Reach,
    pub(super) rest: Vec<Reach>,
}

impl Reaches {
    fn ends(&self) -> impl Iterator<Item = usize> {
        self.rest.iter().map(|reach| reach.end)
    }
}

/// What a reach follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    /// The index of a lead.
    IndexSource(IndexSource),
    /// A field that counts on its own.
    Counted { leader: Option<At>, round: u128, count: u64 },
}

impl Reaching {
    /// A clock without effect on the reach is dropped.
    pub(super) fn new(checksum: &CoveredChecksum, mut reaches: Reaches, clock: Clock) -> Self {
        let varies = reaches.rest.iter().any(|reach| *reach != reaches.first);
        if !varies {
            reaches.rest.clear();
        }
        Self { checksum: checksum.clone(), reaches, clock: varies.then_some(clock) }
    }

    /// Bytes from here on are covered in some frames only.
    pub(super) fn floor(&self) -> usize {
        self.reaches.ends().fold(self.reaches.first.end, usize::min)
    }

    /// Bytes from here on are covered in no frame.
    fn ceiling(&self) -> usize {
        self.reaches.ends().fold(self.reaches.first.end, usize::max)
    }

    pub(super) fn varies(&self) -> bool {
        self.clock.is_some()
    }

    /// How the checksum covers these bytes, which vary.
    pub(super) fn cover(&self, bytes: &Range<usize>) -> Cover {
        if covering(self, bytes).is_some() {
            return Cover::Always;
        }
        let Self { checksum, .. } = self;
        let meets = |range: &Range<usize>| overlap(range, bytes);
        if !checksum.addresses.iter().any(meets) && !meets(&(checksum.start..self.ceiling())) {
            Cover::Never
        } else if self.varies() && bytes.start >= checksum.start {
            Cover::AtTimes
        } else {
            Cover::InPart
        }
    }

    /// The sum of the constant bytes that the checksum covers in every frame.
    pub(super) fn base(&self, blank: &[u8]) -> u64 {
        let sum = self.checksum.sum_to(blank, self.floor());
        // Where the reach varies, so does the length in the pseudo header.
        sum + if self.varies() { 0 } else { self.checksum.pseudo_length(self.reaches.first) }
    }

    /// What each reach adds to the base: the bytes that are not always covered, and the pseudo
    /// header's length.
    pub(super) fn addends(&self, blank: &[u8]) -> Vec<u128> {
        let (floor, ceiling) = (self.floor(), self.ceiling());
        // The sums of the first bytes after the floor, each counted by its place in the frame.
        let mut sums = vec![0u64];
        let mut total = 0;
        for (place, &byte) in (floor..).zip(&blank[floor..ceiling]) {
            total += if place.is_multiple_of(2) { u64::from(byte) << 8 } else { u64::from(byte) };
            sums.push(total);
        }
        let addend = |&reach: &Reach| {
            let length = checksum::fold(self.checksum.pseudo_length(reach));
            let length = if swapped(&self.checksum) { length.swap_bytes() } else { length };
            u128::from(sums[reach.end - floor] + u64::from(length))
        };
        iter::once(&self.reaches.first).chain(&self.reaches.rest).map(addend).collect()
    }
}

/// How a checksum covers bytes that vary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cover {
    Always,
    Never,
    /// In some frames only, as their lengths say.
    AtTimes,
    /// Some of the bytes.
    InPart,
}

/// Whether what a checksum covers starts on an odd byte of the frame. Sums count bytes by their
/// place in the frame; such a checksum's come out with their bytes swapped (RFC 1071 section 2, B).
pub(super) const fn swapped(checksum: &CoveredChecksum) -> bool {
    checksum.start % 2 == 1
}

/// The range that `checksum` covers in every frame and that holds these bytes, if there is one.
pub(super) fn covering(checksum: &Reaching, bytes: &Range<usize>) -> Option<Range<usize>> {
    let always = checksum.checksum.start..checksum.floor();
    let mut ranges = checksum.checksum.addresses.iter().cloned().chain([always]);
    ranges.find(|range| range.start <= bytes.start && bytes.end <= range.end)
}

pub(super) fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}
