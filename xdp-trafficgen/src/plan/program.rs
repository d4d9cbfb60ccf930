//! Compiles a port's flows: into the rows of each, and the tables that they share.

mod bodies;

use std::{collections::BTreeMap, ops::Range};

use xdp_trafficgen_ebpf::abi::{
    BLOCK_REGISTERS, Body, Effect, Flow as FlowState, Generator, ListEntry, MAX_BLOCKS, MAX_PICKS,
    MAX_WRITTEN, PickSet, ROW_WORDS, RegisterBlock, Row, RowCursor, Worker, WorkerSpec, path,
    timing,
};

use self::bodies::{Bodies, are_alike};
use super::{
    Pacing, memory,
    rows::{FlowRows, Form, Layout, LongRow, MAX_ROW_WORDS, Tables, are_draws},
    shares::Shares,
    size_table,
    varying::{small, varying, written},
};
use crate::{
    config::{Action, Diagnostic, Flow},
    packet::Template,
    units::Nanos,
};

/// The constants that the verifier specialises a port's program for, and the initial contents of
/// its maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Constants of the port's program.
    pub generator: Generator,
    /// The rows of each worker, one worker's after the other's.
    pub rows: Rows,
    /// The registers of all rows, as many blocks for each.
    pub registers: Vec<RegisterBlock>,
    /// What registers do when they start again.
    pub effects: Vec<Effect>,
    /// The picks of flows.
    pub pick_sets: Vec<PickSet>,
    /// Entries of the lists that picks look up.
    pub lists: Vec<ListEntry>,
    /// The bytes after the written ones, where flows differ in them; else empty.
    pub bodies: Vec<Vec<u8>>,
    /// Each flow's entry among the bodies; empty where they do not differ.
    pub flow_bodies: Vec<Body>,
    /// Each worker's initial state, by CPU.
    pub workers: BTreeMap<u32, Worker>,
    /// The flows of each worker, one worker's after the other's; empty for a single flow, which is
    /// part of its worker.
    pub flows: Vec<FlowState>,
    /// The frame that every repetition starts from: the longest, with spare bytes where frames are
    /// cut.
    pub frame: Vec<u8>,
}

/// Rows in the form that has room for their words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Seven words.
    Short(Vec<Row<{ ROW_WORDS[0] }>>),
    /// Fifteen.
    Middle(Vec<Row<{ ROW_WORDS[1] }>>),
    /// Forty-seven.
    Long(Vec<Row<{ ROW_WORDS[2] }>>),
}

impl Rows {
    /// The form with room for so many words.
    const fn with_room(words: usize) -> Self {
        match words {
            _ if words <= ROW_WORDS[0] => Self::Short(Vec::new()),
            _ if words <= ROW_WORDS[1] => Self::Middle(Vec::new()),
            _ => Self::Long(Vec::new()),
        }
    }

    fn push(&mut self, row: &LongRow) {
        match self {
            Self::Short(rows) => rows.push(shortened(row)),
            Self::Middle(rows) => rows.push(shortened(row)),
            Self::Long(rows) => rows.push(*row),
        }
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        match self {
            Self::Short(rows) => rows.len(),
            Self::Middle(rows) => rows.len(),
            Self::Long(rows) => rows.len(),
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Words of each.
    pub const fn words(&self) -> usize {
        match self {
            Self::Short(_) => ROW_WORDS[0],
            Self::Middle(_) => ROW_WORDS[1],
            Self::Long(_) => ROW_WORDS[2],
        }
    }

    /// Bytes of each.
    pub(super) const fn row_len(&self) -> usize {
        16 + 16 * self.words()
    }
}

fn shortened<const WORDS: usize>(row: &LongRow) -> Row<WORDS> {
    let words = |all: &[u64; MAX_ROW_WORDS]| std::array::from_fn(|word| all[word]);
    Row {
        lead: row.lead,
        size: row.size,
        run: row.run,
        words: words(&row.words),
        clock: row.clock,
        deltas: words(&row.deltas),
    }
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

/// The least that is written: what a pick loads and stores at once.
const LEAST_WRITTEN: usize = 8;

/// The limits of this machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes of the largest frame; none when it is not known.
    pub(super) largest_frame: Option<usize>,
    /// Bytes of memory that can be had; none when it is not known.
    pub(super) memory: Option<u64>,
}

/// A port's flows, and what else their program depends on.
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
    let &Request { sources, cut, limits: Limits { largest_frame, .. }, .. } = request;
    let longest = sources.iter().map(|source| source.template.bytes.len()).max().unwrap_or(0);
    // The written bytes are an even number, which may exceed the shortest frame.
    let filled = |source: &Source<'_>| {
        written(source.flow, &source.template).max(LEAST_WRITTEN).next_multiple_of(2)
    };
    let needed = sources.iter().map(filled).max().unwrap_or(0);
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
    let forms = forms(sources, frame_len)?;
    let layout = Layout::new(needed, |bytes| {
        forms.iter().any(|form| grows_within(form, &(8 * bytes.start..8 * bytes.end)))
    });
    assemble(request, &forms, &layout, frame_len)
}

/// How each flow's frames are made.
fn forms(sources: &[Source<'_>], frame_len: usize) -> Result<Vec<Form>, Vec<Diagnostic>> {
    let mut wrong = Vec::new();
    let mut forms = Vec::new();
    for Source { flow, template } in sources {
        let written = written(flow, template);
        if written > MAX_WRITTEN {
            let message = format!(
                "what varies, lengths and checksums reach to byte {written}, beyond the {MAX_WRITTEN} that can be written"
            );
            wrong.push(
                Diagnostic::new(&flow.name.place, message)
                    .help("let it vary further in front, or set the lengths and checksums behind"),
            );
            continue;
        }
        match varying(flow, template, frame_len) {
            Ok(varying) => {
                let form = Form::new(varying, template.bytes.len(), sources.len());
                forms.push(form);
            }
            Err(diagnostic) => wrong.push(diagnostic),
        }
    }
    if wrong.is_empty() { Ok(forms) } else { Err(wrong) }
}

/// Whether something counts within these bits.
fn grows_within(form: &Form, bits: &Range<usize>) -> bool {
    form.counted().any(|(start, end)| start < bits.end && bits.start < end)
}

fn assemble(
    request: &Request<'_>,
    forms: &[Form],
    layout: &Layout,
    frame_len: usize,
) -> Result<Program, Vec<Diagnostic>> {
    let &Request { sources, action, cpus, pacing, limits, .. } = request;
    let unwritten = forms.iter().map(Form::unwritten).max().unwrap_or(0);
    let mut rows = Rows::with_room(layout.first_unwritten() + unwritten);
    let shares = request.shares();
    let mut tables = Tables::default();
    let mut flows = Vec::new();
    let mut wrong = Vec::new();
    let (mut blocks, mut count) = (0, 0u64);
    for (number, (Source { flow, .. }, form)) in sources.iter().zip(forms).enumerate() {
        let sharers = shares.count(number) as u64;
        match FlowRows::new(form, layout, sharers, &mut tables) {
            Ok(of_flow) => {
                blocks = blocks.max(of_flow.register_count().div_ceil(BLOCK_REGISTERS));
                if blocks > MAX_BLOCKS as usize {
                    wrong.push(too_much_counts(flow));
                }
                count = count.saturating_add(sharers * form.rows(sharers));
                flows.push(of_flow);
            }
            Err(full) => wrong.push(full.diagnostic(flow)),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let each = rows.row_len() + blocks * size_of::<RegisterBlock>();
    let needed = count.saturating_mul(2 * each as u64);
    if let (Some(memory), Some(Source { flow, .. })) =
        (limits.memory.filter(|&memory| memory < needed), sources.first())
    {
        return Err(vec![memory::too_much(&flow.port.place, needed, memory)]);
    }
    let (mut registers, mut states) = (Vec::new(), Vec::new());
    for worker in 0..cpus.len() {
        for (number, (form, of_flow)) in forms.iter().zip(&flows).enumerate() {
            // A worker that does not send a flow has nothing of it.
            let Some(share) = shares.of(worker, number) else {
                states.push(FlowState::NONE);
                continue;
            };
            let first_row = small(rows.len());
            let count = form.rows(share.stride);
            for number in 0..count {
                let first = share.first + share.stride * number;
                rows.push(&of_flow.row(first, blocks, &mut registers));
            }
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            let last = first_row + (count - 1);
            states.push(FlowState {
                rows: RowCursor { next: first_row, last, count, reserved: 0 },
                picks: of_flow.picks,
                ..FlowState::NONE
            });
        }
    }
    let frames: Vec<Vec<u8>> = sources
        .iter()
        .map(|Source { template, .. }| {
            let mut bytes = template.bytes.clone();
            bytes.resize(frame_len, 0);
            bytes
        })
        .collect();
    let lens: Vec<usize> = sources.iter().map(|source| source.template.bytes.len()).collect();
    let Bodies { bodies, of_flow: flow_bodies } = if are_alike(&frames, &lens, layout.written) {
        Bodies::default()
    } else {
        Bodies::of(&frames, &lens, layout.written)
    };
    let single = sources.len() == 1;
    let by_cpu = (0..).zip(cpus).map(|(index, &cpu)| {
        let spec =
            WorkerSpec { index, first_flow: index * small(sources.len()), ..Worker::NEW.spec };
        let only = if single {
            states.get(index as usize).copied().unwrap_or_default()
        } else {
            FlowState::NONE
        };
        (cpu, Worker { spec, only, ..Worker::NEW })
    });
    let workers_by_cpu = by_cpu.collect();
    let longest = (0..frames.len()).max_by_key(|&index| lens[index]).unwrap_or(0);
    let sized =
        lens.iter().any(|&len| len != frame_len) || forms.iter().any(|form| form.has_size());
    // An end of 0 says that no row has registers. Those of lists alone make no word a number.
    let numbers = match (layout.numbers.is_empty(), blocks) {
        (true, 0) => 0..0,
        (true, _) => 1..1,
        _ => small(layout.numbers.start)..small(layout.numbers.end),
    };
    let draws = tables.picks > 0
        && matches!(&tables.pick_sets[..], [set] if are_draws(set, tables.picks, tables.checksums));
    let special = sized || tables.picks > 0 || !flow_bodies.is_empty();
    let path = match (action, special || matches!(rows, Rows::Long(_)), single) {
        (Action::Redirect, false, true) => path::ONE,
        (Action::Redirect, false, false) => path::FLOWS,
        _ => path::ANY,
    };
    Ok(Program {
        generator: Generator {
            action: xdp_action(action),
            flow_count: small(sources.len()),
            frame_len: small(frame_len),
            sized: u32::from(sized),
            bodies: u32::from(!flow_bodies.is_empty()),
            written: small(layout.written),
            path,
            register_blocks: small(blocks),
            row_words: small(rows.words()),
            cycles: u32::from(states.iter().any(|state| state.rows.count > 1)),
            first_number: numbers.start,
            numbers_end: numbers.end,
            first_unwritten: small(layout.first_unwritten()),
            unwritten_end: small(layout.first_unwritten() + unwritten),
            picks: small(tables.picks),
            pick_sets: small(tables.pick_sets.len()),
            picked_checksums: small(tables.checksums),
            wide: u32::from(tables.wide),
            draws: u32::from(draws),
            reserved: 0,
            pacing: pacing.map_or(timing::pacing::NONE, |pacing| pacing.streams.code()),
            kinds: pacing.map_or(0, Pacing::kinds),
            late: pacing.map_or(0, |pacing| Nanos::from(pacing.late).get()),
            give_up: pacing.map_or(0, |pacing| Nanos::from(pacing.give_up).get()),
        },
        rows,
        registers,
        effects: tables.effects,
        pick_sets: tables.pick_sets,
        lists: tables.lists,
        bodies,
        flow_bodies,
        workers: workers_by_cpu,
        flows: if single { Vec::new() } else { states },
        frame: frames.into_iter().nth(longest).unwrap_or_default(),
    })
}

fn too_much_counts(flow: &Flow) -> Diagnostic {
    Diagnostic::new(&flow.name.place, "more of it counts than a row has registers for")
        .help(format!("give some of its fields a single value; picks are limited to {MAX_PICKS}"))
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
