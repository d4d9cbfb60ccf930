//! Tables with entries for every worker of a port.

use std::ops::{Deref, DerefMut, Range};

/// A table with the same number of entries for each worker, one worker's after the other's, as in the
/// kernel's arrays. As a slice it has the entries of all workers.
#[derive(Clone, Debug, PartialEq)]
pub struct PerWorker<T> {
    all: Vec<T>,
    /// Entries of each worker.
    each: usize,
}

impl<T: Clone> PerWorker<T> {
    /// A table with `each` times `entry` for each of the workers.
    pub fn filled(workers: usize, each: usize, entry: T) -> Self {
        Self { all: vec![entry; workers * each], each }
    }
}

impl<T> PerWorker<T> {
    /// A table with the entries of a port's only worker.
    pub const fn of_one(all: Vec<T>) -> Self {
        let each = all.len();
        Self { all, each }
    }

    /// A worker's entries; empty for a worker that the port does not have.
    pub fn of(&self, worker: usize) -> &[T] {
        self.all.get(self.range(worker)).unwrap_or_default()
    }

    /// A worker's entry with this number.
    pub fn entry_mut(&mut self, worker: usize, number: usize) -> Option<&mut T> {
        let range = self.range(worker);
        self.all.get_mut(range)?.get_mut(number)
    }

    /// The range of a worker's entries among all.
    pub const fn range(&self, worker: usize) -> Range<usize> {
        worker * self.each..(worker + 1) * self.each
    }

    /// The number of workers.
    pub fn workers(&self) -> usize {
        self.all.len().checked_div(self.each).unwrap_or(0)
    }

    /// Entries of each worker.
    pub const fn each(&self) -> usize {
        self.each
    }
}

impl<T> Deref for PerWorker<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.all
    }
}

impl<T> DerefMut for PerWorker<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.all
    }
}

/// A worker's share of `whole`: the shares of all differ by one at most and add up exactly.
pub const fn share(whole: u64, workers: u64, worker: u64) -> u64 {
    whole / workers + (worker < whole % workers) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_together_by_worker() {
        let mut table = PerWorker::filled(3, 2, 0);
        for (worker, number, value) in [(0, 1, 1), (1, 0, 10), (1, 1, 11), (2, 1, 21)] {
            *table.entry_mut(worker, number).unwrap() = value;
        }
        assert_eq!(*table, [0, 1, 10, 11, 0, 21]);
        assert_eq!(
            (table.of(1), table.range(1), table.each(), table.workers()),
            (&[10, 11][..], 2..4, 2, 3)
        );
        assert!(table.of(3).is_empty() && table.entry_mut(1, 2).is_none());
        assert!(PerWorker::filled(0, 2, 0).of(0).is_empty());
        assert_eq!(PerWorker::of_one(vec![1, 2]).of(0), [1, 2]);
    }

    #[test]
    fn shares_add_up() {
        let shares = |whole, workers| {
            (0..workers).map(|worker| share(whole, workers, worker)).collect::<Vec<_>>()
        };
        assert_eq!(shares(10, 4), [3, 3, 2, 2]);
        assert_eq!(shares(2, 3), [1, 1, 0]);
        assert_eq!(shares(u64::MAX, 2), [u64::MAX / 2 + 1, u64::MAX / 2]);
    }
}
