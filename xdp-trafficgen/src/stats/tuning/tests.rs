use std::time::Duration;

use super::*;

/// Workers, batch size and action; the ratio of each round's rate to the default's; frames dropped of
/// a million attempted.
type Measured<'a> = (u32, u32, Action, &'a [f64], u64);

/// A point. The default's rate differs from round to round, because other load of the machine must
/// not matter.
fn point(&(workers, batch_size, action, times, dropped): &Measured<'_>) -> Point {
    let setting = Setting { action, cpus: (0..workers).collect(), batch_size };
    let count = PortCount {
        elapsed: Duration::from_secs(1),
        frames_attempted: 1_000_000,
        frames_tx: 1_000_000 - dropped,
        drops: if dropped > 0 { vec![(DropReason::QueueFull, dropped)] } else { Vec::new() },
        ..PortCount::default()
    };
    let default_rates = [5e6, 4e6, 9e6, 2e6, 5.1e6, 7e6].into_iter().cycle();
    let rounds = times
        .iter()
        .zip(default_rates)
        .map(|(times, default_pps)| Round { pps: times * default_pps, default_pps });
    Point { setting, rounds: rounds.collect(), count }
}

#[track_caller]
fn check(measured: &[Measured<'_>], expected: Option<(usize, Rationale)>) {
    let points: Vec<Point> = measured.iter().map(point).collect();
    let choice = choose(&points);
    assert_eq!(choice.map(|choice| (choice.point, choice.why)), expected);
    // The command promises that the choice is at least as fast as the default, within the noise.
    if let Some(Choice { point, .. }) = choice {
        let (chosen, default) = (points[point].times_default(), points[0].times_default());
        assert!(chosen.value >= default.value - noise(chosen, default));
    }
}

use Action::{Redirect, Tx};

const DEFAULT: Measured<'_> = (1, 64, Redirect, &[1.0; 5], 0);

#[test]
fn the_default_wins_unless_the_difference_is_above_the_noise() {
    check(&[DEFAULT], Some((0, Rationale::Default)));
    // Below and above the floor of one percent.
    check(&[DEFAULT, (1, 128, Redirect, &[1.009; 5], 0)], Some((0, Rationale::Default)));
    check(&[DEFAULT, (1, 128, Redirect, &[1.011; 5], 0)], Some((1, Rationale::Faster)));
    // Rounds that typically deviate by 6 %: 10 % more is chance, 15 % more is not.
    check(
        &[DEFAULT, (1, 128, Redirect, &[1.1, 1.16, 1.04, 1.2, 1.0], 0)],
        Some((0, Rationale::Default)),
    );
    check(
        &[DEFAULT, (1, 128, Redirect, &[1.15, 1.21, 1.09, 1.25, 1.05], 0)],
        Some((1, Rationale::Faster)),
    );
    check(&[DEFAULT, (2, 64, Redirect, &[0.8; 5], 0)], Some((0, Rationale::Default)));
}

#[test]
fn a_spoiled_round_decides_nothing() {
    check(
        &[DEFAULT, (2, 64, Redirect, &[2.0, 2.01, 0.1, 1.99, 2.02], 0)],
        Some((1, Rationale::Faster)),
    );
    check(
        &[DEFAULT, (1, 128, Redirect, &[1.0, 1.002, 9.0, 0.998, 1.001], 0)],
        Some((0, Rationale::Default)),
    );
}

#[test]
fn among_equally_fast_settings_the_gentlest_is_chosen() {
    let (nearly, double): (&[f64], &[f64]) = (&[1.99; 5], &[2.0; 5]);
    // Losses first, even at more CPUs.
    let measured = [DEFAULT, (2, 256, Redirect, double, 3), (4, 128, Redirect, nearly, 0)];
    check(&measured, Some((2, Rationale::Faster)));
    // CPUs second.
    check(
        &[DEFAULT, (4, 64, Redirect, double, 0), (2, 64, Redirect, nearly, 0)],
        Some((2, Rationale::Faster)),
    );
    // The action third, and the batch last.
    let measured = [
        DEFAULT,
        (2, 64, Tx, double, 0),
        (2, 256, Redirect, double, 0),
        (2, 128, Redirect, nearly, 0),
    ];
    check(&measured, Some((3, Rationale::Faster)));
    // Losses of the same class do not decide: both are below a percent.
    let measured = [DEFAULT, (2, 64, Redirect, nearly, 900), (4, 64, Redirect, double, 100)];
    check(&measured, Some((1, Rationale::Faster)));
}

#[test]
fn a_large_deviation_does_not_make_a_setting_as_fast() {
    // A ratio of 1.6 with a deviation of 0.2 is better than the default, but not as fast as the
    // fastest one.
    let measured = [
        DEFAULT,
        (2, 128, Redirect, &[2.0; 5], 0),
        (2, 64, Redirect, &[1.4, 1.6, 1.2, 1.8, 2.0], 0),
    ];
    check(&measured, Some((1, Rationale::Faster)));
    // Where the fastest one varies by 15 %, a lead of 2.5 % may be chance; one of 10 % decides.
    let fastest: Measured<'_> = (2, 256, Redirect, &[2.0, 2.3, 1.7, 2.4, 1.6], 0);
    check(&[DEFAULT, fastest, (2, 64, Redirect, &[1.95; 5], 0)], Some((2, Rationale::Faster)));
    check(&[DEFAULT, fastest, (2, 64, Redirect, &[1.8; 5], 0)], Some((1, Rationale::Faster)));
}

#[test]
fn losing_frames_is_only_worth_more_than_noise() {
    // At about the same rate, a default without losses stays.
    check(&[DEFAULT, (1, 256, Redirect, &[1.005; 5], 40_000)], Some((0, Rationale::Default)));
    // The default loses frames, and another setting of about the same rate does not.
    let lossy = (1, 64, Redirect, &[1.0; 5][..], 30_000);
    check(&[lossy, (1, 32, Redirect, &[0.995; 5], 0)], Some((1, Rationale::LosesFewer)));
    check(&[lossy, (1, 32, Redirect, &[0.94; 5], 0)], Some((0, Rationale::Default)));
    check(&[lossy, (1, 32, Redirect, &[0.995; 5], 35_000)], Some((0, Rationale::Default)));
    // A much faster setting may lose some frames.
    check(&[DEFAULT, (2, 64, Redirect, &[1.8; 5], 20_000)], Some((1, Rationale::Faster)));
    // A setting as fast as that and without losses is better.
    let measured =
        [DEFAULT, (2, 64, Redirect, &[1.8; 5], 20_000), (2, 32, Redirect, &[1.79; 5], 0)];
    check(&measured, Some((2, Rationale::Faster)));
}

#[test]
fn the_gain_must_exceed_the_loss() {
    // 30 % of the attempts: 0.44 times the default's rate is lost with 1.02 times it sent, 0.57
    // with 1.33, 0.86 with 2.
    check(&[DEFAULT, (1, 256, Redirect, &[1.02; 5], 300_000)], Some((0, Rationale::Default)));
    check(&[DEFAULT, (1, 256, Redirect, &[1.33; 5], 300_000)], Some((0, Rationale::Default)));
    check(&[DEFAULT, (2, 64, Redirect, &[2.0; 5], 300_000)], Some((1, Rationale::Faster)));
    // Losses of a few frames are chance and do not decide.
    check(&[DEFAULT, (1, 256, Redirect, &[1.02; 5], 3)], Some((1, Rationale::Faster)));
    // Only losses beyond the default's count.
    let lossy = (1, 64, Redirect, &[1.0; 5][..], 300_000);
    check(&[lossy, (1, 128, Redirect, &[1.02; 5], 300_000)], Some((1, Rationale::Faster)));
    check(&[lossy, (1, 128, Redirect, &[1.02; 5], 310_000)], Some((0, Rationale::Default)));
    check(&[lossy, (1, 128, Redirect, &[1.02; 5], 100_000)], Some((1, Rationale::Faster)));
}

#[test]
fn a_setting_without_all_rounds_is_not_proposed() {
    check(&[], None);
    check(&[(1, 64, Redirect, &[1.0; 4], 0), (2, 64, Redirect, &[2.0; 5], 0)], None);
    check(&[DEFAULT, (2, 64, Redirect, &[2.0; 4], 0)], Some((0, Rationale::Default)));
}

#[test]
fn where_the_default_sends_nothing_rates_are_compared() {
    let silent = |measured: &[Measured<'_>]| {
        let mut points: Vec<Point> = measured.iter().map(point).collect();
        points.iter_mut().flat_map(|point| &mut point.rounds).for_each(|round| {
            *round = Round { pps: round.pps / round.default_pps * 1e6, default_pps: 0.0 };
        });
        choose(&points).map(|choice| (choice.point, choice.why))
    };
    let nothing: &[f64] = &[0.0; 5];
    assert_eq!(silent(&[(1, 64, Redirect, nothing, 0), (2, 64, Redirect, nothing, 0)]), None);
    let measured = [
        (1, 64, Redirect, nothing, 0),
        (2, 64, Redirect, &[1.0; 5], 0),
        (4, 64, Redirect, &[2.0; 5], 0),
    ];
    assert_eq!(silent(&measured), Some((2, Rationale::Faster)));
}

#[test]
fn rounds_add_up() {
    let mut measured = Point::new(Setting { action: Redirect, cpus: vec![0], batch_size: 64 });
    for (frames_tx, dropped) in [(1000, 0), (3000, 10), (2000, 0)] {
        let count = PortCount {
            elapsed: Duration::from_millis(500),
            frames_attempted: frames_tx + dropped,
            frames_tx,
            drops: if dropped > 0 { vec![(DropReason::QueueFull, dropped)] } else { Vec::new() },
            ..PortCount::default()
        };
        measured.add(count, 2000.0);
    }
    assert_eq!(
        (
            measured.count.frames_attempted,
            measured.count.frames_tx,
            measured.count.frames_dropped()
        ),
        (6010, 6000, 10)
    );
    assert_eq!(measured.drops(), [(DropReason::QueueFull, 10)]);
    assert_eq!(measured.count.elapsed, Duration::from_millis(1500));
    assert_eq!(measured.rate(), Typical { value: 4000.0, deviation: 2000.0 });
    assert_eq!(measured.times_default(), Typical { value: 2.0, deviation: 1.0 });
    assert_eq!(measured.loss_class(), 1);
    // The median of an even number is the mean of the two middle values.
    assert_eq!(
        Typical::of([9.0, 1.0, 4.0, 2.0].into_iter()),
        Typical { value: 3.0, deviation: 1.5 }
    );
    assert_eq!(Typical::of(std::iter::empty()), Typical::default());
}
