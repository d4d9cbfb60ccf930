//! Frames that a worker's driver refused for want of room, which are made up for.

use xdp_trafficgen_ebpf::abi::{DropLayer, drop_class};

use crate::engine::worker::{Worker, WorkerError};

/// Frames that were refused so far.
pub(super) struct Refused {
    all: u64,
    /// By flow, as of the last look.
    by_flow: Vec<u64>,
}

impl Refused {
    /// Of a worker that has sent nothing.
    pub(super) fn none(worker: &Worker<'_>) -> Self {
        Self { all: 0, by_flow: vec![0; worker.plan.flows.len()] }
    }

    /// Those of each flow since the last look; empty when there are none.
    pub(super) fn since_last(&mut self, worker: &Worker<'_>) -> Result<Vec<u64>, WorkerError> {
        let Worker { generator, plan, index, .. } = worker;
        let all = generator.gate(*index).map_err(WorkerError::Count)?.refused;
        if all == self.all {
            return Ok(Vec::new());
        }
        let by_flow = if let [_] = plan.flows[..] {
            vec![all]
        } else {
            let flows = (0..).take(plan.flows.len());
            let of_flow = |flow| {
                let drops = generator.flow_drops(*index, flow, &plan.program)?;
                Ok(drops[drop_class(DropLayer::Driver, 0)])
            };
            flows.map(of_flow).collect::<Result<_, _>>().map_err(WorkerError::Count)?
        };
        let new = by_flow.iter().zip(&self.by_flow).map(|(now, before)| now - before).collect();
        *self = Self { all, by_flow };
        Ok(new)
    }
}
