//! The last instant: a flow has the departures that are due before its end, but none that is due at
//! the end itself.

use proptest::prelude::*;

use super::*;
use crate::config::{
    Total,
    rate::{Burst, Spacing, Step},
};

/// The flow's departures within this time, over all workers.
fn within(profile: &Profile, duration: Duration, workers: usize) -> u64 {
    let mut flow = flow(profile.clone());
    flow.duration = Some(located(duration));
    // A delay moves both ends.
    flow.delay = located(Duration::from_nanos(12_345));
    count(&of_flows(vec![flow], workers))
}

#[track_caller]
fn check(profile: &Profile, duration: Duration, expected: u128) {
    for workers in [1, 2, 3, 7] {
        assert_eq!(
            u128::from(within(profile, duration, workers)),
            expected,
            "{profile}, {duration:?}, {workers} workers"
        );
    }
}

/// Departure k of a constant rate is due at k / rate.
fn of_constant(rate: Ratio, duration: Duration) -> u128 {
    (duration.as_nanos() * rate.numerator()).div_ceil(1_000_000_000 * rate.denominator())
}

#[test]
fn the_departures_of_a_constant_rate_are_its_product_with_the_time() {
    let check = |numerator, denominator, duration, expected: u128| {
        let rate = Ratio::new(numerator, denominator);
        assert_eq!(of_constant(rate, duration), expected);
        self::check(&Profile::Constant(pps(numerator, denominator)), duration, expected);
    };
    check(12_000, 1, millis(1000), 12_000);
    check(7000, 1, millis(1000), 7000);
    // The gap is not a whole number of nanoseconds, and the end is a multiple of it.
    check(3, 1, millis(4000), 12);
    check(1_000_000, 3, millis(36), 12_000);
    check(10_000_000_000, 672, Duration::from_nanos(672_000), 10_000);
    // The end is one nanosecond earlier, and one later.
    check(12_000, 1, Duration::from_nanos(999_999_999), 12_000);
    check(12_000, 1, Duration::from_nanos(1_000_000_001), 12_001);
    check(1, 1, millis(1000), 1);
    check(1, 1, Duration::from_nanos(1), 1);
}

#[test]
fn each_flow_of_a_port_has_its_own_departures() {
    for workers in [1, 2, 3] {
        let mut flows: Vec<Flow> =
            [7000, 4000, 1000].map(|rate| flow(Profile::Constant(pps(rate, 1)))).to_vec();
        for flow in &mut flows {
            flow.duration = Some(located(millis(1000)));
        }
        assert_eq!(count(&of_flows(flows.clone(), workers)), 12_000);
        for (flow, delay) in flows.iter_mut().zip([100, 50, 0]) {
            flow.delay = located(Duration::from_nanos(delay));
        }
        assert_eq!(count(&of_flows(flows, workers)), 12_000);
    }
}

#[test]
fn a_written_delay_is_kept_and_others_are_spread() {
    let mut flows = vec![flow(Profile::Constant(pps(16, 1))); 4];
    flows[1].delay = located(Duration::from_nanos(100));
    flows[2].delay = located(Duration::ZERO);
    for workers in [1, 3] {
        let pacing = of_flows(flows.clone(), workers);
        let mut first = [0; 4];
        for Stream { spec, state, .. } in pacing.departures.iter() {
            first[spec.turn as usize] = state.due;
        }
        // The other two are half a gap of 62.5 ms apart.
        assert_eq!(first, [0, 100, 0, 31_250_000]);
    }
}

#[test]
fn the_departures_of_a_changing_rate_are_its_integral() {
    let step = |rate, nanos| Step { rate: pps(rate, 1), duration: Duration::from_nanos(nanos) };
    // The first frame of the second step is due 166 666⅔ ns into it, and the one that is due at the
    // end is not the flow's.
    let steps = Profile::Steps {
        steps: vec![step(1005, 100_000_000), step(3000, 100_000_000)],
        repeat: false,
    };
    check(&steps, Duration::from_nanos(100_500_000), 102);
    let over = Profile::Steps { steps: vec![step(12_000, 1_000_000_000)], repeat: true };
    check(&over, millis(1000), 12_000);
    check(&over, millis(3000), 36_000);
    let ramp = |from, to| Profile::Ramp { from: pps(from, 1), to: pps(to, 1), over: millis(1000) };
    check(&ramp(0, 24_000), millis(1000), 12_000);
    check(&ramp(24_000, 0), millis(1000), 12_000);
    check(&ramp(0, 24_000), millis(500), 3000);
    check(&ramp(24_000, 0), millis(500), 9000);
    check(&ramp(0, 12_000), millis(2000), 18_000);
    let sine = |amplitude| Profile::Sine {
        mean: pps(12_000, 1),
        amplitude: pps(amplitude, 1),
        period: millis(250),
    };
    check(&sine(6000), millis(1000), 12_000);
    check(&sine(0), millis(125), 1500);
    let points = [(0, 0), (100, 8000), (300, 4000)].map(|(at, rate)| (millis(at), pps(rate, 1)));
    let trace = |repeat| Profile::Trace { points: points.to_vec(), repeat };
    check(&trace(false), millis(300), 1600);
    check(&trace(true), millis(600), 3200);
    check(&trace(true), millis(350), 1700);
}

#[test]
fn bursts_have_the_departures_before_the_end() {
    let gap = Duration::from_nanos;
    let burst = Profile::Burst(Burst {
        packets: 4,
        spacing: Spacing::Gap(gap(1000)),
        inter_burst_gap: gap(7000),
        bursts: None,
    });
    check(&burst, gap(10_000), 4);
    check(&burst, gap(10_001), 5);
    check(&burst, gap(12_000), 6);
}

/// At 317 pps a gap in whole nanoseconds was 183 ns off after 17 rounds.
#[test]
fn bursts_at_a_rate_never_drift() {
    let pause = Duration::from_micros(2500);
    for (packets, workers) in [(17, 1), (17, 2), (1, 3), (4, 3), (5, 5)] {
        let spacing = Spacing::Rate(pps(317, 1));
        let burst = Burst { packets, spacing, inter_burst_gap: pause, bursts: None };
        let times = in_turns(&of_profile(Profile::Burst(burst), workers), 10_000);
        for (number, due) in (0u128..).zip(times) {
            let (round, place) = (number / u128::from(packets), number % u128::from(packets));
            let gaps = round * u128::from(packets - 1) + place;
            assert_eq!(
                u128::from(due),
                (gaps * 1_000_000_000 + 317 * round * pause.as_nanos()) / 317,
                "{packets}, {number}"
            );
        }
    }
    // Rates in other units are as many frames a second: 512 bits a frame.
    let rate = Rate { amount: Ratio::whole(317u128 * 512), unit: RateUnit::BitsL2 };
    let burst =
        Burst { packets: 3, spacing: Spacing::Rate(rate), inter_burst_gap: pause, bursts: None };
    let times = in_turns(&of_profile(Profile::Burst(burst), 1), 4);
    assert_eq!(times, [0, 3_154_574, 6_309_148, 8_809_148]);
}

/// 28 : 16 : 4 became 1 : 1 : 1.
#[test]
fn a_total_keeps_the_shares_of_its_flows() {
    #[track_caller]
    fn check(rates: &[Rate], total: Rate, speed: Option<u64>, expected: &[f64]) {
        let flows: Vec<Flow> = rates.iter().map(|rate| flow(Profile::Constant(*rate))).collect();
        let mut config = Config { flows, ..CONFIG.clone() };
        let among =
            config.flows.iter().zip(rates).map(|(flow, rate)| (*rate, flow.size.value.clone()));
        config.ports[0].total = Some(located(Total { rate: total, among: among.collect() }));
        config.ports[0].speed = speed.map(located);
        let pacing = pacing_and_notes(&config, 2).expect("pacing").0;
        let requested: Vec<f64> =
            pacing.requested.iter().map(|rate| rate.unwrap().to_f64()).collect();
        for (rate, expected) in requested.iter().zip(expected) {
            assert!((rate / expected - 1.0).abs() < 1e-12, "{requested:?}");
        }
        assert_eq!((pacing.total, requested.len()), (Some(total), expected.len()));
    }
    let bits = |numerator: u128, unit| Rate { amount: Ratio::whole(numerator), unit };
    let mix = [pps(28, 1), pps(16, 1), pps(4, 1)];
    check(&mix, pps(48_000, 1), None, &[28e3, 16e3, 4e3]);
    check(&mix, pps(1, 1), None, &[28.0 / 48.0, 16.0 / 48.0, 4.0 / 48.0]);
    // Frames of 64 bytes: 512 bits, 672 on the wire.
    check(&mix, bits(48 * 512_000, RateUnit::BitsL2), None, &[28e3, 16e3, 4e3]);
    check(&mix, bits(48 * 672_000, RateUnit::BitsL1), None, &[28e3, 16e3, 4e3]);
    let tenth = Rate { amount: Ratio::new(1u128, 10u128), unit: RateUnit::LineShare };
    check(&mix, tenth, Some(48 * 6_720_000), &[28e3, 16e3, 4e3]);
    // Rates of several units keep their shares in frames.
    check(&[pps(3000, 1), bits(512_000, RateUnit::BitsL2)], pps(400, 1), None, &[300.0, 100.0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 64 } else { 2000 }))]
    #[test]
    fn constant_rates(numerator in 1u64..2_000_000, denominator in 1u64..10_000, frames in 1u64..3000, off in 0u64..3) {
        // The end is near a multiple of the gap, or at one.
        let gaps = u128::from(frames) * 1_000_000_000 * u128::from(denominator) / u128::from(numerator);
        let duration = Duration::from_nanos(u64::try_from(gaps).expect("64 bits") + off);
        let rate = Ratio::new(numerator, denominator);
        for workers in [1, 3] {
            let profile = Profile::Constant(pps(numerator, denominator));
            prop_assert_eq!(u128::from(within(&profile, duration, workers)), of_constant(rate, duration));
        }
    }

    /// A line from one rate to another counts `(2 from · t + (to - from) · t² / over) / 2` frames in a time t.
    #[test]
    fn lines(from in 0u64..20_000, to in 0u64..20_000, over in 1u64..1000, part in 1u64..=1000) {
        let (over, time) = (over * 1_000_000, over * part * 1000);
        let [from_, to_, over_, time_] = [from, to, over, time].map(i128::from);
        let doubled = 2 * from_ * time_ * over_ + (to_ - from_) * time_ * time_;
        let unit = 2 * 1_000_000_000 * over_;
        let expected = doubled / unit + i128::from(doubled % unit > 0);
        prop_assume!(from + to > 0);
        let profile = Profile::Ramp { from: pps(from, 1), to: pps(to, 1), over: Duration::from_nanos(over) };
        for workers in [1, 2] {
            let counted = within(&profile, Duration::from_nanos(time), workers);
            prop_assert_eq!(i128::from(counted), expected);
        }
    }
}
