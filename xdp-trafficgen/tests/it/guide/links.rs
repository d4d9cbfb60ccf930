//! Links of the documents, and citations of documents in the sources, lead to something that is
//! there.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::blocks::documents;

#[test]
fn links_lead_somewhere() {
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !link.contains("://") {
                assert_leads(&document, link);
            }
        }
    }
}

#[test]
fn cited_measurements_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let listed = Command::new("git")
        .args(["grep", "-l", CITED, "--", "*.rs", "*.toml"])
        .current_dir(root)
        .output();
    let listed = listed.map(|output| String::from_utf8(output.stdout).unwrap()).unwrap_or_default();
    // These sources cite missing documents on purpose, to test the check of citations.
    let exempt =
        |name: &&str| !name.ends_with("guide/links.rs") && !name.starts_with("xtask/src/tidy/");
    for file in listed.lines().filter(exempt).map(|name| root.join(name)) {
        for citation in fs::read_to_string(&file).unwrap().split(CITED).skip(1) {
            let anchor = |letter: char| letter.is_ascii_alphanumeric() || "#-_".contains(letter);
            let length = citation.find(|letter| !anchor(letter)).unwrap_or(citation.len());
            let cited = root.join("xdp-trafficgen").join(CITED);
            assert_leads(&file, &format!("{}{}", cited.display(), &citation[..length]));
        }
    }
}

const CITED: &str = "doc/measurements.md";

#[track_caller]
fn assert_leads(from: &Path, link: &str) {
    let (path, anchor) =
        link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let target = if path.is_empty() { from.to_owned() } else { from.parent().unwrap().join(path) };
    assert!(target.exists(), "{}: `{link}` leads nowhere", from.display());
    if let Some(anchor) = anchor {
        assert!(
            anchors(&target).contains(anchor),
            "{}: `{link}` is no heading there",
            from.display()
        );
    }
}

/// The anchors that GitHub makes of headings.
fn anchors(document: &PathBuf) -> HashSet<String> {
    let text = fs::read_to_string(document).unwrap();
    let headings = text
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim());
    let anchor = |heading: &str| {
        let kept =
            heading.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    headings.map(anchor).collect()
}
