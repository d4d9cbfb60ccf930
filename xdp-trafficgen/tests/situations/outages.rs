//! Rates and times: when flows begin and end, what an outage costs, and what rates on the command line make of those in a file.

#[expect(dead_code, reason = "shared with the tests of pacing")]
#[path = "../pacing/rig.rs"]
mod rig;

use libtest_mimic::Trial;
use rig::{Config, Lab, PATIENT, arrived, flow, in_time, one_and_two_workers, or_miss, port, receiver, times_of};

use crate::{
    stage::{Finished, trafficgen},
    table::{self, trial},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("outages::a_written_delay_is_a_promise", a_written_delay_is_a_promise),
        trial("outages::the_last_instant_is_not_sent", the_last_instant_is_not_sent),
    ]
}

/// The line of `text` that has all of these parts.
#[track_caller]
fn line<'a>(text: &'a str, parts: &[&str]) -> &'a str {
    let has_all = |line: &&str| parts.iter().all(|part| line.contains(part));
    text.lines().find(has_all).unwrap_or_else(|| panic!("no line with {parts:?} in\n{text}"))
}

/// A flow at 16 pps behind another one began 38.6 ms after the start, whatever its delay.
fn a_written_delay_is_a_promise() {
    let Some(_lab) = Lab::enter() else { return };
    let text = port(PATIENT)
        + &flow(0, "rate = '16pps'\npackets = 1")
        + &flow(1, "rate = '16pps'\npackets = 1\ndelay = '100ns'")
        + &flow(2, "rate = '16pps'\npackets = 1\ndelay = '0s'")
        + &flow(3, "rate = '16pps'\npackets = 1");
    let config = Config::write(&text);
    let checked = Finished::of(trafficgen(&["check", &config.path]));
    assert_eq!(checked.code, Some(0), "{checked:?}");
    // 62.5 ms times the fraction of three golden ratios, for the one that may be anywhere.
    let first = ["0.000000000 s", "0.000000100 s", "0.000000000 s", "0.053381372 s"];
    for (index, first) in first.iter().enumerate() {
        line(&checked.stdout, &[&format!("flow f{index} "), &format!(", first at {first},")]);
    }
    let mut measured = [0; 3];
    in_time(|| {
        let arrivals = receiver(4);
        let report = config.run(&[]).end().report(0);
        let stamps = arrived(arrivals, &report);
        let of = |flow| times_of(&stamps, flow)[0];
        measured = [1, 2, 3].map(|flow| of(flow).abs_diff(of(0)));
        let kept = measured[0] < 5_000_000 && measured[1] < 5_000_000 && measured[2] > 40_000_000;
        or_miss(kept, || format!("first frames after {measured:?} ns"))
    });
    let sees = line(&checked.stdout, &["flow f1 "]);
    let figures = format!("arrived {}, {} and {} ns after the first flow's", measured[0], measured[1], measured[2]);
    table::row("8b", "check FILE; run FILE (16 pps, delay 100ns, 0s, none)", sees, 0, &figures);
}

/// 12 001 frames were sent where rate × duration is 12 000.
fn the_last_instant_is_not_sent() {
    let Some(_lab) = Lab::enter() else { return };
    let own = |delays: [&str; 3]| -> String {
        let flows = (0..).zip([7, 4, 1].into_iter().zip(delays));
        let text = |(index, (kpps, delay))| flow(index, &format!("rate = '{kpps}kpps'\nduration = '1s'\n{delay}"));
        flows.map(text).collect()
    };
    let one = |rate: &str, duration: &str| flow(0, &format!("rate = {rate}\nduration = '{duration}'"));
    // The frames of each are the integral of its rate.
    let cases = [
        (one("'12kpps'", "1s"), 12_000),
        (own(["", "", ""]), 12_000),
        (own(["delay = '100ns'", "delay = '50ns'", "delay = '0s'"]), 12_000),
        (one("{ ramp = { from = '0pps', to = '24kpps', over = '1s' } }", "1s"), 12_000),
        (one("{ ramp = { from = '0pps', to = '24kpps', over = '1s' } }", "500ms"), 3000),
        (
            one(
                "{ steps = [{ rate = '1005pps', duration = '100ms' }, { rate = '3kpps', duration = '1s' }] }",
                "100500us",
            ),
            102,
        ),
        (one("{ burst = { packets = 4, gap = '1us', inter_burst_gap = '7us' } }", "10ms"), 4000),
        (one("'333333.3pps'", "30ms"), 10_000),
    ];
    for (workers, cpus) in one_and_two_workers() {
        let mut counts = Vec::new();
        for (flows, expected) in &cases {
            let config = Config::write(&(port(&format!("cpus = '{cpus}'\n{PATIENT}")) + flows));
            let arrivals = receiver(expected + 1);
            let report = config.run(&[]).end().report(0);
            let sent = report.only_port();
            let due = sent.frames_attempted + sent.frames_unsent.unwrap();
            assert_eq!(due, *expected, "CPUs {cpus}, {flows}: {report:?}");
            arrived(arrivals, &report);
            counts.push(due.to_string());
        }
        let command = format!("run FILE (12 kpps for 1s: alone, as three flows, a ramp; …) on {workers} CPUs");
        let sees = format!("frames due: {}", counts.join(", "));
        table::row("8d", &command, &sees, 0, "each rate × duration, and no frame more arrived");
    }
}
