//! Limits of a machine and of its administrator: CPUs, capabilities, memory, descriptors.

use std::{collections::BTreeSet, fs, os::unix::fs::symlink, path::PathBuf, process::Command};

use rustix::process::Signal;
use tempfile::TempDir;
use xdp_trafficgen::host::allowed_cpus;

use super::groups;
use crate::{
    harness::{Finding, Finished, RECEIVER_MAC, Report, Running, Stage, sink, skipped, trafficgen},
    situations::table,
};

/// The binary under a name of its own: instances detect each other by name, and other tests run
/// some too.
struct Alone {
    folder: TempDir,
    name: &'static str,
}

impl Alone {
    fn called(name: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        symlink(env!("CARGO_BIN_EXE_xdp-trafficgen"), folder.path().join(name)).unwrap();
        Self { folder, name }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.folder.path().join(self.name));
        command.args(arguments).env_remove("RUST_LOG");
        command
    }

    /// The command with this affinity, however many CPUs the machine has.
    fn command_on(&self, cpus: &[u32], arguments: &[&str]) -> Command {
        let list = cpus.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let command = self.command(arguments);
        let mut bound = Command::new("taskset");
        bound
            .args(["--cpu-list", &list])
            .arg(command.get_program())
            .args(command.get_args())
            .env_remove("RUST_LOG");
        bound
    }

    /// A configuration of so many flows on these CPUs, whose headers are too many to be recorded.
    fn long_flows(&self, flows: usize, cpus: &str) -> String {
        let flow = |number: usize| {
            let (high, low) = (number >> 8, number & 255);
            format!(
                "[[flows]]\nname = 'f{number}'\nport = 'a'\npacket = [{{ ethernet = {{ dst = '{RECEIVER_MAC}' }} }}, \
                 {{ ipv4 = {{ dst = '198.19.{high}.{low}' }} }}, \
                 {{ udp = {{ dst_port = {{ increment = {{ start = 1024, count = 60000 }} }} }} }}]\n"
            )
        };
        let port =
            format!("[[ports]]\nname = 'a'\ninterface = 'xtg0'\nrate = '1kpps'\ncpus = '{cpus}'\n");
        let path: PathBuf = self.folder.path().join("flows.toml");
        fs::write(&path, port + &(0..flows).map(flow).collect::<String>()).unwrap();
        path.display().to_string()
    }

    /// A configuration of a port with flows of three groups: their varying fields, too long to be
    /// recorded, have different offsets.
    fn groups(&self) -> String {
        const LONG: &str = "{ increment = { start = 1024, count = 60000 } }";
        let flow = |(number, varying): (usize, &str)| {
            format!(
                "[[flows]]\nname = 'f{number}'\nport = 'a'\npackets = 1\npacket = [{{ ethernet = {{ dst = '{RECEIVER_MAC}' }} }}, \
                 {{ ipv4 = {{}} }}, {{ {varying} = {LONG} }} }}]\n"
            )
        };
        let flows = ["udp = { dst_port", "udp = { src_port", "tcp = { src_port"]
            .into_iter()
            .enumerate()
            .map(flow);
        let path: PathBuf = self.folder.path().join("groups.toml");
        fs::write(
            &path,
            "[[ports]]\nname = 'a'\ninterface = 'xtg0'\n".to_owned() + &flows.collect::<String>(),
        )
        .unwrap();
        path.display().to_string()
    }

    /// A configuration of port `a` out of `xtg0` and port `b` out of `xtg2`, each with these
    /// settings and so many frames.
    fn file(&self, ports: &[(&str, u64)]) -> String {
        let port = |((letter, interface), (settings, packets)): ((char, &str), &(&str, u64))| {
            format!(
                "[[ports]]\nname = '{letter}'\ninterface = '{interface}'\n{settings}\n[[flows]]\nname = 'of {letter}'\nport = '{letter}'\n\
                 packets = {packets}\npacket = [{{ ethernet = {{ dst = '{RECEIVER_MAC}' }} }}, {{ ipv4 = {{}} }}, {{ udp = {{}} }}]\n"
            )
        };
        let path: PathBuf = self.folder.path().join("ports.toml");
        fs::write(
            &path,
            [('a', "xtg0"), ('b', "xtg2")].into_iter().zip(ports).map(port).collect::<String>(),
        )
        .unwrap();
        path.display().to_string()
    }
}

/// The first two CPUs of this process; none, with a message, where there is only one.
fn two_cpus() -> Option<[u32; 2]> {
    match allowed_cpus().unwrap()[..] {
        [first, second, ..] => Some([first, second]),
        _ => {
            skipped("it takes two CPUs");
            None
        }
    }
}

/// A second pair of interfaces, `xtg2` and `xtg3`.
fn second_wire(stage: &Stage) {
    stage.pair("xtg2", "xtg3", 2);
}

fn findings<'a>(report: &'a Report, code: &str) -> Vec<&'a Finding> {
    report.findings.iter().filter(|finding| finding.code == code).collect()
}

fn cpus(report: &Report) -> Vec<u32> {
    report.ports.iter().flat_map(|port| &port.workers).map(|worker| worker.cpu).collect()
}

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

#[test]
fn one_capability_is_missing() {
    let Some(_stage) = Stage::set() else { return };
    let command = trafficgen(&["udp", "xtg0", "--dst-mac", RECEIVER_MAC, "--packets", "1"]);
    let mut lacking = Command::new("setpriv");
    lacking.args(["--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]);
    let finished = Finished::of({
        lacking.arg(command.get_program()).args(command.get_args());
        lacking
    });
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.stderr.contains("(missing: CAP_SYS_ADMIN)"), "{finished:?}");
    let said = finished.stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
    table::row("22", "udp without CAP_SYS_ADMIN alone", said, 2, "capget(2) by rustix");
}

/// Runs `command` after `script` has changed the mounts, in a mount namespace of its own.
fn where_mounts_are(script: &str, command: &Command) -> Command {
    let script = format!("{script} || exit 77; exec \"$@\"");
    let mut changed = Command::new("unshare");
    changed
        .args(["--mount", "sh", "-c", &script, "changed"])
        .arg(command.get_program())
        .args(command.get_args());
    changed
}

#[test]
fn without_a_file_system() {
    let Some(_stage) = Stage::set() else { return };
    let sink = sink("xtg1");
    let alone = Alone::called("xtg-mounts");
    let file = alone.file(&[("", 1)]);
    for (place, file_system, path, code) in [
        ("/proc", "proc", "/proc/self/fd", "no_procfs"),
        ("/sys", "sysfs", "/sys/devices/system/cpu/possible", "no_sysfs"),
    ] {
        let hidden = |arguments: &[&str]| {
            Finished::of(where_mounts_are(
                &format!("mount -t tmpfs none {place}"),
                &alone.command(arguments),
            ))
        };
        let sentence = format!("{path} is not there");
        let cure = format!("`mount -t {file_system} {file_system} {place}`");
        for arguments in [&["run", &file][..], &["check", &file], &["demo"]] {
            let finished = hidden(arguments);
            assert_eq!(finished.code, Some(2), "{finished:?}");
            let said = finished
                .stderr
                .lines()
                .find(|line| line.contains(&sentence) && line.contains(&cure));
            let said = said.unwrap_or_else(|| panic!("{finished:?}"));
            assert!(!finished.stderr.contains("missing: CAP"), "{finished:?}");
            // The report has everything that can be known without it.
            let checked = finished.stdout.contains("flow of a out of xtg0, frames of 64");
            assert_eq!(checked, arguments[0] == "check", "{finished:?}");
            let command =
                format!("{} without {place}", arguments.join(" ").replace(&file, "ports.toml"));
            table::row("16", &command, said, 2, "");
        }
        let finished = hidden(&["probe", "xtg0", "--json"]);
        assert_eq!(finished.code, Some(2), "{finished:?}");
        let report: serde_json::Value =
            serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("{finished:?}"));
        let findings = report["findings"].as_array().unwrap();
        let found = findings
            .iter()
            .find(|finding| finding["code"] == code)
            .unwrap_or_else(|| panic!("{report}"));
        assert_eq!(found["severity"], "blocks");
        assert!(findings.iter().all(|finding| finding["code"] != "missing_capability"), "{report}");
        let figures = format!("release {} by uname(2)", report["kernel"]["release"]);
        table::row(
            "16",
            &format!("probe xtg0 --json without {place}"),
            found["cause"].as_str().unwrap(),
            2,
            &figures,
        );
    }
    assert_eq!(sink.count().unwrap().frames, 0, "refused, but frames were sent");
}

/// The demo's own check: as many frames arrive as were sent, and the interface counts no others.
#[test]
fn read_only_proc_sys() {
    let Some(_stage) = Stage::set() else { return };
    const READ_ONLY: &str = "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && \
                             ! echo 1 2>/dev/null > /proc/sys/net/ipv6/conf/default/disable_ipv6";
    let demo = trafficgen(&["demo", "--duration", "300ms", "--rate", "10kpps", "--json"]);
    let finished = Finished::of(where_mounts_are(READ_ONLY, &demo));
    let report = finished.report(0);
    let figures = format!("{} frames sent, and as many arrived", report.only_port().frames_tx);
    assert!(report.sink.is_some() && report.only_port().frames_tx > 0, "{report:?}");
    table::row(
        "16",
        "demo --rate 10kpps with a read-only /proc/sys",
        finished.stderr.lines().next().unwrap(),
        0,
        &figures,
    );

    let arguments = [
        "pace-test",
        "--self",
        "--rate",
        "1kpps",
        "--duration",
        "300ms",
        "--warm-up",
        "50ms",
        "--json",
    ];
    let finished = Finished::of(where_mounts_are(READ_ONLY, &trafficgen(&arguments)));
    assert_eq!(finished.code, Some(0), "{finished:?}");
    table::row(
        "16",
        "pace-test --self --rate 1kpps with a read-only /proc/sys",
        "its report",
        0,
        "",
    );
}

#[test]
fn check_ends_as_run_does() {
    let Some(stage) = Stage::set() else { return };
    let alone = Alone::called("xtg-check");
    let file = alone.file(&[("", 1)]);
    let unprivileged = |command: &str| {
        let command = alone.command(&[command, &file]);
        let mut lacking = Command::new("setpriv");
        lacking
            .args(["--bounding-set=-all", "--inh-caps=-all"])
            .arg(command.get_program())
            .args(command.get_args());
        Finished::of(lacking)
    };
    let error = |finished: &Finished| {
        assert_eq!(finished.code, Some(2), "{finished:?}");
        let line = finished.stderr.lines().find(|line| line.starts_with("error: "));
        line.unwrap_or_else(|| panic!("{finished:?}")).to_owned()
    };
    let (run, check) = (unprivileged("run"), unprivileged("check"));
    assert_eq!(error(&run), error(&check));
    assert!(error(&check).contains("(missing: CAP_NET_ADMIN, CAP_SYS_ADMIN)"), "{check:?}");
    assert!(check.stdout.starts_with("port a: flow of a out of xtg0, frames of 64"), "{check:?}");
    table::row(
        "16",
        "check ports.toml without capabilities",
        &error(&check),
        2,
        "the flows are printed, and run says the same",
    );

    // The peer does not receive yet.
    let check = Finished::of(alone.command(&["check", &file]));
    assert_eq!(error(&check), "error: this machine is not ready to send: see the reasons above");
    let cause = "the peer `xtg1` of `xtg0` has neither a native XDP program nor GRO";
    assert!(check.stdout.contains(cause), "{check:?}");
    table::row("16", "check ports.toml, a veth whose peer takes nothing", cause, 2, "");
    let first = sink("xtg1");
    let check = Finished::of(alone.command(&["check", &file]));
    assert_eq!(check.code, Some(0), "{check:?}");
    assert_eq!(first.count().unwrap().frames, 0);

    // One of two ports can send.
    second_wire(&stage);
    let file = alone.file(&[("", 1), ("", 1)]);
    let ends = |command: &str, code| {
        let finished = Finished::of(alone.command(&[command, &file]));
        let reported = finished
            .stdout
            .contains("the peer `xtg3` of `xtg2` has neither a native XDP program nor GRO");
        assert!(finished.code == Some(code) && reported, "{code} expected: {finished:?}");
    };
    ends("check", 0);
    ends("run", 0);
    assert_eq!(first.count().unwrap().frames, 1);
    table::row(
        "16",
        "check and run ports.toml, one of two ports takes nothing",
        "check tells of it, both end alike",
        0,
        "",
    );
}

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
    const SETTINGS: &str = "1 memory.limit_in_bytes 400M\n2 memory.max 400M\n";
    let (Some(_stage), Some([first, second])) = (Stage::set(), two_cpus()) else { return };
    if !groups::can_be_made("memory", SETTINGS) {
        return;
    }
    let sink = sink("xtg1");
    let alone = Alone::called("xtg-refused");
    let file = alone.long_flows(20_000, &format!("{first},{second}"));
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
            &format!("{command} flows.toml on 2 CPUs, in a group of 400 MB"),
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

    let check = limited("40:40", &["check", &file]);
    let sentence = check
        .stdout
        .lines()
        .find(|line| line.contains("file descriptors, and this process may have 40"));
    let sentence = sentence.unwrap_or_else(|| panic!("{check:?}"));
    assert!(check.stdout.contains("LimitNOFILE="), "{check:?}");
    table::row(
        "9",
        "check ports.toml with a hard limit of 40 files",
        sentence,
        check.code.unwrap(),
        "",
    );
    let run = limited("40:40", &["run", &file]);
    assert!(run.code.is_some_and(|code| code != 0), "{run:?}");
    let cause = run
        .stderr
        .lines()
        .find(|line| line.contains("cause: this process has as many files open as it may"));
    let cause = cause.unwrap_or_else(|| panic!("{run:?}"));
    assert!(run.stderr.contains("cure: raise the hard limit (`ulimit -Hn 65536`"), "{run:?}");
    table::row(
        "9",
        "run ports.toml with a hard limit of 40 files",
        cause.trim(),
        run.code.unwrap(),
        "",
    );

    // The predicted limit is enough, and a little less is not: with one group of flows, with
    // several, and with several ports.
    second_wire(&stage);
    let _sink = sink("xtg3");
    let (groups, ports) = (alone.groups(), alone.file(&[("", 10), ("rate = '10kpps'", 10)]));
    for (what, file) in [("two ports", &ports), ("one port of three groups", &groups)] {
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
