//! eBPF programs that the kernel has, ours and others'.

use aya::programs::loaded_programs;

/// The name of the program with this id; none when the kernel does not let us look, it has none, or it is gone.
pub fn program_name(id: u32) -> Option<String> {
    // One by one, for aya has no other way to ask. Those that go meanwhile are errors.
    let program = loaded_programs().filter_map(Result::ok).find(|program| program.id() == id)?;
    let name = String::from_utf8_lossy(program.name()).into_owned();
    (!name.is_empty()).then_some(name)
}
