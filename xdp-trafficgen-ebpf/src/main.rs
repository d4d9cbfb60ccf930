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
    helpers::bpf_redirect_map,
    macros::{btf_tracepoint, map, xdp},
    maps::{Array, DevMap, PerCpuArray},
    programs::{BtfTracePointContext, XdpContext},
};
use xdp_trafficgen_ebpf::{
    abi::{
        Checksum, DROP_SLOTS, DropLayer, FCS_LEN, Field, Generator, LINE_LEN, Line, MAX_CHECKSUMS, MAX_FIELDS,
        MAX_LINES, ROW_TABLE_LINES, Sink, Word128, Worker, drop_slot,
    },
    field::{Load, Values},
    frame::{FrameMut, write_checksums, write_fields},
};

// Filled by the loader (`EbpfLoader::override_global`), constants to the verifier.
#[unsafe(no_mangle)]
static GENERATOR: Generator = Generator {
    action: XDP_DROP,
    one_line: 0,
    field_count: 0,
    checksum_count: 0,
    stride: 1,
    row_count: 0,
    row_advance: 0,
    line_len: [0; MAX_LINES],
};
#[unsafe(no_mangle)]
static HEADER: [Line; MAX_LINES] = [[0; LINE_LEN / 8]; MAX_LINES];
/// The headers of all frames, where the sequence is short enough to have them all.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".rodata.rows")]
static ROWS: [Line; ROW_TABLE_LINES] = [[0; LINE_LEN / 8]; ROW_TABLE_LINES];
#[unsafe(no_mangle)]
static FIELDS: [Field; MAX_FIELDS] = [Field::NONE; MAX_FIELDS];
#[unsafe(no_mangle)]
static CHECKSUMS: [Checksum; MAX_CHECKSUMS] = [Checksum::NONE; MAX_CHECKSUMS];
#[unsafe(no_mangle)]
static SINK_ACTION: u32 = XDP_DROP;

/// What each worker keeps. One entry per CPU, so nothing is shared and nothing is atomic.
#[map]
static WORKERS: PerCpuArray<Worker> = PerCpuArray::with_max_entries(1, 0);
/// Entries of `values` patterns, all fields' lists one after the other; sized by the loader.
#[map]
static VALUES: Array<Word128> = Array::with_max_entries(1, 0);
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

/// Makes one frame out of the page at hand and returns the configured action.
#[xdp]
#[inline(always)]
pub fn generate(ctx: XdpContext) -> u32 {
    let Some(worker) = WORKERS.get_ptr_mut(0) else { return XDP_DROP };
    // SAFETY: a per-CPU entry, and live frames run with migration and softirqs held off: nobody else has it.
    let worker = unsafe { &mut *worker };
    let mut packet = Packet { start: ctx.data(), end: ctx.data_end() };
    let (written, action) = match Rodata::load(&GENERATOR.one_line) {
        0 => {
            let written = match Rodata::load(&GENERATOR.row_count) {
                0 => work_out_header(&mut packet, worker),
                count => copy_rows(&mut packet, worker, count),
            };
            (written, Rodata::load(&GENERATOR.action))
        }
        len => {
            let long_enough = packet.holds(len);
            if long_enough {
                let row = next_row(worker, Rodata::load(&GENERATOR.row_count));
                copy_row(&mut packet, 0, len, row);
            }
            (long_enough, XDP_REDIRECT)
        }
    };
    if !written {
        worker.aborted += 1;
        return XDP_DROP;
    }
    worker.attempted += 1;
    match action {
        XDP_REDIRECT if redirect() == XDP_REDIRECT => XDP_REDIRECT,
        // The slot is empty: the kernel takes an interface out of every devmap when it goes away.
        XDP_REDIRECT => {
            // Looked up again: kept for this rare case, it would cost a saved register in every frame.
            if let Some(worker) = WORKERS.get_ptr_mut(0) {
                // SAFETY: as above.
                lost(unsafe { &mut *worker }, DropLayer::Redirect, ENODEV, 1);
            }
            XDP_DROP
        }
        action => action,
    }
}

/// The row of this frame; moves on to that of the next.
#[inline(always)]
fn next_row(worker: &mut Worker, count: u64) -> u64 {
    let row = worker.row;
    let next = row + Rodata::load(&GENERATOR.row_advance);
    worker.row = if next >= count { next - count } else { next };
    row
}

/// One line of the row table into the frame.
#[inline(always)]
fn copy_row(packet: &mut Packet, at: usize, len: u32, index: u64) {
    // The remainder costs one instruction, and tells the verifier what a map look-up would check in eight.
    let line = &ROWS[index as usize % ROW_TABLE_LINES];
    copy_line(packet, at, len, |word| Rodata::load(&line[word]))
}

/// The header of this frame, from the row table: a look-up and a few stores, whatever varies.
#[inline(always)]
fn copy_rows(packet: &mut Packet, worker: &mut Worker, count: u64) -> bool {
    let [first, second] = &GENERATOR.line_len;
    let (first, second) = (Rodata::load(first), Rodata::load(second));
    if !packet.holds(first + second) {
        return false;
    }
    let row = next_row(worker, count);
    match second {
        0 => copy_row(packet, 0, first, row),
        second => {
            copy_row(packet, 0, LINE_LEN as u32, row << 1);
            copy_row(packet, LINE_LEN, second, (row << 1) + 1);
        }
    }
    true
}

/// The header of this frame, from the template and the field table.
#[inline(always)]
fn work_out_header(packet: &mut Packet, worker: &mut Worker) -> bool {
    // The constant bytes too: a receiver in this kernel (the far end of a veth, this machine's own stack) may have
    // written to the page before it was recycled, a router its MAC addresses and TTL.
    let [first, second] = &GENERATOR.line_len;
    let (first, second) = (Rodata::load(first), Rodata::load(second));
    if !packet.holds(first + second) {
        return false;
    }
    copy_line(packet, 0, first, |word| Rodata::load(&HEADER[0][word]));
    copy_line(packet, LINE_LEN, second, |word| Rodata::load(&HEADER[1][word]));
    let Worker { attempted, first, joined, values, .. } = worker;
    // Volatile, so that only fields that want the number read it.
    let sequence = || Rodata::load(&*first) + Rodata::load(&*attempted) * Rodata::load(&GENERATOR.stride);
    let sums = write_fields::<Rodata>(packet, &FIELDS, values, joined, sequence, &ValueTable);
    write_checksums::<Rodata>(packet, Rodata::load(&GENERATOR.checksum_count), &CHECKSUMS, &sums);
    true
}

/// Stores the first `len` bytes of a line at `at`. An arm for each length (headers have even ones), for the
/// verifier to keep just one.
#[inline(always)]
fn copy_line(packet: &mut Packet, at: usize, len: u32, line: impl Fn(usize) -> u64) {
    macro_rules! copy {
        ($tail:literal; $($word:literal)*) => {{
            $( packet.store(at + 8 * $word, line($word)); )*
            let end = 0 $( + { let _ = $word; 1 } )*;
            let [a, b, c, d, e, f, ..] = if $tail == 0 { [0; 8] } else { line(end).to_ne_bytes() };
            let at = at + 8 * end;
            match $tail {
                0 => {}
                2 => packet.store(at, u16::from_ne_bytes([a, b])),
                4 => packet.store(at, u32::from_ne_bytes([a, b, c, d])),
                _ => {
                    packet.store(at, u32::from_ne_bytes([a, b, c, d]));
                    packet.store(at + 4, u16::from_ne_bytes([e, f]));
                }
            }
        }};
    }
    match len {
        0 => {}
        2 => copy!(2;),
        4 => copy!(4;),
        6 => copy!(6;),
        8 => copy!(0; 0),
        10 => copy!(2; 0),
        12 => copy!(4; 0),
        14 => copy!(6; 0),
        16 => copy!(0; 0 1),
        18 => copy!(2; 0 1),
        20 => copy!(4; 0 1),
        22 => copy!(6; 0 1),
        24 => copy!(0; 0 1 2),
        26 => copy!(2; 0 1 2),
        28 => copy!(4; 0 1 2),
        30 => copy!(6; 0 1 2),
        32 => copy!(0; 0 1 2 3),
        34 => copy!(2; 0 1 2 3),
        36 => copy!(4; 0 1 2 3),
        38 => copy!(6; 0 1 2 3),
        40 => copy!(0; 0 1 2 3 4),
        42 => copy!(2; 0 1 2 3 4),
        44 => copy!(4; 0 1 2 3 4),
        46 => copy!(6; 0 1 2 3 4),
        48 => copy!(0; 0 1 2 3 4 5),
        50 => copy!(2; 0 1 2 3 4 5),
        52 => copy!(4; 0 1 2 3 4 5),
        54 => copy!(6; 0 1 2 3 4 5),
        56 => copy!(0; 0 1 2 3 4 5 6),
        58 => copy!(2; 0 1 2 3 4 5 6),
        60 => copy!(4; 0 1 2 3 4 5 6),
        62 => copy!(6; 0 1 2 3 4 5 6),
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

#[inline(always)]
fn lost(worker: &mut Worker, layer: DropLayer, errno: u32, frames: u64) {
    worker.dropped += frames;
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
    let worker = WORKERS.get_ptr_mut(0)?;
    // SAFETY: a per-CPU entry; map memory outlives the program.
    let worker = unsafe { &mut *worker };
    // Other users' frames: ours are all accounted for before softirqs run again.
    (worker.in_flight() != 0).then_some(worker)
}

/// `xdp_devmap_xmit(from_dev, to_dev, sent, drops, err)`: once per bulk of up to 16 frames.
#[btf_tracepoint(function = "xdp_devmap_xmit")]
pub fn on_devmap_xmit(ctx: BtfTracePointContext) -> i32 {
    if let Some(worker) = sending_worker() {
        let (sent, drops, err): (i32, i32, i32) = (ctx.arg(2), ctx.arg(3), ctx.arg(4));
        worker.transmitted += sent as u32 as u64;
        if drops > 0 {
            lost(worker, DropLayer::Driver, err.unsigned_abs(), drops as u32 as u64);
        }
    }
    0
}

/// `xdp_redirect_err(dev, xdp, tgt, err, …)`: one frame that never reached a driver.
#[btf_tracepoint(function = "xdp_redirect_err")]
pub fn on_redirect_err(ctx: BtfTracePointContext) -> i32 {
    if let Some(worker) = sending_worker() {
        let err: i32 = ctx.arg(3);
        lost(worker, DropLayer::Redirect, err.unsigned_abs(), 1);
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
