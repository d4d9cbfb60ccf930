//! An interface is identified by its index, whatever its name.

use std::process::Command;

use rustix::process::Signal;

use super::{assert_says, finding, report, udp};
use crate::{
    harness::{Finished, Running, Stage, assert_arrived, ip, sink, trafficgen},
    situations::table,
};

/// The interface was reported as "gone".
#[test]
fn a_renamed_interface_goes_on() {
    let Some(_stage) = Stage::set() else { return };
    let sink = sink("xtg1");
    let (command, typed) = udp("xtg0", "");
    let mut running = Running::start(command);
    running.wait_until("frames arrive", |_| sink.count().unwrap().frames > 0);
    ip("link set xtg0 name lab0");
    running.wait_until("it reports the new name and goes on", |running| {
        running.stderr().contains("was renamed to `lab0`")
    });
    let before = sink.count().unwrap().frames;
    running.wait_until("it goes on", |_| sink.count().unwrap().frames > before + 1000);
    running.signal(Signal::INT);
    let report = running.end().report(0);
    assert_arrived(&sink, report.only_port().frames_tx);
    assert!(report.findings.iter().all(|finding| finding.code != "interface_gone"), "{report:?}");
    let found = finding(&report, "interface_renamed");
    assert_says(found, &["`xtg0` was renamed to `lab0` meanwhile; frames go on leaving by it"]);
    assert_eq!(found.severity, "note");
    let figures = format!("{} sent, as many arrived", report.only_port().frames_tx);
    table::row("14", &format!("{typed}, renamed to lab0"), &found.cause, 0, &figures);
}

/// A command with the interface's old name would fail.
#[test]
fn a_cure_uses_the_current_name() {
    let Some(_stage) = Stage::set() else { return };
    let sink = sink("xtg1");
    let mut running = Running::start(udp("xtg0", "--size 1000 --rate 10kpps").0);
    running.wait_until("frames arrive", |_| sink.count().unwrap().frames > 0);
    ip("link set xtg0 name lab0");
    ip("link set lab0 mtu 500");
    running
        .wait_until("it reports the drops", |running| running.stderr().contains("being dropped"));
    running.signal(Signal::INT);
    let report = running.end().report(0);
    let found = finding(&report, "frame_above_mtu");
    assert_says(found, &["`lab0`, 500", "`ip link set lab0 mtu 978`"]);
}

/// Such names were refused as "no interface".
#[test]
fn alternative_names_are_names() {
    let Some(_stage) = Stage::set() else { return };
    const LONG: &str = "the-uplink-of-the-traffic-laboratory";
    const OTHER: &str = "the-far-end-of-the-traffic-laboratory";
    ip(&format!("link property add dev xtg0 altname {LONG}"));
    ip(&format!("link property add dev xtg1 altname {OTHER}"));
    // This command counts by itself what arrives.
    let receiver = sink("xtg1");
    let sent = report(LONG, "--packets 1000", 0);
    assert_arrived(&receiver, 1000);
    assert_eq!(sent.only_port().interface, "xtg0");
    table::row("14", &udp(LONG, "--packets 1000").1, "sent", 0, "1000 sent, as many arrived");
    drop(receiver);

    let finished = Finished::of(trafficgen(&["probe", LONG, "--json"]));
    let probed: serde_json::Value =
        serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("{finished:?}"));
    let interface = &probed["interface"];
    assert_eq!(
        (&interface["name"], &interface["alt_names"][0]),
        (&"xtg0".into(), &LONG.into()),
        "{probed}"
    );

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("port.toml");
    let text = format!(
        "[[ports]]\nname = 'west'\ninterface = '{LONG}'\n[[flows]]\nname = 'f'\nport = 'west'\npackets = 10\n\
         packet = [{{ ethernet = {{ dst = '02:00:00:00:00:02' }} }}, {{ ipv4 = {{}} }}, {{ udp = {{}} }}]\n"
    );
    std::fs::write(&path, text).unwrap();
    for command in ["check", "run"] {
        let receiver = sink("xtg1");
        let finished = Finished::of(trafficgen(&[command, path.to_str().unwrap()]));
        assert_eq!(finished.code, Some(0), "{command}: {finished:?}");
        drop(receiver);
    }
    let mut pace_test: Command = trafficgen(&["pace-test", LONG, "--receiver", OTHER]);
    pace_test.args(["--rate", "10kpps", "--duration", "300ms", "--warm-up", "50ms"]);
    let finished = Finished::of(pace_test);
    assert_eq!(finished.code, Some(0), "{finished:?}");

    // A misspelt alternative name gets a suggestion.
    let mistyped = Finished::of(udp("the-uplink-of-the-traffic-labratory", "--packets 1").0);
    assert_eq!(mistyped.code, Some(2), "{mistyped:?}");
    assert!(mistyped.stderr.contains(&format!("did you mean `{LONG}`?")), "{mistyped:?}");
}
