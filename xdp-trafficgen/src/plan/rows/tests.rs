//! Rows that move on by themselves against headers that are put together anew for every frame.
#![expect(
    clippy::cast_possible_truncation,
    reason = "taking the low bits of a number is what this arithmetic is made of"
)]

use proptest::prelude::*;
use xdp_trafficgen_ebpf::{
    abi::{Effect, LEAD, MAX_CHECKSUMS, RegisterBlock},
    row::{self, RowTables},
};

use super::{
    super::varying::{
        Driver, Index, MODULUS, Output, OutputTarget, Step, Values, Varying, VaryingChecksum,
    },
    *,
};

/// Bytes of the header.
const LEN: usize = 66;

/// A row as the kernel's program has it.
struct Moving {
    row: LongRow,
    blocks: Vec<RegisterBlock>,
}

impl RowTables for Moving {
    fn register(&mut self, number: u32) -> Option<&mut Register> {
        self.blocks.as_flattened_mut().get_mut(number as usize)
    }
    fn add_to_word(&mut self, word: u32, amount: u64) {
        let word = &mut self.row.words[word as usize];
        *word = word.wrapping_add(amount);
    }
    fn add_to_lead(&mut self, amount: u64) {
        let lead = u16::from_be_bytes(self.row.lead).wrapping_add(amount as u16);
        self.row.lead = lead.to_be_bytes();
    }
}

impl Moving {
    /// The header of the next frame.
    fn next(&mut self, layout: &Layout, effects: &[Effect]) -> Vec<u8> {
        if self.row.run == 0 {
            let clock = self.row.clock;
            for number in 0..self.blocks.as_flattened().len() {
                let register = &mut self.blocks.as_flattened_mut()[number];
                if register.due > clock {
                    continue;
                }
                let restart = row::put_right(register, clock);
                if restart.times != 0 {
                    let first = restart.effects as usize;
                    for &effect in &effects[first..first + restart.count as usize] {
                        row::apply(effect, restart.times, self);
                    }
                }
            }
            let due = self.blocks.as_flattened().iter().map(|register| register.due).min();
            let run = due.unwrap_or(u64::MAX).wrapping_sub(clock).min(u32::MAX.into());
            self.row.run = u32::try_from(run).expect("32 bits");
            self.row.clock += run;
        }
        self.row.run -= 1;
        let mut header = self.row.lead.to_vec();
        for (number, word) in self.row.words[..layout.first_unwritten()].iter().enumerate() {
            header.extend(if layout.numbers.contains(&number) {
                word.to_be_bytes()
            } else {
                word.to_ne_bytes()
            });
        }
        for (word, delta) in self.row.words.iter_mut().zip(&self.row.deltas) {
            *word = word.wrapping_add(*delta);
        }
        header.truncate(layout.written);
        header
    }
}

/// The header of a frame by definition, checksums apart.
fn header(varying: &Varying, frame: u64) -> Vec<u8> {
    let mut header = varying.blank.clone();
    for driver in &varying.drivers {
        let Index::Counted { count, round, .. } = driver.index else { continue };
        let index = u64::try_from(u128::from(frame) / round).map_or(0, |index| index % count);
        for output in &driver.outputs {
            if let OutputTarget::Bits { start, end } = output.target {
                // By division, one bit at a time.
                let mut value = output.values.at(index);
                for bit in (start..end).rev() {
                    if value % 2 == 1 {
                        header[bit / 8] |= 1 << (7 - bit % 8);
                    }
                    value /= 2;
                }
            }
        }
    }
    header
}

/// Counters of these starts, steps, counts and widths in a row, some of which count the rounds of
/// the one before.
#[derive(Clone, Debug)]
struct Field {
    gap: usize,
    bits: usize,
    start: u128,
    step: u128,
    down: bool,
    count: u64,
    follows: bool,
}

fn field() -> impl Strategy<Value = Field> {
    (
        0usize..24,
        1usize..=128,
        any::<(u128, u128)>(),
        (0u32..128, 0u32..128),
        any::<bool>(),
        prop_oneof![2u64..20, 2u64..2000],
        prop::bool::weighted(0.3),
    )
        .prop_map(|(gap, bits, (start, step), shifts, down, count, follows)| Field {
            gap,
            bits,
            start: start >> shifts.0,
            step: step >> shifts.1,
            down,
            count,
            follows,
        })
}

/// What varies, with a checksum at a place of its own over all of it.
fn varying(fields: &[Field]) -> Varying {
    let mut drivers: Vec<Driver> = Vec::new();
    let mut at = 0;
    for field in fields {
        let (start, end) = (at + field.gap, at + field.gap + field.bits);
        if end > 8 * (LEN - 2) {
            break;
        }
        at = end;
        // Within the field.
        let max = u128::MAX >> (128 - field.bits);
        let count =
            field.count.min(u64::try_from(max).map_or(u64::MAX, |max| max.saturating_add(1)));
        let step =
            (field.step & max) % (max / u128::from(count - 1).max(1)).saturating_add(1).max(1);
        let way = step.saturating_mul(u128::from(count - 1));
        let room = max - way;
        let base = if field.start > room {
            field.start % room.saturating_add(1).max(1)
        } else {
            field.start
        };
        let base = if field.down { base + way } else { base };
        let before = drivers.len().checked_sub(1).filter(|_| field.follows);
        let round = before.map_or(1, |leader| match drivers[leader].index {
            Index::Counted { count, round, .. } => round * u128::from(count),
            Index::Random { .. } => 1,
        });
        let odd = !end.div_ceil(8).is_multiple_of(2);
        let shift = end.div_ceil(8) * 8 - end;
        let unit = (1u64 << shift) * if odd { 256 } else { 1 } % MODULUS;
        let mut sums = [0; MAX_CHECKSUMS];
        sums[0] = (MODULUS - unit) % MODULUS;
        drivers.push(Driver {
            index: Index::Counted { count, round, leader: before },
            outputs: vec![Output {
                target: OutputTarget::Bits { start, end },
                values: Values::Linear {
                    base,
                    step: Step { negative: field.down, magnitude: step },
                },
                sums,
            }],
        });
    }
    Varying {
        drivers,
        checksums: vec![VaryingChecksum { offset: LEN - 2, zero_is_ones: true, blank: 0 }],
        blank: vec![0; LEN],
    }
}

fn check(fields: &[Field], workers: u64, worker: u64) {
    let form = Form::new(varying(fields), LEN, 1);
    let layout = Layout::new(LEN, |bytes| {
        form.counted().any(|(start, end)| start < 8 * bytes.end && 8 * bytes.start < end)
    });
    let mut tables = Tables::default();
    let rows = FlowRows::new(&form, &layout, workers, &mut tables).expect("room");
    let count = form.rows(workers);
    let blocks = rows.register_count().div_ceil(BLOCK_REGISTERS);
    let mut all: Vec<Moving> = (0..count)
        .map(|number| {
            let mut blocks_of_row = Vec::new();
            let row = rows.row(worker + workers * number, blocks, &mut blocks_of_row);
            Moving { row, blocks: blocks_of_row }
        })
        .collect();
    for number in 0..3000 {
        let row = usize::try_from(number % count).expect("few rows");
        let made = all[row].next(&layout, &tables.effects);
        let frame = worker + workers * number;
        let mut wanted = header(&form.varying, frame);
        let sum = etherparse::checksum::Sum16BitWords::new()
            .add_slice(&wanted[..LEN - 2])
            .ones_complement()
            .to_be();
        let sum = if sum == 0 { 0xffff } else { sum };
        wanted[LEN - 2..].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(
            made, wanted,
            "frame {frame}, {LEAD} bytes of lead, {:#?}",
            form.varying.drivers
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn rows_are_headers(fields in prop::collection::vec(field(), 1..6), workers in 1u64..4, worker in 0u64..4) {
        check(&fields, workers, worker % workers);
    }
}

#[test]
fn a_full_circle_of_128_bits() {
    let field = Field {
        gap: 5,
        bits: 128,
        start: 7,
        step: 1 << 120,
        down: false,
        count: 256,
        follows: false,
    };
    check(std::slice::from_ref(&field), 1, 0);
    check(&[Field { down: true, start: 0, gap: 0, ..field }], 3, 1);
}
