//! Options that several commands have.

use std::time::SystemTime;

use clap::Args;

use super::values::{behind, factor, instant};
use crate::{
    config::LatePolicy,
    plan::{Consent, DefaultRoute, ExistingProgram},
    units::Ratio,
};

/// Options of the commands that can pace a file's frames. They replace the rates of all ports;
/// flows with rates of their own keep their shares.
#[derive(Args, Clone, Debug, Default)]
pub struct RateOptions {
    /// How fast each port sends, over all CPUs; flows with rates of their own keep their shares of
    /// it: `500kpps`, `10Gbps`, `10GbpsL1`, `40%`, or a table as in the file, such as `{
    /// poisson = "10kpps" }` [default: as the file says, or else as fast as the link takes
    /// frames]
    #[arg(long)]
    pub rate: Option<String>,
    /// What becomes of frames that are overdue: `catch_up`, `catch_up=20ms` (they are sent late,
    /// but not later than this), or `skip` (they are never sent) [default: as the file says,
    /// or else catch_up=100ms]
    #[arg(long, value_name = "POLICY", value_parser = behind)]
    pub behind: Option<LatePolicy>,
    /// Attempt frames as fast as they can be made, whether the link takes them or not: `--packets`
    /// counts attempts then
    #[arg(long, conflicts_with = "rate")]
    pub flood: bool,
}

/// The option of the commands that send at the rates of a file.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Scale {
    /// Multiply all rates of the file: `2x`, `0.5x`
    #[arg(long, value_name = "FACTOR", value_parser = factor, conflicts_with = "rate")]
    pub scale: Option<Ratio>,
}

/// Options of the commands that send and end.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Session {
    /// Start at this instant, for machines that are to start together: `2026-11-22T14:00:00Z`, or
    /// `@1764000000.5` in seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub at: Option<SystemTime>,
    /// Whether it must all be sent.
    #[command(flatten)]
    pub strict: Strict,
}

/// The option of the commands that can fail for what was not sent.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Strict {
    /// Exit with 3 when less than 99.9 % of what was asked for was sent, or any frame was dropped
    #[arg(long)]
    pub strict: bool,
}

/// Options of all commands that read a configuration file.
#[derive(Args, Debug)]
pub struct Overrides {
    /// Use this value instead of the file's, such as `flows.dns.size=128`; may be given several
    /// times
    #[arg(long, value_name = "PATH=VALUE")]
    pub set: Vec<String>,
}

/// Options of all commands that send.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Common {
    /// Send even out of an interface that carries this machine's default route
    #[arg(long)]
    pub allow_default_route: bool,
    /// Take an XDP program that is in the way off the interface, and put it back at the end
    ///
    /// Some drivers send only while an XDP program is attached to them, and have room for one. A
    /// program in the driver stays in any case, for it does as well. One that was attached by
    /// a BPF link cannot be taken off. After SIGKILL or a second signal it is not put back.
    #[arg(long)]
    pub replace_xdp: bool,
}

impl Common {
    /// What the user has agreed to.
    pub const fn consent(&self) -> Consent {
        let Self { allow_default_route, replace_xdp } = *self;
        Consent {
            default_route: if allow_default_route {
                DefaultRoute::Allow
            } else {
                DefaultRoute::Refuse
            },
            existing: if replace_xdp { ExistingProgram::Replace } else { ExistingProgram::Keep },
        }
    }
}
