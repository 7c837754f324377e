//! Where a ramp breaks away: the offered rate from which delay or loss is no longer what it was.

use std::time::Duration;

use serde::Serialize;

use super::ledger::Settled;
use super::verdict::Verdict;

/// Probes judged together.
const GROUP: usize = 10;
/// Groups that say what is usual.
const USUAL: usize = 2;
/// Delay has broken away when it is this many times the usual.
const TIMES_DELAY: f64 = 3.0;
/// Loss has broken away when it is this much over the usual.
const MORE_LOSS: f64 = 0.2;
/// Groups kept at most; a ramp has a few dozen.
const MOST_GROUPS: usize = 4096;

/// Follows a ramp in the order of its probes.
#[derive(Debug, Default)]
pub struct KneeFinder {
    current: Vec<Judged>,
    groups: Vec<Group>,
}

#[derive(Debug, Clone, Copy)]
struct Judged {
    seq: u64,
    due: Duration,
    sent: Duration,
    rtt: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    /// Probes a second, as they went out: near its end a ramp asks for more than any host sends.
    rate: f64,
    delay: Option<f64>,
    loss: f64,
}

/// The knee of a ramp.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Knee {
    /// The rate at which it begins, in probes that went out a second.
    pub probes_per_second: f64,
    /// What broke away.
    pub sign: Sign,
}

/// What shows a knee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sign {
    /// The median round trip is several times the usual.
    Delay,
    /// Loss is far over the usual.
    Loss,
}

impl KneeFinder {
    /// Takes the next probe.
    pub fn take(&mut self, settled: &Settled) {
        let rtt = match settled.verdict {
            Verdict::InTime { rtt } | Verdict::Late { rtt } => Some(rtt),
            Verdict::LostThere | Verdict::LostBack | Verdict::LostUnknown => None,
            // What the path's load has no part in.
            Verdict::RateLimited
            | Verdict::LimitedOrLost
            | Verdict::DroppedLocally
            | Verdict::Refused(_)
            | Verdict::Unknown
            | Verdict::NotSent
            | Verdict::InFlight => return,
        };
        let &Settled { seq, due, sent, .. } = settled;
        self.current.push(Judged {
            seq,
            due,
            sent,
            rtt,
        });
        if self.current.len() == GROUP {
            let group = Group::of(&self.current);
            self.current.clear();
            if self.groups.len() < MOST_GROUPS {
                self.groups.push(group);
            }
        }
    }

    /// The highest rate at which a knee would have been seen; none where there were too few probes to tell, or so many
    /// lost from the beginning that nothing could break away.
    pub fn highest_rate(&self) -> Option<f64> {
        let (delay, loss) = self.usual()?;
        let can_show = delay.is_some() && loss + MORE_LOSS < 1.0;
        // One group after it has to break away too.
        let judged = self.groups.get(USUAL..self.groups.len().checked_sub(1)?)?;
        let rates = judged.iter().map(|group| group.rate);
        rates.reduce(f64::max).filter(|_| can_show)
    }

    /// The delay and the loss that are usual.
    fn usual(&self) -> Option<(Option<f64>, f64)> {
        let usual = self.groups.get(..USUAL)?;
        let delays = usual.iter().filter_map(|group| group.delay);
        let loss = usual.iter().map(|group| group.loss).fold(0.0, f64::max);
        Some((delays.reduce(f64::max), loss))
    }

    /// The knee, when there is one: the first group that broke away with the next one doing so as well, since one alone
    /// may be chance.
    pub fn knee(&self) -> Option<Knee> {
        let (delay, loss) = self.usual()?;
        let rest = self.groups.get(USUAL..)?;
        let sign = |group: &Group| {
            if group.loss > loss + MORE_LOSS {
                Some(Sign::Loss)
            } else if group
                .delay
                .zip(delay)
                .is_some_and(|(now, usual)| now > usual * TIMES_DELAY)
            {
                Some(Sign::Delay)
            } else {
                None
            }
        };
        rest.windows(2).find_map(|pair| match pair {
            [first, second] => sign(second).and(sign(first)).map(|sign| Knee {
                probes_per_second: first.rate,
                sign,
            }),
            _ => None,
        })
    }
}

impl Group {
    fn of(probes: &[Judged]) -> Self {
        let mut answered: Vec<_> = probes.iter().filter_map(|probe| probe.rtt).collect();
        answered.sort_unstable();
        let lost = probes.len() - answered.len();
        Self {
            rate: rate(probes),
            delay: answered.get(answered.len() / 2).map(Duration::as_secs_f64),
            loss: lost as f64 / probes.len().max(1) as f64,
        }
    }
}

/// Probes a second from the first of these to the last.
fn rate(probes: &[Judged]) -> f64 {
    let (Some(first), Some(last)) = (probes.first(), probes.last()) else {
        return 0.0;
    };
    // Those that are caught up after a stall go out faster than any path was asked for.
    let took = last.sent.saturating_sub(first.sent);
    let took = took.max(last.due.saturating_sub(first.due)).as_secs_f64();
    last.seq.saturating_sub(first.seq) as f64 / took.max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ping::schedule::Schedule;

    /// A ramp over a path that behaves so at each offered rate.
    fn knee(path: impl Fn(f64, u64) -> Option<Duration>) -> Option<Knee> {
        ramp(200, path).knee()
    }

    /// The same of a ramp of so many probes.
    fn ramp(probes: u64, path: impl Fn(f64, u64) -> Option<Duration>) -> KneeFinder {
        let schedule = Schedule {
            decay: 0.95,
            ..Schedule::fixed(Some(200), Duration::from_secs(1))
        };
        let mut finder = KneeFinder::default();
        for seq in 1..=probes {
            let interval = schedule.interval_after(seq);
            let verdict = match path(1.0 / interval.as_secs_f64(), seq) {
                Some(rtt) => Verdict::InTime { rtt },
                None => Verdict::LostThere,
            };
            let sent = schedule.slot(seq);
            finder.take(&Settled::of(seq, sent, verdict));
        }
        finder
    }

    const RTT: Duration = Duration::from_millis(10);

    #[test]
    fn a_queue_that_fills_shows_as_delay() {
        let found = knee(|rate, _| Some(if rate < 500.0 { RTT } else { RTT * 20 })).unwrap();
        assert_eq!(found.sign, Sign::Delay);
        assert!(
            (300.0..1000.0).contains(&found.probes_per_second),
            "{found:?}"
        );
    }

    #[test]
    fn a_policer_shows_as_loss() {
        let found = knee(|rate, seq| (rate < 100.0 || seq % 2 == 0).then_some(RTT)).unwrap();
        assert_eq!(found.sign, Sign::Loss);
        assert!(
            (60.0..200.0).contains(&found.probes_per_second),
            "{found:?}"
        );
    }

    #[test]
    fn a_path_that_holds_has_no_knee() {
        assert_eq!(knee(|_, _| Some(RTT)), None);
        // Steady loss of a tenth, as the original server fakes it, is no knee either.
        assert_eq!(knee(|_, seq| (seq % 10 != 3).then_some(RTT)), None);
        assert_eq!(knee(|_, _| None), None);
    }

    #[test]
    fn tells_up_to_which_rate_it_looked() {
        let highest = |probes| ramp(probes, |_, _| Some(RTT)).highest_rate();
        assert_eq!(highest(39), None);
        // That of the third ten, as the fourth has to agree: nine intervals from the 21st on.
        let nine: f64 = (20..29).map(|before| 0.95_f64.powi(before)).sum();
        let rate = highest(40).unwrap();
        assert!((rate - 9.0 / nine).abs() < 1e-6, "{rate}");
        // Where next to nothing is answered from the beginning, nothing can break away.
        assert_eq!(ramp(200, |_, _| None).highest_rate(), None);
        let few = ramp(200, |_, seq| (seq % 10 == 0).then_some(RTT));
        assert_eq!(few.highest_rate(), None);
    }
}
