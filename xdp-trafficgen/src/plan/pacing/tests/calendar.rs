//! A worker with many flows: they take turns as their times say.

use proptest::prelude::*;
use xdp_trafficgen_ebpf::{
    abi::timing::{BUCKET_BITS, BUCKETS, Calendar, StreamState},
    timing::{self, NextStream, StreamTable, advance},
};

use super::*;
use crate::plan::pacing::rates::whole;

struct Entries(Vec<Stream>);

impl StreamTable for Entries {
    fn stream(&mut self, number: u32) -> Option<&mut Stream> {
        self.0.get_mut(number as usize)
    }
}

/// The next stream; panics when the calendar has none for far too long.
#[track_caller]
fn next(calendar: &mut Calendar, streams: &mut Entries) -> u32 {
    for _ in 0..100 * BUCKETS {
        if let NextStream::Stream(number) = timing::look(calendar, streams) {
            return number;
        }
    }
    panic!("a stream is lost");
}

/// Lets all flows of a worker send until `end`; gives each frame's time and flow.
fn run(pacing: &Pacing, worker: usize, end: u64) -> Vec<(u64, u32)> {
    let tables = HostTables::new(pacing);
    let mut streams = Entries(pacing.departures.of(worker).to_vec());
    let mut calendar = pacing.calendars[worker];
    let mut active = streams.0.iter().filter(|stream| stream.state.left > 0).count();
    let mut sent = Vec::new();
    while active > 0 {
        let number = next(&mut calendar, &mut streams);
        let stream = &mut streams.0[number as usize];
        sent.push((stream.state.due, stream.spec.turn));
        advance(stream, &tables);
        stream.state.earliest = stream.state.due;
        if stream.state.left == 0 || stream.state.due >= end {
            active -= 1;
        } else {
            timing::insert(&mut calendar, number, stream);
        }
    }
    sent
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 8 } else { 64 }))]
    #[test]
    fn each_flow_keeps_its_own_times(
        // Gaps from 2 µs to 0.1 s: 24 rounds of the calendar.
        gaps in prop::collection::vec((2_000f64.ln()..1e8f64.ln(), 1u64..1000), 100),
        delays in prop::collection::vec(0u64..2_000_000, 100),
        workers in 1usize..3,
    ) {
        let end = 30_000_000;
        let rates: Vec<Ratio> = gaps
            .iter()
            .map(|&(gap, denominator)| {
                Ratio::new(whole(1e9 * denominator as f64 / gap.exp()).max(1), denominator)
            })
            .collect();
        let flows = rates.iter().zip(&delays).map(|(rate, delay)| Flow {
            delay: located(Duration::from_nanos(*delay)),
            ..flow(Profile::Constant(frames(*rate)))
        });
        let pacing = of_flows(flows.collect(), workers);
        let mut sent = Vec::new();
        for worker in 0..workers {
            let own = run(&pacing, worker, end);
            for pair in own.windows(2) {
                prop_assert!(pair[0].0 >> BUCKET_BITS <= pair[1].0 >> BUCKET_BITS, "{:?}", pair);
            }
            sent.extend(own);
        }
        for (number, rate) in (0..).zip(&rates) {
            let times: Vec<u64> = sent.iter().filter(|(_, of)| *of == number).map(|(due, _)| *due).collect();
            let stream = *pacing.departures.iter().find(|stream| stream.spec.turn == number).expect("one");
            let whole = u128::from(stream.state.gap.whole);
            // The gap is a whole number of its parts of a nanosecond.
            let gap = 1_000_000_000 * rate.denominator() * whole;
            prop_assert!(gap.is_multiple_of(rate.numerator()));
            let gap = gap / rate.numerator();
            let first = u128::from(stream.state.due) * whole + u128::from(stream.state.due_rest);
            let expected: Vec<u64> = (0..)
                .map(|k| u64::try_from((first + k * gap) / whole).expect("64 bits"))
                .take_while(|&due| due == stream.state.due || due < end)
                .collect();
            prop_assert_eq!(times, expected);
        }
    }
}

#[test]
fn flows_of_one_rate_do_not_coincide() {
    let pacing = of_flows(vec![flow(Profile::Constant(pps(1000, 1))); 100], 1);
    let sent = run(&pacing, 0, 10_000_000);
    assert_eq!(sent.len(), 1000);
    let mut times: Vec<u64> = sent.iter().map(|(due, _)| *due).collect();
    times.sort_unstable();
    let least = times.windows(2).map(|pair| pair[1] - pair[0]).min().expect("times");
    assert!(least >= 9_999, "{least}");
    assert_eq!(
        pacing.departures.iter().map(|stream| stream.spec.turn).collect::<Vec<_>>(),
        (0..100).collect::<Vec<_>>()
    );
}

#[test]
fn flows_without_frames_are_not_in_the_calendar() {
    let mut short = flow(Profile::Constant(pps(1000, 1)));
    short.packets = Some(located(0));
    let other = || flow(Profile::Constant(pps(10, 1)));
    let pacing = of_flows(vec![short, other(), other()], 2);
    let streams = |worker: usize| {
        let mut streams = Entries(pacing.departures.of(worker).to_vec());
        let mut calendar = pacing.calendars[worker];
        (0..BUCKETS * 100)
            .filter_map(|_| match timing::look(&mut calendar, &mut streams) {
                NextStream::Stream(number) => Some(number),
                NextStream::Nothing => None,
            })
            .collect::<Vec<_>>()
    };
    assert!(streams(0).is_empty());
    assert_eq!(streams(1), [0, 1]);
}

#[test]
fn overdue_streams_are_next() {
    let stream = |at| Stream {
        state: StreamState { earliest: at, due: at, ..StreamState::default() },
        ..Stream::default()
    };
    let late = 1_000_000;
    let mut streams =
        Entries(vec![stream(late), stream(late + 64), stream(10), stream(late + 5_000_000)]);
    let mut calendar = Calendar::EMPTY;
    timing::insert(&mut calendar, 0, &mut streams.0[0]);
    timing::insert(&mut calendar, 3, &mut streams.0[3]);
    timing::insert(&mut calendar, 1, &mut streams.0[1]);
    assert_eq!(next(&mut calendar, &mut streams), 0);
    timing::insert(&mut calendar, 2, &mut streams.0[2]);
    assert_eq!([0; 3].map(|_| next(&mut calendar, &mut streams)), [2, 1, 3]);
}

/// A stream is inserted during a look through its bucket, whose other streams are due in later
/// rounds.
#[test]
fn streams_that_come_during_a_look_are_found() {
    let round = (BUCKETS as u64) << BUCKET_BITS;
    let stream = |at| Stream {
        state: StreamState { earliest: at, due: at, ..StreamState::default() },
        ..Stream::default()
    };
    let mut streams = Entries(vec![stream(round), stream(2 * round), stream(5), stream(1000)]);
    let mut calendar = Calendar::EMPTY;
    timing::insert(&mut calendar, 0, &mut streams.0[0]);
    timing::insert(&mut calendar, 1, &mut streams.0[1]);
    timing::insert(&mut calendar, 3, &mut streams.0[3]);
    assert_eq!(timing::look(&mut calendar, &mut streams), NextStream::Nothing);
    timing::insert(&mut calendar, 2, &mut streams.0[2]);
    assert_eq!([0; 4].map(|_| next(&mut calendar, &mut streams)), [2, 3, 0, 1]);
}
