//! From patterns to the tables the eBPF program is specialised with.

use std::collections::BTreeMap;

use xdp_trafficgen_ebpf::{
    abi::{
        Checksum, FOUR_BYTE_SUM, Field, GENERAL_SUM, Generator, LINE_LEN, Line, MAX_CHECKSUMS, MAX_FIELDS, MAX_LINES,
        MAX_SUMS, NARROW_BITS, Word128, Worker, finish, kind, op, sum,
    },
    checksum,
};

use crate::{
    config::{Action, Diagnostic, FieldSetting, Flow, Pattern, pattern::Count},
    packet::{CoveredChecksum, Template, Window},
    plan::rows,
};

/// What the verifier is to specialise the program for, and what its maps start with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The repetition as a whole.
    pub generator: Generator,
    /// The varying fields; unused slots are [`Field::NONE`].
    pub fields: [Field; MAX_FIELDS],
    /// The checksums that follow them; unused slots are [`Checksum::NONE`].
    pub checksums: [Checksum; MAX_CHECKSUMS],
    /// Entries of all `values` patterns.
    pub values: Vec<Word128>,
    /// The headers of the template.
    pub header: [Line; MAX_LINES],
    /// The headers of all frames, as many lines a frame as a header has; empty when there are too many.
    pub rows: Vec<Line>,
    /// Where each worker starts, by CPU.
    pub workers: BTreeMap<u32, Worker>,
}

/// Entries of all value lists of a flow: 16 MiB of map.
const MAX_VALUES: usize = 1 << 20;

/// Compiles the varying fields of a flow for workers on `cpus`: worker w sends frames w, w + n, w + 2·n, … of the
/// port's sequence, so that any number of workers sends the same frames.
///
/// A sequence that soon starts again is recorded once, and the program only copies: measured on top of a bare
/// redirect's 6.7 ns, 2.5 ns however many fields vary, where working them out takes 5.2 ns for one port and 7.2 ns for both
/// addresses and both ports.
///
/// # Errors
/// When the flow varies more than the program has room for.
pub(super) fn compile(flow: &Flow, template: &Template, action: Action, cpus: &[u32]) -> Result<Program, Diagnostic> {
    let mut program = compile_fields(flow, template, action, cpus)?;
    if let Some(period) = rows::period(template.header_len, flow.packet.iter().flat_map(|header| &header.fields)) {
        let sequence = compile_fields(flow, template, action, &[0])?;
        program.rows = rows::record(&sequence, template.header_len, period);
        program.generator.row_count = period;
        if action == Action::Redirect && template.header_len <= LINE_LEN {
            program.generator.one_line = small(template.header_len);
        }
        program.generator.row_advance = program.generator.stride % period;
        for worker in program.workers.values_mut() {
            worker.row = worker.first % period;
        }
    }
    Ok(program)
}

fn compile_fields(flow: &Flow, template: &Template, action: Action, cpus: &[u32]) -> Result<Program, Diagnostic> {
    if template.header_len > MAX_LINES * LINE_LEN {
        return Err(Diagnostic::new(
            &flow.name.place,
            format!(
                "the headers take {} bytes, more than the {} there is room for",
                template.header_len,
                MAX_LINES * LINE_LEN
            ),
        )
        .help("write fewer headers"));
    }
    let mut varying = varying_fields(flow, template);
    join_shared_bytes(&mut varying)?;
    if let Some(excess) = varying.get(MAX_FIELDS) {
        return Err(Diagnostic::new(
            &excess.setting.pattern.place,
            format!("{} fields vary, more than the {MAX_FIELDS} there is room for", varying.len()),
        )
        .help("give some of them a single value"));
    }
    let checksums: Vec<(usize, &CoveredChecksum)> = template
        .checksums
        .iter()
        .filter(|checksum| varying.iter().any(|field| covering(checksum, &field.window).is_some()))
        .enumerate()
        .collect();
    let mut sums = Sums::default();
    let homes: Vec<Home> = varying.iter().map_while(|field| sums.home(field, &checksums)).collect();
    if checksums.len() > MAX_CHECKSUMS || homes.len() < varying.len() {
        return Err(Diagnostic::new(
            &flow.name.place,
            "more checksums follow the varying fields than there is room for",
        )
        .help("vary fields of fewer headers"));
    }
    let mut blank = template.bytes.clone();
    for field in &varying {
        blank[field.window.bytes.clone()].fill(0);
    }
    let mut constant = template.bytes.clone();
    for field in &varying {
        clear_bits(&mut constant, field);
    }
    let stride = cpus.len() as u64;
    let mut program = Program {
        generator: Generator {
            action: xdp_action(action),
            one_line: 0,
            field_count: small(varying.len()),
            checksum_count: small(checksums.len()),
            stride,
            row_count: 0,
            row_advance: 0,
            line_len: rows::line_len(template.header_len),
        },
        fields: [Field::NONE; MAX_FIELDS],
        checksums: [Checksum::NONE; MAX_CHECKSUMS],
        values: Vec::new(),
        header: rows::lines(&template.bytes[..template.header_len]),
        rows: Vec::new(),
        workers: (0..).zip(cpus).map(|(first, &cpu)| (cpu, Worker { first, ..Worker::NEW })).collect(),
    };
    for (slot, &(index, checksum)) in program.checksums.iter_mut().zip(&checksums) {
        let sums = sums.of_checksum(index);
        *slot = Checksum {
            offset: small(checksum.offset),
            base: u32::from(checksum::fold(checksum.sum(&blank))),
            sums,
            finish: match checksum.zero_is_ones {
                true if sums >> FOUR_BYTE_SUM == 0 => finish::WORDS_ZERO_IS_ONES,
                true => finish::ANY_ZERO_IS_ONES,
                false => finish::ANY,
            },
        };
    }
    for (slot, field) in varying.iter().enumerate() {
        let (spec, starts) = sequence(&field.setting.pattern.value, field, &mut program.values, stride);
        if program.values.len() > MAX_VALUES {
            return Err(Diagnostic::new(
                &field.setting.pattern.place,
                format!("the lists of values have more than {MAX_VALUES} entries"),
            )
            .help("use `increment` or `random`, or a shorter list"));
        }
        program.fields[slot] = place(spec, field, &constant, homes[slot]);
        for (worker, start) in program.workers.values_mut().zip(starts_by_cpu(cpus, &starts)) {
            worker.values[slot] = start;
        }
    }
    Ok(program)
}

/// A field whose value changes, with the bytes it is written with.
struct Varying<'a> {
    setting: &'a FieldSetting,
    window: Window,
    /// Bits from the frame's start to the field.
    place: u64,
    /// Whether the next field stores this one's bits together with its own.
    joins_next: bool,
}

impl Varying<'_> {
    const fn bits(&self) -> u32 {
        self.setting.field.bits
    }

    /// The window holds this field and nothing else.
    fn whole(&self) -> bool {
        self.window.shift == 0 && self.bits() as usize == 8 * self.window.bytes.len() && !self.joins_next
    }

    /// Values, steps and what shares the bytes with them fit one register.
    fn narrow(&self) -> bool {
        self.bits() <= NARROW_BITS && self.window.bytes.len() <= 8
    }
}

fn varying_fields<'a>(flow: &'a Flow, template: &Template) -> Vec<Varying<'a>> {
    let mut varying: Vec<Varying<'a>> = flow
        .packet
        .iter()
        .enumerate()
        .flat_map(|(layer, header)| header.fields.iter().map(move |setting| (setting, layer)))
        .filter(|(setting, _)| varies(&setting.pattern.value))
        .map(|(setting, layer)| Varying {
            setting,
            window: template.window(layer, &setting.field),
            place: (8 * template.offsets[layer] as u64).saturating_add_signed(setting.field.bit_offset.into()),
            joins_next: false,
        })
        .collect();
    varying.sort_by_key(|field| (field.window.bytes.start, field.window.bytes.end));
    varying
}

pub(super) fn varies(pattern: &Pattern) -> bool {
    match pattern {
        Pattern::Value(_) => false,
        Pattern::Values(values) => values.len() > 1,
        Pattern::Increment(count) | Pattern::Decrement(count) => count.count > 1,
        Pattern::Random { min, max, .. } => min != max,
    }
}

/// Fields that share a byte are stored together, all in the window that spans them.
fn join_shared_bytes(varying: &mut [Varying<'_>]) -> Result<(), Diagnostic> {
    let mut first = 0;
    for index in 1..=varying.len() {
        let group_end = varying[first..index].iter().map(|field| field.window.bytes.end).max().unwrap_or(0);
        if index < varying.len() && varying[index].window.bytes.start < group_end {
            continue;
        }
        let group = &mut varying[first..index];
        let bytes = group[0].window.bytes.start..group_end;
        if group.len() > 1 && (bytes.len() > 8 || !group.iter().all(Varying::narrow)) {
            return Err(Diagnostic::new(
                &group[0].setting.pattern.place,
                "this field shares bytes with another varying field, and both together are too wide",
            )
            .help("give one of them a single value"));
        }
        let last = group.len() - 1;
        for (position, field) in group.iter_mut().enumerate() {
            field.window.shift += small((bytes.end - field.window.bytes.end) * 8);
            field.window.bytes = bytes.clone();
            field.joins_next = position < last;
        }
        first = index;
    }
    Ok(())
}

/// The range of `checksum` that holds the window, if one does.
fn covering(checksum: &CoveredChecksum, window: &Window) -> Option<std::ops::Range<usize>> {
    checksum.covers.iter().find(|range| range.start <= window.bytes.start && window.bytes.end <= range.end).cloned()
}

fn set_of(field: &Varying<'_>, checksums: &[(usize, &CoveredChecksum)]) -> Vec<usize> {
    checksums
        .iter()
        .filter(|(_, checksum)| covering(checksum, &field.window).is_some())
        .map(|&(index, _)| index)
        .collect()
}

/// Where the written bytes of a field count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Home {
    /// In no checksum.
    Nowhere,
    /// In this sum.
    Sum {
        index: usize,
        /// They end on an odd byte of what the checksum covers.
        odd: bool,
    },
}

/// The sums and the checksums each of them counts in.
#[derive(Debug, Default)]
struct Sums([Option<Vec<usize>>; MAX_SUMS]);

impl Sums {
    /// A sum for the field: one for values of its size, or else a general one. None when all are taken.
    fn home(&mut self, field: &Varying<'_>, checksums: &[(usize, &CoveredChecksum)]) -> Option<Home> {
        let set = set_of(field, checksums);
        let covered = checksums.iter().find_map(|(_, checksum)| covering(checksum, &field.window));
        let Some(covered) = covered else { return Some(Home::Nowhere) };
        let odd = !(field.window.bytes.end - covered.start).is_multiple_of(2);
        let own_size = match field.window.bytes.len() {
            2 if field.whole() && !odd => 0..FOUR_BYTE_SUM,
            4 if field.whole() && !odd => FOUR_BYTE_SUM..GENERAL_SUM,
            _ => 0..0,
        };
        let index =
            own_size.chain([GENERAL_SUM]).find(|&index| self.0[index].as_ref().is_none_or(|taken| *taken == set))?;
        self.0[index] = Some(set);
        Some(Home::Sum { index, odd })
    }

    /// The sums that are part of a checksum, a bit each.
    fn of_checksum(&self, checksum: usize) -> u32 {
        (0..MAX_SUMS)
            .filter(|&index| self.0[index].as_ref().is_some_and(|set| set.contains(&checksum)))
            .fold(0, |bits, index| bits | 1 << index)
    }
}

/// How the value moves on, and the values the workers start with, in their order.
fn sequence(pattern: &Pattern, field: &Varying<'_>, values: &mut Vec<Word128>, stride: u64) -> (Field, Vec<Word128>) {
    let wide = if field.narrow() { 0 } else { kind::WIDE };
    let nowhere = (0..stride).map(|_| Word128::default()).collect();
    match pattern {
        Pattern::Value(_) => (Field::NONE, nowhere),
        Pattern::Increment(count) => counting(count, kind::UP, wide, stride),
        Pattern::Decrement(count) => counting(count, kind::DOWN, wide, stride),
        Pattern::Values(list) => {
            let len = list.len() as u64;
            let spec = Field {
                kind: kind::LIST | wide,
                first_entry: small(values.len()),
                advance: word(stride % len),
                limit: word(len - 1),
                span: word(len),
                ..Field::NONE
            };
            values.extend(list.iter().map(|value| Word128::new(value.value)));
            (spec, (0..stride).map(|worker| word(worker % len)).collect())
        }
        &Pattern::Random { min, max, seed, count: _ } => {
            let largest = max - min;
            let (kind, span) = if largest.wrapping_add(1).count_ones() <= 1 {
                (kind::RANDOM_MASK, largest)
            } else if wide == 0 && largest < u128::from(u32::MAX) {
                (kind::RANDOM_SCALE_32, largest + 1)
            } else {
                (kind::RANDOM_SCALE, largest + 1)
            };
            let spec = Field {
                kind: kind | wide,
                base: Word128::new(min),
                span: Word128::new(span),
                seed: seed.unwrap_or(field.place),
                ..Field::NONE
            };
            (spec, nowhere)
        }
    }
}

fn counting(count: &Count, direction: u32, wide: u32, stride: u64) -> (Field, Vec<Word128>) {
    let &Count { start, step, count } = count;
    let at = |index: u64| {
        let distance = step.wrapping_mul(u128::from(index));
        if direction == kind::UP { start.wrapping_add(distance) } else { start.wrapping_sub(distance) }
    };
    let spec = Field {
        kind: direction | wide,
        advance: Word128::new(step.wrapping_mul(u128::from(stride % count))),
        limit: Word128::new(at(count - 1)),
        // Full circle may be 2¹²⁸, which is 0 here and right in wrapping arithmetic.
        span: Word128::new(step.wrapping_mul(u128::from(count))),
        ..Field::NONE
    };
    (spec, (0..stride).map(|worker| Word128::new(at(worker % count))).collect())
}

/// Where and how the value is stored, and how it counts in checksums.
fn place(spec: Field, field: &Varying<'_>, constant: &[u8], home: Home) -> Field {
    let Window { bytes, shift } = &field.window;
    let up = spec.kind == kind::UP;
    let op = match (bytes.len(), home) {
        _ if field.joins_next => op::JOIN_NEXT,
        (2, Home::Sum { index: 0, .. }) => {
            if up {
                op::UP_2_SUM_0
            } else {
                op::ANY_2_SUM_0
            }
        }
        (2, Home::Sum { index: 1, .. }) => {
            if up {
                op::UP_2_SUM_1
            } else {
                op::ANY_2_SUM_1
            }
        }
        (4, Home::Sum { index: FOUR_BYTE_SUM, .. }) => {
            if up {
                op::UP_4
            } else {
                op::ANY_4
            }
        }
        (2, Home::Nowhere) if field.whole() => op::ANY_2_UNSUMMED,
        (6, Home::Nowhere) if field.whole() => op::ANY_6_UNSUMMED,
        _ => op::GENERAL,
    };
    Field {
        fixed: Word128::new(read(constant, bytes)),
        op,
        offset: small(bytes.start),
        width: small(bytes.len()),
        shift: *shift,
        sum: match home {
            Home::Nowhere => sum::NONE,
            Home::Sum { odd: true, .. } => sum::ODD,
            Home::Sum { odd: false, .. } => sum::EVEN,
        },
        ..spec
    }
}

/// Sets the field's own bits to zero.
fn clear_bits(frame: &mut [u8], field: &Varying<'_>) {
    let Window { bytes, shift } = &field.window;
    let mask = (u128::MAX >> (128 - field.bits())) << shift;
    let rest = read(frame, bytes) & !mask;
    frame[bytes.clone()].copy_from_slice(&rest.to_be_bytes()[16 - bytes.len()..]);
}

/// Up to 16 bytes as a number.
fn read(frame: &[u8], bytes: &std::ops::Range<usize>) -> u128 {
    let mut window = [0; 16];
    window[16 - bytes.len()..].copy_from_slice(&frame[bytes.clone()]);
    u128::from_be_bytes(window)
}

/// The workers are kept by CPU, in ascending order; `starts` are in the order of `cpus`.
fn starts_by_cpu<'a>(cpus: &'a [u32], starts: &'a [Word128]) -> impl Iterator<Item = Word128> + 'a {
    let by_cpu: BTreeMap<u32, Word128> = cpus.iter().copied().zip(starts.iter().copied()).collect();
    by_cpu.into_values()
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

const fn word(value: u64) -> Word128 {
    Word128 { hi: 0, lo: value }
}

/// Offsets and counts within a frame or a table, all far below 2³².
fn small(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
