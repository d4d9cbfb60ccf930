//! What the counts of a sweep say about the interface and the machine: those of each setting as
//! though of a run of its own.

use std::collections::BTreeMap;

use crate::{
    commands::findings::{RunEnd, RunFindings},
    diagnosis::Severity,
    output::{PortFinding, tune::PointsFinding},
    stats::{
        Snapshot,
        tuning::{Point, choose},
    },
};

/// Why frames were dropped, where counts differ, and what makes the setting to propose slower
/// than it could be. `findings_of_points`: those of the points, by index; `failed`: whether a run
/// ended before its time.
pub(super) fn findings(
    points: &[Point],
    findings_of_points: &BTreeMap<usize, RunFindings>,
    end: RunEnd,
) -> Vec<PointsFinding> {
    let choice = choose(points);
    let mut all: Vec<PointsFinding> = Vec::new();
    for (index, point) in points.iter().enumerate() {
        let Some(run_findings) = findings_of_points.get(&index) else { continue };
        let is_chosen = choice.is_some_and(|choice| choice.point == index);
        let foreseen = if is_chosen { run_findings.foresee() } else { Vec::new() };
        let slower = foreseen
            .into_iter()
            .filter(|found| found.finding.severity == Severity::Slows)
            .collect();
        let snapshot = Snapshot { elapsed: point.count.elapsed, ports: vec![point.count.clone()] };
        for PortFinding { port: _, frames, finding } in
            run_findings.conclude(&snapshot, slower, end)
        {
            let found = (index, frames.unwrap_or(0));
            match all.iter_mut().find(|known| known.finding == finding) {
                Some(known) => known.points.push(found),
                None => all.push(PointsFinding { points: vec![found], finding }),
            }
        }
    }
    all
}
