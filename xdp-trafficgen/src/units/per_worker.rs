//! Tables with entries for every worker of a port.

use std::ops::{Deref, DerefMut, Range};

/// A table with entries for each worker, one worker's after the other's, as in the kernel's arrays.
/// As a slice it has the entries of all workers.
#[derive(Clone, Debug, PartialEq)]
pub struct PerWorker<T> {
    all: Vec<T>,
    /// Where each worker's entries end: there the next worker's begin.
    ends: Vec<usize>,
}

impl<T> PerWorker<T> {
    /// A table with the entries of each of the workers.
    pub fn of_each(lists: Vec<Vec<T>>) -> Self {
        let mut lists = lists.into_iter();
        let Some(mut all) = lists.next() else { return Self { all: Vec::new(), ends: Vec::new() } };
        let mut ends = vec![all.len()];
        for list in lists {
            all.extend(list);
            ends.push(all.len());
        }
        Self { all, ends }
    }

    /// A table with the entries of a port's only worker.
    pub fn of_one(all: Vec<T>) -> Self {
        Self { ends: vec![all.len()], all }
    }

    /// A worker's entries; empty for a worker that the port does not have.
    pub fn of(&self, worker: usize) -> &[T] {
        self.all.get(self.range(worker)).unwrap_or_default()
    }

    /// The range of a worker's entries among all; empty for a worker that the port does not have.
    pub fn range(&self, worker: usize) -> Range<usize> {
        let end = |worker: usize| self.ends.get(worker).copied().unwrap_or(self.all.len());
        worker.checked_sub(1).map_or(0, end)..end(worker)
    }

    /// The number of workers.
    pub const fn workers(&self) -> usize {
        self.ends.len()
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
        let table = PerWorker::of_each(vec![vec![0, 1], vec![], vec![20, 21, 22]]);
        assert_eq!(*table, [0, 1, 20, 21, 22]);
        assert_eq!((table.of(0), table.of(2)), (&[0, 1][..], &[20, 21, 22][..]));
        assert_eq!((table.range(1), table.range(2), table.workers()), (2..2, 2..5, 3));
        assert!(table.of(1).is_empty() && table.of(3).is_empty() && table.of(9).is_empty());
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
