//! The figures of a run, for people.

use std::fmt;

use crate::ping::figures::Time;
use crate::ping::loss_runs::LossRunFigures;
use crate::ping::server_clock::OneWayFigures;
use crate::ping::stalls::StallFigures;
use crate::ping::statistics::{By, RunFigures};

impl fmt::Display for RunFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(rtt) = &self.rtt_ns else {
            return writeln!(f, "RTT: n/a, nothing was answered");
        };
        let answers = if rtt.count == 1 { "answer" } else { "answers" };
        writeln!(f, "RTT of {} {answers}: {rtt}", rtt.count)?;
        if let Some(kernel) = &self.kernel_rtt_ns {
            writeln!(f, "the same by the kernel, of {}: {kernel}", kernel.count)?;
        }
        if let (Some(network), Some(by)) = (&self.network_rtt_ns, self.network_rtt_by) {
            let (by, all) = match by {
                By::Kernel => ("by the kernel", self.kernel_rtt_ns.as_ref()),
                By::Program => ("as this program saw it", Some(rtt)),
            };
            write!(f, "less what the server held, {by}")?;
            // Answers that a limit of the server delayed are left out.
            if all.is_none_or(|all| all.count != network.count) {
                write!(f, ", of {}", network.count)?;
            }
            writeln!(f, ": {network}")?;
        }
        if let Some(variation) = &self.variation {
            match variation.jitter_ns {
                Some(jitter) => write!(f, "jitter {} (RFC 3550)", Time(jitter))?,
                None => write!(f, "jitter and delay variation: n/a in bursts")?,
            }
            if let Some(difference) = &variation.difference_ns {
                let (name, most) = difference.p99_or_max();
                write!(
                    f,
                    ", delay variation mean {}, {name} {} (RFC 3393)",
                    Time(difference.mean),
                    Time(most as f64)
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
        self.fmt_schedule(f)
    }
}

impl RunFigures {
    /// How well this program kept to its schedule.
    fn fmt_schedule(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = &self.schedule_error_ns {
            let time = |nanos: u64| Time(nanos as f64);
            write!(f, "sent later than due by: median {}", time(error.median))?;
            for (name, nanos) in error.percentiles() {
                write!(f, ", {name} {}", time(nanos))?;
            }
            writeln!(f, ", max {}", time(error.max))?;
        }
        let has_stalled = self.stalls.is_none_or(|stalls| stalls.count > 0);
        if let Some(stalls) = self.stalls.filter(|_| has_stalled) {
            let StallFigures {
                count,
                caught_up,
                longest_ns,
            } = stalls;
            let times = if count == 1 { "time" } else { "times" };
            let longest = Time(longest_ns as f64);
            writeln!(
                f,
                "sending fell behind the schedule {count} {times}, by {longest} at most: probes that went out late to catch up: {caught_up}"
            )?;
        }
        if let Some(from_due) = self.rtt_from_due_ns.filter(|_| has_stalled) {
            writeln!(f, "RTT from when each was due: {from_due}")?;
        }
        Ok(())
    }
}
