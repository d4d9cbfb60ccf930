//! What a port goes through while it cannot send: the departures of that time are counted as never
//! sent, and the time counts as one in which it was due to send.

use std::time::Duration;

use crate::{
    plan::pacing::{
        Streams,
        missed::{Flow, MissedDepartures},
    },
    stats::{
        PortCount, Punctuality,
        due_time::{Window, covered, length},
    },
};

/// What outages cost a port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outage {
    /// How long it could not send, in all.
    pub down: Duration,
    /// How often it started again.
    pub restarts: u64,
    /// Departures meanwhile, of which no frame left.
    pub unsent: u64,
    /// Why it failed at last.
    pub reason: String,
}

impl Outage {
    pub(super) fn add(&mut self, earlier: &Self) {
        let Self { down, restarts, unsent, reason } = earlier;
        self.down += *down;
        self.restarts += restarts;
        self.unsent += unsent;
        if self.reason.is_empty() {
            self.reason.clone_from(reason);
        }
    }
}

/// A port that has stopped sending, and its counts as they go on.
#[derive(Clone, Debug)]
pub struct StoppedPort {
    /// The counts when it stopped.
    count: PortCount,
    missed: MissedDepartures,
    /// When it stopped, since its last start.
    from: Duration,
}

impl StoppedPort {
    /// Of a port that sent, as `planned`, until so long after its start. `count`: all counts then;
    /// `before`: those before that start.
    pub fn since(
        planned: MissedDepartures,
        from: Duration,
        count: PortCount,
        before: &PortCount,
    ) -> Self {
        // All are in the configuration's order, and what was over before is not planned any more.
        let mut counted = count.flows.iter().zip(&before.flows);
        let had = |name: &String| {
            let (now, before) = counted.by_ref().find(|(now, _)| now.name == *name)?;
            Some(now.due().saturating_sub(before.due()))
        };
        let had: Vec<u64> = planned.flows().iter().map(|flow| &flow.name).map_while(had).collect();
        Self { count, missed: planned.after(from, &had), from }
    }

    /// The counts so long after the last start. Times must not go back.
    pub fn counts(&mut self, to: Duration, reason: &str) -> PortCount {
        let mut count = self.count.clone();
        count.outage.down += to.saturating_sub(self.from);
        reason.clone_into(&mut count.outage.reason);
        let (streams, requested) = (self.missed.streams(), self.missed.requested());
        self.missed.by(to);
        let within = |(begin, end): Window| {
            let begin = begin.max(self.from);
            (begin, end.min(to).max(begin))
        };
        let windows: Vec<Window> =
            self.missed.flows().iter().map(|flow| within(flow.window())).collect();
        let due_time = covered(windows.iter().copied());
        count.due_time += due_time;
        let missed = self.missed.flows();
        let mut flows = count.flows.iter_mut();
        for (index, (flow, window)) in missed.iter().zip(windows).enumerate() {
            let Some(counted) = flows.by_ref().find(|counted| counted.name == flow.name) else {
                break;
            };
            counted.due_time += length(window);
            let own =
                requested.get(index).copied().flatten().filter(|_| streams == Some(Streams::Flows));
            let nothing_sent = Punctuality::of_nothing_sent(flow.missed(), own, length(window));
            let nothing_sent = nothing_sent.filter(|_| streams.is_some());
            counted.punctuality = Punctuality::of_both(nothing_sent, counted.punctuality);
        }
        if let Some(streams) = streams {
            let unsent = missed.iter().map(Flow::missed).sum();
            // Where not all flows send all the time, only the departures tell.
            let all_send = streams == Streams::Port || missed.iter().all(Flow::goes_on);
            let requested = requested.iter().copied().sum::<Option<f64>>().filter(|_| all_send);
            let nothing_sent = Punctuality::of_nothing_sent(unsent, requested, due_time);
            count.punctuality = Punctuality::of_both(nothing_sent, count.punctuality);
            count.outage.unsent += unsent;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        config::{Source, file},
        plan::{DefaultRoute, PortPlan, plan, tests::facts},
    };

    /// A port with this rate, if any, and flows with a delay (written, so that it is kept), and
    /// these lines.
    fn port(rate: Option<u32>, flows: &[String]) -> PortPlan {
        let rate = rate.map_or(String::new(), |rate| format!("rate = '{rate}pps'\n"));
        let mut text = format!("[[ports]]\nname = 'p'\ninterface = 'veth0'\n{rate}");
        for (index, lines) in flows.iter().enumerate() {
            text += &format!(
                "[[flows]]\nname = 'f{index}'\nport = 'p'\npacket = [{{ ethernet = {{ dst = '02:00:00:00:00:02' }} }}]\n{lines}\n"
            );
        }
        let config =
            file::parse(Source::file("test.toml", &text)).unwrap_or_else(|wrong| panic!("{wrong}"));
        let plan = plan(&config, &facts(), DefaultRoute::Refuse);
        plan.unwrap_or_else(|wrong| panic!("{wrong}")).ports.remove(0)
    }

    /// Of a port that attempted so many frames of each flow.
    fn sent(plan: &PortPlan, had: &[u64]) -> PortCount {
        let mut count = PortCount { frames_attempted: had.iter().sum(), ..PortCount::none(plan) };
        count.flows.iter_mut().zip(had).for_each(|(flow, had)| flow.frames_attempted = *had);
        count
    }

    fn unsent(punctuality: Option<Punctuality>) -> u64 {
        punctuality.map_or(0, |punctuality| punctuality.unsent)
    }

    fn unsent_of_flows(count: &PortCount) -> Vec<u64> {
        count.flows.iter().map(|flow| unsent(flow.punctuality)).collect()
    }

    /// The counts at each of these times, in milliseconds; what must hold of any does.
    #[track_caller]
    fn look(plan: &PortPlan, had: &[u64], from: u64, times: &[u64]) -> PortCount {
        let none = PortCount::none(plan);
        let mut down = StoppedPort::since(
            MissedDepartures::of(plan),
            Duration::from_millis(from),
            sent(plan, had),
            &none,
        );
        let mut last = sent(plan, had);
        for time in times {
            let count = down.counts(Duration::from_millis(*time), "");
            assert_eq!(
                unsent(count.punctuality),
                unsent_of_flows(&count).iter().sum::<u64>(),
                "{count:?}"
            );
            assert_eq!(count.outage.unsent, unsent(count.punctuality), "{count:?}");
            assert_eq!(count.outage.down, Duration::from_millis(time - from));
            assert!(count.due_time >= last.due_time, "{last:?}, {count:?}");
            for ((flow, before), planned) in count.flows.iter().zip(&last.flows).zip(&plan.flows) {
                assert!(
                    flow.due() >= before.due() && flow.due_time >= before.due_time,
                    "{last:?}, {count:?}"
                );
                assert!(planned.packets.is_none_or(|packets| flow.due() <= packets), "{count:?}");
            }
            last = count;
        }
        last
    }

    /// One flow was over at the first look at which nothing was left of it, and at the next all
    /// that it had missed was forgotten.
    #[test]
    fn what_a_flow_missed_stays_when_nothing_is_left_of_it() {
        let flows = ["packets = 2000".to_owned(), "packets = 1000\nweight = 2".to_owned()];
        let shared = port(Some(1000), &flows);
        let count = look(&shared, &[200, 400], 600, &[1000, 1500, 2000, 2500, 3000, 3500, 4000]);
        assert_eq!(unsent_of_flows(&count), [1800, 600]);
        // 400 departures more were nobody's: it was due for 3 s in all, of which 0.6 were before.
        assert_eq!(count.due_time, Duration::from_millis(2400));
        assert_eq!(
            count.flows.iter().map(|flow| flow.due_time.as_millis()).collect::<Vec<_>>(),
            [2400, 900]
        );
        let own = port(
            None,
            &["packets = 2000\nrate = '1kpps'".to_owned(), "rate = '500pps'".to_owned()],
        );
        let count = look(&own, &[600, 300], 600, &[1000, 1500, 2000, 2500, 3000, 3500, 4000]);
        assert_eq!(unsent_of_flows(&count), [1400, 1700]);
        assert_eq!(count.flows[0].due_time, Duration::from_millis(1400));
    }

    proptest! {
        /// Whatever flows there are, whenever the port stops, and however often somebody looks.
        #[test]
        fn a_port_misses_what_its_flows_miss(
            (shares, rate) in (any::<bool>(), 1u32..5000),
            flows in proptest::collection::vec((1u32..5, 1u64..8000, 0usize..4, 1u32..2000), 1..5),
            (from, mut times) in (0u64..3000, proptest::collection::vec(0u64..6000, 1..12)),
            had in 0u64..=8,
        ) {
            times.sort_unstable();
            times.iter_mut().for_each(|time| *time += from);
            let kinds = ["delay = '0s'", "delay = '700ms'", "delay = '0s'\nduration = '1300ms'", "delay = '0s'"];
            let lines = |&(weight, packets, kind, own): &(u32, u64, usize, u32)| {
                let rate = if shares { format!("weight = {weight}") } else { format!("rate = '{own}pps'") };
                let end = if kind < 2 { format!("packets = {packets}") } else { String::new() };
                format!("{}\n{end}\n{rate}", kinds[kind])
            };
            let plan = port(shares.then_some(rate), &flows.iter().map(lines).collect::<Vec<_>>());
            let due: Vec<u64> = MissedDepartures::of(&plan).by(Duration::from_millis(from)).iter().map(Flow::missed).collect();
            let had: Vec<u64> = due.iter().map(|due| due * had / 8).collect();
            let count = look(&plan, &had, from, &times);
            let until = times[times.len() - 1];
            let once = look(&plan, &had, from, &[until]);
            prop_assert_eq!(unsent_of_flows(&count), unsent_of_flows(&once));
            // Departures at k / rate before then, k = 0….
            let plain = |rate: u32, delay: u64, end: u64| (u64::from(rate) * until.min(end).saturating_sub(delay)).div_ceil(1000);
            for (index, (&(_, packets, kind, own), flow)) in flows.iter().zip(&count.flows).enumerate().filter(|_| !shares) {
                let (delay, end) = [(0, u64::MAX), (700, u64::MAX), (0, 1300), (0, u64::MAX)][kind];
                let most = if kind < 2 { packets } else { u64::MAX };
                prop_assert_eq!(flow.due(), plain(own, delay, end).min(most), "flow {}: {:?}", index, count);
            }
            if shares && flows.iter().all(|flow| flow.2 == 0) {
                let most: u64 = flows.iter().map(|flow| flow.1).sum();
                let due: u64 = count.flows.iter().map(super::super::FlowCount::due).sum();
                prop_assert_eq!(due, plain(rate, 0, u64::MAX).min(most));
            }
        }
    }

    #[test]
    fn outages_add_up() {
        let outage = |seconds, restarts, unsent, reason: &str| Outage {
            down: Duration::from_secs(seconds),
            restarts,
            unsent,
            reason: reason.to_owned(),
        };
        let mut later = outage(2, 1, 10, "");
        later.add(&outage(3, 2, 5, "gone"));
        assert_eq!(later, outage(5, 3, 15, "gone"));
        later.add(&outage(0, 0, 0, "another"));
        assert_eq!(later.reason, "gone");
    }
}
