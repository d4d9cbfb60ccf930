//! What a veth has room for: its ring, and frames as long as its peer's MTU allows.

use super::OtherEnd;
use crate::{
    diagnosis::{
        Finding, Severity, Situation,
        mtu::{LEAST_MTU, mtu_for, shorter_or, too_long},
    },
    host::{LinkHistory, Peer},
};

/// Entries of a veth's ring (VETH_RING_SIZE of the kernel's drivers/net/veth.c).
pub(crate) const RING_ENTRIES: u32 = 256;
/// The driver gets a batch in bulks of 16 frames, one after the other (DEV_MAP_BULK_SIZE of
/// include/net/xdp.h). The last bulk of a batch does not fit into a ring that is not empty.
const BULK: u32 = 16;

/// Whether a batch of this size fits into the ring of a veth, with a bulk to spare.
pub(crate) const fn fits_ring(batch_size: u32) -> bool {
    batch_size <= RING_ENTRIES - BULK
}

pub(crate) fn batch_above_ring(situation: &Situation<'_>) -> Finding {
    let Situation { name, batch_size, .. } = situation;
    Finding::new(
        "batch_above_ring",
        Severity::Loses,
        format!(
            "batches of {batch_size} frames hardly fit into the ring of a veth such as `{name}`, \
             which has {RING_ENTRIES} entries"
        ),
        "use a batch size of 64, the default, or 192: larger ones are no faster",
    )
}

/// A veth drops frames that are longer than its peer's MTU allows (`max_len` of veth_xdp_xmit), and
/// reports them like a full ring.
pub(crate) fn above_peer_mtu(situation: &Situation<'_>) -> Option<Finding> {
    let Situation { name, largest, .. } = situation;
    let (Peer::Here { mtu, .. } | Peer::There { mtu, .. }) = *situation.interface?.peer.as_ref()?
    else {
        return None;
    };
    let end = OtherEnd::of(situation)?;
    too_long(*largest, mtu).then(|| {
        Finding::new(
            "frame_above_peer_mtu",
            Severity::Loses,
            format!(
                "frames of {largest} bytes are longer than the MTU of {} allows, {mtu}",
                end.words(name)
            ),
            shorter_or(mtu, &end.commands(&[end.mtu(mtu_for(*largest))], "")),
        )
    })
}

/// As [`above_peer_mtu`], if the peer's MTU was too small for some time, or is not known: another
/// cause for what looks like a full ring. Returns the cause and the cure.
pub(crate) fn perhaps_above_peer_mtu(situation: &Situation<'_>) -> Option<(String, String)> {
    let Situation { name, largest, peer_meanwhile, .. } = situation;
    let end = OtherEnd::of(situation)?;
    let whose = end.words(name);
    match situation.interface?.peer.as_ref()? {
        Peer::Here { mtu, .. } | Peer::There { mtu, .. } => {
            let was = match peer_meanwhile {
                Some(LinkHistory { least_mtu, .. }) => {
                    format!(
                        "for a while, {}",
                        least_mtu.filter(|&least| too_long(*largest, least))?
                    )
                }
                None if too_long(*largest, LEAST_MTU) => {
                    "at some moment between, which cannot be known here".to_owned()
                }
                None => return None,
            };
            Some((
                format!(
                    "frames of {largest} bytes were longer than the MTU of {whose} allowed \
                         {was}; it is {mtu} now"
                ),
                format!("leave the MTU of `{}` as it is while frames are sent", end.name()),
            ))
        }
        Peer::Elsewhere if too_long(*largest, LEAST_MTU) => Some((
            format!(
                "frames of {largest} bytes are longer than the MTU of {whose} allows, which cannot \
                 be seen from here"
            ),
            end.commands(&[end.mtu(mtu_for(*largest).max(LEAST_MTU))], ""),
        )),
        Peer::Elsewhere => None,
    }
}
