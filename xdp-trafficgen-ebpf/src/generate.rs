//! The program that makes frames.
//!
//! What is decided by the configuration is decided by comparing a loaded constant with a number, so
//! that the verifier, which knows the constant, drops the comparison and all branches but one.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::xdp_action::{XDP_DROP, XDP_REDIRECT},
    helpers::{bpf_loop, bpf_xdp_adjust_tail},
    macros::{map, xdp},
    maps::Array,
    programs::XdpContext,
};
use xdp_trafficgen_ebpf::{
    abi::{
        BLOCK_REGISTERS, Effect, Flow, LEAD, MAX_BLOCKS, MAX_EFFECTS, NEVER, ROW_WORDS, Register,
        RegisterBlock, Row, Worker, path, timing::pacing,
    },
    row::{self, Restart, RowTables},
};

use crate::{
    FLOWS, GENERATOR, MAPPED, Rodata, aborted,
    bodies::copy_body,
    counting::{not_sent, note_recent},
    departure,
    egress::{EGRESS_ENTRY, redirected_to},
    packet::Packet,
    picks::{add_draws, add_picks},
    schedule::next_turn,
    this_worker,
};

/// The rows of each worker, one worker's after the other's. A port has rows of one form, and fills
/// one of these tables.
#[map]
static ROWS_SHORT: Array<Row<{ ROW_WORDS[0] }>> = Array::with_max_entries(1, MAPPED);
#[map]
static ROWS_MIDDLE: Array<Row<{ ROW_WORDS[1] }>> = Array::with_max_entries(1, MAPPED);
#[map]
static ROWS_LONG: Array<Row<{ ROW_WORDS[2] }>> = Array::with_max_entries(1, MAPPED);
/// The registers of all rows, so many blocks for each.
#[map]
static REGISTERS: Array<RegisterBlock> = Array::with_max_entries(1, MAPPED);
/// The effects of registers that start again; equal ones are kept once.
#[map]
static EFFECTS: Array<Effect> = Array::with_max_entries(1, MAPPED);

/// Makes one frame out of the page at hand and returns the configured action.
#[xdp]
#[inline(always)]
pub fn generate(ctx: XdpContext) -> u32 {
    let Some(worker) = this_worker() else { return XDP_DROP };
    let turn = match Rodata::load(&GENERATOR.pacing) {
        pacing::NONE => None,
        pacing => match departure::depart(worker) {
            Some(turn) if pacing == pacing::FLOWS => Some(turn),
            Some(_) => None,
            None => return XDP_DROP,
        },
    };
    match Rodata::load(&GENERATOR.path) {
        path::ONE => make::<{ path::ONE }>(&ctx, worker, turn),
        path::FLOWS => make::<{ path::FLOWS }>(&ctx, worker, turn),
        _ => make::<{ path::ANY }>(&ctx, worker, turn),
    }
}

/// Makes a frame on this path. `turn`: the flow, where each has departures of its own.
#[inline(always)]
fn make<const PATH: u32>(ctx: &XdpContext, worker: &mut Worker, turn: Option<u32>) -> u32 {
    let any = PATH == path::ANY;
    let single = PATH == path::ONE || any && Rodata::load(&GENERATOR.flow_count) == 1;
    let number = match turn {
        _ if single => Some(0),
        None => next_turn(worker),
        turn => turn,
    };
    let Some(number) = number else { return aborted(worker) };
    let flow = if single { Some(&raw mut worker.only) } else { flow_of(worker, number) };
    let Some(flow) = flow else { return aborted(worker) };
    // SAFETY: an entry of this worker alone; map memory outlives the program.
    let flow = unsafe { &mut *flow };
    if any && Rodata::load(&GENERATOR.bodies) != 0 && !copy_body(ctx, number) {
        return aborted(worker);
    }
    let row = match Rodata::load(&GENERATOR.row_words) {
        SHORT => write_header::<_, PATH>(ctx, flow, &ROWS_SHORT),
        MIDDLE => write_header::<_, PATH>(ctx, flow, &ROWS_MIDDLE),
        _ if any => write_header::<_, PATH>(ctx, flow, &ROWS_LONG),
        _ => None,
    };
    let size = match row {
        Some((words, size)) if any && Rodata::load(&GENERATOR.draws) != 0 => {
            add_draws(&mut Packet::of(ctx), words).map(|()| size)
        }
        Some((words, size)) if any && Rodata::load(&GENERATOR.picks) != 0 => {
            add_picks(&mut Packet::of(ctx), flow.picks, words, size)
        }
        row => row.map(|(_, size)| size),
    };
    let Some(size) = size else { return aborted(worker) };
    if !single {
        flow.counts.frames += 1;
    }
    if any && Rodata::load(&GENERATOR.sized) != 0 {
        flow.counts.bytes += u64::from(size);
        note_recent(worker, number, size);
        cut(ctx, size);
    } else if !single {
        note_recent(worker, number, 0);
    }
    worker.counts.queued += 1;
    if !any {
        return redirected_to(worker.spec.egress);
    }
    match Rodata::load(&GENERATOR.action) {
        XDP_REDIRECT => redirected_to(worker.spec.egress),
        action if worker.spec.egress == EGRESS_ENTRY => action,
        _ => {
            not_sent(worker);
            XDP_DROP
        }
    }
}

const SHORT: u32 = ROW_WORDS[0] as u32;
const MIDDLE: u32 = ROW_WORDS[1] as u32;

/// Cuts the frame to its size. Measured on a bare redirect of 52 ns: 3.8 ns, most of it the
/// kernel's, which takes over the new bounds and sets the page up anew when it comes back.
#[inline(always)]
fn cut(ctx: &XdpContext, size: u32) {
    // SAFETY: the context the helper wants. It cannot fail: no frame is longer than the one given
    // to the kernel, whose length each page has again.
    unsafe {
        bpf_xdp_adjust_tail(ctx.ctx, size as i32 - Rodata::load(&GENERATOR.frame_len) as i32)
    };
}

/// The worker's entry for the flow with this number.
#[inline(always)]
fn flow_of(worker: &Worker, number: u32) -> Option<*mut Flow> {
    FLOWS.get_ptr_mut(worker.spec.first_flow.wrapping_add(number))
}

/// Writes the header of the flow's next frame. Gives the row's words, and the frame's length where
/// frames have sizes of their own; none when the page is too short, or this CPU has no worker.
#[inline(always)]
fn write_header<const WORDS: usize, const PATH: u32>(
    ctx: &XdpContext,
    flow: &mut Flow,
    rows: &Array<Row<WORDS>>,
) -> Option<(&'static [u64], u32)> {
    let number = flow.rows.next;
    if Rodata::load(&GENERATOR.cycles) != 0 {
        // Without a branch: short cycles end too often for anybody to foresee.
        let beyond = flow.rows.last.wrapping_sub(number + 1).cast_signed() >> 31;
        flow.rows.next = number + 1 - (beyond.cast_unsigned() & flow.rows.count);
    }
    // SAFETY: an entry of this worker alone; map memory outlives the program.
    let row = unsafe { &mut *rows.get_ptr_mut(number)? };
    let end = Rodata::load(&GENERATOR.numbers_end);
    if end != 0 {
        let run = row.run;
        row.run = match run {
            0 => {
                let run = end_run(number, row.clock);
                row.clock = row.clock.wrapping_add(u64::from(run));
                run.wrapping_sub(1)
            }
            run => run - 1,
        };
    }
    let mut packet = Packet::of(ctx);
    let written = Rodata::load(&GENERATOR.written);
    if !packet.holds(u64::from(written)) {
        return None;
    }
    write_row(&mut packet, row, written, end);
    if PATH == path::ANY && Rodata::load(&GENERATOR.picks) != 0 {
        move_unwritten(row);
    }
    Some((&row.words, u32::from(row.size)))
}

/// Writes the row's first bytes, `written` of them, and moves its numbers on: the words up to `end`
/// that vary. One constant decides of all words, so that the program reads it only once.
#[inline(always)]
fn write_row<const WORDS: usize>(
    packet: &mut Packet,
    row: &mut Row<WORDS>,
    written: u32,
    end: u32,
) {
    let first = if end == 0 { 0 } else { Rodata::load(&GENERATOR.first_number) };
    packet.store(0, u16::from_ne_bytes(row.lead));
    macro_rules! words {
        () => {};
        ($word:literal $($rest:literal)*) => {
            if $word < WORDS && written > LEAD as u32 + 8 * $word {
                let bytes = if end > $word && first <= $word {
                    next_number(row, $word).to_be()
                } else {
                    row.words[$word]
                };
                let at = LEAD + 8 * $word;
                match written - at as u32 {
                    2 => packet.store(at, bytes as u16),
                    4 => packet.store(at, bytes as u32),
                    6 => {
                        packet.store(at, bytes as u32);
                        packet.store(at + 4, (bytes >> 32) as u16);
                    }
                    _ => {
                        packet.store(at, bytes);
                        words!($($rest)*);
                    }
                }
            }
        };
    }
    words!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30);
}

/// A number of the row, which is moved on.
#[inline(always)]
fn next_number<const WORDS: usize>(row: &mut Row<WORDS>, word: usize) -> u64 {
    let number = row.words[word];
    row.words[word] = number.wrapping_add(row.deltas[word]);
    number
}

/// Moves on the numbers behind the header's words, which picks start from.
#[inline(always)]
fn move_unwritten<const WORDS: usize>(row: &mut Row<WORDS>) {
    let first = Rodata::load(&GENERATOR.first_unwritten);
    let end = Rodata::load(&GENERATOR.unwritten_end);
    macro_rules! words {
        ($($word:literal)*) => { $(
            if $word < WORDS && first <= $word && end > $word {
                next_number(row, $word);
            }
        )* };
    }
    words!(
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
        32 33 34 35 36 37 38 39 40 41 42 43 44 45 46
    );
}

/// Puts a row's registers right at the end of its run, and gives how many frames the next run has.
/// `clock`: frames of the row so far. A function of its own, since it is seldom called, and long.
#[inline(never)]
fn end_run(row: u32, clock: u64) -> u32 {
    let blocks = Rodata::load(&GENERATOR.register_blocks);
    let mut end = EndOfRun {
        clock,
        next: NEVER,
        row,
        first_block: row.wrapping_mul(blocks),
        block: 0,
        blocks: if blocks < MAX_BLOCKS { blocks } else { MAX_BLOCKS },
        restart: Restart::default(),
    };
    call_loop(MAX_BLOCKS * BLOCK_REGISTERS as u32, next_due, &mut end);
    let run = end.next.wrapping_sub(clock);
    if run < u64::from(u32::MAX) { run as u32 } else { u32::MAX }
}

#[repr(C)]
struct EndOfRun {
    /// The frame of the row that is made.
    clock: u64,
    /// The first frame in which a register is due, of the blocks that are done.
    next: u64,
    row: u32,
    /// The row's first block of registers.
    first_block: u32,
    /// The block at hand, and how many there are.
    block: u32,
    blocks: u32,
    restart: Restart,
}

/// Puts the first register right that is due, and goes on to the next block where it was the last
/// one. As one loop over all due registers, the verifier goes through it once; it takes a return for
/// each of them, up to 8 ns where returns are mitigated.
extern "C" fn next_due(_index: u32, end: *mut EndOfRun) -> i64 {
    // SAFETY: the structure on the caller's stack.
    let end = unsafe { &mut *end };
    let Some(registers) = REGISTERS.get_ptr_mut(end.first_block.wrapping_add(end.block)) else {
        return 1;
    };
    // SAFETY: an entry of this worker alone.
    let registers = unsafe { &mut *registers };
    let due = due_registers(registers, end.clock);
    if due != 0 {
        let register = &mut registers[lowest(due) as usize % BLOCK_REGISTERS];
        end.restart = row::put_right(register, end.clock);
        if end.restart.times != 0 {
            restart(end);
        }
        if due_registers(registers, end.clock) != 0 {
            return 0;
        }
    }
    for register in registers {
        if register.due < end.next {
            end.next = register.due;
        }
    }
    end.block += 1;
    i64::from(end.block >= end.blocks)
}

/// A bit for each register of a block that is due, without a branch: the verifier would go through
/// what follows for each combination.
#[inline(always)]
fn due_registers(registers: &RegisterBlock, clock: u64) -> u64 {
    let mut due = 0;
    for (place, register) in registers.iter().enumerate() {
        // The highest bit of the difference says that the register's frame is not later.
        due |= register.due.wrapping_sub(clock).wrapping_sub(1) >> 63 << place;
    }
    core::hint::black_box(due)
}

/// The place of the lowest bit of eight, of which there is one.
#[inline(always)]
fn lowest(bits: u64) -> u64 {
    let lowest = bits & bits.wrapping_neg();
    let has = |mask: u64| ((lowest & mask) + 0xff) >> 8;
    has(0xaa) | has(0xcc) << 1 | has(0xf0) << 2
}

/// Applies the effects of a register that starts again.
#[inline(always)]
fn restart(end: &mut EndOfRun) {
    let count = if end.restart.count < MAX_EFFECTS { end.restart.count } else { MAX_EFFECTS };
    call_loop(count.div_ceil(TOGETHER), next_effects, end);
}

/// Effects that a call of the loop's function applies.
const TOGETHER: u32 = 6;

extern "C" fn next_effects(index: u32, end: *mut EndOfRun) -> i64 {
    // SAFETY: the structure on the caller's stack.
    let end = unsafe { &mut *end };
    let mut tables = Tables { row: end.row, first_block: end.first_block };
    macro_rules! effects {
        ($($place:literal)*) => { $(
            let number = index * TOGETHER + $place;
            if number < end.restart.count
                && let Some(&effect) = EFFECTS.get(end.restart.effects.wrapping_add(number))
            {
                row::apply(effect, end.restart.times, &mut tables);
            }
        )* };
    }
    effects!(0 1 2 3 4 5);
    0
}

/// `bpf_loop` (Linux 5.17).
#[inline(always)]
fn call_loop(count: u32, step: extern "C" fn(u32, *mut EndOfRun) -> i64, end: &mut EndOfRun) {
    // SAFETY: a function of the form the helper wants, and a context on the stack that outlives it.
    unsafe { bpf_loop(count, step as *mut c_void, (&raw mut *end).cast(), 0) };
}

struct Tables {
    row: u32,
    first_block: u32,
}

impl RowTables for Tables {
    #[inline(always)]
    fn register(&mut self, number: u32) -> Option<&mut Register> {
        let block = REGISTERS.get_ptr_mut(self.first_block.wrapping_add(number / 8))?;
        // SAFETY: an entry of this worker alone.
        unsafe { &mut *block }.get_mut(number as usize % BLOCK_REGISTERS)
    }
    #[inline(always)]
    fn add_to_word(&mut self, word: u32, amount: u64) {
        match Rodata::load(&GENERATOR.row_words) {
            SHORT => add_to_word(&ROWS_SHORT, self.row, word, amount),
            MIDDLE => add_to_word(&ROWS_MIDDLE, self.row, word, amount),
            _ => add_to_word(&ROWS_LONG, self.row, word, amount),
        }
    }
    #[inline(always)]
    fn add_to_lead(&mut self, amount: u64) {
        match Rodata::load(&GENERATOR.row_words) {
            SHORT => add_to_lead(&ROWS_SHORT, self.row, amount),
            MIDDLE => add_to_lead(&ROWS_MIDDLE, self.row, amount),
            _ => add_to_lead(&ROWS_LONG, self.row, amount),
        }
    }
}

#[inline(always)]
fn add_to_word<const WORDS: usize>(rows: &Array<Row<WORDS>>, number: u32, word: u32, amount: u64) {
    if let Some(row) = rows.get_ptr_mut(number)
        // SAFETY: an entry of this worker alone.
        && let Some(word) = unsafe { &mut *row }.words.get_mut(word as usize)
    {
        *word = word.wrapping_add(amount);
    }
}

#[inline(always)]
fn add_to_lead<const WORDS: usize>(rows: &Array<Row<WORDS>>, number: u32, amount: u64) {
    if let Some(row) = rows.get_ptr_mut(number) {
        // SAFETY: an entry of this worker alone.
        let lead = unsafe { &mut (*row).lead };
        *lead = u16::from_be_bytes(*lead).wrapping_add(amount as u16).to_be_bytes();
    }
}
