//! The reach of each checksum in each frame. Where it varies with lengths or the frame's size, the
//! bytes that are covered in some frames only and the length in the pseudo header are worked out
//! beforehand for every value: a list that follows the varying field.

use std::ops::{Range, RangeInclusive};

use super::{
    At, Builder, IndexSource, Item, Sequence, Target,
    reaching::{Clock, Cover, Reaches, Reaching, overlap},
    setting,
    values::MAX_VALUES,
};
use crate::{
    config::{Diagnostic, Origin},
    packet::{Bound, CoveredChecksum},
};

impl Builder<'_> {
    /// Whether this field bounds a checksum, whose reach then has to follow the field.
    pub(super) fn bounds_a_checksum(&self, at: At) -> bool {
        let window = self.template.window(at.0, &setting(self.flow, at).field);
        let mut bounds = self.template.checksums.iter().flat_map(|checksum| &checksum.bounds);
        bounds.any(|bound| overlap(&bound.bytes, &window.bytes))
    }

    /// The reach of a checksum in each frame. `lens` are the frames' lengths by the sizes' index;
    /// there are several where the size varies.
    pub(super) fn reaching(
        &self,
        checksum: &CoveredChecksum,
        lens: &[usize],
    ) -> Result<Reaching, Diagnostic> {
        let (sized, fields) = self.deciding(&checksum.bounds);
        let mut clocks: Vec<(Clock, &Item)> = Vec::new();
        for &item in &fields {
            let clock = self.clock(item, checksum)?;
            if !clocks.iter().any(|(known, _)| *known == clock) {
                clocks.push((clock, item));
            }
        }
        if clocks.len() > 1
            && let Some(inner) = self.without_idle_bounds(checksum)
        {
            return self.reaching(&inner, lens);
        }
        if let [_, (_, other), ..] = &clocks[..] {
            return Err(self.too_much_varies(checksum, clocks[0].1, &self.name(other)));
        }
        let mut frame = self.template.bytes.clone();
        // The reaches in the frame of the length number `size`, for every value of the fields.
        let mut reaches_in = |size: usize, count: usize| -> Reaches {
            self.write(&sized, size, &mut frame);
            let len = lens.get(size).copied().unwrap_or(frame.len());
            let mut reach = |index| {
                self.write(&fields, index, &mut frame);
                checksum.reach(&frame[..len])
            };
            Reaches { first: reach(0), rest: (1..count).map(reach).collect() }
        };
        let Some((clock, item)) = clocks.pop() else {
            let mut reach = |size| reaches_in(size, 1).first;
            let reaches = Reaches { first: reach(0), rest: (1..lens.len()).map(reach).collect() };
            return Ok(Reaching::new(checksum, reaches, Clock::IndexSource(IndexSource::Size)));
        };
        let count = self.count(&clock);
        let count = usize::try_from(count).ok().filter(|&count| count <= MAX_VALUES);
        let count = count.ok_or_else(|| self.too_many_values_to_follow(item, checksum))?;
        let by_len = |size: &usize| lens.get(*size).copied();
        let shortest = (0..lens.len()).min_by_key(by_len).unwrap_or(0);
        let longest = (0..lens.len()).max_by_key(by_len).unwrap_or(0);
        let reaches = reaches_in(longest, count);
        // Where the shortest and the longest frame have the same reaches, so has any size between.
        if reaches_in(shortest, count) != reaches {
            return Err(self.too_much_varies(checksum, item, "the size"));
        }
        Ok(Reaching::new(checksum, reaches, clock))
    }

    /// The items that decide the bounds: those that follow the size, and others.
    fn deciding(&self, bounds: &[Bound]) -> (Vec<&Item>, Vec<&Item>) {
        let covers = |item: &Item, bytes: &Range<usize>| {
            item.window().is_some_and(|window| overlap(&window.bytes, bytes))
        };
        let decides = |item: &&Item| bounds.iter().any(|bound| covers(item, &bound.bytes));
        self.items.iter().filter(decides).partition(|item| item.lead == Some(IndexSource::Size))
    }

    /// The checksum with its innermost bound alone, where that always ends first.
    fn without_idle_bounds(&self, checksum: &CoveredChecksum) -> Option<CoveredChecksum> {
        let (inner, outer) = checksum.bounds.split_last()?;
        let ends = |bound: &Bound| -> Option<RangeInclusive<usize>> {
            let (sized, fields) = self.deciding(std::slice::from_ref(bound));
            let clocks = fields
                .iter()
                .map(|item| self.clock(item, checksum).ok())
                .collect::<Option<Vec<_>>>()?;
            let clock = clocks.first();
            if !sized.is_empty() || clocks.iter().any(|other| Some(other) != clock) {
                return None;
            }
            let count = clock.map_or(1, |clock| self.count(clock));
            let count = usize::try_from(count).ok().filter(|&count| count <= MAX_VALUES)?;
            let mut frame = self.template.bytes.clone();
            let end = |index| {
                self.write(&fields, index, &mut frame);
                bound.end(&frame)
            };
            let ends: Vec<usize> = (0..count).map(end).collect();
            Some(*ends.iter().min()?..=*ends.iter().max()?)
        };
        let own = ends(inner)?;
        let is_idle = |bound: &Bound| ends(bound).is_some_and(|ends| ends.start() >= own.end());
        let idle =
            !outer.is_empty() && *own.start() >= checksum.offset + 2 && outer.iter().all(is_idle);
        idle.then(|| CoveredChecksum { bounds: vec![inner.clone()], ..checksum.clone() })
    }

    /// Writes the value with this index of each item.
    fn write(&self, items: &[&Item], index: usize, frame: &mut [u8]) {
        for item in items {
            if let Target::Window { window, bits } = &item.target {
                window.write(frame, *bits, self.value_at(&item.sequence, index as u128));
            }
        }
    }

    pub(super) fn value_at(&self, sequence: &Sequence, index: u128) -> u128 {
        match *sequence {
            Sequence::Count { start, step, down: false, .. } => {
                start.wrapping_add(step.wrapping_mul(index))
            }
            Sequence::Count { start, step, down: true, .. } => {
                start.wrapping_sub(step.wrapping_mul(index))
            }
            Sequence::Follow { base, step } => base.wrapping_add(step.wrapping_mul(index)),
            Sequence::List { first_entry, .. } | Sequence::FollowList { first_entry } => {
                self.values.entry(first_entry, index)
            }
            // A random sequence has no clock, so no checksum follows it.
            Sequence::Random { base, .. } => base,
        }
    }

    fn clock(&self, item: &Item, checksum: &CoveredChecksum) -> Result<Clock, Diagnostic> {
        match (item.lead, item.sequence) {
            (Some(lead), _) => Ok(Clock::IndexSource(lead)),
            (
                None,
                Sequence::Count { count, round, .. } | Sequence::List { len: count, round, .. },
            ) => Ok(Clock::Counted { leader: item.leader, round, count }),
            (
                None,
                Sequence::Random { .. } | Sequence::Follow { .. } | Sequence::FollowList { .. },
            ) => Err(self.too_many_values_to_follow(item, checksum)),
        }
    }

    /// The number of a clock's indices.
    fn count(&self, clock: &Clock) -> u128 {
        match clock {
            Clock::Counted { count, .. } => u128::from(*count),
            Clock::IndexSource(lead) => {
                let is_lead =
                    |item: &&Item| item.target == Target::IndexSource && item.lead == Some(*lead);
                self.items.iter().find(is_lead).map_or(1, |item| match item.sequence {
                    Sequence::Random { values, .. } => values,
                    Sequence::Count { count, .. } | Sequence::List { len: count, .. } => {
                        count.into()
                    }
                    Sequence::Follow { .. } | Sequence::FollowList { .. } => 1,
                })
            }
        }
    }

    /// The addends of each reach, as items that follow the reach's clock.
    pub(super) fn add_addends(&mut self, checksums: &[Reaching]) -> Result<(), Diagnostic> {
        if !checksums.iter().any(Reaching::varies) {
            return Ok(());
        }
        let blank = self.blank();
        for (position, checksum) in checksums.iter().enumerate() {
            let Some(clock) = &checksum.clock else { continue };
            let origin = self.origin_of(checksum);
            let addends = checksum.addends(&blank);
            let (sequence, lead, leader) = match *clock {
                Clock::IndexSource(lead) => (self.indexed(&addends, &origin)?, Some(lead), None),
                Clock::Counted { leader, round, count } => {
                    let first_entry = self.values.intern(addends, &origin)?;
                    (Sequence::List { first_entry, len: count, round }, None, leader)
                }
            };
            if sequence == (Sequence::Follow { base: 0, step: 0 }) {
                continue;
            }
            self.items.push(Item {
                sequence,
                target: Target::Addend(position),
                lead,
                leader,
                at: None,
                origin,
            });
        }
        Ok(())
    }

    /// The origin of the field that a reach follows.
    fn origin_of(&self, checksum: &Reaching) -> Origin {
        let (_, fields) = self.deciding(&checksum.checksum.bounds);
        fields.first().map_or(&self.flow.size.place, |item| &item.origin).clone()
    }

    /// The header that a checksum is in.
    pub(super) fn header_of(&self, checksum: &CoveredChecksum) -> &'static str {
        let headers = self.template.offsets.partition_point(|&offset| offset <= checksum.offset);
        self.flow.packet[headers.saturating_sub(1)].kind.value.name()
    }

    /// The field that an item stands for, with its header.
    fn name(&self, item: &Item) -> String {
        let name = |at: At| {
            format!(
                "`{}.{}`",
                self.flow.packet[at.0].kind.value.name(),
                setting(self.flow, at).field.name
            )
        };
        item.at.map_or_else(|| "this".to_owned(), name)
    }

    fn too_many_values_to_follow(&self, item: &Item, checksum: &CoveredChecksum) -> Diagnostic {
        let (name, header) = (self.name(item), self.header_of(checksum));
        Diagnostic::new(
            &item.origin,
            format!("{name} has too many values to be followed by the checksum of `{header}`, which it bounds"),
        )
        .help(format!("narrow its range, or set the checksum of `{header}`"))
    }

    fn too_much_varies(&self, checksum: &CoveredChecksum, item: &Item, other: &str) -> Diagnostic {
        let (name, header) = (self.name(item), self.header_of(checksum));
        Diagnostic::new(
            &item.origin,
            format!("{name} and {other} vary apart, and both say what the checksum of `{header}` covers"),
        )
        .help(format!(
            "give one of them a single value, let them have as many values as each other, or set the checksum of `{header}`"
        ))
    }

    /// The error of a field in bytes that a checksum covers in part, or in some frames only.
    pub(super) fn covered_in_part(
        &self,
        origin: &Origin,
        checksum: &Reaching,
        cover: Cover,
    ) -> Diagnostic {
        let header = self.header_of(&checksum.checksum);
        match cover {
            Cover::AtTimes => Diagnostic::new(
                origin,
                format!(
                    "this varies in bytes that the checksum of `{header}` covers in some frames only, as lengths say"
                ),
            )
            .help(format!("give it or the length a single value, or set the checksum of `{header}`")),
            Cover::Always | Cover::Never | Cover::InPart => Diagnostic::new(
                origin,
                format!("these bits lie on the border of what the checksum of `{header}` covers"),
            )
            .help("vary the bits on either side of it on their own"),
        }
    }
}
