//! A flow's packet: its headers, outer to inner.

use super::{
    header::{self, ReadField, ReadHeader},
    leaders,
    table::{Problems, Value},
};
use crate::{
    config::{Diagnostic, FieldSetting, Follow, Header, Located, names},
    packet::HeaderKind,
};

const HELP: &str =
    "write the headers from outer to inner: `packet = [{ ethernet = {} }, { ipv4 = {} }]`";

/// The headers, outer to inner; at least one. None when there are errors, which are then among
/// `problems`.
pub(super) fn packet(value: &Value<'_>, problems: &mut Problems) -> Option<Vec<Header>> {
    let elements = problems.take(value.elements(HELP))?;
    if elements.is_empty() {
        problems.push(Diagnostic::new(&value.place, "this packet has no headers").help(HELP));
    }
    let headers: Vec<_> =
        elements.iter().map(|element| element_header(element, problems)).collect();
    let follows = leaders::resolve(&headers, problems);
    headers.into_iter().zip(follows).map(|(header, follows)| finished(header?, follows)).collect()
}

fn finished(header: ReadHeader, follows: Vec<Option<Located<Follow>>>) -> Option<Header> {
    let ReadHeader { kind, fields, all_known: _, options, checksum } = header;
    let setting = |(read, follow): (ReadField, _)| {
        let ReadField { field, pattern, follower: _ } = read;
        Some(FieldSetting { field, pattern: pattern?, follow })
    };
    Some(Header {
        kind,
        fields: fields.into_iter().zip(follows).map(setting).collect::<Option<_>>()?,
        options,
        checksum,
    })
}

fn element_header(element: &Value<'_>, problems: &mut Problems) -> Option<ReadHeader> {
    let entries = problems.take(element.entries(HELP))?;
    let mut headers: Vec<_> = entries.iter().map(|entry| header::header(entry, problems)).collect();
    let single = headers.pop();
    match single {
        Some(header) if headers.is_empty() => header,
        Some(_) => {
            let given = names::list(entries.iter().map(|entry| entry.key));
            problems.push(
                Diagnostic::new(
                    &element.place,
                    format!("several headers in one element of `packet`: {given}"),
                )
                .help("give each header braces of its own, so that their order is defined"),
            );
            None
        }
        None => {
            problems.push(
                Diagnostic::new(&element.place, "an element of `packet` without a header").help(
                    format!(
                        "name one of {}",
                        names::list(HeaderKind::ALL.into_iter().map(HeaderKind::name))
                    ),
                ),
            );
            None
        }
    }
}
