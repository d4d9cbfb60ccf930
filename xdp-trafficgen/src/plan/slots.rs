//! A flow's varying fields, sizes and checksums as slots of the program: what is written where, in
//! which order, and in which checksums it counts.

mod fields;
mod order;
mod reach;
mod reaching;
mod sizes;
mod sums;
mod values;

use std::{collections::HashSet, ops::Range};

use xdp_trafficgen_ebpf::{
    abi::{
        Checksum, Field, LINE_LEN, MAX_CHECKSUMS, MAX_FIELDS, MAX_LINES, MAX_SUMS, MAX_WIDE,
        NARROW_BITS, NO_SUM, advance, finish, op,
    },
    checksum,
};

pub(super) use self::values::ValueTable;
use self::{
    reaching::{Cover, Reaching, swapped},
    sums::sums,
};
use super::{
    sequence::{Sequence, Width},
    size_table,
};
use crate::{
    config::{Diagnostic, FieldSetting, Flow, Origin, Pattern},
    packet::{ChecksumMode, Template, Window},
    units::gcd,
};

/// Everything that varies in a flow.
#[derive(Debug)]
pub(super) struct Slots {
    /// The slots and their sequences, in the program's order.
    pub(super) fields: Vec<(Field, Sequence, u128)>,
    /// The checksums that change with the slots, inner ones first, each with the sum of the
    /// constant bytes that it covers.
    pub(super) checksums: Vec<(Checksum, u32)>,
}

impl Slots {
    /// After how many frames all slots start again; none: never, or after more frames than 64 bits
    /// count.
    pub(super) fn period(&self) -> Option<u64> {
        self.fields.iter().map(|(_, sequence, _)| sequence).try_fold(1, |period, sequence| {
            match sequence {
                Sequence::Follow { .. } | Sequence::FollowList { .. } => Some(period),
                sequence => least_common_multiple(period, u64::try_from(sequence.period()?).ok()?),
            }
        })
    }
}

/// Works out the slots of a flow. `template` is the frame of the largest size. `frame_len` are the
/// bytes of the port's frame, from which shorter ones have to be cut.
///
/// # Errors
/// When more varies than the program has room for, or when the program cannot vary it.
pub(super) fn slots(
    flow: &Flow,
    template: &Template,
    frame_len: usize,
    values: &mut ValueTable,
) -> Result<Slots, Diagnostic> {
    let mut builder = Builder { flow, template, values, items: Vec::new(), joined: HashSet::new() };
    let settings = varying_settings(flow);
    for &at in &settings {
        builder.check_overwritten(at)?;
        builder.add_field(at, &settings)?;
    }
    builder.check_routing()?;
    let sized = template.bytes.len() != frame_len || size_table::varies(&flow.size.value);
    let variable = if sized { builder.add_sizes()? } else { Vec::new() };
    builder.join_shared_bytes()?;
    let checksums = builder.relevant_checksums(&variable)?;
    builder.add_addends(&checksums)?;
    builder.finish(&checksums)
}

/// Bytes from the frame's start that must be written in every repetition: all headers and all that
/// varies. Of headers that are longer than the program's room the first part is written, since
/// receivers edit recycled frames, above all their MAC addresses; the rest is constant like a
/// payload.
pub(super) fn written(flow: &Flow, template: &Template) -> usize {
    let ends = varying_settings(flow)
        .into_iter()
        .map(|at| template.window(at.0, &setting(flow, at).field).bytes.end);
    let varying = ends.max().unwrap_or(0).max(template.header_len.min(MAX_LINES * LINE_LEN));
    if template.header_len <= MAX_LINES * LINE_LEN {
        return varying;
    }
    let filled_in = template.lengths.iter().map(|length| length.offset + 2);
    let filled_in = filled_in.chain(template.checksums.iter().map(|checksum| checksum.offset + 2));
    filled_in.fold(varying, usize::max)
}

/// A header's index in the packet, and a field's among its settings.
type At = (usize, usize);

fn setting(flow: &Flow, (header, field): At) -> &FieldSetting {
    &flow.packet[header].fields[field]
}

fn varying_settings(flow: &Flow) -> Vec<At> {
    let all = flow.packet.iter().enumerate();
    all.flat_map(|(header, layer)| (0..layer.fields.len()).map(move |field| (header, field)))
        .filter(|&at| varies(&setting(flow, at).pattern.value))
        .collect()
}

/// Whether a field needs a slot beside the template. A single random value needs one too, since the
/// template has the smallest value.
fn varies(pattern: &Pattern) -> bool {
    pattern.value_count() != 1 || matches!(pattern, Pattern::Random { min, max, .. } if min != max)
}

/// A slot whose place in the order is not known yet.
#[derive(Debug)]
struct Item {
    sequence: Sequence,
    target: Target,
    /// The lead whose index this slot follows.
    lead: Option<IndexSource>,
    /// The slot whose rounds this one counts.
    leader: Option<At>,
    /// The field of this slot.
    at: Option<At>,
    origin: Origin,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// Bits in the frame.
    Window { window: Window, bits: u32 },
    /// The index that other slots follow.
    IndexSource,
    /// The frame's length.
    Size,
    /// The part of a checksum's sum that varies with its reach; the checksum's position among the
    /// relevant ones.
    Addend(usize),
}

/// The owner of an index: a random field, or the sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IndexSource {
    Field(At),
    Size,
}

struct Builder<'a> {
    flow: &'a Flow,
    template: &'a Template,
    values: &'a mut ValueTable,
    items: Vec<Item>,
    /// Items that share their bytes with others.
    joined: HashSet<usize>,
}

impl Builder<'_> {
    /// The checksums that change with a slot, inner ones first. `lens`: see [`Builder::reaching`].
    fn relevant_checksums(&self, lens: &[usize]) -> Result<Vec<Reaching>, Diagnostic> {
        let mut relevant: Vec<Reaching> = Vec::new();
        for checksum in self.template.checksums.iter().rev() {
            let checksum = self.reaching(checksum, lens)?;
            let mut follows = checksum.varies();
            let items =
                self.items.iter().filter_map(|item| Some((&item.window()?.bytes, &item.origin)));
            let items = items.map(|(bytes, origin)| (bytes.clone(), origin));
            let inner =
                relevant.iter().map(|inner| inner.checksum.offset..inner.checksum.offset + 2);
            let inner = inner.map(|bytes| (bytes, &self.flow.name.place));
            for (bytes, origin) in items.chain(inner) {
                match checksum.cover(&bytes) {
                    Cover::Always => follows = true,
                    Cover::Never => {}
                    cover => return Err(self.covered_in_part(origin, &checksum, cover)),
                }
            }
            if follows {
                relevant.push(checksum);
            }
        }
        if relevant.len() > MAX_CHECKSUMS {
            return Err(Diagnostic::new(
                &self.flow.name.place,
                format!(
                    "{} checksums follow what varies, more than the {MAX_CHECKSUMS} there is room for",
                    relevant.len()
                ),
            )
            .help("vary fields of fewer headers, or set some of the checksums"));
        }
        Ok(relevant)
    }

    fn finish(self, checksums: &[Reaching]) -> Result<Slots, Diagnostic> {
        let order = self.order()?;
        if order.len() > MAX_FIELDS {
            let excess = &self.items[order[MAX_FIELDS]];
            return Err(Diagnostic::new(
                &excess.origin,
                format!("{} fields, lengths and sizes vary, more than the {MAX_FIELDS} there is room for", order.len()),
            )
            .help("give some of them a single value"));
        }
        let mut blank = self.blank();
        for Reaching { checksum, .. } in checksums {
            blank[checksum.offset..checksum.offset + 2].fill(0);
        }
        let mut fields = Vec::new();
        for (slot, &index) in order.iter().enumerate() {
            let item = &self.items[index];
            if item.width() == Width::Wide && slot >= MAX_WIDE {
                return Err(Diagnostic::new(
                    &item.origin,
                    format!("more than {MAX_WIDE} wide fields vary"),
                )
                .help("give some of them a single value, or a range below 2⁶²"));
            }
            fields.push(self.field(index, &order, checksums)?);
        }
        let specified = checksums.iter().map(|reaching| {
            let checksum = &reaching.checksum;
            let spec = Checksum {
                offset: small(checksum.offset),
                finish: if checksum.zero_is_ones { finish::ZERO_IS_ONES } else { finish::PLAIN }
                    | if checksum.mode == ChecksumMode::Bad { finish::BAD } else { 0 }
                    | if swapped(checksum) { finish::SWAPPED } else { 0 },
                sums: sums(
                    &(checksum.offset..checksum.offset + 2),
                    checksums,
                    &self.flow.name.place,
                )?,
                odd: u32::from(checksum.offset % 2 == 1),
                reserved: 0,
            };
            let base = checksum::fold(reaching.base(&blank));
            Ok((spec, u32::from(if swapped(checksum) { base.swap_bytes() } else { base })))
        });
        Ok(Slots { fields, checksums: specified.collect::<Result<_, Diagnostic>>()? })
    }

    /// The template with zeros in all bytes that slots write: the base of checksums.
    fn blank(&self) -> Vec<u8> {
        let mut blank = self.template.bytes.clone();
        for window in self.items.iter().filter_map(Item::window) {
            blank[window.bytes.clone()].fill(0);
        }
        blank
    }

    /// The slot of the item with this index.
    fn field(
        &self,
        index: usize,
        order: &[usize],
        checksums: &[Reaching],
    ) -> Result<(Field, Sequence, u128), Diagnostic> {
        let (item, joined) = (&self.items[index], self.joined.contains(&index));
        let width = item.width();
        let slot_of = |at: At| order.iter().position(|&index| self.items[index].at == Some(at));
        let leads =
            item.at.is_some_and(|at| self.items.iter().any(|other| other.leader == Some(at)));
        let leader = item.leader.and_then(slot_of);
        let advance = match (leader, leads) {
            (None, false) => advance::FREE,
            (None, true) => advance::LEADER,
            (Some(_), false) => advance::ROUND,
            (Some(_), true) => advance::ROUND_LEADER,
        };
        let spec = Field {
            kind: item.sequence.kind(width),
            advance,
            leader: small(leader.unwrap_or(0)),
            ..Field::NONE
        };
        let mut fixed = 0;
        let field = match &item.target {
            Target::IndexSource => Field { op: op::LEAD, ..spec },
            Target::Size => Field { op: op::SIZE, ..spec },
            &Target::Addend(position) => {
                let mut sums = [NO_SUM; MAX_SUMS];
                sums[0] = small(position);
                Field { op: op::ADDEND, sums, ..spec }
            }
            Target::Window { window, bits } => {
                let mut op = op::GENERAL;
                let mut sums = sums(&window.bytes, checksums, &item.origin)?;
                if joined && !self.stores(item, order) {
                    op = op::JOIN_NEXT;
                    sums = [NO_SUM; MAX_SUMS];
                } else {
                    fixed = self.constant_bits(window);
                    let whole = !joined && *bits as usize == 8 * window.bytes.len();
                    let even = window.bytes.end.is_multiple_of(2);
                    let counts_up = matches!(item.sequence, Sequence::Count { down: false, .. });
                    op = match window.bytes.len() {
                        _ if !whole || width == Width::Wide => op,
                        1 => op::ANY_1,
                        _ if !even => op,
                        2 if counts_up && advance == advance::FREE => op::UP_2,
                        2 => op::ANY_2,
                        4 if counts_up && advance == advance::FREE => op::UP_4,
                        4 => op::ANY_4,
                        _ => op,
                    };
                }
                Field {
                    op,
                    offset: small(window.bytes.start),
                    width: small(window.bytes.len()),
                    shift: window.shift,
                    odd: u32::from(window.bytes.end % 2 == 1),
                    sums,
                    ..spec
                }
            }
        };
        Ok((field, item.sequence, fixed))
    }

    /// Whether this field stores its bytes: of fields that share bytes, the last one does.
    fn stores(&self, item: &Item, order: &[usize]) -> bool {
        let Some(window) = item.window() else { return true };
        let last = order.iter().rev().map(|&index| &self.items[index]);
        let mut sharing =
            last.filter(|other| other.window().is_some_and(|other| other.bytes == window.bytes));
        sharing.next().is_some_and(|last| std::ptr::eq(last, item))
    }

    /// The bits in the window outside of all varying fields.
    fn constant_bits(&self, window: &Window) -> u128 {
        let mut bytes = self.template.bytes.clone();
        for item in &self.items {
            if let Target::Window { window, bits } = &item.target {
                let mask = (u128::MAX >> (128 - bits)) << window.shift;
                let rest = read(&bytes, &window.bytes) & !mask;
                bytes[window.bytes.clone()]
                    .copy_from_slice(&rest.to_be_bytes()[16 - window.bytes.len()..]);
            }
        }
        read(&bytes, &window.bytes)
    }
}

impl Item {
    const fn window(&self) -> Option<&Window> {
        match &self.target {
            Target::Window { window, .. } => Some(window),
            Target::IndexSource | Target::Size | Target::Addend(_) => None,
        }
    }

    /// The width of values, steps and fields that share the bytes with them.
    fn width(&self) -> Width {
        match &self.target {
            Target::Window { window, bits } => width(*bits, window),
            Target::IndexSource | Target::Size | Target::Addend(_) => Width::Narrow,
        }
    }
}

const fn width(bits: u32, window: &Window) -> Width {
    if bits > NARROW_BITS || window.bytes.end - window.bytes.start > 8 {
        Width::Wide
    } else {
        Width::Narrow
    }
}

fn least_common_multiple(a: u64, b: u64) -> Option<u64> {
    let (a, b) = (u128::from(a), u128::from(b));
    u64::try_from(a / gcd(a, b) * b).ok()
}

/// Up to 16 bytes as a number.
fn read(frame: &[u8], bytes: &Range<usize>) -> u128 {
    let mut window = [0; 16];
    window[16 - bytes.len()..].copy_from_slice(&frame[bytes.clone()]);
    u128::from_be_bytes(window)
}

/// An offset within a frame, or an entry of a port's tables, as the program has it.
#[expect(
    clippy::cast_possible_truncation,
    reason = "frames have a page at most, and tables as many entries as `MAX_TURNS`, `MAX_VALUES` or `ROW_TABLE_LINES` say"
)]
pub(super) const fn small(value: usize) -> u32 {
    value as u32
}
