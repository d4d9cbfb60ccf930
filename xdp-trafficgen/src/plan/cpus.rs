//! Which CPUs send: those that the user wrote, or for a port without any the CPU with the fewest
//! workers.

use std::collections::BTreeMap;

use crate::{
    config::{Action, Config, Diagnostic, Located, Origin, Port},
    host::{
        Cpu, Facts, Interface,
        drivers::{QueueOfCpu, queue_of_cpu},
    },
    plan::planner::Planner,
    units::CpuList,
};

impl Planner<'_> {
    /// The port's CPUs; none when a worker cannot be bound to one of them. `driven` is the
    /// interface that frames leave by.
    pub(super) fn cpus(&mut self, port: &Port, driven: Option<&Interface>) -> Option<Vec<u32>> {
        let cpus = self.chosen.get(&port.name.value)?.clone();
        if let Some(written) = port.cpus.as_ref().filter(|cpus| cpus.place != Origin::Default) {
            self.check_cpus(written)?;
        }
        let note = driven
            .and_then(|interface| cpus_without_queue(interface, &cpus, &self.facts.allowed_cpus));
        self.note_once(note);
        Some(cpus)
    }

    fn check_cpus(&mut self, cpus: &Located<Vec<u32>>) -> Option<()> {
        let Facts { cpus: online, barred_cpus: barred, .. } = self.facts;
        let absent = list(cpus.value.iter().filter(|cpu| !online.contains(cpu)));
        let outside = list(cpus.value.iter().filter(|cpu| barred.contains(cpu)));
        let (message, help) = if !absent.is_empty() {
            (
                format!("there is no CPU {absent}"),
                format!("the CPUs that are online are {}", list(online)),
            )
        } else if !outside.is_empty() {
            let inside = list(online.iter().filter(|cpu| !barred.contains(cpu)));
            (
                format!(
                    "this process may not run on CPU {outside}, which is outside of its cpuset"
                ),
                format!(
                    "it may run on {inside}: choose of these, or let the control group have more (`cpuset.cpus`; \
                     `--cpuset-cpus` of container managers)"
                ),
            )
        } else {
            return Some(());
        };
        self.diagnostics.push(Diagnostic::new(&cpus.place, message).help(help));
        None
    }
}

/// The CPUs of every port, by its name. A port without CPUs gets a single one, so that the machine
/// keeps the rest: of the CPUs that have a queue the one with the fewest workers, counting all
/// ports of `config` and all that run already; then the one whose core has the fewest; then the
/// first. CPUs of default origin were chosen for the port before, as for the daemon's ports when
/// they start again one by one: the port keeps them while they are allowed and have queues.
pub(super) fn choose(config: &Config, facts: &Facts) -> BTreeMap<String, Vec<u32>> {
    let mut load = Load::of(facts);
    let candidates = |port: &Port| candidates(driven(port, facts), &facts.allowed_cpus);
    let settled = |port: &Port| {
        let stays = |cpus: &[u32]| cpus.iter().all(|cpu| candidates(port).contains(cpu));
        let cpus =
            port.cpus.as_ref().filter(|cpus| cpus.place != Origin::Default || stays(&cpus.value));
        cpus.map(|cpus| cpus.value.clone())
    };
    let mut chosen = BTreeMap::new();
    for port in &config.ports {
        if let Some(cpus) = settled(port) {
            load.add(&cpus);
            chosen.insert(port.name.value.clone(), cpus);
        }
    }
    for port in &config.ports {
        chosen.entry(port.name.value.clone()).or_insert_with(|| {
            let cpus = vec![load.least(&candidates(port))];
            load.add(&cpus);
            cpus
        });
    }
    chosen
}

/// The CPU that a port gets when it is alone in its process.
pub fn default_cpu(interface: Option<&Interface>, facts: &Facts) -> u32 {
    Load::of(facts).least(&candidates(interface, &facts.allowed_cpus))
}

/// The interface that the port's frames leave by.
fn driven<'a>(port: &Port, facts: &'a Facts) -> Option<&'a Interface> {
    let name = match port.action.value {
        Action::Redirect => &port.interface,
        Action::Tx => port.ingress.as_ref().unwrap_or(&port.interface),
        Action::Pass | Action::Drop => return None,
    };
    facts.interface(&name.value)
}

/// Allowed CPUs that have a queue; all allowed ones when none of them has.
fn candidates(interface: Option<&Interface>, allowed: &[u32]) -> Vec<u32> {
    let queues = interface.and_then(queues_of_cpus);
    let has_one = |cpu: &u32| queues.is_none_or(|queues| *cpu < queues);
    let with_a_queue: Vec<u32> = allowed.iter().copied().filter(has_one).collect();
    if with_a_queue.is_empty() { allowed.to_vec() } else { with_a_queue }
}

/// Workers on each CPU.
struct Load<'a> {
    workers: BTreeMap<u32, usize>,
    cpus: &'a [Cpu],
}

impl<'a> Load<'a> {
    fn of(facts: &'a Facts) -> Self {
        let mut load = Self { workers: BTreeMap::new(), cpus: &facts.system.cpus };
        facts.workers.iter().for_each(|worker| load.add(&[worker.cpu]));
        load
    }

    fn add(&mut self, cpus: &[u32]) {
        cpus.iter().for_each(|&cpu| *self.workers.entry(cpu).or_default() += 1);
    }

    /// The candidate with the fewest workers. Where there are no candidates, CPU 0: the kernel
    /// refuses it with a reason.
    fn least(&self, candidates: &[u32]) -> u32 {
        let workers = |cpu: &u32| self.workers.get(cpu).copied().unwrap_or(0);
        let of_core = |&cpu: &u32| {
            let siblings = self
                .cpus
                .iter()
                .find(|known| known.number == cpu)
                .map_or(&[][..], |known| &known.siblings);
            siblings.iter().filter(|&&sibling| sibling != cpu).map(workers).sum::<usize>()
        };
        candidates.iter().copied().min_by_key(|cpu| (workers(cpu), of_core(cpu))).unwrap_or(0)
    }
}

/// The note about CPUs without a queue, and which have one.
fn cpus_without_queue(interface: &Interface, cpus: &[u32], allowed: &[u32]) -> Option<String> {
    let queues = queues_of_cpus(interface)?;
    let without = list(cpus.iter().filter(|&&cpu| cpu >= queues));
    if without.is_empty() {
        return None;
    }
    let (name, driver) = (&interface.link.name, interface.driver_name());
    let then = match queue_of_cpu(driver) {
        QueueOfCpu::Own(None) => {
            format!("it does not check that, and sending from CPU {without} may crash the machine")
        }
        _ => format!("frames from CPU {without} may all be refused"),
    };
    let most = cpus.iter().max().map_or(0, |last| last + 1);
    let with = list(allowed.iter().filter(|&&cpu| cpu < queues));
    let others = if with.is_empty() { String::new() } else { format!("use CPUs of {with}, or ") };
    Some(format!(
        "{name}: {driver} sends what comes from CPU n by queue n, and there are {queues}: {then}; \
         {others}give it more queues with `ethtool -L {name} combined {most}`"
    ))
}

/// How many CPUs, from 0 on, have a queue to send by; none where all CPUs can send.
fn queues_of_cpus(interface: &Interface) -> Option<u32> {
    let own = matches!(queue_of_cpu(interface.driver_name()), QueueOfCpu::Own(_));
    Some(interface.queues.tx).filter(|&queues| own && queues > 0)
}

fn list<'a>(cpus: impl IntoIterator<Item = &'a u32>) -> String {
    CpuList(cpus.into_iter().copied().collect::<Vec<_>>()).one_by_one()
}

#[cfg(test)]
mod tests;
