//! A flow's frame sizes.

use toml::de::DeValue;

use super::table::{Problems, Value};
use crate::config::{Diagnostic, Located, Size, SizeWeight, literal::FRAME_SIZE, size};

const HELP: &str = "write a number, `\"imix\"`, or a table such as `{ random = { min = 64, max = 1518 } }` or `{ genome = \"aaafg\" }`";

/// The sizes; none when they cannot be read, and the error is then among `problems`.
pub(super) fn size(value: &Value<'_>, problems: &mut Problems) -> Option<Located<Size>> {
    match value.value {
        DeValue::Integer(_) => {
            problems.take(frame_size(value)).map(|size| value.located(Size::Fixed(size)))
        }
        DeValue::Table(_) => table(value, problems).map(|size| value.located(size)),
        _ => problems.take(value.parsed("a number, a string or a table", HELP, size::predefined)),
    }
}

fn table(value: &Value<'_>, problems: &mut Problems) -> Option<Size> {
    let mut table = problems.take(value.table("size", HELP))?;
    // In other forms the key is unknown, and `finish` reports it.
    let custom = if table.has("genome") { table.optional("z") } else { None };
    let form =
        table.one_of(&["increment", "random", "weighted", "genome"], "this size", problems)?;
    match form.key {
        "increment" => increment(&form, problems),
        "random" => random(&form, problems),
        "weighted" => weighted(&form, problems),
        _ => {
            let custom = match custom {
                Some(custom) => Some(problems.take(frame_size(&custom))?),
                None => None,
            };
            let letters =
                form.parsed("a string", "write its letters in quotes: `\"aaafg\"`", |letters| {
                    size::genome(letters, custom)
                });
            problems.take(letters).map(|size| size.value)
        }
    }
}

fn increment(form: &Value<'_>, problems: &mut Problems) -> Option<Size> {
    let mut table = problems
        .take(form.table("size increment", "write `{ start = 64, end = 1518, step = 1 }`"))?;
    let (start, end) = (table.required("start", "start = 64"), table.required("end", "end = 1518"));
    let step = table.optional("step");
    table.finish(problems);
    let start = start.and_then(|start| problems.take(start.integer(&FRAME_SIZE)));
    let end = end.and_then(|end| problems.take(end.integer(&FRAME_SIZE)));
    let step = match step {
        Some(step) => problems.take(step.integer(&(1..=u32::MAX)))?.value,
        None => 1,
    };
    let (start, end) = (start?, end?);
    problems.take(in_order(&start, &end))?;
    Some(Size::Increment { start: start.value, end: end.value, step })
}

fn random(form: &Value<'_>, problems: &mut Problems) -> Option<Size> {
    let mut table = problems.take(form.table("random size", "write `{ min = 64, max = 1518 }`"))?;
    let (min, max) = (table.required("min", "min = 64"), table.required("max", "max = 1518"));
    let seed = table.optional("seed");
    table.finish(problems);
    let min = min.and_then(|min| problems.take(min.integer(&FRAME_SIZE)));
    let max = max.and_then(|max| problems.take(max.integer(&FRAME_SIZE)));
    let seed = match seed {
        Some(seed) => Some(problems.take(seed.integer(&(0..=u64::MAX)))?.value),
        None => None,
    };
    let (min, max) = (min?, max?);
    problems.take(in_order(&min, &max))?;
    Some(Size::Random { min: min.value, max: max.value, seed })
}

fn weighted(form: &Value<'_>, problems: &mut Problems) -> Option<Size> {
    const HELP: &str = "write each size with its weight: `[{ size = 64, weight = 7 }, { size = 1518, weight = 1 }]`";
    let elements = problems.take(form.elements(HELP))?;
    if elements.is_empty() {
        problems.push(Diagnostic::new(&form.place, "this mix has no sizes").help(HELP));
        return None;
    }
    let mut pair = |element: &Value<'_>| {
        let mut table = problems.take(element.table("weighted size", HELP))?;
        let (size, weight) =
            (table.required("size", "size = 64"), table.required("weight", "weight = 1"));
        table.finish(problems);
        let size = size.and_then(|size| problems.take(frame_size(&size)));
        let weight = weight.and_then(|weight| problems.take(weight.integer(&(1..=u32::MAX))));
        Some(SizeWeight { size: size?, weight: weight?.value })
    };
    // All pairs are read first, so that every error is reported.
    let pairs: Vec<_> = elements.iter().map(&mut pair).collect();
    pairs.into_iter().collect::<Option<_>>().map(Size::Weighted)
}

fn frame_size(value: &Value<'_>) -> Result<u32, Diagnostic> {
    value.integer(&FRAME_SIZE).map(|size| size.value)
}

fn in_order(smallest: &Located<u32>, largest: &Located<u32>) -> Result<(), Diagnostic> {
    if smallest.value <= largest.value {
        return Ok(());
    }
    let message =
        format!("the smallest size, {}, is above the largest, {}", smallest.value, largest.value);
    Err(Diagnostic::new(&smallest.place, message).help("swap the two, or change one of them"))
}
