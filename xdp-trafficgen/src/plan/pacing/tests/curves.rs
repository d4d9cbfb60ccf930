//! Rates that change, against their integral; and bursts.

use std::f64::consts::TAU;

use proptest::prelude::*;
use xdp_trafficgen_ebpf::abi::timing::{StreamSpec, StreamState};

use super::*;
use crate::config::rate::{Burst, Spacing, Step};

/// A rate in frames a nanosecond, as pieces that Simpson's rule can integrate, exactly when they
/// are straight.
struct Model {
    /// The pieces' ends, in nanoseconds.
    ends: Vec<f64>,
    /// The rate at a part of a piece, from 0 to 1.
    rate: Box<dyn Fn(usize, f64) -> f64>,
}

impl Model {
    /// Pieces of a length in nanoseconds, and the rates in frames a second at both ends.
    fn lines(pieces: Vec<(u64, u64, u64)>) -> Self {
        let ends = pieces.iter().scan(0, |end, piece| {
            *end += piece.0;
            Some(*end as f64)
        });
        Self {
            ends: ends.collect(),
            rate: Box::new(move |piece, part| {
                let (_, from, to) = pieces[piece];
                (from as f64 + (to as f64 - from as f64) * part) / 1e9
            }),
        }
    }

    fn sine(mean: f64, amplitude: f64, nanos: f64) -> Self {
        const PIECES: usize = 2000;
        let time = |piece: usize, part: f64| (piece as f64 + part) * TAU / PIECES as f64;
        Self {
            ends: (1..=PIECES).map(|piece| piece as f64 * nanos / PIECES as f64).collect(),
            rate: Box::new(move |piece, part| (mean + amplitude * time(piece, part).sin()) / 1e9),
        }
    }

    /// Frames from the start of a piece to a part of it.
    fn area(&self, piece: usize, part: f64) -> f64 {
        let start = if piece == 0 { 0.0 } else { self.ends[piece - 1] };
        let width = (self.ends[piece] - start) * part;
        let rate = |at: f64| (self.rate)(piece, at * part);
        width / 6.0 * (rate(0.0) + 4.0 * rate(0.5) + rate(1.0))
    }

    /// The last moment at which the count is not above this number of frames.
    fn time(&self, frames: f64) -> f64 {
        let mut before = 0.0;
        for piece in 0..self.ends.len() {
            let area = self.area(piece, 1.0);
            if before + area > frames + 1e-9 {
                let (mut low, mut high) = (0.0, 1.0);
                for _ in 0..60 {
                    let middle = (low + high) / 2.0;
                    if before + self.area(piece, middle) > frames {
                        high = middle
                    } else {
                        low = middle
                    }
                }
                let start = if piece == 0 { 0.0 } else { self.ends[piece - 1] };
                return start + (self.ends[piece] - start) * low;
            }
            before += area;
        }
        self.ends.last().copied().unwrap_or(0.0)
    }
}

/// Checks that every frame is within 1 % of a gap, or 10 ns, of its time in the model, in each of
/// its periods, and that workers take turns.
#[track_caller]
fn check(profile: &Profile, model: &Model, frames: usize, periods: usize) {
    let single = of_profile(profile.clone(), 1);
    let all = in_turns(&single, frames * periods);
    assert_eq!(all.len(), frames * periods);
    assert!(all.is_sorted(), "they go back");
    let length = *model.ends.last().expect("pieces");
    let every = (frames / 1000).max(1);
    for frame in (0..frames * periods).filter(|frame| frame % every == 0 || frame % frames < 20) {
        let start = (frame / frames) as f64 * length;
        let number = (frame % frames) as f64;
        let (earliest, latest) =
            (model.time((number - 0.01).max(0.0)) - 11.0, model.time(number + 0.01) + 11.0);
        let due = all[frame] as f64 - start;
        assert!(
            due >= earliest && due <= latest,
            "frame {frame}: {due}, not {earliest} to {latest}"
        );
    }
    for workers in [2, 3, 7] {
        let shared = in_turns(&of_profile(profile.clone(), workers), frames * periods);
        assert_eq!(shared.len(), all.len(), "{workers} workers");
        let off = shared.iter().zip(&all).map(|(shared, alone)| shared.abs_diff(*alone)).max();
        assert_eq!(off, Some(0), "{workers} workers are off");
    }
}

const fn steps(steps: Vec<Step>, repeat: bool) -> Profile {
    Profile::Steps { steps, repeat }
}

fn step(rate: u64, duration: Duration) -> Step {
    Step { rate: pps(rate, 1), duration }
}

/// A trace through rates, each with the nanoseconds to the next.
fn trace(pieces: &[(u64, u64)], last: u64, repeat: bool) -> (Profile, Model, u128) {
    let mut at = 0;
    let mut points = Vec::new();
    let mut lines = Vec::new();
    for (index, &(nanos, rate)) in pieces.iter().enumerate() {
        points.push((Duration::from_nanos(at), pps(rate, 1)));
        lines.push((nanos, rate, pieces.get(index + 1).map_or(last, |next| next.1)));
        at += nanos;
    }
    points.push((Duration::from_nanos(at), pps(last, 1)));
    // The areas of trapezia, in half frames by 10⁹.
    let area: u128 =
        lines.iter().map(|&(nanos, from, to)| u128::from(nanos) * u128::from(from + to)).sum();
    (Profile::Trace { points, repeat }, Model::lines(lines), area.div_ceil(2_000_000_000))
}

#[test]
fn ramps() {
    let ramp = |from, to, over| Profile::Ramp { from: pps(from, 1), to: pps(to, 1), over };
    // The ramp has 500 000 frames, and the check goes on for as many at the last rate.
    let second = 1_000_000_000;
    let model = |from, to| Model::lines(vec![(second, from, to), (second, to, to)]);
    check(&ramp(0, 1_000_000, millis(1000)), &model(0, 1_000_000), 1_500_000, 1);
    check(&ramp(20_000, 10_000, millis(1000)), &model(20_000, 10_000), 25_000, 1);
    check(&ramp(10, 10, millis(1000)), &model(10, 10), 20, 1);
    check(&ramp(10_000, 0, millis(1000)), &model(10_000, 0), 5000, 1);
    assert_eq!(count(&of_profile(ramp(10_000, 0, millis(1000)), 3)), 5000);
    // Frame k of the ramp from zero leaves at √(k / 500) s; later frames are a millisecond apart.
    let times = in_turns(&of_profile(ramp(0, 1000, millis(1000)), 1), 502);
    assert_eq!(
        (times[0], times[125], times[500], times[501]),
        (0, 500_000_000, 1_000_000_000, 1_001_000_000)
    );
}

#[test]
fn steps_are_exact() {
    let pause = || {
        steps(vec![step(1000, millis(1000)), step(0, millis(1000)), step(500, millis(1000))], true)
    };
    let model = || {
        Model::lines(vec![
            (1_000_000_000, 1000, 1000),
            (1_000_000_000, 0, 0),
            (1_000_000_000, 500, 500),
        ])
    };
    check(&pause(), &model(), 1500, 4);
    let times = in_turns(&of_profile(pause(), 7), 3001);
    assert_eq!(
        [0, 999, 1000, 1001, 1499, 1500, 3000].map(|frame| times[frame]),
        [0, 999_000_000, 2_000_000_000, 2_002_000_000, 2_998_000_000, 3_000_000_000, 6_000_000_000]
    );
    // A frame begun in one step ends in the next: 1.5 frames, then 10.5.
    let halves = of_profile(steps(vec![step(15, millis(100)), step(105, millis(100))], false), 1);
    let expected = [0u64, 66_666_666, 104_761_904, 114_285_714];
    assert!(
        in_turns(&halves, 4)
            .iter()
            .zip(expected)
            .all(|(due, expected)| due.abs_diff(expected) <= 1)
    );
    assert_eq!(count(&halves), 12);
    // The stream ends with its segments, too.
    let endless = {
        let stream = halves.departures[0];
        Stream { state: StreamState { left: u64::MAX, ..stream.state }, ..stream }
    };
    assert_eq!(self::times(&halves, &endless, 100).len(), 12);
    // A step of rate zero has no frame.
    let late = of_profile(steps(vec![step(0, millis(5)), step(1000, millis(2))], false), 3);
    assert_eq!(in_turns(&late, 10), [5_000_000, 6_000_000]);
    assert_eq!(
        late.departures.iter().map(|stream| stream.state.left).collect::<Vec<_>>(),
        [1, 1, 0]
    );
}

#[test]
fn sines() {
    let sine = |mean, amplitude, millis| Profile::Sine {
        mean: pps(mean, 1),
        amplitude: pps(amplitude, 1),
        period: self::millis(millis),
    };
    check(&sine(100_000, 100_000, 1000), &Model::sine(1e5, 1e5, 1e9), 100_000, 2);
    check(&sine(3000, 1500, 100), &Model::sine(3e3, 1.5e3, 1e8), 300, 5);
    check(&sine(10, 9, 60_000), &Model::sine(10.0, 9.0, 6e10), 600, 2);
    // A period of 2.5 frames has 3.
    check(&sine(25, 20, 100), &Model::sine(25.0, 20.0, 1e8), 3, 5);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 24 } else { 500 }))]
    #[test]
    fn traces(
        pieces in prop::collection::vec((1u64..100_000_000, prop_oneof![Just(0u64), 1..30_000u64]), 1..6),
        last in 0u64..30_000, repeat: bool,
    ) {
        let (profile, model, frames) = trace(&pieces, last, repeat);
        if frames > 0 {
            let frames = usize::try_from(frames).expect("few");
            if !repeat {
                prop_assert_eq!(count(&of_profile(profile.clone(), 4)), frames as u64);
            }
            check(&profile, &model, frames, if repeat { 3 } else { 1 });
        }
    }

    #[test]
    fn bursts(
        packets in 1u64..20, gap in 0u64..2000, pause in 1u64..100_000, bursts in prop::option::of(1u64..6),
        limit in prop::option::of(1u64..60), workers in 1usize..9, delay in 0u64..10_000,
    ) {
        let nanos = Duration::from_nanos;
        let burst = Burst { packets, spacing: if gap == 0 { Spacing::Link } else { Spacing::Gap(nanos(gap)) }, inter_burst_gap: nanos(pause), bursts };
        let mut flow = flow(Profile::Burst(burst));
        flow.packets = limit.map(located);
        flow.delay = located(nanos(delay));
        let pacing = of_flows(vec![flow], workers);
        let ends = match (bursts, limit) {
            (None, None) => 100,
            (bursts, limit) => bursts.map_or(u64::MAX, |bursts| bursts * packets).min(limit.unwrap_or(u64::MAX)),
        };
        // 672 bits take 6.72 ns at 100 Gbit/s.
        let gap = if gap == 0 { 7 } else { gap };
        let mut expected = Vec::new();
        let mut time = delay;
        while expected.len() < usize::try_from(ends).expect("few") {
            for packet in 0..packets {
                expected.push(time);
                time += if packet + 1 < packets { gap } else { pause };
            }
        }
        expected.truncate(usize::try_from(ends).expect("few"));
        prop_assert_eq!(in_turns(&pacing, expected.len()), expected);
        if bursts.is_some() || limit.is_some() {
            prop_assert_eq!(count(&pacing), ends);
        }
    }

    #[test]
    fn departures_of_segments_are_counted_run_by_run(
        pieces in prop::collection::vec((1u64..10_000_000, 0..30_000u64), 1..6), last in 1u64..30_000, time in 0u64..100_000_000,
        workers in 1usize..4, repeat: bool,
    ) {
        let pacing = of_profile(trace(&pieces, last, repeat).0, workers);
        let tables = HostTables::new(&pacing);
        for stream in pacing.departures.iter() {
            let expected = departures(stream, &tables).take_while(|&due| due < time).count() as u64;
            prop_assert_eq!(due_before(stream, &tables, time), expected);
        }
    }

    /// A batch has the frames that would leave one by one until the time, and leaves the same state
    /// of the stream.
    #[test]
    fn a_batch_equals_frames_taken_one_by_one(
        pieces in prop::collection::vec((1u64..10_000_000, 0..30_000_000u64), 1..6), last in 1u64..30_000_000, repeat: bool,
        workers in 1usize..4, earlier in 0usize..200, most in 1u64..257, gather in 0u64..100_000, end in prop::option::of(0u64..50_000_000),
    ) {
        let pacing = of_profile(trace(&pieces, last, repeat).0, workers);
        let tables = HostTables::new(&pacing);
        for stream in pacing.departures.iter() {
            let mut stream = Stream { spec: StreamSpec { end: end.unwrap_or(u64::MAX), ..stream.spec }, ..*stream };
            for _ in 0..earlier {
                if !timing::is_over(&stream) {
                    timing::advance(&mut stream, &tables);
                }
            }
            if timing::is_over(&stream) {
                continue;
            }
            let (mut together, mut single) = (stream, stream);
            let until = stream.state.due + gather;
            let taken = timing::take(&mut together, most, until, &tables);
            prop_assert!((1..=most).contains(&taken));
            for number in 0..taken {
                prop_assert!(number == 0 || single.state.due <= until && !timing::is_over(&single), "{number}: {single:?}");
                timing::advance(&mut single, &tables);
            }
            prop_assert_eq!(together, single);
        }
    }
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes a minute unless optimized")]
fn a_day_of_millions_of_frames_a_second_has_room() {
    let day = Duration::from_secs(86_400);
    let pacing = of_profile(
        Profile::Sine { mean: pps(10_000_000, 1), amplitude: pps(8_000_000, 1), period: day },
        4,
    );
    let frames: u64 = pacing.segments.iter().map(|segment| segment.frames).sum();
    assert_eq!(frames, 864_000_000_000);
}

/// Such loads have no use, but must not overflow.
#[test]
fn endless_times_and_absurd_rates() {
    let age = Duration::from_secs(1 << 40);
    let most = pps(u64::MAX, 1);
    let least = pps(1, u64::MAX);
    let profiles = [
        Profile::Constant(most),
        Profile::Constant(least),
        Profile::Poisson { mean: most, seed: None },
        Profile::Poisson { mean: least, seed: None },
        Profile::Ramp { from: pps(1, 3), to: least, over: age },
        Profile::Steps { steps: vec![Step { rate: most, duration: age }; 20], repeat: true },
        Profile::Steps { steps: vec![Step { rate: least, duration: age }; 20], repeat: false },
        Profile::Sine { mean: least, amplitude: least, period: age },
        Profile::Burst(Burst {
            packets: u64::MAX - 1,
            spacing: Spacing::Gap(age),
            inter_burst_gap: age,
            bursts: Some(u64::MAX),
        }),
        Profile::Burst(Burst {
            packets: 1,
            spacing: Spacing::Gap(age),
            inter_burst_gap: age,
            bursts: None,
        }),
    ];
    for profile in profiles {
        let mut flow = flow(profile);
        flow.delay = located(age);
        let pacing = of_flows(vec![flow; 3], 5);
        for stream in pacing.departures.iter() {
            assert!(times(&pacing, stream, 2).iter().all(|due| due >= &stream.state.due));
            assert!(stream.state.gap.whole > 0);
        }
    }
}
