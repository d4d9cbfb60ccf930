//! What a flow's rows hold constant, what counts from frame to frame, and what is picked.

use super::Layout;
use crate::{
    plan::varying::{Driver, Index, MODULUS, OutputTarget, Values, Varying},
    units::gcd,
};

/// Rows of all of a port's flows whose sequences are nothing but rows: with 128 bytes each, 1 MiB,
/// which a core's own cache holds.
const CYCLE_ROWS: u64 = 1 << 13;

/// Rows of a flow that counts besides.
const SHORT_CYCLE: u64 = 64;

/// A run is worth its end when it lasts for so many frames.
const SHORT_RUN: f64 = 64.0;

/// How a driver's index comes into the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It is the same in all frames of a row.
    Constant,
    /// Its outputs grow evenly from one frame of the row to the next.
    Counting,
    /// Its outputs are picked in every frame.
    Picked,
}

/// How a flow's frames are made.
pub(in crate::plan) struct Form {
    pub(in crate::plan) varying: Varying,
    pub(super) roles: Vec<Role>,
    /// Rows that take turns when one worker sends the flow.
    cycle: u64,
    /// Bytes of its longest frame without FCS.
    pub(super) len: usize,
}

impl Form {
    /// Of one of so many flows.
    pub(in crate::plan) fn new(varying: Varying, len: usize, flows: usize) -> Self {
        let (roles, cycle) = roles(&varying, (CYCLE_ROWS / flows.max(1) as u64).max(1));
        Self { varying, roles, cycle, len }
    }

    /// Rows of each of so many workers.
    pub(in crate::plan) fn rows(&self, workers: u64) -> u64 {
        let common = u64::try_from(gcd(workers.into(), self.cycle.into())).unwrap_or(1);
        self.cycle / common.max(1)
    }

    /// Words that picks start from.
    pub(in crate::plan) fn unwritten(&self) -> usize {
        usize::from(self.draws()) + self.lists().count()
    }

    /// The bits that differ from one frame of a row to the next: those of fields that count, and of
    /// the checksums that follow them.
    pub(in crate::plan) fn counted(&self) -> impl Iterator<Item = (usize, usize)> {
        let outputs = || {
            let drivers = self.varying.drivers.iter().zip(&self.roles);
            drivers
                .filter(|(_, role)| **role == Role::Counting)
                .flat_map(|(driver, _)| &driver.outputs)
        };
        let fields = outputs().filter_map(|output| match output.target {
            OutputTarget::Bits { start, end } => Some((start, end)),
            OutputTarget::Size | OutputTarget::Nothing => None,
        });
        let checksums = self.varying.checksums.iter().enumerate();
        let checksums = checksums
            .filter(move |(number, _)| outputs().any(|output| output.sums[*number] != 0))
            .map(|(_, checksum)| (8 * checksum.offset, 8 * checksum.offset + 16));
        fields.chain(checksums)
    }

    /// Whether its frames have sizes of their own.
    pub(in crate::plan) fn has_size(&self) -> bool {
        let mut outputs = self.varying.drivers.iter().flat_map(|driver| &driver.outputs);
        outputs.any(|output| output.target == OutputTarget::Size)
    }

    fn draws(&self) -> bool {
        self.varying.drivers.iter().any(|driver| matches!(driver.index, Index::Random { .. }))
    }

    /// The counted drivers that are picked.
    fn lists(&self) -> impl Iterator<Item = usize> {
        (0..).zip(self.varying.drivers.iter().zip(&self.roles)).filter_map(
            |(number, (driver, role))| {
                let counted = matches!(driver.index, Index::Counted { .. });
                (counted && *role == Role::Picked).then_some(number)
            },
        )
    }

    /// The word with the state of the random sequence, where something is drawn.
    pub(super) fn state_word(&self, layout: &Layout) -> Option<usize> {
        self.draws().then_some(layout.first_unwritten())
    }

    /// The counted drivers that are picked, each with the word of its index.
    pub(super) fn list_words(&self, layout: &Layout) -> impl Iterator<Item = (usize, usize)> {
        let first = layout.first_unwritten() + usize::from(self.draws());
        self.lists().zip(first..)
    }

    /// The word of a driver's index, where it is counted and picked.
    pub(super) fn list_word(&self, number: usize, layout: &Layout) -> Option<usize> {
        self.list_words(layout).find_map(|(list, word)| (list == number).then_some(word))
    }
}

/// The index in a frame.
pub(super) fn index_at(frame: u64, round: u128, count: u64) -> u64 {
    // A round of more frames than 64 bits count does not end.
    u64::try_from(round).map_or(0, |round| frame / round.max(1) % count.max(1))
}

/// Whether it grows evenly.
fn is_even(driver: &Driver) -> bool {
    driver.outputs.iter().all(|output| {
        matches!(output.values, Values::Linear { .. }) && output.target != OutputTarget::Size
    })
}

/// Frames until a counted index starts again.
fn period(driver: &Driver) -> Option<u64> {
    match driver.index {
        Index::Counted { count, round, .. } => {
            u64::try_from(round.checked_mul(u128::from(count))?).ok()
        }
        Index::Random { .. } => None,
    }
}

/// Frames until all of them start again, if that is `most` or fewer.
fn common_period<'a>(drivers: impl Iterator<Item = &'a Driver>, most: u64) -> Option<u64> {
    drivers.into_iter().try_fold(1u64, |common, driver| {
        let (common, period) = (u128::from(common), u128::from(period(driver)?));
        u64::try_from(common / gcd(common, period) * period).ok().filter(|&all| all <= most)
    })
}

fn roles(varying: &Varying, most: u64) -> (Vec<Role>, u64) {
    let drivers = &varying.drivers;
    let counts =
        |driver: &Driver| matches!(driver.index, Index::Counted { count, .. } if count > 1);
    let counted = || drivers.iter().filter(|driver| counts(driver));
    let uneven = || counted().filter(|driver| !is_even(driver));
    let roles = |role: &dyn Fn(&Driver) -> Role| {
        drivers
            .iter()
            .map(|driver| match driver.index {
                Index::Random { .. } => Role::Picked,
                Index::Counted { count: 1, .. } => Role::Constant,
                Index::Counted { .. } => role(driver),
            })
            .collect::<Vec<_>>()
    };
    let all = common_period(counted(), most);
    let constant = |cycle| (roles(&|_| Role::Constant), cycle);
    if let Some(cycle) = all.filter(|&cycle| cycle <= SHORT_CYCLE) {
        return constant(cycle);
    }
    let cycle = common_period(uneven(), most.min(SHORT_CYCLE));
    let rest = || counted().filter(|driver| is_even(driver));
    if let Some(cycle) = cycle
        && ends(varying, rest(), cycle) * SHORT_RUN < 1.0
    {
        return (
            roles(&|driver| if is_even(driver) { Role::Counting } else { Role::Constant }),
            cycle,
        );
    }
    if let Some(cycle) = all {
        return constant(cycle);
    }
    (roles(&|driver| if is_even(driver) { Role::Counting } else { Role::Picked }), 1)
}

/// How many runs end in a frame of a row, at most, where each of its frames is `cycle` frames behind
/// the one before.
fn ends<'a>(
    varying: &Varying,
    drivers: impl Iterator<Item = &'a Driver> + Clone,
    cycle: u64,
) -> f64 {
    let of_indices: f64 = drivers
        .clone()
        .filter_map(period)
        .map(|period| if cycle.is_multiple_of(period) { 0.0 } else { cycle as f64 / period as f64 })
        .sum();
    let of_checksums: f64 = (0..varying.checksums.len())
        .map(|number| {
            let grows = drivers.clone().flat_map(|driver| {
                let advance = match driver.index {
                    Index::Counted { count, round, .. } => index_at(cycle, round, count),
                    Index::Random { .. } => 0,
                };
                driver.outputs.iter().map(move |output| output.grows(number, advance))
            });
            let grows = grows.sum::<u64>() % MODULUS;
            grows.min(MODULUS - grows) as f64 / 65_535.0
        })
        .sum();
    of_indices + of_checksums
}
