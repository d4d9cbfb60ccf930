//! The rows of flows: the header of a flow's next frame as numbers, what each grows by, and what has
//! to be put right now and then.
//!
//! A flow has a cycle of rows, which take turns. What has few values is constant within a row: a
//! sequence that soon starts again is nothing but rows. What counts further grows from one frame of
//! the row to the next, with the checksums, which are linear modulo 65535. What does neither is
//! picked.

mod cycle;
mod layout;
mod motion;
mod picks;
mod pieces;
mod tables;

use xdp_trafficgen_ebpf::{
    abi::{BLOCK_REGISTERS, Register, RegisterBlock, Row},
    random,
};

pub(super) use self::{
    cycle::Form,
    layout::{Layout, MAX_ROW_WORDS},
    picks::are_draws,
    tables::Tables,
};
use self::{
    cycle::Role,
    motion::{Motion, RegisterKind},
};
use super::varying::{Index, OutputTarget};

/// A row with as many words as there can be.
pub(super) type LongRow = Row<MAX_ROW_WORDS>;

/// A flow's rows for one worker or more: all but where in the sequence they begin.
pub(super) struct FlowRows<'a> {
    form: &'a Form,
    layout: &'a Layout,
    motion: Motion,
    /// The flow's entry in the table of pick sets.
    pub(super) picks: u32,
    /// Frames from one of a row's frames to its next.
    stride: u64,
}

impl<'a> FlowRows<'a> {
    /// The rows of `workers` that take turns.
    ///
    /// # Errors
    /// When the lists of picks have more entries than there is room for.
    pub(super) fn new(
        form: &'a Form,
        layout: &'a Layout,
        workers: u64,
        tables: &mut Tables,
    ) -> Result<Self, tables::Full> {
        let stride = workers.saturating_mul(form.rows(workers));
        let motion = Motion::new(form, layout, stride, tables);
        let picks = picks::set(form, layout, tables)?;
        Ok(Self { form, layout, motion, picks, stride })
    }

    /// Registers of each row.
    pub(super) fn register_count(&self) -> usize {
        self.motion.registers.len()
    }

    /// The row whose first frame is this one of the flow's. Adds its registers, in so many blocks.
    pub(super) fn row(
        &self,
        first: u64,
        blocks: usize,
        registers: &mut Vec<RegisterBlock>,
    ) -> LongRow {
        let Form { varying, roles, .. } = self.form;
        let mut header = varying.blank.clone();
        header.resize(header.len().max(self.layout.filled()), 0);
        let mut classes: Vec<u64> =
            varying.checksums.iter().map(|checksum| checksum.blank).collect();
        let sized = varying
            .drivers
            .iter()
            .flat_map(|driver| &driver.outputs)
            .any(|output| output.target == OutputTarget::Size);
        let mut size = if sized { 0 } else { self.form.len as u128 };
        for (driver, role) in varying.drivers.iter().zip(roles) {
            let index = match (driver.index, role) {
                (Index::Counted { count, round, .. }, Role::Constant | Role::Counting) => {
                    Some(cycle::index_at(first, round, count))
                }
                _ => None,
            };
            for output in &driver.outputs {
                let Some(value) = index
                    .map_or_else(|| output.values.base(), |index| Some(output.values.at(index)))
                else {
                    continue;
                };
                match output.target {
                    OutputTarget::Bits { start, end } => {
                        pieces::add(&mut header, start, end, value)
                    }
                    OutputTarget::Size => size += value,
                    OutputTarget::Nothing => {}
                }
                output.count(value, &mut classes);
            }
        }
        for (checksum, class) in varying.checksums.iter().zip(&classes) {
            let value = checksum.value(*class);
            header[checksum.offset..checksum.offset + 2].copy_from_slice(&value.to_be_bytes());
        }
        let mut row = self.layout.row(&header);
        row.size = u16::try_from(size).unwrap_or(u16::MAX);
        row.deltas = self.motion.deltas;
        if let Some(word) = self.form.state_word(self.layout) {
            // The program moves it on before it draws.
            row.words[word] = random::state(first).wrapping_sub(self.step_of_state());
            row.deltas[word] = self.step_of_state();
        }
        for (number, word) in self.form.list_words(self.layout) {
            if let Index::Counted { count, round, .. } = varying.drivers[number].index {
                let advance = self.motion.advances[number];
                row.words[word] = cycle::index_at(first, round, count).wrapping_sub(advance);
                row.deltas[word] = advance;
            }
        }
        let mut own = vec![[Register::NONE; BLOCK_REGISTERS]; blocks];
        for (register, form) in own.as_flattened_mut().iter_mut().zip(&self.motion.registers) {
            let value = match form.kind {
                RegisterKind::Index(number) => match varying.drivers[number].index {
                    Index::Counted { count, round, .. } => cycle::index_at(first, round, count),
                    Index::Random { .. } => 0,
                },
                RegisterKind::Piece { piece, negative } => {
                    let bits = pieces::read(&header, piece.start, piece.end());
                    piece.in_register(if negative { piece.limit() - bits } else { bits })
                }
                RegisterKind::Checksum { number, negative } => {
                    let checksum = varying.checksums[number];
                    let above = u64::from(checksum.value(classes[number]))
                        - u64::from(checksum.zero_is_ones);
                    if negative { form.limit - above } else { above }
                }
                RegisterKind::EachFrame => 0,
            };
            *register = form.register(value);
        }
        let due = own.as_flattened().iter().map(|register| register.due).min();
        row.run = due.and_then(|due| u32::try_from(due).ok()).unwrap_or(u32::MAX);
        row.clock = row.run.into();
        registers.extend(own);
        row
    }

    const fn step_of_state(&self) -> u64 {
        random::STATE_STEP.wrapping_mul(self.stride)
    }
}

#[cfg(test)]
mod tests;
