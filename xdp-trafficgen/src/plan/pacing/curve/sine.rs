//! A sine's frames, and the times of frames, in floating point.

use std::f64::consts::TAU;

use crate::plan::pacing::rates::whole;

/// A sine, in frames and nanoseconds.
pub(super) struct Sine {
    pub(super) mean: f64,
    pub(super) amplitude: f64,
    pub(super) period: f64,
}

impl Sine {
    /// N(t), with 1 - cos x as 2 · sin²(x / 2), which is exact for small x.
    pub(super) fn frames(&self, time: f64) -> f64 {
        let half = (TAU / 2.0 * time / self.period).sin();
        self.mean * time + self.amplitude * self.period / TAU * 2.0 * half * half
    }

    /// The time of a frame, by Newton's method within an interval that shrinks.
    pub(super) fn time(&self, frame: u64) -> u64 {
        let frame = frame as f64;
        let (mut low, mut high) = (0.0, self.period);
        // The bound is 0.01 ns, or what 53 bits can hold: a day has too many nanoseconds for
        // hundredths.
        let enough = (self.period * 2.0 * f64::EPSILON).max(0.01);
        let mut time = (frame / self.mean).min(self.period);
        for _ in 0..100 {
            let off = self.frames(time) - frame;
            if off > 0.0 {
                high = time;
            } else {
                low = time;
            }
            let rate = self.mean + self.amplitude * (TAU * time / self.period).sin();
            let next = time - off / rate;
            let next = if next > low && next < high { next } else { low.midpoint(high) };
            let done = (next - time).abs() < enough || high - low < enough;
            time = next;
            if done {
                break;
            }
        }
        whole(time)
    }
}
