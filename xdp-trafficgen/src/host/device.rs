//! The device behind an interface: its NUMA node, its interrupts and its IOMMU.
//!
//! Read from /sys/bus and /proc/irq, which all network namespaces share. /sys/class/net shows the
//! namespace in which /sys was mounted, which may have another interface by the same name.

use std::path::{Path, PathBuf};

use crate::host::{Interrupt, Iommu, files::Files};

/// Facts of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) numa_node: Option<u32>,
    pub(super) interrupts: Vec<Interrupt>,
    pub(super) iommu: Option<Iommu>,
}

impl Device {
    /// The device that `bus` knows by `name`.
    pub(super) fn on_bus(files: Files<'_>, bus: &str, name: &str) -> Option<Self> {
        let own = files.resolved(format!("sys/bus/{bus}/devices/{name}"))?;
        // A virtio device has the interrupts, the node and the IOMMU of its PCI device, and a USB
        // device those of its controller. Devices further up, such as bridges, have interrupts of
        // their own.
        let host = own.ancestors().find(|directory| is_pci(files, directory)).unwrap_or(&own);
        Some(Self {
            numa_node: files.number(host.join("numa_node")),
            interrupts: interrupts(files, host),
            iommu: iommu(files, &own, host),
        })
    }

    /// The device at `bus_info`, as `ethtool -i` shows it, on whatever bus. For kernels before 5.14
    /// (commit 00e77ed8e64d), where rtnetlink does not name the bus.
    pub(super) fn at(files: Files<'_>, bus_info: &str) -> Option<Self> {
        // Drivers of virtual interfaces write something else there, such as `tap` or `N/A`.
        let plausible = bus_info.contains(|c: char| c != '.') && !bus_info.contains('/');
        let buses = if plausible { files.names("sys/bus") } else { Vec::new() };
        buses.iter().find_map(|bus| Self::on_bus(files, bus, bus_info))
    }
}

fn is_pci(files: Files<'_>, directory: &Path) -> bool {
    files
        .resolved(directory.join("subsystem"))
        .is_some_and(|subsystem| subsystem.ends_with("bus/pci"))
}

fn iommu(files: Files<'_>, own: &Path, host: &Path) -> Option<Iommu> {
    let group = host.join("iommu_group");
    if !files.exists(&group) {
        return Some(Iommu::None);
    }
    match files.text(group.join("type"))?.as_str() {
        // A hypervisor that does not ask for VIRTIO_F_ACCESS_PLATFORM (bit 33) is given physical
        // addresses, whatever the bus can do (virtio 1.1, section 6).
        "DMA" | "DMA-FQ"
            if files
                .text(own.join("features"))
                .is_some_and(|bits| bits.get(33..34) == Some("0")) =>
        {
            Some(Iommu::Identity)
        }
        "DMA" | "DMA-FQ" => Some(Iommu::Translating),
        "identity" => Some(Iommu::Identity),
        // A device of user space (vfio), or a type that is not known.
        _ => None,
    }
}

/// The interrupts that signal frames.
fn interrupts(files: Files<'_>, host: &Path) -> Vec<Interrupt> {
    let mut numbers: Vec<u32> =
        files.names(host.join("msi_irqs")).iter().filter_map(|name| name.parse().ok()).collect();
    if numbers.is_empty() {
        // A line of the bus; 0 means that there is none.
        numbers.extend(files.number::<u32>(host.join("irq")).filter(|&number| number > 0));
    }
    numbers.sort_unstable();
    numbers
        .into_iter()
        .filter(|&number| signals_frames(files, number))
        .filter_map(|n| interrupt(files, n))
        .collect()
}

fn interrupt(files: Files<'_>, number: u32) -> Option<Interrupt> {
    let directory = PathBuf::from(format!("proc/irq/{number}"));
    // The CPU that the interrupt goes to, which not every interrupt controller tells; otherwise the
    // CPUs that it may go to.
    let cpus = ["effective_affinity_list", "smp_affinity_list"].into_iter();
    let cpus = cpus.map(|list| directory.join(list)).find_map(|list| files.cpus(list))?;
    Some(Interrupt { number, cpus })
}

/// Whether a driver handles this interrupt for frames: its directory in /proc/irq contains a
/// directory named after each handler. Other interrupts are rare during a run, so their CPU does
/// not matter.
fn signals_frames(files: Files<'_>, number: u32) -> bool {
    // The names that virtio, mlx5, ice and i40e, ena and gve, and vmxnet3 give to interrupts of no
    // queue.
    const OTHERS: [&str; 5] = ["-config", "mlx5_async", ":misc", "-mgmnt", "-event-"];
    let directory = PathBuf::from(format!("proc/irq/{number}"));
    let handlers =
        files.names(&directory).into_iter().filter(|name| files.at(directory.join(name)).is_dir());
    handlers.into_iter().any(|handler| !OTHERS.iter().any(|other| handler.contains(other)))
}

#[cfg(test)]
mod tests;
