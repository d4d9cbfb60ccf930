//! In which time flows were due to send: what rates are over. Neither the wait for the first of them counts, nor pauses in which
//! no flow sends; but the time does in which something kept them from sending.

use std::time::Duration;

use crate::plan::FlowPlan;

/// A time from one moment to another, both since the start.
pub(super) type Window = (Duration, Duration);

/// When a flow is due to send, within `window`. One that ends by a number of frames, to the window's end.
pub(super) fn of_flow(flow: &FlowPlan, window: Window) -> Window {
    let end = flow.duration.map_or(Duration::MAX, |duration| flow.delay.saturating_add(duration));
    let begin = flow.delay.max(window.0);
    (begin, end.min(window.1).max(begin))
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

    #[test]
    fn overlaps_count_once_and_pauses_do_not() {
        #[track_caller]
        fn check(windows: &[(u64, u64)], expected: u64) {
            let seconds = Duration::from_secs;
            assert_eq!(covered(windows.iter().map(|&(begin, end)| (seconds(begin), seconds(end)))), seconds(expected));
        }
        check(&[], 0);
        check(&[(2, 3)], 1);
        check(&[(5, 9), (2, 3), (2, 7)], 7);
        check(&[(0, 10), (1, 2), (20, 21), (21, 22)], 12);
        check(&[(4, 4)], 0);
    }
}
