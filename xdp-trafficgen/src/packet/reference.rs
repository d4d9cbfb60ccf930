//! The table of headers that the guide and the configuration's reference have.

use std::fmt::Write as _;

use super::{HeaderKind, Options};

/// What stands above the table; the configuration's reference has it under a sentence of its own.
const TITLE: &str = "\
# Headers

What each header of a `packet` is, which headers it can follow, its fields with their bits, and what can
be written beside them.

";

/// The headers in Markdown, a row each: what they are, which they can follow, their fields with as
/// many bits, and their part of variable length.
pub fn reference() -> String {
    let mut text = TITLE.to_owned();
    text += "| header | what it is | can follow | fields and their bits | beside them |\n";
    text += "|---|---|---|---|---|\n";
    for kind in HeaderKind::ALL {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} |",
            kind.name(),
            kind.def().about,
            follows(kind),
            fields(kind),
            kind.options().map(options).unwrap_or_default(),
        );
    }
    text
}

fn follows(kind: HeaderKind) -> String {
    match kind.follows().count() {
        all if all == HeaderKind::ALL.len() => "any".to_owned(),
        _ => join(kind.follows().map(|below| format!("`{}`", below.name()))),
    }
}

fn fields(kind: HeaderKind) -> String {
    join(kind.fields().iter().map(|field| format!("`{}` {}", field.name, field.bits)))
}

fn options(options: &Options) -> String {
    format!("`{}`: {}", options.name, options.about)
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::Path};

    /// `UPDATE_REFERENCE=1` writes the file instead.
    #[test]
    fn the_guide_has_the_headers_there_are() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("doc/guide/headers.md");
        let reference = super::reference();
        if env::var_os("UPDATE_REFERENCE").is_some() {
            fs::write(&path, &reference).expect("the guide can be written");
        }
        let found = fs::read_to_string(&path).expect("the guide can be read");
        let help = "run `UPDATE_REFERENCE=1 cargo test the_guide_has`";
        assert!(found == reference, "doc/guide/headers.md is out of date: {help}\n{reference}");
    }
}
