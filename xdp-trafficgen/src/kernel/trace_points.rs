//! The kernel's trace points that say what became of frames.

/// A trace point of the kernel's XDP code (include/trace/events/xdp.h). Kernels differ in which they have: each is asked for by
/// name, and what only it tells is missing from the counts where it is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TracePoint {
    /// `xdp_devmap_xmit`: what the driver accepted and refused. Without it, every frame handed to the driver counts as accepted.
    DevmapXmit,
    /// `xdp_redirect_err`: frames that never reached a driver, and why. Without it they count as unaccounted.
    RedirectErr,
    /// `xdp_redirect_map_err`: the same in older kernels. Others do without.
    RedirectMapErr,
    /// `xdp_exception`: frames given up for what a program returned.
    Exception,
}

impl TracePoint {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::DevmapXmit, Self::RedirectErr, Self::RedirectMapErr, Self::Exception];

    /// The kernel's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DevmapXmit => "xdp_devmap_xmit",
            Self::RedirectErr => "xdp_redirect_err",
            Self::RedirectMapErr => "xdp_redirect_map_err",
            Self::Exception => "xdp_exception",
        }
    }
}
