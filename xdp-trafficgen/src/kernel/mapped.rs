//! Array maps in this process's own memory (`BPF_F_MMAPABLE`, Linux 5.5, commit fc9702273e2e): what
//! the program writes is read without a system call, and a mapped array needs no descriptor.
//!
//! The kernel places the entries of such an array at multiples of eight bytes, from the start of a
//! page on (`array_map_mmap` of kernel/bpf/arraymap.c). Programs access it as any other array. The
//! kernel may write while we read: each word is read and written as a whole, and a value of several
//! words may mix two moments, as with `BPF_MAP_LOOKUP_ELEM`.

use std::{
    io,
    marker::PhantomData,
    mem::MaybeUninit,
    os::fd::AsFd as _,
    sync::{
        Arc,
        atomic::{
            AtomicU32, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

use aya::{
    Pod,
    maps::{Map, MapData},
};
use memmap2::{MmapOptions, MmapRaw};

use crate::kernel::{KernelError, map_error};

/// The entries of an array. They stay mapped when the map's descriptor is closed.
pub(super) struct Mapped<T> {
    name: &'static str,
    memory: MmapRaw,
    entries: u32,
    _entry: PhantomData<fn() -> T>,
}

/// The size of a word; both sides access entries word by word.
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
        let size = info.value_size();
        let entries = info.max_entries();
        let failed = |source| KernelError::Syscall { call: "mapping an eBPF map (mmap)", source };
        if u64::from(size) != size_of::<T>() as u64 {
            return Err(failed(io::Error::other(format!("entries of `{name}` have {size} bytes"))));
        }
        let len =
            Self::STRIDE * usize::try_from(entries).map_err(io::Error::other).map_err(failed)?;
        let memory = MmapOptions::new().len(len).map_raw(&data.fd().as_fd()).map_err(failed)?;
        Ok(Self { name, memory, entries, _entry: PhantomData })
    }

    /// Reads an entry.
    pub(super) fn get(&self, index: u32) -> Result<T, KernelError> {
        let from = self.entry(index)?;
        let mut value = MaybeUninit::<T>::uninit();
        let to = value.as_mut_ptr().cast::<u8>();
        for at in (0..size_of::<T>()).step_by(WORD) {
            // SAFETY: the entry has STRIDE bytes at a multiple of eight, which only atomic
            // operations of ours and the kernel touch; `value` has room for the word, or for the
            // half of one that is its last.
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
                    AtomicU32::from_ptr(to.add(at).cast())
                        .store(from.add(at).cast::<u32>().read_unaligned(), Relaxed);
                } else {
                    AtomicU64::from_ptr(to.add(at).cast())
                        .store(from.add(at).cast::<u64>().read_unaligned(), Relaxed);
                }
            }
        }
        Ok(())
    }

    /// The address of an entry.
    fn entry(&self, index: u32) -> Result<*mut u8, KernelError> {
        if index >= self.entries {
            return Err(KernelError::NoEntry { map: self.name, index });
        }
        // SAFETY: `entries` of STRIDE bytes are mapped.
        Ok(unsafe { self.memory.as_mut_ptr().add(index as usize * Self::STRIDE) })
    }
}

/// The word in a map that stops a program's work. Clones share one word.
#[derive(Clone)]
pub struct StopFlag(Arc<Mapped<u64>>);

impl StopFlag {
    pub(super) fn of(map: &Map, name: &'static str) -> Result<Self, KernelError> {
        let mapped = Mapped::of(map, name)?;
        mapped.get(0)?;
        Ok(Self(Arc::new(mapped)))
    }

    /// Stops departures from the instant `now` on (nanoseconds on the programs' clock): paced calls
    /// in progress end at once; unpaced calls do not read the flag. The first instant stays, and a
    /// thread that reads it sees what this thread wrote before.
    pub fn set(&self, now: u64) {
        // Another thread may have set the flag first: its instant stays.
        let _ = self.word().compare_exchange(0, now.max(1), Release, Relaxed);
    }

    /// The instant from which on nothing departs; none when the flag is not set.
    pub fn get(&self) -> Option<u64> {
        Some(self.word().load(Acquire)).filter(|&stopped| stopped != 0)
    }

    fn word(&self) -> &AtomicU64 {
        // SAFETY: the map has an entry (`StopFlag::of`), of eight bytes, which only atomic
        // operations and the kernel touch.
        unsafe { AtomicU64::from_ptr(self.0.memory.as_mut_ptr().cast()) }
    }
}

#[cfg(test)]
mod tests {
    use memmap2::MmapMut;

    use super::*;

    /// Entries in memory that belongs to no map.
    fn entries<T: Pod>(count: u32) -> Mapped<T> {
        let memory = MmapMut::map_anon(Mapped::<T>::STRIDE * count as usize).unwrap();
        Mapped { name: "TEST", memory: memory.into(), entries: count, _entry: PhantomData }
    }

    /// All bytes of the memory.
    fn bytes<T: Pod>(mapped: &Mapped<T>) -> Vec<u8> {
        // SAFETY: `len` bytes are mapped, and no other thread accesses them.
        unsafe { std::slice::from_raw_parts(mapped.memory.as_ptr(), mapped.memory.len()) }.to_vec()
    }

    #[test]
    fn entries_are_at_multiples_of_eight_bytes() {
        let small = entries::<u32>(3);
        for index in 0..3 {
            small.set(index, &(0x0101_0101 * (index + 1))).unwrap();
        }
        assert_eq!(
            (0..3).map(|index| small.get(index).unwrap()).collect::<Vec<_>>(),
            [0x0101_0101, 0x0202_0202, 0x0303_0303]
        );
        // `array_map_alloc` of the kernel rounds the size up.
        assert_eq!(
            bytes(&small),
            [[1, 1, 1, 1, 0, 0, 0, 0], [2, 2, 2, 2, 0, 0, 0, 0], [3, 3, 3, 3, 0, 0, 0, 0]].concat()
        );
    }

    #[test]
    fn the_last_word_may_be_half_of_one() {
        let odd = entries::<[u32; 3]>(2);
        odd.set(0, &[1, 2, 3]).unwrap();
        odd.set(1, &[4, 5, 6]).unwrap();
        assert_eq!((odd.get(0).unwrap(), odd.get(1).unwrap()), ([1, 2, 3], [4, 5, 6]));
        assert_eq!(bytes(&odd)[12..16], [0; 4], "what fills up the first entry");
    }

    #[test]
    fn there_is_nothing_behind_the_last_entry() {
        let two = entries::<u64>(2);
        two.set(1, &7).unwrap();
        assert_eq!(two.get(1).unwrap(), 7);
        for index in [2, u32::MAX] {
            assert!(
                matches!(two.get(index), Err(KernelError::NoEntry { map: "TEST", index: wrong }) if wrong == index)
            );
            assert!(matches!(two.set(index, &7), Err(KernelError::NoEntry { .. })));
        }
    }

    #[test]
    fn the_first_stop_stays() {
        let word = StopFlag(Arc::new(entries(1)));
        assert_eq!(word.get(), None);
        let same = word.clone();
        word.set(17);
        same.set(18);
        assert_eq!((word.get(), same.get()), (Some(17), Some(17)));
        // 0 means that the flag is not set.
        let first = StopFlag(Arc::new(entries(1)));
        first.set(0);
        assert_eq!(first.get(), Some(1));
    }
}
