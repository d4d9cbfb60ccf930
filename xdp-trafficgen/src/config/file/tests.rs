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

use super::{Items, as_a_whole, in_pieces, parse, parse_with};
use crate::config::{Config, Flow, Header, Origin, Pattern, Source};

const PORT: &str = "[[ports]]\nname = 'west'\ninterface = 'veth0'\n";
const FLOW: &str = "[[flows]]\nname = 'dns'\nport = 'west'\npacket = [{ ethernet = {} }]\n";

/// Checks the errors of `text`, in order: the text that each points at, and a part of its message or
/// help.
#[track_caller]
fn check(text: &str, expected: &[(&str, &str)]) {
    check_set(text, &[], expected);
}

/// Checks that a file that is read in pieces says what it says as a whole.
#[track_caller]
fn check_pieces(text: &str) -> bool {
    let described = |items: Items| {
        let Items { ports, flows, references, problems } = items;
        let mut problems: Vec<_> =
            problems.0.into_iter().map(|problem| format!("{problem:?}")).collect();
        problems.sort();
        format!("{ports:#?} {flows:#?} {references:#?} {problems:#?}")
    };
    let Some(items) = in_pieces(text, &files) else { return false };
    assert_eq!(described(items), described(as_a_whole(text, &[], &files)), "{text}");
    true
}

#[test]
fn files_of_ports_and_flows_are_read_in_pieces() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../config");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = std::fs::read_to_string(&path).unwrap();
            // A sample may write its flows as an array in brackets.
            let has_headers = text.contains("\n[[flows]]");
            assert_eq!(check_pieces(&text), has_headers, "{}", path.display());
            count += usize::from(has_headers);
        }
    }
    assert!(count > 20, "{count} samples");
    assert!(check_pieces(&format!("{FLOW}colour = 1\n{PORT}[[flows]]\nname = 'a'\n{PORT}")));
    assert!(!check_pieces(&format!("{PORT}{FLOW}[flows]\n")));
    assert!(!check_pieces(&format!("{PORT}{FLOW}name = 'twice'\n")), "an error in the syntax");
    assert!(!check_pieces(PORT));
}

/// [`check`] with `--set`s.
#[track_caller]
fn check_set(text: &str, overrides: &[&str], expected: &[(&str, &str)]) {
    check_pieces(text);
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
            Origin::Override(place) => (
                &place.argument[place.span.clone()],
                format!("{}; {}", diagnostic.message, diagnostic.help),
            ),
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
    check_pieces(text);
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
