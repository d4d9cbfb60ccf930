//! What does not grow evenly: random values, entries of lists, and what follows them. Each is added
//! to the header that the row has written, and at last the checksums that they change.

use aya_ebpf::{macros::map, maps::Array};
use xdp_trafficgen_ebpf::{
    abi::{
        ListEntry, MAX_CHECKSUMS, MAX_PICKS, Pick, PickSet, PickedChecksum, Word128, source, target,
    },
    checksum, random,
};

use crate::{GENERATOR, MAPPED, Rodata, packet::Packet};

/// The picks of flows that differ in them.
#[map]
static PICK_SETS: Array<PickSet> = Array::with_max_entries(1, MAPPED);
/// Entries of all lists, one after the other.
#[map]
static LISTS: Array<ListEntry> = Array::with_max_entries(1, MAPPED);
/// The picks of all flows, where they are alike: constants to the verifier.
#[unsafe(no_mangle)]
static PICK_SET: PickSet = PickSet::NONE;

/// What one pick passes on to the next.
struct Chain {
    /// The index.
    index: Word128,
    /// The same modulo 65535, below 2³³.
    counted: u64,
    /// The frame's length.
    size: u32,
    /// What is added to each checksum of the set. On the stack: in map memory, each addition would
    /// wait for the one before.
    sums: [u64; MAX_CHECKSUMS],
    /// Checksums that picks change.
    checksums: u32,
    /// Whether an index or an amount has more than 64 bits.
    wide: bool,
}

/// Adds draws to the frame, which the row has written; `words` are the row's. Each takes a third of the
/// instructions of a pick of any kind: its bytes are where the verifier knows that they are, those of
/// one window are loaded and stored once, and sums stay in registers. None when the page is too short.
#[inline(always)]
pub fn add_draws(packet: &mut Packet, words: &[u64]) -> Option<()> {
    if !packet.holds(u64::from(Rodata::load(&GENERATOR.written))) {
        return None;
    }
    let state = *words.get(Rodata::load(&GENERATOR.first_unwritten) as usize)?;
    let count = Rodata::load(&GENERATOR.picks);
    let (mut amount, mut first, mut second) = (0u64, 0u64, 0u64);
    macro_rules! picks {
        () => {};
        ($index:literal $($rest:literal)*) => {
            if count > $index {
                let pick = &PICK_SET.picks[$index];
                let (seed, span) = (Rodata::load(&pick.seed), Rodata::load(&pick.span.lo));
                let index = match Rodata::load(&pick.source) {
                    source::MASK => random::draw(source::MASK, seed, state, span),
                    _ => random::draw(source::SCALE_32, seed, state, span),
                };
                first += index.wrapping_mul(u64::from(Rodata::load(&pick.sums[0])));
                second += index.wrapping_mul(u64::from(Rodata::load(&pick.sums[1])));
                amount = amount.wrapping_add(index.wrapping_mul(Rodata::load(&pick.unit.lo)));
                if Rodata::load(&pick.continues) == 0 {
                    let amount = core::mem::take(&mut amount);
                    packet.change(Rodata::load(&pick.at), |old: u64| {
                        old.to_be().wrapping_add(amount).to_be()
                    });
                }
                picks!($($rest)*);
            }
        };
    }
    picks!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    let checksums = Rodata::load(&GENERATOR.picked_checksums);
    if checksums > 0 {
        let place = &PICK_SET.checksums[0];
        packet.change(Rodata::load(&place.at), |old| changed(old, first, place));
    }
    if checksums > 1 {
        let place = &PICK_SET.checksums[1];
        packet.change(Rodata::load(&place.at), |old| changed(old, second, place));
    }
    Some(())
}

/// A checksum's two bytes, to which a sum is added.
#[inline(always)]
fn changed(old: u16, sum: u64, place: &PickedChecksum) -> u16 {
    match checksum::fold_64(sum.wrapping_add(u64::from(old.to_be()))) {
        0xffff => (Rodata::load(&place.ones) as u16).to_be(),
        folded => folded.to_be(),
    }
}

/// Adds the picks of a set to the frame, which the row has written; `words` are the row's. Gives the
/// frame's length, `size` with what picks add to it; none when a window lies beyond the frame, or a
/// table has no such entry.
#[inline(always)]
pub fn add_picks(packet: &mut Packet, set: u32, words: &[u64], size: u32) -> Option<u32> {
    let set = match Rodata::load(&GENERATOR.pick_sets) {
        1 => &PICK_SET,
        _ => PICK_SETS.get(set)?,
    };
    let mut chain = Chain {
        index: Word128::default(),
        counted: 0,
        size,
        sums: [0; MAX_CHECKSUMS],
        checksums: Rodata::load(&GENERATOR.picked_checksums),
        wide: Rodata::load(&GENERATOR.wide) != 0,
    };
    let count = Rodata::load(&GENERATOR.picks);
    // Written out and nested, not looped: every index must be a constant for the verifier to drop
    // what is not used.
    macro_rules! picks {
        () => {};
        ($index:literal $($rest:literal)*) => {
            if count > $index {
                add_pick(packet, &set.picks[$index], words, &mut chain)?;
                picks!($($rest)*);
            }
        };
    }
    picks!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    let count = chain.checksums;
    macro_rules! checksums {
        () => {};
        ($index:literal $($rest:literal)*) => {
            if count > $index {
                let place = &set.checksums[$index];
                let at = Rodata::load(&place.at);
                if at != 0 {
                    let sum = Rodata::load(&chain.sums[$index]);
                    packet.update(at, |old| changed(old, sum, place))?;
                }
                checksums!($($rest)*);
            }
        };
    }
    checksums!(0 1 2 3 4 5 6 7);
    Some(chain.size)
}

const _: () = assert!(MAX_PICKS == 16 && MAX_CHECKSUMS == 8, "picks and checksums are written out");

#[inline(always)]
fn add_pick(packet: &mut Packet, pick: &Pick, words: &[u64], chain: &mut Chain) -> Option<()> {
    let state = || words.get(Rodata::load(&pick.word) as usize).copied();
    match Rodata::load(&pick.source) {
        source::SAME => {}
        source::LIST => {
            // The row has moved on already: see `plan`.
            let index = state()?;
            chain.index = Word128 { hi: 0, lo: index };
            chain.counted = index;
        }
        source @ (source::MASK | source::SCALE_32 | source::SCALE) => {
            let span = Rodata::load(&pick.span.lo);
            let index = random::draw(source, Rodata::load(&pick.seed), state()?, span);
            chain.index = Word128 { hi: 0, lo: index };
            chain.counted =
                if source == source::SCALE_32 { index } else { checksum::contribution(index) };
        }
        source if chain.wide => {
            let span = Word128 { hi: Rodata::load(&pick.span.hi), lo: Rodata::load(&pick.span.lo) };
            let seed = Rodata::load(&pick.seed);
            chain.index = random::draw_wide(source, seed, state()?, span);
            let Word128 { hi, lo } = chain.index;
            chain.counted = checksum::contribution(
                checksum::contribution(hi).wrapping_add(checksum::contribution(lo)),
            );
        }
        _ => return None,
    }
    let count = chain.checksums;
    let table = Rodata::load(&pick.table);
    let amount = if table == Pick::LINEAR {
        macro_rules! sums {
            ($($index:literal)*) => { $(
                if count > $index {
                    let factor = Rodata::load(&pick.sums[$index]);
                    if factor != 0 {
                        add(&mut chain.sums[$index], chain.counted.wrapping_mul(u64::from(factor)));
                    }
                }
            )* };
        }
        sums!(0 1 2 3 4 5 6 7);
        if chain.wide {
            let unit = Word128 { hi: Rodata::load(&pick.unit.hi), lo: Rodata::load(&pick.unit.lo) };
            random::multiply_wide(chain.index, unit)
        } else {
            Word128 { hi: 0, lo: chain.index.lo.wrapping_mul(Rodata::load(&pick.unit.lo)) }
        }
    } else {
        let entry = LISTS.get(table.wrapping_add(chain.index.lo as u32))?;
        macro_rules! sums {
            ($($index:literal)*) => { $(
                if count > $index {
                    add(&mut chain.sums[$index], u64::from(entry.sums[$index]));
                }
            )* };
        }
        sums!(0 1 2 3 4 5 6 7);
        entry.amount
    };
    match Rodata::load(&pick.target) {
        target::NOTHING => {}
        target::SIZE => chain.size = chain.size.wrapping_add(amount.lo as u32),
        target::WINDOW => {
            packet.update(Rodata::load(&pick.at), |old: u64| {
                old.to_be().wrapping_add(amount.lo).to_be()
            })?;
        }
        _ if chain.wide => {
            let at = Rodata::load(&pick.at);
            let mut carry = 0;
            packet.update(at.wrapping_add(8), |old: u64| {
                let sum = old.to_be().wrapping_add(amount.lo);
                carry = u64::from(sum < amount.lo);
                sum.to_be()
            })?;
            packet.update(at, |old: u64| {
                old.to_be().wrapping_add(amount.hi).wrapping_add(carry).to_be()
            })?;
        }
        _ => return None,
    }
    Some(())
}

/// Adds in memory: kept in registers, the sums would be moved about at every branch that the
/// verifier removes later.
#[inline(always)]
fn add(sum: &mut u64, amount: u64) {
    // SAFETY: a reference.
    unsafe { core::ptr::write_volatile(sum, core::ptr::read_volatile(sum).wrapping_add(amount)) }
}
