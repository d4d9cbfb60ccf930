//! What drivers need before they send XDP frames, and how they choose the queue: a table from their
//! sources, by the names that `ethtool -i` shows.
//!
//! The kernel's current features of an interface (`NETDEV_A_DEV_XDP_FEATURES`, Linux 6.3) take
//! precedence over this table. Drivers that are not in the table need nothing, or never send XDP
//! frames.

use crate::sys::errnos::{EINVAL, ENXIO};

/// How a driver chooses the transmit queue of an XDP frame, from the number of the CPU that sends
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueOfCpu {
    /// Queue n for CPU n. Without a queue for its CPU, a frame is refused with this errno; with
    /// none, the driver does not check.
    Own(Option<u32>),
    /// A queue for each CPU if there are enough; otherwise CPUs share queues under a lock. The
    /// number of the queue need not be that of the CPU: ice and ixgbe have XDP rings that are not
    /// among their channels, and virtio_net uses its last queues.
    OwnOrShared,
    /// The CPU's number modulo the number of queues.
    Modulo,
    /// As [`Self::Modulo`], with the number of queues of the receiving end.
    ModuloOfPeer,
    /// Not in the table.
    Unknown,
}

/// A driver.
struct DriverEntry {
    /// Its names.
    names: &'static [&'static str],
    /// Whether it sends XDP frames only while an XDP program is attached in it.
    needs_program: bool,
    queue: QueueOfCpu,
}

/// Each entry with the function that decides, in drivers/net of the kernel. Drivers that set the
/// bit `NDO_XMIT` only in their `XDP_SETUP_PROG` (`xdp_features_set_redirect_target`) need a
/// program since Linux 6.3, whatever their own function says, because the kernel's __xdp_enqueue
/// (kernel/bpf/devmap.c) checks the bit.
const KNOWN: &[DriverEntry] = &[
    // bond_xdp_xmit of bonding/bond_main.c: ENXIO without a slave that sends; features and
    // programs are those of the slaves.
    DriverEntry { names: &["bonding"], needs_program: true, queue: QueueOfCpu::Unknown },
    // bnxt_xdp_xmit of ethernet/broadcom/bnxt/bnxt_xdp.c: EINVAL without a program, else the CPU
    // modulo `tx_nr_rings_xdp`.
    DriverEntry { names: &["bnxt_en"], needs_program: true, queue: QueueOfCpu::Modulo },
    // ena_xdp_xmit of ethernet/amazon/ena/ena_xdp.c: ENXIO without a program, else modulo
    // `xdp_num_queues`, under a lock.
    DriverEntry { names: &["ena"], needs_program: true, queue: QueueOfCpu::Modulo },
    // fec_enet_bpf of ethernet/freescale/fec_main.c sets the bit; the queue is the CPU's, modulo.
    DriverEntry { names: &["fec"], needs_program: true, queue: QueueOfCpu::Modulo },
    // gve_xdp_xmit of ethernet/google/gve/gve_tx.c: EINVAL without a program, else modulo
    // `num_xdp_queues`, under a lock.
    DriverEntry { names: &["gve"], needs_program: true, queue: QueueOfCpu::Modulo },
    // netvsc_ndoxdp_xmit of hyperv/netvsc_bpf.c: no program needed (the bit is set from the start,
    // since the hv_netvsc fix of
    // 6.3); modulo `real_num_tx_queues`.
    DriverEntry { names: &["hv_netvsc"], needs_program: false, queue: QueueOfCpu::Modulo },
    // i40e_xdp_xmit of ethernet/intel/i40e/i40e_txrx.c: ENXIO without a program and from a CPU at
    // or above `num_queue_pairs`.
    DriverEntry { names: &["i40e"], needs_program: true, queue: QueueOfCpu::Own(Some(ENXIO)) },
    // ice_xdp_xmit of ethernet/intel/ice/ice_txrx.c: ENXIO without a program; with fewer queues
    // than CPUs they are shared (`ice_xdp_locking_key`, Linux 5.16).
    DriverEntry { names: &["ice"], needs_program: true, queue: QueueOfCpu::OwnOrShared },
    // igb_xdp_xmit and igb_xdp_tx_queue_mapping of ethernet/intel/igb/igb_main.c: ENXIO without a
    // program.
    DriverEntry { names: &["igb"], needs_program: true, queue: QueueOfCpu::Modulo },
    // igc_xdp_xmit of ethernet/intel/igc/igc_main.c; igc_xdp_set_prog of igc_xdp.c sets the bit.
    DriverEntry { names: &["igc"], needs_program: true, queue: QueueOfCpu::Modulo },
    // ixgbe_xdp_xmit of ethernet/intel/ixgbe/ixgbe_main.c: ENXIO without a program; shared above
    // IXGBE_MAX_XDP_QS (64) CPUs.
    DriverEntry { names: &["ixgbe"], needs_program: true, queue: QueueOfCpu::OwnOrShared },
    // mlx5e_xdp_xmit of ethernet/mellanox/mlx5/core/en/xdp.c: ENXIO from a CPU at or above the
    // number of channels. A program is needed since Linux 6.19 (commit d4aa0cc9bd31; ENETDOWN
    // without), and does no harm before.
    DriverEntry { names: &["mlx5_core"], needs_program: true, queue: QueueOfCpu::Own(Some(ENXIO)) },
    // otx2_xdp_xmit of ethernet/marvell/octeontx2/nic/otx2_pf.c: ENXIO without a program. It takes
    // `qset.sq[tx_queues + cpu]`, and does not check that there is such an entry.
    DriverEntry { names: &["rvu-nicpf"], needs_program: true, queue: QueueOfCpu::Own(None) },
    // efx_xdp_tx_buffers of ethernet/sfc/tx.c: EINVAL from a CPU at or above `xdp_tx_queue_count`.
    DriverEntry { names: &["sfc"], needs_program: false, queue: QueueOfCpu::Own(Some(EINVAL)) },
    // stmmac_xdp_xmit and stmmac_xdp_get_tx_queue of ethernet/stmicro/stmmac/stmmac_main.c;
    // stmmac_xdp_set_prog of stmmac_xdp.c sets the bit. The names are those of stmmac_ethtool.c.
    DriverEntry { names: &["st_gmac", "st_xgmac"], needs_program: true, queue: QueueOfCpu::Modulo },
    // tun_xdp_xmit of tun.c: ENXIO while nobody has it open.
    DriverEntry { names: &["tun"], needs_program: false, queue: QueueOfCpu::Modulo },
    // veth_xdp_xmit and veth_select_rxq of veth.c: ENXIO while the peer does not poll.
    DriverEntry { names: &["veth"], needs_program: false, queue: QueueOfCpu::ModuloOfPeer },
    // virtnet_xdp_xmit of virtio_net.c: ENXIO without a program; with fewer queues than CPUs they
    // are shared (commit 97c2c69e1926, Linux 5.13).
    DriverEntry { names: &["virtio_net"], needs_program: true, queue: QueueOfCpu::OwnOrShared },
    // vmxnet3_xdp_xmit of vmxnet3/vmxnet3_xdp.c (Linux 6.6): the driver chooses any queue.
    DriverEntry { names: &["vmxnet3"], needs_program: false, queue: QueueOfCpu::OwnOrShared },
];

fn known(driver: &str) -> Option<&'static DriverEntry> {
    KNOWN.iter().find(|known| known.names.contains(&driver))
}

/// Whether the driver of this name is in the table.
pub fn is_known(driver: &str) -> bool {
    known(driver).is_some()
}

/// Whether the driver of this name sends XDP frames only while an XDP program is attached in it.
pub fn needs_program(driver: &str) -> bool {
    known(driver).is_some_and(|known| known.needs_program)
}

/// How the driver of this name finds the transmit queue of an XDP frame.
pub fn queue_of_cpu(driver: &str) -> QueueOfCpu {
    known(driver).map_or(QueueOfCpu::Unknown, |known| known.queue)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The list was made from the drivers' sources apart from the table.
    #[test]
    fn drivers_that_need_a_program() {
        let listed = [
            "bnxt_en",
            "ena",
            "gve",
            "i40e",
            "ice",
            "igb",
            "igc",
            "ixgbe",
            "mlx5_core",
            "rvu-nicpf",
            "st_gmac",
            "virtio_net",
            "bonding",
        ];
        for driver in listed {
            assert!(needs_program(driver), "{driver}");
        }
        for driver in ["veth", "vmxnet3", "tun", "e1000e", ""] {
            assert!(!needs_program(driver), "{driver}");
        }
    }

    #[test]
    fn no_driver_is_listed_twice() {
        let mut names = BTreeSet::new();
        assert!(KNOWN.iter().flat_map(|known| known.names).all(|name| names.insert(name)));
        assert_eq!(queue_of_cpu("e1000e"), QueueOfCpu::Unknown);
    }
}
