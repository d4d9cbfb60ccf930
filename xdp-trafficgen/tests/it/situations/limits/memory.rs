//! Memory and file descriptors: `check` predicts what a run needs, and a run that cannot have it is
//! refused.

use std::{collections::BTreeSet, fs, process::Command};

use rustix::process::Signal;
use xdp_trafficgen::host::allowed_cpus;

use super::{Alone, second_wire};
use crate::{
    harness::{Finished, Running, Stage, sink},
    situations::{groups, table},
};

/// From `memory: 51 MB in the kernel, 316 MB in this process; …`: the kernel's, the process's, and
/// the descriptors.
fn needs(check: &Finished) -> (String, [f64; 3]) {
    let line = check
        .stdout
        .lines()
        .find(|line| line.starts_with("memory: "))
        .unwrap_or_else(|| panic!("{check:?}"));
    let before = |what: &str| {
        let text = line.split_once(what).unwrap_or_else(|| panic!("no `{what}`: {line}")).0;
        let mut words = text.rsplit([' ', ',']).filter(|word| !word.is_empty());
        let unit = words.next().unwrap();
        let scale = match unit {
            "MB" => 1e6,
            "GB" => 1e9,
            _ => return unit.parse().unwrap(),
        };
        words.next().unwrap().parse::<f64>().unwrap() * scale
    };
    let descriptors =
        line.split_once("about ").unwrap().1.split(' ').next().unwrap().parse().unwrap();
    (line.to_owned(), [before(" in the kernel"), before(" in this process"), descriptors])
}

/// What bpftool prints, as JSON.
fn bpftool(arguments: &str) -> serde_json::Value {
    let output = Command::new("bpftool")
        .arg("-j")
        .args(arguments.split(' '))
        .output()
        .expect("bpftool is installed");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("bpftool {arguments}: {output:?}"))
}

/// Bytes of all programs of a process and of all maps that they use, as the kernel counts them; and
/// the number of its descriptors.
fn held(process: i32) -> (f64, usize) {
    let entries = || fs::read_dir(format!("/proc/{process}/fdinfo")).unwrap().flatten();
    let program = |entry: fs::DirEntry| {
        let text = fs::read_to_string(entry.path()).ok()?;
        text.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse::<u64>().ok())
    };
    let programs: BTreeSet<u64> = entries().filter_map(program).collect();
    let programs =
        programs.iter().map(|id| bpftool(&format!("prog show id {id}"))).collect::<Vec<_>>();
    let maps =
        programs.iter().flat_map(|program| program["map_ids"].as_array().into_iter().flatten());
    let maps: BTreeSet<u64> = maps.map(|id| id.as_u64().unwrap()).collect();
    let maps = maps.iter().map(|id| bpftool(&format!("map show id {id}")));
    let bytes = maps
        .chain(programs.iter().cloned())
        .map(|held| held["bytes_memlock"].as_f64().unwrap())
        .sum();
    (bytes, entries().count())
}

/// Bytes of a process beside the kernel's maps, some of which are mapped into it too.
fn own_memory(process: i32) -> f64 {
    let kilobytes =
        |line: &str, key| line.strip_prefix(key)?.strip_suffix("kB")?.trim().parse::<f64>().ok();
    let (mut all, mut of_maps, mut in_map) = (0.0, 0.0, false);
    for line in fs::read_to_string(format!("/proc/{process}/smaps")).unwrap().lines() {
        if let Some(resident) = kilobytes(line, "Rss:") {
            all += resident;
            of_maps += if in_map { resident } else { 0.0 };
        } else if !line.split_whitespace().next().is_some_and(|word| word.ends_with(':')) {
            in_map = line.ends_with("anon_inode:bpf-map");
        }
    }
    assert!(of_maps > 0.0, "no array is mapped");
    (all - of_maps) * 1024.0
}

#[test]
fn memory_is_predicted() {
    let Some(_stage) = Stage::set() else { return };
    let _sink = sink("xtg1");
    let alone = Alone::called("xtg-memory");
    let file = alone.long_flows(20_000, &allowed_cpus().unwrap()[0].to_string());
    let check = Finished::of(alone.command(&["check", &file]));
    assert_eq!(check.code, Some(0), "{check:?}");
    let (line, [kernel, process, descriptors]) = needs(&check);

    let mut run = Running::start(alone.command(&["run", &file, "--duration", "10m"]));
    let of = run.pid().as_raw_nonzero().get();
    let threads = || fs::read_dir(format!("/proc/{of}/task")).into_iter().flatten().flatten();
    let is_worker = |name: String| name.starts_with("worker-");
    run.wait_until("it sends", |_| {
        threads().any(|thread| fs::read_to_string(thread.path().join("comm")).is_ok_and(is_worker))
    });
    let ((bytes, open), own) = (held(of), own_memory(of));
    run.signal(Signal::TERM);
    run.end();
    let near = |said: f64, is: f64| (said / is - 1.0).abs() < 0.15;
    assert!(near(kernel, bytes), "{line}; the kernel says {bytes}");
    assert!(near(process, own), "{line}; the kernel says {own}");
    // The forecast is never too small; a process that needs less than it did is not an error.
    assert!(
        (open as f64) <= descriptors && descriptors < 3.0 * open as f64,
        "{line}; there are {open}"
    );
    let figures = format!(
        "bytes_memlock {:.1} MB, Rss {:.1} MB, {open} descriptors in a run",
        bytes / 1e6,
        own / 1e6
    );
    table::row("10", "check flows.toml: 20 000 flows of 60 000 ports each", &line, 0, &figures);
}

#[test]
fn what_does_not_fit_is_refused() {
    const SETTINGS: &str = "1 memory.limit_in_bytes 180M\n2 memory.max 180M\n";
    let Some(stage) = Stage::set() else { return };
    if !groups::can_be_made("memory", SETTINGS) {
        return;
    }
    second_wire(&stage);
    stage.pair("xtg4", "xtg5", 2);
    let sink = sink("xtg1");
    let alone = Alone::called("xtg-refused");
    let file = alone.long_lists(&["xtg0", "xtg2", "xtg4"]);
    for command in ["check", "run"] {
        let finished =
            Finished::of(groups::inside("memory", SETTINGS, &alone.command(&[command, &file])));
        assert_eq!(finished.code, Some(2), "{finished:?}");
        // This amount depends on what the process has already; the previous trial compares figures.
        let said = finished.stderr.lines().find(|line| {
            line.contains("its flows and workers take ") && line.contains(" MB of memory, and ")
        });
        let said = said.unwrap_or_else(|| panic!("{finished:?}"));
        assert!(finished.stderr.contains("use fewer flows or CPUs"), "{finished:?}");
        table::row(
            "10",
            &format!("{command} lists.toml: 3 lists of a million values, in a group of 180 MB"),
            said,
            2,
            "",
        );
    }
    assert_eq!(sink.count().unwrap().frames, 0, "refused, but frames were sent");
}

#[test]
fn file_descriptors() {
    let Some(stage) = Stage::set() else { return };
    let _sink = sink("xtg1");
    let alone = Alone::called("xtg-files");
    let file = alone.file(&[("", 10)]);
    let limited = |limit: &str, arguments: &[&str]| {
        let command = alone.command(arguments);
        let mut limited = Command::new("prlimit");
        limited
            .args([&format!("--nofile={limit}"), "--"])
            .arg(command.get_program())
            .args(command.get_args());
        Finished::of(limited)
    };
    let report = limited("24:4096", &["run", &file, "--json"]).report(0);
    let figures = format!("{} frames", report.only_port().frames_tx);
    table::row("9", "run ports.toml with a soft limit of 24 files", "no remark", 0, &figures);

    let check = limited("32:32", &["check", &file]);
    let sentence = check
        .stdout
        .lines()
        .find(|line| line.contains("file descriptors, and this process may have 32"));
    let sentence = sentence.unwrap_or_else(|| panic!("{check:?}"));
    assert!(check.stdout.contains("LimitNOFILE="), "{check:?}");
    table::row(
        "9",
        "check ports.toml with a hard limit of 32 files",
        sentence,
        check.code.unwrap(),
        "",
    );
    let run = limited("32:32", &["run", &file]);
    assert!(run.code.is_some_and(|code| code != 0), "{run:?}");
    let cause = run
        .stderr
        .lines()
        .find(|line| line.contains("cause: this process has as many files open as it may"));
    let cause = cause.unwrap_or_else(|| panic!("{run:?}"));
    assert!(run.stderr.contains("cure: raise the hard limit (`ulimit -Hn 65536`"), "{run:?}");
    table::row(
        "9",
        "run ports.toml with a hard limit of 32 files",
        cause.trim(),
        run.code.unwrap(),
        "",
    );

    // The predicted limit is enough, and a little less is not: with one port and with several.
    second_wire(&stage);
    let _sink = sink("xtg3");
    let (one, two): (&[_], &[_]) = (&[("", 10)], &[("", 10), ("rate = '10kpps'", 10)]);
    for (what, ports) in [("two ports", two), ("one port", one)] {
        let file = &alone.file(ports);
        let [.., foreseen] = needs(&Finished::of(alone.command(&["check", file]))).1;
        let run = |limit: f64| limited(&format!("{limit:.0}:{limit:.0}"), &["run", file]);
        let (enough, less) = (run(foreseen), run((foreseen * 0.85).floor()));
        assert_eq!(enough.code, Some(0), "{what} with {foreseen}: {enough:?}");
        assert!(
            less.code != Some(0) && less.stderr.contains("as many files open as it may"),
            "{foreseen}: {less:?}"
        );
        let command =
            format!("run of {what}, with as many files as check says, and with 85 % of them");
        table::row(
            "9",
            &command,
            "sent; refused with a cause",
            less.code.unwrap(),
            &format!("{foreseen} files"),
        );
    }
}
