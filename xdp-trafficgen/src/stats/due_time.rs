//! The time in which flows were due to send, over which rates are computed. The wait before the first
//! flow and pauses without any flow are not part of it; the time in which flows were kept from
//! sending is.

use std::time::Duration;

use crate::plan::FlowPlan;

/// A time from one moment to another, both counted from the start.
pub(super) type Window = (Duration, Duration);

/// When a flow is due to send, within `window`. A flow that ends by a number of frames is due to the
/// window's end.
pub(super) fn of_flow(flow: &FlowPlan, window: Window) -> Window {
    let begin = flow.delay.max(window.0);
    (begin, end_of(flow).min(window.1).max(begin))
}

/// When each flow of a port at full speed is due to send, after `elapsed`. The last call continues
/// past the end of the last flows. Its frames count, so its time counts too: the rate would be too
/// high otherwise.
pub(super) fn at_full_speed(flows: &[FlowPlan], elapsed: Duration) -> Vec<Window> {
    let last = flows.iter().map(end_of).max().unwrap_or_default();
    let window = |flow| match of_flow(flow, (Duration::ZERO, elapsed)) {
        (begin, end) if end_of(flow) == last => (begin, elapsed.max(end)),
        window => window,
    };
    flows.iter().map(window).collect()
}

fn end_of(flow: &FlowPlan) -> Duration {
    flow.duration.map_or(Duration::MAX, |duration| flow.delay.saturating_add(duration))
}

/// How long a window is.
pub(super) const fn length((begin, end): Window) -> Duration {
    end.saturating_sub(begin)
}

/// How much time several windows cover.
pub(super) fn covered(windows: impl IntoIterator<Item = Window>) -> Duration {
    let mut windows: Vec<Window> = windows.into_iter().collect();
    windows.sort_unstable();
    let (mut covered, mut until) = (Duration::ZERO, Duration::ZERO);
    for (begin, end) in windows {
        covered += end.saturating_sub(begin.max(until));
        until = until.max(end);
    }
    covered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{ChecksumMode, HeaderKind, Layer, Payload, assemble};

    #[test]
    fn the_last_flows_of_a_port_at_full_speed_send_to_its_end() {
        let seconds = Duration::from_secs;
        let layers = [Layer {
            kind: HeaderKind::Ethernet,
            set: Vec::new(),
            options: Vec::new(),
            checksum: ChecksumMode::Good,
        }];
        let layout = assemble(&layers, 60, &Payload::Zeros).unwrap();
        let flow = |delay, duration: Option<u64>| FlowPlan {
            name: String::new(),
            weight: 1,
            smallest: 64,
            largest: 64,
            delay: seconds(delay),
            packets: None,
            duration: duration.map(seconds),
            layout: layout.clone(),
            addressed: None,
        };
        #[track_caller]
        fn check(flows: &[FlowPlan], elapsed: u64, expected: &[(u64, u64)]) {
            let expected: Vec<Window> = expected
                .iter()
                .map(|&(begin, end)| (Duration::from_secs(begin), Duration::from_secs(end)))
                .collect();
            assert_eq!(at_full_speed(flows, Duration::from_secs(elapsed)), expected);
        }
        check(&[flow(0, Some(10))], 11, &[(0, 11)]);
        check(&[flow(2, Some(10))], 5, &[(2, 5)]);
        check(&[flow(0, Some(3)), flow(0, Some(10))], 11, &[(0, 3), (0, 11)]);
        check(&[flow(0, Some(3)), flow(4, None)], 11, &[(0, 3), (4, 11)]);
        // Stopped before it began.
        check(&[flow(5, Some(1))], 2, &[(5, 5)]);
    }

    #[test]
    fn overlaps_count_once_and_pauses_do_not() {
        #[track_caller]
        fn check(windows: &[(u64, u64)], expected: u64) {
            let seconds = Duration::from_secs;
            assert_eq!(
                covered(windows.iter().map(|&(begin, end)| (seconds(begin), seconds(end)))),
                seconds(expected)
            );
        }
        check(&[], 0);
        check(&[(2, 3)], 1);
        check(&[(5, 9), (2, 3), (2, 7)], 7);
        check(&[(0, 10), (1, 2), (20, 21), (21, 22)], 12);
        check(&[(4, 4)], 0);
    }
}
