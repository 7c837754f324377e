//! Runs for the tests.

use std::time::Duration;

use super::progress::Progress;
use crate::ping::ledger::{Answered, Sent, Settled};
use crate::ping::method::{Known, ServerKind};
use crate::ping::output::Heading;
use crate::ping::schedule::Schedule;
use crate::ping::verdict::Verdict;

pub(super) const INTERVAL: Duration = Duration::from_millis(100);

pub(super) fn heading(target: &str, count: Option<u64>) -> Heading {
    heading_of(target, Schedule::fixed(count, INTERVAL))
}

/// What such a run on another schedule begins with.
pub(super) fn heading_of(target: &str, schedule: Schedule) -> Heading {
    let known = Known {
        address: "192.0.2.1:8080".parse().unwrap(),
        kind: ServerKind::Hii,
        text: Vec::new(),
    };
    Heading::new(target.to_owned(), &known, false, schedule, 128).telling_direction(true)
}

/// A run with these verdicts so far, one probe every 100 ms.
pub(super) fn progress(target: &str, count: Option<u64>, verdicts: &[Verdict]) -> Progress {
    let mut progress = Progress::new(heading(target, count), None);
    for (seq, verdict) in (1..).zip(verdicts.iter().copied()) {
        let at = INTERVAL * u32::try_from(seq - 1).unwrap();
        progress.sent(&sent(at, verdict != Verdict::NotSent));
        match verdict.rtt() {
            Some(rtt) => progress.answered(&answered(seq, at, rtt)),
            None if verdict == Verdict::InFlight => {}
            None => progress.settled(&Settled::of(seq, at, verdict)),
        }
    }
    progress
}

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) fn in_time(millis: u64) -> Verdict {
    Verdict::InTime { rtt: ms(millis) }
}

/// One of each, and then answers.
pub(super) fn one_of_each() -> Vec<Verdict> {
    let mut verdicts = vec![
        in_time(40),
        Verdict::Late { rtt: ms(120) },
        Verdict::LostThere,
        Verdict::LostBack,
        Verdict::LostUnknown,
        Verdict::Unknown,
        Verdict::NotSent,
        Verdict::InFlight,
    ];
    verdicts.extend([in_time(60); 12]);
    verdicts
}

/// A probe sent when it was due.
pub(super) fn sent(at: Duration, went_out: bool) -> Sent {
    Sent {
        due: at,
        deadline: INTERVAL,
        at,
        went_out,
        clash: None,
    }
}

/// Its answer.
pub(super) fn answered(seq: u64, at: Duration, rtt: Duration) -> Answered {
    let verdict = if rtt > INTERVAL {
        Verdict::Late { rtt }
    } else {
        Verdict::InTime { rtt }
    };
    Answered {
        seq,
        verdict,
        sent: at,
        rtt,
        from_due: rtt,
        report: None,
    }
}
