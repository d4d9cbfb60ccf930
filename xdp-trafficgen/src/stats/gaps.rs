//! How evenly frames follow each other: statistics of the gaps between arrivals. Pure
//! arithmetic on a receiver's time stamps.
//!
//! The error of a gap is the gap less the nominal one: positive when a frame arrived late after the
//! one before it.

use crate::units::Nanos;
use std::time::Duration;

/// Distances from the nominal gap whose shares are reported, in nanoseconds.
pub const WITHIN_NS: [u64; 4] = [64, 128, 256, 512];

/// A frame that follows the one before it by less than this was not paced, but left together with
/// it.
pub const CLOSE_NS: u64 = 200;

/// Shares of the gaps, in thousandths, up to which the errors are reported.
pub const PERMILLES: [u64; 9] = [1, 10, 50, 100, 500, 900, 950, 990, 999];

/// The time at the start of a run that is left out by default: caches are cold, and the CPU's
/// frequency is still rising.
pub const WARM_UP: Duration = Duration::from_millis(100);

/// The gaps between frames that should all be alike; at least one gap.
#[derive(Clone, Debug, PartialEq)]
pub struct Gaps {
    /// The intended gap, in nanoseconds.
    pub nominal_ns: f64,
    /// Arrivals at the start that were left out as warm-up.
    pub warm_up_frames: u64,
    /// Time from the first arrival that counts to the last.
    pub span: Duration,
    /// The gaps in nanoseconds, from the shortest to the longest.
    sorted: Vec<u64>,
}

/// How often the errors fall into bins of equal width around zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// The width of a bin.
    pub bin_ns: u32,
    /// Gaps with an error from `bin_ns · (index − counts.len() / 2)` to `bin_ns` more, the end not
    /// included; an even number of bins.
    pub counts: Vec<u64>,
    /// Gaps with a smaller error.
    pub below: u64,
    /// Gaps with a larger one, or just the end of the last bin.
    pub above: u64,
}

impl Gaps {
    /// Measures the gaps between `arrivals`, nanoseconds in ascending order. Those that begin
    /// within the first `warm_up` are left out. None when no gap is left.
    pub fn measure(arrivals: &[u64], nominal_ns: f64, warm_up: Duration) -> Option<Self> {
        let begin = Nanos::new(*arrivals.first()?).after(warm_up.into()).get();
        let (warm, counted) =
            arrivals.split_at(arrivals.partition_point(|&arrival| arrival < begin));
        let (first, last) = (counted.first()?, counted.last()?);
        let mut sorted: Vec<u64> =
            counted.array_windows().map(|[before, after]| after - before).collect();
        sorted.sort_unstable();
        let span = Duration::from_nanos(last - first);
        (!sorted.is_empty()).then_some(Self {
            nominal_ns,
            warm_up_frames: warm.len() as u64,
            span,
            sorted,
        })
    }

    /// The number of gaps; never 0.
    pub fn count(&self) -> u64 {
        self.sorted.len() as u64
    }

    /// The number of gaps with an error of at most `ns`, in either direction.
    pub fn within(&self, ns: u64) -> u64 {
        let ns = float(ns);
        let below = self.sorted.partition_point(|&gap| self.error(gap) < -ns);
        let up_to = self.sorted.partition_point(|&gap| self.error(gap) <= ns);
        (up_to - below) as u64
    }

    /// The number of frames less than [`CLOSE_NS`] after the one before.
    pub fn close(&self) -> u64 {
        self.sorted.partition_point(|&gap| gap < CLOSE_NS) as u64
    }

    /// The error that this many thousandths of all gaps do not exceed (nearest rank), in
    /// nanoseconds.
    pub fn percentile_ns(&self, permille: u64) -> f64 {
        let rank = (self.count() * permille).div_ceil(1000).clamp(1, self.count());
        #[expect(clippy::cast_possible_truncation, reason = "below the length of `sorted`")]
        let index = (rank - 1) as usize;
        self.error(self.sorted[index])
    }

    /// The error of the shortest gap, in nanoseconds.
    pub fn least_ns(&self) -> f64 {
        self.percentile_ns(0)
    }

    /// The error of the longest gap, in nanoseconds.
    pub fn most_ns(&self) -> f64 {
        self.percentile_ns(1000)
    }

    /// The mean rate: gaps over the time they take together, in frames a second.
    pub fn mean_pps(&self) -> f64 {
        float(self.count()) / self.span.as_secs_f64()
    }

    /// The standard deviation of the gaps from their mean, in nanoseconds.
    pub fn deviation_ns(&self) -> f64 {
        let count = float(self.count());
        let mean = self.sorted.iter().map(|&gap| float(gap)).sum::<f64>() / count;
        (self.sorted.iter().map(|&gap| (float(gap) - mean).powi(2)).sum::<f64>() / count).sqrt()
    }

    /// The errors in `2 · each_side` bins of this width.
    pub fn histogram(&self, bin_ns: u32, each_side: u32) -> Histogram {
        let up_to = |edge: i64| {
            self.sorted.partition_point(|&gap| self.error(gap) < signed(edge * i64::from(bin_ns)))
        };
        let side = i64::from(each_side);
        let edges: Vec<usize> = (-side..=side).map(up_to).collect();
        Histogram {
            bin_ns,
            counts: edges.array_windows().map(|[from, to]| (to - from) as u64).collect(),
            below: up_to(-side) as u64,
            above: (self.sorted.len() - up_to(side)) as u64,
        }
    }

    fn error(&self, gap: u64) -> f64 {
        float(gap) - self.nominal_ns
    }
}

impl Histogram {
    /// The number of all gaps.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.below + self.above
    }

    /// The lower edge of the first bin, in nanoseconds.
    #[expect(clippy::cast_possible_wrap, reason = "no allocation has 2⁶³ bytes")]
    pub fn first_ns(&self) -> i64 {
        -i64::from(self.bin_ns) * (self.counts.len() / 2) as i64
    }
}

#[expect(clippy::cast_precision_loss, reason = "53 bits of nanoseconds are 104 days")]
fn float(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "a few bins of some nanoseconds")]
fn signed(number: i64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Arrivals with these gaps, the first at 1000 ns.
    fn arrivals(gaps: &[u64]) -> Vec<u64> {
        let mut at = 1000;
        let mut arrivals = vec![at];
        for gap in gaps {
            at += gap;
            arrivals.push(at);
        }
        arrivals
    }

    fn measure(gaps: &[u64], nominal_ns: f64) -> Gaps {
        Gaps::measure(&arrivals(gaps), nominal_ns, Duration::ZERO).unwrap()
    }

    #[test]
    fn shares_include_their_limits() {
        #[track_caller]
        fn check(gaps: &[u64], nominal_ns: f64, ns: u64, expected: u64) {
            assert_eq!(measure(gaps, nominal_ns).within(ns), expected);
        }
        let around = [1935, 1936, 1937, 2000, 2063, 2064, 2065, 9000];
        check(&around, 2000.0, 64, 5);
        check(&around, 2000.0, 65, 7);
        check(&around, 2000.0, 63, 3);
        check(&around, 2000.0, 0, 1);
        check(&around, 2000.0, 7000, 8);
        // A third of a microsecond: 333⅓ ± 1 holds 333 and 334, not 332 and 335.
        check(&[332, 333, 334, 335], 1000.0 / 3.0, 1, 2);
        // Nothing below zero.
        check(&[0, 10], 100.0, 512, 2);
    }

    #[test]
    fn percentiles_are_the_nearest_rank() {
        #[track_caller]
        fn check(permille: u64, expected: f64) {
            // Errors of 0 to 999, in disorder.
            let gaps: Vec<u64> = (0..1000).map(|index| 5000 + index * 7 % 1000).collect();
            assert_eq!(measure(&gaps, 5000.0).percentile_ns(permille), expected, "{permille}");
        }
        check(1, 0.0);
        check(10, 9.0);
        check(500, 499.0);
        check(999, 998.0);
        check(1000, 999.0);
        check(0, 0.0);
        let few = measure(&[90, 130, 100], 100.0);
        assert_eq!(
            PERMILLES.map(|permille| few.percentile_ns(permille)),
            [-10.0, -10.0, -10.0, -10.0, 0.0, 30.0, 30.0, 30.0, 30.0]
        );
        assert_eq!((few.least_ns(), few.most_ns()), (-10.0, 30.0));
    }

    #[test]
    fn the_rate_is_gaps_over_time_not_frames_over_time() {
        let gaps = measure(&[2000, 2000, 2000, 2000], 2000.0);
        assert_eq!((gaps.count(), gaps.span), (4, Duration::from_nanos(8000)));
        assert_eq!(gaps.mean_pps(), 500_000.0);
        assert_eq!(gaps.deviation_ns(), 0.0);
        // The textbook's 2, 4, 4, 4, 5, 5, 7, 9: mean 5, deviation 2.
        assert_eq!(measure(&[2, 4, 4, 4, 5, 5, 7, 9], 1.0).deviation_ns(), 2.0);
    }

    #[test]
    fn frames_that_leave_together_are_counted() {
        assert_eq!(measure(&[0, 199, 200, 201, 2000], 2000.0).close(), 2);
    }

    #[test]
    fn the_warm_up_is_left_out_with_the_gaps_that_begin_in_it() {
        #[track_caller]
        fn check(warm_up_ns: u64, frames_left_out: u64, gaps: &[u64]) {
            let arrivals = arrivals(&[10, 20, 30, 40]);
            let measured =
                Gaps::measure(&arrivals, 10.0, Duration::from_nanos(warm_up_ns)).unwrap();
            assert_eq!(
                (measured.warm_up_frames, &*measured.sorted),
                (frames_left_out, gaps),
                "{warm_up_ns}"
            );
            assert_eq!(measured.span.as_nanos(), u128::from(gaps.iter().sum::<u64>()));
        }
        check(0, 0, &[10, 20, 30, 40]);
        check(1, 1, &[20, 30, 40]);
        check(10, 1, &[20, 30, 40]);
        check(11, 2, &[30, 40]);
        check(60, 3, &[40]);
    }

    #[test]
    fn without_a_gap_there_is_no_statistic() {
        for (arrivals, warm_up_ns) in [
            (vec![], 0),
            (vec![5], 0),
            (vec![5, 9], 1),
            (vec![5, 9, 20], 15),
            (vec![5, 9], u64::MAX),
        ] {
            assert_eq!(
                Gaps::measure(&arrivals, 1.0, Duration::from_nanos(warm_up_ns)),
                None,
                "{arrivals:?}"
            );
        }
    }

    #[test]
    fn bins_hold_their_lower_edge() {
        let gaps = measure(&[67, 68, 83, 84, 99, 100, 115, 116, 131, 132, 1000], 100.0);
        let expected = Histogram { bin_ns: 16, counts: vec![2, 2, 2, 2], below: 1, above: 2 };
        let histogram = gaps.histogram(16, 2);
        assert_eq!(histogram, expected);
        assert_eq!((histogram.total(), histogram.first_ns()), (11, -32));
    }
}
