//! When the kernel sent a probe and had its answer: what it noted, as far as that can be true.

use std::time::Duration;

use hii_transport::probe::Stamp;

/// What the kernel noted of one probe. The two notes may come in either order, and the first may come after the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KernelTimes {
    /// The probe was handed to the network.
    transmitted: Note,
    /// Its answer came from there.
    received: Note,
}

/// A note, as far as it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Note {
    /// There is none.
    #[default]
    None,
    /// It cannot be true.
    Unusable,
    /// It happened then.
    At(Duration),
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
    /// Notes when a probe was handed to the network, which the program began to send at `sent`.
    pub fn transmitted(&mut self, stamp: Stamp, sent: Duration) {
        // A probe goes out once; what becomes of it later is not told here.
        if self.transmitted == Note::None {
            self.transmitted = Note::of(stamp, sent, stamp.read);
        }
    }

    /// Notes when the answer came from the network that the program had at `answered`.
    pub fn received(&mut self, stamp: Option<Stamp>, sent: Duration, answered: Duration) {
        self.received = stamp.map_or(Note::None, |stamp| Note::of(stamp, sent, answered));
    }

    /// Whether the note of sending is still to come.
    #[must_use]
    pub fn lacks_sending(&self) -> bool {
        self.transmitted == Note::None
    }

    /// Judges the notes of a probe whose answer the program had at `answered`, if it had one.
    #[must_use]
    pub fn judge(&self, answered: Option<Duration>) -> Judged {
        let Self {
            mut transmitted,
            mut received,
        } = *self;
        // It was not sent after its answer was there, and was not answered before it was sent.
        if let (Note::At(there), Some(answered)) = (transmitted, answered)
            && there > answered
        {
            transmitted = Note::Unusable;
        }
        if let (Note::At(there), Note::At(back)) = (transmitted, received)
            && there > back
        {
            received = Note::Unusable;
        }
        let trip = match (transmitted, received) {
            (Note::At(sent), Note::At(back)) => Some(KernelTrip {
                sent,
                rtt: back.saturating_sub(sent),
            }),
            _ => None,
        };
        let notes = [transmitted, received].into_iter();
        let unusable = notes.filter(|note| *note == Note::Unusable).count() as u64;
        Judged { trip, unusable }
    }
}

impl Note {
    fn of(stamp: Stamp, earliest: Duration, latest: Duration) -> Self {
        if stamp.is_within(earliest, latest) {
            Self::At(stamp.at)
        } else {
            Self::Unusable
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

    /// What is noted of a probe sent at 100 and answered at 200.
    fn times(transmitted: Option<At>, received: Option<At>) -> KernelTimes {
        let mut times = KernelTimes::default();
        if let Some(at) = transmitted {
            times.transmitted(stamp(at), us(100));
        }
        times.received(received.map(stamp), us(100), us(200));
        times
    }

    /// When its trip began and how long it took, and how many stamps are unusable.
    fn judge(transmitted: Option<At>, received: Option<At>) -> (Option<(u64, u64)>, u64) {
        let judged = times(transmitted, received).judge(Some(us(200)));
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
        let mut times = KernelTimes::default();
        assert!(times.lacks_sending());
        times.transmitted(stamp((110, 120)), us(100));
        assert!(!times.lacks_sending());
        assert_eq!(times.judge(None), Judged::default());
    }

    #[test]
    fn the_first_note_of_sending_counts() {
        let mut times = times(Some((110, 120)), Some((190, 201)));
        times.transmitted(stamp((150, 160)), us(100));
        assert_eq!(times.judge(Some(us(200))).trip.map(micros), Some((110, 80)));
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
                Stamp { at: us(at), read: us(read), steady: us(steady) }
            };
            let mut times = KernelTimes::default();
            times.transmitted(note(sent + there, sent + there + read), us(sent));
            times.received(Some(note(sent + there + back, answered)), us(sent), us(answered));
            let judged = times.judge(Some(us(answered)));
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
