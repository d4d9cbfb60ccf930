//! `run`: send what a file describes.

use crate::{
    cli,
    commands::{
        CommandError, read_config, replace_rates,
        send::{self, send},
    },
    config::{Located, Origin},
};

pub(super) fn run(options: &cli::Run) -> Result<(), CommandError> {
    let mut config = read_config(&options.config, &options.overrides)?;
    for flow in &mut config.flows {
        if let Some(packets) = options.packets {
            flow.packets = Some(Located::new(packets, Origin::Option("--packets")));
        }
        if let Some(duration) = options.duration {
            flow.duration = Some(Located::new(duration, Origin::Option("--duration")));
        }
    }
    replace_rates(&mut config, &options.rates, options.scale)?;
    send(&config, send::Options::of(&options.common, options.session, &options.output))
}
