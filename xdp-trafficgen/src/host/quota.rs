//! CPU time that the control groups of this process allow it, and how often they made it wait.

use std::time::Duration;

use crate::host::{
    files::Files,
    groups::{self, Group, Version},
};

/// A limit of CPU time for a group and all groups below it (CFS bandwidth,
/// Documentation/scheduler/sched-bwc.rst).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The file that sets the limit.
    pub file: String,
    /// What to write there for no limit.
    pub unlimited: &'static str,
    /// CPU time per period, of all CPUs together.
    pub time: Duration,
    /// The period.
    pub period: Duration,
    /// How often the limit was reached so far.
    pub throttled: Throttled,
}

/// How often a group had to wait for its next period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttled {
    /// Periods in which the group had to wait.
    pub periods: u64,
    /// Time that it waited, summed over CPUs.
    pub time: Duration,
}

impl Quota {
    /// The quotas of this process, the smallest first.
    #[must_use]
    pub fn gather() -> Vec<Self> {
        all(Files::of_this_machine())
    }

    /// The quota in CPUs.
    pub fn cpus(&self) -> f64 {
        // Both are whole microseconds, and far below 2^53 of them.
        self.time.as_micros() as f64 / self.period.as_micros() as f64
    }

    /// How often the group had to wait since `before` was read; none when it did not.
    pub fn since(&self, before: &[Self]) -> Option<Throttled> {
        let before =
            before.iter().find(|before| before.file == self.file).map(|before| before.throttled);
        let before = before.unwrap_or_default();
        let throttled = Throttled {
            periods: self.throttled.periods.saturating_sub(before.periods),
            time: self.throttled.time.saturating_sub(before.time),
        };
        (throttled.periods > 0).then_some(throttled)
    }
}

/// The quotas of all groups that have one, the smallest first.
pub(super) fn all(files: Files<'_>) -> Vec<Quota> {
    let mut quotas: Vec<Quota> =
        groups::of(files, "cpu").into_iter().filter_map(|group| quota(files, &group)).collect();
    quotas.sort_by(|one, other| one.cpus().total_cmp(&other.cpus()));
    quotas
}

/// None where there is no limit: `max` in version 2, -1 in version 1.
fn quota(files: Files<'_>, Group { version, directory }: &Group) -> Option<Quota> {
    let file = |name| directory.join(name);
    let micros = |text: &str| text.parse().ok().map(Duration::from_micros);
    let (name, unlimited, time, period) = match version {
        Version::One => {
            let time = files.text(file("cpu.cfs_quota_us")).as_deref().and_then(micros);
            (
                "cpu.cfs_quota_us",
                "-1",
                time?,
                files.text(file("cpu.cfs_period_us")).as_deref().and_then(micros)?,
            )
        }
        Version::Two => {
            let text = files.text(file("cpu.max"))?;
            let (time, period) = text.split_once(' ')?;
            ("cpu.max", "max", micros(time)?, micros(period)?)
        }
    };
    let stat = files.text(file("cpu.stat")).unwrap_or_default();
    let count = |key: &str| {
        let value = |line: &str| line.strip_prefix(key)?.strip_prefix(' ')?.parse().ok();
        stat.lines().find_map(value).unwrap_or(0)
    };
    let waited = match version {
        Version::One => Duration::from_nanos(count("throttled_time")),
        Version::Two => Duration::from_micros(count("throttled_usec")),
    };
    (!period.is_zero()).then(|| Quota {
        file: file(name).display().to_string(),
        unlimited,
        time,
        period,
        throttled: Throttled { periods: count("nr_throttled"), time: waited },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::files::recorded;

    /// `expected`: file, CPUs, and how often the group had to wait.
    #[track_caller]
    fn check(tree: &str, expected: &[(&str, f64, u64, Duration)]) {
        let root = recorded(tree);
        let quotas = all(Files::under(root.path()));
        let found: Vec<_> = quotas
            .iter()
            .map(|quota| {
                (quota.file.as_str(), quota.cpus(), quota.throttled.periods, quota.throttled.time)
            })
            .collect();
        assert_eq!(found, expected, "{tree}");
    }

    #[test]
    fn the_tightest_of_all_groups_comes_first() {
        let tree = r"
            proc/self/cgroup = 0::/kubepods/pod7
            proc/self/mountinfo = 31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
            sys/fs/cgroup/kubepods/pod7/cpu.max = 150000 100000
            sys/fs/cgroup/kubepods/pod7/cpu.stat = usage_usec 9\nnr_periods 12\nnr_throttled 7\nthrottled_usec 350000
            sys/fs/cgroup/kubepods/cpu.max = 30000 100000
            sys/fs/cgroup/cpu.max = max 100000
        ";
        let seven = Duration::from_millis(350);
        check(
            tree,
            &[
                ("/sys/fs/cgroup/kubepods/cpu.max", 0.3, 0, Duration::ZERO),
                ("/sys/fs/cgroup/kubepods/pod7/cpu.max", 1.5, 7, seven),
            ],
        );
    }

    #[test]
    fn version_one_has_other_files_and_units() {
        let tree = r"
            proc/self/cgroup = 4:cpu,cpuacct:/jobs
            proc/self/mountinfo = 35 31 0:32 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
            sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us = -1
            sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us = 100000
            sys/fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_quota_us = 25000
            sys/fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_period_us = 50000
            sys/fs/cgroup/cpu,cpuacct/jobs/cpu.stat = nr_periods 20\nnr_throttled 3\nthrottled_time 90000000
        ";
        let waited = Duration::from_millis(90);
        check(tree, &[("/sys/fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_quota_us", 0.5, 3, waited)]);
        check("", &[]);
    }

    #[test]
    fn what_a_run_came_to_is_the_difference() {
        let quota = |file: &str, periods| Quota {
            file: file.to_owned(),
            unlimited: "max",
            time: Duration::from_millis(30),
            period: Duration::from_millis(100),
            throttled: Throttled { periods, time: Duration::from_millis(70 * periods) },
        };
        let before = [quota("other", 9), quota("own", 5)];
        let came_to = Throttled { periods: 3, time: Duration::from_millis(210) };
        assert_eq!(quota("own", 8).since(&before), Some(came_to));
        assert_eq!(quota("own", 5).since(&before), None);
        assert_eq!(quota("new", 1).since(&before).map(|throttled| throttled.periods), Some(1));
    }
}
