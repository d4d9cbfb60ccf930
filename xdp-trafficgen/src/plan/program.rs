//! Compiles a port's flows: into groups, each with a program specialised for it, and the tables
//! that groups share.
//!
//! A flow whose sequence soon starts again is recorded once, and the program only copies its rows.
//! With the program alone, this takes 2 to 3 ns on top of a bare redirect's 6 to 7 ns, for any
//! number of varying fields, and 5 ns with VXLAN's two lines. Working headers out takes 8 ns for
//! one port, 14 for both addresses and both ports, 23 for eight fields and for VXLAN. All recorded
//! flows are one group, whatever their headers. Flows that are worked out are a group when the same
//! fields vary at the same offsets; their values differ.

mod assembly;
mod compiled;

use std::collections::BTreeMap;

use xdp_trafficgen_ebpf::abi::{
    Body, Flow as FlowState, Generator, Group, HeaderState, LINE_LEN, Line, MAX_GROUPS, MAX_LINES,
    Word128, Worker,
};

use self::{
    assembly::Assembly,
    compiled::{Compiled, write_alike},
};
use super::{
    Pacing, memory,
    shares::Shares,
    size_table,
    slots::{ValueTable, slots, written},
};
use crate::{
    config::{Action, Diagnostic, Flow},
    packet::Template,
};

/// The constants that the verifier specialises a port's programs for, and the initial contents of
/// its maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Constants of all of the port's programs.
    pub generator: Generator,
    /// The groups, each with a program; at least one.
    pub groups: Vec<Group>,
    /// The first bytes of all frames of the recorded flows, at most
    /// [`ROW_TABLE_LINES`](xdp_trafficgen_ebpf::abi::ROW_TABLE_LINES) lines.
    pub rows: Vec<Line>,
    /// The length of the frame whose row starts at each line, without FCS.
    pub row_sizes: Vec<u32>,
    /// Entries of all lists of values.
    pub values: Vec<Word128>,
    /// The bytes after the written ones, where flows differ in them; else empty.
    pub bodies: Vec<Vec<u8>>,
    /// Each flow's entry among the bodies; empty where they do not differ.
    pub flow_bodies: Vec<Body>,
    /// Each worker's initial state, by CPU.
    pub workers: BTreeMap<u32, Worker>,
    /// The flows of each worker, one worker's after the other's; empty for a single flow, which is
    /// part of its worker.
    pub flows: Vec<FlowState>,
    /// The header states of each worker, one worker's after the other's: only of flows whose
    /// headers are worked out.
    pub header_states: Vec<HeaderState>,
    /// The turn of each flow: its entry in a schedule.
    pub turns: Vec<u32>,
    /// The frame that every repetition starts from: the longest, with spare bytes where frames are
    /// cut.
    pub frame: Vec<u8>,
}

/// A flow and its frame, as long as the largest size.
pub(super) struct Source<'a> {
    pub(super) flow: &'a Flow,
    pub(super) template: Template,
}

/// Whether every frame's bounds must be changed, even if all are of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameBounds {
    /// Frames change their bounds only where sizes differ.
    WhereNeeded,
    /// Every frame changes its bounds, since recycled frames with constant bounds arrive corrupted.
    Always,
}

/// Spare bytes after the longest frame that are cut off when every frame must be cut: four are
/// enough (doc/measurements.md#drivers-and-kernels).
pub(super) const CUT_LEN: usize = 4;

/// The limits of this machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes of the largest frame; none when it is not known.
    pub(super) largest_frame: Option<usize>,
    /// Bytes of memory that can be had; none when it is not known.
    pub(super) memory: Option<u64>,
}

/// A port's flows, and what else their programs depend on.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    /// The flows, at least one.
    pub(super) sources: &'a [Source<'a>],
    /// What the program does with a frame.
    pub(super) action: Action,
    /// The CPU of each worker.
    pub(super) cpus: &'a [u32],
    pub(super) cut: FrameBounds,
    /// When frames leave; none: at full speed.
    pub(super) pacing: Option<&'a Pacing>,
    pub(super) limits: Limits,
}

impl Request<'_> {
    /// Which worker sends which frames of each flow.
    fn shares(&self) -> Shares {
        let all = || Shares::of_all(self.cpus.len());
        self.pacing.map_or_else(all, |pacing| pacing.shares.clone())
    }
}

/// Compiles a port's flows.
///
/// # Errors
/// When more of a flow varies than the program has room for, or the tables are larger than memory.
pub(super) fn compile(request: &Request<'_>) -> Result<Program, Vec<Diagnostic>> {
    let &Request { sources, cut, limits: Limits { largest_frame, memory }, .. } = request;
    let mut wrong = Vec::new();
    let longest = sources.iter().map(|source| source.template.bytes.len()).max().unwrap_or(0);
    // The written bytes are a multiple of four, which may exceed the shortest frame.
    let needed = sources
        .iter()
        .map(|source| written(source.flow, &source.template).next_multiple_of(4))
        .max()
        .unwrap_or(0);
    let whole = longest.max(needed);
    let sized = whole != longest
        || sources.iter().any(|Source { flow, template }| {
            template.bytes.len() != longest || size_table::varies(&flow.size.value)
        });
    // Where some frames are cut, all of them are: the kernel sets a page up anew after its frame
    // was cut, and cannot predict which pages those are (doc/measurements.md#cutting-frames).
    let cut_all = cut == FrameBounds::Always
        || sized && largest_frame.is_none_or(|largest| whole + CUT_LEN <= largest);
    let frame_len = whole + if cut_all { CUT_LEN } else { 0 };

    let mut values = ValueTable::default();
    let mut compiled = Vec::new();
    for Source { flow, template } in sources {
        let len = template.bytes.len();
        let sized = len != frame_len || size_table::varies(&flow.size.value);
        let written = written(flow, template);
        if written > MAX_LINES * LINE_LEN {
            let room = MAX_LINES * LINE_LEN;
            let message = format!(
                "what varies, lengths and checksums reach to byte {written}, beyond the {room} that can be written"
            );
            wrong.push(
                Diagnostic::new(&flow.name.place, message)
                    .help("let it vary further in front, or set the lengths and checksums behind"),
            );
            continue;
        }
        match slots(flow, template, frame_len, &mut values) {
            Ok(slots) => {
                let mut bytes = template.bytes.clone();
                bytes.resize(frame_len, 0);
                let period = slots.period();
                compiled.push(Compiled { slots, written, bytes, len, sized, period });
            }
            Err(diagnostic) => wrong.push(diagnostic),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    write_alike(&mut compiled);
    let assembled = Assembly::new(&compiled, values.into_entries());
    let shares = request.shares();
    let rows = assembled.first_row.iter().enumerate();
    let states = rows.filter(|(_, row)| row.is_none()).map(|(flow, _)| shares.count(flow)).sum();
    let needed = memory::of_header_states(states);
    if let (Some(memory), Some(Source { flow, .. })) =
        (memory.filter(|&memory| memory < needed), sources.first())
    {
        return Err(vec![memory::too_much(&flow.port.place, needed, memory)]);
    }
    assembled.finish(&compiled, request).map_err(|flow| {
        let place = &sources[flow].flow.name.place;
        let message =
            format!("flows of more than {MAX_GROUPS} different shapes are too long to be recorded");
        vec![Diagnostic::new(place, message).help("let fewer things vary, or use several ports")]
    })
}
