//! Compiles a port's flows: into groups, each with a program specialised for it, and the tables
//! that groups share.
//!
//! A flow whose sequence soon starts again is recorded once, and the program only copies its rows.
//! With the program alone, this takes 2 to 3 ns on top of a bare redirect's 6 to 7 ns, for any
//! number of varying fields, and 5 ns with VXLAN's two lines. Working headers out takes 8 ns for
//! one port, 14 for both addresses and both ports, 23 for eight fields and for VXLAN. All recorded
//! flows are one group, whatever their headers. Flows that are worked out are a group when the same
//! fields vary at the same offsets; their values differ.

use std::collections::BTreeMap;

use xdp_trafficgen_ebpf::abi::{
    Body, Checksum, Field, Flow as FlowState, Generator, Group, HeaderState, LINE_LEN, Line,
    MAX_CHECKSUMS, MAX_FIELDS, MAX_GROUPS, MAX_LINES, ROW_TABLE_LINES, RowCursor, Word128, Worker,
    WorkerSpec, make, path, timing, turn,
};

use super::{
    Pacing, memory,
    rows::{self, line_count},
    size_table,
    slots::{Slots, ValueTable, slots, small, written},
};
use crate::{
    config::{Action, Diagnostic, Flow},
    packet::Template,
    units::Nanos,
};

/// The constants that the verifier specialises a port's programs for, and the initial contents of
/// its maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Constants of all of the port's programs.
    pub generator: Generator,
    /// The groups, each with a program; at least one.
    pub groups: Vec<Group>,
    /// The first bytes of all frames of the recorded flows, at most [`ROW_TABLE_LINES`] lines.
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

/// A flow that is compiled, and not yet in a group.
struct Compiled {
    slots: Slots,
    /// The template, as long as the port's frame.
    bytes: Vec<u8>,
    /// Bytes on the wire without FCS, at most.
    len: usize,
    /// Bytes from the frame's start that hold all headers and all varying fields.
    written: usize,
    sized: bool,
    /// Frames to record; none when there are too many.
    period: Option<u64>,
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
    /// The CPU of each worker: worker w of n sends frames w, w + n, w + 2·n, … of each flow, so
    /// that any number of workers sends the same frames.
    pub(super) cpus: &'a [u32],
    pub(super) cut: FrameBounds,
    /// When frames leave; none: at full speed.
    pub(super) pacing: Option<&'a Pacing>,
    pub(super) limits: Limits,
}

/// Compiles a port's flows.
///
/// # Errors
/// When more of a flow varies than the program has room for, or the tables are larger than memory.
pub(super) fn compile(request: &Request<'_>) -> Result<Program, Vec<Diagnostic>> {
    let &Request { sources, cpus, cut, limits: Limits { largest_frame, memory }, .. } = request;
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
    let states = assembled.first_row.iter().filter(|row| row.is_none()).count();
    let needed = memory::of_header_states(states, cpus.len());
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

/// Lets all flows write as many bytes as the one with the longest headers, where that makes bodies
/// unnecessary: a flow that wrote fewer would leave a part of another flow's headers, from the
/// page's earlier frame, after its own.
fn write_alike(flows: &mut [Compiled]) {
    let widest = flows.iter().map(Compiled::filled).max().unwrap_or(0);
    if are_alike(flows, |_| widest) {
        for flow in flows {
            flow.written = widest;
        }
    }
}

/// Whether every page holds the right bytes after the written ones, whichever flow's frame it held
/// before.
fn are_alike(flows: &[Compiled], written: impl Fn(usize) -> usize) -> bool {
    let Some(longest) = longest(flows) else { return true };
    let widest = (0..flows.len()).map(&written).max().unwrap_or(0);
    (0..).zip(flows).all(|(index, flow)| {
        flow.len <= written(index)
            || (written(index) == widest
                && flow.bytes[widest..flow.len] == longest.bytes[widest..flow.len])
    })
}

fn longest(flows: &[Compiled]) -> Option<&Compiled> {
    flows.iter().max_by_key(|flow| flow.len)
}

/// Recorded rows and the flows that have them.
struct Assembly {
    values: Vec<Word128>,
    /// The first line of each flow's rows.
    first_row: Vec<Option<u32>>,
    /// Bytes of a row.
    written: usize,
    rows: Vec<Line>,
    row_sizes: Vec<u32>,
}

impl Assembly {
    /// Records as many flows as the row table has room for, short ones first.
    fn new(flows: &[Compiled], values: Vec<Word128>) -> Self {
        let mut candidates: Vec<(u64, usize)> =
            (0..).zip(flows).filter_map(|(index, flow)| Some((flow.period?, index))).collect();
        candidates.sort_unstable();
        let fits = |candidates: &[(u64, usize)]| {
            let written =
                candidates.iter().map(|&(_, index)| flows[index].written).max().unwrap_or(0);
            let lines = line_count(written.next_multiple_of(4)) as u64;
            candidates
                .iter()
                .fold(0u64, |sum, (period, _)| sum.saturating_add(period.saturating_mul(lines)))
                <= ROW_TABLE_LINES as u64
        };
        // `fits` is monotonic: a prefix of candidates that fit fits too.
        let count = (0..=candidates.len())
            .collect::<Vec<_>>()
            .partition_point(|&count| fits(&candidates[..count]));
        candidates.truncate(count.saturating_sub(1));
        let written = candidates.iter().map(|&(_, index)| flows[index].written).max().unwrap_or(0);
        let mut assembly = Self {
            values,
            first_row: vec![None; flows.len()],
            written: written.next_multiple_of(4),
            rows: Vec::new(),
            row_sizes: Vec::new(),
        };
        candidates.sort_by_key(|&(_, index)| index);
        for (period, index) in candidates {
            let flow = &flows[index];
            assembly.first_row[index] = Some(small(assembly.rows.len()));
            let (rows, sizes) = rows::record(
                &flow.group(),
                flow.header_state(0, 1),
                &assembly.values,
                &flow.bytes,
                assembly.written,
                period,
            );
            assembly.rows.extend(rows);
            // A flow of one size may share the group with flows of several, so its rows have their
            // size too.
            assembly.row_sizes.extend(
                sizes.into_iter().map(|size| if size == 0 { small(flow.len) } else { size }),
            );
        }
        assembly
    }

    /// Makes the groups and the initial state of all workers.
    ///
    /// # Errors
    /// The first flow for which no group is left.
    fn finish(self, flows: &[Compiled], request: &Request<'_>) -> Result<Program, usize> {
        let &Request { action, cpus, pacing, .. } = request;
        let mut groups: Vec<Group> = Vec::new();
        let mut group_of = Vec::new();
        for (index, flow) in flows.iter().enumerate() {
            let group = match self.first_row[index] {
                Some(_) => {
                    Group { make: make::COPY, words: self.written as u64 / 4, ..Group::NONE }
                }
                None => flow.group(),
            };
            let same = |other: &Group| match group.make {
                make::COPY => other.make == make::COPY,
                _ => *other == group,
            };
            let number = groups.iter().position(same).unwrap_or_else(|| {
                groups.push(group);
                groups.len() - 1
            });
            if number >= MAX_GROUPS {
                return Err(index);
            }
            groups[number].sized |= u32::from(flow.sized);
            group_of.push(number);
        }
        let frame = longest(flows).map_or_else(Vec::new, |flow| flow.bytes.clone());
        let written = |number: usize| written_bytes(&groups[group_of[number]]);
        let alike = are_alike(flows, written);
        let mut bodies: Vec<Vec<u8>> = Vec::new();
        let mut flow_bodies = Vec::new();
        if !alike {
            let mut known = BTreeMap::new();
            for (index, flow) in flows.iter().enumerate() {
                let body = &flow.bytes[written(index).min(flow.len)..flow.len];
                let number = *known.entry(body).or_insert_with(|| {
                    bodies.push(body.to_vec());
                    bodies.len() - 1
                });
                flow_bodies.push(Body { entry: small(number), len: small(body.len()) });
            }
            for group in &mut groups {
                group.bodies = 1;
            }
        }

        let stride = cpus.len() as u64;
        let lines = line_count(self.written) as u64;
        let has_state = |index: &usize| self.first_row[*index].is_none();
        let state_count = (0..flows.len()).filter(has_state).count() as u64;
        let states_before: Vec<u64> = (0..flows.len())
            .scan(0, |count, index| {
                let before = *count;
                *count += u64::from(has_state(&index));
                Some(before)
            })
            .collect();
        let state = |worker: u64| {
            let first_row = &self.first_row;
            let states_before = &states_before;
            flows.iter().enumerate().map(move |(index, flow)| {
                let (Some(base), Some(period)) = (first_row[index], flow.period) else {
                    return FlowState::of_header_state(worker * state_count + states_before[index]);
                };
                let base = u64::from(base);
                let line = |frames: u64| frames * lines;
                FlowState::of_rows(RowCursor {
                    next: base + line(worker % period),
                    limit: base + line(period - 1),
                    span: line(period),
                    advance: line(stride % period),
                })
            })
        };
        let single = flows.len() == 1;
        let workers = (0..).zip(cpus).map(|(index, &cpu)| {
            let first_flow = if single { index } else { index * small(flows.len()) };
            let only = if single {
                state(index.into()).next().unwrap_or_default()
            } else {
                FlowState::default()
            };
            (
                cpu,
                Worker {
                    spec: WorkerSpec { index, first_flow, ..Worker::NEW.spec },
                    only,
                    ..Worker::NEW
                },
            )
        });
        let each_worker = || 0..stride;
        let turns =
            group_of.iter().enumerate().map(|(flow, &group)| turn(small(group), small(flow)));
        if let [group @ Group { make: make::COPY, bodies: 0, .. }] = &mut groups[..]
            && action == Action::Redirect
        {
            group.path = match (single, group.sized) {
                (true, 0) if self.written <= LINE_LEN => path::ONE_LINE,
                (true, 1) => path::SIZES,
                (false, 0) => path::FLOWS,
                _ => path::ANY,
            };
        }
        Ok(Program {
            generator: Generator {
                action: xdp_action(action),
                flow_count: small(flows.len()),
                group_count: small(groups.len()),
                frame_len: small(frame.len()),
                stride,
                pacing: pacing.map_or(timing::pacing::NONE, |pacing| pacing.streams.code()),
                kinds: pacing.map_or(0, Pacing::kinds),
                late: pacing.map_or(0, |pacing| Nanos::from(pacing.late).get()),
                give_up: pacing.map_or(0, |pacing| Nanos::from(pacing.give_up).get()),
            },
            bodies,
            flow_bodies,
            workers: workers.collect(),
            flows: if single { Vec::new() } else { each_worker().flat_map(state).collect() },
            header_states: each_worker()
                .flat_map(|worker| {
                    let with_state = flows.iter().enumerate().filter(|(index, _)| has_state(index));
                    with_state.map(move |(_, flow)| flow.header_state(worker, stride))
                })
                .collect(),
            turns: turns.collect(),
            groups,
            rows: self.rows,
            row_sizes: self.row_sizes,
            values: self.values,
            frame,
        })
    }
}

/// Bytes that a group writes in every repetition.
#[expect(clippy::cast_possible_truncation, reason = "at most the bytes of `MAX_LINES` lines")]
const fn written_bytes(group: &Group) -> usize {
    4 * group.words as usize
}

impl Compiled {
    /// Bytes written in every repetition: a multiple of four.
    const fn filled(&self) -> usize {
        self.written.next_multiple_of(4)
    }

    /// The group of flows like this one, whose headers are worked out.
    fn group(&self) -> Group {
        let mut fields = [Field::NONE; MAX_FIELDS];
        for (slot, (field, ..)) in fields.iter_mut().zip(&self.slots.fields) {
            *slot = *field;
        }
        let mut checksums = [Checksum::NONE; MAX_CHECKSUMS];
        for (slot, (checksum, _)) in checksums.iter_mut().zip(&self.slots.checksums) {
            *slot = *checksum;
        }
        Group {
            path: path::ANY,
            make: make::WORK_OUT,
            sized: u32::from(self.sized),
            bodies: 0,
            checksum_count: small(self.slots.checksums.len()),
            words: self.filled() as u64 / 4,
            reserved: 0,
            fields,
            checksums,
        }
    }

    /// The initial header state of one worker.
    fn header_state(&self, first: u64, stride: u64) -> HeaderState {
        let mut state = HeaderState {
            first,
            header: rows::lines(&self.bytes[..self.filled()]),
            ..HeaderState::NONE
        };
        for (param, (_, sequence, fixed)) in state.params.iter_mut().zip(&self.slots.fields) {
            *param = sequence.param(first, stride).with_fixed(Word128::new(*fixed));
        }
        for (base, (_, sum)) in state.bases.iter_mut().zip(&self.slots.checksums) {
            *base = *sum;
        }
        state
    }
}

/// `enum xdp_action` (include/uapi/linux/bpf.h).
const fn xdp_action(action: Action) -> u32 {
    match action {
        Action::Drop => 1,
        Action::Pass => 2,
        Action::Tx => 3,
        Action::Redirect => 4,
    }
}
