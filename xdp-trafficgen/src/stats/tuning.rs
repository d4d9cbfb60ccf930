//! Which of several settings a port should use: the measurements of each, and the choice.
//!
//! Pure: this module knows no clock and no kernel. The machine is noisy, and its other load changes
//! from one second to the next. So each setting is measured in rounds, each next to a round of the
//! default, and settings are compared by the ratio of their rate to the default's. A setting counts
//! as faster than another only when the difference exceeds the variation of their rounds.

use crate::{
    config::Action,
    stats::{DropReason, PortCount},
    units::median,
};

/// The least number of rounds before a setting is compared: of five, one that another guest of the
/// machine disturbed moves neither the median nor the typical deviation by much.
pub const ROUNDS: u32 = 5;

/// Differences below this part of the rate count as noise, however quiet the machine was.
pub const LEAST_NOISE: f64 = 0.01;

/// The largest part of the rate that is traded for fewer losses or CPUs, however much the fastest
/// setting varied.
pub const MOST_GIVEN_UP: f64 = 0.05;

/// What `tune` can change about how a port sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// How frames are sent: `redirect` or `tx`.
    pub action: Action,
    /// The CPUs, each with a worker.
    pub cpus: Vec<u32>,
    /// Frames the kernel sends together.
    pub batch_size: u32,
}

/// A setting and its measurements.
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
    /// The rate with the setting.
    pub pps: f64,
    /// The rate with the default, just before or after; for the default itself, its own.
    pub default_pps: f64,
}

/// The typical value of several measurements.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Typical {
    /// The median; 0 without measurements.
    pub value: f64,
    /// The median of the distances from that median.
    pub deviation: f64,
}

impl Typical {
    /// The typical value of these measurements.
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
    /// A setting before its first round.
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

    /// The ratio of the rate to the default's; a value of 0 when the default sent nothing.
    pub fn times_default(&self) -> Typical {
        let rounds = self.rounds.iter().filter(|round| round.default_pps > 0.0);
        Typical::of(rounds.map(|round| round.pps / round.default_pps))
    }

    /// The share of attempted frames that were dropped.
    #[expect(clippy::cast_precision_loss, reason = "a share is shown to a few digits")]
    pub fn loss(&self) -> f64 {
        if self.count.frames_attempted > 0 {
            self.count.frames_dropped() as f64 / self.count.frames_attempted as f64
        } else {
            0.0
        }
    }

    /// The class of the loss: 0 for none, 1 below one percent, 2 below two, and so on. Finer
    /// differences are chance.
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
    /// The reason for it.
    pub why: Rationale,
}

/// The reason for a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rationale {
    /// It is the default, and no setting was better by more than the noise.
    Default,
    /// It is faster than the default by more than the noise and its additional losses.
    Faster,
    /// It is about as fast as the default, and loses fewer frames.
    LosesFewer,
}

/// Chooses among points, the first of which is the default. None while the default lacks rounds, or
/// when no setting could send.
///
/// Only settings that are better than the default are considered, so that the choice is at least as
/// fast as the default, within the noise. A setting that sends more and also loses more is better
/// only when the gain exceeds the loss: a few percent of the rate are not worth a third of the
/// frames. Among the settings that are about as fast as the fastest one, the order is: fewest lost
/// frames, fewest CPUs, most like the default.
pub fn choose(points: &[Point]) -> Option<Choice> {
    let default = points.first().filter(|default| default.is_complete())?;
    // Where the default sends nothing, settings are compared by the rate itself.
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

/// The dropped frames in the unit of `speed`, which counts the frames that the driver accepted.
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

/// Speeds within this distance of the fastest one are as good, because its lead may be chance. The
/// variation of the slower one is left out: the worse a setting was measured, the sooner it would
/// be chosen.
fn tie(fastest: Typical) -> f64 {
    (2.0 * fastest.deviation).clamp(LEAST_NOISE * fastest.value, MOST_GIVEN_UP * fastest.value)
}

#[cfg(test)]
mod tests;
