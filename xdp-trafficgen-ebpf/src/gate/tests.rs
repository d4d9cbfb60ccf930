//! A model of a queue and its link, in which the gate must lose neither frames nor time.

use super::*;

/// What a worker sends through.
struct Link {
    /// Nanoseconds a frame.
    gap: f64,
    /// Entries of the queue.
    ring: u64,
    /// Frames that leave the queue together.
    lump: u64,
    /// The receiver stands still for so many nanoseconds, each time after so many.
    stall: (f64, f64),
}

/// What became of a run.
struct Outcome {
    refused: u64,
    took: f64,
    gate: Gate,
}

impl Link {
    const SMOOTH: (f64, f64) = (0.0, 0.0);

    /// A worker that needs so many nanoseconds for a frame sends until the driver has taken
    /// `frames`.
    fn carry(&self, frames: u64, frame_ns: f64, nominal: Option<u64>) -> Outcome {
        const BULK: u64 = 16;
        let begin = 1e9;
        let mut gate = Gate::new(nominal, begin as u64);
        let (mut now, mut taken, mut refused_frames) = (begin, 0, 0);
        // Frames in the queue, and since when the link has been busy with the first of them.
        let (mut queued, mut since) = (0, now);
        let mut next_stall = now + self.stall.1;
        while taken < frames {
            now += BULK as f64 * frame_ns;
            if self.stall.0 > 0.0 && now > next_stall {
                since += self.stall.0;
                next_stall += self.stall.1 + self.stall.0;
            }
            let busy = (now - since).max(0.0);
            let left = (busy / self.gap) as u64 / self.lump * self.lump;
            if left >= queued {
                (queued, since) = (0, now);
            } else {
                queued -= left;
                since += left as f64 * self.gap;
            }
            let sent = BULK.min(self.ring - queued);
            queued += sent;
            taken += sent;
            if sent < BULK {
                refused_frames += BULK - sent;
                refused(&mut gate.state, taken, now as u64);
            } else {
                passed(&mut gate.state, sent, now as u64);
            }
            now = now.max(gate.state.next as f64);
        }
        Outcome { refused: refused_frames, took: now - begin, gate }
    }
}

/// A million frames: at most `most` are refused, and the link is idle for no more than 2 % of the
/// time that it needs.
#[track_caller]
fn check(link: &Link, frame_ns: f64, nominal: Option<u64>, most: u64) -> Gate {
    const FRAMES: u64 = 1_000_000;
    let Outcome { refused, took, gate } = link.carry(FRAMES, frame_ns, nominal);
    let stalls =
        if link.stall.0 > 0.0 { took / (link.stall.0 + link.stall.1) * link.stall.0 } else { 0.0 };
    let idle = (took - stalls) / (FRAMES as f64 * link.gap.max(frame_ns)) - 1.0;
    let Link { gap, ring, lump, .. } = link;
    assert!(
        refused <= most && idle < 0.02,
        "{gap} ns, ring {ring}, lump {lump}: {refused} refused, {idle:.4} idle"
    );
    gate
}

#[test]
fn a_slow_link_is_kept_busy_and_refuses_next_to_nothing() {
    for gap in [160.0, 200.0, 450.0, 1000.0, 10_000.0, 123_000.0] {
        for ring in [256, 512, 4096] {
            for lump in [1, 16, 64] {
                let link = Link { gap, ring, lump, stall: Link::SMOOTH };
                check(&link, 150.0, None, 900);
                check(&link, 150.0, Some(((gap * 0.9) as u64) << GAP_SHIFT), 900);
            }
        }
    }
}

/// Each time that the receiver stands still for longer than its queue lasts, some bulks are
/// refused: fewer than ten. It is as fast as before when it goes on, and so is the worker.
#[test]
fn a_receiver_that_stands_still_at_times_gets_its_rate_again() {
    for (stall, stalls) in [((1e6, 1e8), 5), ((3e5, 1e7), 50)] {
        let link = Link { gap: 450.0, ring: 256, lump: 16, stall };
        check(&link, 150.0, None, 900 + stalls * 160);
    }
}

/// A receiver that shares its CPU with other work has it in slices.
#[test]
fn a_receiver_that_is_often_away_gets_frames_in_its_slices() {
    for stall in [(4e6, 1e7), (3e6, 3e6)] {
        let link = Link { gap: 450.0, ring: 256, lump: 16, stall };
        let Outcome { took, .. } = link.carry(1_000_000, 150.0, None);
        let slices = stall.1 / (stall.0 + stall.1);
        let idle = took * slices / (1e6 * link.gap) - 1.0;
        assert!(idle < 0.1, "{stall:?}: {idle:.4} idle");
    }
}

#[test]
fn a_link_that_outruns_its_worker_has_an_open_gate() {
    let link = Link { gap: 100.0, ring: 256, lump: 16, stall: Link::SMOOTH };
    assert_eq!(check(&link, 150.0, Some(100 << GAP_SHIFT), 0).state.belief.gap, 0);
    assert_eq!(check(&link, 150.0, None, 0).state.belief.gap, 0);
}

/// A driver that takes a few frames of each bulk, however long the gate waits, does not refuse them
/// for want of room.
#[test]
fn a_gate_stays_open_where_waiting_does_not_help() {
    let mut gate = Gate::new(None, 1_000_000_000);
    let (mut now, mut taken) = (1_000_000_000, 0);
    let mut bulks = 0;
    while gate.state.blocked == 0 {
        bulks += 1;
        taken += 5;
        refused(&mut gate.state, taken, now);
        now = gate.state.next + 2000;
        assert!(bulks < 1000, "{gate:?}");
    }
    assert_eq!((gate.state.belief.gap, gate.state.next <= now), (0, true));
    refused(&mut gate.state, taken + 5, now + 5);
    assert!(gate.state.next <= now + 5);
}

/// A receiver that is as fast as its sender, and away for a little longer than its queue lasts, is not
/// taken for a slow one.
#[test]
fn hiccups_do_not_wear_an_estimate_down() {
    let link = Link { gap: 90.0, ring: 256, lump: 16, stall: (3e4, 5e5) };
    let Outcome { took, .. } = link.carry(1_000_000, 85.0, None);
    let idle = took * (link.stall.1 / (link.stall.0 + link.stall.1)) / (1e6 * link.gap) - 1.0;
    assert!(idle < 0.12, "{idle:.4} idle");
}
