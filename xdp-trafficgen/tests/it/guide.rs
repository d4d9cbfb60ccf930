//! Every example of the guide and of the README is tried: configurations are checked, commands run
//! and print what the documents show, and links lead somewhere.

mod blocks;
mod links;
mod shape;

use std::{fs, os::unix, path::Path, process::Command};

use blocks::{Console, Expected, Kind};
use clap::Parser as _;
use shape::shape;
use xdp_trafficgen::{
    cli::{self, Cli},
    kernel::Sink,
};

use crate::harness::{Finished, Stage, ip, sink, trafficgen};

/// The enum of its commands says what may follow `cargo xtask`.
const TASKS: &str = include_str!("../../../xtask/src/main.rs");

#[test]
fn every_command_line_is_understood() {
    for block in blocks::all() {
        let Kind::Console(console) = &block.kind else { continue };
        for command in &console.commands {
            for words in programs(&command.line) {
                match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
                    ["xdp-trafficgen", ..] => {
                        if let Err(error) =
                            Cli::try_parse_from(cli::words(words.iter().map(Into::into)))
                            && console.expected != Expected::Exit(2)
                        {
                            panic!("{block}: {}\n{error}", command.line);
                        }
                    }
                    ["cargo", "xtask", task, ..] => {
                        let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
                        let variant =
                            format!("    {}", task.split('-').map(capital).collect::<String>());
                        assert!(
                            TASKS.lines().any(|line| line.starts_with(&variant)),
                            "{block}: no task `{task}`"
                        );
                    }
                    ["cargo", "build" | "check" | "clippy" | "doc" | "fmt" | "test", ..] => {}
                    _ => assert!(
                        console.runs(),
                        "{block}: `{}` is neither checked nor run",
                        command.line
                    ),
                }
            }
        }
    }
}

#[test]
fn json_is_json() {
    for block in blocks::all().iter().filter(|block| matches!(block.kind, Kind::Json)) {
        for line in block.text.lines() {
            serde_json::from_str::<serde_json::Value>(line)
                .unwrap_or_else(|error| panic!("{block}: {error}"));
        }
    }
}

#[test]
fn configurations_are_right() {
    let Some(_scene) = Scene::set() else { return };
    let folder = folder();
    let mut wrong = Vec::new();
    for block in blocks::all() {
        for text in block.configurations() {
            fs::write(folder.path().join("example.toml"), &text).unwrap();
            let mut check = trafficgen(&["check", "example.toml"]);
            check.current_dir(folder.path());
            let finished = Finished::of(check);
            if finished.code != Some(0) {
                wrong.push(format!("{block}: {}\n{text}", finished.stderr));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn commands_do_what_they_are_shown_to_do() {
    let Some(_scene) = Scene::set() else { return };
    let mut wrong = Vec::new();
    for block in blocks::all() {
        if let Kind::Console(console) = &block.kind
            && console.runs()
        {
            // Later commands of a block may read files that earlier ones wrote.
            let folder = folder();
            for command in &console.commands {
                if let Err(difference) = does(console, command, folder.path()) {
                    wrong.push(format!("{block}: {difference}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Runs a command; an error says how it differs from what the document shows.
fn does(console: &Console, command: &blocks::Command, folder: &Path) -> Result<(), String> {
    let line = shortened(&command.line, console.stop_after.as_deref());
    let program = Path::new(env!("CARGO_BIN_EXE_xdp-trafficgen"));
    let path =
        format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-c", &line]).current_dir(folder).env("PATH", path).env_remove("RUST_LOG");
    let finished = Finished::of(shell);
    let code = match console.expected {
        Expected::Exit(code) => code,
        Expected::Varies => 0,
    };
    if finished.code != Some(code) {
        return Err(format!("`{line}` does not end with {code}: {finished:?}"));
    }
    if console.expected == Expected::Varies {
        return Ok(());
    }
    let printed: Vec<_> =
        finished.stdout.lines().chain(finished.stderr.lines()).filter_map(shape).collect();
    match command
        .output
        .iter()
        .filter_map(|line| shape(line))
        .find(|expected| !printed.contains(expected))
    {
        Some(expected) => {
            Err(format!("`{line}` does not print\n{expected}\nbut\n{}", printed.join("\n")))
        }
        None => Ok(()),
    }
}

const SHORT: &str = "300ms";

/// The same command with a duration that a test can wait for.
fn shortened(line: &str, stop_after: Option<&str>) -> String {
    let line = line.replace("cargo xtask demo", "xdp-trafficgen demo");
    let mut words: Vec<&str> = line.split(' ').collect();
    let lasts = ["demo", "pace-test"].iter().any(|command| words.contains(command));
    match words.iter().position(|word| *word == "--duration") {
        Some(at) => words[at + 1] = SHORT,
        None if lasts => words.extend(["--duration", SHORT]),
        None => {}
    }
    let line = words.join(" ");
    match stop_after {
        Some(time) => format!("exec timeout --preserve-status --signal=TERM {time} {line}"),
        None => line,
    }
}

/// The programs of a line, each with its arguments: as much of a shell's syntax as the guide uses.
fn programs(line: &str) -> Vec<Vec<String>> {
    let mut programs = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quoted = false;
    for letter in line.chars().chain([' ']) {
        match letter {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => match word.take().as_deref() {
                Some("#") => break,
                Some("|") => programs.push(Vec::new()),
                Some(word) => programs.last_mut().unwrap().push(word.to_owned()),
                None => {}
            },
            letter => word.get_or_insert_default().push(letter),
        }
    }
    programs
}

/// A stage with the interfaces that the guide's examples name: `eth1` with a neighbour 10.0.0.2,
/// the samples' `xtg0` and `xtg1`, all with a receiver at the other end, and `veth0` without one.
struct Scene {
    _sinks: [Sink; 3],
    _stage: Stage,
}

impl Scene {
    fn set() -> Option<Self> {
        // The scene has the machine for itself, because some commands judge times.
        let stage = Stage::alone()?;
        ip("link set lo up");
        for (one, other) in [("eth1", "eth2"), ("veth0", "veth1")] {
            stage.pair(one, other, 2);
        }
        ip("address add 10.0.0.1/24 dev eth1");
        ip("route add 198.18.0.0/15 via 10.0.0.2 dev eth1");
        ip("neighbour add 10.0.0.2 lladdr 02:00:00:00:00:02 dev eth1");
        Some(Self { _sinks: ["eth2", "xtg0", "xtg1"].map(sink), _stage: stage })
    }
}

/// A working directory that contains the samples.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    unix::fs::symlink(samples.canonicalize().unwrap(), folder.path().join("config")).unwrap();
    folder
}
