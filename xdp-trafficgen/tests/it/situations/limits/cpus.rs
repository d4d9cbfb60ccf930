//! CPUs that workers share, and limits on the CPUs and the CPU time of a process.

use std::{fs, process::Command};

use rustix::process::Signal;

use super::{Alone, cpus, findings, second_wire, two_cpus};
use crate::{
    harness::{Finished, RECEIVER_MAC, Running, Stage, sink},
    situations::{groups, table},
};

#[test]
fn ports_take_cpus_in_turn() {
    let (Some(stage), Some(both)) = (Stage::set(), two_cpus()) else { return };
    second_wire(&stage);
    let _sinks = ["xtg1", "xtg3"].map(sink);
    let alone = Alone::called("xtg-in-turn");
    let file = alone.file(&[("rate = '10kpps'", 1000), ("rate = '1kpps'", 100)]);
    let report = Finished::of(alone.command_on(&both, &["run", &file, "--json"])).report(0);
    assert_eq!(cpus(&report), both);
    assert!(findings(&report, "shared_cpu").is_empty(), "{report:?}");
    table::row(
        "4",
        "run ports.toml: ports at 10 and 1 kpps without cpus",
        "no remark on CPUs",
        0,
        &format!("CPUs {both:?}"),
    );

    // The daemon starts its ports one by one, from one plan for all of them.
    let mut daemon =
        Running::start(alone.command_on(&both, &["daemon", "--config", &file, "--json"]));
    daemon.wait_until("both ports ended", |daemon| {
        daemon.stderr().matches("port ended").count() == 2
    });
    daemon.signal(Signal::TERM);
    let report = daemon.end().report(0);
    assert_eq!(cpus(&report), both);
    table::row(
        "4",
        "daemon --config ports.toml: the same",
        "no remark on CPUs",
        0,
        &format!("CPUs {both:?}"),
    );
}

#[test]
fn an_instance_leaves_cpus_to_another() {
    let (Some(_stage), Some(both)) = (Stage::set(), two_cpus()) else { return };
    let [first, second] = both;
    let sink = sink("xtg1");
    let alone = Alone::called("xtg-instance");
    let to = ["udp", "xtg0", "--dst-mac", RECEIVER_MAC, "--rate", "1kpps", "--json"];
    let mut other =
        Running::start(alone.command_on(&both, &[&to[..], &["--duration", "10m"]].concat()));
    other.wait_until("the other sends", |_| sink.count().unwrap().frames > 0);
    let report =
        Finished::of(alone.command_on(&both, &[&to[..], &["--packets", "100"]].concat())).report(0);
    assert_eq!(cpus(&report), [second]);
    assert!(findings(&report, "shared_cpu").is_empty(), "{report:?}");
    table::row(
        "4",
        "udp at 1 kpps, beside another instance",
        "no remark on CPUs",
        0,
        &format!("CPU {second}, the other has {first}"),
    );

    let cpu = first.to_string();
    let finished = Finished::of(
        alone.command_on(&both, &[&to[..], &["--packets", "100", "--cpus", &cpu]].concat()),
    );
    let report = finished.report(0);
    let [shared] = findings(&report, "shared_cpu")[..] else { panic!("{report:?}") };
    assert!(
        shared.cause.contains(&format!("workers of process {} share CPU {first}", other.pid())),
        "{shared:?}"
    );
    assert!(shared.cure.contains(&format!("CPU {second} would be free")), "{shared:?}");
    // The finding appears before the first frame, too.
    assert!(finished.stderr.contains(&shared.cause), "{finished:?}");
    table::row("4", "the same with --cpus of the other's worker", &shared.cause, 0, &shared.cure);
    other.signal(Signal::TERM);
    assert_eq!(cpus(&other.end().report(0)), [first]);
}

#[test]
fn workers_that_share_a_cpu() {
    let (Some(stage), Some(both)) = (Stage::set(), two_cpus()) else { return };
    let [first, second] = both;
    second_wire(&stage);
    let _sinks = ["xtg1", "xtg3"].map(sink);
    let alone = Alone::called("xtg-shared");
    let written = format!("cpus = '{first}'");
    let file = alone.file(&[(&format!("{written}\nrate = '1kpps'"), 50), (&written, 1000)]);
    let report = Finished::of(alone.command_on(&both, &["run", &file, "--json"])).report(0);
    let found = findings(&report, "shared_cpu");
    assert_eq!(
        found.iter().map(|found| found.severity.as_str()).collect::<Vec<_>>(),
        ["loses", "slows"],
        "{report:?}"
    );
    for (finding, other) in found.iter().zip(["b", "a"]) {
        assert!(
            finding.cause.starts_with(&format!("workers of port {other} share CPU {first} ")),
            "{finding:?}"
        );
        assert!(finding.cure.contains(&format!("CPU {second} would be free")), "{finding:?}");
    }
    let check = Finished::of(alone.command_on(&both, &["check", &file]));
    assert_eq!(check.code, Some(0), "{check:?}");
    assert!(check.stdout.contains(&found[0].cause), "{check:?}");
    table::row(
        "4",
        "run ports.toml: two ports, both with cpus = '0'",
        &found[0].cause,
        0,
        &found[0].cure,
    );
}

/// The group's own count of the periods in which it was throttled.
fn throttled(stderr: &str) -> u64 {
    let line = stderr.lines().find_map(|line| line.strip_prefix("nr_throttled "));
    line.unwrap_or_else(|| panic!("no cpu.stat: {stderr}")).parse().unwrap()
}

#[test]
fn a_cpu_quota_is_named() {
    const THIRD: &str =
        "1 cpu.cfs_period_us 100000\n1 cpu.cfs_quota_us 30000\n2 cpu.max 30000 100000\n";
    let Some(_stage) = Stage::set() else { return };
    if !groups::can_be_made("cpu", THIRD) {
        return;
    }
    let _sink = sink("xtg1");
    let alone = Alone::called("xtg-quota");
    let limit = "may use 30 % of a CPU (`/sys/fs/cgroup/all groups/xdp-trafficgen-";
    let said = |finished: &Finished, text: &str| {
        let line = text.lines().find(|line| line.contains(limit));
        line.unwrap_or_else(|| panic!("no line about the quota: {finished:?}")).trim().to_owned()
    };
    let probe = Finished::of(groups::inside("cpu", THIRD, &alone.command(&["probe", "xtg0"])));
    let text = probe.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let sentence = said(&probe, &text);
    let sentence = &sentence[sentence.find("the control group").unwrap()..];
    let sentence = sentence.split_inclusive("part of the time").next().unwrap();
    table::row("4", "probe, in a group with 30 % of a CPU", sentence, probe.code.unwrap(), "");

    let file = alone.file(&[("rate = '20kpps'", 20_000)]);
    let check = Finished::of(groups::inside("cpu", THIRD, &alone.command(&["check", &file])));
    assert_eq!(check.code, Some(0), "{check:?}");
    table::row("4", "check ports.toml: 20 kpps, there", &said(&check, &check.stdout), 0, "");

    let run = Finished::of(groups::inside("cpu", THIRD, &alone.command(&["run", &file, "--json"])));
    let report = run.report(0);
    let [quota] = findings(&report, "cpu_quota")[..] else { panic!("{run:?}") };
    assert!(
        quota.cause.contains(limit) && quota.cause.contains("in all: frames leave late"),
        "{quota:?}"
    );
    assert!(
        quota.cure.contains("-1 > /sys/fs/cgroup/all groups")
            || quota.cure.contains("max > /sys/fs"),
        "{quota:?}"
    );
    said(&run, &run.stderr);
    let periods =
        quota.cause.split_once("stopped it in ").and_then(|(_, rest)| rest.split_once(" periods"));
    let periods: u64 = periods.unwrap_or_else(|| panic!("{quota:?}")).0.parse().unwrap();
    let counted = throttled(&run.stderr);
    // The kernel goes on counting while the process ends.
    assert!(
        0 < periods && periods <= counted,
        "{periods}, and the kernel says {counted}: {quota:?}"
    );
    let figures = format!("cpu.stat: nr_throttled {counted}; path of mountinfo with \\040 (22)");
    table::row("4", "run ports.toml: 20 kpps, there", &quota.cause, 0, &figures);

    // The worker sleeps most of the time, as the kernel's count confirms.
    let file = alone.file(&[("rate = '20pps'", 10)]);
    let check = Finished::of(groups::inside("cpu", THIRD, &alone.command(&["check", &file])));
    assert!(check.code == Some(0) && !check.stdout.contains(limit), "{check:?}");
    let run = Finished::of(groups::inside("cpu", THIRD, &alone.command(&["run", &file, "--json"])));
    let report = run.report(0);
    assert!(!run.stderr.contains("a worker takes 1"), "{run:?}");
    // A finding is expected only if throttling cost something: an unoptimised program may take more
    // than its share of time to load.
    let port = report.only_port();
    let cost = port.frames_late.unwrap() + port.frames_unsent.unwrap() > 0;
    let quotas = findings(&report, "cpu_quota");
    assert!(
        quotas.iter().all(|quota| cost && quota.cause.contains("and the kernel stopped it in ")),
        "{run:?}"
    );
    let figures = format!(
        "{} frames, cpu.stat: nr_throttled {}",
        report.only_port().frames_tx,
        throttled(&run.stderr)
    );
    table::row(
        "4",
        "check and run ports.toml: 20 pps, there",
        "no remark on the quota beforehand",
        0,
        &figures,
    );
}

#[test]
fn a_cpuset_is_foreseen() {
    let (Some(_stage), Some([first, second])) = (Stage::set(), two_cpus()) else { return };
    let nodes =
        fs::read_to_string("/sys/devices/system/node/online").unwrap_or_else(|_| "0".to_owned());
    let nodes = nodes.trim();
    let settings = format!("1 cpuset.cpus {first}\n1 cpuset.mems {nodes}\n2 cpuset.cpus {first}\n");
    if !groups::can_be_made("cpuset", &settings) {
        return;
    }
    let sink = sink("xtg1");
    let alone = Alone::called("xtg-cpuset");
    let file = alone.file(&[(&format!("cpus = '{second}'"), 10)]);
    for command in ["check", "run"] {
        let finished =
            Finished::of(groups::inside("cpuset", &settings, &alone.command(&[command, &file])));
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{finished:?}");
        let sentence =
            format!("this process may not run on CPU {second}, which is outside of its cpuset");
        assert!(finished.stderr.contains(&sentence), "{finished:?}");
        assert!(finished.stderr.contains(&format!("it may run on {first}: ")), "{finished:?}");
        table::row(
            "4",
            &format!("{command} ports.toml: cpus = '{second}', in a cpuset of CPU {first}"),
            &sentence,
            2,
            "",
        );
    }
    assert_eq!(sink.count().unwrap().frames, 0, "refused, but frames were sent");
    // An affinity is not a limit: workers run on the CPU that the file names.
    let mut bound = Command::new("taskset");
    let command = alone.command(&["run", &file, "--json"]);
    bound
        .args(["--cpu-list", &first.to_string()])
        .arg(command.get_program())
        .args(command.get_args());
    assert_eq!(cpus(&Finished::of(bound).report(0)), [second]);
}
