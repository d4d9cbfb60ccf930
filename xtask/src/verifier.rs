//! The verifier's work for each of the bench's programs, against a committed snapshot. It shows at
//! once when a change makes a program longer, or keeps code that a configuration does not use,
//! before the effect on rates is measured.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use xshell::{Shell, cmd};

use crate::{bench_program, bench_program_for_tests, repository};

/// The committed snapshot; `cargo xtask bench --bless` writes it.
fn snapshot_path() -> PathBuf {
    repository().join("xtask/verifier.json")
}

/// The figures of one kernel version; verifiers of other versions count differently.
#[derive(Debug, Deserialize, Serialize, PartialEq)]
struct Snapshot {
    /// Major and minor version, such as `6.18`.
    kernel: String,
    /// Programs by case of the bench.
    cases: BTreeMap<String, Vec<Program>>,
}

/// A program that takes part in a case.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
struct Program {
    name: String,
    /// Instructions that the verifier went through.
    verified_instructions: u32,
    /// Bytes of the program that remain after the verifier.
    translated_bytes: u32,
}

/// The output of `xdp-trafficgen-bench programs` for a case.
#[derive(Deserialize)]
struct Case {
    programs: Vec<Program>,
    repetition_ns: Option<f64>,
}

/// How far a number may differ from the snapshot's, relatively: other compiler versions order a few
/// instructions differently.
const TOLERANCE: f64 = 0.03;

/// Prints the table of programs, each with the time of a repetition by itself, and compares them
/// with the snapshot; with `bless` writes the snapshot instead.
pub(crate) fn table(sh: &Shell, bless: bool) -> Result<()> {
    let cases = ask(sh, &bench_program(), &["--time"])?;
    println!(
        "{:<24} {:>9} {:>22} {:>18}",
        "programs alone", "ns", "verified instructions", "translated bytes"
    );
    for (name, case) in &cases {
        let sum = |number: fn(&Program) -> u32| case.programs.iter().map(number).sum::<u32>();
        println!(
            "{name:<24} {:>9} {:>22} {:>18}",
            case.repetition_ns.map_or_else(|| "-".to_owned(), |time| format!("{time:.2}")),
            sum(|program| program.verified_instructions),
            sum(|program| program.translated_bytes)
        );
    }
    let now = snapshot_of(cases)?;
    if bless {
        let text = serde_json::to_string_pretty(&now)? + "\n";
        return fs::write(snapshot_path(), text).context("the snapshot cannot be written");
    }
    compare(&now)
}

/// Compares the programs with the snapshot, without measuring times.
pub(crate) fn check(sh: &Shell) -> Result<()> {
    compare(&snapshot_of(ask(sh, &bench_program_for_tests(), &[])?)?)
}

fn ask(sh: &Shell, program: &Path, arguments: &[&str]) -> Result<BTreeMap<String, Case>> {
    let answer = cmd!(sh, "{program} programs {arguments...}").quiet().read()?;
    serde_json::from_str(&answer)
        .context("the output of xdp-trafficgen-bench programs has another form")
}

fn snapshot_of(cases: BTreeMap<String, Case>) -> Result<Snapshot> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")
        .context("the kernel's release cannot be read")?;
    let kernel = release.split('.').take(2).collect::<Vec<_>>().join(".");
    Ok(Snapshot {
        kernel,
        cases: cases.into_iter().map(|(name, case)| (name, case.programs)).collect(),
    })
}

fn compare(now: &Snapshot) -> Result<()> {
    let text =
        fs::read_to_string(snapshot_path()).context("there is no snapshot of the programs")?;
    let snapshot: Snapshot =
        serde_json::from_str(&text).context("the snapshot of the programs cannot be read")?;
    if now.kernel != snapshot.kernel {
        println!(
            "programs: not compared, the snapshot is of Linux {}, and this is {}",
            snapshot.kernel, now.kernel
        );
        return Ok(());
    }
    let differences = differences(&snapshot, now);
    ensure!(
        differences.is_empty(),
        "programs differ from xtask/verifier.json (`cargo xtask bench --bless` accepts them):\n{}",
        differences.join("\n")
    );
    println!("programs: {} cases as in xtask/verifier.json", now.cases.len());
    Ok(())
}

fn differences(snapshot: &Snapshot, now: &Snapshot) -> Vec<String> {
    let names = snapshot.cases.keys().chain(now.cases.keys());
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.dedup();
    let close = |a: u32, b: u32| (f64::from(a) - f64::from(b)).abs() <= TOLERANCE * f64::from(a);
    let same = |a: &Program, b: &Program| {
        a.name == b.name
            && close(a.verified_instructions, b.verified_instructions)
            && close(a.translated_bytes, b.translated_bytes)
    };
    let differs = |name: &&&String| match (snapshot.cases.get(**name), now.cases.get(**name)) {
        (Some(before), Some(after)) => {
            before.len() != after.len()
                || before.iter().zip(after).any(|(before, after)| !same(before, after))
        }
        _ => true,
    };
    names
        .iter()
        .filter(differs)
        .map(|name| {
            format!("  {name}: {:?} was, {:?} is", snapshot.cases.get(*name), now.cases.get(*name))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: u32, after: u32, differ: bool) {
        let snapshot = |verified_instructions| Snapshot {
            kernel: "6.18".to_owned(),
            cases: BTreeMap::from([(
                "case".to_owned(),
                vec![Program {
                    name: "generate".to_owned(),
                    verified_instructions,
                    translated_bytes: 800,
                }],
            )]),
        };
        assert_eq!(
            !differences(&snapshot(before), &snapshot(after)).is_empty(),
            differ,
            "{before} → {after}"
        );
    }

    #[test]
    fn a_few_instructions_are_no_difference() {
        check(100, 100, false);
        check(100, 103, false);
        check(100, 104, true);
        check(100, 90, true);
    }

    #[test]
    fn a_case_that_came_or_went_is_a_difference() {
        let snapshot = |names: &[&str]| Snapshot {
            kernel: String::new(),
            cases: names.iter().map(|name| ((*name).to_owned(), Vec::new())).collect(),
        };
        assert_eq!(differences(&snapshot(&["a", "b"]), &snapshot(&["a", "c"])).len(), 2);
    }
}
