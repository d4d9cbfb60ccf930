//! Attaches the pass program: some drivers transmit XDP frames only while an XDP program is
//! attached to them.
//!
//! A program that is attached to the driver already does as well, and stays. The plan decides
//! whether one is needed; the kernel tells whether it is enough (`NETDEV_XDP_ACT_NDO_XMIT`, Linux
//! 6.3 and later): without this bit no frame would leave (__xdp_enqueue in the kernel's
//! kernel/bpf/devmap.c, commit fccca038f300).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use crate::{
    host::{AttachedMode, XdpFeatures, xdp_features},
    kernel::{
        AttachError, KernelError,
        attachment::{Attachment, netlink_failed},
        object::Loader,
    },
    plan::ExistingProgram,
    sys::xdp_netlink::{XdpInterface, XdpNetlink},
};

/// Several drivers restart the NIC when a program is attached, and links of 40 Gb/s take seconds to
/// come back.
const LONGEST_RESTART: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);

/// An interface whose driver has an XDP program. If the program is ours, dropping this detaches it.
#[derive(Debug)]
pub struct PassProgram {
    index: u32,
    /// The program's id.
    program: u32,
    /// None: the program was attached before, by somebody else.
    attachment: Option<Attachment>,
    /// Whether the interface had carrier before the program was attached.
    had_carrier: bool,
    /// Done when the link is back, or the time to wait for it is over.
    restart: Once,
}

impl PassProgram {
    /// Attaches a program to the driver of the interface with this index, unless one is attached.
    /// If that takes the link down, waits until it is back.
    ///
    /// # Errors
    /// [`AttachError`], and when the kernel does not list the interface's programs.
    pub fn attach(index: u32, existing: ExistingProgram) -> Result<Self, KernelError> {
        Self::attach_until(&CancellationToken::new(), index, existing)
    }

    /// As [`PassProgram::attach`], but stops waiting for the link when `stop` is cancelled: a user
    /// who has to wait may kill the process, and then a program that was detached for ours would
    /// not be attached again.
    ///
    /// # Errors
    /// As [`PassProgram::attach`].
    pub fn attach_until(
        stop: &CancellationToken,
        index: u32,
        existing: ExistingProgram,
    ) -> Result<Self, KernelError> {
        let enabled = Self::begin(index, existing)?;
        enabled.wait_for_link(stop);
        Ok(enabled)
    }

    /// As [`PassProgram::attach`], without waiting for the link.
    fn begin(index: u32, existing: ExistingProgram) -> Result<Self, KernelError> {
        let netlink = XdpNetlink::open().map_err(netlink_failed)?;
        let before = netlink.interface(index).map_err(netlink_failed)?;
        let (program, attachment) = match native(&before) {
            Some(program) => (program, None),
            None => {
                pass(index, existing).map(|(program, attachment)| (program, Some(attachment)))?
            }
        };
        let enabled =
            Self { index, program, attachment, had_carrier: before.carrier, restart: Once::new() };
        if xdp_features(index).is_some_and(|features| !features.has(XdpFeatures::NDO_XMIT)) {
            return Err(AttachError::NoTransmit { interface: before.name }.into());
        }
        Ok(enabled)
    }

    /// Waits until the driver has restarted the NIC, once: callers that come meanwhile wait as
    /// well; later callers do not, because the link may then be down for another reason. If the
    /// link stays down, the drop reasons show it.
    fn wait_for_link(&self, stop: &CancellationToken) {
        self.restart.call_once(|| {
            if self.had_carrier
                && self.attachment.is_some()
                && let Ok(netlink) = XdpNetlink::open()
            {
                wait(LONGEST_RESTART, stop, || {
                    netlink.interface(self.index).is_ok_and(|interface| interface.carrier)
                });
            }
        });
    }

    /// Whether the attached program is ours.
    pub const fn is_ours(&self) -> bool {
        self.attachment.is_some()
    }

    /// Detaches our program, and attaches the one again that was detached for it.
    ///
    /// # Errors
    /// When that one cannot be attached again.
    pub fn release(self) -> Result<(), KernelError> {
        Ok(self.attachment.map_or(Ok(()), Attachment::release)?)
    }

    /// Whether the program is still attached: it is detached with its interface, and its owner may
    /// detach it at any time.
    fn is_there(&self) -> bool {
        let interface = XdpNetlink::open().and_then(|netlink| netlink.interface(self.index));
        interface.is_ok_and(|interface| native(&interface) == Some(self.program))
    }
}

/// Attaches our program, and returns its id.
fn pass(index: u32, existing: ExistingProgram) -> Result<(u32, Attachment), KernelError> {
    let program = Loader::new().load()?.program("pass")?;
    let id = program.id()?;
    // The link holds the program.
    Ok((id, Attachment::native(&program, index, existing)?))
}

fn native(interface: &XdpInterface) -> Option<u32> {
    interface.programs.iter().find(|(mode, _)| *mode == AttachedMode::Native).map(|&(_, id)| id)
}

/// Waits until `reached` is true, `stop` is cancelled, or the time `longest` is over.
fn wait(longest: Duration, stop: &CancellationToken, mut reached: impl FnMut() -> bool) {
    let deadline = Instant::now() + longest;
    while !stop.is_cancelled() && !reached() && Instant::now() < deadline {
        thread::sleep(POLL);
    }
}

/// The pass programs of one network namespace; ports that leave by the same interface share one.
#[derive(Clone, Debug, Default)]
pub struct PassPrograms {
    all: Arc<Mutex<BTreeMap<u32, Weak<PassProgram>>>>,
    /// Cancelled to stop waiting for links.
    stop: CancellationToken,
}

impl PassPrograms {
    /// No programs yet. Links are waited for as in [`PassProgram::attach_until`].
    pub fn until(stop: &CancellationToken) -> Self {
        Self { stop: stop.clone(), ..Self::default() }
    }

    /// As [`PassProgram::attach`]; a program that was attached here before is shared.
    ///
    /// # Errors
    /// As [`PassProgram::attach`].
    pub fn hold(
        &self,
        index: u32,
        existing: ExistingProgram,
    ) -> Result<PassProgramShare, KernelError> {
        let mut all = self.lock();
        let known = all.get(&index).and_then(Weak::upgrade).filter(|enabled| enabled.is_there());
        let enabled = match known {
            Some(enabled) => enabled,
            None => Arc::new(PassProgram::begin(index, existing)?),
        };
        all.insert(index, Arc::downgrade(&enabled));
        let hold = PassProgramShare { enabling: self.clone(), enabled: Some(Arc::clone(&enabled)) };
        // A link may take seconds to come back; ports of other interfaces do not wait for it.
        drop(all);
        enabled.wait_for_link(&self.stop);
        Ok(hold)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Weak<PassProgram>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A share in a pass program; dropping the last share detaches it.
#[derive(Debug)]
pub struct PassProgramShare {
    enabling: PassPrograms,
    /// None when the share was released.
    enabled: Option<Arc<PassProgram>>,
}

impl PassProgramShare {
    /// Whether the attached program is ours.
    pub fn is_ours(&self) -> bool {
        self.enabled.as_ref().is_some_and(|enabled| enabled.attachment.is_some())
    }

    /// As [`PassProgram::release`], if this is the last share.
    ///
    /// # Errors
    /// As [`PassProgram::release`].
    pub fn release(mut self) -> Result<(), KernelError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), KernelError> {
        // The lock keeps other threads from sharing a program that is being detached.
        let _all = self.enabling.lock();
        self.enabled.take().and_then(Arc::into_inner).map_or(Ok(()), PassProgram::release)
    }
}

impl Drop for PassProgramShare {
    /// Best effort: `drop` cannot report a failure.
    fn drop(&mut self) {
        let _ = self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wait that ignored `stop` would last an hour here.
    #[test]
    fn a_signal_ends_the_wait_for_the_link() {
        let stop = CancellationToken::new();
        let mut looks = 0;
        wait(Duration::from_secs(3600), &stop, || {
            looks += 1;
            if looks == 3 {
                stop.cancel();
            }
            false
        });
        assert_eq!(looks, 3);
    }
}
