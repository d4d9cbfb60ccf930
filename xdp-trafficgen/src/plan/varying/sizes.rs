//! The items of a frame's size and of the lengths that follow from it.

use xdp_trafficgen_ebpf::{abi::FCS_LEN, random};

use super::{Builder, IndexSource, Item, Target};
use crate::{
    config::{Diagnostic, Origin},
    packet::Window,
    plan::{sequence::Sequence, size_table},
};

impl Builder<'_> {
    /// Adds the lead of the sizes, the size itself, and all lengths that follow it. Returns the
    /// sizes without FCS, by index.
    pub(super) fn add_sizes(&mut self) -> Result<Vec<usize>, Diagnostic> {
        let origin = self.flow.size.place.clone();
        let (sequence, sizes) = size_table::table(&self.flow.size.value);
        let lens: Vec<u128> = sizes.iter().map(|size| u128::from(size - FCS_LEN)).collect();
        let item = |sequence, target| Item {
            sequence,
            target,
            lead: Some(IndexSource::Size),
            leader: None,
            at: None,
            origin: origin.clone(),
        };
        let lead = match sequence {
            size_table::Order::Single => None,
            size_table::Order::Counted => Some(Sequence::Count {
                start: 0,
                step: 1,
                count: lens.len() as u64,
                down: false,
                round: 1,
            }),
            size_table::Order::Random(seed) => {
                // This seed differs from those of all places in a frame.
                let seed = seed.unwrap_or(random::WIDE_SEED);
                Some(Sequence::Random { base: 0, values: lens.len() as u128, seed })
            }
            size_table::Order::Listed(order) => {
                let len = order.len() as u64;
                let first_entry = self.values.intern(order, &origin)?;
                Some(Sequence::List { first_entry, len, round: 1 })
            }
        };
        self.items.extend(lead.map(|lead| item(lead, Target::IndexSource)));
        let sequence = self.indexed(&lens, &origin)?;
        self.items.push(item(sequence, Target::Size));
        for length in if lens.len() > 1 { &self.template.lengths[..] } else { &[] } {
            let values: Vec<u128> =
                lens.iter().map(|len| len - length.counted_from as u128).collect();
            let sequence = self.indexed(&values, &origin)?;
            let window = Window { bytes: length.offset..length.offset + 2, shift: 0 };
            self.items.push(item(sequence, Target::Window { window, bits: 16 }));
        }
        Ok(sizes.iter().map(|size| (size - FCS_LEN) as usize).collect())
    }

    /// The sequence that follows an index through these values.
    pub(super) fn indexed(
        &mut self,
        values: &[u128],
        origin: &Origin,
    ) -> Result<Sequence, Diagnostic> {
        let base = values.first().copied().unwrap_or(0);
        let step = values.get(1).map_or(0, |second| second.wrapping_sub(base));
        let even = (0..)
            .zip(values)
            .all(|(index, &value)| value == base.wrapping_add(step.wrapping_mul(index)));
        if even {
            return Ok(Sequence::Follow { base, step });
        }
        Ok(Sequence::FollowList { first_entry: self.values.intern(values.to_vec(), origin)? })
    }
}
