//! Missing capabilities, missing or read-only file systems, and `check`, which ends as `run` does.

use std::process::Command;

use super::{Alone, second_wire};
use crate::{
    harness::{Finished, RECEIVER_MAC, Stage, sink, trafficgen},
    situations::table,
};

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
