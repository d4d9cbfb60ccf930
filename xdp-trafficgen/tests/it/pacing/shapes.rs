//! Flows of different layouts, each made by a program of its own: paced, their frames are the same
//! as unpaced.

use xdp_trafficgen::kernel::{Sink, sink::SinkAction};

use crate::{
    frames::model::{Flow, turns},
    harness::{Capture, Report, ethtool},
    pacing::{
        oracle,
        rig::{Config, Lab, PATIENT, one_and_two_workers},
    },
    wire::flows::{Sent, identify, mixed},
};

/// The configuration of these flows, each with settings of its own.
fn toml(port: &str, flows: &[Flow], settings: &[String]) -> String {
    let mut text = format!("[[ports]]\nname = 'west'\ninterface = 'xtg0'\n{port}\n{PATIENT}\n");
    for ((number, flow), settings) in flows.iter().enumerate().zip(settings) {
        text +=
            &format!("\n[[flows]]\nname = '{number}'\nport = 'west'\n{settings}\n{}", flow.toml());
    }
    text
}

/// Sends and captures; returns each frame's flow.
#[track_caller]
fn send(text: &str, flows: &[Flow]) -> (Report, Vec<usize>) {
    // A veth needs GRO or a program at the other end; a program, which switches GRO on, delays some
    // frames and not others.
    let _counting = Sink::attach("xtg1", SinkAction::Pass).unwrap();
    ethtool("-K xtg1 gro off");
    let config = Config::write(text);
    let capture = Capture::start(&config.folder, u64::MAX, "");
    let report = config.run(&[]).end().report(0);
    let arrived = capture.stop(report.only_port().frames_tx);
    assert_eq!(arrived.len() as u64, report.only_port().frames_tx, "{report:?}");
    let mut seen = vec![0; flows.len()];
    let mut order = Vec::new();
    for frame in &arrived {
        let Sent { flow, number } = identify(flows, frame);
        assert_eq!(*frame, flows[flow].frame(number), "flow {flow}, its frame {number}");
        seen[flow] += 1;
        order.push(flow);
    }
    assert_eq!(
        seen,
        report.flows.iter().map(|flow| flow.frames_tx).collect::<Vec<_>>(),
        "{report:?}"
    );
    (report, order)
}

#[test]
fn flows_of_different_layouts_have_rates_of_their_own() {
    let Some(_lab) = Lab::enter() else { return };
    let flows = mixed();
    let rates = [8000.0, 90.0, 2600.0, 5000.0, 17.0];
    let settings = rates.map(|rate| format!("rate = '{rate}pps'\nduration = '150ms'"));
    // With several workers, where the machine allows them.
    let Some((_, cpus)) = one_and_two_workers().last() else { return };
    let (report, _) = send(&toml(&format!("cpus = '{cpus}'"), &flows, &settings), &flows);
    for ((index, rate), sent) in (0..).zip(rates).zip(&report.flows) {
        let due = oracle::constant(rate, oracle::phase(index), 0.15);
        assert_eq!(sent.due(), due, "CPUs {cpus}, flow {index}: {report:?}");
    }
}

#[test]
fn flows_of_different_layouts_share_the_rate_of_a_port() {
    let Some(_lab) = Lab::enter() else { return };
    let flows = mixed();
    let turns = turns(&flows.iter().map(|flow| flow.weight).collect::<Vec<_>>());
    let cycles = 100;
    let share =
        |flow: usize| turns.iter().filter(|turn| **turn as usize == flow).count() as u64 * cycles;
    let settings: Vec<String> =
        (0..flows.len()).map(|flow| format!("packets = {}", share(flow))).collect();
    // One worker's frames arrive in its order.
    let (report, order) = send(&toml("rate = '15kpps'", &flows, &settings), &flows);
    for (index, sent) in report.flows.iter().enumerate() {
        assert_eq!((sent.frames_tx, sent.frames_unsent), (share(index), Some(0)), "{report:?}");
    }
    assert!(
        order.iter().zip(turns.iter().cycle()).all(|(flow, turn)| *flow == *turn as usize),
        "{order:?}"
    );
}
