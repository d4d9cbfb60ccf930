//! A compiled flow, and the bytes that flows have in common.

use xdp_trafficgen_ebpf::abi::{
    Checksum, Field, Group, HeaderState, MAX_CHECKSUMS, MAX_FIELDS, Word128, make, path,
};

use crate::plan::{
    rows,
    shares::Share,
    slots::{Slots, small},
};

/// A flow that is compiled, and not yet in a group.
pub(super) struct Compiled {
    pub(super) slots: Slots,
    /// The template, as long as the port's frame.
    pub(super) bytes: Vec<u8>,
    /// Bytes on the wire without FCS, at most.
    pub(super) len: usize,
    /// Bytes from the frame's start that hold all headers and all varying fields.
    pub(super) written: usize,
    pub(super) sized: bool,
    /// Frames to record; none when there are too many.
    pub(super) period: Option<u64>,
}

impl Compiled {
    /// Bytes written in every repetition: a multiple of four.
    pub(super) const fn filled(&self) -> usize {
        self.written.next_multiple_of(4)
    }

    /// The group of flows like this one, whose headers are worked out.
    pub(super) fn group(&self) -> Group {
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
    pub(super) fn header_state(&self, Share { first, stride }: Share) -> HeaderState {
        let mut state = HeaderState {
            first,
            stride,
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

/// Lets all flows write as many bytes as the one with the longest headers, where that makes bodies
/// unnecessary: a flow that wrote fewer would leave a part of another flow's headers, from the
/// page's earlier frame, after its own.
pub(super) fn write_alike(flows: &mut [Compiled]) {
    let widest = flows.iter().map(Compiled::filled).max().unwrap_or(0);
    if are_alike(flows, |_| widest) {
        for flow in flows {
            flow.written = widest;
        }
    }
}

/// Whether every page holds the right bytes after the written ones, whichever flow's frame it held
/// before.
pub(super) fn are_alike(flows: &[Compiled], written: impl Fn(usize) -> usize) -> bool {
    let Some(longest) = longest(flows) else { return true };
    let widest = (0..flows.len()).map(&written).max().unwrap_or(0);
    (0..).zip(flows).all(|(index, flow)| {
        flow.len <= written(index)
            || (written(index) == widest
                && flow.bytes[widest..flow.len] == longest.bytes[widest..flow.len])
    })
}

pub(super) fn longest(flows: &[Compiled]) -> Option<&Compiled> {
    flows.iter().max_by_key(|flow| flow.len)
}
