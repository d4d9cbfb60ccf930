//! `cargo xtask tidy` checks what no compiler checks: the order of the crate's modules, that
//! sources cite nothing outside the repository, and that every source file is compiled.
//!
//! Each finding is a line with the place, what stands there and the rule.

mod citations;
mod order;
mod orphans;

use std::{fmt, fs};

use anyhow::{Context as _, Result, ensure};
use xshell::{Shell, cmd};

use crate::repository;

/// A place that breaks a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    line: usize,
    column: usize,
    rule: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, column, rule } = self;
        write!(formatter, "{path}:{line}:{column}: {rule}")
    }
}

/// A file under version control that is text.
struct File {
    /// The path from the top of the repository.
    path: String,
    text: String,
}

/// Checks all files under version control.
pub(crate) fn run(sh: &Shell) -> Result<()> {
    let files = files(sh)?;
    let mut findings = order::check(&files)?;
    findings.extend(citations::check(&files));
    findings.extend(orphans::check(&files));
    findings.sort();
    for finding in &findings {
        eprintln!("{finding}");
    }
    ensure!(findings.is_empty(), "tidy: {} findings", findings.len());
    println!("tidy: {} files", files.len());
    Ok(())
}

fn files(sh: &Shell) -> Result<Vec<File>> {
    let listed =
        cmd!(sh, "git ls-files -z").quiet().read().context("git lists the files to check")?;
    let mut files = Vec::new();
    for path in listed.split_terminator('\0') {
        let Ok(bytes) = fs::read(repository().join(path)) else {
            // The file is deleted, and the deletion not yet committed.
            continue;
        };
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(File { path: path.to_owned(), text });
        }
    }
    Ok(files)
}
