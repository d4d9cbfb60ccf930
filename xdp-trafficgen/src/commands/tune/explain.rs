//! What the points of a sweep say about the interface and the machine: facts, handed to the diagnosis.

use crate::{
    commands::CommandError,
    config::Config,
    diagnosis::{self, Finding, Severity, Situation},
    host::Facts,
    output::tune::PointsFinding,
    stats::tuning::{Point, Setting, choose},
};

/// Why frames were dropped, each cause once, and what makes the setting to propose slower than it could be.
pub(super) fn findings(points: &[Point], config: &Config) -> Result<Vec<PointsFinding>, CommandError> {
    let (Some(port), Some(flow)) = (config.ports.first(), config.flows.first()) else { return Ok(Vec::new()) };
    let interface = port.interface.value.as_str();
    let facts = Facts::gather(&[], &[interface], None)?;
    let mut found: Vec<PointsFinding> = Vec::new();
    for (index, point) in points.iter().enumerate() {
        let Setting { action, cpus, batch_size } = &point.setting;
        let situation = Situation {
            system: &facts.system,
            interface: facts.interface(interface),
            name: interface,
            action: *action,
            cpus,
            allowed_cpus: &facts.allowed_cpus,
            batch_size: *batch_size,
            largest: flow.size.value.largest(),
        };
        let drops = point.drops().iter().map(|&(reason, frames)| (frames, diagnosis::of_drop(reason, &situation)));
        let counts =
            diagnosis::of_nothing_sent(&point.count).into_iter().chain(diagnosis::of_lacking(&point.count.lacks));
        let mut all: Vec<(u64, Finding)> = drops.chain(counts.map(|finding| (0, finding))).collect();
        if choose(points).is_some_and(|choice| choice.point == index) {
            let slows =
                diagnosis::foresee(&situation).into_iter().filter(|finding| finding.severity >= Severity::Slows);
            let new = slows.filter(|finding| all.iter().all(|(_, known)| known.code != finding.code));
            let new: Vec<Finding> = new.collect();
            all.extend(new.into_iter().map(|finding| (0, finding)));
        }
        for (frames, finding) in all {
            match found.iter_mut().find(|known| known.finding == finding) {
                Some(known) => known.points.push((index, frames)),
                None => found.push(PointsFinding { points: vec![(index, frames)], finding }),
            }
        }
    }
    Ok(found)
}
