//! What a port takes of the machine: memory of the kernel for its maps and programs, the same
//! tables in this process, and file descriptors. They follow from the plan, so that a plan that
//! does not fit is refused before anything is loaded.

use xdp_trafficgen_ebpf::abi::{
    BODY_LEN, Body, Drops, Effect, Flow as FlowState, FlowDrops, Gate, ListEntry, PickSet,
    RegisterBlock, Schedule, Worker,
    timing::{Calendar, EXPONENTIALS, FlowLateness, Segment, Stream, WorkerClock},
};

pub use super::memory::in_words;
use super::{
    Pacing, Program,
    memory::{entries, table},
};

/// Memory and file descriptors of a port, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Bytes of the kernel's memory.
    pub kernel: u64,
    /// Bytes of this process's memory that hold the same tables.
    pub tables: u64,
    /// File descriptors while frames are sent.
    pub descriptors: u64,
    /// Further file descriptors while a port is loaded. `run` loads one port after the other.
    pub loading: u64,
}

/// The memory of a port's other maps and programs: measured on Linux 6.18 with a port of one flow,
/// as the sum of `memlock` of their fdinfo less the tables that are counted one by one.
const REST_OF_PORT: u64 = 400 << 10;
/// Descriptors of a port, counted in /proc/PID/fd: its program, the two maps beside it, and its
/// anchor's namespace. Each worker has one more.
const DESCRIPTORS_OF_PORT: u64 = 4;
/// Further descriptors of a port while it is loaded, with all of its maps: found by the lowest limit
/// with which a run succeeds.
const DESCRIPTORS_TO_LOAD: u64 = 26;
/// Descriptors that all ports share, counted in /proc/PID/fd.
const DESCRIPTORS_OF_PROCESS: u64 = 16;

impl Needs {
    /// The needs of a port with this number of workers, each of which hands the kernel a batch at
    /// once, on a machine of up to `possible_cpus` CPUs.
    pub(super) fn of(
        program: &Program,
        pacing: Option<&Pacing>,
        workers: usize,
        batch_size: u32,
        possible_cpus: usize,
    ) -> Self {
        // The pattern names every field, so that none is forgotten.
        let Program {
            generator,
            rows,
            registers,
            effects,
            pick_sets,
            lists,
            bodies,
            flow_bodies,
            workers: _,
            flows,
            frame: _,
        } = program;
        let tables = [
            table::<FlowState>(flows.len()),
            entries(rows.len(), rows.row_len()),
            table::<RegisterBlock>(registers.len()),
            table::<Effect>(effects.len()),
            table::<PickSet>(pick_sets.len()),
            table::<ListEntry>(lists.len()),
            table::<Body>(flow_bodies.len()),
            entries(bodies.len(), BODY_LEN),
            pacing.map_or(0, of_pacing),
        ];
        let tables: u64 = tables.into_iter().sum();
        let only_kernel = [
            table::<FlowDrops>(flows.len()),
            table::<Schedule>(workers),
            table::<WorkerClock>(workers),
            table::<Gate>(workers),
            entries(EXPONENTIALS, size_of::<u64>()),
            table::<FlowLateness>(workers * generator.sharing_flows() as usize),
            table::<Drops>(possible_cpus),
            table::<Worker>(possible_cpus),
            REST_OF_PORT,
            // A page for each frame of a batch.
            entries(workers * batch_size as usize, 4096),
        ];
        Self {
            kernel: tables + only_kernel.into_iter().sum::<u64>(),
            tables,
            descriptors: DESCRIPTORS_OF_PORT + workers as u64,
            loading: DESCRIPTORS_TO_LOAD,
        }
    }

    /// The needs of both, loaded one after the other.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            kernel: self.kernel + other.kernel,
            tables: self.tables + other.tables,
            descriptors: self.descriptors + other.descriptors,
            loading: if self.loading > other.loading { self.loading } else { other.loading },
        }
    }

    /// The most descriptors that a process has open for this.
    pub const fn most_descriptors(&self) -> u64 {
        DESCRIPTORS_OF_PROCESS + self.descriptors + self.loading
    }

    /// Memory of the kernel and of this process.
    pub const fn memory(&self) -> u64 {
        self.kernel + self.tables
    }
}

fn of_pacing(pacing: &Pacing) -> u64 {
    let Pacing {
        streams: _,
        departures,
        shares: _,
        segments,
        calendars,
        give_up: _,
        late: _,
        peaks: _,
        steady: _,
        total: _,
        requested: _,
    } = pacing;
    table::<Stream>(departures.len())
        + table::<Segment>(segments.len())
        + table::<Calendar>(calendars.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{
        DefaultRoute,
        tests::{facts, planned},
    };

    /// Ports stay loaded, and are loaded one at a time.
    #[test]
    fn the_descriptors_of_loading_count_once_for_many_ports() {
        let small = Needs { descriptors: 8, loading: 20, ..Needs::default() };
        let large = Needs { descriptors: 9, loading: 48, ..Needs::default() };
        let all = [small, large, small].into_iter().fold(Needs::default(), Needs::and);
        assert_eq!((all.descriptors, all.loading), (25, 48));
        assert_eq!(all.most_descriptors(), DESCRIPTORS_OF_PROCESS + 25 + 48);
    }

    #[test]
    fn ports_larger_than_memory_are_refused_at_their_place() {
        const LONG: &str = "packet = [{ ethernet = { dst = '02:00:00:00:00:02' } }, { ipv4 = {} }, \
                            { udp = { dst_port = { increment = { start = 1024, count = 60000 } } } }]";
        let with = |memory| {
            let mut facts = facts();
            facts.system.memory = memory;
            planned("interface = 'veth0'", LONG, &facts, DefaultRoute::Refuse)
        };
        let needs = with(None).unwrap().ports[0].needs;
        assert_eq!(with(Some(needs.memory())).unwrap().ports[0].needs, needs);
        // One byte less is refused; larger tables are reported before they are made.
        for memory in [needs.memory() - 1, 2 * 2360 - 1] {
            let refused = with(Some(memory)).unwrap_err().to_string();
            assert!(
                refused.contains("its flows and workers take ")
                    && refused.contains(" MB can be had"),
                "{refused}"
            );
            assert!(refused.contains("use fewer flows or CPUs"), "{refused}");
        }
    }
}
