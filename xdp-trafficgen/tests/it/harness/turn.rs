//! Which tests may run beside which: all of them share one process with its descriptors, and one
//! machine with its CPUs.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

static TURN: RwLock<()> = RwLock::new(());

/// A test in a namespace of its own holds this from its first moment to its last.
#[expect(dead_code, reason = "the guards are held, not read")]
pub(crate) enum Turn {
    BesideOthers(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

impl Turn {
    pub(crate) fn beside_others() -> Self {
        Self::BesideOthers(TURN.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// For tests that judge times, which want an idle machine, and for tests that count who holds a
    /// descriptor: a process that another test starts holds all descriptors until it executes
    /// another program.
    pub(crate) fn alone() -> Self {
        Self::Alone(TURN.write().unwrap_or_else(PoisonError::into_inner))
    }
}
