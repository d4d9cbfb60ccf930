//! Workers that do not have their CPUs for themselves: several workers share one, or a quota makes
//! them wait.

use std::collections::BTreeMap;

use super::{Finding, Severity, words};
use crate::host::{Quota, Throttled};

/// Whether a port is paced or at full speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendMode {
    /// At full speed: what costs CPU time makes the port slower.
    FullSpeed,
    /// Paced: what costs CPU time makes frames late, or leaves departures without a frame.
    Paced,
}

impl SendMode {
    const fn severity(self) -> Severity {
        match self {
            Self::FullSpeed => Severity::Slows,
            Self::Paced => Severity::Loses,
        }
    }

    const fn effect(self) -> &'static str {
        match self {
            Self::FullSpeed => "each sends only part of the time",
            Self::Paced => "frames leave late, or not at all",
        }
    }
}

/// Other senders on a port's CPUs, by CPU: `port west` or `process 4711`.
pub type Rivals = BTreeMap<u32, Vec<String>>;

/// Workers share a CPU; none when they do not. `free`: CPUs without a worker that could have one,
/// in order.
pub fn of_shared_cpus(rivals: &Rivals, free: &[u32], mode: SendMode) -> Option<Finding> {
    let cpus: Vec<u32> =
        rivals.iter().filter(|(_, who)| !who.is_empty()).map(|(&cpu, _)| cpu).collect();
    let mut who: Vec<&str> = rivals.values().flatten().map(String::as_str).collect();
    who.sort_unstable();
    who.dedup();
    const NAMED: usize = 5;
    let more = who.len().saturating_sub(NAMED);
    let mut names = who.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    if more > 0 {
        names += &format!(" and {more} more");
    }
    let cure = if free.is_empty() {
        "every CPU that this process may use has a worker already: use fewer ports or `cpus` at a \
         time, or let it use more CPUs"
            .to_owned()
    } else {
        format!(
            "give each port CPUs of its own (`cpus`, `--cpus`): {} would be free",
            words::cpus(free)
        )
    };
    (!cpus.is_empty()).then(|| {
        Finding::new(
            "shared_cpu",
            mode.severity(),
            format!(
                "workers of {names} share {} with those of this port: {}",
                words::cpus(&cpus),
                mode.effect()
            ),
            cure,
        )
    })
}

/// A quota allows less CPU time than workers on so many CPUs take, which work all the time; none
/// when it suffices. `quotas`: the smallest first.
pub fn of_quota(quotas: &[Quota], cpus: usize, mode: SendMode) -> Option<Finding> {
    let quota = quotas.first().filter(|quota| quota.cpus() < cpus as f64)?;
    let take = if cpus == 1 {
        "a worker takes 1".to_owned()
    } else {
        format!("workers on {cpus} CPUs take {cpus}")
    };
    let cause = format!(
        "the control group of this process may use {} (`{}`) and {take}: once in each {} the \
         kernel stops them until the next begins, and {}",
        time_of_cpus(quota.cpus()),
        quota.file,
        milliseconds(quota),
        mode.effect()
    );
    Some(Finding::new("cpu_quota", mode.severity(), cause, lift(quota)))
}

/// A quota made workers wait; `throttled` is how often and how long in this run.
pub fn of_throttling(quota: &Quota, throttled: Throttled, mode: SendMode) -> Finding {
    let Throttled { periods, time } = throttled;
    let cause = format!(
        "the control group of this process may use {} (`{}`), and the kernel stopped it in \
         {periods} periods of {}, for {:.3} s in all: {}",
        time_of_cpus(quota.cpus()),
        quota.file,
        milliseconds(quota),
        time.as_secs_f64(),
        mode.effect()
    );
    Finding::new("cpu_quota", mode.severity(), cause, lift(quota))
}

/// `30 % of a CPU`, `2.5 CPUs`.
fn time_of_cpus(cpus: f64) -> String {
    if cpus < 1.0 {
        format!("{:.0} % of a CPU", cpus * 100.0)
    } else {
        format!("{cpus} CPU{}", if cpus > 1.0 { "s" } else { "" })
    }
}

fn milliseconds(quota: &Quota) -> String {
    format!("{} ms", quota.period.as_secs_f64() * 1e3)
}

fn lift(quota: &Quota) -> String {
    format!(
        "lift the quota: `echo {} > {}`, or without a CPU limit of the container or unit \
         (`--cpus`, `CPUQuota=`)",
        quota.unlimited, quota.file
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn rivals(of: &[(u32, &[&str])]) -> Rivals {
        of.iter()
            .map(|&(cpu, who)| (cpu, who.iter().map(|&name| name.to_owned()).collect()))
            .collect()
    }

    #[test]
    fn who_shares_and_where_to_go() {
        #[track_caller]
        fn check(
            of: &[(u32, &[&str])],
            free: &[u32],
            mode: SendMode,
            expected: Option<(Severity, &[&str])>,
        ) {
            let found = of_shared_cpus(&rivals(of), free, mode);
            assert_eq!(
                found.as_ref().map(|found| found.severity),
                expected.map(|(severity, _)| severity)
            );
            let text =
                found.map_or_else(String::new, |Finding { cause, cure, .. }| cause + "; " + &cure);
            for part in expected.map_or(&[][..], |(_, parts)| parts) {
                assert!(text.contains(part), "no `{part}` in {text}");
            }
        }
        check(&[], &[1], SendMode::Paced, None);
        check(&[(0, &[])], &[1], SendMode::Paced, None);
        let late = "frames leave late";
        check(
            &[(0, &["port b"])],
            &[1],
            SendMode::Paced,
            Some((Severity::Loses, &["port b share CPU 0", late, "CPU 1"])),
        );
        let parts =
            &["port b, process 7 share CPUs 0-1", "part of the time", "has a worker already"][..];
        check(
            &[(0, &["port b"]), (1, &["process 7", "port b"])],
            &[],
            SendMode::FullSpeed,
            Some((Severity::Slows, parts)),
        );
        let many = &["a", "b", "c", "d", "e", "f", "g"];
        check(
            &[(3, many)],
            &[],
            SendMode::FullSpeed,
            Some((Severity::Slows, &["a, b, c, d, e and 2 more share CPU 3"])),
        );
    }

    #[test]
    fn a_quota_is_too_small_for_more_workers_than_it_has_cpus() {
        let quota = |milliseconds| Quota {
            file: "/sys/fs/cgroup/jobs/cpu.max".to_owned(),
            unlimited: "max",
            time: Duration::from_millis(milliseconds),
            period: Duration::from_millis(100),
            throttled: Throttled::default(),
        };
        let found = of_quota(&[quota(30), quota(200)], 1, SendMode::Paced).unwrap();
        assert_eq!((found.code, found.severity), ("cpu_quota", Severity::Loses));
        assert!(
            found.cause.contains("30 % of a CPU") && found.cause.contains("each 100 ms"),
            "{found:?}"
        );
        assert!(found.cure.contains("`echo max > /sys/fs/cgroup/jobs/cpu.max`"), "{found:?}");
        assert!(
            of_quota(&[quota(150)], 2, SendMode::FullSpeed).unwrap().cause.contains("1.5 CPUs")
        );
        assert_eq!(of_quota(&[quota(200)], 2, SendMode::FullSpeed), None);
        assert_eq!(of_quota(&[], 9, SendMode::FullSpeed), None);
        let throttled = Throttled { periods: 12, time: Duration::from_millis(840) };
        let cause = of_throttling(&quota(30), throttled, SendMode::FullSpeed).cause;
        assert!(cause.contains("in 12 periods of 100 ms, for 0.840 s in all"), "{cause}");
    }
}
