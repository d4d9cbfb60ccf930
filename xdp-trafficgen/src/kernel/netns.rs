//! Network namespaces without a name: the kernel removes them when the process ends, whatever ends
//! it.

use std::{
    fs::File,
    os::fd::{AsFd as _, OwnedFd},
    thread,
};

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

use crate::kernel::KernelError;

/// A network namespace that only this process holds.
#[derive(Debug)]
pub struct PrivateNetns {
    namespace: OwnedFd,
}

impl PrivateNetns {
    /// Moves the calling thread, and the threads it starts from now on, into a new namespace.
    ///
    /// # Errors
    /// When CAP_SYS_ADMIN is missing.
    pub fn enter() -> Result<Self, KernelError> {
        // SAFETY: the new namespace is this thread's alone; no descriptor or memory is affected.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.map_err(|errno| KernelError::Syscall {
            call: "unshare(CLONE_NEWNET)",
            source: errno.into(),
        })?;
        Self::current()
    }

    /// The calling thread's present namespace.
    ///
    /// # Errors
    /// When /proc is not mounted.
    pub fn current() -> Result<Self, KernelError> {
        let file = File::open("/proc/thread-self/ns/net").map_err(|source| {
            KernelError::Syscall { call: "open(/proc/thread-self/ns/net)", source }
        })?;
        Ok(Self { namespace: file.into() })
    }

    /// A new namespace; the calling thread stays where it is.
    ///
    /// # Errors
    /// As [`PrivateNetns::enter`].
    pub fn create() -> Result<Self, KernelError> {
        in_a_thread(Self::enter)
    }

    /// Moves the calling thread into this namespace.
    ///
    /// # Errors
    /// When CAP_SYS_ADMIN is missing.
    pub fn join(&self) -> Result<(), KernelError> {
        move_into_link_name_space(self.namespace.as_fd(), Some(LinkNameSpaceType::Network)).map_err(
            |errno| KernelError::Syscall { call: "setns(CLONE_NEWNET)", source: errno.into() },
        )
    }

    /// Runs `work` inside the namespace, in a thread of its own.
    ///
    /// # Errors
    /// Those of `work`, and as [`PrivateNetns::join`].
    pub fn run<T: Send, E: From<KernelError> + Send>(
        &self,
        work: impl FnOnce() -> Result<T, E> + Send,
    ) -> Result<T, E> {
        in_a_thread(|| {
            self.join()?;
            work()
        })
    }
}

/// Runs `work` in a thread of its own. A panic in `work` continues in the calling thread.
fn in_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(work).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
