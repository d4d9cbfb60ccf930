//! The kernel's trace points that tell the fate of frames.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    ffi::CStr,
    os::fd::OwnedFd,
};

use crate::kernel::{KernelError, object::Object, program::Program};

/// A trace point of the kernel's XDP code (include/trace/events/xdp.h). Kernels have different
/// ones: each is looked up by name, and counts that only it can give are missing where it is
/// absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TracePoint {
    /// `xdp_devmap_xmit`: the frames that the driver took and refused.
    DevmapXmit,
    /// `xdp_redirect_err`: frames that did not reach a driver, and why.
    RedirectErr,
    /// `xdp_redirect_map_err`: the same, in older kernels.
    RedirectMapErr,
    /// `xdp_exception`: frames that were dropped for a program's result.
    Exception,
}

impl TracePoint {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::DevmapXmit, Self::RedirectErr, Self::RedirectMapErr, Self::Exception];

    /// The kernel's name.
    pub const fn name(self) -> &'static str {
        match self.name_for_kernel().to_str() {
            Ok(name) => name,
            // The names below are ASCII.
            Err(_) => unreachable!(),
        }
    }

    /// The kernel's name, as the kernel takes it.
    pub(super) const fn name_for_kernel(self) -> &'static CStr {
        match self {
            Self::DevmapXmit => c"xdp_devmap_xmit",
            Self::RedirectErr => c"xdp_redirect_err",
            Self::RedirectMapErr => c"xdp_redirect_map_err",
            Self::Exception => c"xdp_exception",
        }
    }

    /// The program of the object that is attached to it.
    const fn program(self) -> &'static str {
        match self {
            Self::DevmapXmit => "on_devmap_xmit",
            Self::RedirectErr | Self::RedirectMapErr => "on_redirect_err",
            Self::Exception => "on_exception",
        }
    }
}

/// The trace points that the kernel has. The fate of frames is known only with
/// [`TracePoint::DevmapXmit`] and one for redirects: our frames are told from those of other
/// senders by their unknown fate, so every fate must become known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TracePoints(Vec<TracePoint>);

impl TracePoints {
    /// Whether the fate of frames is known.
    pub fn tell_fates(&self) -> bool {
        self.has(TracePoint::DevmapXmit)
            && (self.has(TracePoint::RedirectErr) || self.has(TracePoint::RedirectMapErr))
    }

    /// Whether the kernel has it.
    pub fn has(&self, trace_point: TracePoint) -> bool {
        self.0.contains(&trace_point)
    }

    /// The absent trace points without which a count is missing. One of the two for redirects is
    /// enough.
    pub fn lacking(&self) -> Vec<TracePoint> {
        let missed = |trace_point: &TracePoint| !self.has(*trace_point);
        [TracePoint::DevmapXmit, TracePoint::RedirectErr]
            .into_iter()
            .filter(missed)
            .filter(|trace_point| {
                *trace_point != TracePoint::RedirectErr || missed(&TracePoint::RedirectMapErr)
            })
            .collect()
    }

    /// Attaches the object's programs to those of `wanted` that the kernel has, or to none if those
    /// would not tell the fate of frames. Closing the descriptors detaches them.
    ///
    /// # Errors
    /// What the kernel refuses, except that it does not have a trace point.
    pub(super) fn attach(
        object: &mut Object,
        wanted: &[TracePoint],
    ) -> Result<(Self, Vec<OwnedFd>), KernelError> {
        let (mut found, mut links) = (Vec::new(), Vec::new());
        let mut programs: BTreeMap<&str, Program> = BTreeMap::new();
        for &trace_point in wanted {
            let program = match programs.entry(trace_point.program()) {
                Entry::Occupied(program) => program.into_mut(),
                Entry::Vacant(place) => place.insert(object.program(trace_point.program())?),
            };
            if let Some(link) = program.attach_to_trace_point(trace_point.name_for_kernel())? {
                found.push(trace_point);
                links.push(link);
            }
        }
        let found = Self(found);
        if !found.tell_fates() {
            links.clear();
        }
        Ok((found, links))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fates_are_known_with_one_trace_point_for_each_way() {
        use TracePoint::{DevmapXmit, Exception, RedirectErr, RedirectMapErr};
        #[track_caller]
        fn check(there: &[TracePoint], tell: bool, lacking: &[TracePoint]) {
            let there = TracePoints(there.to_vec());
            assert_eq!((there.tell_fates(), &there.lacking()[..]), (tell, lacking));
        }
        check(&TracePoint::ALL, true, &[]);
        check(&[DevmapXmit, RedirectErr], true, &[]);
        check(&[DevmapXmit, RedirectMapErr], true, &[]);
        check(&[DevmapXmit, Exception], false, &[RedirectErr]);
        check(&[RedirectErr], false, &[DevmapXmit]);
        check(&[], false, &[DevmapXmit, RedirectErr]);
    }
}
