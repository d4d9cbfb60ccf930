//! The order of slots, and the slots that share bytes.

use std::ops::Range;

use super::{Builder, IndexSource, Item, Target, reaching::overlap, small};
use crate::{config::Diagnostic, plan::sequence::Width};

/// The order of slots while it is worked out.
struct Order<'a> {
    /// Items that stand together, because they share bytes.
    units: &'a [Vec<usize>],
    /// Items in the order of their slots.
    slots: Vec<usize>,
    /// First items of units whose leaders are being placed.
    waiting: Vec<usize>,
}

impl Builder<'_> {
    /// Fields that share a byte are stored together, all in the window that spans them.
    pub(super) fn join_shared_bytes(&mut self) -> Result<(), Diagnostic> {
        let mut windows: Vec<usize> =
            (0..self.items.len()).filter(|&index| self.items[index].window().is_some()).collect();
        let bytes = |items: &[Item], index: usize| {
            items[index].window().map_or(0..0, |window| window.bytes.clone())
        };
        windows
            .sort_by_key(|&index| (bytes(&self.items, index).start, bytes(&self.items, index).end));
        let mut first = 0;
        for next in 1..=windows.len() {
            let group = &windows[first..next];
            let end = group.iter().map(|&index| bytes(&self.items, index).end).max().unwrap_or(0);
            if next < windows.len() && bytes(&self.items, windows[next]).start < end {
                continue;
            }
            if group.len() > 1 {
                let span = bytes(&self.items, group[0]).start..end;
                let origin = &self.items[group[0]].origin;
                if span.len() > 8
                    || group.iter().any(|&index| self.items[index].width() == Width::Wide)
                {
                    return Err(Diagnostic::new(
                        origin,
                        "this field shares bytes with another varying field, and both together are too wide",
                    )
                    .help("give one of them a single value"));
                }
                if self.overlaps(group) {
                    return Err(Diagnostic::new(
                        origin,
                        "the same bits vary in two ways: this field's and another's",
                    )
                    .help("give one of them a single value, or other bits"));
                }
                for &index in group {
                    self.joined.insert(index);
                    if let Target::Window { window, .. } = &mut self.items[index].target {
                        window.shift += small((span.end - window.bytes.end) * 8);
                        window.bytes = span.clone();
                    }
                }
            }
            first = next;
        }
        Ok(())
    }

    /// Whether two of these fields have a bit in common.
    fn overlaps(&self, group: &[usize]) -> bool {
        let ranges = group.iter().filter_map(|&index| match &self.items[index].target {
            Target::Window { window, bits } => {
                let end = 8 * window.bytes.end - window.shift as usize;
                Some(end - *bits as usize..end)
            }
            _ => None,
        });
        let mut ranges: Vec<Range<usize>> = ranges.collect();
        ranges.sort_by_key(|range| range.start);
        ranges.windows(2).any(|pair| overlap(&pair[0], &pair[1]))
    }

    /// The items in the program's order: leaders before their followers, a lead right before its
    /// followers, fields that share bytes one after the other, wide fields as early as that allows.
    pub(super) fn order(&self) -> Result<Vec<usize>, Diagnostic> {
        let mut units: Vec<Vec<usize>> = Vec::new();
        for (index, item) in self.items.iter().enumerate() {
            if item.target == Target::IndexSource {
                continue;
            }
            let shared = self
                .joined
                .contains(&index)
                .then(|| item.window().map(|window| window.bytes.clone()))
                .flatten();
            let same = shared.and_then(|bytes| {
                units.iter_mut().find(|unit| {
                    self.joined.contains(&unit[0])
                        && self.items[unit[0]].window().is_some_and(|window| window.bytes == bytes)
                })
            });
            match same {
                Some(unit) => unit.push(index),
                None => units.push(vec![index]),
            }
        }
        for unit in &units {
            let mut leads = unit.iter().filter_map(|&index| self.items[index].lead);
            if let Some(first) = leads.next()
                && let Some(other) = leads.find(|lead| *lead != first)
            {
                let second = unit.iter().find(|&&index| self.items[index].lead == Some(other));
                let origin =
                    second.map_or(&self.flow.name.place, |&index| &self.items[index].origin);
                return Err(Diagnostic::new(
                    origin,
                    "this field shares bytes with one that follows another random field",
                )
                .help("let both follow the same one"));
            }
        }
        // Wide units come first, then those without a lead, so that each lead's followers stand
        // together after it.
        let lead_of = |unit: &[usize]| unit.iter().find_map(|&index| self.items[index].lead);
        let wide =
            |unit: &[usize]| unit.iter().any(|&index| self.items[index].width() == Width::Wide);
        let mut leads: Vec<Option<IndexSource>> = vec![None];
        for unit in &units {
            if !leads.contains(&lead_of(unit)) {
                leads.push(lead_of(unit));
            }
        }
        let mut order = Order { units: &units, slots: Vec::new(), waiting: Vec::new() };
        for wanted in [true, false] {
            for lead in &leads {
                for unit in
                    units.iter().filter(|unit| lead_of(unit) == *lead && wide(unit) == wanted)
                {
                    self.place(unit, &mut order)?;
                }
            }
        }
        Ok(order.slots)
    }

    /// Appends a unit, and before it the units that it follows.
    fn place(&self, unit: &[usize], order: &mut Order<'_>) -> Result<(), Diagnostic> {
        if order.slots.contains(&unit[0]) {
            return Ok(());
        }
        if order.waiting.contains(&unit[0]) {
            return Err(Diagnostic::new(
                &self.items[unit[0]].origin,
                "this field shares bytes with another one, and both wait for rounds of fields that wait for them",
            )
            .help("let one of them vary by itself"));
        }
        order.waiting.push(unit[0]);
        for &index in unit {
            if let Some(leader) = self.items[index].leader
                && let Some(unit) = order.units.iter().find(|other| {
                    other[0] != unit[0]
                        && other.iter().any(|&other| self.items[other].at == Some(leader))
                })
            {
                self.place(unit, order)?;
            }
        }
        if let Some(lead) = unit.iter().find_map(|&index| self.items[index].lead) {
            let is_lead = |index: usize| self.items[index].target == Target::IndexSource;
            let own = (0..self.items.len())
                .find(|&index| is_lead(index) && self.items[index].lead == Some(lead));
            let last = order.slots.iter().rev().copied().find(|&index| is_lead(index));
            // A lead is repeated when another lead came between: it gives the same index twice.
            order.slots.extend(own.filter(|own| last != Some(*own)));
        }
        let mut unit = unit.to_vec();
        // Leaders come first within a unit, too: their rounds are shorter.
        unit.sort_by_key(|&index| self.items[index].sequence.round());
        order.slots.extend(unit);
        Ok(())
    }
}
