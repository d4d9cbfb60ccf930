//! A drop is explained by the facts of the moment at which it happened.

use std::process::Command;

use rustix::process::Signal;
use xdp_trafficgen::kernel::Sink;

use super::{Elsewhere, assert_says, ethtool, finding, report, udp};
use crate::{
    harness::{Report, Running, Stage, ip, sink, trafficgen},
    situations::table,
};

/// The cause was: "ring of 256 entries full, use a smaller batch".
#[test]
fn a_peer_elsewhere_with_a_smaller_mtu() {
    let Some(_stage) = Stage::set() else { return };
    let elsewhere = Elsewhere::with("xtg1");
    elsewhere.run("ip link set xtg1 up mtu 500");
    elsewhere.run("ethtool -K xtg1 gro on");
    let options = "--size 1000 --packets 1000";
    let lost = report("xtg0", options, 1);
    let found = finding(&lost, "frame_above_peer_mtu");
    assert_says(
        found,
        &["1000 bytes", "the peer `xtg1` of `xtg0`, in another network namespace, allows, 500"],
    );
    assert_says(
        found,
        &["send frames of 522 bytes at most", "in its namespace: `ip link set xtg1 mtu 978`"],
    );
    let of_drops = lost.findings.iter().filter(|finding| finding.frames.is_some());
    assert_eq!(of_drops.count(), 1, "{lost:?}");
    table::row(
        "12",
        &udp("xtg0", options).1,
        &format!("{}; cure: {}", found.cause, found.cure),
        1,
        "peer's MTU 500",
    );
    // Both cures work.
    assert_eq!(report("xtg0", "--size 522 --packets 1000", 0).only_port().frames_tx, 1000);
    elsewhere.run("ip link set xtg1 mtu 978");
    assert_eq!(report("xtg0", options, 0).only_port().frames_tx, 1000);
}

/// The cause was: "1518 are longer than the MTU 1500 allows; send 1522, or raise the MTU to 1496".
#[test]
fn an_mtu_that_was_put_back() {
    let Some(_stage) = Stage::set() else { return };
    let sink = sink("xtg1");
    let (command, typed) = udp("xtg0", "--size 1518 --rate 10kpps");
    let mut running = Running::start(command);
    running.wait_until("frames arrive", |_| sink.count().unwrap().frames > 0);
    ip("link set xtg0 mtu 500");
    running.wait_until("it reports the drops while they happen", |running| {
        running.stderr().contains("being dropped")
    });
    let said = running.stderr();
    assert!(
        said.contains("frames of 1518 bytes are longer than the MTU of `xtg0`, 500, allows"),
        "{said}"
    );
    assert!(said.contains("`ip link set xtg0 mtu 1496`"), "{said}");
    ip("link set xtg0 mtu 1500");
    let before = sink.count().unwrap().frames;
    running.wait_until("frames arrive again", |_| sink.count().unwrap().frames > before + 100);
    running.signal(Signal::INT);
    let report = running.end().report(0);
    let found = finding(&report, "frame_above_mtu");
    assert_says(
        found,
        &[
            "were longer than the MTU of `xtg0`, 500, allowed for a while; it is 1500 now",
            "put right by now",
        ],
    );
    assert!(!found.cure.contains("1496") && !found.cure.contains("1522"), "{found:?}");
    assert_eq!(
        report.findings.iter().filter(|finding| finding.frames.is_some()).count(),
        1,
        "{report:?}"
    );
    let figures = format!(
        "{} of {} dropped",
        report.only_port().frames_dropped,
        report.only_port().frames_attempted
    );
    let what = format!("{typed}, MTU 500 for a while");
    table::row("12", &what, &format!("{}; cure: {}", found.cause, found.cure), 0, &figures);
}

/// The facts were not read while the MTU was small, but the kernel notified the program.
#[test]
fn an_mtu_that_was_put_back_between_two_readings() {
    let Some(_stage) = Stage::set() else { return };
    let sink = sink("xtg1");
    // A worker that does not run between the two commands loses nothing, so on a busy machine it
    // takes more than one attempt.
    let lossy = (0..50)
        .map(|_| mtu_lowered_for_a_moment(&sink))
        .find(|report| report.only_port().frames_dropped > 0);
    let report = lossy.expect("a frame is lost in one of 50 attempts");
    let found = finding(&report, "frame_above_mtu");
    assert_says(
        found,
        &[
            "1518 bytes were longer than the MTU of `xtg0`, 500, allowed for a while; it is 1500 now",
        ],
    );
    assert!(!found.cure.contains("1496"), "{found:?}");
}

/// The report of a run at full speed, so that some frames are lost between the two commands.
fn mtu_lowered_for_a_moment(sink: &Sink) -> Report {
    let before = sink.count().unwrap().frames;
    let mut running = Running::start(udp("xtg0", "--size 1518").0);
    running.wait_until("frames arrive", |_| sink.count().unwrap().frames > before);
    ip("link set xtg0 mtu 500");
    ip("link set xtg0 mtu 1500");
    let before = sink.count().unwrap().frames;
    running.wait_until("frames arrive again", |_| sink.count().unwrap().frames > before + 100);
    running.signal(Signal::INT);
    running.end().report(0)
}

/// The peer is in another namespace. Drops between the last reading of the small MTU and the moment
/// at which it was put back were explained as "ring of 256 entries full, use a smaller batch".
#[test]
fn a_peers_mtu_that_was_put_back() {
    let Some(_stage) = Stage::set() else { return };
    let elsewhere = Elsewhere::with("xtg1");
    elsewhere.run("ip link set xtg1 up");
    elsewhere.run("ethtool -K xtg1 gro on");
    let (command, typed) = udp("xtg0", "--size 1000 --rate 10kpps");
    let mut running = Running::start(command);
    running.wait_until("it sends", |running| running.stderr().contains("sent "));
    elsewhere.run("ip link set xtg1 mtu 500");
    running.wait_until("it reports the drops while they happen", |running| {
        running.stderr().contains("being dropped")
    });
    assert!(
        running.stderr().contains("longer than the MTU of the peer `xtg1` of `xtg0`"),
        "{}",
        running.stderr()
    );
    let explained = dropped(&running);
    // Some drops that happen after the last reading.
    running.wait_until("more are dropped", |running| dropped(running) > explained);
    elsewhere.run("ip link set xtg1 mtu 1500");
    let sent = running.stderr().matches("sent ").count();
    running
        .wait_until("it goes on", |running| running.stderr().matches("sent ").count() > sent + 1);
    running.signal(Signal::INT);
    let report = running.end().report(0);
    assert_never_full(&report);
    let found = finding(&report, "frame_above_peer_mtu");
    assert_says(
        found,
        &[
            "allows, 500 (as it was when they were dropped; it is not so any more)",
            "put right by now",
        ],
    );
    assert!(!found.cure.contains("ip link set"), "{found:?}");
    let what = format!("{typed}, peer's MTU 500 for a while");
    table::row("12", &what, &format!("{}; cure: {}", found.cause, found.cure), 0, "");
}

/// The MTU is put back at once, so the facts were not read meanwhile; but the kernel also notifies
/// of other namespaces.
#[test]
fn a_peers_mtu_that_was_not_read_meanwhile() {
    let Some(_stage) = Stage::set() else { return };
    let (command, typed) = udp("xtg0", "--size 1000 --rate 10kpps");
    let report = with_a_small_mtu_for_a_moment(command);
    let dropped = report.only_port().frames_dropped;
    // The facts may have been read just between the two commands.
    let found =
        report.findings.iter().find(|finding| finding.frames.is_some()).expect("some were dropped");
    assert!(
        ["queue_full_or_frame_above_peer_mtu", "frame_above_peer_mtu"]
            .contains(&found.code.as_str()),
        "{report:?}"
    );
    assert_says(found, &["frames of 1000 bytes", "the MTU of the peer `xtg1` of `xtg0`", "500"]);
    let what = format!("{typed}, peer's MTU 500 for a moment");
    table::row(
        "12",
        &what,
        &format!("{}; cure: {}", found.cause, found.cure),
        0,
        &format!("{dropped} dropped"),
    );
}

/// Without CAP_NET_BROADCAST the kernel does not notify, and the report names both possible causes.
#[test]
fn a_peers_mtu_without_notifications() {
    let Some(_stage) = Stage::set() else { return };
    let (command, typed) = udp("xtg0", "--size 1000 --rate 10kpps");
    let mut without_notifications = Command::new("setpriv");
    without_notifications
        .arg("--bounding-set=-net_broadcast")
        .arg(command.get_program())
        .args(command.get_args());
    let report = with_a_small_mtu_for_a_moment(without_notifications);
    let found =
        report.findings.iter().find(|finding| finding.frames.is_some()).expect("some were dropped");
    if found.code == "frame_above_peer_mtu" {
        // The facts were read just between the two commands.
        return;
    }
    assert_eq!(found.code, "queue_full_or_frame_above_peer_mtu", "{report:?}");
    assert_says(
        found,
        &["either frames of 1000 bytes", "at some moment between", "it is 1500 now; or the ring"],
    );
    let what = format!("{typed}, peer's MTU 500 for a moment, without CAP_NET_BROADCAST");
    table::row("12", &what, &format!("{}; cure: {}", found.cause, found.cure), 0, "");
}

/// The report of a run during which the peer's MTU, in another namespace, was 500 between two
/// commands.
fn with_a_small_mtu_for_a_moment(command: Command) -> Report {
    let elsewhere = Elsewhere::with("xtg1");
    elsewhere.run("ip link set xtg1 up");
    elsewhere.run("ethtool -K xtg1 gro on");
    let mut running = Running::start(command);
    running.wait_until("it sends", |running| running.stderr().contains("sent "));
    until_dropped(&mut running, || {
        elsewhere.run("ip link set xtg1 mtu 500");
        elsewhere.run("ip link set xtg1 mtu 1500");
    });
    running.signal(Signal::INT);
    let report = running.end().report(0);
    assert_never_full(&report);
    report
}

/// Disturbs the peer for a moment until frames were dropped: on a busy machine no frame may be sent
/// within the moment.
#[track_caller]
fn until_dropped(running: &mut Running, disturb: impl Fn()) {
    for attempt in 0..20 {
        disturb();
        let lines = |running: &Running| running.stderr().matches("sent ").count();
        let before = lines(running);
        running.wait_until("its next line but one", |running| lines(running) > before + 1);
        if dropped(running) > 0 {
            return;
        }
        assert!(attempt < 19, "nothing was dropped: {}", running.stderr());
    }
}

/// Dropped frames, from the last line of progress.
fn dropped(running: &Running) -> u64 {
    let said = running.stderr();
    let number = said
        .rsplit("dropped ")
        .find_map(|rest| rest.split(|end: char| !end.is_ascii_digit()).next()?.parse().ok());
    number.unwrap_or(0)
}

/// No finding blames the ring alone.
#[track_caller]
fn assert_never_full(report: &Report) {
    assert!(report.findings.iter().all(|finding| finding.code != "queue_full"), "{report:?}");
}

/// The cause was "is down, or has neither a native XDP program nor GRO", though the peer has one.
#[test]
fn a_peer_that_was_down_for_a_while() {
    let Some(_stage) = Stage::set() else { return };
    let elsewhere = Elsewhere::with("xtg1");
    elsewhere.run("ip link set xtg1 up");
    elsewhere.run("ethtool -K xtg1 gro on");
    let (command, typed) = udp("xtg0", "--rate 10kpps");
    let mut running = Running::start(command);
    running.wait_until("it sends", |running| running.stderr().contains("sent "));
    until_dropped(&mut running, || {
        elsewhere.run("ip link set xtg1 down");
        elsewhere.run("ip link set xtg1 up");
    });
    running
        .wait_until("it reports the drops", |running| running.stderr().contains("being dropped"));
    running.signal(Signal::INT);
    let report = running.end().report(0);
    let found = finding(&report, "veth_peer_changed");
    assert_says(
        found,
        &[
            "the peer `xtg1` of `xtg0`, in another network namespace, was down for a while, and is up again",
        ],
    );
    assert_says(found, &["leave it up"]);
    table::row(
        "14",
        &format!("{typed}, peer down and up again"),
        &format!("{}; cure: {}", found.cause, found.cure),
        0,
        "",
    );
}

#[test]
fn the_daemon_explains_old_drops_by_their_own_facts() {
    let Some(_stage) = Stage::set() else { return };
    let sink = sink("xtg1");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("daemon.toml");
    let text = "[[ports]]\nname = 'west'\ninterface = 'xtg0'\n[[flows]]\nname = 'f'\nport = 'west'\nrate = '10kpps'\nsize = 1000\n\
                packet = [{ ethernet = { dst = '02:00:00:00:00:02' } }, { ipv4 = {} }, { udp = {} }]\n";
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    let mut running = Running::start(trafficgen(&[
        "daemon",
        "--config",
        path,
        "--report-interval",
        "100ms",
        "--json",
    ]));
    running.wait_until("frames arrive", |_| sink.count().unwrap().frames > 0);
    ethtool("-K xtg1 gro on");
    ip("link set xtg1 mtu 500");
    running.wait_until("it reports the drops while they happen", |running| {
        running.stderr().contains("frames dropped")
    });
    ip("link set xtg1 mtu 1500");
    let before = sink.count().unwrap().frames;
    running.wait_until("frames arrive again", |_| sink.count().unwrap().frames > before + 100);
    running.signal(Signal::TERM);
    let finished = running.end();
    let report = finished.report(0);
    let found = finding(&report, "frame_above_peer_mtu");
    assert_says(found, &["allows, 500 (as it was when they were dropped; it is not so any more)"]);
    // The log says the same at its end.
    assert!(finished.stderr.contains("frames dropped in all"), "{}", finished.stderr);
    assert!(
        finished.stderr.contains("500 (as it was when they were dropped"),
        "{}",
        finished.stderr
    );
    let what = "daemon, peer's MTU 500 for a while";
    table::row(
        "12",
        what,
        &format!("{}; cure: {}", found.cause, found.cure),
        0,
        &format!("{:?} frames", found.frames),
    );
}
