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
        Checksum, DROP_SLOTS, DropLayer, FCS_LEN, Field, Generator, MAX_CHECKSUMS, MAX_FIELDS, Sink, Word128, Worker,
        drop_slot,
    },
    field::{Load, Values},
    frame::{FrameMut, write_checksums, write_fields},
};

// Filled by the loader (`EbpfLoader::override_global`), constants to the verifier.
#[unsafe(no_mangle)]
static GENERATOR: Generator = Generator { action: XDP_DROP, touched: 0, field_count: 0, checksum_count: 0, stride: 1 };
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

/// The packet, of which the bounds check in `generate` made `touched` bytes writable.
struct Packet(usize);

impl Packet {
    #[inline(always)]
    fn store<T>(&mut self, at: usize, value: T) {
        // SAFETY: the verifier proves that `at + size` lies within the bounds that were checked. Alignment is the
        // kernel's business: where the machine needs it the verifier checks it, and `write_unaligned` would be compiled
        // to single bytes everywhere.
        unsafe { *((self.0 + at) as *mut T) = value }
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
    let (start, end) = (ctx.data(), ctx.data_end());
    if start + Rodata::load(&GENERATOR.touched) as usize > end {
        worker.aborted += 1;
        return XDP_DROP;
    }
    let mut packet = Packet(start);
    let Worker { attempted, first, joined, values, .. } = worker;
    // Volatile, so that only fields that want the number read it.
    let sequence = || Rodata::load(&*first) + Rodata::load(&*attempted) * Rodata::load(&GENERATOR.stride);
    let sums = write_fields::<Rodata>(&mut packet, &FIELDS, values, joined, sequence, &ValueTable);
    write_checksums::<Rodata>(&mut packet, Rodata::load(&GENERATOR.checksum_count), &CHECKSUMS, &sums);
    worker.attempted += 1;
    match Rodata::load(&GENERATOR.action) {
        XDP_REDIRECT => match redirect() {
            XDP_REDIRECT => XDP_REDIRECT,
            // The slot is empty: the kernel takes an interface out of every devmap when it goes away.
            _ => {
                lost(worker, DropLayer::Redirect, ENODEV, 1);
                XDP_DROP
            }
        },
        action => action,
    }
}

/// Without the sign handling of `DevMap::redirect`: a look-up that fails gives the action in the flags, XDP_DROP.
#[inline(always)]
fn redirect() -> u32 {
    // SAFETY: the map's own definition; the loader puts the map's address in its place.
    unsafe { bpf_redirect_map((&raw const EGRESS).cast_mut().cast(), 0, u64::from(XDP_DROP)) as u32 }
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
