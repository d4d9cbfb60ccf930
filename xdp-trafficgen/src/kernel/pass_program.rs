//! Makes drivers send XDP frames that do so only while an XDP program is attached: attaches one that lets everything pass.
//!
//! A program that is in the driver already does as well, and stays. Whether one is needed, the plan decides; whether it was
//! enough, the kernel says (`NETDEV_XDP_ACT_NDO_XMIT`, Linux 6.3 and later), and without it no frame would leave (__xdp_enqueue
//! in the kernel's kernel/bpf/devmap.c, commit fccca038f300).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use aya::programs::Xdp;
use tokio_util::sync::CancellationToken;

use crate::{
    host::{AttachedMode, XdpFeatures, xdp_features},
    kernel::{
        AttachError, KernelError, OBJECT,
        attachment::{Attachment, unasked},
        program_error,
    },
    plan::ExistingProgram,
    sys::xdp_netlink::{XdpInterface, XdpNetlink},
};

/// The name of the program in the object.
const PASS: &str = "pass";
/// Several drivers start the NIC anew when a program comes, and links of 40 Gb/s take seconds until they are there again.
const LONGEST_RESTART: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);

/// An interface whose driver has an XDP program, for as long as this lives where the program is ours.
#[derive(Debug)]
pub struct PassProgram {
    index: u32,
    /// The program's id.
    program: u32,
    /// None: somebody else's program was there.
    attachment: Option<Attachment>,
    /// Whether there was a link before.
    had_carrier: bool,
    /// Over when the link is back, or was waited for in vain.
    restart: Once,
}

impl PassProgram {
    /// Attaches a program to the interface with this index, in its driver, unless there is one. Waits until the link is back
    /// when that takes it down.
    ///
    /// # Errors
    /// [`AttachError`], and when the kernel does not say what is there.
    pub fn attach(index: u32, existing: ExistingProgram) -> Result<Self, KernelError> {
        Self::attach_until(&CancellationToken::new(), index, existing)
    }

    /// As [`PassProgram::attach`], but waits no longer for the link once `stop` is cancelled: whoever wants to end must not wait,
    /// nor grow impatient and kill us, which would lose what made way.
    ///
    /// # Errors
    /// As [`PassProgram::attach`].
    pub fn attach_until(stop: &CancellationToken, index: u32, existing: ExistingProgram) -> Result<Self, KernelError> {
        let enabled = Self::begin(index, existing)?;
        enabled.wait_for_link(stop);
        Ok(enabled)
    }

    /// As [`PassProgram::attach`], without waiting.
    fn begin(index: u32, existing: ExistingProgram) -> Result<Self, KernelError> {
        let netlink = XdpNetlink::open().map_err(unasked)?;
        let before = netlink.interface(index).map_err(unasked)?;
        let (program, attachment) = match native(&before) {
            Some(program) => (program, None),
            None => pass(index, existing).map(|(program, attachment)| (program, Some(attachment)))?,
        };
        let enabled = Self { index, program, attachment, had_carrier: before.carrier, restart: Once::new() };
        if xdp_features(index).is_some_and(|features| !features.has(XdpFeatures::NDO_XMIT)) {
            return Err(AttachError::NoTransmit { interface: before.name }.into());
        }
        Ok(enabled)
    }

    /// Waits until the driver has started the NIC anew, once: whoever comes meanwhile waits as well, and nobody later, when a
    /// link may be down for another reason. A link that stays down shows in what becomes of the frames.
    fn wait_for_link(&self, stop: &CancellationToken) {
        self.restart.call_once(|| {
            if self.had_carrier
                && self.attachment.is_some()
                && let Ok(netlink) = XdpNetlink::open()
            {
                wait(LONGEST_RESTART, stop, || netlink.interface(self.index).is_ok_and(|interface| interface.carrier));
            }
        });
    }

    /// Whether a program of ours was attached.
    pub const fn is_ours(&self) -> bool {
        self.attachment.is_some()
    }

    /// Takes our program off, and puts back what made way for it.
    ///
    /// # Errors
    /// When that cannot be put back.
    pub fn release(self) -> Result<(), KernelError> {
        Ok(self.attachment.map_or(Ok(()), Attachment::release)?)
    }

    /// Whether the program is still there: it goes with its interface, and somebody else's when he likes.
    fn is_there(&self) -> bool {
        let interface = XdpNetlink::open().and_then(|netlink| netlink.interface(self.index));
        interface.is_ok_and(|interface| native(&interface) == Some(self.program))
    }
}

/// Attaches ours, and gives its id.
fn pass(index: u32, existing: ExistingProgram) -> Result<(u32, Attachment), KernelError> {
    let mut ebpf = aya::Ebpf::load(OBJECT)?;
    let program: &mut Xdp =
        ebpf.program_mut(PASS).ok_or(KernelError::Missing(PASS))?.try_into().map_err(program_error(PASS))?;
    program.load().map_err(program_error(PASS))?;
    let id = program.info().map_err(program_error(PASS))?.id();
    // The link holds the program; the rest of the object goes here.
    Ok((id, Attachment::native(program, index, existing)?))
}

fn native(interface: &XdpInterface) -> Option<u32> {
    interface.programs.iter().find(|(mode, _)| *mode == AttachedMode::Native).map(|&(_, id)| id)
}

/// Waits until `reached`, at most for so long, and not when told to stop.
fn wait(longest: Duration, stop: &CancellationToken, mut reached: impl FnMut() -> bool) {
    let deadline = Instant::now() + longest;
    while !stop.is_cancelled() && !reached() && Instant::now() < deadline {
        thread::sleep(POLL);
    }
}

/// The interfaces that were enabled in one network namespace, so that ports that leave by the same one share its program.
#[derive(Clone, Debug, Default)]
pub struct PassPrograms {
    all: Arc<Mutex<BTreeMap<u32, Weak<PassProgram>>>>,
    /// Ends the waiting for links.
    stop: CancellationToken,
}

impl PassPrograms {
    /// None yet; links are waited for as [`PassProgram::attach_until`] has it.
    pub fn until(stop: &CancellationToken) -> Self {
        Self { stop: stop.clone(), ..Self::default() }
    }

    /// As [`PassProgram::attach`], or the same again.
    ///
    /// # Errors
    /// As [`PassProgram::attach`].
    pub fn hold(&self, index: u32, existing: ExistingProgram) -> Result<PassProgramShare, KernelError> {
        let mut all = self.lock();
        let known = all.get(&index).and_then(Weak::upgrade).filter(|enabled| enabled.is_there());
        let enabled = match known {
            Some(enabled) => enabled,
            None => Arc::new(PassProgram::begin(index, existing)?),
        };
        all.insert(index, Arc::downgrade(&enabled));
        let hold = PassProgramShare { enabling: self.clone(), enabled: Some(Arc::clone(&enabled)) };
        // A link may take seconds, in which other interfaces must not wait for this one.
        drop(all);
        enabled.wait_for_link(&self.stop);
        Ok(hold)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Weak<PassProgram>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A share in an interface that was enabled; the last one takes the program with it.
#[derive(Debug)]
pub struct PassProgramShare {
    enabling: PassPrograms,
    /// None when it was released.
    enabled: Option<Arc<PassProgram>>,
}

impl PassProgramShare {
    /// Whether a program of ours was attached.
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
        // A program that is on its way out must not be taken for one that stays.
        let _all = self.enabling.lock();
        self.enabled.take().and_then(Arc::into_inner).map_or(Ok(()), PassProgram::release)
    }
}

impl Drop for PassProgramShare {
    /// For ends that have nobody to tell of a failure.
    fn drop(&mut self) {
        let _ = self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wait that heeds no signal lasts an hour here.
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
