//! Validation of sources, the only way for a service to learn a sender's address, and counts of refusals.

use std::fmt;
use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Duration;

use hii_transport::packet_info::PacketInfo;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use serde::Serialize;

use super::local_addrs::{HostAddrs, LocalAddrs};
use super::origin::{Origin, SourceRefusal, Transport};

/// Validates the sources of one thread of a service, against addresses that all of its threads share.
#[derive(Debug)]
pub struct SourceValidator {
    local: LocalAddrs,
    hosts: Arc<HostAddrs>,
    next_look: Duration,
}

/// How often a thread looks whether others have read the host's addresses again.
const LOOK: Duration = Duration::from_secs(1);

impl SourceValidator {
    /// Validates against these addresses.
    #[must_use]
    pub fn new(local: LocalAddrs) -> Self {
        Self {
            hosts: local.current(),
            local,
            next_look: Duration::ZERO,
        }
    }

    /// Validates the source of a datagram or a connection.
    ///
    /// # Errors
    /// The source is invalid for this reason.
    pub fn validate(
        &mut self,
        info: &PacketInfo,
        transport: Transport,
        now: Duration,
    ) -> Result<Origin, SourceRefusal> {
        let validated = Origin::validate(info, transport, &self.hosts);
        if now < self.next_look {
            return validated;
        }
        self.next_look = now.saturating_add(LOOK);
        // An address may have come to this host, or gone from it to another.
        let is_unknown = |ip| !self.hosts.receives(ip);
        let are_doubtful = validated.is_err() || info.destination.is_some_and(is_unknown);
        self.local.refresh(are_doubtful, now);
        self.hosts = self.local.current();
        Origin::validate(info, transport, &self.hosts)
    }
}

/// How many datagrams or connections were refused for their source, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RefusedSources {
    /// An IPv4-mapped IPv6 source that is no IPv4 sender.
    pub disguised: u64,
    /// An address that no single host sends from.
    pub no_host: u64,
    /// A loopback source that did not arrive by loopback.
    pub forged_loopback: u64,
    /// Sent to a broadcast or multicast address.
    pub to_many: u64,
}

impl RefusedSources {
    /// Counts one more.
    pub fn add(&mut self, reason: SourceRefusal) {
        *match reason {
            SourceRefusal::Disguised => &mut self.disguised,
            SourceRefusal::NoHost => &mut self.no_host,
            SourceRefusal::ForgedLoopback => &mut self.forged_loopback,
            SourceRefusal::ToMany => &mut self.to_many,
        } += 1;
    }

    /// Each reason's name and count.
    #[must_use]
    pub fn by_reason(&self) -> [(&'static str, u64); 4] {
        [
            ("disguised", self.disguised),
            ("no_host", self.no_host),
            ("forged_loopback", self.forged_loopback),
            ("to_many", self.to_many),
        ]
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_reason().iter().map(|(_, count)| count).sum()
    }
}

impl RefusedSources {
    /// Encodes the counts as a metric of a service.
    pub(crate) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Datagrams and connections refused for their source address, by reason";
        let mut family =
            encoder.encode_descriptor("refused_sources", help, None, MetricType::Counter)?;
        for (reason, count) in self.by_reason() {
            ConstCounter::new(count).encode(family.encode_family(&[("reason", reason)])?)?;
        }
        Ok(())
    }
}

impl AddAssign for RefusedSources {
    fn add_assign(&mut self, other: Self) {
        let Self {
            disguised,
            no_host,
            forged_loopback,
            to_many,
        } = other;
        self.disguised += disguised;
        self.no_host += no_host;
        self.forged_loopback += forged_loopback;
        self.to_many += to_many;
    }
}

impl fmt::Display for RefusedSources {
    /// `3 with an invalid source (2 disguised, 1 to_many)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = self.by_reason().into_iter().filter(|(_, count)| *count > 0);
        let reasons: Vec<_> = counted
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        write!(
            f,
            "{} with an invalid source ({})",
            self.total(),
            reasons.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use hii_transport::addresses::InterfaceAddress;
    use hii_transport::packet_info::Bound;

    use super::*;

    #[test]
    fn an_address_that_the_host_gains_later_counts_within_a_second() {
        let broadcast = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&broadcast);
        let local = LocalAddrs::new(&[], move || Ok(shared.lock().unwrap().clone()));
        let mut validator = SourceValidator::new(local);
        let info = PacketInfo {
            source: "192.0.2.9:9".parse().unwrap(),
            destination: Some("192.0.2.255".parse().unwrap()),
            interface: Some(2),
            bound: Bound::to("0.0.0.0".parse().unwrap()),
            socket: 0,
        };
        let mut validate = |millis| {
            let now = Duration::from_millis(millis);
            validator.validate(&info, Transport::Udp, now).err()
        };
        assert_eq!(validate(1000), None);
        broadcast.lock().unwrap().push(InterfaceAddress {
            ip: "192.0.2.1".parse().unwrap(),
            broadcasts: vec!["192.0.2.255".parse().unwrap()],
            interface: Some(2),
            is_loopback_interface: false,
        });
        assert_eq!(validate(1999), None);
        assert_eq!(validate(2000), Some(SourceRefusal::ToMany));
    }

    #[test]
    fn each_reason_has_its_count() {
        let mut refused = RefusedSources::default();
        for reason in [
            SourceRefusal::Disguised,
            SourceRefusal::NoHost,
            SourceRefusal::ForgedLoopback,
            SourceRefusal::ToMany,
        ] {
            refused.add(reason);
        }
        assert_eq!(refused.by_reason().map(|(_, count)| count), [1; 4]);
        refused += refused;
        assert_eq!(refused.by_reason().map(|(_, count)| count), [2; 4]);
        assert_eq!(
            refused.to_string(),
            "8 with an invalid source (2 disguised, 2 no_host, 2 forged_loopback, 2 to_many)"
        );
    }
}
