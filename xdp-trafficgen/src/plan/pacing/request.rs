//! The loads that a port and its flows ask for, in exact frames a second, and notes about them.

use super::{
    Pacing,
    curve::Curve,
    mechanism, nanos,
    rates::{self, BurstTiming, Frames, UnknownSpeed},
    streams::Limits,
};
use crate::{
    config::{
        Diagnostic, Flow, Located, Origin, Port, Profile, RateUnit, Total,
        rate::{Burst, Spacing},
    },
    units::{Pps, Ratio},
};

/// A port whose frames may be paced.
pub(in crate::plan) struct Request<'a> {
    pub(in crate::plan) port: &'a Port,
    pub(in crate::plan) flows: &'a [&'a Flow],
    /// The number of workers, at least 1.
    pub(in crate::plan) workers: usize,
    /// Bits a second of the link, when the kernel knows.
    pub(in crate::plan) link_speed: Option<u64>,
    /// The most segments of the port's streams: [`MAX_SEGMENTS`](super::MAX_SEGMENTS).
    pub(in crate::plan) max_segments: usize,
}

/// The load of a port or a flow, before it is split among workers.
pub(super) struct Demand {
    pub(super) profile: Profile<Pps>,
    pub(super) limits: Limits,
    pub(super) requested: Option<Pps>,
    /// The highest rate in frames a second.
    pub(super) peak: f64,
    /// The steady rate in frames a second, as in [`Pacing`].
    pub(super) steady: f64,
    /// The highest rate in bits a second on the wire; 0 for bursts at the link's speed.
    pub(super) wire: f64,
}

/// The sender at a rate: a port with all of its flows, or a flow.
pub(super) struct Sender<'a> {
    name: &'a str,
    /// Mean bytes of the sender's frames, FCS included.
    mean_size: Ratio,
    limits: Limits,
    /// The factor of the sender's rate.
    factor: Ratio,
}

impl Request<'_> {
    /// The port, whose flows share its rate.
    pub(super) fn whole_port(&self) -> Sender<'_> {
        // The port begins with the first of its flows.
        let delay = self.flows.iter().map(|flow| nanos(flow.delay.value)).min().unwrap_or(0);
        let bounds = self.flows.iter().flat_map(|flow| {
            let begin = nanos(flow.delay.value);
            [
                Some(begin),
                flow.duration.as_ref().map(|duration| begin.saturating_add(nanos(duration.value))),
            ]
        });
        let cuts = bounds.flatten().map(|time| time.saturating_sub(delay)).collect();
        Sender {
            name: &self.port.name.value,
            mean_size: rates::mean_size_of(self.flows),
            limits: Limits {
                delay,
                end: u64::MAX,
                packets: u64::MAX,
                shift: 0,
                cuts,
                turn: 0,
                keeps_delay: true,
            },
            factor: Ratio::ONE,
        }
    }

    /// A flow with a rate of its own, by its number; `factor` multiplies the rate.
    pub(super) fn flow(&self, index: u32, factor: Ratio) -> Sender<'_> {
        let flow = self.flows[index as usize];
        let delay = nanos(flow.delay.value);
        let duration = flow.duration.as_ref().map(|duration| nanos(duration.value));
        Sender {
            name: &flow.name.value,
            mean_size: rates::mean_size(&flow.size.value),
            limits: Limits {
                delay,
                end: duration.map_or(u64::MAX, |duration| delay.saturating_add(duration)),
                packets: flow.packets.as_ref().map_or(u64::MAX, |packets| packets.value),
                shift: 0,
                cuts: duration.into_iter().collect(),
                turn: index,
                keeps_delay: flow.delay.place != Origin::Default,
            },
            factor,
        }
    }

    /// The load of a sender with this rate, in exact frames a second.
    pub(super) fn demand(
        &self,
        rate: &Located<Profile>,
        sender: Sender<'_>,
    ) -> Result<Demand, Diagnostic> {
        let Sender { name, mean_size, limits, factor } = sender;
        let frames = Frames { mean_size, speed: self.speed() };
        let exact = rate.value.try_map(|rate| frames.rate(*rate));
        let mut profile = exact.map_err(|UnknownSpeed| self.unknown_speed(&rate.place))?;
        let mut at_link_speed = false;
        match &mut profile {
            Profile::Constant(rate) => *rate = rate.times(factor),
            Profile::Poisson { mean, seed } => {
                *mean = mean.times(factor);
                // Flows with the same seed have different departures all the same.
                *seed = Some(seed.unwrap_or(0) ^ name_hash(name));
            }
            Profile::Burst(Burst { spacing: spacing @ Spacing::Link, .. }) => {
                *spacing = Spacing::Gap(frames.gap_at_full_speed());
                at_link_speed = true;
            }
            // A total excludes these profiles.
            Profile::Burst(_)
            | Profile::Ramp { .. }
            | Profile::Steps { .. }
            | Profile::Sine { .. }
            | Profile::Trace { .. } => {}
        }
        let (requested, peak, steady) = match (&profile, Curve::of(&profile)) {
            (Profile::Constant(rate) | Profile::Poisson { mean: rate, .. }, _) => {
                (Some(*rate), rate.to_f64(), rate.to_f64())
            }
            (Profile::Burst(burst), _) => {
                let burst = BurstTiming::of(burst);
                (None, 1e9 / burst.shortest_gap().to_f64(), 1e9 / burst.longest_gap())
            }
            (_, curve) => (
                None,
                curve.as_ref().map_or(0.0, Curve::peak),
                curve.as_ref().map_or(0.0, Curve::mean),
            ),
        };
        let wire = if at_link_speed { 0.0 } else { peak * frames.wire_bits().to_f64() };
        Ok(Demand { profile, limits, requested, peak, steady, wire })
    }

    /// The factor of the flows' own rates with which their sum is the total.
    pub(super) fn factor(&self) -> Result<Ratio, Diagnostic> {
        let Some(total) = &self.port.total else { return Ok(Ratio::ONE) };
        let Total { rate: wanted, among } = &total.value;
        let measured = among.iter().map(|(rate, size)| {
            let frames = Frames { mean_size: rates::mean_size(size), speed: self.speed() };
            frames.measured(*rate, wanted.unit)
        });
        let measured = measured
            .collect::<Result<Vec<_>, _>>()
            .map_err(|UnknownSpeed| self.unknown_speed(&total.place))?;
        // The total in the same measure, whatever the size of frames.
        let wanted = match wanted.unit {
            RateUnit::LineShare => {
                let speed = self.speed().ok_or_else(|| self.unknown_speed(&total.place))?;
                wanted.amount.times(Ratio::whole(speed))
            }
            RateUnit::Frames | RateUnit::BitsL2 | RateUnit::BitsL1 => wanted.amount,
        };
        Ok(wanted.times(Ratio::sum(&measured).inverse()))
    }

    fn unknown_speed(&self, origin: &Origin) -> Diagnostic {
        let interface = &self.port.interface.value;
        let message = format!(
            "a share of the line rate means nothing on `{interface}`, whose speed is not known"
        );
        Diagnostic::new(origin, message)
            .help(format!("say it at the port `{}`: speed = \"10Gbps\"", self.port.name.value))
    }

    fn speed(&self) -> Option<u64> {
        self.port.speed.as_ref().map(|speed| speed.value).or(self.link_speed)
    }

    pub(super) fn notes(&self, pacing: &Pacing, wire: f64) -> Vec<String> {
        let batch_size = self.port.batch_size.value;
        let asked = pacing.busiest();
        let mut notes =
            vec![format!("each worker {}", mechanism(pacing.streams, asked, batch_size))];
        let carries = pacing.streams.carries(batch_size);
        if asked > carries {
            notes.push(format!(
                "asks for {} of a worker, and on a slow machine one sends {} in batches of {batch_size}: more CPUs help \
                 where this one is no faster (`tune` measures it)",
                figure(asked),
                figure(carries)
            ));
        }
        // Shares of the line rate may exceed it by a rounding error.
        if let Some(speed) = self.speed().map(|speed| speed as f64)
            && wire > speed * (1.0 + 1e-9)
        {
            let peak = pacing.peak();
            let carries = figure(peak * speed / wire);
            notes.push(format!("asks for {}, the link carries {carries}", figure(peak)));
        }
        notes
    }

    pub(super) fn too_many_segments(&self) -> Diagnostic {
        let rate = self
            .port
            .rate
            .as_ref()
            .or_else(|| self.flows.iter().find_map(|flow| flow.rate.as_ref()));
        let origin = rate.map_or(&self.port.name.place, |rate| &rate.place);
        Diagnostic::new(
            origin,
            format!(
                "the changing rates of this port take more than {} segments of constant gap to follow",
                self.max_segments
            ),
        )
        .help("let them change more slowly or for a shorter time, in fewer flows or on fewer CPUs")
    }
}

/// A hash of a name (FNV-1a, 64 bits), the same in every session: the default seed of its Poisson
/// process.
fn name_hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Frames a second, for a sentence.
fn figure(rate: f64) -> String {
    match rate {
        1e6.. => format!("{:.2} Mpps", rate / 1e6),
        1e3.. => format!("{:.2} kpps", rate / 1e3),
        _ => format!("{rate:.2} pps"),
    }
}
