//! Values that the kernel keeps per CPU.
//!
//! The kernel returns one value for each possible CPU, in the order of their numbers
//! (`bpf_percpu_array_copy` of kernel/bpf/arraymap.c iterates `for_each_possible_cpu`). Where
//! numbers are left out, the position of a value is not the number of its CPU.

use crate::{host::possible_cpus, kernel::KernelError};

/// One value per possible CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerCpu<T> {
    /// In the order of CPU numbers.
    values: Vec<(u32, T)>,
}

impl<T> PerCpu<T> {
    /// Makes a value for each possible CPU.
    ///
    /// # Errors
    /// When /sys does not list the possible CPUs.
    pub(super) fn make(of: impl FnMut(u32) -> T) -> Result<Self, KernelError> {
        Ok(Self::of_cpus(cpus()?, of))
    }

    fn of_cpus(cpus: Vec<u32>, mut of: impl FnMut(u32) -> T) -> Self {
        Self { values: cpus.into_iter().map(|cpu| (cpu, of(cpu))).collect() }
    }

    /// Assigns values in the kernel's order to their CPUs.
    ///
    /// # Errors
    /// As [`PerCpu::make`], and when the number of values is not the number of possible CPUs.
    pub(super) fn of_kernel(values: &[T]) -> Result<Self, KernelError>
    where
        T: Clone,
    {
        let cpus = cpus()?;
        if cpus.len() != values.len() {
            return Err(KernelError::PossibleCpus { values: values.len(), cpus: cpus.len() });
        }
        Ok(Self { values: cpus.into_iter().zip(values.iter().cloned()).collect() })
    }

    /// The values in the kernel's order.
    pub(super) fn into_kernel(self) -> Vec<T> {
        self.values.into_iter().map(|(_, value)| value).collect()
    }

    /// The value of a CPU; none when this machine has no CPU of this number.
    pub fn get(&self, cpu: u32) -> Option<&T> {
        let place = self.values.binary_search_by_key(&cpu, |&(cpu, _)| cpu).ok()?;
        Some(&self.values[place].1)
    }

    /// CPUs and their values, in the order of CPU numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.values.iter().map(|(cpu, value)| (*cpu, value))
    }

    /// Another value for each of the same CPUs.
    pub(super) fn map<U>(&self, mut to: impl FnMut(&T) -> U) -> PerCpu<U> {
        PerCpu { values: self.iter().map(|(cpu, value)| (cpu, to(value))).collect() }
    }
}

fn cpus() -> Result<Vec<u32>, KernelError> {
    possible_cpus().map_err(|source| KernelError::Syscall {
        call: "reading /sys/devices/system/cpu/possible",
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::CpuList;

    /// `possible`: the contents of /sys/devices/system/cpu/possible; `values`: in the kernel's
    /// order.
    #[track_caller]
    fn check(possible: &str, values: &[u64], expected: &[(u32, Option<u64>)]) {
        let CpuList(cpus) = possible.parse().unwrap();
        let mut values = values.iter().copied();
        let values = PerCpu::of_cpus(cpus, |_| values.next().unwrap());
        for &(cpu, value) in expected {
            assert_eq!(values.get(cpu).copied(), value, "CPU {cpu} of {possible}");
        }
    }

    #[test]
    fn a_value_is_found_by_its_cpu_and_not_by_its_place() {
        check("0-1", &[10, 11], &[(0, Some(10)), (1, Some(11)), (2, None)]);
        let pairs = [
            (0, Some(10)),
            (3, Some(13)),
            (4, None),
            (7, None),
            (8, Some(18)),
            (11, Some(21)),
            (12, None),
        ];
        check("0-3,8-11", &[10, 11, 12, 13, 18, 19, 20, 21], &pairs);
        check(
            "0,2,4,6",
            &[10, 12, 14, 16],
            &[(0, Some(10)), (1, None), (4, Some(14)), (6, Some(16))],
        );
        check("5", &[15], &[(0, None), (5, Some(15))]);
    }

    #[test]
    fn values_go_to_the_kernel_in_its_order() {
        let values = PerCpu::of_cpus(vec![0, 1, 8], |cpu| cpu * 10);
        assert_eq!(values.map(|value| value + 1).into_kernel(), [1, 11, 81]);
    }
}
