//! Maps that several loads of the object share.
//!
//! A port whose flows form several groups loads the object once per group, specialised for it, and
//! all of them use the same maps. aya shares maps by pinning them. The file system that they are
//! pinned in is mounted nowhere, so no other process sees it, and it is removed with its
//! descriptor, even after SIGKILL.

use std::{
    os::fd::{AsRawFd as _, OwnedFd},
    path::PathBuf,
};

use aya::EbpfLoader;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use crate::kernel::KernelError;

/// A private BPF file system; dropping this removes it. Maps stay, but cannot be looked up any
/// more.
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
        let mount = made.map_err(|source| KernelError::Syscall {
            call: "making a BPF file system",
            source: source.into(),
        })?;
        let directory = format!("/proc/self/fd/{}", mount.as_raw_fd());
        Ok(Self { directory, _mount: mount })
    }

    /// Lets the object that is loaded next share these maps with all objects that are loaded with
    /// this file system.
    pub(super) fn share<'a>(&self, loader: &mut EbpfLoader<'a>, maps: &[&'a str]) {
        for map in maps {
            loader.map_pin_path(map, PathBuf::from(format!("{}/{map}", self.directory)));
        }
    }
}
