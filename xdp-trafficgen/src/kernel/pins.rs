//! Maps that several loads of the object share.
//!
//! A port whose flows form several groups loads the object once for each group, specialised for it, and all of them work on
//! the same maps. aya shares maps by pinning them; the file system they are pinned in is mounted nowhere, so nobody else
//! sees it, and it goes with its descriptor, even after SIGKILL.

use std::{
    os::fd::{AsRawFd as _, OwnedFd},
    path::PathBuf,
};

use aya::EbpfLoader;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use crate::kernel::KernelError;

/// A BPF file system of our own, for as long as this lives. Maps stay when it goes, but cannot be found any more.
#[derive(Debug)]
pub(super) struct Pins {
    directory: String,
    _mount: OwnedFd,
}

impl Pins {
    pub(super) fn new() -> Result<Self, KernelError> {
        let made = fsopen("bpf", FsOpenFlags::FSOPEN_CLOEXEC).and_then(|context| {
            fsconfig_create(&context)?;
            fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
        });
        let mount =
            made.map_err(|source| KernelError::Syscall { call: "making a BPF file system", source: source.into() })?;
        let directory = format!("/proc/self/fd/{}", mount.as_raw_fd());
        Ok(Self { directory, _mount: mount })
    }

    /// Lets the object that is loaded next share these maps with those before and after it.
    pub(super) fn share<'a>(&self, loader: &mut EbpfLoader<'a>, maps: &[&'a str]) {
        for map in maps {
            loader.map_pin_path(map, PathBuf::from(format!("{}/{map}", self.directory)));
        }
    }
}
