//! Loads the object for each group of a port's flows, specialised for it, and fills its maps.

use std::io;

use aya::{Ebpf, EbpfLoader, Pod, maps::Map, programs::Xdp};
use xdp_trafficgen_ebpf::abi::{BODY_LEN, Group, Line, ROW_TABLE_LINES, timing::EXPONENTIALS};

use crate::{
    kernel::{KernelError, OBJECT, listener::PortSlot, mapped::Mapped, pins::Pins, program_error},
    plan::{Pacing, Program},
};

/// All maps but the constants, which are each group's own.
const SHARED: [&str; 18] = [
    "WORKERS",
    "SCHEDULES",
    "FLOWS",
    "HEADER_STATES",
    "VALUES",
    "FLOW_BODIES",
    "BODIES",
    "PROGRAMS",
    "EGRESS",
    "DROPS",
    "FLOW_DROPS",
    "WORKER_CLOCKS",
    "STREAMS",
    "SEGMENTS",
    "EXPONENTIAL",
    "CALENDARS",
    "LATENESS",
    "STOP",
];

/// Loads the object specialised for one group. Its programs are not loaded yet.
pub(super) fn load_group(
    program: &Program,
    pacing: Option<&Pacing>,
    group: &Group,
    pins: Option<&Pins>,
    place: Option<&PortSlot>,
) -> Result<Ebpf, KernelError> {
    let Program {
        generator,
        rows,
        row_sizes,
        values,
        bodies,
        flow_bodies,
        workers,
        flows,
        header_states,
        ..
    } = program;
    let mut row_table = rows.clone();
    row_table.resize(ROW_TABLE_LINES, Line::default());
    let mut size_table = row_sizes.clone();
    size_table.resize(ROW_TABLE_LINES, 0);
    let mut loader = EbpfLoader::new();
    loader
        .override_global("GENERATOR", generator, true)
        .override_global("GROUP", group, true)
        .override_global("ROWS", row_table.as_flattened(), true)
        .override_global("ROW_SIZES", size_table.as_slice(), true)
        .map_max_entries("SCHEDULES", entries(workers.len())?)
        .map_max_entries("FLOWS", entries(flows.len())?)
        .map_max_entries("FLOW_DROPS", entries(flows.len())?)
        .map_max_entries("HEADER_STATES", entries(header_states.len())?)
        .map_max_entries("VALUES", entries(values.len())?)
        .map_max_entries("FLOW_BODIES", entries(flow_bodies.len())?)
        .map_max_entries("BODIES", entries(bodies.len())?)
        .map_max_entries("WORKER_CLOCKS", entries(workers.len())?)
        .map_max_entries("STREAMS", entries(pacing.map_or(0, |pacing| pacing.departures.len()))?)
        .map_max_entries("SEGMENTS", entries(pacing.map_or(0, |pacing| pacing.segments.len()))?)
        .map_max_entries("CALENDARS", entries(pacing.map_or(0, |pacing| pacing.calendars.len()))?)
        .map_max_entries("EXPONENTIAL", entries(EXPONENTIALS)?)
        .map_max_entries(
            "LATENESS",
            entries(pacing.map_or(0, |_| workers.len() * program.turns.len()))?,
        );
    if let Some(pins) = pins {
        pins.share(&mut loader, &SHARED);
    }
    if let Some(place) = place {
        place.share(&mut loader);
    }
    Ok(loader.load(OBJECT)?)
}

/// Entries of a map, of which there is one at least.
fn entries(len: usize) -> Result<u32, KernelError> {
    let entries = u32::try_from(len.max(1)).map_err(io::Error::other);
    entries.map_err(|source| KernelError::Syscall { call: "bpf(BPF_MAP_CREATE)", source })
}

pub(super) fn xdp_of<'a>(
    object: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut Xdp, KernelError> {
    object
        .program_mut(name)
        .ok_or(KernelError::Missing(name))?
        .try_into()
        .map_err(program_error(name))
}

/// The first object's map: of shared ones, all objects have the same.
pub(super) fn take(objects: &mut [Ebpf], name: &'static str) -> Result<Map, KernelError> {
    objects.first_mut().and_then(|object| object.take_map(name)).ok_or(KernelError::Missing(name))
}

/// The first object's array, in our memory.
pub(super) fn mapped<T: Pod>(
    objects: &[Ebpf],
    name: &'static str,
) -> Result<Mapped<T>, KernelError> {
    Mapped::of(map(objects, name)?, name)
}

/// The first object's map.
pub(super) fn map<'a>(objects: &'a [Ebpf], name: &'static str) -> Result<&'a Map, KernelError> {
    objects.first().and_then(|object| object.map(name)).ok_or(KernelError::Missing(name))
}

/// Writes the entries of an array.
pub(super) fn fill<T: Pod>(
    objects: &[Ebpf],
    name: &'static str,
    entries: impl Iterator<Item = T>,
) -> Result<(), KernelError> {
    let mut entries = (0..).zip(entries).peekable();
    if entries.peek().is_none() {
        return Ok(());
    }
    let table = mapped(objects, name)?;
    for (index, entry) in entries {
        table.set(index, &entry)?;
    }
    Ok(())
}

/// A body of full length.
pub(super) fn padded(body: &[u8]) -> [u8; BODY_LEN] {
    let mut padded = [0; BODY_LEN];
    for (to, from) in padded.iter_mut().zip(body) {
        *to = *from;
    }
    padded
}
