//! The destinations to look up on this host before a plan is made.

use std::{collections::BTreeMap, sync::Arc};

use super::open::OpenAddresses;
use crate::{
    config::Config,
    host::{Destinations, Egress, Lookup, Required},
    plan::unreachable::MAX_DESTINATIONS,
};

/// The same of all flows together, of which many may have the same. Where only the source is sought
/// it is [`MAX_DESTINATIONS`] too, for those flows could be sent without it.
const MAX_LOOKUPS: u128 = 1 << 20;

/// The destinations that a plan for `config` wants to find in [`Facts::reaches`].
pub fn sought(config: &Config) -> Vec<Lookup> {
    let mut found: BTreeMap<(Arc<Egress>, Destinations), Required> = BTreeMap::new();
    let mut lookups = 0;
    // Thousands of flows often leave the same way.
    let mut last: Option<Arc<Egress>> = None;
    for flow in &config.flows {
        let Some(port) = config.ports.iter().find(|port| port.name.value == flow.port.value) else {
            continue;
        };
        let Some(wish) = OpenAddresses::of(port, flow) else { continue };
        let way = last
            .take()
            .filter(|last| **last == wish.way)
            .unwrap_or_else(|| Arc::new(wish.way.clone()));
        let mut seek = |destinations, what| {
            let known = found.entry((Arc::clone(&way), destinations)).or_insert(what);
            *known = what.max(*known);
        };
        let (what, limit) = if wish.next_hop {
            (Required::NextHop, MAX_LOOKUPS)
        } else {
            (Required::Source, MAX_DESTINATIONS)
        };
        match wish.count() {
            Some(count) if lookups + count <= limit => {
                lookups += count;
                wish.destinations()
                    .for_each(|destination| seek(Destinations::one(destination), what));
            }
            _ => {
                seek(Destinations::one(wish.first()), Required::Source);
                seek(wish.row(), what);
            }
        }
        last = Some(way);
    }
    found
        .into_iter()
        .map(|((way, destinations), what)| Lookup { egress: way, destinations, what })
        .collect()
}
