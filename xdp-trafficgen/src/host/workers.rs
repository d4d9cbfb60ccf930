//! Workers that send already, of all processes of this program that can be seen, this one included.

use crate::host::files::Files;

/// The name of a worker's thread, before the number of its CPU.
pub const WORKER_THREAD: &str = "worker-";

/// A thread that sends, with the CPU it is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerThread {
    /// Its process.
    pub process: u32,
    /// The CPU it is bound to.
    pub cpu: u32,
}

impl WorkerThread {
    /// The workers of all processes with this process's name, in the order of process and CPU.
    /// Processes of other containers and other users may be hidden.
    #[must_use]
    pub fn gather() -> Vec<Self> {
        all(Files::of_this_machine())
    }

    /// Whether it belongs to this process.
    pub fn is_ours(&self) -> bool {
        self.process == std::process::id()
    }
}

fn all(files: Files<'_>) -> Vec<WorkerThread> {
    let Some(own) = files.text("proc/self/comm") else { return Vec::new() };
    let processes = files.names("proc").into_iter().filter_map(|name| name.parse::<u32>().ok());
    let alike = processes.filter(|process| {
        files.text(format!("proc/{process}/comm")).is_some_and(|name| name == own)
    });
    let mut workers: Vec<WorkerThread> =
        alike.flat_map(|process| of_process(files, process)).collect();
    workers.sort_unstable_by_key(|worker| (worker.process, worker.cpu));
    workers
}

/// The affinity tells where a worker is bound; its name may be outdated.
fn of_process(files: Files<'_>, process: u32) -> Vec<WorkerThread> {
    let tasks = format!("proc/{process}/task");
    let worker = |task: String| {
        files
            .text(format!("{tasks}/{task}/comm"))
            .filter(|name| name.starts_with(WORKER_THREAD))?;
        let status = files.text(format!("{tasks}/{task}/status"))?;
        let cpu = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:")?.trim().parse().ok())?;
        Some(WorkerThread { process, cpu })
    };
    files.names(&tasks).into_iter().filter_map(worker).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::files::recorded;

    #[test]
    fn workers_are_threads_bound_to_a_cpu() {
        let tree = r"
            proc/self/comm = xdp-trafficgen
            proc/stat = cpu 1 2 3
            proc/12/comm = xdp-trafficgen
            proc/12/task/12/comm = xdp-trafficgen
            proc/12/task/12/status = Name: x\nCpus_allowed_list: 0-3
            proc/12/task/14/comm = worker-3
            proc/12/task/14/status = Name: w\nCpus_allowed_list: 3
            proc/12/task/13/comm = worker-0
            proc/12/task/13/status = Name: w\nCpus_allowed_list: 0
            proc/12/task/15/comm = worker-1
            proc/12/task/15/status = Name: w\nCpus_allowed_list: 0-3
            proc/30/comm = database
            proc/30/task/30/comm = worker-2
            proc/30/task/30/status = Name: w\nCpus_allowed_list: 2
            proc/31/comm = xdp-trafficgen
            proc/31/task/31/comm = worker-3
        ";
        let root = recorded(tree);
        let of = |process, cpu| WorkerThread { process, cpu };
        assert_eq!(all(Files::under(root.path())), [of(12, 0), of(12, 3)]);
    }
}
