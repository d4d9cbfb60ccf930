//! What follows the written bytes of frames, where flows differ in it.

use std::collections::BTreeMap;

use xdp_trafficgen_ebpf::abi::Body;

use crate::plan::varying::small;

/// The bodies of all flows; equal ones are kept once.
#[derive(Default)]
pub(super) struct Bodies {
    pub(super) bodies: Vec<Vec<u8>>,
    /// Each flow's entry.
    pub(super) of_flow: Vec<Body>,
}

impl Bodies {
    /// Of frames with these lengths on the wire, FCS not counted.
    pub(super) fn of(frames: &[Vec<u8>], lens: &[usize], written: usize) -> Self {
        let mut all = Self::default();
        let mut known = BTreeMap::new();
        for (frame, &len) in frames.iter().zip(lens) {
            let body = &frame[written.min(len)..len];
            let entry = *known.entry(body).or_insert_with(|| {
                all.bodies.push(body.to_vec());
                all.bodies.len() - 1
            });
            all.of_flow.push(Body { entry: small(entry), len: small(body.len()) });
        }
        all
    }
}

/// Whether every page holds the right bytes after the written ones, whichever flow's frame it held
/// before.
pub(super) fn are_alike(frames: &[Vec<u8>], lens: &[usize], written: usize) -> bool {
    let Some(longest) = (0..frames.len()).max_by_key(|&index| lens[index]) else { return true };
    frames
        .iter()
        .zip(lens)
        .all(|(frame, &len)| len <= written || frame[written..len] == frames[longest][written..len])
}
