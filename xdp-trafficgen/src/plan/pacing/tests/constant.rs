//! Constant gaps are exact at any rate, for any time.

use proptest::prelude::*;
use xdp_trafficgen_ebpf::timing::advance;

use super::*;

/// When frame k leaves: k / rate, in whole nanoseconds.
fn exact(rate: Ratio, k: u64) -> u64 {
    let due = u128::from(k) * 1_000_000_000 * rate.denominator() / rate.numerator();
    u64::try_from(due).expect("64 bits")
}

fn constant(rate: Ratio, workers: usize) -> Pacing {
    of_profile(Profile::Constant(frames(rate)), workers)
}

/// Steps through the departures of one worker.
#[track_caller]
fn check(numerator: u64, denominator: u64, steps: u64) {
    let rate = Ratio::new(numerator, denominator);
    let pacing = constant(rate, 1);
    let tables = HostTables::new(&pacing);
    let mut stream = pacing.departures[0];
    for k in 0..steps {
        if k % 1009 == 0 || k < 1000 {
            assert_eq!(stream.state.due, exact(rate, k), "departure {k}");
        }
        advance(&mut stream, &tables);
    }
    assert_eq!(stream.state.due, exact(rate, steps));
    assert_eq!(due_before(&pacing.departures[0], &tables, stream.state.due), steps);
}

#[test]
fn no_error_after_millions_of_frames() {
    check(3, 1, 100_000);
    check(1_000_000, 3, 100_000);
    check(14_880_952, 1, 100_000);
    check(10_000_000_000, 672, 100_000);
    check(1, 7, 1000);
    check(999_999_937, 1_000_003, 3_000_000);
}

/// A release build steps through a thousand times as many.
#[test]
fn no_error_after_a_billion_frames() {
    let steps = if cfg!(debug_assertions) { 1_000_000 } else { 1_000_000_000 };
    check(10_000_000_000, 672, steps);
    check(7_777_777, 1, steps);
}

#[test]
fn a_rate_of_unwieldy_terms_is_as_good_as_exact() {
    // The number of parts of a nanosecond would be this prime, which has 64 bits.
    let rate =
        Rate { amount: Ratio::new(u128::from(u64::MAX - 58), 1u128 << 40), unit: RateUnit::BitsL2 };
    let pacing = of_profile(Profile::Constant(rate), 3);
    let [first, _, third] = [0, 1, 2].map(|worker| pacing.departures[worker]);
    // 2^24 bits a second of frames of 512: 32768 a second, less 58 in 2^64.
    let exact = 3.0 * 1e9 / 32768.0;
    let gap =
        first.state.gap.ns as f64 + first.state.gap.rest as f64 / first.state.gap.whole as f64;
    assert!((gap - exact).abs() < 1e-9, "{gap} {exact}");
    assert!(first.state.gap.whole <= 1 << 63 && first.state.gap.rest < first.state.gap.whole);
    assert_eq!(third.state.due, 61035);
}

proptest! {
    #[test]
    fn workers_take_turns(
        numerator in 1..u64::from(u32::MAX), denominator in 1u64..10_000, workers in 1usize..70,
    ) {
        let rate = Ratio::new(numerator, denominator);
        let expected: Vec<u64> = (0..500).map(|k| exact(rate, k)).collect();
        prop_assert_eq!(in_turns(&constant(rate, workers), 500), expected);
    }

    #[test]
    fn departures_are_counted_without_stepping(
        numerator in 1..u64::from(u32::MAX), denominator in 1u64..1000, workers in 1usize..9, frames in 0usize..300, late in 0u64..3,
    ) {
        let pacing = constant(Ratio::new(numerator, denominator), workers);
        let stream = &pacing.departures[workers - 1];
        let times = times(&pacing, stream, 302);
        let time = times[frames] + late;
        let expected = times.iter().filter(|&&due| due < time).count() as u64;
        prop_assert_eq!(due_before(stream, &HostTables::new(&pacing), time), expected);
    }
}

#[test]
fn departures_are_counted_up_to_the_end() {
    let mut flow = flow(Profile::Constant(pps(1_000_000, 1)));
    flow.packets = Some(located(1000));
    let limited = of_flows(vec![flow.clone()], 3);
    let count_before = |pacing: &Pacing, time| -> u64 {
        let tables = HostTables::new(pacing);
        pacing.departures.iter().map(|stream| due_before(stream, &tables, time)).sum()
    };
    assert_eq!(
        limited.departures.iter().map(|stream| stream.state.left).collect::<Vec<_>>(),
        [334, 333, 333]
    );
    assert_eq!(count_before(&limited, 500_000), 500);
    assert_eq!(count_before(&limited, u64::MAX), 1000);
    assert_eq!(count(&limited), 1000);
    flow.delay = located(millis(7));
    flow.packets = None;
    flow.duration = Some(located(millis(10)));
    let timed = of_flows(vec![flow], 3);
    assert_eq!(timed.departures[1].state.due, 7_001_000);
    assert_eq!(timed.departures[0].spec.end, 17_000_000);
    assert_eq!(count_before(&timed, 7_000_000), 0);
    assert_eq!(count_before(&timed, u64::MAX), 10_000);
    assert_eq!(count(&timed), 10_000);
}
