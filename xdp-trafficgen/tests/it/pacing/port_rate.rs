//! A port's rate, which its flows share by turns.

use crate::{
    frames::model::turns,
    harness::{Finished, frames, trafficgen},
    pacing::{
        oracle::{self, is_punctual},
        rig::{
            Config, Lab, PATIENT, assert_in_sequence, flow, flow_of, in_time, one_and_two_workers,
            or_miss, port, send, times_of,
        },
    },
};

#[test]
fn a_flow_alone_has_as_many_frames_as_its_rate_and_its_time_say() {
    let Some(_lab) = Lab::enter() else { return };
    for (workers, cpus) in one_and_two_workers() {
        let check =
            |rate: &str, pps, millis| in_time(|| check_alone((workers, cpus), (rate, pps), millis));
        check("20kpps", 20_000.0, 200);
        // Neither the gap in nanoseconds nor the number of frames is a whole number.
        check("33333.3pps", 33_333.3, 100);
        // The worker sleeps between frames.
        check("37pps", 37.0, 100);
    }
}

fn check_alone(
    (workers, cpus): (u64, &str),
    (rate, pps): (&str, f64),
    millis: u64,
) -> Result<(), String> {
    let due = oracle::constant(pps, 0.0, millis as f64 / 1e3);
    let text = port(&format!("rate = '{rate}'\ncpus = '{cpus}'\n{PATIENT}"));
    let (report, stamps) = send(&(text + &flow(0, &format!("duration = '{millis}ms'"))), &[], due);
    assert_eq!(report.flow("f0").due(), due, "{rate}, CPUs {cpus}: {report:?}");
    assert!((report.only_port().requested_pps.unwrap() / pps - 1.0).abs() < 1e-9, "{report:?}");
    assert_in_sequence(&stamps, workers);
    // A flow takes its full time, though its last departure comes before the end.
    assert!(report.duration_ns >= millis * 1_000_000, "{report:?}");
    is_punctual(&times_of(&stamps, 0), |number| number as f64 / pps)
        .map_err(|miss| format!("{rate}, CPUs {cpus}: {miss}: {report:?}"))
}

#[test]
fn a_flow_that_ends_after_so_many_frames_has_exactly_these() {
    let Some(_lab) = Lab::enter() else { return };
    for (workers, cpus) in one_and_two_workers() {
        let text = port(&format!("rate = '50kpps'\ncpus = '{cpus}'\n{PATIENT}"))
            + &flow(0, "packets = 10_007");
        in_time(|| {
            let (report, stamps) = send(&text, &[], 10_007);
            let port = report.only_port();
            assert_eq!(
                (report.flow("f0").frames_tx, port.frames_unsent),
                (10_007, Some(0)),
                "{report:?}"
            );
            assert_in_sequence(&stamps, workers);
            let achieved = port.achieved_pps.unwrap();
            or_miss((40e3..=60e3).contains(&achieved), || format!("{achieved} frames a second"))
        });
    }
}

/// Frames arrive in the order that `show` predicts.
#[test]
fn flows_take_turns_as_shown() {
    let Some(_lab) = Lab::enter() else { return };
    let weights = [5, 3, 2];
    let rate = 50_000.0;
    let seconds = 0.1;
    let total = oracle::constant(rate, 0.0, seconds);
    for (workers, cpus) in one_and_two_workers() {
        let mut text = port(&format!("rate = '50kpps'\ncpus = '{cpus}'\n{PATIENT}"));
        for (index, weight) in (0..).zip(weights) {
            text += &flow(index, &format!("weight = {weight}\nduration = '100ms'"));
        }
        let (report, stamps) = send(&text, &[], total);
        // Each worker goes through the whole cycle with its own departures.
        let turns = turns(&weights);
        let of_worker = |worker: u64| {
            turns.iter().cycle().take(usize::try_from(share(total, workers, worker)).unwrap())
        };
        for (index, flow) in (0..).zip(&report.flows) {
            let due =
                (0..workers).flat_map(of_worker).filter(|turn| **turn == index).count() as u64;
            assert_eq!(flow.due(), due, "CPUs {cpus}, flow {index}: {report:?}");
        }
        assert_in_sequence(&stamps, workers);
        if workers == 1 {
            let shown = shown(&text, total);
            let arrived: Vec<u16> = stamps.iter().map(|stamp| stamp.tag).collect();
            assert_eq!(arrived, shown[..arrived.len()], "not the order that was shown");
        }
    }
}

/// The tags of the first `frames_wanted` frames, as `show` writes them to a pcap file.
#[track_caller]
fn shown(text: &str, frames_wanted: u64) -> Vec<u16> {
    let config = Config::write(text);
    let file = config.folder.path().join("shown.pcap");
    let packets = frames_wanted.to_string();
    let show = ["show", &config.path, "--packets", &packets, "--pcap", file.to_str().unwrap()];
    let finished = Finished::of(trafficgen(&show));
    assert_eq!(finished.code, Some(0), "{finished:?}");
    frames(&file).iter().map(|frame| u16::from_be_bytes([frame[36], frame[37]])).collect()
}

/// How many of the departures 0..`total` belong to one of several workers.
fn share(total: u64, workers: u64, worker: u64) -> u64 {
    (total + workers - 1 - worker) / workers
}

/// A flow of the test below: its weight, and when it begins and ends, in milliseconds.
struct Sender {
    weight: u32,
    from: u64,
    to: u64,
}

/// Of three flows one begins late and one ends early; then comes a pause, and then a fourth flow.
/// Departures in which a flow does not send go to the others; departures of the pause go to none.
#[test]
fn flows_begin_and_end_at_their_times() {
    let Some(_lab) = Lab::enter() else { return };
    let senders = [
        Sender { weight: 3, from: 0, to: 60 },
        Sender { weight: 2, from: 25, to: 100 },
        Sender { weight: 1, from: 10, to: 100 },
        Sender { weight: 1, from: 130, to: 180 },
    ];
    let rate = 40_000;
    for (workers, cpus) in one_and_two_workers() {
        let mut text = port(&format!("rate = '40kpps'\ncpus = '{cpus}'\n{PATIENT}"));
        for (index, Sender { weight, from, to }) in (0..).zip(&senders) {
            let duration = to - from;
            text += &flow(
                index,
                &format!("weight = {weight}\ndelay = '{from}ms'\nduration = '{duration}ms'"),
            );
        }
        let (report, stamps) = send(&text, &[], 10_000);
        let order: Vec<Vec<u64>> =
            (0..workers).map(|worker| order(&senders, rate, workers, worker)).collect();
        for (index, flow) in (0..).zip(&report.flows) {
            let due = order.iter().flatten().filter(|turn| **turn == index).count() as u64;
            assert_eq!(flow.due(), due, "CPUs {cpus}, flow {index}: {report:?}");
        }
        assert_in_sequence(&stamps, workers);
        if workers == 1 && report.only_port().frames_unsent == Some(0) {
            assert_eq!(stamps.iter().map(flow_of).collect::<Vec<_>>(), order[0]);
        }
    }
}

/// The flow of each departure of a worker. Whenever the set of sending flows changes, they take
/// turns from the beginning.
fn order(senders: &[Sender], rate: u64, workers: u64, worker: u64) -> Vec<u64> {
    let mut order = Vec::new();
    let mut turns_of: (Vec<u64>, Vec<u32>) = (Vec::new(), Vec::new());
    let mut turn = 0;
    for departure in (worker..).step_by(usize::try_from(workers).unwrap()) {
        let micros = departure * 1_000_000 / rate;
        if senders.iter().all(|sender| micros >= sender.to * 1000) {
            break;
        }
        let is_active = |sender: &Sender| (sender.from * 1000..sender.to * 1000).contains(&micros);
        let active: Vec<u64> =
            (0..).zip(senders).filter(|(_, sender)| is_active(sender)).map(|(i, _)| i).collect();
        if active.is_empty() {
            continue;
        }
        if turns_of.0 != active {
            let weights: Vec<u32> = active
                .iter()
                .map(|index| senders[usize::try_from(*index).unwrap()].weight)
                .collect();
            turns_of = (active, turns(&weights));
            turn = 0;
        }
        let (active, turns) = &turns_of;
        order.push(active[turns[turn % turns.len()] as usize]);
        turn += 1;
    }
    order
}

/// Two flows end after so many frames, and the last one sends alone for the rest of the time.
#[test]
fn a_flow_that_ended_leaves_its_share_to_the_others() {
    let Some(_lab) = Lab::enter() else { return };
    for (workers, cpus) in one_and_two_workers() {
        let text = port(&format!("rate = '40kpps'\ncpus = '{cpus}'\n{PATIENT}"))
            + &flow(0, "packets = 1001\nweight = 3")
            + &flow(1, "packets = 7")
            + &flow(2, "duration = '200ms'");
        let (report, stamps) = send(&text, &[], 8000);
        let due: Vec<u64> = report.flows.iter().map(|flow| flow.due()).collect();
        assert_eq!(due, [1001, 7, 8000 - 1008], "CPUs {cpus}: {report:?}");
        assert_in_sequence(&stamps, workers);
    }
}

/// A rate above what a worker can send one by one: frames leave in batches large enough to keep up.
#[test]
fn in_batches_too_all_frames_leave_in_order() {
    let Some(_lab) = Lab::enter() else { return };
    let text = port(&format!("rate = '8Mpps'\n{PATIENT}")) + &flow(0, "weight = 2") + &flow(1, "");
    let each = 600_000;
    let (report, stamps) = send(&text, &["--packets", &each.to_string()], 2 * each);
    let sent: Vec<u64> = report.flows.iter().map(|flow| flow.frames_tx).collect();
    assert_eq!((sent, report.only_port().frames_unsent), (vec![each, each], Some(0)), "{report:?}");
    assert!(report.only_port().batch_size > Some(1), "{report:?}");
    assert_in_sequence(&stamps, 1);
    // The flows take turns until the first one has sent all of its frames.
    let taking_turns = stamps.iter().take(900_000).map(flow_of);
    assert!(taking_turns.eq([0, 1, 0].into_iter().cycle().take(900_000)));
}
