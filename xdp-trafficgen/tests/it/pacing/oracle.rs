//! When frames are due, computed again from what the documentation says of rates.

/// Number of departures of a constant rate, in frames a second, that are due before the end of so
/// many seconds; number k is due after k + `phase` gaps.
pub(crate) fn constant(rate: f64, phase: f64, seconds: f64) -> u64 {
    frames(rate * seconds - phase)
}

/// The part of a gap by which a constant flow is shifted among others: the fraction of a multiple
/// of the golden ratio.
pub(crate) fn phase(index: u64) -> f64 {
    (index as f64 * (5f64.sqrt() - 1.0) / 2.0).fract()
}

/// Frames as a function of seconds: the integral of a rate.
pub(crate) struct Load<'a> {
    pub(crate) integral: &'a dyn Fn(f64) -> f64,
    /// Seconds after which the load repeats.
    pub(crate) period: Option<f64>,
}

impl Load<'_> {
    /// Frames due before the end of so many seconds. A period has as many frames as its integral
    /// begins.
    pub(crate) fn count(&self, seconds: f64) -> u64 {
        match self.period {
            None => frames((self.integral)(seconds)),
            Some(period) => {
                let periods = (seconds / period + 1e-9).floor();
                let rest = (seconds - periods * period).max(0.0);
                whole(periods) * frames((self.integral)(period)) + frames((self.integral)(rest))
            }
        }
    }

    /// When frame `number` is due, in seconds: the last moment at which no more than `number`
    /// frames have been due, within `most` seconds.
    pub(crate) fn due(&self, number: u64, most: f64) -> f64 {
        let (periods, number, end) = match self.period {
            None => (0.0, number, most),
            Some(period) => {
                let frames = frames((self.integral)(period));
                ((number / frames) as f64 * period, number % frames, period)
            }
        };
        let (mut low, mut high) = (0.0, end);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if (self.integral)(middle) <= number as f64 + 1e-9 {
                low = middle;
            } else {
                high = middle;
            }
        }
        periods + low
    }
}

/// An integral's value as a number of frames: a frame that has begun counts.
fn frames(integral: f64) -> u64 {
    whole((integral - 1e-6).ceil())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small and not negative"
)]
fn whole(number: f64) -> u64 {
    number.max(0.0) as u64
}

/// The median lateness of the frames, in nanoseconds; `due` is in seconds. The earliest frame
/// counts as punctual, because the moment of the start is unknown.
fn median_lateness(arrived: &[u64], due: impl Fn(u64) -> f64) -> f64 {
    let late = (0..).zip(arrived).map(|(number, &arrived)| arrived as f64 - 1e9 * due(number));
    let mut late: Vec<f64> = late.collect();
    late.sort_by(f64::total_cmp);
    late.get(late.len() / 2).map_or(0.0, |median| median - late[0])
}

/// Whether the median lateness fits a punctual load on a busy machine, and not a load of another
/// shape.
pub(crate) fn is_punctual(arrived: &[u64], due: impl Fn(u64) -> f64) -> Result<(), String> {
    let late = median_lateness(arrived, due);
    if late < 8e6 { Ok(()) } else { Err(format!("half of the frames are {late} ns late or more")) }
}
