//! A header of a packet, and its fields.

use std::ops::RangeInclusive;

use super::{
    follow::Follower,
    options::options,
    pattern::{pattern, pattern_table},
    table::{Problems, Value},
};
use crate::{
    config::{
        Diagnostic, Located, Origin, Pattern,
        literal::{Mask, Problem, parse_mask},
        names,
    },
    packet::{ChecksumMode, FieldDef, FieldRef, HeaderKind, Options, headers::Need},
};

const BITS_HELP: &str = "write `bits = [{ offset = 6, mask = \"1fff\", value = 5 }]`";

/// A header before the leaders of its fields are found.
#[derive(Debug)]
pub(super) struct ReadHeader {
    pub(super) kind: Located<HeaderKind>,
    pub(super) fields: Vec<ReadField>,
    /// Whether all of its keys are known.
    pub(super) all_known: bool,
    pub(super) options: Located<Vec<u8>>,
    pub(super) checksum: Located<ChecksumMode>,
}

/// A field; parts that could not be read are none.
#[derive(Debug)]
pub(super) struct ReadField {
    pub(super) field: FieldRef,
    pub(super) pattern: Option<Located<Pattern>>,
    pub(super) follower: Option<Follower>,
}

/// The header of an entry such as `ipv4 = { … }`; none when it cannot be read, and its errors are then
/// among `problems`.
pub(super) fn header(entry: &Value<'_>, problems: &mut Problems) -> Option<ReadHeader> {
    let known = || HeaderKind::ALL.into_iter();
    let Some(kind) = known().find(|kind| kind.name() == entry.key) else {
        problems.push(
            Diagnostic::new(&entry.key_place, format!("unknown header `{}`", entry.key))
                .help(names::cure(entry.key, "headers", known().map(HeaderKind::name))),
        );
        return None;
    };
    let mut header = ReadHeader {
        kind: Located::new(kind, entry.key_place.clone()),
        fields: Vec::new(),
        all_known: true,
        options: Located::default(Vec::new()),
        checksum: Located::default(ChecksumMode::Good),
    };
    let entries = problems.take(entry.entries("write its fields in braces, or `{}` for none"))?;
    for entry in &entries {
        header.read(entry, problems);
    }
    if let Some(Options { name, need: Need::Required, .. }) = kind.options()
        && entries.iter().all(|entry| entry.key != *name)
    {
        problems.push(
            Diagnostic::new(&entry.place, format!("this `{}` has no `{name}`", kind.name()))
                .help(format!("add `{name} = \"dead beef\"`")),
        );
    }
    header.announce_checksum();
    Some(header)
}

impl ReadHeader {
    fn read(&mut self, entry: &Value<'_>, problems: &mut Problems) {
        let kind = self.kind.value;
        let is_checksum = kind.checksum_field().is_some_and(|field| field.name == entry.key);
        if let Some(form) = kind.options().filter(|options| options.name == entry.key) {
            if let Some(options) = options(form.form, entry, problems) {
                self.options = options;
            }
        } else if entry.key == "bits" {
            let elements = problems.take(entry.elements(BITS_HELP)).unwrap_or_default();
            self.fields.extend(
                elements
                    .iter()
                    .enumerate()
                    .filter_map(|(index, element)| bits(index, element, problems)),
            );
        } else if let Some(text) =
            entry.value.as_str().filter(|text| is_checksum && !is_number(text))
        {
            match checksum(text).map_err(|problem| problem.at(&entry.place)) {
                Ok(mode) => self.checksum = entry.located(mode),
                Err(wrong) => problems.push(wrong),
            }
        } else if let Some(field) = kind.field(entry.key) {
            let (pattern, follower) = pattern(field, entry, problems);
            self.fields.push(ReadField { field: field.into(), pattern, follower });
        } else {
            self.all_known = false;
            let options = kind.options().map(|options| options.name);
            let known =
                kind.fields().iter().map(|field| &*field.name).chain(options).chain(["bits"]);
            problems.push(
                Diagnostic::new(
                    &entry.key_place,
                    format!("`{}` has no field `{}`", kind.name(), entry.key),
                )
                .help(names::cure(entry.key, "fields", known)),
            );
        }
    }

    /// Sets the flag of headers whose checksum is optional when a good or bad checksum is requested,
    /// unless the flag itself was written.
    fn announce_checksum(&mut self) {
        let kind = self.kind.value;
        let present = kind.checksum_field().and_then(|field| kind.def().presence_of(field));
        let Some(present) = present.filter(|_| self.checksum.place != Origin::Default) else {
            return;
        };
        if self.fields.iter().all(|read| read.field.name != present.name) {
            let pattern = Some(Located::new(Pattern::Value(1), self.checksum.place.clone()));
            self.fields.push(ReadField { field: present.into(), pattern, follower: None });
        }
    }
}

/// Whether the text is a number, the checksum's value.
fn is_number(text: &str) -> bool {
    text.starts_with(|letter: char| letter.is_ascii_digit())
}

fn checksum(text: &str) -> Result<ChecksumMode, Problem> {
    match text {
        "good" => Ok(ChecksumMode::Good),
        "bad" => Ok(ChecksumMode::Bad),
        _ => Err(Problem::new(
            format!("unknown checksum `{text}`"),
            "write `\"good\"`, `\"bad\"` or its value",
        )),
    }
}

/// Offsets in bytes within the longest frame.
const OFFSET: RangeInclusive<u32> = 0..=65_535;

/// Bits at any offset, as a field.
fn bits(index: usize, element: &Value<'_>, problems: &mut Problems) -> Option<ReadField> {
    let mut table = problems.take(element.table("`bits` element", BITS_HELP))?;
    let offset = table.required("offset", "offset = 6");
    let mask = table.required("mask", "mask = \"1fff\"");
    let offset = offset.and_then(|offset| problems.take(offset.integer(&OFFSET)));
    let mask = mask.and_then(|mask| {
        problems.take(mask.parsed("a string", "write its bytes in quotes: `\"1fff\"`", parse_mask))
    });
    let known = offset.zip(mask);
    // A field of unknown width takes any value, so that only the width is reported.
    let (offset, Mask { skipped, bits }) = known
        .as_ref()
        .map_or((0, Mask { skipped: 0, bits: 128 }), |(offset, mask)| (offset.value, mask.value));
    let bit_offset = (offset * 8 + skipped).cast_signed();
    let name = format!("bits[{index}]").into();
    let field = FieldDef::bits(name, bit_offset, bits);
    let (pattern, follower) = pattern_table(&field, element, table, problems);
    known?;
    Some(ReadField { field: field.into(), pattern, follower })
}
