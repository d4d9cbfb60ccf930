//! What every worker of a port has its own of.

/// A table with the same number of entries for each worker, one worker's after the other's, as the kernel's arrays have it.
#[derive(Clone, Debug, PartialEq)]
pub struct PerWorker<T> {
    all: Vec<T>,
    /// Entries of each worker.
    each: usize,
}

impl<T> PerWorker<T> {
    /// So many entries for each of the workers; `entry` makes the one of a worker with a number.
    pub fn new(workers: usize, each: usize, mut entry: impl FnMut(usize, usize) -> T) -> Self {
        let all = (0..workers).flat_map(|worker| (0..each).map(move |number| (worker, number)));
        Self { all: all.map(|(worker, number)| entry(worker, number)).collect(), each }
    }

    /// A worker's entries; none of a worker that the port has not.
    pub fn of(&self, worker: usize) -> &[T] {
        self.all.get(self.range(worker)).unwrap_or_default()
    }

    /// A worker's entries, to be changed.
    pub fn of_mut(&mut self, worker: usize) -> &mut [T] {
        let range = self.range(worker);
        self.all.get_mut(range).unwrap_or_default()
    }

    /// Where a worker's entries are among all.
    pub const fn range(&self, worker: usize) -> std::ops::Range<usize> {
        worker * self.each..(worker + 1) * self.each
    }

    /// Entries of each worker.
    pub const fn each(&self) -> usize {
        self.each
    }

    /// Of all workers.
    pub fn all(&self) -> &[T] {
        &self.all
    }

    /// Of all workers, to be changed.
    pub fn all_mut(&mut self) -> &mut [T] {
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
        let table = PerWorker::new(3, 2, |worker, number| 10 * worker + number);
        assert_eq!(table.all(), [0, 1, 10, 11, 20, 21]);
        assert_eq!((table.of(1), table.range(1), table.each()), (&[10, 11][..], 2..4, 2));
        assert!(table.of(3).is_empty());
        assert!(PerWorker::new(0, 2, |_, _| ()).of(0).is_empty());
    }

    #[test]
    fn shares_add_up() {
        let shares = |whole, workers| (0..workers).map(|worker| share(whole, workers, worker)).collect::<Vec<_>>();
        assert_eq!(shares(10, 4), [3, 3, 2, 2]);
        assert_eq!(shares(2, 3), [1, 1, 0]);
        assert_eq!(shares(u64::MAX, 2), [u64::MAX / 2 + 1, u64::MAX / 2]);
    }
}
