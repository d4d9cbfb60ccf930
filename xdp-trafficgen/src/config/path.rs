//! Paths such as `ipv4[1].src`, by which a `follow` names a field, and a `--set` the value that it
//! changes.

use std::ops::Range;

use crate::config::literal::Problem;

/// A part of a path: `ipv4[1]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment<'a> {
    /// The name without its index and without quotes.
    pub(super) name: &'a str,
    /// The index among several of that name, from 0.
    pub(super) index: Option<usize>,
    /// Bytes of the text, quotes and index included.
    pub(super) span: Range<usize>,
}

/// The parts of the path that `text` begins with, and where the path ends: at the text's end, or at
/// a `=`.
///
/// A name is anything without `.`, `[`, `]`, `=`, quotes and spaces, or anything at all in quotes.
///
/// # Errors
/// What is wrong with the path, and which bytes of the text it concerns.
pub(super) fn parse(text: &str) -> Result<(Vec<Segment<'_>>, usize), (Problem, Range<usize>)> {
    let mut segments = Vec::new();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        let segment = segment(text, at)?;
        at = segment.span.end;
        segments.push(segment);
        at += text[at..].len() - text[at..].trim_start().len();
        match text[at..].chars().next() {
            Some('.') => at += 1,
            None | Some('=') => return Ok((segments, at)),
            Some(other) => return Err(unexpected(other, at)),
        }
    }
}

fn segment(text: &str, start: usize) -> Result<Segment<'_>, (Problem, Range<usize>)> {
    let rest = &text[start..];
    let (name, mut end) = match rest.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let inner = &rest[1..];
            let Some(len) = inner.find(quote) else {
                let problem = Problem::new(
                    format!("the quote {quote} is not closed"),
                    "close it behind the name",
                );
                return Err((problem, start..text.len()));
            };
            (&inner[..len], start + len + 2)
        }
        _ => {
            let len = rest
                .find(|letter: char| {
                    matches!(letter, '.' | '[' | ']' | '=' | '"' | '\'') || letter.is_whitespace()
                })
                .unwrap_or(rest.len());
            (&rest[..len], start + len)
        }
    };
    if name.is_empty() {
        let next = text[end..].chars().next().map_or(0, char::len_utf8);
        let problem = Problem::new(
            "a name is missing in this path",
            "write names with a dot between two: `ipv4.src`",
        );
        return Err((problem, start..end + next));
    }
    let mut index = None;
    if let Some(after_name) = text[end..].strip_prefix('[') {
        let digits = after_name.find(']').map(|len| &after_name[..len]);
        // `parse` alone would accept a sign.
        let number = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let Some((digits, number)) = number.and_then(|digits| Some((digits, digits.parse().ok()?)))
        else {
            let len = digits.map_or(after_name.len(), |digits| digits.len() + 1);
            let problem = Problem::new(
                format!("`{}` is no index", &text[end..end + 1 + len]),
                "write a number in brackets: `ipv4[1]` is the second one, from the outside in",
            );
            return Err((problem, end..end + 1 + len));
        };
        index = Some(number);
        end += digits.len() + 2;
    }
    Ok(Segment { name, index, span: start..end })
}

fn unexpected(letter: char, at: usize) -> (Problem, Range<usize>) {
    let problem = Problem::new(
        format!("unexpected `{letter}` in a path"),
        "write names with a dot between two, a name with other letters in quotes: `flows.\"my flow\".size`",
    );
    (problem, at..at + letter.len_utf8())
}
