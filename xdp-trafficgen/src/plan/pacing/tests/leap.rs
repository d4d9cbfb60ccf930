//! Leaps against the steps of the program.

use proptest::prelude::*;
use xdp_trafficgen_ebpf::abi::timing::StreamSpec;

use super::*;
use crate::{
    config::rate::{Burst, Spacing, Step},
    plan::pacing::{leap::skip_to, simulation::exponentials},
};

fn burst(packets: u64, spacing: Spacing, micros: u64, bursts: Option<u64>) -> Profile {
    Profile::Burst(Burst {
        packets,
        spacing,
        inter_burst_gap: Duration::from_micros(micros),
        bursts,
    })
}

/// A profile of each kind, with fractions of a nanosecond where the kind allows them.
fn profiles() -> impl Strategy<Value = Profile> {
    let odd = || (1u64..50_000, 1u64..10_000).prop_map(|(above, below)| pps(above, below));
    let steps = (odd(), odd(), any::<bool>()).prop_map(|(one, other, repeat)| {
        let step = |rate, time| Step { rate, duration: millis(time) };
        Profile::Steps { steps: vec![step(one, 3), step(pps(0, 1), 1), step(other, 7)], repeat }
    });
    let sine = odd().prop_map(|mean| Profile::Sine { mean, amplitude: mean, period: millis(9) });
    let ramp = (odd(), odd()).prop_map(|(from, to)| Profile::Ramp { from, to, over: millis(30) });
    let spaced = (1u64..20, odd(), 0u64..900, proptest::option::of(1u64..300)).prop_map(
        |(packets, rate, pause, bursts)| burst(packets, Spacing::Rate(rate), pause + 1, bursts),
    );
    prop_oneof![odd().prop_map(Profile::Constant), steps, sine, ramp, spaced]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 100 } else { 2000 }))]
    #[test]
    fn a_leap_ends_where_steps_do(
        profile in profiles(), workers in 1usize..4, first in 0u64..200_000_000, more in 0u64..400_000_000,
        end in proptest::option::of(0u64..500_000_000),
    ) {
        let pacing = of_profile(profile, workers);
        let (tables, exponentials) = (HostTables::new(&pacing), exponentials());
        for stream in pacing.departures.iter() {
            let stream = Stream { spec: StreamSpec { end: end.unwrap_or(u64::MAX), ..stream.spec }, ..*stream };
            let (mut leaps, mut steps) = (stream, stream);
            for time in [first, first + more] {
                skip_to(&mut leaps, time, &pacing.segments, &exponentials);
                while timing::skip(&mut steps, time, &tables) {}
                prop_assert_eq!(leaps, steps);
            }
        }
    }
}

/// A daemon whose interface is removed after a year must not count the departures of the year one
/// by one.
#[test]
fn a_year_is_one_leap() {
    const YEAR: u64 = 365 * 86_400 * 1_000_000_000;
    #[track_caller]
    fn check(profile: Profile, departures: u64) {
        let pacing = of_profile(profile, 1);
        let mut stream = pacing.departures[0];
        skip_to(&mut stream, YEAR, &pacing.segments, &exponentials());
        assert_eq!((stream.counts.unsent, stream.state.due), (departures, YEAR), "{stream:?}");
    }
    check(burst(1, Spacing::Link, 100, None), YEAR / 100_000);
    let steps = [(10_000, 1), (20_000, 3)]
        .map(|(rate, time)| Step { rate: pps(rate, 1), duration: millis(time) });
    check(Profile::Steps { steps: steps.into(), repeat: true }, YEAR / 4_000_000 * 70);
    // The gaps have parts of a nanosecond so small that 64 bits do not hold eleven gaps.
    let rate = Ratio::new((1u128 << 62) + 1, 1u128 << 42);
    let pacing = of_profile(Profile::Constant(frames(rate)), 1);
    let mut stream = pacing.departures[0];
    assert!(stream.state.gap.whole > 1 << 59, "{stream:?}");
    skip_to(&mut stream, YEAR, &pacing.segments, &exponentials());
    let exact = u128::from(YEAR) * rate.numerator() / (rate.denominator() * 1_000_000_000);
    assert!(
        u128::from(stream.counts.unsent).abs_diff(exact) <= 1,
        "{} and {exact}",
        stream.counts.unsent
    );
}
