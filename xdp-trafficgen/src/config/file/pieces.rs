//! Cuts a file into its ports and flows, so that they can be read one by one.
//!
//! The tree that the toml crate makes of a flow takes 7.5 kB (a node of a B-tree for each of its
//! tables), and a file may have 65 536 flows. So each `[[ports]]` and each `[[flows]]` with its lines
//! is read as a document of its own, and its tree is gone before the next one is made. This finds
//! where they begin, and nothing more: what it cannot tell for certain is read as a whole, and so is
//! a file with errors in its syntax, for the toml crate to say what is wrong.

use std::ops::Range;

/// What a piece has one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `[[ports]]`
    Port,
    /// `[[flows]]`
    Flow,
}

impl Kind {
    const fn key(self) -> &'static str {
        match self {
            Self::Port => "ports",
            Self::Flow => "flows",
        }
    }
}

/// The bytes of the file's ports and flows, in order. None for a file that has anything else outside
/// of them but comments.
pub(super) fn split(text: &str) -> Option<Vec<(Kind, Range<usize>)>> {
    let mut pieces: Vec<(Kind, Range<usize>)> = Vec::new();
    let bytes = text.as_bytes();
    let mut at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let (mut depth, mut line_is_empty) = (0_usize, true);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\n' => line_is_empty = true,
            b' ' | b'\t' | b'\r' => {}
            b'#' => at = end_of_line(bytes, at) - 1,
            b'[' if depth == 0 && line_is_empty => {
                let end = end_of_line(bytes, at);
                match (header(&text[at..end])?, pieces.last()) {
                    (Header::Start(kind), _) => pieces.push((kind, at..at)),
                    (Header::Within(key), Some((kind, _))) if key == kind.key() => {}
                    (Header::Within(_), _) => return None,
                }
                at = end - 1;
            }
            _ => {
                line_is_empty = false;
                // Keys before the first port or flow.
                pieces.last()?;
                match byte {
                    b'[' | b'{' => depth += 1,
                    b']' | b'}' => depth = depth.checked_sub(1)?,
                    b'"' | b'\'' => at = end_of_string(bytes, at)? - 1,
                    _ => {}
                }
            }
        }
        at += 1;
    }
    let mut end = text.len();
    for (_, range) in pieces.iter_mut().rev() {
        range.end = end;
        end = range.start;
    }
    (depth == 0 && !pieces.is_empty()).then_some(pieces)
}

enum Header<'a> {
    /// Of a port or a flow.
    Start(Kind),
    /// Of a table in one: the first of its keys.
    Within(&'a str),
}

/// The header that stands in a line. None where that takes more than bare keys.
fn header(line: &str) -> Option<Header<'_>> {
    let line = line.split('#').next()?.trim();
    let within = line.strip_prefix('[')?.strip_suffix(']')?;
    let array = within.strip_prefix('[').and_then(|within| within.strip_suffix(']'));
    let keys = array.unwrap_or(within);
    let is_bare = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    if !keys.split('.').all(|key| !key.trim().is_empty() && key.trim().chars().all(is_bare)) {
        return None;
    }
    Some(match (array, keys.trim()) {
        (Some(_), "ports") => Header::Start(Kind::Port),
        (Some(_), "flows") => Header::Start(Kind::Flow),
        (_, keys) => Header::Within(keys.split_once('.')?.0.trim()),
    })
}

/// The place of the line feed, or of the end of the text.
fn end_of_line(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |len| at + len)
}

/// The place after the string that starts here. None when it does not end.
fn end_of_string(bytes: &[u8], start: usize) -> Option<usize> {
    let quote = bytes[start];
    let of_lines = bytes[start..].starts_with(&[quote; 3]);
    let mut at = start + if of_lines { 3 } else { 1 };
    loop {
        match *bytes.get(at)? {
            b'\\' if quote == b'"' => at += 1,
            b'\n' if !of_lines => return None,
            byte if byte == quote && !of_lines => return Some(at + 1),
            byte if byte == quote && bytes[at..].starts_with(&[quote; 3]) => {
                // One or two quotes before the closing ones are the string's.
                let quotes = bytes[at..].iter().take_while(|byte| **byte == quote).count();
                return Some(at + quotes.min(5));
            }
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `pieces`: how each begins and ends.
    #[track_caller]
    fn check(text: &str, pieces: &[(Kind, &str)]) {
        let split = split(text).unwrap_or_else(|| panic!("read as a whole: {text}"));
        let found: Vec<_> =
            split.into_iter().map(|(kind, range)| (kind, text[range].trim_end())).collect();
        assert_eq!(found, pieces);
    }

    #[test]
    fn ports_and_flows_begin_at_their_headers() {
        check("[[ports]]\nname = 'p'", &[(Kind::Port, "[[ports]]\nname = 'p'")]);
        check(
            "\u{feff}# [[flows]]\r\n\r\n  [[ ports ]] # one\r\na = [1,\n[2]]\n[[flows]]\nb = {c = '['}\n[flows.d]\ne = 1\n[[flows]]",
            &[
                (Kind::Port, "[[ ports ]] # one\r\na = [1,\n[2]]"),
                (Kind::Flow, "[[flows]]\nb = {c = '['}\n[flows.d]\ne = 1"),
                (Kind::Flow, "[[flows]]"),
            ],
        );
    }

    #[test]
    fn a_string_may_look_like_a_header() {
        for string in [
            "\"\"\"\n[[flows]]\n\"\"\"",
            "'''\n[[flows]]\n'''''",
            "\"\"\"\\\"\"\"\n[[flows]]\n\"\"\"\"",
            "\"\\\"#\"",
            "'\\'",
            "\"\"",
        ] {
            let text = format!("[[ports]]\na = {string} # '\nb = ['x']\n[[flows]]\n");
            let port = format!("[[ports]]\na = {string} # '\nb = ['x']");
            check(&text, &[(Kind::Port, &port), (Kind::Flow, "[[flows]]")]);
        }
    }

    #[test]
    fn what_is_not_certain_is_read_as_a_whole() {
        for text in [
            "",
            "# nothing",
            "ports = []",
            "a = 1\n[[ports]]",
            "[[ports]]\n[flows.a]",
            "[[ports]]\n[other]",
            "[ports]",
            "[[\"ports\"]]",
            "[[ports]]\na = [",
            "[[ports]]\na = ]",
            "[[ports]]\na = \"\n\"",
            "[[ports]]\na = '''",
            "[[ports]] [[flows]]",
        ] {
            assert_eq!(split(text), None, "{text}");
        }
    }
}
