//! Moves streams far ahead in few steps: a day of departures is worked out, not counted one by one.
//! Only the host needs this; the program moves by short distances, in steps (`timing::skip`).

use xdp_trafficgen_ebpf::{
    abi::timing::{Gap, Segment, Stream, stream_kind},
    timing,
};

use super::{
    rates::{fits, or_endless},
    simulation::HostTables,
};

/// Counts all departures that are due before a time as unsent, like repeated calls of
/// `timing::skip`. It takes as many steps as one period has segments; only random departures are
/// drawn one by one.
pub(super) fn skip_to(stream: &mut Stream, time: u64, segments: &[Segment], exponentials: &[u32]) {
    let tables = HostTables::with(segments, exponentials);
    loop {
        if stream.spec.kind != stream_kind::POISSON && stream.state.left > 0 {
            let until = time.min(stream.spec.end);
            whole_periods(stream, until, segments);
            equal_gaps(stream, until);
        }
        if !timing::skip(stream, time, &tables) {
            return;
        }
    }
}

/// Moves a stream by whole periods, to the beginning of one with departures before `until`.
fn whole_periods(stream: &mut Stream, until: u64, segments: &[Segment]) {
    let parts = parts(stream.spec.period);
    if stream.spec.kind != stream_kind::SEGMENTS
        || stream.spec.period.ns == 0
        || stream.state.segment != stream.spec.first_segment
    {
        return;
    }
    let Some(first) = segments.get(stream.spec.first_segment as usize) else { return };
    if stream.state.segment_left != first.frames {
        return;
    }
    // The last period is left for steps: its last departure may be due at its very end.
    let time = u128::from(until.saturating_sub(stream.state.period_start))
        * u128::from(stream.spec.period.whole);
    let periods =
        (time.saturating_sub(stream.state.period_start_rest.into()) / parts).saturating_sub(1);
    if periods == 0 {
        return;
    }
    let Some(own) =
        segments.get(stream.spec.first_segment as usize..stream.spec.segment_end as usize)
    else {
        return;
    };
    let frames: u128 = own.iter().map(|segment| u128::from(segment.frames)).sum();
    let periods = match stream.state.left {
        u64::MAX => periods,
        left => periods.min(u128::from(left - 1) / frames.max(1)),
    };
    let rest = u128::from(stream.state.period_start_rest) + periods * parts;
    stream.state.period_start += fits(rest / u128::from(stream.spec.period.whole));
    stream.state.period_start_rest = fits(rest % u128::from(stream.spec.period.whole));
    let rest = u128::from(first.rest) + u128::from(stream.state.period_start_rest);
    stream.state.due =
        stream.state.period_start + first.start + fits(rest / u128::from(first.gap.whole));
    stream.state.due_rest = fits(rest % u128::from(first.gap.whole));
    pass(stream, or_endless(periods * frames));
}

/// Moves a stream over departures at equal gaps; the last one before `until` is left for a step.
fn equal_gaps(stream: &mut Stream, until: u64) {
    let parts = parts(stream.state.gap);
    if parts == 0 || stream.state.due >= until {
        return;
    }
    let whole = u128::from(stream.state.gap.whole);
    // Times are up to 2⁶¹ ns, in parts of at least 2⁻⁶³ ns: 128 bits hold them.
    let last = u128::from(until - 1 - stream.state.due) * whole + (whole - 1);
    let run = if stream.spec.kind == stream_kind::SEGMENTS {
        stream.state.segment_left
    } else {
        u64::MAX
    };
    let most = u128::from(run.min(stream.state.left).saturating_sub(1));
    let many = (last.saturating_sub(stream.state.due_rest.into()) / parts).min(most);
    let rest = u128::from(stream.state.due_rest) + many * parts;
    stream.state.due += fits(rest / whole);
    stream.state.due_rest = fits(rest % whole);
    if stream.spec.kind == stream_kind::SEGMENTS && stream.state.segment_left != u64::MAX {
        stream.state.segment_left -= fits(many);
    }
    pass(stream, fits(many));
}

fn pass(stream: &mut Stream, frames: u64) {
    stream.counts.unsent += frames;
    if stream.state.left != u64::MAX {
        stream.state.left -= frames;
    }
}

/// A gap in its parts of a nanosecond.
fn parts(gap: Gap) -> u128 {
    u128::from(gap.ns) * u128::from(gap.whole) + u128::from(gap.rest)
}
