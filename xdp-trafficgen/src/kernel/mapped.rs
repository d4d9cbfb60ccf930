//! Array maps in this process's own memory (`BPF_F_MMAPABLE`, Linux 5.5, commit fc9702273e2e): what the program writes is read
//! without a system call, and needs no descriptor once it is mapped.
//!
//! The kernel keeps the entries of such an array from the start of a page on, each at a multiple of eight bytes
//! (`array_map_mmap` of kernel/bpf/arraymap.c). Programs reach them as those of any other array. The kernel writes while we read:
//! each word is read and written as a whole, and a value of several words may be of two moments, as it may be with
//! `BPF_MAP_LOOKUP_ELEM`.

use std::{
    io,
    marker::PhantomData,
    mem::MaybeUninit,
    os::fd::AsFd as _,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
};

use aya::{
    Pod,
    maps::{Map, MapData},
};
use memmap2::{MmapOptions, MmapRaw};

use crate::kernel::{KernelError, map_error};

/// The entries of an array. Stays when the map's descriptor is closed.
pub(super) struct Mapped<T> {
    name: &'static str,
    memory: MmapRaw,
    entries: u32,
    _entry: PhantomData<fn() -> T>,
}

/// A word of an entry, on both sides.
const WORD: usize = size_of::<u64>();

impl<T: Pod> Mapped<T> {
    const STRIDE: usize = size_of::<T>().next_multiple_of(WORD);

    /// Maps the array with this name.
    pub(super) fn of(map: &Map, name: &'static str) -> Result<Self, KernelError> {
        const { assert!(align_of::<T>() <= WORD && size_of::<T>().is_multiple_of(size_of::<u32>())) };
        let Map::Array(data) = map else { return Err(KernelError::Missing(name)) };
        Self::of_data(data, name)
    }

    fn of_data(data: &MapData, name: &'static str) -> Result<Self, KernelError> {
        let info = data.info().map_err(map_error(name))?;
        let size = usize::try_from(info.value_size()).unwrap_or(0);
        let entries = info.max_entries();
        let failed = |source| KernelError::Syscall { call: "mapping an eBPF map (mmap)", source };
        if size != size_of::<T>() {
            return Err(failed(io::Error::other(format!("entries of `{name}` have {size} bytes"))));
        }
        let len = Self::STRIDE * usize::try_from(entries).map_err(io::Error::other).map_err(failed)?;
        let memory = MmapOptions::new().len(len).map_raw(&data.fd().as_fd()).map_err(failed)?;
        Ok(Self { name, memory, entries, _entry: PhantomData })
    }

    /// An entry.
    pub(super) fn get(&self, index: u32) -> Result<T, KernelError> {
        let from = self.entry(index)?;
        let mut value = MaybeUninit::<T>::uninit();
        let to = value.as_mut_ptr().cast::<u8>();
        for at in (0..size_of::<T>()).step_by(WORD) {
            // SAFETY: the entry has STRIDE bytes at a multiple of eight, which only atomic operations of ours and the kernel
            // touch; `value` has room for the word, or for the half of one that is its last.
            unsafe {
                if size_of::<T>() - at < WORD {
                    let word = AtomicU32::from_ptr(from.add(at).cast()).load(Relaxed);
                    to.add(at).cast::<u32>().write_unaligned(word);
                } else {
                    let word = AtomicU64::from_ptr(from.add(at).cast()).load(Relaxed);
                    to.add(at).cast::<u64>().write_unaligned(word);
                }
            }
        }
        // SAFETY: all of its bytes are written, and any are a `Pod`.
        Ok(unsafe { value.assume_init() })
    }

    /// Writes an entry.
    pub(super) fn set(&self, index: u32, value: &T) -> Result<(), KernelError> {
        let to = self.entry(index)?;
        let from = (&raw const *value).cast::<u8>();
        for at in (0..size_of::<T>()).step_by(WORD) {
            // SAFETY: as in `get`; a `Pod` has no padding.
            unsafe {
                if size_of::<T>() - at < WORD {
                    AtomicU32::from_ptr(to.add(at).cast()).store(from.add(at).cast::<u32>().read_unaligned(), Relaxed);
                } else {
                    AtomicU64::from_ptr(to.add(at).cast()).store(from.add(at).cast::<u64>().read_unaligned(), Relaxed);
                }
            }
        }
        Ok(())
    }

    /// Where an entry begins.
    fn entry(&self, index: u32) -> Result<*mut u8, KernelError> {
        if index >= self.entries {
            return Err(KernelError::NoEntry { map: self.name, index });
        }
        // SAFETY: `entries` of STRIDE bytes are mapped.
        Ok(unsafe { self.memory.as_mut_ptr().add(index as usize * Self::STRIDE) })
    }
}

/// The word that makes a program stop. Clones are the same one.
#[derive(Clone)]
pub struct StopWord(Arc<Mapped<u64>>);

impl StopWord {
    pub(super) fn of(map: &Map, name: &'static str) -> Result<Self, KernelError> {
        let mapped = Mapped::of(map, name)?;
        mapped.get(0)?;
        Ok(Self(Arc::new(mapped)))
    }

    /// Lets nothing depart from this instant on: paced calls under way come to their end at once. Others take no notice. The
    /// first instant stays. `now`: on the programs' clock, in nanoseconds.
    pub fn set(&self, now: u64) {
        // Whoever comes second finds that it has been done.
        let _ = self.word().compare_exchange(0, now.max(1), Relaxed, Relaxed);
    }

    /// When nothing departed any more; none: there has been no stop.
    pub fn get(&self) -> Option<u64> {
        Some(self.word().load(Relaxed)).filter(|&stopped| stopped != 0)
    }

    fn word(&self) -> &AtomicU64 {
        // SAFETY: the map has an entry (`StopWord::of`), of eight bytes, which only atomic operations and the kernel touch.
        unsafe { AtomicU64::from_ptr(self.0.memory.as_mut_ptr().cast()) }
    }
}
