//! Poisson processes: gaps are exponentially distributed, and have the mean of the configuration.

use xdp_trafficgen_ebpf::abi::timing::{EXPONENTIAL_BITS, EXPONENTIALS};

use super::*;
use crate::plan::pacing::simulation::exponentials;

fn poisson(rate: Rate, seed: Option<u64>, workers: usize) -> Pacing {
    of_profile(Profile::Poisson { mean: rate, seed }, workers)
}

/// Gaps in nanoseconds.
fn gaps(times: &[u64]) -> Vec<f64> {
    times.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn the_table_has_a_mean_of_one() {
    let table: Vec<f64> =
        exponentials().iter().map(|&e| f64::from(e) / f64::from(1 << EXPONENTIAL_BITS)).collect();
    let n = EXPONENTIALS as f64;
    // The mean of one draw: evenly between two entries, or all of the first one.
    let one: f64 = (1..EXPONENTIALS)
        .map(|k| (table[k] + table.get(k + 1).copied().unwrap_or(0.0)) / 2.0 / n)
        .sum::<f64>()
        + table[1] / n;
    // Another draw follows once in n times, up to the fourth.
    let mean = one * (1.0 + 1.0 / n + 1.0 / n.powi(2) + 1.0 / n.powi(3));
    assert!((mean - 1.0).abs() < 1e-6, "{mean}");
    for k in [1, 2, 100, 2048, 4095] {
        let exact = -(k as f64 / n).ln();
        assert!((table[k] - exact).abs() < 5e-5 * exact + 1e-7, "entry {k}: {}", table[k]);
    }
}

/// Checks mean, variance and distribution (Kolmogorov and Smirnov) of the gaps of each of
/// `workers`.
#[track_caller]
fn check(rate: Rate, workers: usize, expected: f64) {
    let draws = if cfg!(debug_assertions) { 300_000 } else { 20_000_000 };
    let pacing = poisson(rate, Some(1), workers);
    for stream in pacing.departures.iter() {
        let mut gaps = gaps(&times(&pacing, stream, draws + 1));
        let n = draws as f64;
        let off = mean(&gaps) / expected - 1.0;
        assert!(off.abs() < 4.0 / n.sqrt(), "mean off by {off}");
        let variance = gaps.iter().map(|gap| (gap / expected - 1.0).powi(2)).sum::<f64>() / n;
        assert!((variance - 1.0).abs() < 4.0 * (8.0 / n).sqrt(), "variance {variance}");
        gaps.sort_by(f64::total_cmp);
        let distance = gaps.iter().enumerate().fold(0.0f64, |most, (rank, gap)| {
            let share = 1.0 - (-gap / expected).exp();
            most.max((share - rank as f64 / n).abs()).max((share - (rank as f64 + 1.0) / n).abs())
        });
        // Chance exceeds 1.63 in one of a hundred samples; gaps are whole nanoseconds.
        assert!(distance < 1.63 / n.sqrt() + 1.0 / expected, "distance {distance}");
    }
}

#[test]
fn gaps_are_exponential() {
    check(pps(1_000_000, 1), 1, 1e3);
    check(pps(100_000, 1), 2, 2e4);
    check(pps(7, 3), 1, 3e9 / 7.0);
    check(pps(1, 100), 1, 1e11);
    check(pps(30_000_000, 1), 1, 1e3 / 30.0);
}

#[test]
fn gaps_do_not_depend_on_each_other() {
    let pacing = poisson(pps(1_000_000, 1), None, 2);
    let [first, second] =
        [0, 1].map(|worker| gaps(&times(&pacing, &pacing.departures[worker], 100_001)));
    let correlation = |a: &[f64], b: &[f64]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a / 2e3 - 1.0) * (b / 2e3 - 1.0)).sum::<f64>()
            / a.len() as f64
    };
    // The bound is four standard deviations.
    assert!(correlation(&first, &second).abs() < 4.0 / 316.0);
    assert!(correlation(&first[1..], &first).abs() < 4.0 / 316.0);
}

#[test]
fn the_same_seed_gives_the_same_departures() {
    let first = |pacing: &Pacing, stream: usize| times(pacing, &pacing.departures[stream], 10);
    let plain = poisson(pps(1000, 1), None, 2);
    assert_eq!(first(&plain, 0), first(&poisson(pps(1000, 1), None, 2), 0));
    assert_ne!(first(&plain, 0), first(&plain, 1));
    assert_ne!(first(&plain, 0), first(&poisson(pps(1000, 1), Some(1), 2), 0));
    let mut other = flow(Profile::Poisson { mean: pps(1000, 1), seed: Some(1) });
    let same = other.clone();
    other.name = located("g".to_owned());
    let two = of_flows(vec![same, other], 1);
    assert_ne!(first(&two, 0), first(&two, 1));
}

#[test]
fn the_first_departure_has_a_gap_too() {
    let starts: Vec<f64> = (0..2000)
        .map(|seed| poisson(pps(1_000_000, 1), Some(seed), 1).departures[0].state.due as f64)
        .collect();
    assert!((mean(&starts) / 1000.0 - 1.0).abs() < 4.0 / 44.0, "{}", mean(&starts));
}
