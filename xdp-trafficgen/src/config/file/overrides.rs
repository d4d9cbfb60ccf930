//! `--set PATH=VALUE` changes the parsed document before it is read, so that its values are checked
//! like those of the file.

use std::{borrow::Cow, ops::Range, sync::Arc};

use serde_spanned::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use crate::config::{
    Diagnostic, Origin,
    literal::Problem,
    names,
    path::{self, Segment},
};

const HELP: &str =
    "write `--set flows.NAME.KEY=VALUE`, such as `flows.dns.size=128` or `flows.*.packets=5`";

/// The largest number of names in a path: more than any value of a configuration needs, and few enough
/// for recursion.
const MAX_DEPTH: usize = 16;

/// Applies the `--set` of `argument`; the spans of its values count from `base`.
///
/// # Errors
/// When it is malformed, or names something that does not exist and cannot be added.
pub(super) fn apply<'i>(
    document: &mut DeTable<'i>,
    argument: &'i str,
    base: usize,
) -> Result<(), Diagnostic> {
    let shared: Arc<str> = argument.into();
    let at = |problem: Problem, span| problem.at(&Origin::in_override(shared.clone(), span));
    let (path, equals) = path::parse(argument).map_err(|(problem, span)| at(problem, span))?;
    let Some(value) = argument[equals..].strip_prefix('=') else {
        return Err(at(Problem::new(format!("no `=` in `{argument}`"), HELP), 0..argument.len()));
    };
    let [kind, item, rest @ ..] = path.as_slice() else {
        return Err(at(Problem::new("this path is too short", HELP), 0..equals));
    };
    if rest.is_empty() || path.len() > MAX_DEPTH {
        let problem =
            if rest.is_empty() { "this path is too short" } else { "this path is too long" };
        return Err(at(Problem::new(problem, HELP), 0..equals));
    }
    let noun = match kind.name {
        "ports" => "port",
        "flows" => "flow",
        other => {
            let problem = Problem::new(
                format!("there is no `{other}` to set"),
                "a path starts with `ports` or `flows`",
            );
            return Err(at(problem, kind.span.clone()));
        }
    };
    if let Some(numbered) = [kind, item].into_iter().find(|segment| segment.index.is_some()) {
        return Err(at(
            Problem::new(format!("a {noun} is addressed by its name"), HELP),
            numbered.span.clone(),
        ));
    }
    let setting = Setting { at: &at, base, value: parse_value(value, base + equals + 1) };
    // The reader of the document reports a missing array.
    let Some(DeValue::Array(items)) = document.get_mut(kind.name).map(Spanned::get_mut) else {
        return Ok(());
    };
    let named = |value: &Spanned<DeValue<'_>>| {
        Some(value.get_ref().get("name")?.get_ref().as_str()?.to_owned())
    };
    let mut found = false;
    for value in items.iter_mut() {
        let name = named(value);
        if item.name == "*" || name.as_deref() == Some(item.name) {
            found = true;
            // A copy is changed as a whole: half of a path would cause a second error.
            let mut changed = value.clone();
            setting.assign(&mut changed, rest, name.as_deref().unwrap_or(item.name))?;
            *value = changed;
        }
    }
    if !found {
        let known: Vec<String> = items.iter().filter_map(named).collect();
        let help = names::cure(item.name, kind.name, known.iter().map(String::as_str));
        return Err(at(
            Problem::new(format!("there is no {noun} `{}`", item.name), help),
            item.span.clone(),
        ));
    }
    Ok(())
}

struct Setting<'i, 'a, F> {
    /// Makes a diagnostic for bytes of the argument.
    at: &'a F,
    /// The start of the argument's spans.
    base: usize,
    value: Spanned<DeValue<'i>>,
}

impl<'i, F: Fn(Problem, Range<usize>) -> Diagnostic> Setting<'i, '_, F> {
    /// Puts the value where `path` leads to from `slot`; `item` is the name of the port or flow.
    /// Missing tables on the path are added, and other values on it are replaced by tables.
    fn assign(
        &self,
        slot: &mut Spanned<DeValue<'i>>,
        path: &[Segment<'i>],
        item: &str,
    ) -> Result<(), Diagnostic> {
        let Some((segment, rest)) = path.split_first() else {
            *slot = self.value.clone();
            return Ok(());
        };
        let span = segment.span.start + self.base..segment.span.end + self.base;
        if !slot.get_ref().is_table() {
            *slot = Spanned::new(span.clone(), DeValue::Table(DeTable::new()));
        }
        let DeValue::Table(table) = slot.get_mut() else { return Ok(()) };
        let key = Spanned::new(span.clone(), Cow::Borrowed(segment.name));
        let child =
            table.entry(key).or_insert_with(|| Spanned::new(span, DeValue::Table(DeTable::new())));
        let elements = match child.get_mut() {
            DeValue::Array(elements) if segment.index.is_some() => elements,
            DeValue::Array(elements) if segment.name == "packet" && !rest.is_empty() => {
                return self.assign(self.header(elements, &rest[0], item)?, &rest[1..], item);
            }
            _ if segment.index.is_some() => {
                let problem =
                    Problem::new(format!("`{}` is no array", segment.name), "remove the index");
                return Err((self.at)(problem, segment.span.clone()));
            }
            _ => return self.assign(child, rest, item),
        };
        let count = elements.len();
        match segment.index.and_then(|index| elements.get_mut(index)) {
            Some(element) => self.assign(element, rest, item),
            None => {
                let problem = Problem::new(
                    format!(
                        "`{}` has {count} elements, so there is none with this index",
                        segment.name
                    ),
                    "the first has the index 0",
                );
                Err((self.at)(problem, segment.span.clone()))
            }
        }
    }

    /// The header of a packet that `segment` names.
    fn header<'d>(
        &self,
        elements: &'d mut DeArray<'i>,
        segment: &Segment<'i>,
        item: &str,
    ) -> Result<&'d mut Spanned<DeValue<'i>>, Diagnostic> {
        let Segment { name, index, span } = segment;
        let kinds: Vec<String> = elements
            .iter()
            .filter_map(|element| element.get_ref().as_table())
            .flat_map(|table| table.keys().map(|key| key.get_ref().to_string()))
            .collect();
        let mut headers: Vec<_> = elements
            .iter_mut()
            .filter_map(|element| match element.get_mut() {
                DeValue::Table(table) => table.get_mut(*name),
                _ => None,
            })
            .collect();
        let count = headers.len();
        let problem = match (count, index) {
            (0, _) => Problem::new(
                format!("the packet of flow `{item}` has no `{name}` header"),
                names::cure(name, "headers of this packet", kinds.iter().map(String::as_str)),
            ),
            (1, None) => return Ok(headers.swap_remove(0)),
            (_, Some(index)) if *index < count => return Ok(headers.swap_remove(*index)),
            (_, None) => Problem::new(
                format!("the packet of flow `{item}` has {count} `{name}` headers"),
                format!("say which, from the outside in: `{name}[0]` to `{name}[{}]`", count - 1),
            ),
            (_, Some(index)) => Problem::new(
                format!("the packet of flow `{item}` has no `{name}[{index}]`"),
                format!("the last one from the outside in is `{name}[{}]`", count - 1),
            ),
        };
        Err((self.at)(problem, span.clone()))
    }
}

/// The value of `text` as TOML, or else the string itself; spans count from `base`, where the text
/// starts.
pub(super) fn parse_value(text: &str, base: usize) -> Spanned<DeValue<'_>> {
    let trimmed = text.trim();
    let base = base + (text.len() - text.trim_start().len());
    match DeValue::parse(trimmed) {
        Ok(value) if is_value(value.get_ref()) => shift(value, base),
        _ => Spanned::new(base..base + trimmed.len(), DeValue::String(Cow::Borrowed(trimmed))),
    }
}

/// Whether the value is valid: the toml crate takes any text that begins with a digit for a number, such
/// as `10_000pps`.
fn is_value(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Integer(integer) => {
            let digits = integer.as_str().trim_start_matches(['-', '+']);
            digits.chars().all(|letter| letter.is_digit(integer.radix()))
        }
        DeValue::Float(float) => float.as_str().parse::<f64>().is_ok(),
        _ => true,
    }
}

fn shift(value: Spanned<DeValue<'_>>, base: usize) -> Spanned<DeValue<'_>> {
    let moved = |span: Range<usize>| span.start + base..span.end + base;
    let span = moved(value.span());
    let value = match value.into_inner() {
        DeValue::Array(elements) => {
            DeValue::Array(elements.into_iter().map(|element| shift(element, base)).collect())
        }
        DeValue::Table(table) => DeValue::Table(
            table
                .into_iter()
                .map(|(key, value)| {
                    (Spanned::new(moved(key.span()), key.into_inner()), shift(value, base))
                })
                .collect(),
        ),
        scalar @ (DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)) => scalar,
    };
    Spanned::new(span, value)
}
