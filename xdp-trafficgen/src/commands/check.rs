//! `check`: everything a run does before it sends, and nothing else.

use crate::{
    cli,
    commands::{
        CommandError, probe_kernel, read_config,
        send::{default_route, work_out},
    },
    kernel::probe::Unable,
};

pub(super) fn check(options: &cli::Check) -> Result<(), CommandError> {
    let config = read_config(&options.config, &options.overrides)?;
    let capabilities = match probe_kernel() {
        Ok(capabilities) => Some(capabilities),
        // A file can be checked without the right to send.
        Err(CommandError::Unable(Unable::Privilege(_))) => {
            eprintln!("without root, the kernel's largest frame is not known and not checked");
            None
        }
        Err(error) => return Err(error),
    };
    let plan = work_out(&config, capabilities, default_route(options.allow_default_route))?;
    for note in &plan.notes {
        eprintln!("{note}");
    }
    for port in &plan.ports {
        let cpus = port.cpus.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        println!(
            "port {}: flow {} out of {}, {} bytes a frame, varying fields: {}, CPUs: {cpus}",
            port.name, port.flow.name, port.interface, port.flow.size, port.flow.program.generator.field_count
        );
    }
    Ok(())
}
