//! Why gaps could not be measured, and what to do about it.

use std::time::Duration;

use super::measure::MOST_FRAMES;
use crate::output::numbers::{frames, grouped};

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
    #[error(
        "a share of the line rate gives no gap: write --rate in frames or bits a second, such as `500kpps`"
    )]
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
        /// How many; none with `--receive-only`.
        sent: Option<u64>,
        /// Where they were waited for.
        receiver: String,
    },
}

impl PaceTestError {
    /// As [`CommandError::exit_code`].
    pub(in crate::commands) const fn exit_code(&self) -> u8 {
        match self {
            Self::NoInterface(_)
            | Self::NoReceiver(_)
            | Self::DefaultRoute(_)
            | Self::NoGap
            | Self::TooMany(_) => 2,
            Self::TooFew { .. } | Self::Flooded { .. } | Self::NothingArrived { .. } => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let nothing =
            |sent| PaceTestError::NothingArrived { sender: "a".into(), sent, receiver: "b".into() };
        check(
            &nothing(Some(5)),
            "nothing arrived at b, though 5 frames left a: is it the interface",
        );
        check(&nothing(None), "nothing arrived at b, though it was listened to: is anything sent");
        let few = PaceTestError::TooFew {
            arrived: 1,
            receiver: "b".into(),
            warm_up: Duration::from_millis(100),
        };
        check(&few, "1 frame arrived at b behind the warm-up of 100ms, and it takes two");
    }
}
