//! The picks of a flow: what is drawn or looked up in every frame, and what follows it.

use xdp_trafficgen_ebpf::abi::{
    LEAD, ListEntry, MAX_CHECKSUMS, MAX_PICKS, Pick, PickSet, PickedChecksum, Word128, source,
    target,
};

use super::{Form, Layout, Tables, cycle::Role, pieces::pieces, tables::Full};
use crate::plan::{
    sequence::Width,
    varying::{Index, MODULUS, Output, OutputTarget, Values, residue, small},
};

/// Puts the picks of a flow into the table of sets, and gives their entry.
pub(super) fn set(form: &Form, layout: &Layout, tables: &mut Tables) -> Result<u32, Full> {
    let mut set = PickSet::NONE;
    let picked = || {
        let drivers = form.varying.drivers.iter().zip(&form.roles).enumerate();
        drivers.filter(|(_, (_, role))| **role == Role::Picked)
    };
    let outputs = || picked().flat_map(|(_, (driver, _))| &driver.outputs);
    // The checksums that picks change, by their place in the set.
    let checksums: Vec<usize> = (0..form.varying.checksums.len())
        .filter(|&number| outputs().any(|output| output.sums[number] != 0))
        .collect();
    for (place, &number) in set.checksums.iter_mut().zip(&checksums) {
        let checksum = form.varying.checksums[number];
        *place = PickedChecksum {
            at: small(checksum.offset),
            ones: if checksum.zero_is_ones { 0xffff } else { 0 },
        };
    }
    let mut picks = Vec::new();
    for (number, (driver, _)) in picked() {
        let start = match driver.index {
            Index::Random { values, seed, width } => {
                let (source, span) = Index::source(values, width);
                tables.wide |= width == Width::Wide;
                let word = form.state_word(layout).map_or(0, small);
                Pick { source, word, seed, span, ..Pick::NONE }
            }
            Index::Counted { .. } => {
                let word = form.list_word(number, layout).map_or(0, small);
                Pick { source: source::LIST, word, ..Pick::NONE }
            }
        };
        for (place, output) in driver.outputs.iter().enumerate() {
            let begun = if place == 0 { start } else { Pick::NONE };
            picks.push(pick(begun, output, &checksums, layout, tables)?);
        }
    }
    if picks.len() > MAX_PICKS {
        return Err(Full::Picks(picks.len()));
    }
    // Draws of one window stand together. The order of other picks is that of what they follow.
    if picks.iter().all(is_draw) {
        picks.sort_by_key(|pick| pick.at);
        for place in 1..picks.len() {
            picks[place - 1].continues = u32::from(picks[place - 1].at == picks[place].at);
        }
    }
    tables.picks = tables.picks.max(picks.len());
    tables.checksums = tables.checksums.max(checksums.len());
    for (place, pick) in set.picks.iter_mut().zip(picks) {
        *place = pick;
    }
    Ok(tables.picks(set))
}

/// Whether all of a set's picks are drawn for a window each, from few indices.
pub(in crate::plan) fn are_draws(set: &PickSet, count: usize, checksums: usize) -> bool {
    checksums <= 2 && set.picks.iter().take(count).all(is_draw)
}

fn is_draw(pick: &Pick) -> bool {
    let few = pick.span.hi == 0 && pick.span.lo <= u64::from(u32::MAX);
    pick.target == target::WINDOW
        && pick.table == Pick::LINEAR
        && matches!(pick.source, source::MASK | source::SCALE_32)
        && few
}

fn pick(
    begun: Pick,
    output: &Output,
    checksums: &[usize],
    layout: &Layout,
    tables: &mut Tables,
) -> Result<Pick, Full> {
    let (target, at, shift) = match output.target {
        OutputTarget::Nothing => (target::NOTHING, 0, 0),
        OutputTarget::Size => (target::SIZE, 0, 0),
        OutputTarget::Bits { start, end } => {
            let window = window(start, end, layout.written);
            tables.wide |= window.len == 16;
            let target = if window.len == 16 { target::WIDE_WINDOW } else { target::WINDOW };
            (target, small(window.at), 8 * (window.at + window.len) - end)
        }
    };
    let sums = |value: u64| {
        let mut sums = [0; MAX_CHECKSUMS];
        for (sum, &number) in sums.iter_mut().zip(checksums) {
            *sum = u16::try_from(output.sums[number] * value % MODULUS).unwrap_or(u16::MAX);
        }
        sums
    };
    let amount = |value: u128| Word128::new(value.wrapping_shl(small(shift)));
    let pick = Pick { target, at, ..begun };
    match &output.values {
        Values::Linear { step, .. } => {
            Ok(Pick { unit: amount(step.wrapping()), sums: sums(step.residue()), ..pick })
        }
        Values::List(values) => {
            let entries = values
                .iter()
                .map(|&value| ListEntry { amount: amount(value), sums: sums(residue(value)) });
            let table = tables.list(entries.collect())?;
            Ok(Pick { table, ..pick })
        }
    }
}

/// Bytes of a frame that are loaded and stored at once.
struct Window {
    at: usize,
    len: usize,
}

/// A window that holds the bits: the word that has them, since its bytes have just been written at
/// once, or any other.
fn window(start: usize, end: usize, written: usize) -> Window {
    if let [piece] = &pieces(start, end)[..]
        && let Some(word) = piece.word
        && LEAD + 8 * word + 8 <= written
    {
        return Window { at: LEAD + 8 * word, len: 8 };
    }
    let bytes = start / 8..end.div_ceil(8);
    let len = if bytes.len() <= 8 { 8 } else { 16 };
    Window { at: bytes.start.min(written.saturating_sub(len)), len }
}
