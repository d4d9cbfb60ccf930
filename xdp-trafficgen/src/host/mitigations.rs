//! Mitigations of CPU vulnerabilities that cost time in every frame.
//!
//! A worker stays in the kernel for thousands of frames, and so does the softirq that receives
//! them. Mitigations that make entering and leaving the kernel slower (page table isolation,
//! clearing of buffers with VERW for mds, taa and similar, barriers in swapgs) cost time once per
//! call, every few milliseconds, and are left out. But each frame takes a dozen indirect calls and
//! many returns, in the driver, the dispatcher and the page pool: mitigations that replace these by
//! longer sequences cost time in every frame, and so do those that keep loads from overtaking
//! stores.
//!
//! The texts are those of arch/x86/kernel/cpu/bugs.c. Other architectures mitigate at the entry of
//! the kernel.

use crate::host::files::Files;

const VULNERABILITIES: &str = "sys/devices/system/cpu/vulnerabilities";

/// Vulnerabilities with their mitigations, as far as those cost time in every frame.
pub(super) fn costly(files: Files<'_>) -> Vec<(String, String)> {
    let texts = files.names(VULNERABILITIES).into_iter().filter_map(|vulnerability| {
        let text = files.text(format!("{VULNERABILITIES}/{vulnerability}"))?;
        Some((vulnerability, text))
    });
    texts.filter(|(vulnerability, text)| is_costly(vulnerability, text)).collect()
}

/// Decides by the first measure of the text; the measures after it (after a comma in older kernels)
/// concern user space, firmware and guests.
fn is_costly(vulnerability: &str, text: &str) -> bool {
    // Some measures are in force and do not suffice: `Vulnerable: Safe RET, no microcode`.
    let measure = text.split([';', ',']).next().unwrap_or_default().to_lowercase();
    let is = |names: &[&str]| names.iter().any(|name| measure.contains(name));
    match vulnerability {
        // Indirect calls by way of a return, or behind a fence. The first IBRS keeps the CPU from
        // predicting any; enhanced IBRS is part of the hardware and costs next to nothing.
        "spectre_v2" => is(&["retpoline", "lfence"]) || measure == "mitigation: ibrs",
        // Returns by way of code that resets trained predictions, or that counts the depth of
        // calls.
        "retbleed" => is(&["return thunk", "stuffing"]) || measure == "mitigation: ibrs",
        "spec_rstack_overflow" => is(&["safe ret"]),
        // Indirect calls and returns in the other half of a cache line, or as above.
        "indirect_target_selection" => is(&["thunks", "retpolines"]),
        // For all processes, and not only for those that ask for it.
        "spec_store_bypass" => measure == "mitigation: speculative store bypass disabled",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts of real machines, and of the kernel's documentation
    /// (Documentation/admin-guide/hw-vuln).
    #[test]
    fn what_costs_every_frame_is_told_from_what_costs_every_call() {
        #[track_caller]
        fn check(vulnerability: &str, text: &str, costly: bool) {
            assert_eq!(is_costly(vulnerability, text), costly, "{vulnerability}: {text}");
        }
        check(
            "spectre_v2",
            "Mitigation: Retpolines; IBPB: conditional; IBRS_FW; STIBP: disabled; \
                             RSB filling",
            true,
        );
        check(
            "spectre_v2",
            "Mitigation: Full generic retpoline, IBPB: conditional, IBRS_FW, RSB \
                             filling",
            true,
        );
        check("spectre_v2", "Vulnerable: LFENCE", true);
        check(
            "spectre_v2",
            "Mitigation: IBRS; IBPB: conditional; STIBP: conditional; RSB filling",
            true,
        );
        check(
            "spectre_v2",
            "Mitigation: Enhanced / Automatic IBRS + Retpolines; IBPB: conditional",
            true,
        );
        check(
            "spectre_v2",
            "Mitigation: IBRS, IBPB: conditional, STIBP: conditional, RSB filling",
            true,
        );
        let enhanced = "Mitigation: Enhanced / Automatic IBRS; IBPB: conditional; PBRSB-eIBRS: SW sequence; \
             BHI: SW loop";
        check("spectre_v2", enhanced, false);
        check("spectre_v2", "Mitigation: Enhanced IBRS, IBPB: conditional, RSB filling", false);
        check("spectre_v2", "Not affected", false);
        check("spectre_v2", "Mitigation: CSV2, BHB", false);
        check(
            "retbleed",
            "Mitigation: untrained return thunk; SMT enabled with STIBP protection",
            true,
        );
        check("retbleed", "Mitigation: Stuffing", true);
        check("retbleed", "Mitigation: IBRS", true);
        check("retbleed", "Mitigation: Enhanced IBRS", false);
        check("retbleed", "Mitigation: IBPB", false);
        check("spec_rstack_overflow", "Mitigation: Safe RET", true);
        check("spec_rstack_overflow", "Mitigation: safe RET", true);
        check("spec_rstack_overflow", "Vulnerable: Safe RET, no microcode", true);
        check("spec_rstack_overflow", "Vulnerable: Microcode, no safe RET", false);
        check("spec_rstack_overflow", "Mitigation: IBPB on VMEXIT only", false);
        check("indirect_target_selection", "Mitigation: Aligned branch/return thunks", true);
        check("indirect_target_selection", "Mitigation: Retpolines, Stuffing RSB", true);
        check("indirect_target_selection", "Mitigation: Vulnerable, KVM: Not affected", false);
        check("spec_store_bypass", "Mitigation: Speculative Store Bypass disabled", true);
        check(
            "spec_store_bypass",
            "Mitigation: Speculative Store Bypass disabled via prctl",
            false,
        );
        check(
            "spectre_v1",
            "Mitigation: usercopy/swapgs barriers and __user pointer sanitization",
            false,
        );
        check("mds", "Mitigation: Clear CPU buffers; SMT vulnerable", false);
        check("meltdown", "Mitigation: PTI", false);
    }
}
