//! When the kernel sent a probe and had its answer: what it noted, as far as that can be true.

use std::time::Duration;

use hii_transport::probe::Stamp;

/// What the kernel noted of one probe. The two notes may come in either order, and the first may come after the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KernelTimes {
    /// The probe was handed to the network.
    pub transmitted: Option<Stamp>,
    /// Its answer came from there.
    pub received: Option<Stamp>,
}

/// A round trip between two of the kernel's notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelTrip {
    /// When it began.
    pub sent: Duration,
    /// How long it took.
    pub rtt: Duration,
}

/// What is left of the notes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Judged {
    /// The round trip, where both notes can be true.
    pub trip: Option<KernelTrip>,
    /// Notes that cannot be true: the wall clock was set meanwhile, or they are about something else.
    pub unusable: u64,
}

impl KernelTimes {
    /// Judges the notes of a probe that the program began to send at `sent`, and whose answer it had at `answered`, if it
    /// had one.
    #[must_use]
    pub fn judge(&self, sent: Duration, answered: Option<Duration>) -> Judged {
        let there = self.transmitted.map(|stamp| {
            let read_by = answered.map_or(stamp.read, |answered| stamp.read.min(answered));
            stamp.is_within(sent, read_by).then_some(stamp.at)
        });
        let back = self.received.zip(answered).map(|(stamp, answered)| {
            // It cannot have come before it was asked for.
            let earliest = there.flatten().unwrap_or(sent);
            let is_true = stamp.is_within(sent, answered) && earliest <= stamp.at;
            is_true.then_some(stamp.at)
        });
        let unusable = |note: Option<Option<Duration>>| u64::from(note == Some(None));
        let trip = there
            .flatten()
            .zip(back.flatten())
            .map(|(there, back)| KernelTrip {
                sent: there,
                rtt: back.saturating_sub(there),
            });
        Judged {
            trip,
            unusable: unusable(there) + unusable(back),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn us(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    /// A stamp of this time, read at that.
    type At = (u64, u64);

    fn stamp((at, read): At) -> Stamp {
        Stamp {
            at: us(at),
            read: us(read),
            steady: Duration::ZERO,
        }
    }

    /// When the trip began and how long it took, and how many stamps are unusable, of a probe sent at 100 and answered
    /// at 200.
    fn judge(transmitted: Option<At>, received: Option<At>) -> (Option<(u64, u64)>, u64) {
        let times = KernelTimes {
            transmitted: transmitted.map(stamp),
            received: received.map(stamp),
        };
        let judged = times.judge(us(100), Some(us(200)));
        (judged.trip.map(micros), judged.unusable)
    }

    fn micros(trip: KernelTrip) -> (u64, u64) {
        let [sent, rtt] = [trip.sent, trip.rtt].map(|time| time.as_micros());
        (sent.try_into().unwrap(), rtt.try_into().unwrap())
    }

    #[test]
    fn the_trip_is_between_the_two_notes_whenever_they_are_read() {
        for read in [120, 200, 5_000] {
            let judged = judge(Some((110, read)), Some((190, 201)));
            assert_eq!(judged, (Some((110, 80)), 0));
        }
        // To the bounds themselves.
        let judged = judge(Some((100, 100)), Some((200, 200)));
        assert_eq!(judged, (Some((100, 100)), 0));
    }

    #[test]
    fn a_note_that_cannot_be_true_is_not_used() {
        for (transmitted, received, unusable) in [
            (Some((99, 120)), Some((190, 201)), 1),
            (Some((121, 120)), Some((190, 201)), 1),
            // Sent after its answer was there.
            (Some((250, 300)), Some((190, 201)), 1),
            (Some((250, 300)), None, 1),
            (Some((110, 120)), Some((99, 201)), 1),
            (Some((110, 120)), Some((201, 201)), 1),
            (Some((150, 160)), Some((140, 201)), 1),
            (Some((99, 120)), Some((201, 201)), 2),
            (None, Some((190, 201)), 0),
            (Some((110, 120)), None, 0),
            (None, None, 0),
        ] {
            assert_eq!(judge(transmitted, received), (None, unusable));
        }
    }

    #[test]
    fn a_probe_without_an_answer_has_no_trip() {
        let times = KernelTimes {
            transmitted: Some(stamp((110, 120))),
            received: None,
        };
        assert_eq!(times.judge(us(100), None), Judged::default());
    }

    proptest! {
        /// The wall clock is set once, by `step`, at some time; stamps are taken before and after.
        #[test]
        fn a_clock_that_is_set_makes_no_wrong_figure(
            sent in 1_000..2_000_u64,
            there in 0..500_u64,
            back in 0..500_u64,
            after in 0..500_u64,
            read in 0..5_000_u64,
            set in prop::option::of(0..8_000_u64),
            step in -4_000..4_000_i64,
        ) {
            let answered = sent + there + back + after;
            let noticed = set.unwrap_or_default();
            let note = |at: u64, read: u64| {
                // The kernel's stamp is by the clock of its time, and is converted by that of the time it is read.
                let is_off = set.is_some_and(|set| at < set && set <= read);
                let at = if is_off { at.saturating_add_signed(-step) } else { at };
                let steady = if noticed <= read { noticed } else { 0 };
                Some(Stamp { at: us(at), read: us(read), steady: us(steady) })
            };
            let times = KernelTimes {
                transmitted: note(sent + there, sent + there + read),
                received: note(sent + there + back, answered),
            };
            let judged = times.judge(us(sent), Some(us(answered)));
            let right = Some((sent + there, back));
            let trip = judged.trip.map(micros);
            prop_assert!(trip.is_none() || trip == right, "{:?}", judged);
            prop_assert_eq!(trip.is_none(), judged.unusable > 0);
            if set.is_none() {
                prop_assert_eq!(trip, right);
            }
        }
    }
}
