//! Two interfaces that face each other, for tests of the program.

use std::ops::Deref;

use super::{ip, namespace::Namespace, turn::Turn};

/// The MAC address of `xtg1`.
pub(crate) const RECEIVER_MAC: &str = "02:00:00:00:00:02";

/// A namespace with `xtg0` and `xtg1`, both up, and the calling thread in it.
pub(crate) struct Stage(Namespace);

impl Stage {
    /// None, with a message, when the test may not make namespaces.
    pub(crate) fn set() -> Option<Self> {
        Self::in_turn(Turn::beside_others)
    }

    /// The same, while no other test has a namespace.
    pub(crate) fn alone() -> Option<Self> {
        Self::in_turn(Turn::alone)
    }

    fn in_turn(turn: fn() -> Turn) -> Option<Self> {
        let stage = Self(Namespace::enter(turn)?);
        stage.raise();
        Some(stage)
    }

    /// Makes the two interfaces, with a receive queue for each of the CPUs that send in these
    /// tests.
    pub(crate) fn raise(&self) {
        self.netlink.add_veth("xtg0", "xtg1", 2).unwrap();
        ip("link set xtg0 address 02:00:00:00:00:01");
        ip(&format!("link set xtg1 address {RECEIVER_MAC}"));
        self.set_up(["xtg1", "xtg0"]);
    }
}

impl Deref for Stage {
    type Target = Namespace;

    fn deref(&self) -> &Namespace {
        &self.0
    }
}
