//! A flow's packet and payload: headers, their fields, the fields' patterns.

use toml::de::DeValue;

use super::table::{Problems, Value};
use crate::{
    config::{
        Diagnostic, FieldSetting, Header, Located, Pattern, Payload,
        checked::{self, Direction},
        literal::{Problem, check_fits, parse_hex, parse_step, parse_value},
        names,
    },
    packet::{ChecksumMode, FieldDef, FieldType, HeaderKind},
};

const PACKET_HELP: &str = "write the headers from outer to inner: `packet = [{ ethernet = {} }, { ipv4 = {} }]`";
const PAYLOAD_HELP: &str = "write `\"zeros\"`, `{ pattern = \"dead beef\" }` or `{ hex = \"dead beef\" }`";

/// The headers, outer to inner; at least one. None when something is wrong, which is then among `problems`.
pub(super) fn packet(value: &Value<'_>, problems: &mut Problems) -> Option<Vec<Header>> {
    let elements = problems.take(value.elements(PACKET_HELP))?;
    if elements.is_empty() {
        problems.push(Diagnostic::new(&value.place, "this packet has no headers").help(PACKET_HELP));
    }
    // All of them before the first that failed ends it.
    let headers: Vec<_> = elements.iter().map(|element| header(element, problems)).collect();
    headers.into_iter().collect()
}

fn header(element: &Value<'_>, problems: &mut Problems) -> Option<Header> {
    let entries = problems.take(element.entries(PACKET_HELP))?;
    let mut headers: Vec<_> = entries.iter().map(|entry| header_entry(entry, problems)).collect();
    let single = headers.pop();
    match single {
        Some(header) if headers.is_empty() => header,
        Some(_) => {
            let given = names::list(entries.iter().map(|entry| entry.key));
            problems.push(
                Diagnostic::new(&element.place, format!("several headers in one element of `packet`: {given}"))
                    .help("give each header braces of its own, so that their order is told"),
            );
            None
        }
        None => {
            problems.push(
                Diagnostic::new(&element.place, "an element of `packet` without a header")
                    .help(format!("name one of {}", names::list(HeaderKind::ALL.into_iter().map(HeaderKind::name)))),
            );
            None
        }
    }
}

fn header_entry(entry: &Value<'_>, problems: &mut Problems) -> Option<Header> {
    let known = || HeaderKind::ALL.into_iter();
    let Some(kind) = known().find(|kind| kind.name() == entry.key) else {
        problems.push(Diagnostic::new(&entry.key_place, format!("unknown header `{}`", entry.key)).help(names::cure(
            entry.key,
            "headers",
            known().map(HeaderKind::name),
        )));
        return None;
    };
    let fields = problems.take(entry.entries("write its fields in braces, or `{}` for none"))?;
    let fields: Vec<_> = fields.iter().map(|entry| field(kind, entry, problems)).collect();
    Some(Header {
        kind: Located::new(kind, entry.key_place.clone()),
        fields: fields.into_iter().collect::<Option<_>>()?,
        options: Located::default(Vec::new()),
        checksum: Located::default(ChecksumMode::Good),
    })
}

fn field(kind: HeaderKind, entry: &Value<'_>, problems: &mut Problems) -> Option<FieldSetting> {
    let Some(field) = kind.field(entry.key) else {
        let known = kind.fields().iter().map(|field| &*field.name);
        problems.push(
            Diagnostic::new(&entry.key_place, format!("`{}` has no field `{}`", kind.name(), entry.key))
                .help(names::cure(entry.key, "fields", known)),
        );
        return None;
    };
    let pattern = match entry.value {
        DeValue::Array(_) => values(field, entry, problems),
        DeValue::Table(_) => pattern_table(field, entry, problems),
        _ => value(field, entry, problems),
    }?;
    Some(FieldSetting { field: field.clone(), pattern: entry.located(pattern), follow: None })
}

fn pattern_table(field: &FieldDef, entry: &Value<'_>, problems: &mut Problems) -> Option<Pattern> {
    const FORMS: [&str; 5] = ["value", "values", "increment", "decrement", "random"];
    let mut table = problems.take(entry.table("pattern", ""))?;
    let given: Vec<Value<'_>> = FORMS.into_iter().filter_map(|form| table.optional(form)).collect();
    let misspelt = !table.finish(problems);
    match given.as_slice() {
        [form] => match form.key {
            "value" => value(field, form, problems),
            "values" => values(field, form, problems),
            "increment" => counting(field, Direction::Up, form, problems),
            "decrement" => counting(field, Direction::Down, form, problems),
            _ => random(field, form, problems),
        },
        [] if misspelt => None,
        [] => {
            problems.push(
                Diagnostic::new(&entry.place, format!("the pattern of `{}` is empty", field.name))
                    .help(format!("write one of {}", names::list(FORMS))),
            );
            None
        }
        several => {
            let given = names::list(several.iter().map(|form| form.key));
            problems.push(
                Diagnostic::new(&entry.place, format!("`{}` has several patterns at once: {given}", field.name))
                    .help("keep one of them"),
            );
            None
        }
    }
}

fn value(field: &FieldDef, entry: &Value<'_>, problems: &mut Problems) -> Option<Pattern> {
    let value = problems.take(scalar(field, entry))?;
    problems.take(checked::value(field, &value))
}

fn values(field: &FieldDef, entry: &Value<'_>, problems: &mut Problems) -> Option<Pattern> {
    let elements = problems.take(entry.elements("write the values in brackets"))?;
    let values: Vec<_> = elements.iter().map(|element| problems.take(scalar(field, element))).collect();
    problems.take(checked::values(field, values.into_iter().collect::<Option<_>>()?, &entry.place))
}

fn counting(field: &FieldDef, direction: Direction, entry: &Value<'_>, problems: &mut Problems) -> Option<Pattern> {
    let mut table = problems.take(entry.table("counting pattern", "write `{ start = 1, step = 1, count = 10 }`"))?;
    let start = table.required("start", start_example(field));
    let step_value = table.optional("step");
    let count = table.required("count", "count = 10");
    table.finish(problems);
    let start = start.and_then(|start| problems.take(scalar(field, &start)));
    let step = match step_value {
        Some(value) => problems.take(step(field, &value)),
        None => Some(Located::default(1)),
    };
    let count = count.and_then(|count| problems.take(count.integer(&(0..=u64::MAX))));
    problems.take(checked::counting(field, direction, &start?, &step?, &count?))
}

fn random(field: &FieldDef, entry: &Value<'_>, problems: &mut Problems) -> Option<Pattern> {
    let mut table = problems.take(entry.table("random pattern", "write `{}`, or `{ min = …, max = …, seed = … }`"))?;
    let (min, max, seed) = (table.optional("min"), table.optional("max"), table.optional("seed"));
    table.finish(problems);
    let mut limit = |value: Option<Value<'_>>, default: u128| match value {
        Some(value) => problems.take(scalar(field, &value)),
        None => Some(Located::default(default)),
    };
    let (min, max) = (limit(min, 0), limit(max, field.max()));
    let seed = match seed {
        Some(seed) => Some(problems.take(seed.integer(&(0..=u64::MAX)))?.value),
        None => None,
    };
    problems.take(checked::random(field, &min?, &max?, seed))
}

/// One value of a field.
fn scalar(field: &FieldDef, value: &Value<'_>) -> Result<Located<u128>, Diagnostic> {
    let (wanted, help) = match field.kind {
        FieldType::Number => ("a number", "write a number, such as `53` or `0x35`"),
        FieldType::Mac => ("a MAC address", "write it in quotes: `\"02:00:00:00:00:01\"`"),
        FieldType::Ipv4 => ("an IPv4 address", "write it in quotes: `\"192.0.2.1\"`"),
        FieldType::Ipv6 => ("an IPv6 address", "write it in quotes: `\"2001:db8::1\"`"),
    };
    match (field.kind, value.value) {
        (FieldType::Number, DeValue::Integer(_)) => fitting(field, value),
        _ => value.parsed(wanted, help, |text| parse_value(field, text)),
    }
}

/// The distance of two values of a field.
fn step(field: &FieldDef, value: &Value<'_>) -> Result<Located<u128>, Diagnostic> {
    match value.value {
        DeValue::Integer(_) => fitting(field, value),
        _ => value.parsed("a number", "write a number, such as `1`", |text| parse_step(field, text)),
    }
}

fn fitting(field: &FieldDef, value: &Value<'_>) -> Result<Located<u128>, Diagnostic> {
    let number = value.unsigned()?;
    check_fits(field, number).map(|number| value.located(number)).map_err(|problem| problem.at(&value.place))
}

const fn start_example(field: &FieldDef) -> &'static str {
    match field.kind {
        FieldType::Number => "start = 1",
        FieldType::Mac => "start = \"02:00:00:00:00:01\"",
        FieldType::Ipv4 => "start = \"192.0.2.1\"",
        FieldType::Ipv6 => "start = \"2001:db8::1\"",
    }
}

/// What fills the frame behind the headers.
pub(super) fn payload(value: &Value<'_>, problems: &mut Problems) -> Option<Located<Payload>> {
    if !value.value.is_table() {
        return problems.take(value.parsed("a string or a table", PAYLOAD_HELP, |text| match text {
            "zeros" => Ok(Payload::Zeros),
            _ => Err(Problem::new(format!("unknown payload `{text}`"), PAYLOAD_HELP)),
        }));
    }
    let mut table = problems.take(value.table("payload", PAYLOAD_HELP))?;
    let (pattern, hex) = (table.optional("pattern"), table.optional("hex"));
    let misspelt = !table.finish(problems);
    let mut bytes =
        |value: &Value<'_>| problems.take(value.parsed("a string", PAYLOAD_HELP, parse_hex)).map(|bytes| bytes.value);
    let payload = match (pattern, hex) {
        (Some(pattern), None) => Payload::Pattern(bytes(&pattern)?),
        (None, Some(hex)) => Payload::Bytes(bytes(&hex)?),
        (None, None) if misspelt => return None,
        (None, None) => {
            problems.push(Diagnostic::new(&value.place, "this payload is empty").help(PAYLOAD_HELP));
            return None;
        }
        (Some(_), Some(_)) => {
            problems.push(
                Diagnostic::new(&value.place, "this payload has both `pattern` and `hex`").help("keep one of them"),
            );
            return None;
        }
    };
    Some(value.located(payload))
}
