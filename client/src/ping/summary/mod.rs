//! The figures of a run, for people and for programs.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use hii_server::ping::Tally;
use hii_transport::elsewhere::Strays;
use serde::Serialize;

use super::events::Ending;
use super::ramp::RampFigures;
use super::statistics::RunFigures;
use super::throughput::Rates;
use super::verdict::Counts;

mod figures;
mod ramp;
mod text;

/// What a run found.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Probes that went out.
    pub sent: u64,
    /// Answered, in time or late.
    pub answered: u64,
    /// Answered within the deadline.
    pub in_time: u64,
    /// Answered after it.
    pub late: u64,
    /// Lost probes.
    pub lost: Lost,
    /// Lost probes in percent of those sent and not in flight; null while some cannot be judged.
    pub loss_percent: Option<f64>,
    /// The least and the most that it can be.
    pub loss_percent_range: Option<[f64; 2]>,
    /// Received by the server and not answered because of a limit; they are not lost.
    pub rate_limited: u64,
    /// Over a limit of the server or lost, not known which.
    pub limited_or_lost: u64,
    /// Over TCP: answered after the server had stopped reading for a while because of a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waited_for_limit: Option<u64>,
    /// Answered or lost, which cannot be told.
    pub unknown: u64,
    /// Still waited for when the run was interrupted.
    pub in_flight: u64,
    /// Probes that this host could not send.
    pub not_sent: u64,
    /// Further answers to answered probes.
    pub duplicates: u64,
    /// Answers to probes so old that they are no longer remembered.
    pub forgotten: u64,
    /// Answers that could be to either of two probes.
    pub ambiguous: u64,
    /// Answers that cannot be true, and so not counted as answers.
    pub implausible: u64,
    /// Datagrams that answer no probe.
    pub foreign: u64,
    /// Datagrams from elsewhere than the target; null where they are not heard.
    pub from_elsewhere: Option<FromElsewhere>,
    /// Probes beside those that count.
    pub uncounted: Uncounted,
    /// Answers that were cut or padded on the way: not as long as their probe, and not counted as answers.
    pub wrong_length: u64,
    /// Probes that were answered in vain: this host threw the answer away; null in bursts, here and below.
    pub dropped_locally: Option<u64>,
    /// All datagrams of the target that this host threw away, since it had no room for them or they were damaged.
    pub dropped_here: Option<u64>,
    /// Probes that were sent back (ICMP).
    pub refused: Option<u64>,
    /// The same by the reason.
    pub refused_by: BTreeMap<&'static str, u64>,
    /// Refusals that name no probe.
    pub refused_unknown: u64,
    /// The longest packet that the path takes, headers included, where that was told.
    pub path_mtu: Option<u32>,
    /// `used`, or why there are no times by the kernel: `n/a: ` and the reason.
    pub kernel_stamps: String,
    /// Times by the kernel that cannot be true, since the wall clock was set meanwhile, and that are not used.
    pub unusable_stamps: u64,
    /// How often the server forgot the run.
    pub server_forgot: u64,
    /// By how much this host's wall clock was set during the run, or the host slept; null where it was not.
    pub clock_set_ns: Option<i64>,
    /// Probes a second, with `--rate` and `--flood`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rates: Option<Rates>,
    /// What was asked for, with `--rate`; the document has it before the summary.
    #[serde(skip)]
    pub asked_rate: Option<u32>,
    /// Times, variation, loss runs, one-way delay.
    #[serde(flatten)]
    pub figures: RunFigures,
    /// What a ramp shows.
    #[serde(flatten)]
    pub ramp: Option<RampFigures>,
    /// Whether the user stopped the run.
    pub interrupted: bool,
    /// How the connection ended, when it did before the run was through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_ended: Option<Ending>,
    /// What the server's last word was, when it was asked to stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub farewell: Option<String>,
    /// What the server inside this program did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<Tally>,
}

/// Probes beside those that count: questions before the run, and those that settle its end. A server's own tally has
/// them in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Uncounted {
    /// How many went out.
    pub sent: u64,
    /// How many had no answer when the next step was taken.
    pub unanswered: u64,
}

/// Datagrams that came to the run's port from elsewhere than the target, and count for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FromElsewhere {
    /// How many.
    pub count: u64,
    /// Whether there may have been more: some may have come faster than they were looked at.
    pub may_be_more: bool,
    /// Where the first one came from.
    pub first: Option<SocketAddr>,
}

impl From<Strays> for FromElsewhere {
    fn from(strays: Strays) -> Self {
        let Strays {
            count,
            first,
            may_be_more,
        } = strays;
        Self {
            count,
            may_be_more,
            first,
        }
    }
}

/// Lost probes, by the way they were lost; null where the server does not tell.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Lost {
    /// All.
    pub total: u64,
    /// On the way to the server.
    pub there: Option<u64>,
    /// On the way back.
    pub back: Option<u64>,
    /// Not known which way.
    pub unknown: Option<u64>,
}

/// Outcomes of the probes for which it is not known individually whether they were over a limit of the server.
struct Shares {
    limited: u64,
    lost: u64,
    /// Those whose number is not known.
    open: u64,
}

impl Shares {
    fn of(counts: &Counts) -> Self {
        let Counts {
            limited_or_lost,
            rate_limited,
            limited_uncounted,
            in_flight,
            interrupted,
            ..
        } = *counts;
        // The server counts all, including those known individually and those no longer waited for.
        let known = rate_limited.saturating_sub(limited_uncounted) + in_flight;
        let limited = counts.limited.saturating_sub(known).min(limited_or_lost);
        let rest = limited_or_lost - limited;
        // Without closing probes its last count covers an unknown part of those in flight, and may be older than some of
        // the others.
        let (lost, open) = if limited_uncounted > 0 || interrupted {
            (0, rest)
        } else {
            (rest, 0)
        };
        Self {
            limited,
            lost,
            open,
        }
    }
}

impl Summary {
    /// The summary of these counts.
    #[must_use]
    pub fn new(counts: &Counts, figures: RunFigures, tells_direction: bool) -> Self {
        let judged = counts.sent - counts.in_flight;
        let percent = |lost: u64| lost as f64 * 100.0 / judged as f64;
        let Shares {
            limited,
            lost: not_limited,
            open,
        } = Shares::of(counts);
        let lost = counts.lost() + not_limited;
        let range = (judged > 0).then(|| [percent(lost), percent(lost + counts.unknown + open)]);
        let told = |count| tells_direction.then_some(count);
        Self {
            sent: counts.sent,
            answered: counts.answered(),
            in_time: counts.in_time,
            late: counts.late,
            lost: Lost {
                total: lost,
                there: told(counts.lost_there),
                back: told(counts.lost_back),
                unknown: told(counts.lost_unknown + not_limited),
            },
            loss_percent: range
                .map(|[least, _]| least)
                .filter(|_| counts.unknown + open == 0),
            loss_percent_range: range,
            rate_limited: counts.rate_limited + limited,
            limited_or_lost: open,
            waited_for_limit: None,
            unknown: counts.unknown,
            in_flight: counts.in_flight,
            not_sent: counts.not_sent,
            duplicates: counts.duplicates,
            forgotten: counts.forgotten,
            ambiguous: counts.ambiguous,
            implausible: counts.implausible,
            foreign: counts.foreign,
            from_elsewhere: None,
            uncounted: Uncounted::default(),
            wrong_length: 0,
            dropped_locally: Some(counts.dropped_locally),
            dropped_here: Some(counts.dropped_here),
            refused: Some(counts.refused),
            refused_by: BTreeMap::new(),
            refused_unknown: counts.refused_unknown,
            path_mtu: None,
            kernel_stamps: kernel_stamps(counts, &figures),
            unusable_stamps: counts.unusable_stamps,
            server_forgot: 0,
            clock_set_ns: None,
            rates: None,
            asked_rate: None,
            figures,
            ramp: None,
            interrupted: false,
            connection_ended: None,
            farewell: None,
            server: None,
        }
    }

    /// The same where the kernel tells no times, for this reason.
    #[must_use]
    pub fn without_stamps(mut self, reason: Option<&str>) -> Self {
        if let Some(reason) = reason {
            self.kernel_stamps = not_available(reason);
        }
        self
    }

    /// The same where it is not told which probes were refused, or whose answers this host threw away.
    #[must_use]
    pub fn without_refusals(mut self) -> Self {
        self.dropped_locally = None;
        self.dropped_here = None;
        self.refused = None;
        self
    }

    /// The same over TCP, where this many answers were delayed by a limit of the server.
    #[must_use]
    pub fn of_stream(mut self, waited: u64) -> Self {
        self.waited_for_limit = Some(waited);
        self
    }

    /// Whether nothing was answered because of a limit of the server.
    #[must_use]
    pub fn is_all_limited(&self) -> bool {
        self.answered == 0 && self.ambiguous == 0 && self.rate_limited > 0
    }

    /// Refusals, whether or not it is known of which probes.
    #[must_use]
    pub fn all_refused(&self) -> u64 {
        self.refused.unwrap_or(0) + self.refused_unknown
    }
}

/// Whether there are times by the kernel, and else why not.
fn kernel_stamps(counts: &Counts, figures: &RunFigures) -> String {
    if figures.kernel_rtt_ns.is_some() {
        return "used".to_owned();
    }
    not_available(if counts.answered() == 0 {
        "nothing was answered"
    } else if counts.unusable_stamps > 0 {
        "none of its times can be true: the clock was set, or answers were forged"
    } else if counts.stamped == 0 {
        "the kernel stamps nothing that this interface sends"
    } else {
        "no probe has both of its times: the kernel stamps nothing that comes, or the probes follow each other too fast"
    })
}

fn not_available(reason: &str) -> String {
    format!("n/a: {reason}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ping::statistics::Statistics;

    fn summary(counts: Counts) -> Summary {
        Summary::new(&counts, Statistics::new(0).figures(), true)
    }

    /// Half of the probes were answered.
    fn counts() -> Counts {
        Counts {
            sent: 100,
            in_time: 50,
            rate_limited: 20,
            limited_or_lost: 30,
            limited: 45,
            ..Counts::default()
        }
    }

    #[test]
    fn number_of_limited_probes_gives_the_number_of_lost_ones() {
        let told = summary(counts());
        assert_eq!((told.rate_limited, told.limited_or_lost), (45, 0));
        assert_eq!((told.lost.total, told.loss_percent), (5, Some(5.0)));
        assert_eq!(told.lost.unknown, Some(5));
        // No more than there are.
        let told = summary(Counts {
            limited: 1_000,
            ..counts()
        });
        assert_eq!((told.rate_limited, told.lost.total), (50, 0));
    }

    #[test]
    fn interrupted_run_reports_no_loss_that_may_be_the_limit() {
        // Any number of the probes in flight may be among those that the server counted.
        for (in_flight, limited, open) in [(10, 35, 15), (0, 45, 5)] {
            let told = summary(Counts {
                sent: 100 + in_flight,
                in_flight,
                interrupted: true,
                ..counts()
            });
            assert_eq!((told.rate_limited, told.limited_or_lost), (limited, open));
            assert_eq!((told.lost.total, told.loss_percent), (0, None));
            assert_eq!(told.loss_percent_range, Some([0.0, open as f64]));
        }
        // Nothing is open.
        let told = summary(Counts {
            limited_or_lost: 0,
            rate_limited: 50,
            interrupted: true,
            ..counts()
        });
        assert_eq!((told.rate_limited, told.loss_percent), (50, Some(0.0)));
    }

    #[test]
    fn loss_is_a_range_where_a_server_has_not_counted_all_limited_probes() {
        let told = summary(Counts {
            limited_uncounted: 2,
            ..counts()
        });
        assert_eq!((told.rate_limited, told.limited_or_lost), (47, 3));
        assert_eq!((told.lost.total, told.loss_percent), (0, None));
        assert_eq!(told.loss_percent_range, Some([0.0, 3.0]));
        assert!(!told.is_all_limited());
        let silent = summary(Counts {
            sent: 50,
            in_time: 0,
            ..counts()
        });
        assert!(silent.is_all_limited());
    }
}
