//! The eBPF object that `build.rs` makes of the eBPF crate.

use aya::Ebpf;

/// The object with every eBPF program, built by `build.rs`.
pub(super) static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/generator"));

/// Closes an object's descriptors of maps. Programs that are loaded keep theirs; the kernel empties only arrays of programs when
/// the last descriptor goes.
pub(super) fn close_maps(object: &mut Ebpf) {
    let names: Vec<String> = object.maps().map(|(name, _)| name.to_owned()).collect();
    names.iter().for_each(|name| drop(object.take_map(name)));
}
