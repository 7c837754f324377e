//! Services that answer every datagram, and loops between one of them and a service of ours. For tests.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// A foreign service on a high port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reflector {
    /// Sends back what it got.
    Echo,
    /// Sends it back in capital letters.
    UpperCaseEcho,
    /// Keeps the identifier and the question, and sets the response flag and an error.
    Dns,
    /// Keeps the message's identifier in a reset message.
    Coap,
    /// Sends lines of its own, whatever it got.
    Chargen,
}

/// The result of a loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Datagrams that our service sent to those that the loop began with.
    pub(crate) first: usize,
    /// Datagrams that it sent to those that came back.
    pub(crate) answers: usize,
    /// Whether nothing was under way in the end.
    pub(crate) has_ended: bool,
}

/// Round trips between our service and the other one.
pub(crate) const ROUND_TRIPS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(1),
    Duration::from_millis(20),
    Duration::from_millis(150),
    Duration::from_millis(700),
];

/// Datagrams that a loop begins with.
pub(crate) const UNDER_WAY: [usize; 2] = [1, 200];

/// A loop that sends more than this does not end.
const ENDLESS: usize = 2_000;

impl Reflector {
    pub(crate) const ALL: [Self; 5] = [
        Self::Echo,
        Self::UpperCaseEcho,
        Self::Dns,
        Self::Coap,
        Self::Chargen,
    ];

    /// Its answer to a datagram, the `number`th that it gets.
    pub(crate) fn answer(self, datagram: &[u8], number: usize) -> Vec<u8> {
        match self {
            Self::Echo => datagram.to_vec(),
            Self::UpperCaseEcho => datagram.to_ascii_uppercase(),
            Self::Dns => {
                let mut answer = datagram.to_vec();
                answer.resize(datagram.len().max(12), 0);
                answer[2] |= 0x80;
                answer[3] = 1;
                answer
            }
            Self::Coap => {
                let id = [2, 3].map(|at| datagram.get(at).copied().unwrap_or_default());
                vec![0x70, 0, id[0], id[1]]
            }
            Self::Chargen => {
                let line = (0..72).map(|n| b' ' + u8::try_from((number + n) % 95).unwrap());
                line.chain(*b"\r\n").collect()
            }
        }
    }

    /// Runs a loop that starts with this many datagrams, sent at once or over a round trip, until none is in flight.
    /// `service` is ours: what it sends to a datagram at that time.
    pub(crate) fn goes_round(
        self,
        begins: &[u8],
        under_way: usize,
        is_spread: bool,
        round_trip: Duration,
        mut service: impl FnMut(&[u8], Duration) -> Vec<Vec<u8>>,
    ) -> Outcome {
        let mut arriving = BinaryHeap::new();
        let gap = if is_spread {
            round_trip / u32::try_from(under_way).unwrap()
        } else {
            Duration::ZERO
        };
        let start = Duration::from_secs(1);
        for n in 0..under_way {
            let at = start + gap * u32::try_from(n).unwrap();
            arriving.push(Reverse((at, n, begins.to_vec())));
        }
        let (mut first, mut answers, mut number) = (0, 0, under_way);
        while let Some(Reverse((at, n, datagram))) = arriving.pop() {
            for answer in service(&datagram, at) {
                if n < under_way {
                    first += 1;
                } else {
                    answers += 1;
                }
                let back = self.answer(&answer, number);
                arriving.push(Reverse((at + round_trip, number, back)));
                number += 1;
            }
            if answers > ENDLESS {
                break;
            }
        }
        Outcome {
            first,
            answers,
            has_ended: arriving.is_empty(),
        }
    }

    /// Tries all services at all round trips, with one datagram and with many under way. `new` makes a service of ours.
    pub(crate) fn try_all<S: FnMut(&[u8], Duration) -> Vec<Vec<u8>>>(
        begins: &[&[u8]],
        mut new: impl FnMut() -> S,
        mut check: impl FnMut(&str, Outcome),
    ) {
        for reflector in Self::ALL {
            for (begins, round_trip) in begins
                .iter()
                .flat_map(|begins| ROUND_TRIPS.map(|time| (begins, time)))
            {
                for (under_way, is_spread) in UNDER_WAY
                    .into_iter()
                    .flat_map(|many| [(many, false), (many, true)])
                {
                    let outcome =
                        reflector.goes_round(begins, under_way, is_spread, round_trip, new());
                    let what = format!(
                        "{reflector:?}, {under_way} of {:?}, round trip {round_trip:?}, spread {is_spread}",
                        String::from_utf8_lossy(begins)
                    );
                    check(&what, outcome);
                }
            }
        }
    }
}

#[test]
fn a_service_that_answers_everything_never_ends_a_loop() {
    let mut endless = 0;
    Reflector::try_all(
        &[b"hello"],
        || |_: &[u8], _| vec![b"hello".to_vec()],
        |_, outcome| {
            endless += usize::from(!outcome.has_ended && outcome.answers > ENDLESS);
        },
    );
    assert_eq!(
        endless,
        Reflector::ALL.len() * ROUND_TRIPS.len() * UNDER_WAY.len() * 2
    );
}
