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
    // A file may have tens of thousands of flows. Each keeps no more room than it needs, and lists of
    // their own are freed as a whole, which in-place collecting and shrinking them would not do.
    let mut packet = Vec::with_capacity(headers.len());
    for (header, follows) in headers.into_iter().zip(follows) {
        packet.push(finished(header?, follows)?);
    }
    Some(packet)
}

fn finished(header: ReadHeader, follows: Vec<Option<Located<Follow>>>) -> Option<Header> {
    let ReadHeader { kind, fields, all_known: _, options, checksum } = header;
    let mut settings = Vec::with_capacity(fields.len());
    for (read, follow) in fields.into_iter().zip(follows) {
        let ReadField { field, pattern, follower: _ } = read;
        settings.push(FieldSetting { field, pattern: pattern?, follow });
    }
    Some(Header { kind, fields: settings, options, checksum })
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
