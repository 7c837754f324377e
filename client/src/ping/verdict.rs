//! What became of a probe (RFC 2680 loss, each way on its own), and how many came to what.

use std::time::Duration;

use super::refusal::Refusal;

/// What became of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Answered within the deadline.
    InTime {
        /// The round-trip time.
        rtt: Duration,
    },
    /// Answered after the deadline.
    Late {
        /// The round-trip time.
        rtt: Duration,
    },
    /// Lost on the way to the server.
    LostThere,
    /// Received by the server, lost on the way back.
    LostBack,
    /// Lost; which way is not known.
    LostUnknown,
    /// Received by the server and not answered because of a limit.
    RateLimited,
    /// Over a limit of the server or lost, not known which.
    LimitedOrLost,
    /// Answered, and the answer was thrown away by this host, which had no room for it.
    DroppedLocally,
    /// Sent back by a host on the way, or by the target (ICMP).
    Refused(Refusal),
    /// Answered or lost: two probes had to share a port, and an answer could be to either.
    Unknown,
    /// Not sent: this host had no room for it, or it must not be cut and is too long.
    NotSent,
    /// Still waited for when the run was interrupted.
    InFlight,
}

impl Verdict {
    /// Whether the probe was lost, whichever way.
    pub fn is_lost(self) -> bool {
        matches!(self, Self::LostThere | Self::LostBack | Self::LostUnknown)
    }

    /// The round-trip time, where there was one.
    pub fn rtt(self) -> Option<Duration> {
        match self {
            Self::InTime { rtt } | Self::Late { rtt } => Some(rtt),
            _ => None,
        }
    }

    /// Why it was sent back, where it was.
    pub fn refusal(self) -> Option<Refusal> {
        match self {
            Self::Refused(why) => Some(why),
            _ => None,
        }
    }

    /// Its name in JSON and CSV.
    pub fn name(self) -> &'static str {
        match self {
            Self::InTime { .. } => "in-time",
            Self::Late { .. } => "late",
            Self::LostThere => "lost-there",
            Self::LostBack => "lost-back",
            Self::LostUnknown => "lost-unknown",
            Self::RateLimited => "rate-limited",
            Self::LimitedOrLost => "limited-or-lost",
            Self::DroppedLocally => "dropped-locally",
            Self::Refused(_) => "refused",
            Self::Unknown => "unknown",
            Self::NotSent => "not-sent",
            Self::InFlight => "in-flight",
        }
    }
}

/// How many probes came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Probes that went out.
    pub sent: u64,
    /// Probes not answered because of a limit of the server, by its own count.
    pub limited: u64,
    /// Those among `rate_limited` that are not in its count.
    pub limited_uncounted: u64,
    /// Probes before which the server, over TCP, stopped reading because of a limit.
    pub waited: u64,
    /// Answered within the deadline.
    pub in_time: u64,
    /// Answered after the deadline.
    pub late: u64,
    /// Lost on the way to the server.
    pub lost_there: u64,
    /// Lost on the way back.
    pub lost_back: u64,
    /// Lost, which way is not known.
    pub lost_unknown: u64,
    /// Not answered because of a limit of the server.
    pub rate_limited: u64,
    /// Not answered because of a limit of the server, or lost.
    pub limited_or_lost: u64,
    /// Answered, and the answer thrown away by this host.
    pub dropped_locally: u64,
    /// Sent back (ICMP).
    pub refused: u64,
    /// Answered or lost, which cannot be told.
    pub unknown: u64,
    /// Still waited for when the run was interrupted.
    pub in_flight: u64,
    /// Whether the run was interrupted: `limited` does not cover the last probes then.
    pub interrupted: bool,
    /// Not sent.
    pub not_sent: u64,
    /// Further answers to probes that were answered already.
    pub duplicates: u64,
    /// Answers to probes that are no longer remembered.
    pub forgotten: u64,
    /// Answers that could be to either of two probes which shared a port.
    pub ambiguous: u64,
    /// Answers that cannot be true.
    pub implausible: u64,
    /// Datagrams that answer no probe of this run.
    pub foreign: u64,
    /// Refusals that name no probe.
    pub refused_unknown: u64,
    /// Datagrams that this host threw away.
    pub dropped_here: u64,
    /// Probes of which the kernel noted when it sent them.
    pub stamped: u64,
    /// Notes of the kernel that cannot be true.
    pub unusable_stamps: u64,
}

impl Counts {
    /// Probes answered, in time or late.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.in_time + self.late
    }

    /// Probes lost, whichever way.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost_there + self.lost_back + self.lost_unknown
    }

    pub(super) fn add(&mut self, verdict: Verdict) {
        let count = match verdict {
            Verdict::InTime { .. } => &mut self.in_time,
            Verdict::Late { .. } => &mut self.late,
            Verdict::LostThere => &mut self.lost_there,
            Verdict::LostBack => &mut self.lost_back,
            Verdict::LostUnknown => &mut self.lost_unknown,
            Verdict::RateLimited => &mut self.rate_limited,
            Verdict::LimitedOrLost => &mut self.limited_or_lost,
            Verdict::DroppedLocally => &mut self.dropped_locally,
            Verdict::Refused(_) => &mut self.refused,
            Verdict::Unknown => &mut self.unknown,
            Verdict::NotSent => &mut self.not_sent,
            Verdict::InFlight => &mut self.in_flight,
        };
        *count += 1;
    }
}
