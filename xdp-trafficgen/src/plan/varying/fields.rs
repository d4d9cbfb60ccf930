//! The items of varying fields: the sequence of each, and the fields that cannot vary.

use xdp_trafficgen_ebpf::random;

use super::{
    At, Builder, Index, IndexSource, Item, NARROW_BITS, Target,
    reaching::overlap,
    setting,
    values::{MAX_VALUES, too_many_values},
    varies, width,
};
use crate::{
    config::{Advance, Diagnostic, Flow, Located, Pattern, pattern::Count},
    packet::CoveredChecksum,
    plan::sequence::{Sequence, Width},
};

impl Builder<'_> {
    /// Refuses a constant that is written after a varying field and shares bits with it: the
    /// constant would set them in every frame, and the program writes only fields that vary.
    pub(super) fn check_overwritten(&self, at: At) -> Result<(), Diagnostic> {
        let bits = |at: At| {
            let field = &setting(self.flow, at).field;
            let window = self.template.window(at.0, field);
            let end = 8 * window.bytes.end - window.shift as usize;
            end - field.bits as usize..end
        };
        let varying = bits(at);
        let all = self.flow.packet.iter().enumerate();
        let mut later = all
            .flat_map(|(header, layer)| (0..layer.fields.len()).map(move |field| (header, field)));
        match later.find(|&other| {
            other > at
                && !varies(&setting(self.flow, other).pattern.value)
                && overlap(&bits(other), &varying)
        }) {
            Some(other) => Err(Diagnostic::new(
                &setting(self.flow, other).pattern.place,
                format!(
                    "this constant covers bits of `{}`, which varies",
                    setting(self.flow, at).field.name
                ),
            )
            .help("let the field vary in other bits, or write it behind the constant")),
            None => Ok(()),
        }
    }

    /// The place of the destination in a pseudo header must not change from frame to frame (RFC
    /// 8200 section 8.1): an item counts in the same checksums in all frames.
    pub(super) fn check_routing(&self) -> Result<(), Diagnostic> {
        let covers = |item: &Item, byte: &usize| {
            item.window().is_some_and(|window| window.bytes.contains(byte))
        };
        let varies = |byte: usize| self.items.iter().any(|item| covers(item, &byte));
        let moves =
            |checksum: &&CoveredChecksum| checksum.destination_moves(&self.template.bytes, varies);
        let Some(checksum) = self.template.checksums.iter().find(moves) else { return Ok(()) };
        let decides = |item: &&Item| {
            checksum.routing.iter().any(|&at| covers(item, &at) || covers(item, &(at + 1)))
        };
        let Some(item) = self.items.iter().find(decides) else { return Ok(()) };
        let name = item.at.map_or("this", |at| &setting(self.flow, at).field.name);
        let header = self.header_of(checksum);
        Err(Diagnostic::new(
            &item.origin,
            format!(
                "`{name}` varies, and with it which address the checksum of `{header}` covers (RFC 8200 section 8.1)"
            ),
        )
        .help(format!(
            "give `{name}` a single value, in a flow for each if need be, or set the checksum of `{header}`"
        )))
    }

    pub(super) fn add_field(&mut self, at: At, settings: &[At]) -> Result<(), Diagnostic> {
        let flow = self.flow;
        let own = setting(flow, at);
        let root = step_root(flow, at);
        let root_setting = setting(flow, root);
        let window = self.template.window(at.0, &own.field);
        let origin = own.pattern.place.clone();
        let leader =
            root_setting.follow.as_ref().map(|follow| (follow.value.header, follow.value.field));
        let round = leader.map_or(1, |leader| self.rounds(leader));
        // One index is drawn for all followers where one of them counts, draws from another number
        // of random bits, or bounds a checksum.
        let led = |lead: At| {
            settings.iter().any(|&other| {
                step_root(flow, other) == lead
                    && (!draws(&setting(flow, other).pattern.value)
                        || self.width(other) != self.width(lead)
                        || self.bounds_a_checksum(other) && self.width(other) == Width::Narrow)
            })
        };
        let lead =
            (draws(&root_setting.pattern.value) && led(root)).then_some(IndexSource::Field(root));
        if lead.is_some() && root == at {
            let values = own.pattern.value.value_count();
            if values == 0 || values > 1 << NARROW_BITS {
                return Err(Diagnostic::new(
                    &origin,
                    format!("`{}` has too many values to be followed", own.field.name),
                )
                .help("let it be followed by random fields only, or narrow its range"));
            }
            self.items.push(Item {
                sequence: Sequence::Random { base: 0, values, seed: self.seed(root) },
                target: Target::IndexSource,
                lead,
                leader: None,
                at: None,
                origin: origin.clone(),
            });
        }
        let sequence = match (&own.pattern.value, lead) {
            (&Pattern::Random { min, count: None, .. }, Some(_)) => {
                Sequence::Follow { base: min, step: 1 }
            }
            (pattern @ &Pattern::Random { min, count: None, .. }, None) => {
                Sequence::Random { base: min, values: pattern.value_count(), seed: self.seed(root) }
            }
            (&Pattern::Increment(Count { start, step, .. }), Some(_)) => {
                Sequence::Follow { base: start, step }
            }
            (&Pattern::Decrement(Count { start, step, .. }), Some(_)) => {
                Sequence::Follow { base: start, step: step.wrapping_neg() }
            }
            (&Pattern::Increment(Count { start, step, count }), None) => {
                Sequence::Count { start, step, count, down: false, round }
            }
            (&Pattern::Decrement(Count { start, step, count }), None) => {
                Sequence::Count { start, step, count, down: true, round }
            }
            (pattern, lead) => {
                if pattern.value_count() > MAX_VALUES as u128 {
                    return Err(too_many_values(&origin));
                }
                let list = list(pattern, self.seed(at));
                let len = list.len() as u64;
                let first_entry = self.values.intern(list, &origin)?;
                match lead {
                    Some(_) => Sequence::FollowList { first_entry },
                    None => Sequence::List { first_entry, len, round },
                }
            }
        };
        let target = Target::Window { window, bits: own.field.bits };
        self.items.push(Item { sequence, target, lead, leader, at: Some(at), origin });
        Ok(())
    }

    fn width(&self, at: At) -> Width {
        let field = &setting(self.flow, at).field;
        width(field.bits, &self.template.window(at.0, field))
    }

    /// Frames of one round of a field.
    fn rounds(&self, at: At) -> u128 {
        let root = step_root(self.flow, at);
        let before = match &setting(self.flow, root).follow {
            Some(Located { value: follow, .. }) => self.rounds((follow.header, follow.field)),
            None => 1,
        };
        before.saturating_mul(setting(self.flow, at).pattern.value.value_count())
    }

    /// The seed of a field's random values: by default the field's place in the frame, so that no
    /// two fields share one.
    fn seed(&self, at: At) -> u64 {
        let own = setting(self.flow, at);
        let window = self.template.window(at.0, &own.field);
        let place =
            8 * window.bytes.end as u64 - u64::from(window.shift) - u64::from(own.field.bits);
        match &own.pattern.value {
            Pattern::Random { seed, .. } => seed.unwrap_or(place),
            _ => place,
        }
    }
}

/// The field whose index another one's follows in step, however long the chain is.
fn step_root(flow: &Flow, at: At) -> At {
    let mut root = at;
    // The loop ends, since no field follows itself through others.
    while let Some(Located { value: follow, .. }) = &setting(flow, root).follow {
        if follow.advance != Advance::Step {
            break;
        }
        root = (follow.header, follow.field);
    }
    root
}

/// Whether a pattern draws at random without a count: its only position that others can follow is
/// the value itself.
fn draws(pattern: &Pattern) -> bool {
    matches!(pattern, Pattern::Random { count: None, .. })
}

/// The values of a pattern that is kept as a list.
fn list(pattern: &Pattern, seed: u64) -> Vec<u128> {
    match pattern {
        Pattern::Value(value) => vec![*value],
        Pattern::Values(values) => values.iter().map(|value| value.value).collect(),
        Pattern::Increment(count) | Pattern::Decrement(count) => vec![count.start],
        &Pattern::Random { min, max, count, .. } => {
            let values = (max - min).wrapping_add(1);
            (0..count.unwrap_or(1)).map(|index| min + drawn(values, seed, index)).collect()
        }
    }
}

/// Number `index` of the random numbers below `values` (0: 2¹²⁸), as the kernel's program draws
/// them.
fn drawn(values: u128, seed: u64, index: u64) -> u128 {
    let width = if values == 0 || values > 1 << NARROW_BITS { Width::Wide } else { Width::Narrow };
    let (source, span) = Index::source(values, width);
    let state = random::state(index);
    match width {
        Width::Narrow => random::draw(source, seed, state, span.lo).into(),
        Width::Wide => random::draw_wide(source, seed, state, span).get(),
    }
}
