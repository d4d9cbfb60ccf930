//! The eBPF programs: maps and thin entry points; what can be tested on the host lives in the
//! library.
//!
//! `generate` makes frames, `on_devmap_xmit` and `on_redirect_err` learn what became of them, for
//! all ports, and call the port's `bulk` and `not_redirected` where something went wrong, `sink`
//! counts frames on a receiving interface, `arrivals` writes down when they come, `pass` lets
//! everything pass (for drivers that want a program), `floor` only redirects (the
//! bench's yardstick).
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![expect(
    unsafe_code,
    reason = "packet memory, map memory and trace point arguments are raw pointers"
)]
#![expect(
    clippy::cast_possible_truncation,
    reason = "the kernel's wide return values hold small numbers"
)]
#![expect(unreachable_pub, reason = "the program macros make public items of entry points")]

mod arrivals;
mod bodies;
mod counting;
mod departure;
mod egress;
mod gates;
mod generate;
mod listening;
mod packet;
mod pass;
mod picks;
mod schedule;
mod sink;

use aya_ebpf::{
    bindings::{BPF_F_MMAPABLE, xdp_action::XDP_DROP},
    macros::map,
    maps::{Array, PerCpuArray},
};
use xdp_trafficgen_ebpf::abi::{Flow, Generator, Worker, path, timing::pacing};

// Filled by the loader (`EbpfLoader::override_global`), constants to the verifier.
#[unsafe(no_mangle)]
static GENERATOR: Generator = Generator {
    action: XDP_DROP,
    flow_count: 1,
    frame_len: 0,
    sized: 0,
    bodies: 0,
    written: 0,
    path: path::ANY,
    register_blocks: 0,
    row_words: 0,
    cycles: 0,
    first_number: 0,
    numbers_end: 0,
    first_unwritten: 0,
    unwritten_end: 0,
    picks: 0,
    pick_sets: 0,
    picked_checksums: 0,
    wide: 0,
    draws: 0,
    reserved: 0,
    pacing: pacing::NONE,
    kinds: 0,
    late: 0,
    give_up: u64::MAX,
};

/// Of arrays that user space maps into its memory. A program's look-up is the same as in any other:
/// the kernel keeps the entries in pages of their own, at the same distance from the map.
const MAPPED: u32 = BPF_F_MMAPABLE;

/// Which of the ports that are listened for together this is: its entry in [`WORKERS`].
#[unsafe(no_mangle)]
static PLACE: u32 = 0;

/// What each worker keeps: an entry for each port, for each CPU, so nothing is shared and nothing
/// is atomic.
#[map]
static WORKERS: PerCpuArray<Worker> = PerCpuArray::with_max_entries(1, 0);
/// The flows of each worker, one worker's after the other's. Not used for a port's single flow.
#[map]
static FLOWS: Array<Flow> = Array::with_max_entries(1, MAPPED);

/// Reads `.rodata` so that the compiler does not put the initial value in its place.
struct Rodata;

impl Rodata {
    #[inline(always)]
    fn load<T: Copy>(place: &T) -> T {
        // SAFETY: a reference to an initialised static.
        unsafe { core::ptr::read_volatile(place) }
    }
}

#[inline(always)]
fn this_worker() -> Option<&'static mut Worker> {
    worker_at(Rodata::load(&PLACE))
}

/// The worker on this CPU of the port with this place.
#[inline(always)]
fn worker_at(place: u32) -> Option<&'static mut Worker> {
    let worker = WORKERS.get_ptr_mut(place)?;
    // SAFETY: a per-CPU entry, and live frames run with migration and softirqs held off: nobody
    // else has it; map memory outlives the program.
    Some(unsafe { &mut *worker })
}

#[inline(always)]
fn aborted(worker: &mut Worker) -> u32 {
    worker.counts.aborted += 1;
    XDP_DROP
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
