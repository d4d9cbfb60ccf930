//! Frames that are longer than an MTU allows. Lengths of frames include the FCS.

use super::{Finding, Severity, Situation};
use crate::units::FrameLen;

/// No Ethernet interface has a smaller MTU (`ETH_MIN_MTU` of include/uapi/linux/if_ether.h).
pub(super) const LEAST_MTU: u32 = 68;

/// The kernel refused frames for their length: the MTU is too small for them, or was when they were
/// sent.
pub(super) fn refused_for_length(situation: &Situation<'_>) -> Finding {
    let Situation { name, largest, meanwhile, .. } = situation;
    let mtu = situation.interface.map_or(0, |interface| interface.link.mtu);
    if too_long(*largest, mtu) {
        return above_mtu(situation);
    }
    let was = match meanwhile.least_mtu {
        Some(least) if too_long(*largest, least) => format!(", {least},"),
        _ => String::new(),
    };
    Finding::new(
        "frame_above_mtu",
        Severity::Loses,
        format!(
            "frames of {largest} bytes were longer than the MTU of `{name}`{was} allowed for a \
             while; it is {mtu} now"
        ),
        format!("it is put right by now: leave the MTU of `{name}` as it is while frames are sent"),
    )
}

/// Whether a frame of so many bytes, FCS included, is too long for the kernel to send with this
/// MTU.
pub(super) const fn too_long(frame: u32, mtu: u32) -> bool {
    FrameLen::new(frame).bytes() > FrameLen::sent_at_mtu(mtu).bytes()
}

/// The cure for frames that are too long for this MTU; `raise` is the command that raises it.
pub(super) fn shorter_or(mtu: u32, raise: &str) -> String {
    format!(
        "send frames of {} bytes at most, or raise the MTU: {raise}",
        FrameLen::sent_at_mtu(mtu).bytes()
    )
}

pub(super) fn above_mtu(situation: &Situation<'_>) -> Finding {
    let Situation { name, largest, .. } = situation;
    let mtu = situation.interface.map_or(0, |interface| interface.link.mtu);
    Finding::new(
        "frame_above_mtu",
        Severity::Loses,
        format!("frames of {largest} bytes are longer than the MTU of `{name}`, {mtu}, allows"),
        shorter_or(mtu, &format!("`ip link set {name} mtu {}`", mtu_for(*largest))),
    )
}

/// The smallest MTU for a frame of so many bytes, FCS included.
pub(super) fn mtu_for(frame: u32) -> u32 {
    FrameLen::least_mtu(frame)
}
