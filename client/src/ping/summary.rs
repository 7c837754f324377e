//! The figures of a run, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;

use hii_server::ping::Tally;
use serde::Serialize;

use super::events::Ending;
use super::figures::{Figures, Time};
use super::knee::{Knee, Sign};
use super::loss_runs::LossRunFigures;
use super::refusal;
use super::server_clock::OneWayFigures;
use super::statistics::{By, RunFigures};
use super::throughput::Rates;
use super::verdict::Counts;

/// Probes a second that a server answers one source unless told otherwise.
const SERVERS_RATE: f64 = 20_000.0;

/// So much loss is more than a path's.
const MUCH_LOSS: f64 = 0.1;

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
    /// Probes beside those that count.
    pub uncounted: Uncounted,
    /// Answers that were cut or padded on the way: not as long as their probe, and not counted as answers.
    pub wrong_length: u64,
    /// Probes that were answered in vain: this host threw the answer away.
    pub dropped_locally: u64,
    /// All datagrams of the target that this host threw away, since it had no room for them or they were damaged.
    pub dropped_here: u64,
    /// Probes that were sent back (ICMP).
    pub refused: u64,
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
    /// Times, variation, loss runs, one-way delay.
    #[serde(flatten)]
    pub figures: RunFigures,
    /// Where a ramp broke away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub knee: Option<Knee>,
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

impl Summary {
    /// The summary of these counts.
    #[must_use]
    pub fn new(counts: &Counts, figures: RunFigures, tells_direction: bool) -> Self {
        let judged = counts.sent - counts.in_flight;
        let percent = |lost: u64| lost as f64 * 100.0 / judged as f64;
        let range = (judged > 0).then(|| {
            [
                percent(counts.lost()),
                percent(counts.lost() + counts.unknown),
            ]
        });
        let told = |count| tells_direction.then_some(count);
        Self {
            sent: counts.sent,
            answered: counts.answered(),
            in_time: counts.in_time,
            late: counts.late,
            lost: Lost {
                total: counts.lost(),
                there: told(counts.lost_there),
                back: told(counts.lost_back),
                unknown: told(counts.lost_unknown),
            },
            loss_percent: range
                .map(|[least, _]| least)
                .filter(|_| counts.unknown == 0),
            loss_percent_range: range,
            unknown: counts.unknown,
            in_flight: counts.in_flight,
            not_sent: counts.not_sent,
            duplicates: counts.duplicates,
            forgotten: counts.forgotten,
            ambiguous: counts.ambiguous,
            implausible: counts.implausible,
            foreign: counts.foreign,
            uncounted: Uncounted::default(),
            wrong_length: 0,
            dropped_locally: counts.dropped_locally,
            dropped_here: counts.dropped_here,
            refused: counts.refused,
            refused_by: BTreeMap::new(),
            refused_unknown: counts.refused_unknown,
            path_mtu: None,
            kernel_stamps: kernel_stamps(counts, &figures),
            unusable_stamps: counts.unusable_stamps,
            server_forgot: 0,
            clock_set_ns: None,
            rates: None,
            figures,
            knee: None,
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
}

impl Summary {
    /// What happened beside answers and losses.
    fn fmt_counts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, what) in [
            (
                self.unknown,
                "answered or lost, since the ports ran out and answers carry no number",
            ),
            (self.in_flight, "still in flight"),
            (
                self.not_sent,
                "not sent, since this host would not take them",
            ),
            (self.duplicates, "duplicate answers"),
            (
                self.forgotten,
                "answers to probes so old that they were forgotten",
            ),
            (
                self.ambiguous,
                "answers that could be to either of two probes",
            ),
            (
                self.wrong_length,
                "answers not as long as their probe, and not counted",
            ),
            (
                self.implausible,
                "answers that cannot be true, and not counted",
            ),
            (self.foreign, "datagrams that answer no probe"),
            (
                self.dropped_locally,
                "answered in vain, since this host had no room for the answer",
            ),
            (
                self.dropped_here,
                "datagrams that this host threw away in all",
            ),
            (self.refused_unknown, "refusals (ICMP) that name no probe"),
            (
                self.unusable_stamps,
                "times by the kernel that cannot be true, and are not used",
            ),
            (self.server_forgot, "times that the server forgot this run"),
        ] {
            if count > 0 {
                writeln!(f, "{what}: {count}")?;
            }
        }
        if self.refused > 0 {
            write!(f, "refused (ICMP): {}", self.refused)?;
            let mut before = ": ";
            for (reason, count) in &self.refused_by {
                write!(f, "{before}{count} {}", refusal::words(reason))?;
                before = ", ";
            }
            writeln!(f)?;
        }
        if let Some(mtu) = self.path_mtu {
            writeln!(
                f,
                "the path takes packets of at most {mtu} octets, headers included"
            )?;
        }
        Ok(())
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
        "the wall clock was set during the run"
    } else if counts.stamped == 0 {
        "the kernel stamps nothing that this interface sends"
    } else {
        "the kernel stamps nothing that comes"
    })
}

fn not_available(reason: &str) -> String {
    format!("n/a: {reason}")
}

impl Summary {
    /// The part that was lost, and on which way.
    fn fmt_loss(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.loss_percent, self.loss_percent_range) {
            (Some(percent), _) => write!(f, " ({percent:.1} %)")?,
            (None, Some([least, most])) => write!(f, " ({least:.1} to {most:.1} %)")?,
            (None, None) => {}
        }
        if let Lost {
            there: Some(there),
            back: Some(back),
            unknown: Some(unknown),
            ..
        } = self.lost
        {
            write!(f, ": {there} there, {back} back, {unknown} unknown")?;
        } else {
            write!(f, ", there or back: n/a")?;
        }
        writeln!(f)
    }

    /// Whether so many answers are missing at such a rate that the server's limit for one source may be the reason. It
    /// has received those probes, and says so with its other answers, as far as they reach.
    fn may_be_limited(&self, rates: &Rates) -> bool {
        let (Some(back), Some(unknown)) = (self.lost.back, self.lost.unknown) else {
            return false;
        };
        rates.offered > SERVERS_RATE && (back + unknown) as f64 > self.sent as f64 * MUCH_LOSS
    }

    fn fmt_rates(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(rates) = &self.rates else {
            return Ok(());
        };
        writeln!(f, "{rates}")?;
        if self.may_be_limited(rates) {
            writeln!(
                f,
                "the server may limit a source, to {SERVERS_RATE} probes/s unless told otherwise: start it with --rate 0"
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} sent, {} answered ({} in time, {} late), {} lost",
            self.sent, self.answered, self.in_time, self.late, self.lost.total
        )?;
        self.fmt_loss(f)?;
        self.fmt_counts(f)?;
        let refused = self.refused + self.refused_unknown;
        let unusable = self.ambiguous + self.wrong_length + self.implausible;
        let silent = self.answered == 0 && unusable == 0 && refused == 0;
        let all_silent = silent && !self.interrupted;
        if let Some(ending) = self.connection_ended {
            writeln!(f, "the connection ended early: {ending}")?;
        } else if self.sent > 0 && all_silent {
            writeln!(
                f,
                "nothing answered: no server there, one that answers from another address, or something on the way drops it"
            )?;
        }
        let Uncounted { sent, unanswered } = self.uncounted;
        if sent > 0 {
            writeln!(
                f,
                "sent beside these, before and after the run: {sent}, of them unanswered {unanswered}"
            )?;
        }
        self.fmt_rates(f)?;
        self.figures.fmt(f)?;
        if let Some(nanos) = self.clock_set_ns {
            let by = Time(nanos as f64);
            writeln!(
                f,
                "this host's clock was set by {by} during the run, or the host slept: times since the epoch are by what it showed before"
            )?;
        }
        if let Some(reason) = self.kernel_stamps.strip_prefix("n/a: ")
            && self.answered > 0
        {
            writeln!(f, "times by the kernel: n/a, {reason}")?;
        }
        if let Some(Knee {
            probes_per_second,
            sign,
        }) = self.knee
        {
            let sign = match sign {
                Sign::Delay => "delay",
                Sign::Loss => "loss",
            };
            writeln!(
                f,
                "knee: {sign} breaks away at {probes_per_second:.1} probes a second"
            )?;
        }
        if let Some(tally) = &self.server {
            writeln!(f, "the server's own count: {tally}")?;
        }
        if let Some(word) = &self.farewell {
            let goes_on = if word == "Stopping the Server." {
                ""
            } else {
                " (it goes on)"
            };
            writeln!(f, "the server's last word: {word}{goes_on}")?;
        }
        Ok(())
    }
}

impl fmt::Display for RunFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(rtt) = &self.rtt_ns else {
            return writeln!(f, "RTT: n/a, nothing was answered");
        };
        writeln!(f, "RTT of {} answers: {rtt}", rtt.count)?;
        if let Some(kernel) = &self.kernel_rtt_ns {
            writeln!(f, "the same by the kernel, of {}: {kernel}", kernel.count)?;
        }
        if let (Some(network), Some(by)) = (&self.network_rtt_ns, self.network_rtt_by) {
            let by = match by {
                By::Kernel => "by the kernel",
                By::Program => "as this program saw it",
            };
            writeln!(f, "less what the server held, {by}: {network}")?;
        }
        if let Some(variation) = &self.variation {
            write!(f, "jitter {} (RFC 3550)", Time(variation.jitter_ns))?;
            if let Some(difference) = &variation.difference_ns {
                let Figures { mean, p99, .. } = *difference;
                write!(
                    f,
                    ", delay variation mean {}, p99 {} (RFC 3393)",
                    Time(mean),
                    Time(p99 as f64)
                )?;
            }
            writeln!(f, ", {} reordered (RFC 4737)", variation.reordered)?;
        }
        if self.loss_runs.runs > 0 {
            let LossRunFigures {
                runs,
                longest,
                longest_outage_ns,
            } = self.loss_runs;
            let outage = Time(longest_outage_ns as f64);
            writeln!(
                f,
                "loss runs: {runs}, the longest of {longest}; longest outage {outage}"
            )?;
        }
        if let Some(OneWayFigures {
            there,
            back,
            bound,
            clock_moved,
            left_out,
            ..
        }) = &self.one_way_ns
        {
            let time = |nanos: i64| Time(nanos as f64);
            writeln!(
                f,
                "one way: there {} to {}, back {} to {}, each within {}",
                time(there.min),
                time(there.max),
                time(back.min),
                time(back.max),
                time(*bound),
            )?;
            if *clock_moved > 0 {
                let by = time(*clock_moved);
                writeln!(
                    f,
                    "the server's clock and this one's moved apart by {by} or more during the run; one way allows for that"
                )?;
            }
            if *left_out > 0 {
                writeln!(
                    f,
                    "answers left out of one way, since their clock readings fit no others: {left_out}"
                )?;
            }
        }
        if let Some(error) = &self.schedule_error_ns {
            let Figures {
                median, p99, max, ..
            } = *error;
            let [median, p99, max] = [median, p99, max].map(|nanos| Time(nanos as f64));
            writeln!(
                f,
                "sent later than due by: median {median}, p99 {p99}, max {max}"
            )?;
        }
        Ok(())
    }
}
