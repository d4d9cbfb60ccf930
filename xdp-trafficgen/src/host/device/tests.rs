//! Devices of real machines: paths, links and texts are those of Linux.

use super::*;
use crate::host::files::recorded;

#[track_caller]
fn check(tree: &str, bus: &str, name: &str, expected: Option<Device>) {
    let root = recorded(tree);
    assert_eq!(
        Device::on_bus(Files::under(root.path()), bus, name),
        expected,
        "{name} on {bus}: {tree}"
    );
}

fn device(
    numa_node: Option<u32>,
    iommu: Option<Iommu>,
    interrupts: &[(u32, &[u32])],
) -> Option<Device> {
    let interrupts = interrupts
        .iter()
        .map(|&(number, cpus)| Interrupt { number, cpus: cpus.to_vec() })
        .collect();
    Some(Device { numa_node, interrupts, iommu })
}

/// An ice card behind a bridge, on the second node of a server.
const CARD: &str = "
    sys/bus/pci/devices/0000:3b:00.0 -> ../../../devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0
    sys/devices/pci0000:3a/0000:3a:00.0/subsystem -> ../../../bus/pci
    sys/devices/pci0000:3a/0000:3a:00.0/numa_node = 0
    sys/devices/pci0000:3a/0000:3a:00.0/msi_irqs/30 = msi
    sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/subsystem -> ../../../../bus/pci
    sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/numa_node = 1
    sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/irq = 0
";

/// Its vectors: one that signals no frames, one that was moved, one whose controller does not tell
/// its CPU, and one without a handler.
const VECTORS: &str = "
    sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/msi_irqs/130 = msix
    sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/msi_irqs/131 = msix
    sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/msi_irqs/99 = msix
    sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/msi_irqs/132 = msix
    proc/irq/99/ice-ens1f0-TxRx-0/
    proc/irq/99/smp_affinity_list = 0-31
    proc/irq/99/effective_affinity_list = 7
    proc/irq/130/ice-0000:3b:00.0:misc/
    proc/irq/130/smp_affinity_list = 0-31
    proc/irq/130/effective_affinity_list = 0
    proc/irq/131/ice-ens1f0-TxRx-1/
    proc/irq/131/smp_affinity_list = 16-17,20
    proc/irq/131/effective_affinity_list =
    proc/irq/132/smp_affinity_list = 0-31
";

/// Its IOMMU group, of this type.
fn group(kind: &str) -> String {
    format!(
        "sys/kernel/iommu_groups/42/type = {kind}
         sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/iommu_group -> ../../../../kernel/iommu_groups/42"
    )
}

#[test]
fn a_card_behind_an_iommu() {
    let interrupts: &[(u32, &[u32])] = &[(99, &[7]), (131, &[16, 17, 20])];
    let card = [CARD, VECTORS].concat();
    #[track_caller]
    fn typed(card: &str, kind: &str, iommu: Option<Iommu>, interrupts: &[(u32, &[u32])]) {
        check(
            &[card, &group(kind)].concat(),
            "pci",
            "0000:3b:00.0",
            device(Some(1), iommu, interrupts),
        );
    }
    typed(&card, "DMA-FQ", Some(Iommu::Translating), interrupts);
    typed(&card, "DMA", Some(Iommu::Translating), interrupts);
    // iommu=pt
    typed(&card, "identity", Some(Iommu::Identity), interrupts);
    // vfio's
    typed(&card, "unmanaged", None, interrupts);
    check(&card, "pci", "0000:3b:00.0", device(Some(1), Some(Iommu::None), interrupts));
    check(CARD, "pci", "0000:3b:00.0", device(Some(1), Some(Iommu::None), &[]));
    check(CARD, "pci", "0000:3b:00.1", None);
}

/// The numbers, names and features are those of a virtual machine of KVM.
#[test]
fn a_virtio_device_is_what_its_pci_device_is() {
    let virtio = |features: &str| {
        format!(
            "sys/bus/virtio/devices/virtio2 -> ../../../devices/pci0000:00/0000:00:03.0/virtio2
             sys/bus/pci/devices/0000:00:03.0 -> ../../../devices/pci0000:00/0000:00:03.0
             sys/devices/pci0000:00/0000:00:03.0/virtio2/subsystem -> ../../../../bus/virtio
             sys/devices/pci0000:00/0000:00:03.0/virtio2/features = {features}
             sys/devices/pci0000:00/0000:00:03.0/subsystem -> ../../../bus/pci
             sys/devices/pci0000:00/0000:00:03.0/numa_node = -1
             sys/devices/pci0000:00/0000:00:03.0/msi_irqs/37 = msix
             sys/devices/pci0000:00/0000:00:03.0/msi_irqs/38 = msix
             sys/devices/pci0000:00/0000:00:03.0/msi_irqs/39 = msix
             proc/irq/37/virtio2-config/
             proc/irq/37/effective_affinity_list = 0
             proc/irq/38/virtio2-input.0/
             proc/irq/38/effective_affinity_list = 1
             proc/irq/39/virtio2-output.0/
             proc/irq/39/effective_affinity_list = 0
             "
        )
    };
    let iommu = "sys/kernel/iommu_groups/3/type = DMA-FQ
                 sys/devices/pci0000:00/0000:00:03.0/iommu_group -> ../../../kernel/iommu_groups/3";
    // Bit 32 is VIRTIO_F_VERSION_1, bit 33 VIRTIO_F_ACCESS_PLATFORM.
    let bypassing = virtio("1100010110111011000000000000010010000000000000000000000000000000");
    let mapped = virtio("1100010110111011000000000000010011000000000000000000000000000000");
    let interrupts: &[(u32, &[u32])] = &[(38, &[1]), (39, &[0])];
    check(&bypassing, "virtio", "virtio2", device(None, Some(Iommu::None), interrupts));
    let with = |device: &str| [device, iommu].concat();
    check(&with(&bypassing), "virtio", "virtio2", device(None, Some(Iommu::Identity), interrupts));
    check(&with(&mapped), "virtio", "virtio2", device(None, Some(Iommu::Translating), interrupts));
}

/// A network controller of a system on chip has no directory of interrupts; one on an old PCI bus
/// has a line.
#[test]
fn devices_without_vectors() {
    let platform =
        "sys/bus/platform/devices/ff540000.ethernet -> ../../../devices/platform/ff540000.ethernet
                    sys/devices/platform/ff540000.ethernet/subsystem -> ../../../bus/platform";
    check(platform, "platform", "ff540000.ethernet", device(None, Some(Iommu::None), &[]));
    let line = "sys/bus/pci/devices/0000:00:03.0 -> ../../../devices/pci0000:00/0000:00:03.0
                sys/devices/pci0000:00/0000:00:03.0/subsystem -> ../../../bus/pci
                sys/devices/pci0000:00/0000:00:03.0/irq = 11
                proc/irq/11/ens3/
                proc/irq/11/smp_affinity_list = 0-3";
    check(line, "pci", "0000:00:03.0", device(None, Some(Iommu::None), &[(11, &[0, 1, 2, 3])]));
}

#[test]
fn bus_info_is_looked_for_on_every_bus() {
    let root = recorded(&[CARD, "sys/bus/virtio/devices/\n sys/bus/acpi/devices/"].concat());
    #[track_caller]
    fn found(root: &tempfile::TempDir, bus_info: &str, node: Option<u32>) {
        assert_eq!(
            Device::at(Files::under(root.path()), bus_info).and_then(|device| device.numa_node),
            node,
            "{bus_info}"
        );
    }
    found(&root, "0000:3b:00.0", Some(1));
    // As tun, bridge and veth have it.
    for none in ["tap", "N/A", "", "..", "../../devices/pci0000:3a/0000:3a:00.0"] {
        found(&root, none, None);
    }
}
