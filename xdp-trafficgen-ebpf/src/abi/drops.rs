//! Why frames were dropped: exactly for each worker, in classes for each flow.

/// Who refused a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropLayer {
    /// The driver (`xdp_devmap_xmit`); without an errno its queue was full.
    Driver,
    /// The kernel, before the driver was asked (`xdp_redirect_err`).
    Redirect,
}

/// How many errnos are told apart; the last one stands for itself and all larger ones.
pub const MAX_ERRNO: u32 = 256;

/// Dropped frames of a worker, by who refused them and why: one entry per CPU, written by that CPU
/// only.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drops {
    /// By the driver, one count for each errno (positive, 0 for none).
    pub driver: [u64; MAX_ERRNO as usize],
    /// By the kernel.
    pub redirect: [u64; MAX_ERRNO as usize],
}

impl Drops {
    /// No drops.
    pub const NONE: Self =
        Self { driver: [0; MAX_ERRNO as usize], redirect: [0; MAX_ERRNO as usize] };
}

impl Default for Drops {
    fn default() -> Self {
        Self::NONE
    }
}

/// Where frames refused with this errno (positive, 0 for none) are counted.
#[inline(always)]
pub const fn errno_slot(errno: u32) -> usize {
    if errno < MAX_ERRNO { errno as usize } else { MAX_ERRNO as usize - 1 }
}

/// Reasons that are told apart for each flow; a table of all errnos for each of 65 536 flows would
/// be too large.
pub const DROP_CLASSES: usize = 8;

/// The errnos with a class of their own. Whatever else a layer says is in the layer's last class.
pub const CLASSES: [(DropLayer, Option<u32>); DROP_CLASSES] = [
    (DropLayer::Driver, Some(0)),
    (DropLayer::Driver, Some(ENXIO)),
    (DropLayer::Driver, Some(ENETDOWN)),
    (DropLayer::Driver, None),
    (DropLayer::Redirect, Some(EOPNOTSUPP)),
    (DropLayer::Redirect, Some(EMSGSIZE)),
    (DropLayer::Redirect, Some(ENETDOWN)),
    (DropLayer::Redirect, None),
];

/// Dropped frames of a flow by class: one entry per worker and flow, written by that worker only.
pub type FlowDrops = [u64; DROP_CLASSES];

/// The class of a refusal.
#[inline(always)]
pub const fn drop_class(layer: DropLayer, errno: u32) -> usize {
    match (layer, errno) {
        (DropLayer::Driver, 0) => 0,
        (DropLayer::Driver, ENXIO) => 1,
        (DropLayer::Driver, ENETDOWN) => 2,
        (DropLayer::Driver, _) => 3,
        (DropLayer::Redirect, EOPNOTSUPP) => 4,
        (DropLayer::Redirect, EMSGSIZE) => 5,
        (DropLayer::Redirect, ENETDOWN) => 6,
        (DropLayer::Redirect, _) => 7,
    }
}

const ENXIO: u32 = 6;
const EMSGSIZE: u32 = 90;
const EOPNOTSUPP: u32 = 95;
const ENETDOWN: u32 = 100;

const _: () = assert!(size_of::<Drops>() == 8 * 2 * MAX_ERRNO as usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_is_in_the_class_that_names_it() {
        for layer in [DropLayer::Driver, DropLayer::Redirect] {
            for errno in 0..2 * MAX_ERRNO {
                let (of, named) = CLASSES[drop_class(layer, errno)];
                assert_eq!(of, layer);
                let known = CLASSES.contains(&(layer, Some(errno)));
                assert_eq!(named, known.then_some(errno), "{layer:?} {errno}");
            }
        }
    }
}
