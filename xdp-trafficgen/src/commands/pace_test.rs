//! `pace-test`: sends at a constant rate, has an XDP program write down when each frame arrives, and shows how even the gaps
//! are.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use crate::{
    cli::{self, PortRange, WarmUp},
    commands::{
        CommandError,
        demo::{RECEIVER, SENDER, VethPair},
        findings::RunFindings,
        probe_kernel,
        quick::udp,
        results,
        send::{consent, drive, existing, signal_stop, work_out},
        target::Target,
    },
    config::{Config, Located, Origin, Profile, Rate, RateUnit, rate::DEFAULT_LATE_THRESHOLD},
    engine::{Loaded, Start},
    host::{Facts, FactsError, Link, Mac, Netlink, machine},
    kernel::{
        Arrivals,
        arrivals::{Arrived, Match},
    },
    output::{
        format::emit,
        live::Live,
        numbers::{frames, grouped},
        pace_test::{PaceTestReport, svg},
        streams::say,
        together::{findings, notes},
    },
    stats::{PortCount, gaps::Gaps},
    units::{CpuList, FrameLen},
};

/// Why gaps could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum PaceTestError {
    /// A name the user gave.
    #[error("there is no interface `{0}`: `ip link` lists those there are")]
    NoInterface(String),
    /// Frames leave for somewhere else.
    #[error(
        "where do the frames arrive? `{0}` is not an end of a veth pair whose other end is in this network namespace: name the \
         interface of this machine that it is connected to with --receiver, or send from elsewhere and use --receive-only"
    )]
    NoReceiver(String),
    /// Receiving there would cut this machine off.
    #[error(
        "`{0}` carries this machine's default route, and every frame that arrives there would be dropped: choose another \
         interface, or add --allow-default-route"
    )]
    DefaultRoute(String),
    /// A rate in percent, which only the plan can work out.
    #[error("a share of the line rate gives no gap: write --rate in frames or bits a second, such as `500kpps`")]
    NoGap,
    /// More frames than the kernel's log is given room for.
    #[error(
        "{} are too many to be written down, {} at most: choose a shorter --duration or a lower --rate",
        frames(*.0), grouped(MOST_FRAMES)
    )]
    TooMany(u64),
    /// Nothing to measure.
    #[error(
        "no gap can be measured: {} arrived at {receiver} behind the warm-up of {}, and it takes two; send for longer with \
         --duration, or shorten --warm-up",
        frames(*.arrived), humantime::format_duration(*.warm_up)
    )]
    TooFew {
        /// Frames behind the warm-up.
        arrived: u64,
        /// The interface.
        receiver: String,
        /// The warm-up.
        warm_up: Duration,
    },
    /// The log was full within the warm-up.
    #[error(
        "no gap can be measured: {} at {receiver} within the warm-up, for which there was no more room; far more than the rate \
         arrive, so they are not paced",
        frames(*.missed)
    )]
    Flooded {
        /// Frames that were not written down.
        missed: u64,
        /// The interface.
        receiver: String,
    },
    /// Not one, though some were sent.
    #[error(
        "nothing arrived at {receiver}, though {}: {}",
        .sent.map_or_else(|| "it was listened to".to_owned(), |sent| format!("{} left {}", frames(sent), .sender)),
        if .sent.is_some() { "is it the interface that they reach?" } else { "is anything sent to it?" }
    )]
    NothingArrived {
        /// Where they left.
        sender: String,
        /// How many; none where somebody else sends.
        sent: Option<u64>,
        /// Where they were waited for.
        receiver: String,
    },
}

impl PaceTestError {
    /// As [`CommandError::exit_code`].
    pub(super) const fn exit_code(&self) -> u8 {
        match self {
            Self::NoInterface(_) | Self::NoReceiver(_) | Self::DefaultRoute(_) | Self::NoGap | Self::TooMany(_) => 2,
            Self::TooFew { .. } | Self::Flooded { .. } | Self::NothingArrived { .. } => 1,
        }
    }
}

/// Eight bytes each in the kernel's log, which must have room for all, and as many again here.
const MOST_FRAMES: u64 = 30_000_000;

/// In the UDP payload, so that the receiver knows our frames.
const MARK: [u8; 4] = *b"pace";
/// Behind Ethernet, IPv4 and UDP.
const MARK_OFFSET: u32 = 14 + 20 + 8;

pub(super) fn pace_test(options: &cli::PaceTest) -> Result<(), CommandError> {
    let nominal_ns = nominal_gap_ns(options.rate, options.size).ok_or(PaceTestError::NoGap)?;
    let capacity = capacity(nominal_ns, options.duration)?;
    let capabilities = probe_kernel()?;
    let existing = existing(options.common.replace_xdp);
    let svg = options.svg.as_deref().map(Target::open).transpose()?;
    let report = if options.receive_only {
        let receiver = options.interface.clone().unwrap_or_default();
        let receiver = check_receive_only(&receiver, options.common.allow_default_route)?;
        // Before: a program that made way is put back only by an end in order.
        let stop = signal_stop()?;
        let arrivals = Arrivals::attach_over(&receiver, Match::default(), capacity, existing)?;
        say(format_args!("receiving at {receiver} for {}", humantime::format_duration(options.duration)));
        wait(options.duration, &stop);
        measure(arrivals.take()?, receiver, None, nominal_ns, options.warm_up)?
    } else {
        let ends = Endpoints::find(options)?;
        let config = config(options, &ends)?;
        let plan = work_out(&config, Some(capabilities), consent(&options.common))?;
        notes(&plan.notes).iter().for_each(say);
        let workers = plan.ports.iter().map(|port| port.cpus.len()).sum();
        let pacing = plan.ports.iter().find_map(|port| port.pacing.as_ref());
        let late_threshold = pacing.map_or(DEFAULT_LATE_THRESHOLD, |pacing| pacing.late);
        let stop = signal_stop()?;
        let matching = Match { mark: Some((MARK_OFFSET, MARK)), tag: None };
        let arrivals = Arrivals::attach_over(&ends.receiver, matching, capacity, existing)?;
        let outlook = RunFindings::of(&plan);
        outlook.warn();
        let live = Live::explaining(Box::new(outlook.watch()));
        let (mut snapshot, failure) = drive(Loaded::until(&stop, plan)?, Start::Now, &stop, Some(live))?;
        let found = outlook.conclude(&snapshot, Vec::new(), failure.is_some());
        findings(&found).iter().for_each(say);
        if let Some(failure) = failure {
            return Err(failure);
        }
        let port = snapshot.ports.pop().filter(|port| port.transmitted > 0).ok_or(CommandError::NothingSent)?;
        settle(&arrivals, port.transmitted)?;
        let sent = Sent { port, workers, late_threshold };
        measure(arrivals.take()?, ends.receiver, Some(sent), nominal_ns, options.warm_up)?
    };
    let printed = emit(&report, options.output.output);
    results::both(svg.map_or(Ok(()), |target| draw(&target, &report)), printed)
}

/// Where frames leave and where they arrive.
struct Endpoints {
    sender: String,
    receiver: String,
    receiver_mac: Option<Mac>,
    cpus: Option<Vec<u32>>,
    /// Its namespace lives as long.
    _wire: Option<VethPair>,
}

impl Endpoints {
    fn find(options: &cli::PaceTest) -> Result<Self, CommandError> {
        let cpus = options.cpus.as_ref().map(|cpus| cpus.0.clone());
        let Some(sender) = options.interface.clone() else {
            let wire = VethPair::lay(cpus.clone())?;
            return Ok(Self {
                sender: SENDER.to_owned(),
                receiver: RECEIVER.to_owned(),
                receiver_mac: Some(wire.receiver_mac),
                cpus,
                _wire: Some(wire),
            });
        };
        let netlink = Netlink::open().map_err(FactsError::from)?;
        let links = netlink.links().map_err(FactsError::from)?;
        let receiver = match &options.receiver {
            Some(receiver) => named(&links, receiver)?,
            None => {
                let peer = netlink.veth_peer(named(&links, &sender)?.index).map_err(FactsError::from)?;
                let peer = links.iter().find(|link| Some(link.index) == peer);
                peer.ok_or_else(|| PaceTestError::NoReceiver(sender.clone()))?
            }
        };
        Ok(Self { sender, receiver: receiver.name.clone(), receiver_mac: receiver.mac, cpus, _wire: None })
    }
}

fn named<'a>(links: &'a [Link], name: &str) -> Result<&'a Link, PaceTestError> {
    links.iter().find(|link| link.answers_to(name)).ok_or_else(|| PaceTestError::NoInterface(name.to_owned()))
}

/// The receiver's name, which may have been given by an alternative one. Every frame that arrives is dropped: not where this
/// machine is reached.
fn check_receive_only(receiver: &str, allow_default_route: bool) -> Result<String, CommandError> {
    let facts = Facts::gather(&[], &[], None)?;
    let link = named(&facts.links, receiver)?;
    if facts.default_route.contains(&link.index) && !allow_default_route {
        return Err(PaceTestError::DefaultRoute(receiver.to_owned()).into());
    }
    Ok(link.name.clone())
}

/// One flow of UDP frames that carry the mark, as `udp` would send it: what is wrong is said of the options.
fn config(options: &cli::PaceTest, ends: &Endpoints) -> Result<Config, CommandError> {
    let mark: String = MARK.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut config = udp::config(&cli::Udp {
        quick: cli::Quick {
            dst_mac: ends.receiver_mac,
            size: Some(options.size.to_string()),
            payload: format!("hex:{mark}"),
            duration: Some(options.duration),
            cpus: ends.cpus.clone().map(CpuList),
            ..cli::Quick::new(&ends.sender, options.common)
        },
        dst_port: PortRange { first: 9, last: 9 },
        src_port: PortRange { first: 49152, last: 49152 },
    })
    .map_err(CommandError::Config)?;
    for port in &mut config.ports {
        port.rate = Some(Located::new(Profile::Constant(options.rate), Origin::Option("--rate")));
    }
    Ok(config)
}

/// Nanoseconds from frame to frame; none for shares of the line rate. `size`: bytes on the wire, FCS included.
#[expect(clippy::cast_precision_loss, reason = "a gap is compared with whole nanoseconds")]
fn nominal_gap_ns(rate: Rate, size: u32) -> Option<f64> {
    let bits = match rate.unit {
        RateUnit::Frames => 1,
        RateUnit::BitsL2 => 8 * u64::from(size),
        RateUnit::BitsL1 => FrameLen::new(size).on_wire().bits(),
        RateUnit::LineShare => return None,
    };
    let gap = bits as f64 * 1e9 * rate.amount.denominator as f64 / rate.amount.numerator as f64;
    gap.is_finite().then_some(gap)
}

/// Room for what should arrive, and a little more.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive; the largest number is refused")]
pub(super) fn capacity(gap_ns: f64, duration: Duration) -> Result<u64, PaceTestError> {
    let frames = (duration.as_secs_f64() * 1e9 / gap_ns * 1.01) as u64;
    if frames > MOST_FRAMES { Err(PaceTestError::TooMany(frames)) } else { Ok(frames + 1) }
}

/// Until the time is over, or a signal comes.
fn wait(duration: Duration, stop: &CancellationToken) {
    let end = Instant::now() + duration;
    while !stop.is_cancelled() && Instant::now() < end {
        thread::sleep(Duration::from_millis(10).min(end.saturating_duration_since(Instant::now())));
    }
}

/// The last frames may still wait for a softirq on another CPU. Gives up after half a second, for frames that are lost are
/// lost.
fn settle(arrivals: &Arrivals, sent: u64) -> Result<(), CommandError> {
    let deadline = Instant::now() + Duration::from_millis(500);
    loop {
        let seen = arrivals.seen()?;
        if seen.stamped + seen.missed >= sent || Instant::now() >= deadline {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// What this process sent.
pub(super) struct Sent {
    port: PortCount,
    workers: usize,
    /// Frames that left later than this after they were due count as late.
    late_threshold: Duration,
}

pub(super) fn measure(
    arrived: Arrived,
    receiver: String,
    sent: Option<Sent>,
    nominal_ns: f64,
    WarmUp(warm_up): WarmUp,
) -> Result<PaceTestReport, PaceTestError> {
    let Arrived { stamps, missed, passed: _ } = arrived;
    let (workers, late_threshold) =
        sent.as_ref().map_or((0, DEFAULT_LATE_THRESHOLD), |sent| (sent.workers, sent.late_threshold));
    let sent = sent.map(|sent| sent.port);
    let times: Vec<u64> = stamps.iter().map(|stamp| stamp.ns).collect();
    let Some(&first) = times.first() else {
        let sender = sent.as_ref().map(|port| port.interface.clone()).unwrap_or_default();
        return Err(PaceTestError::NothingArrived { sender, sent: sent.map(|port| port.transmitted), receiver });
    };
    let Some(gaps) = Gaps::measure(&times, nominal_ns, warm_up) else {
        if missed > 0 {
            return Err(PaceTestError::Flooded { missed, receiver });
        }
        let warm = times.partition_point(|&time| u128::from(time - first) < warm_up.as_nanos());
        return Err(PaceTestError::TooFew { arrived: (times.len() - warm) as u64, receiver, warm_up });
    };
    Ok(PaceTestReport {
        machine: machine(),
        receiver,
        sent,
        workers,
        late_threshold,
        arrived: times.len() as u64,
        missed,
        warm_up,
        gaps,
    })
}

fn draw(target: &Target, report: &PaceTestReport) -> Result<(), CommandError> {
    let picture = svg::render(report)
        .map_err(|error| CommandError::System { what: "cannot draw the histogram", source: io::Error::other(error) })?;
    target.write(&picture)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Ratio;

    #[test]
    fn a_gap_follows_from_the_rate_and_the_size() {
        #[track_caller]
        fn check(numerator: u64, denominator: u64, unit: RateUnit, size: u32, expected: Option<f64>) {
            let rate = Rate { amount: Ratio::new(numerator, denominator), unit };
            assert_eq!(nominal_gap_ns(rate, size), expected);
        }
        check(500_000, 1, RateUnit::Frames, 64, Some(2000.0));
        check(1, 2, RateUnit::Frames, 64, Some(2e9));
        check(1_000_000_000, 1, RateUnit::BitsL2, 125, Some(1000.0));
        // Ten gigabit Ethernet's 14.88 Mpps.
        check(10_000_000_000, 1, RateUnit::BitsL1, 64, Some(67.2));
        check(1, 2, RateUnit::LineShare, 64, None);
    }

    #[test]
    fn there_is_room_for_all_frames_or_an_error() {
        assert_eq!(capacity(2000.0, Duration::from_secs(2)).unwrap(), 1_010_001);
        assert!(matches!(capacity(1000.0, Duration::from_secs(60)), Err(PaceTestError::TooMany(60_600_000))));
        assert!(capacity(1.0, Duration::MAX).is_err());
    }

    #[test]
    fn errors_say_what_to_do() {
        #[track_caller]
        fn check(error: &PaceTestError, expected: &str) {
            assert!(error.to_string().contains(expected), "{error}");
        }
        check(
            &PaceTestError::TooMany(60_000_000),
            "60 000 000 frames are too many to be written down, 30 000 000 at most",
        );
        let nothing = |sent| PaceTestError::NothingArrived { sender: "a".into(), sent, receiver: "b".into() };
        check(&nothing(Some(5)), "nothing arrived at b, though 5 frames left a: is it the interface");
        check(&nothing(None), "nothing arrived at b, though it was listened to: is anything sent");
        let few = PaceTestError::TooFew { arrived: 1, receiver: "b".into(), warm_up: Duration::from_millis(100) };
        check(&few, "1 frame arrived at b behind the warm-up of 100ms, and it takes two");
    }
}
