//! More than the machine can send: unsent frames are counted, and the run ends on time and says so.

use crate::{
    harness::{Finished, ip, trafficgen},
    pacing::{
        oracle,
        rig::{
            Config, Lab, PATIENT, assert_in_sequence, flow, in_time, or_miss, port, receiver, send,
        },
    },
};

const MILLIS: u64 = 200;

/// Three flows that ask for 1000 million frames a second.
fn too_much(behind: &str, of_the_port: bool) -> String {
    let (rate, own_rate) =
        if of_the_port { ("rate = '1000Mpps'", "") } else { ("", "rate = '300Mpps'") };
    let mut text = port(&format!("{rate}\nbehind = {behind}"));
    for (index, weight) in [(0, 5), (1, 4), (2, 1)] {
        let weight = if of_the_port { format!("weight = {weight}") } else { String::new() };
        text += &flow(index, &format!("{own_rate}\n{weight}\nduration = '{MILLIS}ms'"));
    }
    text
}

#[test]
fn what_is_not_sent_is_counted_and_the_run_ends_on_time() {
    let Some(_lab) = Lab::enter() else { return };
    let seconds = MILLIS as f64 / 1e3;
    for behind in ["'skip'", "{ catch_up = '20ms' }"] {
        in_time(|| check(behind, true, [100_000_000, 80_000_000, 20_000_000]));
        let due = [0, 1, 2].map(|flow| oracle::constant(300e6, oracle::phase(flow), seconds));
        in_time(|| check(behind, false, due));
    }
}

fn check(behind: &str, of_the_port: bool, due: [u64; 3]) -> Result<(), String> {
    let (report, stamps) = send(&too_much(behind, of_the_port), &[], 4_000_000);
    let port = report.only_port();
    assert_eq!(
        report.flows.iter().map(|flow| flow.due()).collect::<Vec<_>>(),
        due,
        "{behind}: {report:?}"
    );
    assert_in_sequence(&stamps, 1);
    // The run sends less than was asked for, but as fast as it can.
    or_miss(report.flows.iter().all(|flow| flow.frames_tx > 1000), || {
        format!("{behind}: {report:?}")
    })?;
    assert!(port.frames_unsent > Some(50_000_000), "{behind}: {report:?}");
    if behind != "'skip'" {
        let (late, worst) = (port.frames_late.unwrap(), port.worst_lateness_ns.unwrap());
        assert!(late * 2 > port.frames_tx && worst > 10_000_000, "{behind}: {report:?}");
        or_miss(worst < 25_000_000, || format!("{behind}: {worst} ns late"))?;
    }
    let millis = report.duration_ns / 1_000_000;
    assert!(millis >= MILLIS, "it takes its time: {report:?}");
    or_miss(millis < MILLIS + 100, || format!("{behind}: it took {millis} ms"))
}

#[test]
fn strict_fails_when_less_was_sent_than_asked_for() {
    let Some(_lab) = Lab::enter() else { return };
    let receiver = receiver(4_000_000);
    let config = Config::write(&too_much("'skip'", true));
    let finished = config.run(&["--strict"]).end();
    finished.report(3);
    assert!(
        finished.stderr.contains("less than was asked for (--strict): port west left 9"),
        "{}",
        finished.stderr
    );
    // Without `--strict` the report says so, and the run succeeds.
    let finished = Finished::of(trafficgen(&["run", &config.path]));
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(
        finished.stdout.contains("port west: asked for 1000 Mpps, sent "),
        "{}",
        finished.stdout
    );
    assert!(
        finished.stdout.contains(" had no frame, for the workers were too far behind"),
        "{}",
        finished.stdout
    );
    drop(receiver);
    // Here everything was sent.
    let enough =
        port("rate = '10kpps'\nbehind = { catch_up = '10s' }") + &flow(0, "packets = 1000");
    let (report, _) = send(&enough, &["--strict"], 1000);
    assert_eq!(report.only_port().frames_tx, 1000);
}

/// Dropped frames are not a fault of pacing, and `--strict` fails because of them too.
#[test]
fn strict_fails_when_frames_are_dropped() {
    let Some(_lab) = Lab::enter() else { return };
    let receiver = receiver(2000);
    ip("link set xtg1 mtu 500");
    let text = port(&format!("rate = '10kpps'\n{PATIENT}"))
        + &flow(0, "packets = 1000")
        + &flow(1, "packets = 10\nsize = 1000");
    let finished = Config::write(&text).run(&["--strict"]).end();
    let report = finished.report(3);
    let port = report.only_port();
    // The driver of a veth gives up the rest of a bulk; there is only one such bulk here unless
    // frames are late.
    assert!((10..100).contains(&port.frames_dropped), "{report:?}");
    assert!(
        finished.stderr.contains(&format!("port west lost {} frames", port.frames_dropped)),
        "{}",
        finished.stderr
    );
    drop(receiver);
}
