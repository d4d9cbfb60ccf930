//! The eBPF object that `build.rs` makes from the eBPF crate.
//!
//! The object is read and linked once in the life of the process. What is loaded for a port or a
//! receiver is a copy with constants of its own, and has only the programs that are asked for and the
//! maps that these use. aya's loader would read the object, and all types of the running kernel
//! (`/sys/kernel/btf/vmlinux`), each time: 25 ms a port (doc/measurements.md#starting). So the object
//! is read by aya-obj, and loaded here.

mod linked;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
};

use aya::{
    Pod,
    maps::{Map, MapData},
};
use aya_obj::{
    EbpfSectionKind,
    generated::{bpf_attach_type, bpf_cmd, bpf_func_info, bpf_insn, bpf_map_type, bpf_prog_type},
};

use self::linked::{Linked, LinkedProgram};
use crate::{
    kernel::{
        KernelError, map_error,
        program::{Program, ProgramError},
    },
    sys::bpf::{attributes, bpf, bpf_fd, name},
};

/// Says how a copy of the object differs from the original.
#[derive(Default)]
pub(super) struct Loader<'a> {
    constants: HashMap<&'a str, (&'a [u8], bool)>,
    entries: Vec<(&'static str, u32)>,
    shared: Vec<(&'static str, &'a OwnedFd)>,
}

impl<'a> Loader<'a> {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Gives a constant of the object another value.
    pub(super) fn constant<T: Pod>(&mut self, name: &'a str, value: &'a T) -> &mut Self {
        self.constants(name, std::slice::from_ref(value))
    }

    /// Gives a constant array of the object other values.
    pub(super) fn constants<T: Pod>(&mut self, name: &'a str, values: &'a [T]) -> &mut Self {
        // SAFETY: a `Pod` has no padding, so that all bytes of the values are initialised.
        let bytes =
            unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) };
        self.constants.insert(name, (bytes, true));
        self
    }

    /// Sets how many entries a map has.
    pub(super) fn entries(&mut self, map: &'static str, entries: u32) -> &mut Self {
        self.entries.push((map, entries));
        self
    }

    /// Uses this map instead of a new one.
    pub(super) fn share(&mut self, map: &'static str, descriptor: &'a OwnedFd) -> &mut Self {
        self.shared.push((map, descriptor));
        self
    }

    /// A copy of the object, of which nothing is in the kernel yet.
    ///
    /// # Errors
    /// When the object has no such constant or map, which is a bug.
    pub(super) fn load(&self) -> Result<Object, KernelError> {
        let linked = Linked::of_process()?;
        let mut data = linked.data.clone();
        data.patch_map_data(self.constants.clone())
            .map_err(|error| KernelError::Object(error.into()))?;
        for &(name, entries) in &self.entries {
            data.maps.get_mut(name).ok_or(KernelError::Missing(name))?.set_max_entries(entries);
        }
        let mut maps = BTreeMap::new();
        for &(name, descriptor) in &self.shared {
            maps.insert(name, duplicate(descriptor)?);
        }
        Ok(Object { linked, data, maps })
    }
}

/// A copy of the object with constants of its own. Maps come into being when they are asked for, or
/// with the first program that uses them. Dropping this closes their descriptors: programs keep the
/// maps that they use.
pub(super) struct Object {
    linked: &'static Linked,
    /// Definitions of maps, and initial data.
    data: aya_obj::Object,
    maps: BTreeMap<&'static str, OwnedFd>,
}

impl Object {
    /// A map.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub(super) fn map(&mut self, name: &'static str) -> Result<Map, KernelError> {
        let descriptor = duplicate(self.descriptor(name)?)?;
        MapData::from_fd(descriptor).and_then(Map::from_map_data).map_err(map_error(name))
    }

    /// The descriptor of a map.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub(super) fn descriptor(&mut self, name: &'static str) -> Result<&OwnedFd, KernelError> {
        if !self.maps.contains_key(name) {
            let definition = self.data.maps.get(name).ok_or(KernelError::Missing(name))?;
            let map = create(name, definition)
                .map_err(|source| KernelError::CreateMap { map: name, source })?;
            self.maps.insert(name, map);
        }
        self.maps.get(name).ok_or(KernelError::Missing(name))
    }

    /// Loads a program, with the maps that it uses.
    ///
    /// # Errors
    /// When the kernel refuses it or a map.
    pub(super) fn program(&mut self, name: &'static str) -> Result<Program, KernelError> {
        let program = self.linked.programs.get(name).ok_or(KernelError::Missing(name))?;
        let mut instructions = program.instructions.clone();
        for &(at, map) in &program.maps {
            instructions[at].imm = self.descriptor(&self.linked.maps[map])?.as_raw_fd();
        }
        let load = |log: &mut [u8]| load(name, program, &self.linked.btf, &instructions, log);
        let descriptor = load(&mut []).or_else(|source| {
            // The first try has no log, which takes time to write. The errno of the second may be
            // that of a log that is too long.
            let mut log = vec![0; LOG_LEN];
            load(&mut log).map_err(|_| {
                let log = log.split(|&byte| byte == 0).next().unwrap_or_default();
                let log = String::from_utf8_lossy(log).into_owned();
                let source = ProgramError { call: "bpf(BPF_PROG_LOAD)", source, log };
                KernelError::Program { program: name, source }
            })
        })?;
        Ok(Program::new(name, descriptor))
    }
}

/// Bytes of the verifier's log of a program that is refused. A longer log loses its beginning
/// (Linux 6.4, commit 121664093803), and the reason stands at its end.
const LOG_LEN: usize = 1 << 20;

/// Another descriptor of the same map.
pub(super) fn duplicate(descriptor: &OwnedFd) -> Result<OwnedFd, KernelError> {
    descriptor.try_clone().map_err(|source| KernelError::Syscall { call: "fcntl(F_DUPFD)", source })
}

/// Makes a map, with its initial data.
fn create(map: &str, definition: &aya_obj::Map) -> io::Result<OwnedFd> {
    let mut attr = attributes();
    attr.__bindgen_anon_1.map_type = definition.map_type();
    attr.__bindgen_anon_1.key_size = definition.key_size();
    attr.__bindgen_anon_1.value_size =
        if definition.map_type() == bpf_map_type::BPF_MAP_TYPE_DEVMAP as u32 {
            // `struct bpf_devmap_val`, which has room for a program (Linux 5.8, commit fbee97feed9b).
            8
        } else {
            definition.value_size()
        };
    attr.__bindgen_anon_1.max_entries = definition.max_entries();
    attr.__bindgen_anon_1.map_flags = definition.map_flags();
    attr.__bindgen_anon_1.map_name = name(map);
    // SAFETY: the command takes no pointers and makes a descriptor.
    let descriptor = unsafe { bpf_fd(bpf_cmd::BPF_MAP_CREATE, &mut attr) }?;
    let data = definition.data();
    if !data.is_empty() {
        let key = 0_u32;
        let mut attr = attributes();
        attr.__bindgen_anon_2.map_fd = descriptor.as_raw_fd().cast_unsigned();
        attr.__bindgen_anon_2.key = (&raw const key) as u64;
        attr.__bindgen_anon_2.__bindgen_anon_1.value = data.as_ptr() as u64;
        // SAFETY: a section's map has keys of four bytes and one value, as long as its data; both
        // outlive the call, which reads them.
        unsafe { bpf(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attr) }?;
    }
    if definition.section_kind() == EbpfSectionKind::Rodata {
        // The verifier takes for constant what nobody can change any more.
        let mut attr = attributes();
        attr.__bindgen_anon_2.map_fd = descriptor.as_raw_fd().cast_unsigned();
        // SAFETY: the command takes no pointers.
        unsafe { bpf(bpf_cmd::BPF_MAP_FREEZE, &mut attr) }?;
    }
    Ok(descriptor)
}

/// Loads a program. The verifier's log goes to `log`, if that has room.
fn load(
    program: &str,
    linked: &LinkedProgram,
    btf: &OwnedFd,
    instructions: &[bpf_insn],
    log: &mut [u8],
) -> io::Result<OwnedFd> {
    let count = |len: usize| u32::try_from(len).map_err(io::Error::other);
    let mut attr = attributes();
    // SAFETY: all-zero is a valid value of this part of the union, which only this code uses.
    let load = unsafe { &mut attr.__bindgen_anon_3 };
    load.prog_type = linked.kind as u32;
    if linked.kind as u32 == bpf_prog_type::BPF_PROG_TYPE_XDP as u32 {
        load.expected_attach_type = bpf_attach_type::BPF_XDP as u32;
    }
    load.prog_flags = linked.flags;
    load.prog_name = name(program);
    load.insns = instructions.as_ptr() as u64;
    load.insn_cnt = count(instructions.len())?;
    load.license = c"Dual MIT/GPL".as_ptr() as u64;
    // Programs need types for the functions that they hand to bpf_loop (`check_ld_imm` of
    // kernel/bpf/verifier.c).
    load.prog_btf_fd = btf.as_fd().as_raw_fd().cast_unsigned();
    load.func_info = linked.functions.as_ptr() as u64;
    load.func_info_cnt = count(linked.functions.len())?;
    load.func_info_rec_size = count(size_of::<bpf_func_info>())?;
    if !log.is_empty() {
        load.log_level = 1;
        load.log_size = count(log.len())?;
        load.log_buf = log.as_mut_ptr() as u64;
    }
    // SAFETY: everything that is pointed to outlives the call, which makes a descriptor and writes
    // only to the log.
    unsafe { bpf_fd(bpf_cmd::BPF_PROG_LOAD, &mut attr) }
}
