//! Putting a row right: the arithmetic of registers, which both sides share. The kernel's program
//! does it when a run ends, the tests do it for every frame.

use crate::abi::{Effect, NEVER, Register};

/// A row's words and registers, by their numbers.
pub trait RowTables {
    /// A register of the row.
    fn register(&mut self, number: u32) -> Option<&mut Register>;
    /// Adds to a word of the row.
    fn add_to_word(&mut self, word: u32, amount: u64);
    /// Adds to the row's lead as a big-endian number.
    fn add_to_lead(&mut self, amount: u64);
}

/// The effects of a register that starts again.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restart {
    /// Its first entry in the table of effects.
    pub effects: u32,
    /// How many there are.
    pub count: u32,
    /// How often it starts again; 0: not at all.
    pub times: u64,
}

/// Puts a register right that is due in frame `clock` of its row, or that effects have added to. The
/// effects of its restart are the caller's to apply, before the next register's turn.
#[inline(always)]
pub fn put_right(register: &mut Register, clock: u64) -> Restart {
    let limit = register.limit;
    let moves = clock.wrapping_sub(register.at);
    let grown = register.value.wrapping_add(register.delta.wrapping_mul(moves));
    let value = grown.wrapping_add(register.added);
    let times = if limit == u64::MAX {
        // All additions wrap by themselves; growing, at most once.
        let room = (limit - register.value).checked_div(register.delta);
        let has_wrapped = room.is_some_and(|room| moves > room);
        u64::from(has_wrapped) + u64::from(value < grown) + register.carries
    } else {
        times_above(value, limit)
    };
    register.value = value.wrapping_sub(times.wrapping_mul(limit.wrapping_add(1)));
    register.at = clock;
    register.added = 0;
    register.carries = 0;
    let room = limit.wrapping_sub(register.value);
    // A division takes as long as a dozen other instructions, and most things grow by one.
    let moves = if register.delta == 1 { Some(room) } else { room.checked_div(register.delta) };
    register.due = match moves {
        Some(moves) if moves < NEVER - clock => clock + moves + 1,
        _ => NEVER,
    };
    Restart { effects: register.effects, count: register.effect_count, times }
}

/// How often a value is to be set back by `limit` + 1 so as not to be above `limit`.
#[inline(always)]
fn times_above(value: u64, limit: u64) -> u64 {
    if value <= limit {
        0
    } else if value - limit - 1 <= limit {
        1
    } else {
        value.checked_div(limit + 1).unwrap_or(0)
    }
}

/// Applies an effect of a register that starts again so many times.
#[inline(always)]
pub fn apply(effect: Effect, times: u64, tables: &mut impl RowTables) {
    let amount = effect.amount.wrapping_mul(times);
    if effect.target & Effect::REGISTER != 0 {
        if let Some(register) = tables.register(effect.target & !Effect::REGISTER) {
            let added = register.added.wrapping_add(amount);
            register.carries += u64::from(added < amount);
            register.added = added;
            // Its turn comes later in the same pass.
            register.due = 0;
        }
    } else if effect.target & Effect::LEAD != 0 {
        tables.add_to_lead(amount);
    } else {
        tables.add_to_word(effect.target, amount);
    }
}
