//! The order in which a worker's flows take turns.

use aya_ebpf::{macros::map, maps::Array};
use xdp_trafficgen_ebpf::abi::{MAX_TURNS, Schedule, Worker};

use crate::MAPPED;

/// The order of each worker's flows; sized by the loader, as all tables that follow.
#[map]
static SCHEDULES: Array<Schedule> = Array::with_max_entries(1, MAPPED);

/// The turn of the worker's next frame.
#[inline(always)]
pub fn peek_turn(worker: &Worker) -> Option<u32> {
    let schedule = SCHEDULES.get_ptr_mut(worker.spec.index)?;
    // SAFETY: the worker's own entry.
    let schedule = unsafe { &*schedule };
    Some(schedule.turns[schedule.position as usize % MAX_TURNS])
}

/// Moves on by so many turns.
#[inline(always)]
pub fn skip_turns(worker: &Worker, turns: u64) {
    if let Some(schedule) = SCHEDULES.get_ptr_mut(worker.spec.index) {
        // SAFETY: the worker's own entry.
        let schedule = unsafe { &mut *schedule };
        schedule.position = (schedule.position + turns).checked_rem(schedule.len).unwrap_or(0);
    }
}

/// The turn of the worker's next frame; moves on to the one behind it.
#[inline(always)]
pub fn next_turn(worker: &Worker) -> Option<u32> {
    let schedule = SCHEDULES.get_ptr_mut(worker.spec.index)?;
    // SAFETY: the worker's own entry, which user space writes between calls only.
    let schedule = unsafe { &mut *schedule };
    let position = schedule.position;
    let next = position + 1;
    // Zero when all are done, without a branch: short cycles end too often for anybody to foresee.
    let within = next.wrapping_sub(schedule.len).cast_signed() >> 63;
    schedule.position = within.cast_unsigned() & next;
    Some(schedule.turns[position as usize % MAX_TURNS])
}
