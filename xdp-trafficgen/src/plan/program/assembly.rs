//! Puts compiled flows together: recorded rows, groups, and the initial state of workers.

use std::collections::BTreeMap;

use xdp_trafficgen_ebpf::abi::{
    Body, Flow as FlowState, Generator, Group, LINE_LEN, Line, MAX_GROUPS, ROW_TABLE_LINES,
    RowCursor, Word128, Worker, WorkerSpec, make, path, timing, turn,
};

use super::{
    Program, Request,
    compiled::{Compiled, are_alike, longest},
};
use crate::{
    config::Action,
    plan::{
        Pacing,
        rows::{self, line_count},
        shares::Share,
        slots::small,
    },
    units::Nanos,
};

/// Recorded rows and the flows that have them.
pub(super) struct Assembly {
    values: Vec<Word128>,
    /// The first line of each flow's rows.
    pub(super) first_row: Vec<Option<u32>>,
    /// Bytes of a row.
    written: usize,
    rows: Vec<Line>,
    row_sizes: Vec<u32>,
}

impl Assembly {
    /// Records as many flows as the row table has room for, short ones first.
    pub(super) fn new(flows: &[Compiled], values: Vec<Word128>) -> Self {
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
                flow.header_state(Share::WHOLE),
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
    pub(super) fn finish(
        self,
        flows: &[Compiled],
        request: &Request<'_>,
    ) -> Result<Program, usize> {
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

        let lines = line_count(self.written) as u64;
        let shares = request.shares();
        let mut header_states = Vec::new();
        // What each worker has of each flow: a worker that does not send it has nothing.
        let mut states = Vec::with_capacity(flows.len() * cpus.len());
        for worker in 0..cpus.len() {
            for (index, flow) in flows.iter().enumerate() {
                let Some(share) = shares.of(worker, index) else {
                    states.push(FlowState::default());
                    continue;
                };
                let (Some(base), Some(period)) = (self.first_row[index], flow.period) else {
                    states.push(FlowState::of_header_state(header_states.len() as u64));
                    header_states.push(flow.header_state(share));
                    continue;
                };
                let base = u64::from(base);
                let line = |frames: u64| frames * lines;
                states.push(FlowState::of_rows(RowCursor {
                    next: base + line(share.first % period),
                    limit: base + line(period - 1),
                    span: line(period),
                    advance: line(share.stride % period),
                }));
            }
        }
        let single = flows.len() == 1;
        let workers = (0..).zip(cpus).zip(&states).map(|((index, &cpu), state)| {
            let first_flow = if single { index } else { index * small(flows.len()) };
            let only = if single { *state } else { FlowState::default() };
            (
                cpu,
                Worker {
                    spec: WorkerSpec { index, first_flow, ..Worker::NEW.spec },
                    only,
                    ..Worker::NEW
                },
            )
        });
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
                pacing: pacing.map_or(timing::pacing::NONE, |pacing| pacing.streams.code()),
                kinds: pacing.map_or(0, Pacing::kinds),
                late: pacing.map_or(0, |pacing| Nanos::from(pacing.late).get()),
                give_up: pacing.map_or(0, |pacing| Nanos::from(pacing.give_up).get()),
            },
            bodies,
            flow_bodies,
            workers: workers.collect(),
            flows: if single { Vec::new() } else { states },
            header_states,
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

/// `enum xdp_action` (include/uapi/linux/bpf.h).
const fn xdp_action(action: Action) -> u32 {
    match action {
        Action::Drop => 1,
        Action::Pass => 2,
        Action::Tx => 3,
        Action::Redirect => 4,
    }
}
