//! Flows with rates of their own: each keeps its own time, whatever the others do.

use crate::{
    pacing::oracle,
    pacing::rig::{
        Lab, PATIENT, assert_in_sequence, flow, in_time, one_and_two_workers, or_miss, port, send,
        times_of,
    },
};

const FLOWS: u64 = 100;
const SECONDS: f64 = 0.3;

/// Rates from 2 to 50 000 frames a second, in even steps of a logarithmic scale, in thousandths.
fn millipps(flow: u64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "far below 2^53")]
    let millipps = (2000.0 * 25_000f64.powf(flow as f64 / (FLOWS - 1) as f64)).round() as u64;
    millipps
}

#[test]
fn each_of_a_hundred_flows_has_its_own_rate() {
    let Some(_lab) = Lab::enter() else { return };
    assert_eq!((millipps(0), millipps(FLOWS - 1)), (2000, 50_000_000));
    for (_, cpus) in one_and_two_workers() {
        let mut text = port(&format!("cpus = '{cpus}'\n{PATIENT}"));
        for index in 0..FLOWS {
            let rate = millipps(index);
            let settings =
                format!("rate = '{}.{:03}pps'\nduration = '300ms'", rate / 1000, rate % 1000);
            text += &flow(index, &settings);
        }
        in_time(|| {
            let (report, stamps) = send(&text, &[], 400_000);
            assert_eq!(report.flows.len() as u64, FLOWS);
            // A flow belongs to one worker, so its frames leave in their order.
            assert_in_sequence(&stamps, 1);
            let (mut gaps, mut short) = (0, 0);
            for index in 0..FLOWS {
                let pps = millipps(index) as f64 / 1e3;
                let sent = report.flow(&format!("f{index}"));
                assert_eq!(
                    sent.due(),
                    oracle::constant(pps, oracle::phase(index), SECONDS),
                    "{pps} pps: {sent:?}"
                );
                assert!((sent.requested_pps.unwrap() / pps - 1.0).abs() < 1e-9, "{sent:?}");
                let times = times_of(&stamps, index);
                assert_eq!(times.len() as u64, sent.frames_tx, "{sent:?}");
                gaps += times.len().saturating_sub(1);
                let half = 0.5e9 / pps;
                short +=
                    times.windows(2).filter(|pair| ((pair[1] - pair[0]) as f64) < half).count();
            }
            // Late frames that are made up for keep half of their gaps; but the receiver takes all
            // waiting frames at once.
            or_miss(short * 20 < gaps, || {
                format!("{short} of {gaps} gaps are not half of what they should be")
            })
        });
    }
}

/// Three thousand flows of one rate: workers send as many flows each, and every flow has a frame at
/// each of its departures, although they take longer than the nearest buckets of the calendar hold.
#[test]
fn flows_by_the_thousand_are_shared_out() {
    const COUNT: u64 = 3000;
    let Some(_lab) = Lab::enter() else { return };
    for (workers, cpus) in one_and_two_workers() {
        let mut text = port(&format!("cpus = '{cpus}'\n{PATIENT}"));
        for index in 0..COUNT {
            text += &format!(
                "[[flows]]\nname = 'f{index}'\nport = 'west'\nrate = '20pps'\nduration = '300ms'\npacket = [\n\
                 {{ ethernet = {{ dst = '02:00:00:00:00:02' }} }},\n{{ ipv4 = {{}} }},\n\
                 {{ udp = {{ src_port = 9, dst_port = {index} }} }},\n]\n"
            );
        }
        let (report, stamps) = send(&text, &[], 20_000);
        // Each begins within 50 ms, and has six times of 50 ms.
        assert!(report.flows.iter().all(|flow| flow.due() == 6), "CPUs {cpus}: {report:?}");
        let port = report.only_port();
        assert_eq!((port.frames_tx, port.frames_unsent), (6 * COUNT, Some(0)), "CPUs {cpus}");
        for worker in &port.workers {
            assert_eq!(worker.frames_tx, 6 * COUNT / workers, "CPUs {cpus}: {worker:?}");
        }
        let mut seen = vec![0; 3000];
        stamps.iter().for_each(|stamp| seen[stamp.tag as usize] += 1);
        assert!(seen.iter().all(|frames| *frames == 6), "CPUs {cpus}: {seen:?}");
    }
}

/// Each flow has its own delay and its own kind of end.
#[test]
fn flows_begin_and_end_one_by_one() {
    let Some(_lab) = Lab::enter() else { return };
    for (_, cpus) in one_and_two_workers() {
        let text = port(&format!("cpus = '{cpus}'\n{PATIENT}"))
            + &flow(0, "rate = '10kpps'\ndelay = '100ms'\nduration = '100ms'")
            + &flow(1, "rate = '3kpps'\npackets = 301")
            + &flow(2, "rate = '5kpps'\ndelay = '20ms'\npackets = 7\nduration = '1h'")
            + &flow(3, "rate = '1kpps'\ndelay = '150ms'\npackets = 1000\nduration = '50ms'");
        in_time(|| {
            let (report, stamps) = send(&text, &[], 2000);
            let due: Vec<u64> = report.flows.iter().map(|flow| flow.due()).collect();
            assert_eq!(due, [1000, 301, 7, 50], "CPUs {cpus}: {report:?}");
            assert_in_sequence(&stamps, 1);
            // The first frame of each flow, counted from the very first frame, which comes within a
            // gap of the start.
            let first = [1, 2, 0, 3].map(|flow| times_of(&stamps, flow)[0] - stamps[0].ns);
            let kept = |(delay, after): (&u64, u64)| after.abs_diff(delay * 1_000_000) < 10_000_000;
            let are_kept = [0, 20, 100, 150].iter().zip(first).all(kept);
            or_miss(are_kept, || format!("delays of 0, 20, 100 and 150 ms are {first:?} ns"))
        });
    }
}
