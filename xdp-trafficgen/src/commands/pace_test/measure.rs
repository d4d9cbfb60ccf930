//! From the arrivals to the gaps between them: how much room they take, when all are there, and
//! what they come to.

use std::{
    thread,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::PaceTestError;
use crate::{
    cli::WarmUp,
    commands::CommandError,
    config::{Rate, RateUnit, rate::DEFAULT_LATE_THRESHOLD},
    host::machine,
    kernel::{Arrivals, arrivals::Arrived},
    output::pace_test::PaceTestReport,
    stats::{PortCount, gaps::Gaps},
    units::FrameLen,
};

/// Eight bytes each in the kernel's log, which must have room for all, and as many again here.
pub(super) const MOST_FRAMES: u64 = 30_000_000;

/// Nanoseconds from frame to frame; none for shares of the line rate. `size`: bytes on the wire,
/// FCS included.
#[expect(clippy::cast_precision_loss, reason = "a gap is compared with whole nanoseconds")]
pub(super) fn nominal_gap_ns(rate: Rate, size: u32) -> Option<f64> {
    let bits = match rate.unit {
        RateUnit::Frames => 1,
        RateUnit::BitsL2 => 8 * u64::from(size),
        RateUnit::BitsL1 => FrameLen::new(size).on_wire().bits(),
        RateUnit::LineShare => return None,
    };
    let gap = bits as f64 * 1e9 * rate.amount.denominator() as f64 / rate.amount.numerator() as f64;
    gap.is_finite().then_some(gap)
}

/// Room for what should arrive, and a little more.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positive; the largest number is refused"
)]
pub(in crate::commands) fn capacity(gap_ns: f64, duration: Duration) -> Result<u64, PaceTestError> {
    let frames = (duration.as_secs_f64() * 1e9 / gap_ns * 1.01) as u64;
    if frames > MOST_FRAMES { Err(PaceTestError::TooMany(frames)) } else { Ok(frames + 1) }
}

/// Until the time is over, or a signal comes.
pub(super) fn wait(duration: Duration, stop: &CancellationToken) {
    let end = Instant::now() + duration;
    while !stop.is_cancelled() && Instant::now() < end {
        thread::sleep(Duration::from_millis(10).min(end.saturating_duration_since(Instant::now())));
    }
}

/// The last frames may still wait for a softirq on another CPU. Gives up after half a second, for
/// frames that are lost are lost.
pub(super) fn settle(arrivals: &Arrivals, sent: u64) -> Result<(), CommandError> {
    let deadline = Instant::now() + Duration::from_millis(500);
    loop {
        let seen = arrivals.seen()?;
        if seen.stamped + seen.missed >= sent || Instant::now() >= deadline {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// What this process sent.
pub(in crate::commands) struct Sent {
    pub(super) port: PortCount,
    pub(super) workers: usize,
    /// Frames that left later than this after they were due count as late.
    pub(super) late_threshold: Duration,
}

pub(in crate::commands) fn measure(
    arrived: Arrived,
    receiver: String,
    sent: Option<Sent>,
    nominal_ns: f64,
    WarmUp(warm_up): WarmUp,
) -> Result<PaceTestReport, PaceTestError> {
    let Arrived { stamps, missed, passed: _ } = arrived;
    let (workers, late_threshold) = sent
        .as_ref()
        .map_or((0, DEFAULT_LATE_THRESHOLD), |sent| (sent.workers, sent.late_threshold));
    let sent = sent.map(|sent| sent.port);
    let times: Vec<u64> = stamps.iter().map(|stamp| stamp.ns).collect();
    let Some(&first) = times.first() else {
        let sender = sent.as_ref().map(|port| port.interface.clone()).unwrap_or_default();
        return Err(PaceTestError::NothingArrived {
            sender,
            sent: sent.map(|port| port.frames_tx),
            receiver,
        });
    };
    let Some(gaps) = Gaps::measure(&times, nominal_ns, warm_up) else {
        if missed > 0 {
            return Err(PaceTestError::Flooded { missed, receiver });
        }
        let warm = times.partition_point(|&time| u128::from(time - first) < warm_up.as_nanos());
        return Err(PaceTestError::TooFew {
            arrived: (times.len() - warm) as u64,
            receiver,
            warm_up,
        });
    };
    Ok(PaceTestReport {
        machine: machine(),
        receiver,
        sent,
        workers,
        late_threshold,
        arrived: times.len() as u64,
        missed,
        warm_up,
        gaps,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Ratio;

    #[test]
    fn a_gap_follows_from_the_rate_and_the_size() {
        #[track_caller]
        fn check(
            numerator: u64,
            denominator: u64,
            unit: RateUnit,
            size: u32,
            expected: Option<f64>,
        ) {
            let rate = Rate { amount: Ratio::new(numerator, denominator), unit };
            assert_eq!(nominal_gap_ns(rate, size), expected);
        }
        check(500_000, 1, RateUnit::Frames, 64, Some(2000.0));
        check(1, 2, RateUnit::Frames, 64, Some(2e9));
        check(1_000_000_000, 1, RateUnit::BitsL2, 125, Some(1000.0));
        // Ten gigabit Ethernet's 14.88 Mpps.
        check(10_000_000_000, 1, RateUnit::BitsL1, 64, Some(67.2));
        check(1, 2, RateUnit::LineShare, 64, None);
    }

    #[test]
    fn there_is_room_for_all_frames_or_an_error() {
        assert_eq!(capacity(2000.0, Duration::from_secs(2)).unwrap(), 1_010_001);
        assert!(matches!(
            capacity(1000.0, Duration::from_secs(60)),
            Err(PaceTestError::TooMany(60_600_000))
        ));
        assert!(capacity(1.0, Duration::MAX).is_err());
    }
}
