//! Sources cite nothing outside the repository, because a reader cannot look it up.

use std::collections::BTreeSet;

use super::{File, Finding};

/// Private documents of the project's founders, by the two words of their names, in lower case,
/// whatever stands between them.
const OUTSIDE: &[[&str; 2]] = &[["field", "notes"], ["house", "style"]];

/// Folders at the top of a machine's file system in which its users have files.
const MACHINE: &[&str] = &["home", "root", "work"];

/// Files written by others, and this file, which contains the words themselves.
fn is_exempt(path: &str) -> bool {
    path.starts_with("LICENSE")
        || path.ends_with("Cargo.lock")
        || path.starts_with("xtask/src/tidy/")
}

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let present: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let mut findings = Vec::new();
    for File { path, text } in files.iter().filter(|file| !is_exempt(&file.path)) {
        for (line, text) in (1..).zip(text.lines()) {
            for (column, rule) in of_line(text, &present) {
                findings.push(Finding { path: path.clone(), line, column, rule });
            }
        }
    }
    findings
}

/// Column and rule of each finding in a line.
fn of_line(line: &str, present: &BTreeSet<&str>) -> Vec<(usize, String)> {
    // ASCII only: other letters keep their length, and with it their column.
    let lower = line.to_ascii_lowercase();
    let mut found = Vec::new();
    for [first, second] in OUTSIDE {
        for word in [' ', '-', '_'].map(|between| format!("{first}{between}{second}")) {
            let rule = || {
                format!(
                    "`{word}` is not in the repository: cite a file that is, such as doc/measurements.md"
                )
            };
            found.extend(lower.match_indices(&word).map(|(at, _)| (at, rule())));
        }
    }
    for folder in MACHINE.iter().map(|folder| format!("/{folder}/")) {
        let starts = |at: usize| {
            !lower[..at]
                .ends_with(|before: char| before.is_alphanumeric() || "./_-~$}".contains(before))
        };
        let rule = || format!("`{folder}` is a path of one machine");
        found.extend(
            lower.match_indices(&folder).filter(|(at, _)| starts(*at)).map(|(at, _)| (at, rule())),
        );
    }
    for word in ["issue ", "issues "] {
        for (at, _) in lower.match_indices(word) {
            let number = lower[at + word.len()..].trim_start_matches('#');
            if number.starts_with(|digit: char| digit.is_ascii_digit()) {
                found.push((
                    at,
                    "an issue's number means nothing elsewhere: say what it says, or owner/repository#1".into(),
                ));
            }
        }
    }
    for (at, document) in documents(line) {
        let ours =
            present.iter().any(|path| *path == document || path.ends_with(&format!("/{document}")));
        if !ours {
            found.push((at, format!("there is no `{document}` in the repository")));
        }
    }
    // Columns count characters, from one.
    found.into_iter().map(|(at, rule)| (line[..at].chars().count() + 1, rule)).collect()
}

/// Names of Markdown files that are not part of a web address, without the leading `../`.
fn documents(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |letter: char| letter.is_alphanumeric() || "_./-:".contains(letter);
    let mut rest = 0;
    std::iter::from_fn(move || {
        loop {
            let start = rest + line[rest..].find(is_part)?;
            let end = line[start..]
                .find(|letter| !is_part(letter))
                .map_or(line.len(), |length| start + length);
            rest = end;
            let word = line[start..end].trim_end_matches(['.', ':']);
            let document = word.trim_start_matches("../").trim_start_matches("./");
            let named = document
                .strip_suffix(".md")
                .is_some_and(|stem| stem.ends_with(char::is_alphanumeric));
            if named && !word.contains("://") {
                return Some((start, document));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks `line`, in which there must be findings at these columns.
    #[track_caller]
    fn check(line: &str, columns: &[usize]) {
        let present = BTreeSet::from(["README.md", "xdp-trafficgen/doc/measurements.md"]);
        let found = of_line(line, &present);
        assert_eq!(
            found.iter().map(|(column, _)| *column).collect::<Vec<_>>(),
            columns,
            "{line}: {found:?}"
        );
    }

    #[test]
    fn a_planted_citation_is_found() {
        check("/// 116 Mpps, see the Field Notes.", &[23]);
        check("// fieldnotes.md, or field_notes, says so", &[22, 4]);
        check("# as the House_style has it", &[10]);
        check("é // as the house style has it", &[13]);
        check("//! Of issue 12.", &[8]);
        check("//! Of issues #3 and #4.", &[8]);
        check("let path = \"/root/src\";", &[13]);
        check("cd /home/someone/src", &[4]);
    }

    #[test]
    fn what_a_reader_can_look_up_is_no_stray_citation() {
        check("see doc/measurements.md#veth, or README.md.", &[]);
        check("[measured](../doc/measurements.md)", &[]);
        check("https://github.com/rust-lang/cargo/issues/6412", &[]);
        check("https://example.org/root/notes.md", &[]);
        check("rust-lang/cargo#6412", &[]);
        check("the issue is: 3 frames", &[]);
        check("chroot/ and ~/root/", &[]);
        check("*.md", &[]);
    }

    #[test]
    fn a_document_that_is_not_there_is_found() {
        check("see doc/measurement.md", &[5]);
    }

    #[test]
    fn places_are_of_the_file() {
        let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
        let found =
            super::check(&[file("a.rs", "one\n  // field notes\n"), file("LICENSE-MIT", "/root/")]);
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().starts_with("a.rs:2:6: "), "{}", found[0]);
    }
}
