//! A summary for people.

use std::fmt;

use super::{FromElsewhere, Lost, Summary, Uncounted};
use crate::ping::figures::Time;
use crate::ping::refusal;
use crate::ping::throughput::Rates;

/// Probes a second that a server answers one source unless told otherwise.
const SERVERS_RATE: f64 = 20_000.0;

/// A lower part of a rate than this is not that rate.
const ENOUGH: f64 = 0.95;

/// So much loss is more than a path's.
const MUCH_LOSS: f64 = 0.1;

impl Summary {
    /// What happened beside answers and losses.
    fn fmt_counts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, what) in [
            (
                self.limited_or_lost,
                "rate-limited by the server or lost, not known which",
            ),
            (
                self.waited_for_limit.unwrap_or(0),
                "answered late because of a limit of the server, and left out of the network's part",
            ),
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
                self.dropped_locally.unwrap_or(0),
                "answered in vain, since this host had no room for the answer",
            ),
            (
                self.dropped_here.unwrap_or(0),
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
        if let Some(strays) = self.from_elsewhere {
            write!(f, "{strays}")?;
        }
        if self.refused.is_none() && self.lost.total > 0 {
            writeln!(
                f,
                "refused, or dropped by this host: n/a in bursts; such probes are among the lost ones"
            )?;
        }
        if let Some(refused) = self.refused.filter(|refused| *refused > 0) {
            write!(f, "refused (ICMP): {refused}")?;
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
        let is_known = self.server.is_some() || self.refused_unknown > 0;
        // In the first second it may answer twice that, since a second's worth goes at once.
        !is_known
            && rates.offered > SERVERS_RATE * 1.01
            && rates.answered < SERVERS_RATE * 3.0
            && (back + unknown) as f64 > self.sent as f64 * MUCH_LOSS
    }

    fn fmt_rates(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(rates) = &self.rates else {
            return Ok(());
        };
        writeln!(f, "{rates}")?;
        if let Some(asked) = self.asked_rate.map(f64::from)
            && rates.offered < asked * ENOUGH
        {
            writeln!(
                f,
                "that is less than the {asked} probes/s asked for: this host did not send more, and the probes went out late"
            )?;
        }
        if self.rate_limited == 0 && self.may_be_limited(rates) {
            writeln!(
                f,
                "the server may limit a source, to {SERVERS_RATE} probes/s unless told otherwise: start it with --rate 0"
            )?;
        }
        Ok(())
    }

    /// How to raise a limit of the server. Its notices do not tell which one was met.
    fn fmt_limit(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rate_limited > 0 {
            writeln!(
                f,
                "limit met: the server's, raised there with --rate, --octet-rate or --total-octets; the server's tally tells which"
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} sent, {} answered ({} in time, {} late), ",
            self.sent, self.answered, self.in_time, self.late
        )?;
        if self.all_refused() > 0 {
            write!(f, "{} refused, ", self.all_refused())?;
        }
        if self.rate_limited > 0 {
            write!(f, "{} rate-limited by the server, ", self.rate_limited)?;
        }
        write!(f, "{} lost", self.lost.total)?;
        self.fmt_loss(f)?;
        self.fmt_counts(f)?;
        let unusable = self.ambiguous + self.wrong_length + self.implausible;
        let silent = self.answered == 0 && unusable == 0 && self.all_refused() == 0;
        let all_silent = silent && !self.interrupted;
        if let Some(ending) = self.connection_ended {
            writeln!(f, "the connection ended early: {ending}")?;
        } else if self.is_all_limited() {
            writeln!(
                f,
                "nothing answered: a limit of the server is met; send fewer or shorter probes"
            )?;
        } else if self.sent > 0 && all_silent {
            writeln!(
                f,
                "nothing answered: {}",
                if self.from_elsewhere.is_some_and(|strays| strays.count > 0) {
                    "the server may be the one that answers from another address or port, see above"
                } else {
                    "no server there, one that answers from another address, or something on the way drops it"
                }
            )?;
        }
        let Uncounted { sent, unanswered } = self.uncounted;
        if sent > 0 {
            writeln!(
                f,
                "uncounted probes beside these, that ask what answers and settle the end: {sent}, {unanswered} unanswered"
            )?;
        }
        self.fmt_rates(f)?;
        self.fmt_limit(f)?;
        self.figures.fmt(f)?;
        // More time does not help against a limit.
        let has_waited = self.waited_for_limit.is_some_and(|waited| waited > 0);
        if self.late > self.in_time && self.rates.is_none() && !has_waited {
            let most = if self.in_time == 0 { "all" } else { "most" };
            writeln!(
                f,
                "{most} answers were late, later than the deadline (-W, or else the time to the next probe); a longer -W gives them more time"
            )?;
        }
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
        if let Some(ramp) = &self.ramp {
            ramp.fmt(f)?;
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

impl fmt::Display for FromElsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            count,
            may_be_more,
            first,
        } = self;
        if *count == 0 {
            return Ok(());
        }
        let at_least = if *may_be_more { "at least " } else { "" };
        let datagrams = if *count == 1 { "datagram" } else { "datagrams" };
        write!(f, "{at_least}{count} {datagrams} came from elsewhere")?;
        if let Some(first) = first {
            write!(f, ", the first from {first},")?;
        }
        writeln!(f, " and count for nothing")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ping::statistics::Statistics;
    use crate::ping::verdict::Counts;

    #[test]
    fn more_time_is_no_advice_for_answers_that_a_limit_delayed() {
        let counts = Counts {
            sent: 4,
            late: 4,
            ..Counts::default()
        };
        let text = |waited| {
            let figures = Statistics::new(0).figures();
            let summary = Summary::new(&counts, figures, true).of_stream(waited);
            summary.to_string()
        };
        let advice = "a longer -W gives them more time";
        assert!(text(0).contains(advice), "{}", text(0));
        assert!(!text(1).contains(advice), "{}", text(1));
    }

    #[test]
    fn what_came_from_elsewhere_is_told_where_something_did() {
        let told = |count, may_be_more| {
            let first = "192.0.2.7:9".parse().ok().filter(|_| count > 0);
            let strays = FromElsewhere {
                count,
                may_be_more,
                first,
            };
            strays.to_string()
        };
        assert_eq!(told(0, false), "");
        let words = "came from elsewhere, the first from 192.0.2.7:9, and count for nothing\n";
        assert_eq!(told(1, false), format!("1 datagram {words}"));
        assert_eq!(told(3, true), format!("at least 3 datagrams {words}"));
    }
}
