//! Rates of frames that do not leave by the ordinary way, and rates in bits a second.

use crate::pacing::rig::{
    Config, Lab, PATIENT, arrived, flow, in_time, or_miss, port, receiver, send,
};

#[test]
fn frames_of_other_actions_are_paced_too() {
    let Some(_lab) = Lab::enter() else { return };
    let text = |action| {
        port(&format!("rate = '20kpps'\n{PATIENT}\n{action}"))
            + &flow(0, "packets = 1001")
            + &flow(1, "packets = 7")
    };
    for action in ["action = 'drop'", "action = 'pass'"] {
        let report = Config::write(&text(action)).run(&[]).end().report(0);
        assert_eq!(report.only_port().frames_attempted, 1008, "{action}: {report:?}");
        assert_eq!(report.only_port().frames_unsent, Some(0), "{action}: {report:?}");
    }
    let arrivals = receiver(2000);
    let report = Config::write(&text("action = 'tx'\ningress = 'xtg0'")).run(&[]).end().report(0);
    assert_eq!(arrived(arrivals, &report).len(), 1008, "{report:?}");
}

/// A rate in bits a second counts the bits of all frames that were due.
#[test]
fn bits_a_second_are_those_of_the_frames_or_of_the_wire() {
    let Some(_lab) = Lab::enter() else { return };
    check_bits("rate = '80Mbps'", "size = 'imix'", 80e6, 0);
    check_bits("rate = '80MbpsL1'", "size = 'imix'", 80e6, 20);
    // A veth reports a speed of 10 Gbit/s.
    check_bits("rate = '4%'", "size = 1518", 400e6, 20);
    check_bits(
        "speed = '1Gbps'\nrate = '20%'",
        "size = { increment = { start = 64, end = 1514, step = 10 } }",
        200e6,
        20,
    );
}

/// `extra`: bytes of each frame on the wire that are not part of the frame itself.
#[track_caller]
fn check_bits(rate: &str, size: &str, bits: f64, extra: u64) {
    let text =
        port(&format!("{rate}\n{PATIENT}")) + &flow(0, &format!("{size}\nduration = '150ms'"));
    in_time(|| {
        let (report, _) = send(&text, &[], 20_000);
        let sent = report.flow("f0");
        let mean = (sent.bytes_tx as f64 / sent.frames_tx as f64 + extra as f64) * 8.0;
        let due = mean * sent.due() as f64 / 0.15;
        let requested = report.only_port().requested_pps.unwrap() * mean;
        let right = [due, requested].iter().all(|found| (found / bits - 1.0).abs() < 0.01);
        // The mean is over the frames sent, so many unsent ones would change it.
        or_miss(right, || format!("{rate}: {due} and {requested} bits a second, {report:?}"))
    });
}
