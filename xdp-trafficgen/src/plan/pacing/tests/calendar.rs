//! A worker with many flows: they take turns as their times say.

use proptest::prelude::*;
use xdp_trafficgen_ebpf::{
    abi::timing::{Calendar, FAR_BITS, FAR_BUCKETS, MIDDLE_BITS, NEAR_BITS, StreamState},
    calendar::{self, NextStream, StreamTable},
    timing::advance,
};

use super::*;
use crate::plan::pacing::rates::whole;

/// Streams, and how often the calendar has looked at one.
struct Entries {
    streams: Vec<Stream>,
    looks: u64,
}

impl Entries {
    const fn new(streams: Vec<Stream>) -> Self {
        Self { streams, looks: 0 }
    }
}

impl StreamTable for Entries {
    fn stream(&mut self, number: u32) -> Option<&mut Stream> {
        self.looks += 1;
        self.streams.get_mut(number as usize)
    }
}

/// The next stream, and the steps it took; panics when the calendar has none for far too long.
#[track_caller]
fn next(calendar: &mut Calendar, streams: &mut Entries) -> (u32, u64) {
    for steps in 1..10_000_000 {
        if let NextStream::Stream(number) = calendar::look(calendar, streams) {
            return (number, steps);
        }
    }
    panic!("a stream is lost");
}

/// Lets all flows of a worker send until `end`; gives each frame's time and flow.
fn run(pacing: &Pacing, worker: usize, end: u64) -> Vec<(u64, u32)> {
    let tables = HostTables::new(pacing);
    let mut streams = Entries::new(pacing.departures.of(worker).to_vec());
    let mut calendar = pacing.calendars[worker];
    let mut active = streams.streams.iter().filter(|stream| stream.state.left > 0).count();
    let mut sent = Vec::new();
    while active > 0 {
        let (number, _) = next(&mut calendar, &mut streams);
        let stream = &mut streams.streams[number as usize];
        sent.push((stream.state.due, stream.spec.turn));
        advance(stream, &tables);
        stream.state.earliest = stream.state.due;
        if stream.state.left == 0 || stream.state.due >= end {
            active -= 1;
        } else {
            calendar::insert(&mut calendar, number, stream);
        }
    }
    sent
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 8 } else { 64 }))]
    #[test]
    fn each_flow_keeps_its_own_times(
        // Gaps from 2 µs to 0.1 s.
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
                prop_assert!(pair[0].0 >> NEAR_BITS <= pair[1].0 >> NEAR_BITS, "{:?}", pair);
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
        let mut streams = Entries::new(pacing.departures.of(worker).to_vec());
        let mut calendar = pacing.calendars[worker];
        (0..100_000)
            .filter_map(|_| match calendar::look(&mut calendar, &mut streams) {
                NextStream::Stream(number) => Some(number),
                NextStream::Nothing => None,
            })
            .collect::<Vec<_>>()
    };
    assert!(streams(0).is_empty());
    assert_eq!(streams(1), [0, 1]);
}

/// A stream that is due at a time.
fn at(time: u64) -> Stream {
    Stream {
        state: StreamState { earliest: time, due: time, ..StreamState::default() },
        ..Stream::default()
    }
}

#[test]
fn overdue_streams_are_next() {
    let late = 1_000_000;
    let mut streams = Entries::new(vec![at(late), at(late + 64), at(10), at(late + 5_000_000)]);
    let mut calendar = Calendar::EMPTY;
    for number in [0, 3, 1] {
        calendar::insert(&mut calendar, number, &mut streams.streams[number as usize]);
    }
    assert_eq!(next(&mut calendar, &mut streams).0, 0);
    calendar::insert(&mut calendar, 2, &mut streams.streams[2]);
    assert_eq!([0; 3].map(|_| next(&mut calendar, &mut streams).0), [2, 1, 3]);
}

/// Streams in every bucket of a word, at the ends of halves, and later than all levels hold.
#[test]
fn streams_at_the_bounds_of_levels_are_found_in_their_order() {
    let round = (FAR_BUCKETS as u64) << FAR_BITS;
    let levels = [NEAR_BITS, NEAR_BITS + 2, NEAR_BITS + 8, MIDDLE_BITS, FAR_BITS];
    let mut times: Vec<u64> = levels
        .into_iter()
        .flat_map(|bits| (1..9).map(move |times| times << bits))
        .chain([round, round + 1, 2 * round, 3 * round + (5 << FAR_BITS)])
        .flat_map(|time| [time - 64, time, time + 64])
        .collect();
    times.sort_unstable();
    times.dedup();
    let mut streams = Entries::new(times.iter().map(|time| at(*time)).collect());
    let mut calendar = Calendar::EMPTY;
    for (number, stream) in (0..).zip(&mut streams.streams) {
        calendar::insert(&mut calendar, number, stream);
    }
    let found: Vec<u64> = times
        .iter()
        .map(|_| times[next(&mut calendar, &mut streams).0 as usize] >> NEAR_BITS)
        .collect();
    let expected: Vec<u64> = times.iter().map(|time| time >> NEAR_BITS).collect();
    assert_eq!(found, expected);
}

/// A worker that slept for ten seconds is where its streams are after few steps, and serves those
/// that are overdue in their order.
#[test]
fn a_worker_that_lags_finds_its_streams_in_few_steps() {
    let slept = 10_000_000_000;
    let mut streams = Entries::new(vec![at(0), at(slept + 7000), at(slept / 2)]);
    let mut calendar = Calendar::EMPTY;
    for (number, stream) in (0..).zip(&mut streams.streams) {
        calendar::insert(&mut calendar, number, stream);
    }
    let mut steps = 0;
    for expected in [0, 2, 1] {
        let (number, more) = next(&mut calendar, &mut streams);
        assert_eq!(number, expected);
        steps += more;
    }
    // Two for each 2.1 ms, and some for the streams.
    assert!(steps < 2 * (slept >> MIDDLE_BITS) + 20, "{steps}");
}

/// Without streams, a day is 10 000 steps.
#[test]
fn a_worker_without_streams_for_a_day_is_soon_where_they_are() {
    let day = 86_400_000_000_000;
    let mut streams = Entries::new(vec![at(0), at(day), at(2 * day), at(2 * day + 9)]);
    let mut calendar = Calendar::EMPTY;
    for (number, stream) in (0..).zip(&mut streams.streams) {
        calendar::insert(&mut calendar, number, stream);
    }
    for expected in [&[0][..], &[1], &[2, 3], &[2, 3]] {
        let (number, steps) = next(&mut calendar, &mut streams);
        assert!(expected.contains(&number), "{number}");
        // The last two of the last level's buckets are gone through by 2.1 ms.
        assert!(steps < 2 * (day >> FAR_BITS) + 4 * (1 << (FAR_BITS - MIDDLE_BITS)), "{steps}");
    }
}

/// More streams in a bucket of the middle or the last level than there are steps before it begins:
/// time waits until all have come down.
#[test]
fn streams_by_the_thousand_come_down_in_time() {
    for bits in [MIDDLE_BITS, FAR_BITS] {
        let begin = 3 << bits;
        let times = (0..20_000).map(|number| begin + number * 100);
        let mut streams = Entries::new(times.map(at).collect());
        let mut calendar = Calendar::EMPTY;
        for (number, stream) in (0..).zip(&mut streams.streams) {
            calendar::insert(&mut calendar, number, stream);
        }
        for expected in 0..20_000 {
            assert_eq!(next(&mut calendar, &mut streams).0, expected);
        }
    }
}

/// Streams that are put back at random distances, against a sorted list.
///
/// `distances`: logarithms of nanoseconds; the stream that was found is put back so far behind
/// where it was, or before it. The calendar must give the one whose bucket comes first, and look at
/// each stream once a level.
#[track_caller]
fn check(streams: usize, distances: &[f64], overdue: &[bool]) {
    let mut entries = Entries::new(Vec::new());
    let mut calendar = Calendar::EMPTY;
    // The bucket of each stream, the first one first.
    let mut list: Vec<(u64, u32)> = Vec::new();
    let put = |calendar: &mut Calendar,
               list: &mut Vec<(u64, u32)>,
               stream: &mut Stream,
               number,
               reached: u64| {
        calendar::insert(calendar, number, stream);
        list.push(((stream.state.earliest >> NEAR_BITS).max(reached), number));
        list.sort_unstable();
    };
    for (number, distance) in (0..).zip(&distances[..streams]) {
        let mut stream = at(whole(distance.exp()));
        put(&mut calendar, &mut list, &mut stream, number, 0);
        entries.streams.push(stream);
    }
    let mut inserted = streams as u64;
    for (distance, overdue) in distances[streams..].iter().zip(overdue) {
        let (number, _) = next(&mut calendar, &mut entries);
        let (bucket, _) = list[0];
        let place = list.iter().position(|(of, stream)| *stream == number && *of == bucket);
        let (reached, _) = list.remove(place.unwrap_or_else(|| panic!("{number} before {list:?}")));
        let stream = &mut entries.streams[number as usize];
        let distance = whole(distance.exp());
        stream.state.earliest = match overdue {
            true => stream.state.earliest.saturating_sub(distance),
            false => stream.state.earliest + distance,
        };
        put(&mut calendar, &mut list, stream, number, reached);
        inserted += 1;
    }
    let longest = distances.iter().copied().fold(0.0, f64::max).exp();
    if longest < (FAR_BUCKETS as f64 - 2.0) * f64::powi(2.0, FAR_BITS.cast_signed()) {
        assert!(entries.looks <= 3 * inserted, "{} of {inserted}", entries.looks);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 24 } else { 256 }))]
    #[test]
    fn the_calendar_is_a_sorted_list(
        streams in 1usize..40,
        // From a nanosecond to 20 s.
        distances in prop::collection::vec(0.0..23.7, 40..600),
        overdue in prop::collection::vec(prop::bool::weighted(0.1), 600),
    ) {
        check(streams, &distances, &overdue);
    }

    #[test]
    fn the_calendar_is_a_sorted_list_of_streams_that_are_close(
        streams in 1usize..40,
        distances in prop::collection::vec(0.0..9.0, 40..600),
        overdue in prop::collection::vec(prop::bool::weighted(0.1), 600),
    ) {
        check(streams, &distances, &overdue);
    }

    #[test]
    fn the_calendar_is_a_sorted_list_of_streams_that_are_hours_apart(
        streams in 1usize..10,
        distances in prop::collection::vec(22.0..30.0, 10..20),
        overdue in prop::collection::vec(prop::bool::weighted(0.1), 20),
    ) {
        check(streams, &distances, &overdue);
    }
}
