//! The payload of a flow's frames, after the headers.

use super::table::{Problems, Value};
use crate::config::{
    Located, Payload,
    literal::{Problem, parse_hex},
};

const HELP: &str = "write `\"zeros\"`, `{ pattern = \"dead beef\" }`, `{ hex = \"dead beef\" }`, `{ text = \"hello\" }`, \
                    `{ increment = {} }` or `{ random = {} }`";

/// The payload; none when it cannot be read, and the error is then among `problems`.
pub(super) fn payload(value: &Value<'_>, problems: &mut Problems) -> Option<Located<Payload>> {
    if !value.value.is_table() {
        return problems.take(value.parsed("a string or a table", HELP, |text| match text {
            "zeros" => Ok(Payload::Zeros),
            _ => Err(Problem::new(format!("unknown payload `{text}`"), HELP)),
        }));
    }
    let table = problems.take(value.table("payload", HELP))?;
    let form = table.one_of(
        &["pattern", "hex", "text", "increment", "random"],
        "this payload",
        problems,
    )?;
    let payload = match form.key {
        "pattern" => {
            Payload::Pattern(problems.take(form.parsed("a string", HELP, parse_hex))?.value)
        }
        "hex" => Payload::Bytes(problems.take(form.parsed("a string", HELP, parse_hex))?.value),
        "text" => Payload::Bytes(problems.take(form.name())?.value.into_bytes()),
        "increment" => {
            let mut table =
                problems.take(form.table("payload increment", "write `{ start = 0 }`"))?;
            let start = table.optional("start");
            table.finish(problems);
            Payload::Increment(match start {
                Some(start) => problems.take(start.integer(&(0..=u8::MAX)))?.value,
                None => 0,
            })
        }
        _ => {
            let mut table = problems.take(form.table("random payload", "write `{ seed = 1 }`"))?;
            let seed = table.optional("seed");
            table.finish(problems);
            Payload::Random {
                seed: match seed {
                    Some(seed) => problems.take(seed.integer(&(0..=u64::MAX)))?.value,
                    None => 0,
                },
            }
        }
    };
    Some(value.located(payload))
}
