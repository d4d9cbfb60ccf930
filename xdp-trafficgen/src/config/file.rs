//! The configuration file: TOML text to [`Config`], or all errors in it.
//!
//! Values are read one by one from the spanned document, not through serde: that way each error has
//! the place of its value, and no error hides another. The packet model checks whether headers fit
//! together, the plan whether interfaces and CPUs exist.

mod follow;
mod header;
mod leaders;
mod options;
mod overrides;
mod packet;
mod pattern;
mod payload;
mod pieces;
mod rate;
mod references;
mod size;
mod table;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use rate::{ReadFile, no_files};
use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use self::{
    rate::Context as Rates,
    references::{FlowReference, PortReference, References},
    table::{Problems, Table, Texts, Value},
};
use crate::config::{
    Action, Config, DEFAULT_BATCH_SIZE, DEFAULT_SIZE, Diagnostic, Diagnostics, Flow, LatePolicy,
    Located, Origin, Payload, Port, Profile, Size, Source, WhenFull,
    literal::{BATCH_SIZE, add_cpu, check_cpu, parse_cpus, parse_duration},
    rate::{DEFAULT_LATE_THRESHOLD, parse_speed},
};

const ACTIONS: [(&str, Action); 4] = [
    ("redirect", Action::Redirect),
    ("tx", Action::Tx),
    ("pass", Action::Pass),
    ("drop", Action::Drop),
];

const PORT_EXAMPLE: &str =
    "start one with a line `[[ports]]`, then `name = \"west\"` and `interface = \"veth0\"`";
const FLOW_EXAMPLE: &str = "start one with a line `[[flows]]`, then `name = \"dns\"`, `port = \"west\"` and `packet = […]`";

/// The configuration of a file that names no other files.
///
/// # Errors
/// All errors, in the order of the file. A file that is not TOML has only the errors of its syntax,
/// because its meaning is unknown.
pub fn parse(source: Source) -> Result<Config, Diagnostics> {
    parse_with(source, &[], &no_files)
}

/// The configuration of a file after the `overrides`, which are applied in their order. Each is a
/// `PATH=VALUE` such as `flows.dns.packet.ipv4.src=10.0.0.9`: the value is TOML, or else
/// a string. Ports and flows are addressed by name (`*` for all), headers by theirs (`ipv4[1]` is
/// the second where there are several). `read` reads the other files that the configuration names.
///
/// # Errors
/// As those of [`parse`]; those of overrides come last.
pub fn parse_with(
    source: Source,
    overrides: &[String],
    read: &ReadFile<'_>,
) -> Result<Config, Diagnostics> {
    let text = source.text.clone();
    let items = if overrides.is_empty() { in_pieces(&text, read) } else { None };
    let Items { ports, flows, references, mut problems } =
        items.unwrap_or_else(|| as_a_whole(&text, overrides, read));
    references.check(&text, &mut problems);
    let Problems(mut list) = problems;
    list.sort_by_key(|diagnostic| match &diagnostic.place {
        Origin::File(span) => (0, span.start),
        Origin::Override(place) => {
            let before = overrides.iter().take_while(|other| **other != *place.argument);
            (1 + before.count(), place.span.start)
        }
        Origin::Option(_) | Origin::Default => (usize::MAX, 0),
    });
    // A wrong value that was set for all flows is reported once.
    list.dedup();
    let mut diagnostics = Diagnostics::new(source.clone());
    for diagnostic in list {
        diagnostics.push(diagnostic);
    }
    diagnostics.into_result(Config { source, ports, flows })
}

/// What is in a file.
#[derive(Debug)]
struct Items {
    ports: Vec<Port>,
    flows: Vec<Flow>,
    references: References,
    problems: Problems,
}

/// Reads a file, one port or flow after the other: see [`pieces`]. None when it must be read as a
/// whole.
fn in_pieces(text: &str, read: &ReadFile<'_>) -> Option<Items> {
    let pieces = pieces::split(text)?;
    let count = |wanted| pieces.iter().filter(|(kind, _)| *kind == wanted).count();
    let (port_count, flow_count) = (count(pieces::Kind::Port), count(pieces::Kind::Flow));
    if port_count == 0 || flow_count == 0 {
        // What is missing is reported for the file.
        return None;
    }
    let (mut ports, mut flows) = (Vec::with_capacity(port_count), Vec::with_capacity(flow_count));
    let mut problems = Problems::default();
    let mut shared = Shared { references: References::default(), rates: Rates::new(read) };
    for (kind, range) in pieces {
        let (document, syntax_errors) = DeTable::parse_recoverable(&text[range.clone()]);
        if !syntax_errors.is_empty() {
            return None;
        }
        let texts = Texts { start: range.start, ..Texts::default() };
        let value = table::entries(document.get_ref(), &texts).into_iter().next();
        match kind {
            pieces::Kind::Port => {
                for item in items(value, "port", PORT_EXAMPLE, &mut problems) {
                    ports.extend(port(item, &mut shared, &mut problems));
                }
            }
            pieces::Kind::Flow => {
                for item in items(value, "flow", FLOW_EXAMPLE, &mut problems) {
                    flows.extend(flow(item, &mut shared, &mut problems));
                }
            }
        }
    }
    Some(Items { ports, flows, references: shared.references, problems })
}

/// Reads a file, and changes it by the overrides before.
fn as_a_whole(text: &str, overrides: &[String], read: &ReadFile<'_>) -> Items {
    let (mut document, syntax_errors) = DeTable::parse_recoverable(text);
    let mut texts = Texts::default();
    let mut problems = Problems::default();
    // After this syntax error alone, the rest of the file is still unambiguous.
    let readable = syntax_errors.iter().all(|error| error.message() == DUPLICATE_KEY);
    for error in syntax_errors {
        problems.push(syntax(text, &error));
    }
    let (mut ports, mut flows) = (Vec::new(), Vec::new());
    let mut shared = Shared { references: References::default(), rates: Rates::new(read) };
    if readable {
        let mut base = text.len() + 1;
        for argument in overrides {
            texts.overrides.push((base, argument.as_str().into()));
            problems.take(overrides::apply(document.get_mut(), argument, base));
            base += argument.len() + 1;
        }
        let mut table = Table::new(
            "configuration",
            Origin::File(0..0),
            table::entries(document.get_ref(), &texts),
        );
        let (port_items, flow_items) = (table.optional("ports"), table.optional("flows"));
        table.finish(&mut problems);
        let port_items = items(port_items, "port", PORT_EXAMPLE, &mut problems);
        let flow_items = items(flow_items, "flow", FLOW_EXAMPLE, &mut problems);
        ports.extend(
            port_items.into_iter().filter_map(|item| port(item, &mut shared, &mut problems)),
        );
        flows.extend(
            flow_items.into_iter().filter_map(|item| flow(item, &mut shared, &mut problems)),
        );
    }
    Items { ports, flows, references: shared.references, problems }
}

/// The rate of `text`, given for `option`: any rate of a file, without the quotes around a single
/// rate.
///
/// # Errors
/// All errors in it.
pub fn parse_rate_option(
    option: &'static str,
    text: &str,
    read: &ReadFile<'_>,
) -> Result<Located<Profile>, Vec<Diagnostic>> {
    let place = Origin::Option(option);
    let document = match text.trim_start().starts_with('{') {
        true => overrides::parse_value(text, 0),
        // A single rate is a string, although TOML may read it as another type. It may have
        // the quotes that a file needs.
        false => Spanned::new(0..text.len(), DeValue::String(unquoted(text).into())),
    };
    let texts = Texts { overrides: vec![(0, text.into())], ..Texts::default() };
    let mut problems = Problems::default();
    let value = Value::alone("rate", &document, &texts);
    match rate::rate(&value, &mut Rates::new(read), &mut problems) {
        Some(profile) if problems.0.is_empty() => Ok(Located::new(profile.value, place)),
        // Errors in an option of the command line point at the whole option.
        _ => Err(problems
            .0
            .into_iter()
            .map(|problem| Diagnostic { place: place.clone(), ..problem })
            .collect()),
    }
}

/// The text without the pair of quotes around it, if there is one.
fn unquoted(text: &str) -> &str {
    let trimmed = text.trim();
    let within = |quote| trimmed.strip_prefix(quote)?.strip_suffix(quote);
    within('"').or_else(|| within('\'')).unwrap_or(text)
}

/// Values that are gathered from all ports and flows.
struct Shared<'a> {
    references: References,
    rates: Rates<'a>,
}

/// The toml crate's message.
const DUPLICATE_KEY: &str = "duplicate key";

fn syntax(text: &str, error: &toml::de::Error) -> Diagnostic {
    let span = error.span().unwrap_or(0..0);
    const QUOTED: usize = 80;
    let found =
        text.get(span.clone()).filter(|found| !found.trim().is_empty() && !found.contains('\n'));
    let found = found.filter(|found| found.len() <= QUOTED);
    let message = match found {
        Some(found) => format!("{}: `{found}`", error.message()),
        None => error.message().to_owned(),
    };
    let help = match (error.message(), found) {
        (DUPLICATE_KEY, Some("ports" | "flows")) => {
            "write the header of each port and flow in double brackets"
        }
        (DUPLICATE_KEY, _) => "remove one of the two",
        _ => "write the file in TOML 1.1, see https://toml.io",
    };
    Diagnostic::new(&Origin::File(span), message).help(help)
}

/// The tables of an array of tables, `[[ports]]` or `[[flows]]`; an empty array is an
/// error.
fn items<'a>(
    value: Option<Value<'a>>,
    noun: &'static str,
    example: &'static str,
    problems: &mut Problems,
) -> Vec<Table<'a>> {
    let elements =
        match &value {
            None => Vec::new(),
            Some(value) if matches!(value.value, DeValue::Array(_)) => {
                problems.take(value.elements(example)).unwrap_or_default()
            }
            Some(value) => {
                problems.push(value.mismatch(
                    "an array of tables",
                    &format!("write `[[{}]]` before each", value.key),
                ));
                return Vec::new();
            }
        };
    if elements.is_empty() {
        let place = value.map_or(Origin::File(0..0), |value| value.place);
        problems.push(Diagnostic::new(&place, format!("this file has no {noun}s")).help(example));
    }
    elements.iter().filter_map(|element| problems.take(element.table(noun, example))).collect()
}

fn port(mut table: Table<'_>, shared: &mut Shared<'_>, problems: &mut Problems) -> Option<Port> {
    let name = table.required("name", "name = \"west\"");
    let interface = table.required("interface", "interface = \"veth0\"");
    let ingress = table.optional("ingress");
    let action = table.optional("action");
    let cpus = table.optional("cpus");
    let batch_size = table.optional("batch_size");
    let flood = table.optional("flood");
    let rate = table.optional("rate");
    let speed = table.optional("speed");
    let behind = table.optional("behind");
    let late_threshold = table.optional("late_threshold");
    table.finish(problems);

    let name = name.and_then(|value| problems.take(value.name()));
    let interface = interface.and_then(|value| problems.take(value.name()));
    shared.references.ports.push(PortReference {
        name: name.clone(),
        interface: interface.clone(),
        rate: rate.as_ref().map(|rate| rate.place.clone()),
    });
    let ingress = optional(ingress, |value| problems.take(value.name()));
    let action =
        or_default(action, Action::default(), |value| problems.take(value.choice(&ACTIONS)));
    let cpus = optional(cpus, |value| self::cpus(&value, problems));
    let batch_size = or_default(batch_size, DEFAULT_BATCH_SIZE, |value| {
        problems.take(value.integer(&BATCH_SIZE))
    });
    let when_full =
        or_default(flood, WhenFull::default(), |value| problems.take(when_full(&value)));
    let rate = optional(rate, |value| rate::rate(&value, &mut shared.rates, problems));
    let speed = optional(speed, |value| {
        problems.take(value.parsed(
            "a string",
            "write a number and its unit in quotes: `\"10Gbps\"`",
            parse_speed,
        ))
    });
    let behind = or_default(behind, LatePolicy::DEFAULT, |value| rate::behind(&value, problems));
    let late_threshold = or_default(late_threshold, DEFAULT_LATE_THRESHOLD, |value| {
        problems.take(rate::time(&value))
    });
    Some(Port {
        name: name?,
        interface: interface?,
        ingress: ingress?,
        action: action?,
        cpus: cpus?,
        batch_size: batch_size?,
        when_full: when_full?,
        rate: rate?,
        speed: speed?,
        total: None,
        behind: behind?,
        late_threshold: late_threshold?,
    })
}

fn when_full(value: &Value<'_>) -> Result<Located<WhenFull>, Diagnostic> {
    let flood = value.value.as_bool().ok_or_else(|| {
        value.mismatch(
            "a boolean",
            "write `true` to attempt frames as fast as they can be made, or leave it out",
        )
    })?;
    let when_full = if flood { WhenFull::Flood } else { WhenFull::Wait };
    Ok(Located { value: when_full, place: value.place.clone() })
}

fn flow(mut table: Table<'_>, shared: &mut Shared<'_>, problems: &mut Problems) -> Option<Flow> {
    let name = table.required("name", "name = \"dns\"");
    let port = table.required("port", "port = \"west\"");
    let weight = table.optional("weight");
    let size = table.optional("size");
    let rate = table.optional("rate");
    let delay = table.optional("delay");
    let packets = table.optional("packets");
    let duration = table.optional("duration");
    let packet = table.required("packet", "packet = [{ ethernet = {} }]");
    let payload = table.optional("payload");
    table.finish(problems);

    let name = name.and_then(|value| problems.take(value.name()));
    let port = port.and_then(|value| problems.take(value.name()));
    shared.references.flows.push(FlowReference {
        name: name.clone(),
        port: port.clone(),
        rate: rate.as_ref().map(|rate| rate.place.clone()),
    });
    let weight = or_default(weight, 1, |value| problems.take(value.integer(&(1..=u32::MAX))));
    let size = or_default(size, Size::Fixed(DEFAULT_SIZE), |value| size::size(&value, problems));
    let rate = optional(rate, |value| rate::rate(&value, &mut shared.rates, problems));
    let delay = or_default(delay, Duration::ZERO, |value| problems.take(rate::time(&value)));
    let packets = optional(packets, |value| problems.take(value.count()));
    let duration = optional(duration, |value| {
        problems.take(value.parsed(
            "a string",
            "write a number and its unit in quotes: `\"10s\"`",
            parse_duration,
        ))
    });
    let packet = packet.and_then(|value| packet::packet(&value, problems));
    let payload = or_default(payload, Payload::Zeros, |value| payload::payload(&value, problems));
    Some(Flow {
        name: name?,
        port: port?,
        weight: weight?,
        size: size?,
        rate: rate?,
        delay: delay?,
        packets: packets?,
        duration: duration?,
        packet: packet?,
        payload: payload?,
    })
}

/// `Some(None)` for an absent value, `None` for a wrong one.
fn optional<'a, T>(
    value: Option<Value<'a>>,
    read: impl FnOnce(Value<'a>) -> Option<T>,
) -> Option<Option<T>> {
    match value {
        Some(value) => read(value).map(Some),
        None => Some(None),
    }
}

/// The default for an absent value, `None` for a wrong one.
fn or_default<'a, T>(
    value: Option<Value<'a>>,
    default: T,
    read: impl FnOnce(Value<'a>) -> Option<Located<T>>,
) -> Option<Located<T>> {
    match value {
        Some(value) => read(value),
        None => Some(Located::default(default)),
    }
}

/// CPU numbers in the order given: `"0,2-3"`, `0` or `[0, 2, 3]`.
fn cpus(value: &Value<'_>, problems: &mut Problems) -> Option<Located<Vec<u32>>> {
    const HELP: &str = "write CPUs as `\"0,2-3\"` or `[0, 2, 3]`";
    let elements = match value.value {
        DeValue::Array(_) => problems.take(value.elements(HELP))?,
        DeValue::Integer(_) => vec![value.clone()],
        _ => {
            return problems.take(value.parsed(
                "a string, an integer or an array",
                HELP,
                parse_cpus,
            ));
        }
    };
    if elements.is_empty() {
        problems.push(
            Diagnostic::new(&value.place, "`cpus` is empty")
                .help("name a CPU, or leave `cpus` out"),
        );
        return None;
    }
    let mut list = Vec::new();
    for element in &elements {
        let number = problems.take(element.unsigned());
        let added = number.map(|number| check_cpu(number).and_then(|cpu| add_cpu(&mut list, cpu)));
        problems.take(added.unwrap_or(Ok(())).map_err(|problem| problem.at(&element.place)));
    }
    Some(value.located(list))
}
