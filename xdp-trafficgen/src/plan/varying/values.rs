//! The table of a port's lists of values.

use std::collections::HashMap;

use super::small;
use crate::config::{Diagnostic, Origin};

/// The most entries of all value lists of a port: 16 MiB of map.
pub(super) const MAX_VALUES: usize = 1 << 20;

/// The table of a flow's lists of values; equal lists are stored once.
#[derive(Debug, Default)]
pub(super) struct ValueTable {
    entries: Vec<u128>,
    known: HashMap<Vec<u128>, u32>,
}

impl ValueTable {
    /// Adds a list, and returns its first entry.
    pub(super) fn intern(&mut self, values: Vec<u128>, origin: &Origin) -> Result<u32, Diagnostic> {
        if let Some(&first) = self.known.get(&values) {
            return Ok(first);
        }
        if self.entries.len() + values.len() > MAX_VALUES {
            return Err(too_many_values(origin));
        }
        let first = small(self.entries.len());
        self.entries.extend(values.iter().copied());
        self.known.insert(values, first);
        Ok(first)
    }

    /// The entry `index` places after `first`.
    pub(super) fn entry(&self, first: u32, index: u128) -> u128 {
        let entries = self.entries.get(first as usize..).unwrap_or_default();
        usize::try_from(index).ok().and_then(|index| entries.get(index)).copied().unwrap_or(0)
    }
}

pub(super) fn too_many_values(origin: &Origin) -> Diagnostic {
    Diagnostic::new(
        origin,
        format!("the lists of values of a port have more than {MAX_VALUES} entries"),
    )
    .help("use `increment`, or `random` without a count, or shorter lists")
}
