//! What varies in a flow: fields, sizes and checksums, as drivers and their outputs. What is written
//! where, and in which checksums it counts.

mod drivers;
mod fields;
mod reach;
mod reaching;
mod sizes;
mod sums;
mod values;

use xdp_trafficgen_ebpf::abi::{MAX_CHECKSUMS, MAX_WRITTEN};

#[cfg(test)]
pub(super) use self::drivers::VaryingChecksum;
pub(super) use self::drivers::{
    Driver, Index, MODULUS, Output, OutputTarget, Step, Values, Varying, residue,
};
use self::{
    reaching::{Cover, Reaching},
    values::ValueTable,
};
use super::{
    sequence::{Sequence, Width},
    size_table,
};
use crate::{
    config::{Diagnostic, FieldSetting, Flow, Origin, Pattern},
    packet::{Template, Window},
};

/// Works out what varies in a flow. `template` is the frame of the largest size. `frame_len` are the
/// bytes of the port's frame, from which shorter ones have to be cut.
///
/// # Errors
/// When more varies than the program has room for, or when the program cannot vary it.
pub(super) fn varying(
    flow: &Flow,
    template: &Template,
    frame_len: usize,
) -> Result<Varying, Diagnostic> {
    let mut values = ValueTable::default();
    let mut builder = Builder { flow, template, values: &mut values, items: Vec::new() };
    let settings = varying_settings(flow);
    for &at in &settings {
        builder.check_overwritten(at)?;
        builder.add_field(at, &settings)?;
    }
    builder.check_routing()?;
    let sized = template.bytes.len() != frame_len || size_table::varies(&flow.size.value);
    let variable = if sized { builder.add_sizes()? } else { Vec::new() };
    builder.check_shared_bits()?;
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
    let varying = ends.max().unwrap_or(0).max(template.header_len.min(MAX_WRITTEN));
    if template.header_len <= MAX_WRITTEN {
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

/// Whether a field varies beside the template. A single random value does, since the
/// template has the smallest value.
fn varies(pattern: &Pattern) -> bool {
    pattern.value_count() != 1 || matches!(pattern, Pattern::Random { min, max, .. } if min != max)
}

/// Something that varies, before it has a driver.
#[derive(Debug)]
struct Item {
    sequence: Sequence,
    target: Target,
    /// The lead whose index it follows.
    lead: Option<IndexSource>,
    /// The field whose rounds it counts.
    leader: Option<At>,
    /// Its field.
    at: Option<At>,
    origin: Origin,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// Bits in the frame.
    Window { window: Window, bits: u32 },
    /// The index that others follow.
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

/// Values of up to this many bits are drawn with 64 random bits.
const NARROW_BITS: u32 = 62;

struct Builder<'a> {
    flow: &'a Flow,
    template: &'a Template,
    values: &'a mut ValueTable,
    items: Vec<Item>,
}

impl Builder<'_> {
    /// The checksums that change with an item, inner ones first. `lens`: see [`Builder::reaching`].
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

/// An offset within a frame, or an entry of a port's tables, as the program has it.
#[expect(
    clippy::cast_possible_truncation,
    reason = "frames have a page at most, and tables as many entries as `MAX_TURNS`, `MAX_VALUES` or `ROW_TABLE_LINES` say"
)]
pub(super) const fn small(value: usize) -> u32 {
    value as u32
}
