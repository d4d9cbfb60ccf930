//! Remarks on several ports in the same words, written once.

use crate::{
    diagnosis::Finding,
    output::{PortFinding, numbers},
    plan::Note,
};

/// So many ports are named; of more, how many they are.
const NAMED: usize = 3;

/// `port a`, `ports a, b, c`, `ports a, b, c and 27 more`.
pub fn ports(names: &[&str]) -> String {
    let (named, more) = names.split_at(names.len().min(NAMED));
    let plural = if names.len() == 1 { "" } else { "s" };
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    format!("port{plural} {}{more}", named.join(", "))
}

/// A line for each note, in the order of the first ports that have it.
pub fn notes(notes: &[Note]) -> Vec<String> {
    let lines = gather(notes, |note| (note.port.is_some(), &note.text)).into_iter().map(|same| {
        let names: Vec<&str> = same.iter().filter_map(|note| note.port.as_deref()).collect();
        let text = &same[0].text;
        if names.is_empty() { text.clone() } else { format!("{}: {text}", ports(&names)) }
    });
    lines.collect()
}

/// What was found: the cause in a line, and in another one the cure, if there is one. Frames are
/// those of all ports named.
pub fn findings(findings: &[PortFinding]) -> Vec<String> {
    abridged(findings, |names, finding, frames| {
        let lost = frames
            .map_or_else(String::new, |count| format!("{} dropped: ", numbers::frames(count)));
        match finding {
            Wording::Whole(Finding { cause, cure, .. }) if cure.is_empty() => {
                format!("{names}: {lost}{cause}")
            }
            Wording::Whole(Finding { cause, cure, .. }) => {
                format!("{names}: {lost}{cause}\n  cure: {cure}")
            }
            Wording::As(first) => format!("{names}: {lost}the same as {first}"),
        }
    })
}

/// What is found while a run goes on, a line each, which begins with `said`.
pub fn as_it_happens(said: &str, findings: &[PortFinding]) -> Vec<String> {
    abridged(findings, |names, finding, _| match finding {
        Wording::Whole(Finding { cause, cure, .. }) if cure.is_empty() => {
            format!("{names}: {said}{cause}")
        }
        Wording::Whole(Finding { cause, cure, .. }) => {
            format!("{names}: {said}{cause}; cure: {cure}")
        }
        Wording::As(first) => format!("{names}: {said}the same as {first}"),
    })
}

/// How a finding is written.
enum Wording<'a> {
    /// In its own words.
    Whole(&'a Finding),
    /// As that of these ports, of which only names and numbers differ.
    As(String),
}

/// So many findings of one kind are written in their own words.
const WHOLE: usize = 3;

/// A line for each finding with its ports and frames. Of a kind that has many, each with other
/// names in it, the first one stands for the others.
fn abridged(
    findings: &[PortFinding],
    line: impl Fn(String, Wording<'_>, Option<u64>) -> String,
) -> Vec<String> {
    let line = |same: &[&PortFinding], told| {
        let names: Vec<&str> = same.iter().map(|found| found.port.as_str()).collect();
        line(ports(&names), told, same.iter().map(|found| found.frames).sum())
    };
    let mut lines = Vec::new();
    for kind in gather(findings, |found| (found.finding.code, found.frames.is_some())) {
        let alike = gather(kind.iter().copied(), |found| &found.finding);
        let whole = if alike.len() > WHOLE { 1 } else { alike.len() };
        lines
            .extend(alike[..whole].iter().map(|same| line(same, Wording::Whole(&same[0].finding))));
        let others = alike[whole..].concat();
        if !others.is_empty() {
            let first: Vec<&str> = alike[0].iter().map(|found| found.port.as_str()).collect();
            lines.push(line(&others, Wording::As(ports(&first))));
        }
    }
    lines
}

/// Those with the same key together, in the order of their first.
fn gather<'a, T, K: PartialEq>(
    all: impl IntoIterator<Item = &'a T>,
    key: impl Fn(&'a T) -> K,
) -> Vec<Vec<&'a T>> {
    let mut groups: Vec<(K, Vec<&T>)> = Vec::new();
    for one in all {
        let key = key(one);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, group)) => group.push(one),
            None => groups.push((key, vec![one])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::Severity;

    #[test]
    fn a_note_of_many_ports_is_one_line() {
        let note = |port: Option<&str>, text: &str| Note {
            port: port.map(str::to_owned),
            text: text.to_owned(),
        };
        let said = [
            note(Some("a"), "spins"),
            note(None, "virtio_net forgets"),
            note(Some("b"), "sleeps"),
            note(Some("c"), "spins"),
            note(Some("d"), "spins"),
            note(Some("e"), "spins"),
        ];
        assert_eq!(
            notes(&said),
            ["ports a, c, d and 1 more: spins", "virtio_net forgets", "port b: sleeps"]
        );
        assert_eq!(notes(&said[3..5]), ["ports c, d: spins"]);
    }

    #[test]
    fn a_finding_has_its_cure_in_a_line_of_its_own_and_the_frames_of_all_its_ports() {
        #[track_caller]
        fn check(of: &[(&str, Option<u64>)], cure: &str, expected: &[&str]) {
            let finding = Finding {
                code: "x",
                severity: Severity::Loses,
                cause: "it rains".into(),
                cure: cure.into(),
            };
            let found = of.iter().map(|&(port, frames)| PortFinding {
                port: port.into(),
                frames,
                finding: finding.clone(),
            });
            assert_eq!(findings(&found.collect::<Vec<_>>()), expected);
        }
        check(
            &[("west", Some(1000))],
            "wait",
            &["port west: 1 000 frames dropped: it rains\n  cure: wait"],
        );
        check(&[("west", None)], "", &["port west: it rains"]);
        check(&[("a", Some(1)), ("b", Some(2))], "", &["ports a, b: 3 frames dropped: it rains"]);
        check(
            &[("a", None), ("b", None), ("c", None), ("d", None), ("e", None)],
            "",
            &["ports a, b, c and 2 more: it rains"],
        );
        check(
            &[("a", Some(1)), ("b", None)],
            "",
            &["port a: 1 frame dropped: it rains", "port b: it rains"],
        );
    }

    #[test]
    fn of_many_of_a_kind_the_first_stands_for_all() {
        let found = |port: &str, code: &'static str, count| {
            let finding = Finding {
                code,
                severity: Severity::Loses,
                cause: format!("{port} is wet"),
                cure: "dry it".into(),
            };
            PortFinding { port: port.into(), frames: Some(count), finding }
        };
        let three = [found("a", "wet", 1), found("b", "wet", 2), found("c", "wet", 3)];
        assert_eq!(findings(&three)[2], "port c: 3 frames dropped: c is wet\n  cure: dry it");
        let four = [&three[..], &[found("a", "cold", 9), found("d", "wet", 4)]].concat();
        let lines = [
            "port a: 1 frame dropped: a is wet\n  cure: dry it",
            "ports b, c, d: 9 frames dropped: the same as port a",
            "port a: 9 frames dropped: a is wet\n  cure: dry it",
        ];
        assert_eq!(findings(&four), lines);
        assert_eq!(as_it_happens("lost: ", &four)[1], "ports b, c, d: lost: the same as port a");
    }
}
