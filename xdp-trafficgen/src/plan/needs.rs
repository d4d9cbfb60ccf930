//! What a port takes of the machine: memory of the kernel for its maps and programs, the same
//! tables in this process, and file descriptors. Worked out from the plan, so that what does not
//! fit is refused before anything is loaded.

use xdp_trafficgen_ebpf::abi::{
    BODY_LEN, Body, Drops, Flow as FlowState, FlowDrops, HeaderState, LINE_LEN, ROW_TABLE_LINES,
    Schedule, Word128, Worker,
    timing::{Calendar, EXPONENTIALS, Lateness, Segment, Stream, WorkerClock},
};

pub use super::memory::in_words;
use super::{
    Pacing, Program,
    memory::{entries, table},
};

/// What something takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Bytes of the kernel's memory.
    pub kernel: u64,
    /// Bytes of this process's memory that hold the same tables.
    pub tables: u64,
    /// File descriptors, while frames are sent.
    pub descriptors: u64,
    /// How many more there are while it is loaded. `run` loads one port after the other.
    pub loading: u64,
}

/// Measured on Linux 6.18, as what the maps and programs of a port of one flow come to (`memlock`
/// of their fdinfo) beyond the tables counted one by one.
const REST_OF_GROUP: u64 = 400 << 10;
/// Descriptors of a port: its program, the maps and the link beside it, and its anchor's namespace;
/// then one for each of its workers, and one for the array of programs where there are several
/// groups. Counted in /proc/PID/fd.
const DESCRIPTORS_OF_PORT: u64 = 6;
/// How many more a port's first group takes while it is loaded, and each after it, with all of
/// their maps: found by the lowest limit with which a run succeeds.
const DESCRIPTORS_TO_LOAD: u64 = 20;
const DESCRIPTORS_TO_LOAD_GROUP: u64 = 28;
/// Descriptors of what all ports have in common: counted too.
const DESCRIPTORS_OF_PROCESS: u64 = 20;

impl Needs {
    /// Of a port with so many workers, each of which hands the kernel so many frames at once, on a
    /// machine that may have so many CPUs.
    pub(super) fn of(
        program: &Program,
        pacing: Option<&Pacing>,
        workers: usize,
        batch_size: u32,
        possible_cpus: usize,
    ) -> Self {
        // Every field, so that none is forgotten.
        let Program {
            generator: _,
            groups,
            rows: _,
            row_sizes: _,
            values,
            bodies,
            flow_bodies,
            workers: _,
            flows,
            header_states,
            turns: _,
            frame: _,
        } = program;
        let tables = [
            table::<FlowState>(flows.len()),
            table::<HeaderState>(header_states.len()),
            table::<Word128>(values.len()),
            table::<Body>(flow_bodies.len()),
            entries(bodies.len(), BODY_LEN),
            pacing.map_or(0, of_pacing),
        ];
        let tables: u64 = tables.into_iter().sum();
        let only_kernel = [
            table::<FlowDrops>(flows.len()),
            table::<Schedule>(workers),
            table::<WorkerClock>(workers),
            entries(EXPONENTIALS, size_of::<u64>()),
            pacing.map_or(0, |_| table::<Lateness>(workers * program.turns.len())),
            table::<Drops>(possible_cpus),
            table::<Worker>(possible_cpus),
            // Each object has the row table, whatever its programs make of it.
            entries(groups.len(), ROW_TABLE_LINES * (LINE_LEN + size_of::<u32>())),
            groups.len() as u64 * REST_OF_GROUP,
            // A page for each frame of a batch.
            entries(workers * batch_size as usize, 4096),
        ];
        let further_groups = (groups.len() as u64).saturating_sub(1);
        Self {
            kernel: tables + only_kernel.into_iter().sum::<u64>(),
            tables,
            descriptors: DESCRIPTORS_OF_PORT + workers as u64 + further_groups.min(1),
            loading: DESCRIPTORS_TO_LOAD + further_groups * DESCRIPTORS_TO_LOAD_GROUP,
        }
    }

    /// Both together, loaded one after the other.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            kernel: self.kernel + other.kernel,
            tables: self.tables + other.tables,
            descriptors: self.descriptors + other.descriptors,
            loading: if self.loading > other.loading { self.loading } else { other.loading },
        }
    }

    /// Descriptors that a process with nothing but this has open at most.
    pub const fn most_descriptors(&self) -> u64 {
        DESCRIPTORS_OF_PROCESS + self.descriptors + self.loading
    }

    /// All of its memory.
    pub const fn memory(&self) -> u64 {
        self.kernel + self.tables
    }
}

fn of_pacing(pacing: &Pacing) -> u64 {
    let Pacing {
        streams: _,
        departures,
        segments,
        calendars,
        give_up: _,
        late: _,
        peak: _,
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

    /// Ports stay, and are loaded one at a time.
    #[test]
    fn many_ports_take_the_descriptors_of_loading_once() {
        let small = Needs { descriptors: 8, loading: 20, ..Needs::default() };
        let large = Needs { descriptors: 9, loading: 48, ..Needs::default() };
        let all = [small, large, small].into_iter().fold(Needs::default(), Needs::and);
        assert_eq!((all.descriptors, all.loading), (25, 48));
        assert_eq!(all.most_descriptors(), DESCRIPTORS_OF_PROCESS + 25 + 48);
    }

    #[test]
    fn what_does_not_fit_is_refused_at_its_place() {
        const LONG: &str = "packet = [{ ethernet = { dst = '02:00:00:00:00:02' } }, { ipv4 = {} }, \
                            { udp = { dst_port = { increment = { start = 1024, count = 60000 } } } }]";
        let with = |memory| {
            let mut facts = facts();
            facts.system.memory = memory;
            planned("interface = 'veth0'", LONG, &facts, DefaultRoute::Refuse)
        };
        let needs = with(None).unwrap().ports[0].needs;
        assert_eq!(with(Some(needs.memory())).unwrap().ports[0].needs, needs);
        // One byte less does not do; tables that are larger are reported before they are made.
        for memory in [needs.memory() - 1, 2 * 2352 - 1] {
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
