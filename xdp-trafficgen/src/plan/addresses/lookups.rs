//! The destinations to look up on this host before a plan is made.

use std::{collections::BTreeMap, sync::Arc};

use super::open::OpenAddresses;
use crate::{
    config::Config,
    host::{Destinations, Egress, Lookup, Required},
    plan::unreachable::MAX_DESTINATIONS,
};

/// Lookups of all flows together. For lookups of a source alone the limit is [`MAX_DESTINATIONS`],
/// since those flows can be sent without one.
const MAX_LOOKUPS: u128 = 1 << 20;

/// The destinations that a plan for `config` expects in
/// [`Facts::reaches`](crate::host::Facts::reaches).
pub fn sought(config: &Config) -> Vec<Lookup> {
    let mut found: BTreeMap<(Arc<Egress>, Destinations), Required> = BTreeMap::new();
    let mut lookups = 0;
    // Thousands of flows often share an egress.
    let mut last: Option<Arc<Egress>> = None;
    for flow in &config.flows {
        let Some(port) = config.ports.iter().find(|port| port.name.value == flow.port.value) else {
            continue;
        };
        let Some(open) = OpenAddresses::of(port, flow) else { continue };
        let egress = last
            .take()
            .filter(|last| **last == open.egress)
            .unwrap_or_else(|| Arc::new(open.egress.clone()));
        let mut seek = |destinations, what| {
            let known = found.entry((Arc::clone(&egress), destinations)).or_insert(what);
            *known = what.max(*known);
        };
        let (what, limit) = if open.next_hop {
            (Required::NextHop, MAX_LOOKUPS)
        } else {
            (Required::Source, MAX_DESTINATIONS)
        };
        match open.count() {
            Some(count) if lookups + count <= limit => {
                lookups += count;
                open.destinations()
                    .for_each(|destination| seek(Destinations::one(destination), what));
            }
            _ => {
                seek(Destinations::one(open.first()), Required::Source);
                seek(open.row(), what);
            }
        }
        last = Some(egress);
    }
    found
        .into_iter()
        .map(|((egress, destinations), what)| Lookup { egress, destinations, what })
        .collect()
}
