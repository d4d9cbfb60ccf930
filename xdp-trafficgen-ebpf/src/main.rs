//! The eBPF programs: maps and thin entry points; what can be tested on the host lives in the library.
//!
//! `generate` makes frames, `on_devmap_xmit` and `on_redirect_err` learn what became of them, `sink` counts frames on a
//! receiving interface, `floor` only redirects (the bench's yardstick).
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "packet memory, map memory and trace point arguments are raw pointers")]
#![expect(clippy::cast_possible_truncation, reason = "the kernel's wide return values hold small numbers")]
#![expect(missing_docs, unreachable_pub, reason = "the program macros make undocumented public items of entry points")]

use aya_ebpf::{
    bindings::xdp_action::{XDP_DROP, XDP_REDIRECT, XDP_TX},
    helpers::{bpf_redirect_map, bpf_xdp_adjust_tail, bpf_xdp_store_bytes},
    macros::{btf_tracepoint, map, xdp},
    maps::{Array, DevMap, PerCpuArray, ProgramArray},
    programs::{BtfTracePointContext, XdpContext},
};
use xdp_trafficgen_ebpf::{
    abi::{
        BODY_LEN, DROP_SLOTS, DropLayer, FCS_LEN, Flow, Generator, Group, LINE_LEN, Line, MAX_GROUPS, MAX_SLOTS,
        RECENT, ROW_TABLE_LINES, SLOT_FLOW_BITS, Schedule, Sink, Word128, Worked, Worker, drop_slot, make,
    },
    field::{Load, Values},
    frame::{self, FrameMut},
};

// Filled by the loader (`EbpfLoader::override_global`), constants to the verifier.
#[unsafe(no_mangle)]
static GENERATOR: Generator =
    Generator { action: XDP_DROP, one_line: 0, flow_count: 1, group_count: 1, frame_len: 0, reserved: 0, stride: 1 };
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

/// What each worker keeps. One entry per CPU, so nothing is shared and nothing is atomic.
#[map]
static WORKERS: PerCpuArray<Worker> = PerCpuArray::with_max_entries(1, 0);
/// The order of each worker's flows; sized by the loader, as all tables that follow.
#[map]
static SCHEDULES: Array<Schedule> = Array::with_max_entries(1, 0);
/// The flows of each worker, one worker's after the other's. Not used for a port's single flow.
#[map]
static FLOWS: Array<Flow> = Array::with_max_entries(1, 0);
/// The same for flows that are worked out.
#[map]
static WORKED: Array<Worked> = Array::with_max_entries(1, 0);
/// Entries of `values` patterns, all lists one after the other.
#[map]
static VALUES: Array<Word128> = Array::with_max_entries(1, 0);
/// What follows the written lines of a frame, where flows differ in it.
#[map]
static BODIES: Array<[u8; BODY_LEN]> = Array::with_max_entries(1, 0);
/// The groups' programs, where there are several.
#[map]
static PROGRAMS: ProgramArray = ProgramArray::with_max_entries(MAX_GROUPS as u32, 0);
/// The egress interface, in slot 0. A devmap entry is cheaper than `bpf_redirect`'s look-up of an ifindex (field notes).
#[map]
static EGRESS: DevMap = DevMap::with_max_entries(1, 0);
/// Why frames were dropped: see `drop_slot`.
#[map]
static DROPS: PerCpuArray<u64> = PerCpuArray::with_max_entries(DROP_SLOTS, 0);
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
}

struct ValueTable;

impl Values for ValueTable {
    #[inline(always)]
    fn value(&self, index: u32) -> Word128 {
        VALUES.get(index).copied().unwrap_or_default()
    }
}

/// The packet, of which `holds` makes the headers writable.
struct Packet {
    start: usize,
    end: usize,
}

impl Packet {
    /// Whether the frame has this many bytes: the bounds check the verifier asks for.
    #[inline(always)]
    fn holds(&self, len: u32) -> bool {
        self.start + len as usize <= self.end
    }

    #[inline(always)]
    fn store<T>(&mut self, at: usize, value: T) {
        // SAFETY: the verifier proves that `at + size` lies within the bounds that were checked. Alignment is the
        // kernel's business: where the machine needs it the verifier checks it, and `write_unaligned` would be compiled
        // to single bytes everywhere.
        unsafe { *((self.start + at) as *mut T) = value }
    }
}

impl FrameMut for Packet {
    #[inline(always)]
    fn store_u8(&mut self, at: usize, value: u8) {
        self.store(at, value);
    }
    #[inline(always)]
    fn store_u16(&mut self, at: usize, value: u16) {
        self.store(at, value.to_be());
    }
    #[inline(always)]
    fn store_u32(&mut self, at: usize, value: u32) {
        self.store(at, value.to_be());
    }
    #[inline(always)]
    fn store_u64(&mut self, at: usize, value: u64) {
        self.store(at, value.to_be());
    }
}

/// Chooses the flow of the next frame and calls its group's program.
#[xdp]
pub fn dispatch(ctx: XdpContext) -> u32 {
    let Some(worker) = this_worker() else { return XDP_DROP };
    let Some(slot) = next_slot(worker) else { return aborted(worker) };
    worker.flow = slot & ((1 << SLOT_FLOW_BITS) - 1);
    // SAFETY: the map and context that the helper wants.
    unsafe { PROGRAMS.tail_call(&ctx, slot >> SLOT_FLOW_BITS) };
    aborted(worker)
}

#[inline(always)]
fn this_worker() -> Option<&'static mut Worker> {
    let worker = WORKERS.get_ptr_mut(0)?;
    // SAFETY: a per-CPU entry, and live frames run with migration and softirqs held off: nobody else has it; map memory
    // outlives the program.
    Some(unsafe { &mut *worker })
}

/// The slot of the worker's next frame; moves on to the one behind it.
#[inline(always)]
fn next_slot(worker: &Worker) -> Option<u32> {
    let schedule = SCHEDULES.get_ptr_mut(worker.index)?;
    // SAFETY: the worker's own entry, which user space writes between calls only.
    let schedule = unsafe { &mut *schedule };
    let position = schedule.position;
    let next = position + 1;
    schedule.position = if next >= schedule.len { 0 } else { next };
    Some(schedule.slots[position as usize % MAX_SLOTS])
}

#[inline(always)]
fn aborted(worker: &mut Worker) -> u32 {
    worker.aborted += 1;
    XDP_DROP
}

/// Makes one frame out of the page at hand and returns the configured action.
#[xdp]
#[inline(always)]
pub fn generate(ctx: XdpContext) -> u32 {
    let Some(worker) = this_worker() else { return XDP_DROP };
    let one_line = Rodata::load(&GENERATOR.one_line);
    if one_line != 0 {
        let mut packet = Packet { start: ctx.data(), end: ctx.data_end() };
        if !packet.holds(one_line) {
            return aborted(worker);
        }
        let row = next_row(&mut worker.only);
        copy_row(&mut packet, 0, one_line, row);
        worker.queued += 1;
        return redirected();
    }
    let flow_count = Rodata::load(&GENERATOR.flow_count);
    let number = match (flow_count, Rodata::load(&GENERATOR.group_count)) {
        (1, _) => 0,
        (_, 1) => match next_slot(worker) {
            Some(slot) => slot,
            None => return aborted(worker),
        },
        _ => worker.flow,
    };
    let entry = worker.first_flow.wrapping_add(number);
    let flow = match flow_count {
        1 => &mut worker.only,
        _ => match FLOWS.get_ptr_mut(entry) {
            // SAFETY: an entry of this worker alone.
            Some(flow) => unsafe { &mut *flow },
            None => return aborted(worker),
        },
    };
    if Rodata::load(&GROUP.bodies) != 0 && !copy_body(&ctx, flow) {
        return aborted(worker);
    }
    let Some(size) = write_header(&ctx, flow, entry) else { return aborted(worker) };
    flow.frames += 1;
    let sized = Rodata::load(&GROUP.sized) != 0;
    if sized {
        flow.bytes += u64::from(size);
    }
    if flow_count != 1 || sized {
        worker.recent[worker.queued as usize % RECENT] = [number, size];
    }
    worker.queued += 1;
    if sized {
        // SAFETY: the context the helper wants. It cannot fail: no frame is longer than the one given to the kernel, whose
        // length each page has again. That one is cut too, by nothing: a call costs less than a branch nobody can foresee.
        unsafe { bpf_xdp_adjust_tail(ctx.ctx, size as i32 - Rodata::load(&GENERATOR.frame_len) as i32) };
    }
    match Rodata::load(&GENERATOR.action) {
        XDP_REDIRECT => redirected(),
        action => action,
    }
}

/// Redirects, and sees to it that a frame that cannot be is counted.
#[inline(always)]
fn redirected() -> u32 {
    if redirect() == XDP_REDIRECT {
        return XDP_REDIRECT;
    }
    // The slot is empty: the kernel takes an interface out of every devmap when it goes away. The worker is looked up
    // again: kept for this rare case, it would cost a saved register in every frame.
    if let Some(worker) = this_worker() {
        refused(worker, ENODEV);
    }
    XDP_DROP
}

/// Writes the lines of the frame: from the row table, or worked out. Gives the frame's length without FCS, 0 when it has no
/// size of its own; none when the page is too short.
#[inline(always)]
fn write_header(ctx: &XdpContext, flow: &mut Flow, entry: u32) -> Option<u32> {
    let mut packet = Packet { start: ctx.data(), end: ctx.data_end() };
    let [first, second, third, fourth] = &GROUP.line_len;
    let len = [Rodata::load(first), Rodata::load(second), Rodata::load(third), Rodata::load(fourth)];
    if !packet.holds(len[0] + len[1] + len[2] + len[3]) {
        return None;
    }
    if Rodata::load(&GROUP.make) == make::COPY {
        let row = next_row(flow);
        // Line by line with constant lengths; lines that are not used cost nothing.
        macro_rules! lines {
            ($($index:literal)*) => { $(
                if len[$index] != 0 {
                    copy_row(&mut packet, $index * LINE_LEN, len[$index], row + $index);
                }
            )* };
        }
        lines!(0 1 2 3);
        return Some(match Rodata::load(&GROUP.sized) {
            0 => 0,
            _ => Rodata::load(&ROW_SIZES[row as usize % ROW_TABLE_LINES]),
        });
    }
    // SAFETY: an entry of this worker alone.
    let worked = unsafe { &mut *WORKED.get_ptr_mut(entry)? };
    // The constant bytes too: a receiver in this kernel (the far end of a veth, this machine's own stack) may have
    // written to the page before it was recycled, a router its MAC addresses and TTL.
    macro_rules! lines {
        ($($index:literal)*) => { $(
            if len[$index] != 0 {
                copy_line(&mut packet, $index * LINE_LEN, len[$index], |word| worked.header[$index][word]);
            }
        )* };
    }
    lines!(0 1 2 3);
    let (first, frames) = (worked.first, flow.frames);
    // Worked out where it is wanted only.
    let sequence = || first + core::hint::black_box(frames) * Rodata::load(&GENERATOR.stride);
    Some(frame::write::<Rodata>(&mut packet, &GROUP, worked, sequence, &ValueTable))
}

/// Copies what follows the written lines. Pages come back with whatever flow's frame they held before, so it is done in every
/// repetition.
#[inline(always)]
fn copy_body(ctx: &XdpContext, flow: &Flow) -> bool {
    let len = flow.body_len;
    if len == 0 {
        return true;
    }
    let Some(body) = BODIES.get_ptr(flow.body) else { return false };
    if len > BODY_LEN as u32 {
        return false;
    }
    let [first, second, third, fourth] = &GROUP.line_len;
    let at = Rodata::load(first) + Rodata::load(second) + Rodata::load(third) + Rodata::load(fourth);
    // SAFETY: the context the helper wants, and memory of at least `len` bytes.
    let result = unsafe { bpf_xdp_store_bytes(ctx.ctx, at, body.cast_mut().cast(), len) };
    result == 0
}

/// The first line of this frame's row; moves on to the worker's next frame of the flow.
#[inline(always)]
fn next_row(flow: &mut Flow) -> u32 {
    let row = flow.row;
    let next = row + flow.row_advance;
    flow.row = if next > flow.row_limit { next - flow.row_span } else { next };
    row
}

/// One line of the row table into the frame.
#[inline(always)]
fn copy_row(packet: &mut Packet, at: usize, len: u32, index: u32) {
    // The remainder costs one instruction, and tells the verifier what a map look-up would check in eight.
    let line = &ROWS[index as usize % ROW_TABLE_LINES];
    copy_line(packet, at, len, |word| Rodata::load(&line[word]))
}

/// Stores the first `len` bytes of a line at `at`. An arm for each length, for the verifier to keep just
/// one.
#[inline(always)]
fn copy_line(packet: &mut Packet, at: usize, len: u32, line: impl Fn(usize) -> u64) {
    macro_rules! copy {
        ($tail:literal; $($word:literal)*) => {{
            $( packet.store(at + 8 * $word, line($word)); )*
            let end = 0 $( + { let _ = $word; 1 } )*;
            if $tail == 4 {
                // The first four bytes in the order of memory.
                let [a, b, c, d, ..] = line(end).to_ne_bytes();
                packet.store(at + 8 * end, u32::from_ne_bytes([a, b, c, d]));
            }
        }};
    }
    match len {
        0 => {}
        4 => copy!(4;),
        8 => copy!(0; 0),
        12 => copy!(4; 0),
        16 => copy!(0; 0 1),
        20 => copy!(4; 0 1),
        24 => copy!(0; 0 1 2),
        28 => copy!(4; 0 1 2),
        32 => copy!(0; 0 1 2 3),
        36 => copy!(4; 0 1 2 3),
        40 => copy!(0; 0 1 2 3 4),
        44 => copy!(4; 0 1 2 3 4),
        48 => copy!(0; 0 1 2 3 4 5),
        52 => copy!(4; 0 1 2 3 4 5),
        56 => copy!(0; 0 1 2 3 4 5 6),
        60 => copy!(4; 0 1 2 3 4 5 6),
        _ => copy!(0; 0 1 2 3 4 5 6 7),
    }
}

/// Without the sign handling of `DevMap::redirect`: a look-up that fails gives the action in the flags, XDP_DROP.
#[inline(always)]
fn redirect() -> u32 {
    // SAFETY: the map's own definition; the loader puts the map's address in its place.
    let action = unsafe { bpf_redirect_map((&raw const EGRESS).cast_mut().cast(), 0, u64::from(XDP_DROP)) };
    // Compared as it comes: a 32-bit number would have to be cut out first.
    if action == XDP_REDIRECT as i64 { XDP_REDIRECT } else { XDP_DROP }
}

const ENODEV: u32 = 19;

/// The frame at hand never got to a driver.
#[inline(always)]
fn refused(worker: &mut Worker, errno: u32) {
    // The last one in the queue.
    worker.queued -= 1;
    worker.refused += 1;
    let frame = worker.queued;
    charge(worker, frame);
    note_reason(DropLayer::Redirect, errno, 1);
}

/// Counts a lost frame, which is among the recent ones, for its flow.
#[inline(always)]
fn charge(worker: &mut Worker, frame: u64) {
    let [number, size] = worker.recent[frame as usize % RECENT];
    let flow = match Rodata::load(&GENERATOR.flow_count) {
        1 => &raw mut worker.only,
        _ => match FLOWS.get_ptr_mut(worker.first_flow.wrapping_add(number)) {
            Some(flow) => flow,
            None => return,
        },
    };
    // SAFETY: an entry of this worker alone.
    unsafe {
        (*flow).dropped_frames += 1;
        (*flow).dropped_bytes += u64::from(size);
    }
}

#[inline(always)]
fn note_reason(layer: DropLayer, errno: u32, frames: u64) {
    if let Some(count) = DROPS.get_ptr_mut(drop_slot(layer, errno)) {
        // SAFETY: a per-CPU entry.
        unsafe { *count += frames };
    }
}

/// The worker whose frames are on their way through the kernel on this CPU just now, if any.
#[inline(always)]
fn sending_worker() -> Option<&'static mut Worker> {
    // A generator that redirects nothing has nothing in flight, whatever its counters say.
    if !matches!(Rodata::load(&GENERATOR.action), XDP_REDIRECT | XDP_TX) {
        return None;
    }
    // Other users' frames: ours are all accounted for before softirqs run again.
    this_worker().filter(|worker| worker.in_flight() != 0)
}

/// `xdp_devmap_xmit(from_dev, to_dev, sent, drops, err)`: once per bulk of up to 16 frames, which are those queued first. A
/// driver takes the first `sent` of them (Linux 5.13, commit fdc13979f91e).
#[btf_tracepoint(function = "xdp_devmap_xmit")]
pub fn on_devmap_xmit(ctx: BtfTracePointContext) -> i32 {
    if let Some(worker) = sending_worker() {
        let (sent, drops, err): (i32, i32, i32) = (ctx.arg(2), ctx.arg(3), ctx.arg(4));
        worker.transmitted += sent as u32 as u64;
        if drops > 0 {
            for _ in 0..drops.min(RECENT as i32) {
                let frame = worker.transmitted + worker.dropped;
                charge(worker, frame);
                worker.dropped += 1;
            }
            note_reason(DropLayer::Driver, err.unsigned_abs(), drops as u32 as u64);
        }
    }
    0
}

/// `xdp_redirect_err(dev, xdp, tgt, err, …)`: one frame that never reached a driver, the one that was just made.
#[btf_tracepoint(function = "xdp_redirect_err")]
pub fn on_redirect_err(ctx: BtfTracePointContext) -> i32 {
    if let Some(worker) = sending_worker() {
        let err: i32 = ctx.arg(3);
        refused(worker, err.unsigned_abs());
    }
    0
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
    redirect()
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
