//! Veth pairs: whether the peer takes frames, and how many and how long ones.

mod limits;
mod other_end;
mod receiver;

pub(super) use limits::{
    RING_ENTRIES, above_peer_mtu, batch_above_ring, fits_ring, perhaps_above_peer_mtu,
};
pub(super) use other_end::OtherEnd;
pub(super) use receiver::{hears, peer, unseen};

use super::Situation;

pub(super) fn is_one(situation: &Situation<'_>) -> bool {
    situation.kind() == "veth" || situation.driver() == "veth"
}
