//! The eBPF programs: maps and thin entry points; what can be tested on the host lives in the library.
//!
//! `generate` makes frames, `on_devmap_xmit` and `on_redirect_err` learn what became of them, for all ports, and call the
//! port's `lost` and `not_redirected` where something went wrong, `sink` counts frames on a receiving interface, `arrivals`
//! writes down when they come, `pass` lets everything pass (for drivers that want a program), `floor` only redirects (the
//! bench's yardstick).
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![expect(unsafe_code, reason = "packet memory, map memory and trace point arguments are raw pointers")]
#![expect(clippy::cast_possible_truncation, reason = "the kernel's wide return values hold small numbers")]
#![expect(missing_docs, unreachable_pub, reason = "the program macros make undocumented public items of entry points")]

mod arrivals;
mod counting;
mod departure;
mod listening;
mod packet;
mod pass;

use aya_ebpf::{
    bindings::{
        BPF_F_MMAPABLE,
        xdp_action::{XDP_DROP, XDP_REDIRECT},
    },
    helpers::{bpf_redirect_map, bpf_xdp_adjust_tail, bpf_xdp_store_bytes},
    macros::{map, xdp},
    maps::{Array, DevMap, PerCpuArray, ProgramArray},
    programs::XdpContext,
};
use xdp_trafficgen_ebpf::{
    abi::{
        BODY_LEN, Body, FCS_LEN, Flow, Generator, Group, HeaderState, LINE_LEN, Line, MAX_GROUPS, MAX_TURNS,
        ROW_TABLE_LINES, Schedule, Sink, TURN_FLOW_BITS, Word128, Worker, make, path, timing::pacing,
    },
    field::{Load, Values},
    frame,
};

use self::{
    counting::{ENODEV, not_sent, note_recent, refused},
    packet::{Packet, copy, copy_line},
};

// Filled by the loader (`EbpfLoader::override_global`), constants to the verifier.
#[unsafe(no_mangle)]
static GENERATOR: Generator = Generator {
    action: XDP_DROP,
    flow_count: 1,
    group_count: 1,
    frame_len: 0,
    stride: 1,
    pacing: pacing::NONE,
    kinds: 0,
    late: 0,
    give_up: u64::MAX,
};
#[unsafe(no_mangle)]
static GROUP: Group = Group::NONE;
/// The headers of all frames of flows whose sequence is short enough to have them all.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".rodata.rows")]
static ROWS: [Line; ROW_TABLE_LINES] = [[0; LINE_LEN / 8]; ROW_TABLE_LINES];
/// The length, without FCS, of the frame whose row starts at the same line of the row table.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".rodata.sizes")]
static ROW_SIZES: [u32; ROW_TABLE_LINES] = [0; ROW_TABLE_LINES];
#[unsafe(no_mangle)]
static SINK_ACTION: u32 = XDP_DROP;

/// Of arrays that user space maps into its memory. A program's look-up is the same as in any other: the kernel keeps the entries
/// in pages of their own, at the same distance from the map.
const MAPPED: u32 = BPF_F_MMAPABLE;

/// Which of the ports that are listened for together this is: its entry in [`WORKERS`].
#[unsafe(no_mangle)]
static PLACE: u32 = 0;

/// What each worker keeps: an entry for each port, for each CPU, so nothing is shared and nothing is atomic.
#[map]
static WORKERS: PerCpuArray<Worker> = PerCpuArray::with_max_entries(1, 0);
/// The order of each worker's flows; sized by the loader, as all tables that follow.
#[map]
static SCHEDULES: Array<Schedule> = Array::with_max_entries(1, MAPPED);
/// The flows of each worker, one worker's after the other's. Not used for a port's single flow.
#[map]
static FLOWS: Array<Flow> = Array::with_max_entries(1, MAPPED);
/// The same for flows that are worked out, and only for those.
#[map]
static HEADER_STATES: Array<HeaderState> = Array::with_max_entries(1, MAPPED);
/// Entries of `values` patterns, all lists one after the other.
#[map]
static VALUES: Array<Word128> = Array::with_max_entries(1, MAPPED);
/// Which of the bodies is each flow's.
#[map]
static FLOW_BODIES: Array<Body> = Array::with_max_entries(1, MAPPED);
/// What follows the written lines of a frame, where flows differ in it.
#[map]
static BODIES: Array<[u8; BODY_LEN]> = Array::with_max_entries(1, MAPPED);
/// The groups' programs, where there are several.
#[map]
static PROGRAMS: ProgramArray = ProgramArray::with_max_entries(MAX_GROUPS as u32, 0);
/// The egress interface, in slot 0. A devmap entry is cheaper than `bpf_redirect`'s look-up of an ifindex (doc/measurements.md,
/// What a mechanism costs).
#[map]
static EGRESS: DevMap = DevMap::with_max_entries(1, 0);
#[map]
static SINK: PerCpuArray<Sink> = PerCpuArray::with_max_entries(1, 0);

/// Reads `.rodata` so that the compiler does not put the initial value in its place.
struct Rodata;

impl Load for Rodata {
    #[inline(always)]
    fn load<T: Copy>(place: &T) -> T {
        // SAFETY: a reference to an initialised static.
        unsafe { core::ptr::read_volatile(place) }
    }
    #[inline(always)]
    fn add(sum: &mut u64, amount: u64) {
        // SAFETY: a reference.
        unsafe { core::ptr::write_volatile(sum, core::ptr::read_volatile(sum).wrapping_add(amount)) }
    }
}

struct ValueTable;

impl Values for ValueTable {
    #[inline(always)]
    fn value(&self, index: u32) -> Word128 {
        VALUES.get(index).copied().unwrap_or_default()
    }
}

/// Chooses the flow of the next frame and calls its group's program.
#[xdp]
pub fn dispatch(ctx: XdpContext) -> u32 {
    let Some(worker) = this_worker() else { return XDP_DROP };
    let departs = match Rodata::load(&GENERATOR.pacing) {
        pacing::NONE => Some(0),
        _ => departure::depart(worker),
    };
    let Some(turn) = departs else { return XDP_DROP };
    let turn = match Rodata::load(&GENERATOR.pacing) {
        pacing::FLOWS => Some(turn),
        _ => next_turn(worker),
    };
    let Some(turn) = turn else { return aborted(worker) };
    worker.flow = turn & ((1 << TURN_FLOW_BITS) - 1);
    call_group(&ctx, turn >> TURN_FLOW_BITS);
    aborted(worker)
}

/// Calls the program of a group; comes back only when there is none.
///
/// A call for each group, with a constant for its number: the kernel makes a direct jump of it, where a number it does not know
/// makes an indirect one, which mitigations make dear (measured: 23 ns more than the flow's frame alone).
#[inline(always)]
fn call_group(ctx: &XdpContext, group: u32) {
    macro_rules! calls {
        ($($index:literal)*) => {
            match group {
                $( $index => {
                    // SAFETY: the map and context that the helper wants.
                    unsafe { PROGRAMS.tail_call(ctx, $index) };
                    // SAFETY: writes a register that nobody reads. Another text in each arm, so that the compiler does not make
                    // one call of all.
                    unsafe { core::arch::asm!("r0 = {group}", group = const $index, out("r0") _) };
                } )*
                _ => {}
            }
        };
    }
    calls!(
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
        32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
    );
}

const _: () = assert!(MAX_GROUPS == 64, "the calls are written out");

#[inline(always)]
fn this_worker() -> Option<&'static mut Worker> {
    worker_at(Rodata::load(&PLACE))
}

/// The worker on this CPU of the port with this place.
#[inline(always)]
fn worker_at(place: u32) -> Option<&'static mut Worker> {
    let worker = WORKERS.get_ptr_mut(place)?;
    // SAFETY: a per-CPU entry, and live frames run with migration and softirqs held off: nobody else has it; map memory
    // outlives the program.
    Some(unsafe { &mut *worker })
}

/// The turn of the worker's next frame.
#[inline(always)]
fn peek_turn(worker: &Worker) -> Option<u32> {
    let schedule = SCHEDULES.get_ptr_mut(worker.spec.index)?;
    // SAFETY: the worker's own entry.
    let schedule = unsafe { &*schedule };
    Some(schedule.turns[schedule.position as usize % MAX_TURNS])
}

/// Moves on by so many turns.
#[inline(always)]
fn skip_turns(worker: &Worker, turns: u64) {
    if let Some(schedule) = SCHEDULES.get_ptr_mut(worker.spec.index) {
        // SAFETY: the worker's own entry.
        let schedule = unsafe { &mut *schedule };
        schedule.position = (schedule.position + turns).checked_rem(schedule.len).unwrap_or(0);
    }
}

/// The turn of the worker's next frame; moves on to the one behind it.
#[inline(always)]
fn next_turn(worker: &Worker) -> Option<u32> {
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

/// The flow of the worker's next frame.
#[inline(always)]
fn next_flow(worker: &Worker) -> Option<u32> {
    let scheduled = Rodata::load(&GENERATOR.pacing) != pacing::FLOWS;
    match (Rodata::load(&GENERATOR.flow_count), Rodata::load(&GENERATOR.group_count)) {
        (1, _) => Some(0),
        // The turn of the only group is the flow's number.
        (_, 1) if scheduled => next_turn(worker),
        // Chosen before.
        _ => Some(worker.flow),
    }
}

#[inline(always)]
fn aborted(worker: &mut Worker) -> u32 {
    worker.counts.aborted += 1;
    XDP_DROP
}

/// Makes one frame out of the page at hand and returns the configured action.
#[xdp]
#[inline(always)]
pub fn generate(ctx: XdpContext) -> u32 {
    // With several groups it is `dispatch` that waits.
    if Rodata::load(&GENERATOR.pacing) != pacing::NONE && Rodata::load(&GENERATOR.group_count) == 1 {
        let Some(worker) = this_worker() else { return XDP_DROP };
        let Some(turn) = departure::depart(worker) else { return XDP_DROP };
        worker.flow = turn & ((1 << TURN_FLOW_BITS) - 1);
    }
    match Rodata::load(&GROUP.path) {
        path::ONE_LINE => one_line(&ctx),
        path::FLOWS => recorded_flows(&ctx),
        path::SIZES => recorded_sizes(&ctx),
        _ => any_flow(&ctx),
    }
}

/// [`path::ONE_LINE`].
#[inline(always)]
fn one_line(ctx: &XdpContext) -> u32 {
    let Some(worker) = this_worker() else { return XDP_DROP };
    let mut packet = Packet::of(ctx);
    let words = Rodata::load(&GROUP.words);
    if !packet.holds(4 * words) {
        return aborted(worker);
    }
    let row = next_row(&mut worker.only);
    copy_line(&mut packet, 0, words, |word| row_word(row, word));
    worker.counts.queued += 1;
    redirected_to(worker.spec.egress)
}

/// [`path::FLOWS`]. Schedule, look-up of the flow, its count and the note of whose frame it was take 2.5 ns more than a
/// single flow's frame, and 3.5 with 4096 flows, whose rows and counts are no longer in the nearest cache.
#[inline(always)]
fn recorded_flows(ctx: &XdpContext) -> u32 {
    let Some(worker) = this_worker() else { return XDP_DROP };
    let Some(number) = next_flow(worker) else { return aborted(worker) };
    let Some(flow) = flow_of(worker, number) else { return aborted(worker) };
    if copy_next_row(ctx, flow).is_none() {
        return aborted(worker);
    }
    flow.counts.frames += 1;
    note_recent(worker, number, 0);
    worker.counts.queued += 1;
    redirected()
}

/// [`path::SIZES`].
#[inline(always)]
fn recorded_sizes(ctx: &XdpContext) -> u32 {
    let Some(worker) = this_worker() else { return XDP_DROP };
    let Some(row) = copy_next_row(ctx, &mut worker.only) else { return aborted(worker) };
    let size = row_size(row);
    worker.only.counts.bytes += u64::from(size);
    note_recent(worker, 0, size);
    cut(ctx, size);
    worker.counts.queued += 1;
    redirected_to(worker.spec.egress)
}

/// Cuts the frame to its size. Measured on a bare redirect of 52 ns: 3.8 ns, most of it the kernel's, which takes over the new
/// bounds and sets the page up anew when it comes back.
#[inline(always)]
fn cut(ctx: &XdpContext, size: u32) {
    // SAFETY: the context the helper wants. It cannot fail: no frame is longer than the one given to the kernel, whose length
    // each page has again.
    unsafe { bpf_xdp_adjust_tail(ctx.ctx, size as i32 - Rodata::load(&GENERATOR.frame_len) as i32) };
}

#[inline(always)]
fn row_size(row: u64) -> u32 {
    Rodata::load(&ROW_SIZES[row as usize % ROW_TABLE_LINES])
}

/// [`path::ANY`].
#[inline(always)]
fn any_flow(ctx: &XdpContext) -> u32 {
    let Some(worker) = this_worker() else { return XDP_DROP };
    let Some(number) = next_flow(worker) else { return aborted(worker) };
    let Some(flow) = flow_of(worker, number) else { return aborted(worker) };
    if Rodata::load(&GROUP.bodies) != 0 && !copy_body(ctx, number) {
        return aborted(worker);
    }
    let size = match Rodata::load(&GROUP.make) {
        make::COPY => copy_header(ctx, flow),
        _ => work_out_header(ctx, flow),
    };
    let Some(size) = size else { return aborted(worker) };
    flow.counts.frames += 1;
    if Rodata::load(&GROUP.sized) != 0 {
        flow.counts.bytes += u64::from(size);
        note_recent(worker, number, size);
        cut(ctx, size);
    } else if Rodata::load(&GENERATOR.flow_count) != 1 {
        note_recent(worker, number, 0);
    }
    worker.counts.queued += 1;
    match Rodata::load(&GENERATOR.action) {
        XDP_REDIRECT => redirected_to(worker.spec.egress),
        action if worker.spec.egress == EGRESS_ENTRY => action,
        _ => {
            not_sent(worker);
            XDP_DROP
        }
    }
}

/// The worker's entry for the flow with this number.
#[inline(always)]
fn flow_of(worker: &mut Worker, number: u32) -> Option<&'static mut Flow> {
    let flow = match Rodata::load(&GENERATOR.flow_count) {
        1 => &raw mut worker.only,
        _ => FLOWS.get_ptr_mut(worker.spec.first_flow.wrapping_add(number))?,
    };
    // SAFETY: an entry of this worker alone; map memory outlives the program.
    Some(unsafe { &mut *flow })
}

/// The entry of [`EGRESS`] that workers redirect to.
const EGRESS_ENTRY: u32 = Worker::NEW.spec.egress;

/// Redirects, and sees to it that a frame that cannot be is counted: with an interface that is gone, or on a CPU without a
/// worker, whose entry of the devmap does not exist.
#[inline(always)]
fn redirected_to(egress: u32) -> u32 {
    if redirect(egress) == XDP_REDIRECT {
        return XDP_REDIRECT;
    }
    // The worker is looked up again: kept for this rare case, it would cost a saved register in every frame.
    if let Some(worker) = this_worker() {
        not_sent(worker);
    }
    XDP_DROP
}

/// The same where a look-up has told already that this CPU has a worker.
#[inline(always)]
fn redirected() -> u32 {
    if redirect(EGRESS_ENTRY) == XDP_REDIRECT {
        return XDP_REDIRECT;
    }
    if let Some(worker) = this_worker() {
        refused(worker, ENODEV);
    }
    XDP_DROP
}

/// Writes a frame's header from the row table. Gives the frame's length without FCS, 0 when it has no size of its own; none
/// when the page is too short.
#[inline(always)]
fn copy_header(ctx: &XdpContext, flow: &mut Flow) -> Option<u32> {
    let row = copy_next_row(ctx, flow)?;
    Some(match Rodata::load(&GROUP.sized) {
        0 => 0,
        _ => row_size(row),
    })
}

/// Copies the next row of a flow into the frame; gives its first line, none when the page is too short.
#[inline(always)]
fn copy_next_row(ctx: &XdpContext, flow: &mut Flow) -> Option<u64> {
    let mut packet = Packet::of(ctx);
    let words = Rodata::load(&GROUP.words);
    if !packet.holds(4 * words) {
        return None;
    }
    let row = next_row(flow);
    copy(&mut packet, words, |line, word| row_word(row + line, word));
    Some(row)
}

/// The same for a flow that is worked out.
#[inline(always)]
fn work_out_header(ctx: &XdpContext, flow: &Flow) -> Option<u32> {
    // SAFETY: an entry of this worker alone.
    let state = unsafe { &mut *HEADER_STATES.get_ptr_mut(flow.header_state())? };
    let mut packet = Packet::of(ctx);
    let words = Rodata::load(&GROUP.words);
    if !packet.holds(4 * words) {
        return None;
    }
    // The constant bytes too: a receiver in this kernel (the far end of a veth, this machine's own stack) may have
    // written to the page before it was recycled, a router its MAC addresses and TTL.
    copy(&mut packet, words, |line, word| state.header[line as usize][word]);
    // Volatile, so that only what wants the number reads it.
    let first = &raw const state.first;
    // SAFETY: an entry of this worker alone.
    let first = || unsafe { first.read_volatile() };
    let sequence = || first() + Rodata::load(&flow.counts.frames) * Rodata::load(&GENERATOR.stride);
    Some(frame::write::<Rodata>(&mut packet, &GROUP, state, sequence, &ValueTable))
}

/// Copies what follows the written lines. Pages come back with whatever flow's frame they held before, so it is done in every
/// repetition.
#[inline(always)]
fn copy_body(ctx: &XdpContext, number: u32) -> bool {
    let Some(&Body { entry, len }) = FLOW_BODIES.get(number) else { return false };
    if len == 0 {
        return true;
    }
    let Some(body) = BODIES.get_ptr(entry) else { return false };
    if len > BODY_LEN as u32 {
        return false;
    }
    let at = 4 * Rodata::load(&GROUP.words) as u32;
    // SAFETY: the context the helper wants, and memory of at least `len` bytes.
    let result = unsafe { bpf_xdp_store_bytes(ctx.ctx, at, body.cast_mut().cast(), len) };
    result == 0
}

/// The first line of this frame's row; moves on to the worker's next frame of the flow.
#[inline(always)]
fn next_row(flow: &mut Flow) -> u64 {
    let rows = flow.rows_mut();
    let row = rows.next;
    let next = row + rows.advance;
    // Without a branch: short sequences end too often for anybody to foresee.
    let beyond = rows.limit.wrapping_sub(next).cast_signed() >> 63;
    rows.next = next - (beyond.cast_unsigned() & rows.span);
    row
}

/// An eight-byte word of a line of the row table.
#[inline(always)]
fn row_word(line: u64, word: usize) -> u64 {
    // The remainder costs one instruction, and tells the verifier what a map look-up would check in eight.
    Rodata::load(&ROWS[line as usize % ROW_TABLE_LINES][word])
}

/// Without the sign handling of `DevMap::redirect`: a look-up that fails gives the action in the flags, XDP_DROP.
#[inline(always)]
fn redirect(egress: u32) -> u32 {
    // SAFETY: the map's own definition; the loader puts the map's address in its place.
    let action =
        unsafe { bpf_redirect_map((&raw const EGRESS).cast_mut().cast(), u64::from(egress), u64::from(XDP_DROP)) };
    // Compared as it comes: a 32-bit number would have to be cut out first.
    if action == XDP_REDIRECT as i64 { XDP_REDIRECT } else { XDP_DROP }
}

/// Counts what arrives.
#[xdp]
pub fn sink(ctx: XdpContext) -> u32 {
    if let Some(sink) = SINK.get_ptr_mut(0) {
        // SAFETY: a per-CPU entry.
        unsafe {
            (*sink).frames += 1;
            (*sink).bytes += (ctx.data_end() - ctx.data()) as u64 + FCS_LEN as u64;
        }
    }
    Rodata::load(&SINK_ACTION)
}

/// Only redirects: what the kernel's own path costs.
#[xdp]
pub fn floor(_ctx: XdpContext) -> u32 {
    redirect(EGRESS_ENTRY)
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
