//! What varies in a flow, as drivers: each has an index, and outputs that follow it.

use std::ops::Range;

use xdp_trafficgen_ebpf::abi::{MAX_CHECKSUMS, Word128, source};

use super::{
    Builder, IndexSource, Item, Target,
    reaching::{Reaching, overlap, swapped},
    sums::sums,
    values::{MAX_VALUES, too_many_values},
};
use crate::{
    config::Diagnostic,
    packet::ChecksumMode,
    plan::sequence::{Sequence, Width},
};

/// A checksum's value is known modulo this (RFC 1071).
pub(in crate::plan) const MODULUS: u64 = 65_535;

/// Everything that varies in a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::plan) struct Varying {
    /// The drivers; those whose rounds others count stand before them.
    pub(in crate::plan) drivers: Vec<Driver>,
    /// The checksums that change.
    pub(in crate::plan) checksums: Vec<VaryingChecksum>,
    /// The frame with zeros in all bits that vary.
    pub(in crate::plan) blank: Vec<u8>,
}

/// A checksum that changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan) struct VaryingChecksum {
    /// Where its two bytes are, from the frame's start.
    pub(in crate::plan) offset: usize,
    /// Whether zero is written as 0xffff.
    pub(in crate::plan) zero_is_ones: bool,
    /// Its value modulo 65535 while all outputs are zero.
    pub(in crate::plan) blank: u64,
}

/// Where a driver's index comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan) enum Index {
    /// It counts from 0 to `count` - 1, and stays for `round` frames each time. `leader`: the
    /// driver whose rounds it counts.
    Counted { count: u64, round: u128, leader: Option<usize> },
    /// It is drawn among `values` numbers (0: 2¹²⁸).
    Random { values: u128, seed: u64, width: Width },
}

/// An index and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::plan) struct Driver {
    pub(in crate::plan) index: Index,
    pub(in crate::plan) outputs: Vec<Output>,
}

/// Something that follows an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::plan) struct Output {
    pub(in crate::plan) target: OutputTarget,
    pub(in crate::plan) values: Values,
    /// What a value of 1 adds to each checksum, modulo 65535.
    pub(in crate::plan) sums: [u64; MAX_CHECKSUMS],
}

/// What an output writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan) enum OutputTarget {
    /// Bits of the frame: the first one and the one behind the last.
    Bits { start: usize, end: usize },
    /// The frame's length without FCS.
    Size,
    /// Nothing: it only counts in checksums.
    Nothing,
}

/// An output's value for each index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::plan) enum Values {
    /// `base + index · step`.
    Linear { base: u128, step: Step },
    /// One for each index.
    List(Vec<u128>),
}

/// A step that may be negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan) struct Step {
    pub(in crate::plan) negative: bool,
    pub(in crate::plan) magnitude: u128,
}

impl Step {
    /// From `base` to `base + step` (wrapping), neither of which is out of range.
    const fn from(base: u128, step: u128) -> Self {
        let negative = base.wrapping_add(step) < base;
        Self { negative, magnitude: if negative { step.wrapping_neg() } else { step } }
    }

    /// So many of them.
    pub(in crate::plan) const fn times(self, count: u64) -> Self {
        Self { magnitude: self.magnitude.wrapping_mul(count as u128), ..self }
    }

    /// The same back.
    pub(in crate::plan) const fn back(self) -> Self {
        Self { negative: !self.negative, ..self }
    }

    /// Modulo 2¹²⁸.
    pub(in crate::plan) const fn wrapping(self) -> u128 {
        if self.negative { self.magnitude.wrapping_neg() } else { self.magnitude }
    }

    /// Modulo [`MODULUS`].
    pub(in crate::plan) fn residue(self) -> u64 {
        let residue = residue(self.magnitude);
        if self.negative { (MODULUS - residue) % MODULUS } else { residue }
    }
}

/// A number modulo [`MODULUS`].
#[expect(clippy::cast_possible_truncation, reason = "below 65535")]
pub(in crate::plan) fn residue(number: u128) -> u64 {
    (number % u128::from(MODULUS)) as u64
}

impl Values {
    /// The value for an index.
    pub(in crate::plan) fn at(&self, index: u64) -> u128 {
        match self {
            Self::Linear { base, step } => base.wrapping_add(step.times(index).wrapping()),
            Self::List(values) => usize::try_from(index)
                .ok()
                .and_then(|index| values.get(index))
                .copied()
                .unwrap_or(0),
        }
    }
}

impl Values {
    /// What is added to a frame whatever the index, where it is picked.
    pub(in crate::plan) const fn base(&self) -> Option<u128> {
        match self {
            Self::Linear { base, .. } => Some(*base),
            Self::List(_) => None,
        }
    }
}

impl Output {
    /// Adds a value to the checksums, each modulo 65535.
    pub(in crate::plan) fn count(&self, value: u128, checksums: &mut [u64]) {
        let value = residue(value);
        for (checksum, factor) in checksums.iter_mut().zip(&self.sums) {
            *checksum = (*checksum + value * factor) % MODULUS;
        }
    }

    /// What so many steps add to a checksum, modulo 65535.
    pub(in crate::plan) fn grows(&self, checksum: usize, steps: u64) -> u64 {
        match &self.values {
            Values::Linear { step, .. } => {
                self.sums[checksum] * step.times(steps).residue() % MODULUS
            }
            Values::List(_) => 0,
        }
    }
}

impl VaryingChecksum {
    /// The two bytes, from their value modulo 65535.
    pub(in crate::plan) const fn value(&self, class: u64) -> u16 {
        let value = class % MODULUS;
        if value == 0 && self.zero_is_ones { u16::MAX } else { value as u16 }
    }
}

impl Index {
    /// How a random index is drawn, as the program's [`source`], with its span.
    pub(in crate::plan) fn source(values: u128, width: Width) -> (u32, Word128) {
        // 2¹²⁸ is 0 here.
        let is_mask = values.count_ones() <= 1;
        let span = Word128::new(if is_mask { values.wrapping_sub(1) } else { values });
        let source = match (is_mask, width) {
            (true, Width::Narrow) => source::MASK,
            (true, Width::Wide) => source::WIDE_MASK,
            (false, Width::Wide) => source::WIDE_SCALE,
            (false, Width::Narrow) if values <= u128::from(u32::MAX) => source::SCALE_32,
            (false, Width::Narrow) => source::SCALE,
        };
        (source, span)
    }
}

impl Builder<'_> {
    /// Puts the items together as drivers.
    pub(super) fn finish(self, checksums: &[Reaching]) -> Result<Varying, Diagnostic> {
        let mut blank = self.blank();
        for Reaching { checksum, .. } in checksums {
            blank[checksum.offset..checksum.offset + 2].fill(0);
        }
        let mut drivers: Vec<Driver> = Vec::new();
        // The driver of each item.
        let mut driver_of = vec![None; self.items.len()];
        for index in self.leaders_first() {
            let item = &self.items[index];
            let coefficients = self.coefficients(item, checksums)?;
            let output = |values| Output { target: item.output(), values, sums: coefficients };
            let leader = item.leader.and_then(|at| {
                let led = self.items.iter().position(|other| other.at == Some(at));
                led.and_then(|led| driver_of[led])
            });
            let Some(lead) = item.lead else {
                let (index_of, values) = self.alone(item, leader);
                driver_of[index] = Some(drivers.len());
                drivers.push(Driver { index: index_of, outputs: vec![output(values)] });
                continue;
            };
            let known = self
                .items
                .iter()
                .zip(&driver_of)
                .find_map(|(other, driver)| driver.filter(|_| other.lead == Some(lead)));
            let (lead_index, order) = self.lead(lead);
            let number = known.unwrap_or_else(|| {
                drivers.push(Driver { index: lead_index, outputs: Vec::new() });
                drivers.len() - 1
            });
            driver_of[index] = Some(number);
            let values = match (item.sequence, order) {
                (sequence, Some((first_entry, len))) => Values::List(
                    (0..len)
                        .map(|place| {
                            let index = self.values.entry(first_entry, u128::from(place));
                            self.value_at(&sequence, index)
                        })
                        .collect(),
                ),
                (Sequence::Follow { base, step }, None) => {
                    Values::Linear { base, step: Step::from(base, step) }
                }
                (sequence, None) => {
                    let count = match lead_index {
                        Index::Counted { count, .. } => u128::from(count),
                        Index::Random { values, .. } => values,
                    };
                    if count > MAX_VALUES as u128 {
                        return Err(too_many_values(&item.origin));
                    }
                    Values::List((0..count).map(|index| self.value_at(&sequence, index)).collect())
                }
            };
            drivers[number].outputs.push(output(values));
        }
        let mut blanks: Vec<u64> = Vec::new();
        let mut varying = Vec::new();
        for (number, reaching) in checksums.iter().enumerate() {
            let checksum = &reaching.checksum;
            let base = reaching.base(&blank);
            let mut sum = residue(u128::from(base)) * factor(swapped(checksum));
            for (inner, other) in checksums[..number].iter().enumerate() {
                let bytes = other.checksum.offset..other.checksum.offset + 2;
                if sums(&bytes, checksums, &self.flow.name.place)?.contains(&number) {
                    sum += blanks[inner] * factor(other.checksum.offset % 2 == 1);
                }
            }
            let bad = checksum.mode == ChecksumMode::Bad;
            let complement = MODULUS - sum * factor(swapped(checksum)) % MODULUS;
            let value = (complement + u64::from(bad)) % MODULUS;
            blanks.push(value);
            varying.push(VaryingChecksum {
                offset: checksum.offset,
                // The sum of nothing but zeros is no zero but its other form.
                zero_is_ones: checksum.zero_is_ones || bad || base == 0,
                blank: value,
            });
        }
        Ok(Varying { drivers, checksums: varying, blank })
    }

    /// The index and the values of an item that follows no lead.
    fn alone(&self, item: &Item, leader: Option<usize>) -> (Index, Values) {
        match item.sequence {
            Sequence::Count { start, step, count, down, round } => (
                Index::Counted { count, round, leader },
                Values::Linear { base: start, step: Step { negative: down, magnitude: step } },
            ),
            Sequence::List { first_entry, len, round } => (
                Index::Counted { count: len, round, leader },
                Values::List(
                    (0..len)
                        .map(|index| self.values.entry(first_entry, u128::from(index)))
                        .collect(),
                ),
            ),
            Sequence::Random { base, values, seed } => (
                Index::Random { values, seed, width: item.width() },
                Values::Linear { base, step: Step { negative: false, magnitude: 1 } },
            ),
            // Without a lead there is one index.
            sequence @ (Sequence::Follow { .. } | Sequence::FollowList { .. }) => (
                Index::Counted { count: 1, round: 1, leader: None },
                Values::List(vec![self.value_at(&sequence, 0)]),
            ),
        }
    }

    /// The index of a lead, and where its order is listed, the first entry and the length of the
    /// list.
    fn lead(&self, lead: IndexSource) -> (Index, Option<(u32, u64)>) {
        let single = Index::Counted { count: 1, round: 1, leader: None };
        let is_lead = |item: &&Item| item.target == Target::IndexSource && item.lead == Some(lead);
        let Some(item) = self.items.iter().find(is_lead) else { return (single, None) };
        match item.sequence {
            Sequence::Count { count, round, .. } => {
                (Index::Counted { count, round, leader: None }, None)
            }
            Sequence::List { first_entry, len, round } => {
                (Index::Counted { count: len, round, leader: None }, Some((first_entry, len)))
            }
            Sequence::Random { values, seed, .. } => {
                (Index::Random { values, seed, width: Width::Narrow }, None)
            }
            Sequence::Follow { .. } | Sequence::FollowList { .. } => (single, None),
        }
    }

    /// The items that write something, each behind the ones whose rounds it counts.
    fn leaders_first(&self) -> Vec<usize> {
        let mut order: Vec<usize> = Vec::new();
        let mut left: Vec<usize> = (0..self.items.len())
            .filter(|&index| self.items[index].target != Target::IndexSource)
            .collect();
        while !left.is_empty() {
            let is_ready = |&index: &usize| {
                self.items[index].leader.is_none_or(|leader| {
                    let led = self.items.iter().position(|other| other.at == Some(leader));
                    led.is_none_or(|led| order.contains(&led))
                })
            };
            let (ready, waiting): (Vec<_>, Vec<_>) = left.iter().copied().partition(is_ready);
            if ready.is_empty() {
                // The configuration refuses fields that follow each other in a circle.
                break;
            }
            order.extend(ready);
            left = waiting;
        }
        order
    }

    /// What a value of 1 adds to each checksum.
    fn coefficients(
        &self,
        item: &Item,
        checksums: &[Reaching],
    ) -> Result<[u64; MAX_CHECKSUMS], Diagnostic> {
        let mut direct = [0; MAX_CHECKSUMS];
        match &item.target {
            Target::Window { window, .. } => {
                let unit = residue(1 << window.shift) * factor(window.bytes.end % 2 == 1);
                for number in sums(&window.bytes, checksums, &item.origin)? {
                    direct[number] = unit % MODULUS;
                }
            }
            &Target::Addend(number) => direct[number] = 1,
            Target::IndexSource | Target::Size => {}
        }
        let mut all = [0; MAX_CHECKSUMS];
        for (number, reaching) in checksums.iter().enumerate() {
            let mut sum = direct[number];
            for (inner, other) in checksums[..number].iter().enumerate() {
                let bytes = other.checksum.offset..other.checksum.offset + 2;
                if sums(&bytes, checksums, &self.flow.name.place)?.contains(&number) {
                    sum += all[inner] * factor(other.checksum.offset % 2 == 1);
                }
            }
            all[number] = (MODULUS - sum * factor(swapped(&reaching.checksum)) % MODULUS) % MODULUS;
        }
        Ok(all)
    }

    /// The template with zeros in all bits that vary.
    pub(super) fn blank(&self) -> Vec<u8> {
        let mut blank = self.template.bytes.clone();
        for item in &self.items {
            if let Target::Window { window, bits } = &item.target {
                window.write(&mut blank, *bits, 0);
            }
        }
        blank
    }

    /// Refuses fields that have a bit in common.
    pub(super) fn check_shared_bits(&self) -> Result<(), Diagnostic> {
        let mut fields: Vec<(Range<usize>, &Item)> = Vec::new();
        for item in &self.items {
            let OutputTarget::Bits { start, end } = item.output() else { continue };
            let bits = start..end;
            if fields.iter().any(|(other, _)| overlap(other, &bits)) {
                let first = fields.iter().find(|(other, _)| overlap(other, &bits));
                return Err(Diagnostic::new(
                    first.map_or(&item.origin, |(_, first)| &first.origin),
                    "the same bits vary in two ways: this field's and another's",
                )
                .help("give one of them a single value, or other bits"));
            }
            fields.push((bits, item));
        }
        Ok(())
    }
}

impl Item {
    fn output(&self) -> OutputTarget {
        match &self.target {
            Target::Window { window, bits } => {
                let end = 8 * window.bytes.end - window.shift as usize;
                OutputTarget::Bits { start: end - *bits as usize, end }
            }
            Target::Size => OutputTarget::Size,
            Target::Addend(_) | Target::IndexSource => OutputTarget::Nothing,
        }
    }
}

/// What a byte counts that is not where its checksum takes it to be (RFC 1071 section 2, B).
const fn factor(moved: bool) -> u64 {
    if moved { 256 } else { 1 }
}
