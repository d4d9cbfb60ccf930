//! Moves streams far ahead, in few steps: what a day of departures comes to is worked out, not counted. For the host alone; the
//! program, which never has far to go, steps (`timing::skip`).

use xdp_trafficgen_ebpf::{
    abi::timing::{Departures, Gap, Segment, departures as kinds},
    timing,
};

use super::{rates::small, simulation::HostTables};

/// Gives up all departures that are due before a time, as `timing::skip` does when it is called until there are no more. Takes
/// as many steps as one period has segments; only random departures are drawn one by one.
pub(super) fn skip_to(stream: &mut Departures, time: u64, segments: &[Segment], exponentials: &[u32]) {
    let tables = HostTables::with(segments, exponentials);
    loop {
        if stream.kind != kinds::POISSON && stream.left > 0 {
            let until = time.min(stream.end);
            whole_periods(stream, until, segments);
            equal_gaps(stream, until);
        }
        if !timing::skip(stream, time, &tables) {
            return;
        }
    }
}

/// From the beginning of a period to that of another, from which on departures are due before `until`, too.
fn whole_periods(stream: &mut Departures, until: u64, segments: &[Segment]) {
    let parts = parts(stream.period);
    if stream.kind != kinds::SEGMENTS || stream.period.ns == 0 || stream.segment != stream.first_segment {
        return;
    }
    let Some(first) = segments.get(stream.first_segment as usize) else { return };
    if stream.run != first.frames {
        return;
    }
    // The last of them is left for steps: the last departure of a period may be due at its very end.
    let time = u128::from(until.saturating_sub(stream.period_start)) * u128::from(stream.period.whole);
    let periods = (time.saturating_sub(stream.period_rest.into()) / parts).saturating_sub(1);
    if periods == 0 {
        return;
    }
    let Some(own) = segments.get(stream.first_segment as usize..stream.segment_end as usize) else { return };
    let frames: u128 = own.iter().map(|segment| u128::from(segment.frames)).sum();
    let periods = match stream.left {
        u64::MAX => periods,
        left => periods.min(u128::from(left - 1) / frames.max(1)),
    };
    let rest = u128::from(stream.period_rest) + periods * parts;
    stream.period_start += small(rest / u128::from(stream.period.whole));
    stream.period_rest = small(rest % u128::from(stream.period.whole));
    let rest = u128::from(first.rest) + u128::from(stream.period_rest);
    stream.due = stream.period_start + first.start + small(rest / u128::from(first.gap.whole));
    stream.rest = small(rest % u128::from(first.gap.whole));
    pass(stream, small(periods * frames));
}

/// Over departures at equal distances, whatever the parts of a nanosecond; the last one before `until` is left for a step.
fn equal_gaps(stream: &mut Departures, until: u64) {
    let parts = parts(stream.gap);
    if parts == 0 || stream.due >= until {
        return;
    }
    let whole = u128::from(stream.gap.whole);
    // Times up to 2⁶¹ ns, in parts of up to 2⁻⁶³ ns: these fit.
    let last = u128::from(until - 1 - stream.due) * whole + (whole - 1);
    let run = if stream.kind == kinds::SEGMENTS { stream.run } else { u64::MAX };
    let most = u128::from(run.min(stream.left).saturating_sub(1));
    let many = (last.saturating_sub(stream.rest.into()) / parts).min(most);
    let rest = u128::from(stream.rest) + many * parts;
    stream.due += small(rest / whole);
    stream.rest = small(rest % whole);
    if stream.kind == kinds::SEGMENTS && stream.run != u64::MAX {
        stream.run -= small(many);
    }
    pass(stream, small(many));
}

fn pass(stream: &mut Departures, frames: u64) {
    stream.skipped += frames;
    if stream.left != u64::MAX {
        stream.left -= frames;
    }
}

/// A time in its parts of a nanosecond.
fn parts(gap: Gap) -> u128 {
    u128::from(gap.ns) * u128::from(gap.whole) + u128::from(gap.rest)
}
