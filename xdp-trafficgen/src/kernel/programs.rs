//! eBPF programs that the kernel has, ours and others'.

use aya::programs::{links::LinkType, loaded_links, loaded_programs};

use crate::host::{AttachedMode, AttachedXdp};

/// What is attached to an interface in this mode: the program with this id.
pub fn attached_xdp(mode: AttachedMode, program: u32) -> AttachedXdp {
    AttachedXdp { mode, program, name: name(program), on_link: hangs_on_a_link(program) }
}

/// The name of the program with this id; none when the kernel does not let us look, it has none, or it is gone.
fn name(id: u32) -> Option<String> {
    // One by one, for aya has no other way to ask. Those that go meanwhile are errors.
    let program = loaded_programs().filter_map(Result::ok).find(|program| program.id() == id)?;
    let name = String::from_utf8_lossy(program.name()).into_owned();
    (!name.is_empty()).then_some(name)
}

/// Whether a program is attached by a BPF link. (It may be attached elsewhere by other means; nobody does.)
fn hangs_on_a_link(program: u32) -> bool {
    loaded_links()
        .flatten()
        .any(|link| link.program_id() == program && link.link_type().is_ok_and(|kind| kind == LinkType::Xdp))
}
