//! The object, read and linked: programs with the functions that they call, and places where the
//! descriptors of maps go.

use std::{
    collections::{BTreeMap, HashSet},
    error::Error,
    io,
    os::fd::OwnedFd,
    sync::OnceLock,
};

use aya_obj::{
    ProgramSection,
    btf::BtfFeatures,
    generated::{
        BPF_F_XDP_HAS_FRAGS, BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE, bpf_cmd, bpf_func_info,
        bpf_insn, bpf_prog_type,
    },
};

use crate::{
    kernel::KernelError,
    sys::bpf::{attributes, bpf_fd},
};

/// The object with every eBPF program.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/generator"));

/// The object of this process.
pub(super) struct Linked {
    /// Definitions of maps, initial data, and where each constant is. No programs.
    pub(super) data: aya_obj::Object,
    /// The names of maps, in order.
    pub(super) maps: Vec<String>,
    pub(super) programs: BTreeMap<String, LinkedProgram>,
    /// The object's types, in the kernel.
    pub(super) btf: OwnedFd,
}

/// A program with the functions that it calls.
pub(super) struct LinkedProgram {
    pub(super) kind: bpf_prog_type,
    /// `BPF_F_XDP_HAS_FRAGS`, or none.
    pub(super) flags: u32,
    pub(super) instructions: Vec<bpf_insn>,
    /// Where its functions begin, and their types.
    pub(super) functions: Vec<bpf_func_info>,
    /// Instructions that need a map's descriptor, and the map's place in [`Linked::maps`].
    pub(super) maps: Vec<(usize, usize)>,
}

impl Linked {
    /// The object, read and linked when this is called first.
    ///
    /// # Errors
    /// When the kernel refuses the object's types.
    pub(super) fn of_process() -> Result<&'static Self, KernelError> {
        static LINKED: OnceLock<Linked> = OnceLock::new();
        if let Some(linked) = LINKED.get() {
            return Ok(linked);
        }
        // Two threads may link at the same time; one of the results is used.
        let linked = Self::link()?;
        Ok(LINKED.get_or_init(|| linked))
    }

    fn link() -> Result<Self, KernelError> {
        let object = |error: Box<dyn Error + Send + Sync>| KernelError::Object(error);
        let mut parsed = aya_obj::Object::parse(OBJECT).map_err(|error| object(error.into()))?;
        let btf = load_types(&mut parsed)?;
        let mut maps: Vec<String> = parsed.maps.keys().cloned().collect();
        maps.sort();
        // A map's place stands for its descriptor.
        let places = (0..).zip(&maps).map(|(place, name)| (&name[..], place, &parsed.maps[name]));
        let places: Vec<_> =
            places.map(|(name, place, map)| (name.to_owned(), place, map.clone())).collect();
        let sections: HashSet<usize> =
            parsed.functions.keys().map(|&(section, _)| section).collect();
        parsed
            .relocate_maps(
                places.iter().map(|(name, place, map)| (&name[..], *place, map)),
                &sections,
            )
            .map_err(|error| object(error.into()))?;
        parsed.relocate_calls(&sections).map_err(|error| object(error.into()))?;
        let mut programs = BTreeMap::new();
        for (name, program) in std::mem::take(&mut parsed.programs) {
            let (kind, flags) = match program.section {
                ProgramSection::Xdp { frags, .. } => {
                    (bpf_prog_type::BPF_PROG_TYPE_XDP, if frags { BPF_F_XDP_HAS_FRAGS } else { 0 })
                }
                ProgramSection::RawTracePoint => (bpf_prog_type::BPF_PROG_TYPE_RAW_TRACEPOINT, 0),
                other => return Err(object(format!("a program of kind {other:?}").into())),
            };
            let function = parsed.functions.get(&program.function_key());
            let function = function.ok_or_else(|| object(format!("no code of {name}").into()))?;
            let instructions = function.instructions.clone();
            let maps = map_references(&instructions).map_err(|error| object(error.into()))?;
            let functions = function.func_info.func_info.clone();
            programs.insert(name, LinkedProgram { kind, flags, instructions, functions, maps });
        }
        parsed.functions.clear();
        (parsed.btf, parsed.btf_ext) = (None, None);
        Ok(Self { data: parsed, maps, programs, btf })
    }
}

/// Instructions that refer to maps, and the maps' places.
fn map_references(
    instructions: &[bpf_insn],
) -> Result<Vec<(usize, usize)>, std::num::TryFromIntError> {
    /// A 64-bit immediate, which takes two instructions (RFC 9669).
    const LOAD_IMMEDIATE: u8 = 0x18;
    let of_map = |instruction: &bpf_insn| {
        instruction.code == LOAD_IMMEDIATE
            && matches!(u32::from(instruction.src_reg()), BPF_PSEUDO_MAP_FD | BPF_PSEUDO_MAP_VALUE)
    };
    let references = instructions.iter().enumerate().filter(|(_, instruction)| of_map(instruction));
    references.map(|(at, instruction)| Ok((at, usize::try_from(instruction.imm)?))).collect()
}

/// Hands the object's types to the kernel.
fn load_types(object: &mut aya_obj::Object) -> Result<OwnedFd, KernelError> {
    let original = object.btf.clone();
    let mut load = |has_enum64| {
        object.btf.clone_from(&original);
        // Whatever Linux 5.18 has, the first with live frames. Empty sections are left out: there
        // is nothing in them.
        let features = BtfFeatures::new(true, true, true, false, true, true, true, has_enum64);
        let types = object
            .fixup_and_sanitize_btf(&features)
            .map_err(|error| KernelError::Object(error.into()))?
            .ok_or_else(|| KernelError::Object("it has no types".into()))?
            .to_bytes();
        let call = "bpf(BPF_BTF_LOAD)";
        let failed = |source| KernelError::Syscall { call, source };
        let mut attr = attributes();
        attr.__bindgen_anon_7.btf = types.as_ptr() as u64;
        attr.__bindgen_anon_7.btf_size =
            u32::try_from(types.len()).map_err(io::Error::other).map_err(failed)?;
        // SAFETY: the types outlive the call, which makes a descriptor.
        unsafe { bpf_fd(bpf_cmd::BPF_BTF_LOAD, &mut attr) }.map_err(failed)
    };
    // Linux 6.0 has enumerations of 64 bits (commit 6089fb325cf7).
    load(true)
        .or_else(|error| if error.errno() == Some(libc::EINVAL) { load(false) } else { Err(error) })
}
