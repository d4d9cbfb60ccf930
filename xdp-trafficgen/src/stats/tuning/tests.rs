use std::time::Duration;

use super::*;

/// Workers, batch size, path; what the rounds sent in Mpps; frames dropped of a million attempted.
type Measured<'a> = (u32, u32, Action, &'a [f64], u64);

fn point(&(workers, batch_size, action, rounds, dropped): &Measured<'_>) -> Point {
    let setting = Setting { action, cpus: (0..workers).collect(), batch_size };
    let count = PortCount {
        elapsed: Duration::from_secs(1),
        attempted: 1_000_000,
        transmitted: 1_000_000 - dropped,
        drops: if dropped > 0 { vec![(DropReason::QueueFull, dropped)] } else { Vec::new() },
        ..PortCount::default()
    };
    Point { setting, rounds: rounds.iter().map(|mpps| mpps * 1e6).collect(), count }
}

#[track_caller]
fn check(measured: &[Measured<'_>], expected: Option<(usize, Why)>) {
    let points: Vec<Point> = measured.iter().map(point).collect();
    let choice = choose(&points);
    assert_eq!(choice.map(|choice| (choice.point, choice.why)), expected);
    // What the command promises, whatever was measured.
    if let Some(Choice { point, .. }) = choice {
        assert!(points[point].rate() >= points[0].rate() - noise(&points[point], &points[0]));
    }
}

use Action::{Redirect, Tx};

/// A quiet machine: rounds within a thousandth of 5 Mpps.
const FIVE: &[f64] = &[5.0, 5.002, 4.998, 5.004, 4.996];
const DEFAULT: Measured<'_> = (1, 64, Redirect, FIVE, 0);

#[test]
fn the_default_wins_unless_the_difference_is_above_the_noise() {
    check(&[DEFAULT], Some((0, Why::Default)));
    // 0.9 % is below the floor of one percent, 1.1 % above it.
    check(&[DEFAULT, (1, 128, Redirect, &[5.045; 5], 0)], Some((0, Why::Default)));
    check(&[DEFAULT, (1, 128, Redirect, &[5.055; 5], 0)], Some((1, Why::Faster)));
    // 10 % more in the median, but rounds that typically are 0.4 and 0.2 off.
    let wild: &[f64] = &[5.0, 5.4, 4.6, 5.2, 4.5];
    let wilder: &[f64] = &[5.5, 5.7, 5.3, 5.9, 5.1];
    check(&[(1, 64, Redirect, wild, 0), (1, 128, Redirect, wilder, 0)], Some((0, Why::Default)));
    check(&[(1, 64, Redirect, wild, 0), (1, 128, Redirect, &[9.9; 5], 0)], Some((1, Why::Faster)));
    check(&[DEFAULT, (2, 64, Redirect, &[4.0; 5], 0)], Some((0, Why::Default)));
}

#[test]
fn a_spoiled_round_decides_nothing() {
    let spoiled: &[f64] = &[10.0, 10.01, 1.0, 9.99, 10.02];
    check(&[DEFAULT, (2, 64, Redirect, spoiled, 0)], Some((1, Why::Faster)));
    let lucky: &[f64] = &[5.0, 5.002, 50.0, 4.998, 5.001];
    check(&[DEFAULT, (1, 128, Redirect, lucky, 0)], Some((0, Why::Default)));
}

#[test]
fn of_the_equally_fast_the_gentlest_is_taken() {
    let (nine, ten): (&[f64], &[f64]) = (&[9.95; 5], &[10.0; 5]);
    // Losses first, even at more CPUs.
    let measured = [DEFAULT, (2, 256, Redirect, ten, 3), (4, 128, Redirect, nine, 0)];
    check(&measured, Some((2, Why::Faster)));
    // Then CPUs.
    check(&[DEFAULT, (4, 64, Redirect, ten, 0), (2, 64, Redirect, nine, 0)], Some((2, Why::Faster)));
    // Then the path, then the batch.
    let measured = [DEFAULT, (2, 64, Tx, ten, 0), (2, 256, Redirect, ten, 0), (2, 128, Redirect, nine, 0)];
    check(&measured, Some((3, Why::Faster)));
    // Losses that are alike are no reason: both are below a percent.
    let measured = [DEFAULT, (2, 64, Redirect, nine, 900), (4, 64, Redirect, ten, 100)];
    check(&measured, Some((1, Why::Faster)));
}

#[test]
fn losing_frames_is_only_worth_more_than_noise() {
    // About the same rate: the default stays, being without losses.
    check(&[DEFAULT, (1, 256, Redirect, &[5.03; 5], 40_000)], Some((0, Why::Default)));
    // The default loses, another one of about the same rate does not.
    let lossy = (1, 64, Redirect, FIVE, 30_000);
    check(&[lossy, (1, 32, Redirect, &[4.97; 5], 0)], Some((1, Why::LosesFewer)));
    check(&[lossy, (1, 32, Redirect, &[4.7; 5], 0)], Some((0, Why::Default)));
    check(&[lossy, (1, 32, Redirect, &[4.97; 5], 35_000)], Some((0, Why::Default)));
    // A much faster one may lose some.
    check(&[DEFAULT, (2, 64, Redirect, &[9.0; 5], 20_000)], Some((1, Why::Faster)));
    // But one as fast as that without losses is better.
    let measured = [DEFAULT, (2, 64, Redirect, &[9.0; 5], 20_000), (2, 32, Redirect, &[8.95; 5], 0)];
    check(&measured, Some((2, Why::Faster)));
}

#[test]
fn what_was_not_measured_to_the_end_is_not_proposed() {
    check(&[], None);
    check(&[(1, 64, Redirect, &[5.0; 4], 0), (2, 64, Redirect, &[10.0; 5], 0)], None);
    check(&[DEFAULT, (2, 64, Redirect, &[10.0; 4], 0)], Some((0, Why::Default)));
    check(&[(1, 64, Redirect, &[0.0; 5], 1_000_000), (2, 64, Redirect, &[0.0; 5], 1_000_000)], None);
    // A driver that sends only from the second queue on.
    check(&[(1, 64, Redirect, &[0.0; 5], 1_000_000), (2, 64, Redirect, FIVE, 500_000)], Some((1, Why::Faster)));
}

#[test]
fn rounds_add_up() {
    let mut measured = Point::new(Setting { action: Redirect, cpus: vec![0], batch_size: 64 });
    for (transmitted, dropped) in [(1000, 0), (3000, 10), (2000, 0)] {
        measured.add(PortCount {
            elapsed: Duration::from_millis(500),
            attempted: transmitted + dropped,
            transmitted,
            drops: if dropped > 0 { vec![(DropReason::QueueFull, dropped)] } else { Vec::new() },
            ..PortCount::default()
        });
    }
    assert_eq!((measured.count.attempted, measured.count.transmitted, measured.count.dropped()), (6010, 6000, 10));
    assert_eq!(measured.drops(), [(DropReason::QueueFull, 10)]);
    assert_eq!(measured.count.elapsed, Duration::from_millis(1500));
    assert!((measured.rate() - 4000.0).abs() < 1e-9 && (measured.deviation() - 2000.0).abs() < 1e-9);
    assert_eq!(measured.loss_class(), 1);
    // Of an even number the middle of the two in the middle.
    assert!((median(vec![1.0, 2.0, 4.0, 9.0]) - 3.0).abs() < 1e-9);
}
