//! The sizes of a flow's frames as a table, and the order of its entries.

use crate::config::{Size, SizeWeight};

/// The order of a table's entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// A single entry.
    Single,
    /// One entry after the other.
    Counted,
    /// At random, with this seed.
    Random(Option<u64>),
    /// In the order of these indices.
    Listed(Vec<u128>),
}

/// Whether there is more than one size.
pub(super) fn varies(size: &Size) -> bool {
    size.smallest() != size.largest()
}

/// The sizes, FCS included, and their order.
pub(super) fn table(size: &Size) -> (Order, Vec<u32>) {
    if !varies(size) {
        return (Order::Single, vec![size.largest()]);
    }
    match size {
        Size::Fixed(size) => (Order::Single, vec![*size]),
        &Size::Increment { start, step, .. } => {
            (Order::Counted, (start..=size.largest()).step_by(step as usize).collect())
        }
        &Size::Random { min, max, seed } => (Order::Random(seed), (min..=max).collect()),
        Size::Weighted(sizes) => {
            let weights: Vec<u32> = sizes.iter().map(|&SizeWeight { weight, .. }| weight).collect();
            let order = super::schedule::spread(&super::schedule::reduced(&weights));
            let order = order.into_iter().map(u128::from).collect();
            (Order::Listed(order), sizes.iter().map(|size| size.size).collect())
        }
        Size::Sequence(sizes) => {
            let mut distinct = sizes.clone();
            distinct.sort_unstable();
            distinct.dedup();
            let index = |size: &u32| distinct.partition_point(|other| other < size) as u128;
            (Order::Listed(sizes.iter().map(index).collect()), distinct)
        }
    }
}
