//! Tests of files, by theme, and the checks that they share.

mod fields;
mod follow;
mod kinds;
mod mistakes;
mod overrides;
mod rates;
mod robust;
mod sizes;
mod whole;

use rates::read as files;

use super::{parse, parse_with};
use crate::config::{Config, Flow, Header, Origin, Pattern, Source};

const PORT: &str = "[[ports]]\nname = 'west'\ninterface = 'veth0'\n";
const FLOW: &str = "[[flows]]\nname = 'dns'\nport = 'west'\npacket = [{ ethernet = {} }]\n";

/// Checks the errors of `text`, in order: the text that each points at, and a part of its message or
/// help.
#[track_caller]
fn check(text: &str, expected: &[(&str, &str)]) {
    check_set(text, &[], expected);
}

/// [`check`] with `--set`s.
#[track_caller]
fn check_set(text: &str, overrides: &[&str], expected: &[(&str, &str)]) {
    let overrides: Vec<String> = overrides.iter().map(|argument| (*argument).to_owned()).collect();
    let diagnostics = match parse_with(Source::file("test.toml", text), &overrides, &files) {
        Ok(_) => panic!("no errors in\n{text}"),
        Err(diagnostics) => diagnostics,
    };
    let found: Vec<(&str, String)> = diagnostics
        .list()
        .iter()
        .map(|diagnostic| match &diagnostic.place {
            Origin::File(span) => {
                (&text[span.clone()], format!("{}; {}", diagnostic.message, diagnostic.help))
            }
            Origin::Override(argument, span) => {
                (&argument[span.clone()], format!("{}; {}", diagnostic.message, diagnostic.help))
            }
            place => panic!("{place:?} in a file"),
        })
        .collect();
    let matches = found.len() == expected.len()
        && found
            .iter()
            .zip(expected)
            .all(|((at, message), (place, part))| at == place && message.contains(part));
    assert!(matches, "expected {expected:#?}\nfound {found:#?}\n{diagnostics}");
}

/// [`check`] for the lines of a port after its name and interface.
#[track_caller]
fn check_port(lines: &str, expected: &[(&str, &str)]) {
    check(&format!("{PORT}{lines}\n{FLOW}"), expected);
}

/// [`check`] for the lines of a flow after its name, port and packet.
#[track_caller]
fn check_flow(lines: &str, expected: &[(&str, &str)]) {
    check(&format!("{PORT}{FLOW}{lines}\n"), expected);
}

/// [`check`] for the packet of a flow.
#[track_caller]
fn check_packet(packet: &str, expected: &[(&str, &str)]) {
    check(&format!("{PORT}[[flows]]\nname = 'dns'\nport = 'west'\npacket = {packet}\n"), expected);
}

/// [`check`] for the fields of one header.
#[track_caller]
fn check_fields(header: &str, fields: &str, expected: &[(&str, &str)]) {
    check_packet(&format!("[{{ {header} = {{ {fields} }} }}]"), expected);
}

#[track_caller]
fn parsed(text: &str) -> Config {
    parse(Source::file("test.toml", text)).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

/// The pattern of the only field of the only header.
#[track_caller]
fn pattern(header: &str, field: &str) -> Pattern {
    let text = format!(
        "{PORT}[[flows]]\nname = 'a'\nport = 'west'\npacket = [{{ {header} = {{ {field} }} }}]"
    );
    parsed(&text).flows[0].packet[0].fields[0].pattern.value.clone()
}

/// The headers of a flow.
#[track_caller]
fn only_packet(packet: &str) -> Vec<Header> {
    let text = format!("{PORT}[[flows]]\nname = 'a'\nport = 'west'\npacket = {packet}");
    parsed(&text).flows.remove(0).packet
}

#[track_caller]
fn only_flow(lines: &str) -> Flow {
    parsed(&format!("{PORT}{FLOW}{lines}")).flows.remove(0)
}
