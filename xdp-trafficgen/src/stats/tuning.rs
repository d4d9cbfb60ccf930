//! Which of several settings a port should be sent with: what was measured of each, and the choice.
//!
//! Pure: knows no clock and no kernel. The machine is noisy, and what else it does changes from one
//! second to the next. So each setting is measured in rounds, each next to a round of the default,
//! and what counts is how many times the default's rate it reaches. A setting is only called faster
//! than another one when the difference is larger than what their rounds differ by.

use crate::{
    config::Action,
    stats::{DropReason, PortCount},
    units::median,
};

/// Rounds that a setting takes part in, at least, before it is compared: with five, one that
/// another guest of the machine spoiled moves neither the median nor the typical deviation by much.
pub const ROUNDS: u32 = 5;

/// Differences below this, as a part of the rate, are never a reason, however quiet the machine
/// was.
pub const LEAST_NOISE: f64 = 0.01;

/// More than this part of the rate is not given up for fewer losses or CPUs, however much the
/// fastest setting varied.
pub const MOST_GIVEN_UP: f64 = 0.05;

/// What `tune` can change about how a port sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The way frames take: `redirect` or `tx`.
    pub action: Action,
    /// A worker on each.
    pub cpus: Vec<u32>,
    /// Frames the kernel sends together.
    pub batch_size: u32,
}

/// What was measured of a setting.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The setting.
    pub setting: Setting,
    /// Its rounds.
    pub rounds: Vec<Round>,
    /// The frames of all rounds together.
    pub count: PortCount,
}

/// One round of a setting, in frames a second that the driver accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Round {
    /// With the setting.
    pub pps: f64,
    /// With the default, just before or after; of the default itself the same.
    pub default_pps: f64,
}

/// Something measured several times.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Typical {
    /// The median; 0 of nothing.
    pub value: f64,
    /// The median of the distances from it.
    pub deviation: f64,
}

impl Typical {
    /// Of these measurements.
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.collect();
        let value = median(values.iter().copied()).unwrap_or(0.0);
        Self {
            value,
            deviation: median(values.iter().map(|one| (one - value).abs())).unwrap_or(0.0),
        }
    }
}

/// Frames a second that the driver accepted.
#[expect(clippy::cast_precision_loss, reason = "a rate is compared to a few digits")]
pub fn pps(count: &PortCount) -> f64 {
    let seconds = count.elapsed.as_secs_f64();
    if seconds > 0.0 { count.frames_tx as f64 / seconds } else { 0.0 }
}

impl Point {
    /// Before the first round.
    pub fn new(setting: Setting) -> Self {
        Self { setting, rounds: Vec::new(), count: PortCount::default() }
    }

    /// Adds a round, and the rate of the default next to it.
    pub fn add(&mut self, round: PortCount, default_pps: f64) {
        self.rounds.push(Round { pps: pps(&round), default_pps });
        let earlier = std::mem::replace(&mut self.count, round);
        self.count.add(&earlier);
    }

    /// Frames a second.
    pub fn rate(&self) -> Typical {
        Typical::of(self.rounds.iter().map(|round| round.pps))
    }

    /// How many times the default's rate; a value of 0 when the default sent nothing.
    pub fn times_default(&self) -> Typical {
        let rounds = self.rounds.iter().filter(|round| round.default_pps > 0.0);
        Typical::of(rounds.map(|round| round.pps / round.default_pps))
    }

    /// The share of attempted frames that went nowhere.
    #[expect(clippy::cast_precision_loss, reason = "a share is shown to a few digits")]
    pub fn loss(&self) -> f64 {
        if self.count.frames_attempted > 0 {
            self.count.frames_dropped() as f64 / self.count.frames_attempted as f64
        } else {
            0.0
        }
    }

    /// Losses that are alike: none, below one percent, below two and so on. Finer differences are
    /// chance.
    fn loss_class(&self) -> u32 {
        match self.count.frames_dropped() {
            0 => 0,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of 0 to 1"
            )]
            _ => 1 + (self.loss() * 100.0) as u32,
        }
    }

    /// Reasons of drops, with their frames.
    pub fn drops(&self) -> &[(DropReason, u64)] {
        &self.count.drops
    }

    fn is_complete(&self) -> bool {
        self.rounds.len() >= ROUNDS as usize
    }
}

/// The setting to propose, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its index among the points.
    pub point: usize,
    /// What speaks for it.
    pub why: Rationale,
}

/// What speaks for a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rationale {
    /// It is the default, and nothing was better by more than the noise.
    Default,
    /// It is faster than the default by more than the noise and what it loses more.
    Faster,
    /// It is about as fast as the default, and loses fewer frames.
    LosesFewer,
}

/// Chooses among points, the first of which is the default. None while the default has not been in
/// all of its rounds, or when nothing could be sent.
///
/// Only settings that are better than the default themselves are looked at, so that whatever is
/// chosen is at least as fast as it, give or take the noise. What sends more and also loses more is
/// only better when it wins more frames than it loses: a few percent of the rate are not bought
/// with a third of the frames. Of those about as fast as the fastest of them, the one that
/// loses the fewest frames is taken, then the one with the fewest CPUs, then the one that is most
/// like the default.
pub fn choose(points: &[Point]) -> Option<Choice> {
    let default = points.first().filter(|default| default.is_complete())?;
    // Where the default sends nothing there is no measure but the rate itself.
    let speed = |point: &Point| {
        if default.rate().value > 0.0 { point.times_default() } else { point.rate() }
    };
    let candidates = (0..)
        .zip(points)
        .skip(1)
        .filter(|(_, point)| point.is_complete() && point.rate().value > 0.0);
    let better: Vec<(usize, &Point, Typical, Rationale)> = candidates
        .filter_map(|(index, point)| {
            let speed_of_it = speed(point);
            let gain = speed_of_it.value - speed(default).value;
            let noise = noise(speed_of_it, speed(default));
            let loses_more = lost(point, speed_of_it) - lost(default, speed(default));
            let loses_fewer = point.loss_class() < default.loss_class();
            let why = if gain > noise + loses_more.max(0.0) {
                Some(Rationale::Faster)
            } else {
                (gain >= -noise && loses_fewer).then_some(Rationale::LosesFewer)
            };
            Some((index, point, speed_of_it, why?))
        })
        .collect();
    let Some(fastest) = better
        .iter()
        .map(|&(_, _, speed, _)| speed)
        .max_by(|one, other| one.value.total_cmp(&other.value))
    else {
        return (default.rate().value > 0.0)
            .then_some(Choice { point: 0, why: Rationale::Default });
    };
    let as_fast =
        better.into_iter().filter(|&(_, _, speed, _)| fastest.value - speed.value <= tie(fastest));
    let chosen = as_fast.min_by_key(|(_, point, _, _)| {
        let Setting { action, cpus, batch_size } = &point.setting;
        let other_path = *action != default.setting.action;
        (
            point.loss_class(),
            cpus.len(),
            other_path,
            batch_size.abs_diff(default.setting.batch_size),
        )
    });
    chosen.map(|(point, _, _, why)| Choice { point, why })
}

/// What went nowhere, in the unit of the speed, which is of frames that the driver accepted.
#[expect(clippy::cast_precision_loss, reason = "a rate is compared to a few digits")]
fn lost(point: &Point, speed: Typical) -> f64 {
    let PortCount { frames_tx, .. } = point.count;
    if frames_tx > 0 {
        speed.value * point.count.frames_dropped() as f64 / frames_tx as f64
    } else {
        0.0
    }
}

/// Speeds that differ by no more than this are about the same: twice the typical deviation of the
/// one that varies more. (For normally distributed rounds that is 2.4 standard errors of the median
/// of five.)
fn noise(one: Typical, other: Typical) -> f64 {
    (2.0 * one.deviation.max(other.deviation)).max(LEAST_NOISE * one.value.max(other.value))
}

/// Speeds that are less than the fastest by no more than this are as good, for its lead may be
/// chance. What the slower one varies by does not count: the worse it was measured, the sooner it
/// would be taken.
fn tie(fastest: Typical) -> f64 {
    (2.0 * fastest.deviation).clamp(LEAST_NOISE * fastest.value, MOST_GIVEN_UP * fastest.value)
}

#[cfg(test)]
mod tests;
