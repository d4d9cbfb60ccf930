//! Loads the object for a port's flows, specialised for them, and fills its maps.

use std::io;

use aya::Pod;
use xdp_trafficgen_ebpf::abi::{BODY_LEN, PickSet, timing::EXPONENTIALS};

use crate::{
    kernel::{
        KernelError,
        listener::PortSlot,
        mapped::Mapped,
        object::{Loader, Object},
    },
    plan::{Pacing, Program, Rows},
};

/// The object specialised for a port. Its programs are not loaded yet.
pub(super) fn load_object(
    program: &Program,
    pacing: Option<&Pacing>,
    place: Option<&PortSlot>,
) -> Result<Object, KernelError> {
    let Program {
        generator,
        rows,
        registers,
        effects,
        pick_sets,
        lists,
        bodies,
        flow_bodies,
        workers,
        flows,
        frame: _,
    } = program;
    let only_picks = match pick_sets.as_slice() {
        [only] => *only,
        _ => PickSet::NONE,
    };
    let mut loader = Loader::new();
    loader
        .constant("GENERATOR", generator)
        .constant("PICK_SET", &only_picks)
        .entries("SCHEDULES", entries(workers.len())?)
        .entries("FLOWS", entries(flows.len())?)
        .entries("FLOW_DROPS", entries(flows.len())?)
        .entries(row_table(rows), entries(rows.len())?)
        .entries("REGISTERS", entries(registers.len())?)
        .entries("EFFECTS", entries(effects.len())?)
        .entries("PICK_SETS", entries(pick_sets.len())?)
        .entries("LISTS", entries(lists.len())?)
        .entries("FLOW_BODIES", entries(flow_bodies.len())?)
        .entries("BODIES", entries(bodies.len())?)
        .entries("WORKER_CLOCKS", entries(workers.len())?)
        .entries("GATES", entries(workers.len())?)
        .entries("STREAMS", entries(pacing.map_or(0, |pacing| pacing.departures.len()))?)
        .entries("SEGMENTS", entries(pacing.map_or(0, |pacing| pacing.segments.len()))?)
        .entries("CALENDARS", entries(pacing.map_or(0, |pacing| pacing.calendars.len()))?)
        .entries("EXPONENTIAL", entries(EXPONENTIALS)?)
        .entries("LATENESS", entries(generator.sharing_flows() as usize * workers.len())?);
    if let Some(place) = place {
        place.share(&mut loader);
    }
    loader.load()
}

/// The table of rows in this form.
const fn row_table(rows: &Rows) -> &'static str {
    match rows {
        Rows::Short(_) => "ROWS_SHORT",
        Rows::Middle(_) => "ROWS_MIDDLE",
        Rows::Long(_) => "ROWS_LONG",
    }
}

/// Writes the rows.
pub(super) fn fill_rows(object: &mut Object, rows: &Rows) -> Result<(), KernelError> {
    let name = row_table(rows);
    match rows {
        Rows::Short(rows) => fill(object, name, rows),
        Rows::Middle(rows) => fill(object, name, rows),
        Rows::Long(rows) => fill(object, name, rows),
    }
}

/// Entries of a map, of which there is one at least.
fn entries(len: usize) -> Result<u32, KernelError> {
    let entries = u32::try_from(len.max(1)).map_err(io::Error::other);
    entries.map_err(|source| KernelError::Syscall { call: "bpf(BPF_MAP_CREATE)", source })
}

/// The object's array, in our memory.
pub(super) fn mapped<T: Pod>(
    object: &mut Object,
    name: &'static str,
) -> Result<Mapped<T>, KernelError> {
    Mapped::of(&object.map(name)?, name)
}

/// Writes the entries of an array. Some are so large that a stack of 2 MiB does not hold several
/// copies of them.
pub(super) fn fill<T: Pod>(
    object: &mut Object,
    name: &'static str,
    entries: &[T],
) -> Result<(), KernelError> {
    if entries.is_empty() {
        return Ok(());
    }
    let table = mapped(object, name)?;
    (0..).zip(entries).try_for_each(|(index, entry)| table.set(index, entry))
}

/// Writes the entries of an array, each of which is made for it.
pub(super) fn fill_with<T: Pod>(
    object: &mut Object,
    name: &'static str,
    entries: impl Iterator<Item = T>,
) -> Result<(), KernelError> {
    let mut entries = (0..).zip(entries).peekable();
    if entries.peek().is_none() {
        return Ok(());
    }
    let table = mapped(object, name)?;
    entries.try_for_each(|(index, entry)| table.set(index, &entry))
}

/// A body of full length.
pub(super) fn padded(body: &[u8]) -> [u8; BODY_LEN] {
    let mut padded = [0; BODY_LEN];
    for (to, from) in padded.iter_mut().zip(body) {
        *to = *from;
    }
    padded
}
