//! Limits for the answers of the ping service to a source, by the kind of message (`policy::limits`).

use std::time::Duration;

use hii_protocol::ParseError;
use hii_protocol::ping::Request;

use super::total_octets::SharedTotal;
use crate::policy::limits::{
    ANSWER_OCTETS, CLASSIC_PROBES, CONTROL_OF_ADDRESS, CONTROL_OF_ENDPOINT, NOTICES_OF_ADDRESS,
    NOTICES_OF_ENDPOINT, PROBES, TEXTS_OF_ADDRESS, TEXTS_OF_ENDPOINT,
};
use crate::policy::origin::Origin;
use crate::policy::{Budget, Limit};

/// The limits of a ping service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Probes of one address.
    pub probes: Limit,
    /// Whether the limit of probes does not hold for loopback.
    pub loopback_is_exempt: bool,
    /// Probes of the original clients from one address.
    pub classic: Limit,
    /// Everything else, and `C` and `exit`: of one address and port, and of one address.
    pub texts: [Limit; 2],
    /// The same for `C` and `exit`.
    pub control: [Limit; 2],
    /// Octets of the answers to the probes of one address other than loopback.
    pub octets: Limit,
}

impl Limits {
    /// No limits at all.
    pub const NONE: Self = Self {
        probes: Limit::Unlimited,
        loopback_is_exempt: true,
        classic: Limit::Unlimited,
        texts: [Limit::Unlimited; 2],
        control: [Limit::Unlimited; 2],
        octets: Limit::Unlimited,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            probes: PROBES,
            loopback_is_exempt: true,
            classic: CLASSIC_PROBES,
            texts: [TEXTS_OF_ENDPOINT, TEXTS_OF_ADDRESS],
            control: [CONTROL_OF_ENDPOINT, CONTROL_OF_ADDRESS],
            octets: ANSWER_OCTETS,
        }
    }
}

/// What a datagram is, where kinds have budgets of their own: none can use up another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A well-formed probe.
    Probe,
    /// What the original clients measure with.
    Classic,
    /// A well-formed `C <size>`, or `exit`.
    Control,
    /// Everything else.
    Text,
}

impl Kind {
    /// The kind of a request, or of a message that is none.
    #[must_use]
    pub fn of(request: &Result<Request<'_>, ParseError>) -> Self {
        match request {
            Ok(Request::Probe(_)) => Self::Probe,
            Ok(Request::Calibrate(_) | Request::Exit) => Self::Control,
            Ok(Request::Message(message)) if message.is_classic_probe() => Self::Classic,
            Ok(Request::Message(_)) | Err(_) => Self::Text,
        }
    }
}

/// The limit that kept a datagram from being answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The rate of its kind.
    Rate(Kind),
    /// The octets of answers.
    Octets,
}

/// The budgets of all sources.
#[derive(Debug)]
pub(super) struct Budgets {
    probes: Budget,
    loopback_is_exempt: bool,
    classic: Budget,
    texts: Budget,
    control: Budget,
    octets: Budget,
    total: SharedTotal,
    notices: Budget,
}

impl Budgets {
    /// Budgets with these limits, beside others that draw on the same total.
    #[must_use]
    pub(super) fn new(limits: &Limits, total: SharedTotal) -> Self {
        let of_address = |limit| Budget::new(Limit::Unlimited, limit);
        let both = |[endpoint, address]: [Limit; 2]| Budget::new(endpoint, address);
        Self {
            probes: of_address(limits.probes),
            loopback_is_exempt: limits.loopback_is_exempt,
            classic: of_address(limits.classic),
            texts: both(limits.texts),
            control: both(limits.control),
            octets: of_address(limits.octets),
            total,
            notices: both([NOTICES_OF_ENDPOINT, NOTICES_OF_ADDRESS]),
        }
    }

    /// Lets a datagram be answered with this many octets, or returns the limit that it is over.
    ///
    /// # Errors
    /// It is not to be answered.
    pub(super) fn take(
        &mut self,
        kind: Kind,
        origin: &Origin,
        octets: usize,
        now: Duration,
    ) -> Result<(), Over> {
        let is_local = origin.is_loopback();
        let (budget, is_exempt) = match kind {
            Kind::Classic if !is_local => (&mut self.classic, false),
            Kind::Probe | Kind::Classic => (&mut self.probes, is_local && self.loopback_is_exempt),
            Kind::Control => (&mut self.control, is_local),
            Kind::Text => (&mut self.texts, is_local),
        };
        let (ip, port) = (origin.ip(), origin.address().port());
        if !budget.allows(ip, port, is_exempt, 1, now) {
            return Err(Over::Rate(kind));
        }
        // Answers of other kinds are short, and limited by their number.
        let octets = octets as u64;
        if kind == Kind::Probe
            && (!self.octets.allows(ip, port, is_local, octets, now)
                || !self.total.allows(ip, octets, now))
        {
            return Err(Over::Octets);
        }
        Ok(())
    }

    /// Whether a run whose probes are all over a limit is sent a notice of that now.
    pub(super) fn take_notice(&mut self, origin: &Origin, now: Duration) -> bool {
        let (ip, port) = (origin.ip(), origin.address().port());
        self.notices.allows(ip, port, false, 1, now)
    }

    /// Returns how long a connection of this origin has to wait until one more message is read from it.
    #[must_use]
    pub(super) fn stream_wait(&self, origin: &Origin, now: Duration) -> Duration {
        let (ip, port) = (origin.ip(), origin.address().port());
        let is_local = origin.is_loopback();
        let is_exempt = is_local && self.loopback_is_exempt;
        let wait = |budget: &Budget, is_exempt| {
            let wait = budget.wait(ip, port, is_exempt, 1, now);
            // No limit of streams lets nothing through.
            wait.unwrap_or_default()
        };
        wait(&self.probes, is_exempt)
            .max(wait(&self.octets, is_local))
            .max(self.total.wait(ip, now))
    }

    /// Charges for a message of a connection that was read.
    pub(super) fn charge_stream(&mut self, origin: &Origin, now: Duration) {
        let is_exempt = origin.is_loopback() && self.loopback_is_exempt;
        let (ip, port) = (origin.ip(), origin.address().port());
        self.probes.charge_for(ip, port, is_exempt, 1, now);
    }

    /// Charges for the octets of its answer. What is over the limit is waited for before more is read.
    pub(super) fn charge_stream_octets(&mut self, origin: &Origin, octets: usize, now: Duration) {
        let (ip, port) = (origin.ip(), origin.address().port());
        let octets = octets as u64;
        self.octets
            .charge_for(ip, port, origin.is_loopback(), octets, now);
        self.total.charge(ip, octets, now);
    }
}
