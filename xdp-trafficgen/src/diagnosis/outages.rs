//! Periods in which nothing could be sent for another reason than too few CPUs.

use std::time::Duration;

use super::{Finding, Severity};
use crate::stats::PortCount;

/// The port was down for some time; none when it never was.
pub fn of_outage(count: &PortCount) -> Option<Finding> {
    let outage = &count.outage;
    if outage.down.is_zero() {
        return None;
    }
    let times = if outage.restarts == 1 { "once" } else { &format!("{} times", outage.restarts) };
    let began = if outage.restarts == 0 {
        "has not started again".to_owned()
    } else {
        format!("started again {times}")
    };
    let mut cause = format!("the port was down for {} and {began}", seconds(outage.down));
    if !outage.reason.is_empty() {
        cause += &format!("; what ended it last: {}", outage.reason);
    }
    let cure = "keep the interface in place and up while it sends; departures meanwhile count as \
                never sent";
    Some(Finding::new("port_was_down", Severity::Loses, cause, cure))
}

/// The workers stood still; none when they always worked.
pub fn of_stillness(count: &PortCount) -> Option<Finding> {
    let (longest, all) = count.still;
    if longest.is_zero() {
        return None;
    }
    let more = if all > longest { format!(", {} in all", seconds(all)) } else { String::new() };
    let cause = format!(
        "the workers stood still for {} at once{more}: the process was stopped (SIGSTOP, a \
         debugger, a cgroup's freezer), or the machine was paused",
        seconds(longest)
    );
    let missed = count.punctuality.is_some_and(|punctuality| punctuality.unsent > 0);
    let severity = if missed { Severity::Loses } else { Severity::Slows };
    Some(Finding::new(
        "stood_still",
        severity,
        cause,
        "keep the process running; departures that were due meanwhile are not made up for",
    ))
}

/// Why departures had no frame, in words that follow `had no frame, for`: the reason of most of
/// them.
pub fn of_unsent(count: &PortCount) -> &'static str {
    let Some(punctuality) = count.punctuality else { return "" };
    let half = punctuality.unsent.div_ceil(2);
    let still = count.still.1.as_secs_f64() / punctuality.time.as_secs_f64().max(1e-9);
    if count.outage.unsent >= half {
        "the port was down"
    } else if still * 2.0 >= punctuality.shortfall(count.frames_attempted) {
        "the process was stopped, or the machine was paused"
    } else {
        "the workers were too far behind; ask for less, or use more CPUs"
    }
}

/// In seconds, exact to the millisecond.
fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{Outage, Punctuality};

    fn count(unsent: u64, of_outage: u64, still: (u64, u64)) -> PortCount {
        let millis = Duration::from_millis;
        PortCount {
            frames_attempted: 10_000 - unsent,
            punctuality: Some(Punctuality { unsent, time: millis(1000), ..Punctuality::default() }),
            still: (millis(still.0), millis(still.1)),
            outage: Outage { unsent: of_outage, ..Outage::default() },
            ..PortCount::default()
        }
    }

    #[test]
    fn what_cost_most_is_the_reason() {
        #[track_caller]
        fn check(count: &PortCount, expected: &str) {
            assert!(of_unsent(count).contains(expected), "{}", of_unsent(count));
        }
        check(&count(5000, 0, (0, 0)), "use more CPUs");
        check(&count(5000, 2500, (0, 0)), "the port was down");
        check(&count(5000, 100, (500, 500)), "was stopped");
        check(&count(5000, 100, (300, 600)), "was stopped");
        check(&count(9000, 0, (300, 300)), "use more CPUs");
        assert_eq!(of_unsent(&PortCount::default()), "");
    }

    #[test]
    fn holes_and_outages_are_told_with_their_length() {
        assert_eq!(of_stillness(&count(0, 0, (0, 0))), None);
        let still = of_stillness(&count(5000, 0, (1300, 1700))).unwrap();
        assert!(
            still.cause.starts_with(
                "the workers stood still for 1.300 s at once, 1.700 s in \
                                         all: "
            ),
            "{still:?}"
        );
        assert_eq!((still.code, still.severity), ("stood_still", Severity::Loses));
        assert_eq!(of_stillness(&count(0, 0, (300, 300))).unwrap().severity, Severity::Slows);
        let outage = |restarts| Outage {
            down: Duration::from_millis(3200),
            restarts,
            unsent: 0,
            reason: "it rained".into(),
        };
        let cause = |restarts| {
            of_outage(&PortCount { outage: outage(restarts), ..PortCount::default() })
                .unwrap()
                .cause
        };
        assert_eq!(
            cause(1),
            "the port was down for 3.200 s and started again once; what ended it \
                              last: it rained"
        );
        assert!(cause(0).contains("has not started again"), "{}", cause(0));
        assert!(cause(2).contains("started again 2 times"), "{}", cause(2));
        assert_eq!(of_outage(&PortCount::default()), None);
    }
}
