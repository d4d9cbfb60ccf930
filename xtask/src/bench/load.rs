//! What else the machine is doing, before anything is measured.

use std::{fs, thread, time::Duration};

/// How long the machine is watched.
const WATCH: Duration = Duration::from_millis(500);
/// More than this of all CPUs' time makes figures useless.
pub(super) const QUIET_PERCENT: f64 = 3.0;

/// How much of all CPUs' time is in use while the bench does nothing, in per cent; none where
/// /proc/stat does not say.
pub(super) fn percent() -> Option<f64> {
    let before = times(&fs::read_to_string("/proc/stat").ok()?)?;
    thread::sleep(WATCH);
    let after = times(&fs::read_to_string("/proc/stat").ok()?)?;
    let (busy, all) = (after.0 - before.0, after.1 - before.1);
    (all > 0).then(|| 100.0 * busy as f64 / all as f64)
}

/// Time in use, what the host took (steal) included, and all time, in units of the clock: the first
/// line of /proc/stat (proc_stat(5)).
fn times(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let times: Vec<u64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    // Guests' time is counted in user's and nice's.
    let counted = times.get(..8)?;
    let all: u64 = counted.iter().sum();
    let idle = counted[3] + counted[4];
    Some((all - idle, all))
}

#[cfg(test)]
mod tests {
    use super::times;

    #[test]
    fn time_in_use_is_what_is_neither_idle_nor_waiting() {
        let stat = "cpu  100 5 30 800 50 2 8 5 70 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(times(stat), Some((150, 1000)));
        for stat in ["", "cpu  1 2 3\n", "intr 5\n", "cpu  a b c d e f g h\n"] {
            assert_eq!(times(stat), None, "{stat:?}");
        }
    }
}
