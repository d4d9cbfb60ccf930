//! Departures while a port cannot send, against the streams' own.

use proptest::prelude::*;

use super::*;
use crate::{
    config::rate::{Burst, Spacing},
    host::Facts,
    plan::{self, DefaultRoute, PortPlan, pacing::missed::MissedDepartures, tests::facts},
};

/// A port on an interface that need not exist.
fn port(flows: Vec<Flow>, port_rate: Option<Profile>, cpus: u32) -> PortPlan {
    let mut config = Config { flows, ..CONFIG.clone() };
    for (index, flow) in config.flows.iter_mut().enumerate() {
        flow.name = located(format!("f{index}"));
    }
    config.ports[0].rate = port_rate.map(located);
    config.ports[0].cpus = Some(located((0..cpus).collect()));
    let all: Vec<u32> = (0..cpus).collect();
    let facts = Facts { cpus: all.clone(), allowed_cpus: all, ..facts() };
    let mut plan =
        plan::plan(&config, &facts, DefaultRoute::Allow).unwrap_or_else(|wrong| panic!("{wrong}"));
    plan.ports.remove(0)
}

/// Each flow's departures without a frame from one time to another, in nanoseconds, counted in
/// several looks.
fn missed(port: &PortPlan, had: &[u64], from: u64, to: u64) -> Vec<u64> {
    let mut missed = MissedDepartures::of(port).after(Duration::from_nanos(from), had);
    for part in 1..4 {
        missed.by(Duration::from_nanos(from + (to - from) / 4 * part));
    }
    missed.by(Duration::from_nanos(to)).iter().map(|flow| flow.missed()).collect()
}

const SECOND: u64 = 1_000_000_000;

#[test]
fn a_rate_misses_its_product_with_the_time() {
    let constant = |rate| Profile::Constant(pps(rate, 1));
    for cpus in [1, 2] {
        let alone = port(vec![flow(constant(10_000))], None, cpus);
        assert_eq!(missed(&alone, &[30_000], 3 * SECOND, 6 * SECOND + SECOND / 5), [32_000]);
        let own = port(vec![flow(constant(10_000)), flow(constant(300))], None, cpus);
        let counts = missed(&own, &[10_000, 300], SECOND, 2 * SECOND);
        assert!(counts[0] == 10_000 && counts[1] == 300, "{counts:?}");
    }
}

#[test]
fn a_port_says_which_cpus_send_a_flow() {
    let constant = |rate| flow(Profile::Constant(pps(rate, 1)));
    let own = port(vec![constant(10_000), constant(300), constant(4_000_000)], None, 3);
    assert_eq!([0, 1, 2].map(|flow| own.cpus_of(flow)), [vec![0], vec![1], vec![0, 1, 2]]);
    let shared = port(vec![Flow { rate: None, ..constant(1) }], None, 2);
    assert_eq!(shared.cpus_of(0), [0, 1]);
}

#[test]
fn flows_share_what_a_port_misses() {
    let free = || Flow { rate: None, ..flow(Profile::Constant(pps(1, 1))) };
    let rate = || Some(Profile::Constant(pps(1000, 1)));
    let heavy = Flow { weight: located(3), ..free() };
    assert_eq!(
        missed(&port(vec![heavy.clone(), free()], rate(), 1), &[750, 250], SECOND, 3 * SECOND),
        [1500, 500]
    );
    // One flow ends within the time, and one begins.
    let short = Flow { duration: Some(located(millis(2000))), ..free() };
    let late = Flow { delay: located(millis(2500)), ..free() };
    let counts =
        missed(&port(vec![short, late.clone()], rate(), 1), &[1000, 0], SECOND, 3 * SECOND);
    // Departures in between belong to no flow.
    assert_eq!(counts, [1000, 500]);
    assert_eq!(missed(&port(vec![late], rate(), 1), &[0], SECOND, 2 * SECOND), [0]);
    // A flow has at most the frames that it has left, and the other flows have the rest.
    let few = Flow { packets: Some(located(1000)), ..free() };
    assert_eq!(
        missed(&port(vec![few, free()], rate(), 1), &[900, 1100], 2 * SECOND, 3 * SECOND),
        [100, 900]
    );
}

#[test]
fn a_flow_with_an_end_misses_what_is_left_of_it() {
    let with = |packets: Option<u64>, duration: Option<Duration>| Flow {
        packets: packets.map(located),
        duration: duration.map(located),
        ..flow(Profile::Constant(pps(1000, 1)))
    };
    assert_eq!(
        missed(&port(vec![with(Some(2500), None)], None, 1), &[2000], 2 * SECOND, 9 * SECOND),
        [500]
    );
    assert_eq!(
        missed(
            &port(vec![with(None, Some(millis(2500)))], None, 2),
            &[2000],
            2 * SECOND,
            9 * SECOND
        ),
        [500]
    );
    assert_eq!(
        missed(&port(vec![with(Some(2000), None)], None, 1), &[2000], 2 * SECOND, 9 * SECOND),
        [0]
    );
}

#[test]
fn nothing_is_missed_at_full_speed() {
    let free = Flow { rate: None, ..flow(Profile::Constant(pps(1, 1))) };
    let port = port(vec![free], None, 1);
    assert_eq!(missed(&port, &[1], SECOND, 2 * SECOND), [0]);
    assert_eq!(
        MissedDepartures::of(&port).flows()[0].window(),
        (Duration::ZERO, Duration::from_nanos(u64::MAX))
    );
}

#[test]
fn random_departures_have_their_mean() {
    let port = port(vec![flow(Profile::Poisson { mean: pps(20_000, 1), seed: None })], None, 2);
    let count = missed(&port, &[0], 5 * SECOND, 10 * SECOND)[0];
    // The bound is five standard deviations of a Poisson distribution of this mean.
    assert!(count.abs_diff(100_000) < 1600, "{count}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Bursts and ramps have as many departures as are due between the two times.
    #[test]
    fn others_miss_their_departures(from in 0u64..SECOND, more in 1u64..SECOND, cpus in 1u32..4, is_burst: bool) {
        let nanos = Duration::from_nanos;
        let profile = if is_burst {
            Profile::Burst(Burst { packets: 7, spacing: Spacing::Gap(nanos(1000)), inter_burst_gap: nanos(777_777), bursts: None })
        } else {
            Profile::Ramp { from: pps(100, 1), to: pps(20_000, 1), over: millis(1500) }
        };
        let port = port(vec![flow(profile)], None, cpus);
        let pacing = port.pacing.as_ref().expect("a rate");
        let tables = HostTables::new(pacing);
        let due = |time| pacing.departures.iter().map(|stream| due_before(stream, &tables, time)).sum::<u64>();
        prop_assert_eq!(missed(&port, &[due(from)], from, from + more), [due(from + more) - due(from)]);
    }
}
