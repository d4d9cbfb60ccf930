//! The departures of a stream of all workers together, and the time in which they were due.

use std::time::Duration;

use xdp_trafficgen_ebpf::abi::timing::{Stream, StreamCounts, stream_kind};

/// The departures of a stream, of all workers together. Times are nanoseconds since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) departed: u64,
    pub(super) unsent: u64,
    /// When the first frame was due.
    pub(super) first: u64,
    /// When the first departure is due that no worker has handled.
    next: u64,
    /// When the last frame left; 0 before the first.
    pub(super) last: u64,
    /// Time within the span in which no flow was due to send.
    paused: u64,
    /// Whether all gaps are alike, so that the gap after the last departure ends at the next one.
    constant: bool,
}

impl Span {
    pub(super) const NONE: Self = Self {
        departed: 0,
        unsent: 0,
        first: u64::MAX,
        next: u64::MAX,
        last: 0,
        paused: 0,
        constant: true,
    };

    /// The span of a worker's stream; `planned` is the stream at the start.
    pub(super) const fn of(stream: &Stream, planned: &Stream) -> Self {
        let &Stream { spec, state, counts, .. } = stream;
        let StreamCounts { departed, unsent, last, paused, .. } = counts;
        let is_cyclic = spec.kind == stream_kind::SEGMENTS;
        // None of these frames are this worker's.
        if is_cyclic && spec.first_segment == spec.segment_end {
            return Self { constant: false, ..Self::NONE };
        }
        // After its last segment, a stream stays at the last departure.
        let is_over = is_cyclic && state.segment >= spec.segment_end;
        let next = if is_over { state.due.saturating_add(state.gap.ns) } else { state.due };
        let constant = spec.kind == stream_kind::CONSTANT;
        Self { departed, unsent, first: planned.state.due, next, last, paused, constant }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.departed += other.departed;
        self.unsent += other.unsent;
        self.first = self.first.min(other.first);
        self.next = self.next.min(other.next);
        self.last = self.last.max(other.last);
        self.paused = self.paused.max(other.paused);
        self.constant &= other.constant;
    }

    /// The time in which departures were due, until `elapsed` after the start.
    pub(super) fn time(&self, elapsed: u64) -> Duration {
        let due = if self.constant { self.next } else { self.next.min(elapsed) };
        let end = if self.departed + self.unsent > 0 { due.max(self.last) } else { self.first };
        Duration::from_nanos(end.saturating_sub(self.first).saturating_sub(self.paused))
    }
}

#[cfg(test)]
mod tests {
    use xdp_trafficgen_ebpf::abi::timing::{Gap, StreamSpec, StreamState};

    use super::*;
    use crate::stats::punctuality::rate;

    const GAP: Gap = Gap { ns: 100, rest: 0, whole: 1 };

    /// A stream with a departure every 100 ns that has not sent yet.
    fn planned(due: u64) -> Stream {
        Stream {
            state: StreamState { due, gap: GAP, ..StreamState::default() },
            ..Stream::default()
        }
    }

    /// The span of a stream with a departure every 100 ns from 500 on, and the next one at `due`.
    fn span(departed: u64, unsent: u64, due: u64, last: u64) -> Span {
        let counts = StreamCounts { departed, unsent, last, ..StreamCounts::default() };
        Span::of(&Stream { counts, ..planned(due) }, &planned(500))
    }

    #[test]
    fn a_rate_is_over_the_time_in_which_departures_were_due() {
        #[track_caller]
        fn check(span: Span, nanos: u64) {
            assert_eq!(span.time(1_000_000), Duration::from_nanos(nanos), "{span:?}");
        }
        // Ten frames, each with the gap after it; none; a single one.
        check(span(10, 0, 1500, 1400), 1000);
        check(span(0, 0, 500, 0), 0);
        check(span(1, 0, 600, 500), 100);
        assert_eq!(rate(10, Duration::from_nanos(1000)), Some(1e7));
        assert_eq!(rate(0, Duration::ZERO), None);
        // Unsent departures were due, too, also those after the last frame that left.
        check(span(4, 6, 1500, 850), 1000);
        // The last one was late.
        check(span(10, 0, 1500, 2500), 2000);
        // For a time, no flow was due to send.
        check(Span { paused: 300, ..span(7, 0, 1500, 1400) }, 700);
    }

    #[test]
    fn where_gaps_differ_the_next_departure_may_be_far_away() {
        let spec =
            StreamSpec { kind: stream_kind::SEGMENTS, segment_end: 2, ..StreamSpec::default() };
        let planned = |due| Stream { spec, ..planned(due) };
        let counts = StreamCounts { departed: 10, last: 1400, ..StreamCounts::default() };
        let stream = Stream { counts, ..planned(1_000_000_000) };
        let planned = planned(500);
        assert_eq!(Span::of(&stream, &planned).time(2500), Duration::from_nanos(2000));
        assert_eq!(Span::of(&stream, &planned).time(u64::MAX), Duration::from_nanos(999_999_500));
        // The last segment ends the stream, which stays there.
        let state = StreamState { due: 1400, segment: 2, left: 0, ..stream.state };
        let over = Stream { state, ..stream };
        assert_eq!(Span::of(&over, &planned).time(2500), Duration::from_nanos(1000));
    }

    #[test]
    fn workers_take_turns() {
        let worker = |departed, first, due| {
            let counts = StreamCounts { departed, last: due - 1, ..StreamCounts::default() };
            Span::of(&Stream { counts, ..planned(due) }, &planned(first))
        };
        // Two of five frames, and three; it is the second's turn.
        let mut both = worker(3, 0, 300);
        both.add(worker(2, 50, 250));
        assert_eq!((both.departed, both.time(1000)), (5, Duration::from_nanos(299)));
        // A single frame of two workers.
        let mut both = Span { last: 0, ..worker(1, 0, 100) };
        both.add(Span { last: 0, ..worker(0, 50, 50) });
        assert_eq!(rate(both.departed, both.time(1000)), Some(2e7));
    }
}
