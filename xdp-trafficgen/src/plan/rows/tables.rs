//! The tables that all rows of a port share; what is equal is kept once.

use std::collections::HashMap;

use xdp_trafficgen_ebpf::abi::{Effect, ListEntry, MAX_PICKS, PickSet};

use crate::{
    config::{Diagnostic, Flow},
    plan::varying::small,
};

/// The most entries of all lists of a port: 32 MiB of map.
pub(in crate::plan) const MAX_ENTRIES: usize = 1 << 20;

/// Effects, sets of picks, and entries of lists.
#[derive(Debug, Default)]
pub(in crate::plan) struct Tables {
    pub(in crate::plan) effects: Vec<Effect>,
    pub(in crate::plan) pick_sets: Vec<PickSet>,
    pub(in crate::plan) lists: Vec<ListEntry>,
    known_effects: HashMap<Vec<Effect>, u32>,
    known_picks: HashMap<PickSet, u32>,
    known_lists: HashMap<Vec<ListEntry>, u32>,
    /// Picks of the largest set.
    pub(in crate::plan) picks: usize,
    /// Checksums of the set that has most.
    pub(in crate::plan) checksums: usize,
    /// Whether some pick takes more than 64 bits.
    pub(in crate::plan) wide: bool,
}

/// There is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan) enum Full {
    /// For so many picks.
    Picks(usize),
    /// For the entries of all lists.
    Lists,
}

impl Full {
    /// Says so of a flow.
    pub(in crate::plan) fn diagnostic(self, flow: &Flow) -> Diagnostic {
        match self {
            Self::Picks(count) => Diagnostic::new(
                &flow.name.place,
                format!(
                    "{count} fields, lengths and sizes are drawn, listed, or follow what is, more than the {MAX_PICKS} there is room for"
                ),
            )
            .help("give some of them a single value, or let them count"),
            Self::Lists => Diagnostic::new(
                &flow.name.place,
                format!("the lists of values of a port have more than {MAX_ENTRIES} entries"),
            )
            .help("use `increment`, or `random` without a count, or shorter lists"),
        }
    }
}

impl Tables {
    /// The first entry of these effects.
    pub(super) fn effects(&mut self, effects: Vec<Effect>) -> u32 {
        if effects.is_empty() {
            return 0;
        }
        if let Some(&first) = self.known_effects.get(&effects) {
            return first;
        }
        let first = small(self.effects.len());
        self.effects.extend(&effects);
        self.known_effects.insert(effects, first);
        first
    }

    /// The entry of these picks.
    pub(super) fn picks(&mut self, set: PickSet) -> u32 {
        *self.known_picks.entry(set).or_insert_with(|| {
            self.pick_sets.push(set);
            small(self.pick_sets.len() - 1)
        })
    }

    /// The first entry of this list.
    pub(super) fn list(&mut self, list: Vec<ListEntry>) -> Result<u32, Full> {
        if let Some(&first) = self.known_lists.get(&list) {
            return Ok(first);
        }
        if self.lists.len() + list.len() > MAX_ENTRIES {
            return Err(Full::Lists);
        }
        let first = small(self.lists.len());
        self.lists.extend(&list);
        self.known_lists.insert(list, first);
        Ok(first)
    }
}
