//! Which of several settings a port should be sent with: what was measured of each, and the choice.
//!
//! Pure: knows no clock and no kernel. The machine is noisy, so each setting is measured in rounds, in turn with the others, and a
//! setting is only called faster than another one when the difference is larger than what the rounds of the two differ by.

use crate::{
    config::Action,
    stats::{DropReason, PortCount},
};

/// Rounds that a setting takes part in, at least, before it is compared: with five, one that another guest of the machine spoiled
/// moves neither the median nor the typical deviation by much.
pub const ROUNDS: usize = 5;

/// Differences below this are never a reason, however quiet the machine was.
pub const LEAST_NOISE: f64 = 0.01;

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
    /// Frames a second that the driver accepted, in each round.
    pub rounds: Vec<f64>,
    /// The frames of all rounds together.
    pub count: PortCount,
}

impl Point {
    /// Before the first round.
    pub fn new(setting: Setting) -> Self {
        Self { setting, rounds: Vec::new(), count: PortCount::default() }
    }

    /// Adds a round.
    #[expect(clippy::cast_precision_loss, reason = "a rate is compared to three digits")]
    pub fn add(&mut self, round: PortCount) {
        let seconds = round.elapsed.as_secs_f64();
        self.rounds.push(if seconds > 0.0 { round.transmitted as f64 / seconds } else { 0.0 });
        let earlier = std::mem::replace(&mut self.count, round);
        self.count.add(&earlier);
    }

    /// Frames a second: the median of the rounds, 0 before the first.
    pub fn rate(&self) -> f64 {
        median(self.rounds.clone())
    }

    /// How far a round typically is from the median: the median of the distances, in frames a second.
    pub fn deviation(&self) -> f64 {
        let rate = self.rate();
        median(self.rounds.iter().map(|round| (round - rate).abs()).collect())
    }

    /// The share of attempted frames that went nowhere.
    #[expect(clippy::cast_precision_loss, reason = "a share is shown to a few digits")]
    pub fn loss(&self) -> f64 {
        if self.count.attempted > 0 { self.count.dropped() as f64 / self.count.attempted as f64 } else { 0.0 }
    }

    /// Losses that are alike: none, below one percent, below two and so on. Finer differences are chance.
    fn loss_class(&self) -> u32 {
        match self.count.dropped() {
            0 => 0,
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of 0 to 1")]
            _ => 1 + (self.loss() * 100.0) as u32,
        }
    }

    /// Reasons of drops, with their frames.
    pub fn drops(&self) -> &[(DropReason, u64)] {
        &self.count.drops
    }

    fn is_complete(&self) -> bool {
        self.rounds.len() >= ROUNDS
    }
}

/// The setting to propose, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its index among the points.
    pub point: usize,
    /// What speaks for it.
    pub why: Why,
}

/// What speaks for a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is the default, and nothing was better by more than the noise.
    Default,
    /// It is faster than the default by more than the noise.
    Faster,
    /// It is about as fast as the default, and loses fewer frames.
    LosesFewer,
}

/// Chooses among points, the first of which is the default. None while the default has not been in all of its rounds, or when
/// nothing could be sent.
///
/// Only settings that are better than the default themselves are looked at, so that whatever is chosen is at least as fast as it,
/// give or take the noise. Of those about as fast as the fastest, the one that loses the fewest frames is taken, then the one with the
/// fewest CPUs, then the one that is most like the default.
pub fn choose(points: &[Point]) -> Option<Choice> {
    let default = points.first().filter(|default| default.is_complete())?;
    let better: Vec<(usize, &Point, Why)> = points
        .iter()
        .enumerate()
        .skip(1)
        .filter(|(_, point)| point.is_complete() && point.rate() > 0.0)
        .filter_map(|(index, point)| Some((index, point, better(point, default)?)))
        .collect();
    let Some((_, fastest, _)) = better.iter().max_by(|(_, one, _), (_, other, _)| one.rate().total_cmp(&other.rate()))
    else {
        return (default.rate() > 0.0).then_some(Choice { point: 0, why: Why::Default });
    };
    let as_fast = better.iter().filter(|(_, point, _)| fastest.rate() - point.rate() <= noise(fastest, point));
    let chosen = as_fast.min_by_key(|(_, point, _)| {
        let Setting { action, cpus, batch_size } = &point.setting;
        let other_path = *action != default.setting.action;
        (point.loss_class(), cpus.len(), other_path, batch_size.abs_diff(default.setting.batch_size))
    });
    chosen.map(|&(point, _, why)| Choice { point, why })
}

/// Why a point is better than the default, if it is.
fn better(point: &Point, default: &Point) -> Option<Why> {
    let (gain, noise) = (point.rate() - default.rate(), noise(point, default));
    if gain > noise {
        return Some(Why::Faster);
    }
    (gain >= -noise && point.loss_class() < default.loss_class()).then_some(Why::LosesFewer)
}

/// Two points that differ by no more than this, in frames a second, are about as fast: the typical deviations of both together. (For
/// normally distributed rounds that is 1.7 standard errors of the difference of two medians of five.)
fn noise(one: &Point, other: &Point) -> f64 {
    (one.deviation() + other.deviation()).max(LEAST_NOISE * one.rate().max(other.rate()))
}

/// The middle one, or the mean of the two in the middle; 0 of nothing.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[middle],
        _ => values[middle - 1].midpoint(values[middle]),
    }
}

#[cfg(test)]
mod tests;
