//! The probes that a picture shows, each as a dot: all of them up to a limit, a fair choice beyond it.

use std::time::Duration;

use serde::Serialize;

use crate::ping::ledger::Settled;
use crate::ping::verdict::Verdict;

/// Dots held at most; more would neither be seen nor be quick to draw.
const MOST_DOTS: usize = 20_000;

/// What a dot stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// Answered within the deadline.
    InTime,
    /// Answered after it.
    Late,
    /// Lost on the way to the server.
    LostThere,
    /// Lost on the way back.
    LostBack,
    /// Lost, which way is not known.
    Lost,
    /// Not answered because of a limit of the server.
    RateLimited,
    /// Not answered because of a limit of the server, or lost.
    LimitedOrLost,
    /// Answered in vain: this host threw the answer away.
    DroppedLocally,
    /// Sent back (ICMP).
    Refused,
    /// Answered or lost, which cannot be told.
    Unknown,
    /// This host could not send it.
    NotSent,
}

impl Mark {
    /// Every mark, in the order of a legend.
    pub const ALL: [Self; 11] = [
        Self::InTime,
        Self::Late,
        Self::LostThere,
        Self::LostBack,
        Self::Lost,
        Self::RateLimited,
        Self::LimitedOrLost,
        Self::DroppedLocally,
        Self::Refused,
        Self::Unknown,
        Self::NotSent,
    ];

    /// The mark of a probe with this verdict; none when the run ended before its fate was known.
    #[must_use]
    pub fn of(verdict: Verdict) -> Option<Self> {
        Some(match verdict {
            Verdict::InTime { .. } => Self::InTime,
            Verdict::Late { .. } => Self::Late,
            Verdict::LostThere => Self::LostThere,
            Verdict::LostBack => Self::LostBack,
            Verdict::LostUnknown => Self::Lost,
            Verdict::RateLimited => Self::RateLimited,
            Verdict::LimitedOrLost => Self::LimitedOrLost,
            Verdict::DroppedLocally => Self::DroppedLocally,
            Verdict::Refused(_) => Self::Refused,
            Verdict::Unknown => Self::Unknown,
            Verdict::NotSent => Self::NotSent,
            Verdict::InFlight => return None,
        })
    }

    /// What a legend calls it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::InTime => "in time",
            Self::Late => "late",
            Self::LostThere => "lost there",
            Self::LostBack => "lost back",
            Self::Lost => "lost",
            Self::RateLimited => "rate-limited",
            Self::LimitedOrLost => "limited or lost",
            Self::DroppedLocally => "dropped here",
            Self::Refused => "refused",
            Self::Unknown => "cannot tell",
            Self::NotSent => "not sent",
        }
    }
}

/// A probe in a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dot {
    /// Its number.
    pub seq: u64,
    /// When it was sent, since the start.
    pub at: Duration,
    /// Its RTT, if it was answered.
    pub rtt: Option<Duration>,
    /// What became of it.
    pub mark: Mark,
}

impl Dot {
    /// The dot of a probe; none when the run ended before its fate was known.
    #[must_use]
    pub fn new(settled: &Settled, start: Duration) -> Option<Self> {
        Some(Self {
            seq: settled.seq,
            at: settled.sent.saturating_sub(start),
            rtt: settled.verdict.rtt(),
            mark: Mark::of(settled.verdict)?,
        })
    }
}

/// Dots in bounded memory.
///
/// Beyond the limit, of every 2^n probes the fastest and the slowest stay, for the least n that will do; probes without
/// an answer all stay, as long as they are not most of it.
#[derive(Debug)]
pub struct Dots {
    most: usize,
    shift: u32,
    thins_losses: bool,
    kept: Vec<Dot>,
}

impl Dots {
    /// No dots yet.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(MOST_DOTS)
    }

    fn with_limit(most: usize) -> Self {
        Self {
            most,
            shift: 0,
            thins_losses: false,
            kept: Vec::new(),
        }
    }

    /// Adds the dot of a later probe.
    pub fn add(&mut self, dot: Dot) {
        self.kept.push(dot);
        if self.kept.len() <= self.most {
            return;
        }
        let losses = self.kept.iter().filter(|dot| dot.rtt.is_none()).count();
        self.thins_losses |= losses > self.most / 2;
        // Those added since the last time have not been thinned at all.
        self.thin();
        // Room for a good many, so that this is rare.
        while self.kept.len() > self.most / 4 * 3 && self.shift < u64::BITS - 1 {
            self.shift += 1;
            self.thin();
        }
    }

    /// The dots, thinned evenly, and what the picture has to say about that.
    #[must_use]
    pub fn finish(mut self) -> (Vec<Dot>, Option<String>) {
        if self.shift == 0 {
            return (self.kept, None);
        }
        // The last ones have not been thinned yet.
        self.thin();
        let losses = if self.thins_losses {
            "one of each kind that was not answered"
        } else {
            "all that were not answered"
        };
        let note = format!(
            "Too many probes for a dot each: of every {}, the fastest, the slowest and {losses} are shown.",
            1_u64 << self.shift
        );
        (self.kept, Some(note))
    }

    fn thin(&mut self) {
        let (shift, thins_losses) = (self.shift, self.thins_losses);
        let mut kept = Vec::with_capacity(self.most);
        for group in self.kept.chunk_by(|a, b| a.seq >> shift == b.seq >> shift) {
            let answered = || group.iter().filter_map(|dot| Some((dot.rtt?, dot.seq)));
            let ends = [answered().min(), answered().max()];
            let mut seen = Vec::new();
            kept.extend(group.iter().filter(|dot| match dot.rtt {
                Some(rtt) => ends.contains(&Some((rtt, dot.seq))),
                None if seen.contains(&dot.mark) => !thins_losses,
                None => {
                    seen.push(dot.mark);
                    true
                }
            }));
        }
        self.kept = kept;
    }
}

impl Default for Dots {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dot((seq, fate): (u64, Option<u64>)) -> Dot {
        Dot {
            seq,
            at: Duration::from_millis(seq),
            rtt: fate.map(Duration::from_micros),
            mark: if fate.is_some() {
                Mark::InTime
            } else {
                Mark::LostBack
            },
        }
    }

    fn thinned(most: usize, fates: &[Option<u64>]) -> (Vec<Dot>, Option<String>) {
        let mut dots = Dots::with_limit(most);
        for fate in (1..).zip(fates.iter().copied()) {
            dots.add(dot(fate));
            assert!(dots.kept.len() <= most);
        }
        dots.finish()
    }

    proptest! {
        #[test]
        fn keeps_within_the_limit_what_matters_most(
            fates in prop::collection::vec(prop::option::weighted(0.8, 1..1000_u64), 0..2000),
            most in 16..300_usize,
        ) {
            let all: Vec<Dot> = (1..).zip(fates.iter().copied()).map(dot).collect();
            let (kept, note) = thinned(most, &fates);
            prop_assert!(kept.len() <= most);
            prop_assert_eq!(note.is_none(), all.len() <= most);
            if note.is_none() {
                prop_assert_eq!(&kept, &all);
            }
            prop_assert!(kept.is_sorted_by_key(|dot| dot.seq));
            prop_assert!(kept.iter().all(|dot| all.contains(dot)));
            // The extremes survive.
            let ends = |dots: &[Dot]| {
                let rtts = || dots.iter().filter_map(|dot| dot.rtt);
                (rtts().min(), rtts().max())
            };
            prop_assert_eq!(ends(&kept), ends(&all));
            // So does every loss, unless losses alone would fill the picture.
            let losses = |dots: &[Dot]| dots.iter().filter(|dot| dot.rtt.is_none()).count();
            if losses(&all) <= most / 2 {
                prop_assert_eq!(losses(&kept), losses(&all));
            }
            prop_assert_eq!(losses(&kept) > 0, losses(&all) > 0);
        }
    }

    #[test]
    fn a_run_that_only_loses_stays_within_the_limit() {
        let (kept, note) = thinned(100, &vec![None; 100_000]);
        assert!(kept.len() <= 100 && kept.len() > 30, "{}", kept.len());
        assert!(note.unwrap().contains("one of each kind"));
    }

    #[test]
    fn dots_of_a_long_run_are_spread_evenly() {
        let (kept, _) = thinned(100, &vec![Some(5); 10_000]);
        let half = kept.iter().filter(|dot| dot.seq < 5_000).count();
        assert!(half.abs_diff(kept.len() / 2) <= 2, "{half} {}", kept.len());
    }
}
