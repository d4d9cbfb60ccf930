//! The eBPF object that `build.rs` makes from the eBPF crate.

use aya::Ebpf;

/// The object with every eBPF program.
pub(super) static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/generator"));

/// Closes an object's descriptors of maps. Loaded programs keep their maps; the kernel empties only
/// program arrays when the last descriptor is closed.
pub(super) fn close_maps(object: &mut Ebpf) {
    let names: Vec<String> = object.maps().map(|(name, _)| name.to_owned()).collect();
    names.iter().for_each(|name| drop(object.take_map(name)));
}
