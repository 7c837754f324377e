//! Why a probe was sent back: what an ICMP error message says (RFC 792, RFC 1122, RFC 1812, RFC 4443).

use std::collections::BTreeMap;
use std::fmt;

use hii_transport::probe::{Icmp, IcmpVersion};

/// What was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing listens at the target's port.
    PortUnreachable,
    /// The target does not answer the last router.
    HostUnreachable,
    /// A router knows no way.
    NetworkUnreachable,
    /// The target has no UDP.
    ProtocolUnreachable,
    /// A filter forbids it.
    AdministrativelyProhibited,
    /// A link of the path takes no packets as long, and it must not be cut into fragments.
    TooBig {
        /// The longest packet that the link takes, headers included; none where the router does not tell.
        path_mtu: Option<u32>,
    },
    /// It had passed as many routers as it may.
    TimeExceeded,
    /// Some of its fragments did not arrive in time.
    ReassemblyTimeExceeded,
    /// The source address means nothing beyond where it was sent back.
    BeyondScope,
    /// The way that the source asked for cannot be taken.
    SourceRouteFailed,
    /// A header has what the host that sent it back does not understand.
    ParameterProblem,
    /// Something else.
    Other {
        /// The message's type.
        kind: u8,
        /// Its code.
        code: u8,
    },
}

/// How many probes were refused, by the reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusals(BTreeMap<&'static str, u64>);

impl From<Icmp> for Refusal {
    fn from(icmp: Icmp) -> Self {
        let path_mtu = Some(icmp.mtu).filter(|mtu| *mtu > 0);
        match icmp.version {
            IcmpVersion::V4 => match (icmp.kind, icmp.code) {
                (3, 0 | 6 | 11) => Self::NetworkUnreachable,
                (3, 1 | 7 | 8 | 12) => Self::HostUnreachable,
                (3, 2) => Self::ProtocolUnreachable,
                (3, 3) => Self::PortUnreachable,
                (3, 4) => Self::TooBig { path_mtu },
                (3, 5) => Self::SourceRouteFailed,
                (3, 9 | 10 | 13 | 14 | 15) => Self::AdministrativelyProhibited,
                (11, 0) => Self::TimeExceeded,
                (11, 1) => Self::ReassemblyTimeExceeded,
                (12, _) => Self::ParameterProblem,
                (kind, code) => Self::Other { kind, code },
            },
            IcmpVersion::V6 => match (icmp.kind, icmp.code) {
                (1, 0) => Self::NetworkUnreachable,
                // 5 and 6 are ways of 1.
                (1, 1 | 5 | 6) => Self::AdministrativelyProhibited,
                (1, 2) => Self::BeyondScope,
                (1, 3) => Self::HostUnreachable,
                (1, 4) => Self::PortUnreachable,
                (2, _) => Self::TooBig { path_mtu },
                (3, 0) => Self::TimeExceeded,
                (3, 1) => Self::ReassemblyTimeExceeded,
                (4, _) => Self::ParameterProblem,
                (kind, code) => Self::Other { kind, code },
            },
        }
    }
}

impl Refusal {
    /// Its name in JSON and CSV.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PortUnreachable => "port-unreachable",
            Self::HostUnreachable => "host-unreachable",
            Self::NetworkUnreachable => "network-unreachable",
            Self::ProtocolUnreachable => "protocol-unreachable",
            Self::AdministrativelyProhibited => "administratively-prohibited",
            Self::TooBig { .. } => "too-big",
            Self::TimeExceeded => "time-exceeded",
            Self::ReassemblyTimeExceeded => "reassembly-time-exceeded",
            Self::BeyondScope => "beyond-scope",
            Self::SourceRouteFailed => "source-route-failed",
            Self::ParameterProblem => "parameter-problem",
            Self::Other { .. } => "other",
        }
    }

    /// What it tells of the path's MTU.
    #[must_use]
    pub fn path_mtu(self) -> Option<u32> {
        match self {
            Self::TooBig { path_mtu } => path_mtu,
            _ => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooBig {
                path_mtu: Some(mtu),
            } => write!(f, "too big for the path, which takes packets of {mtu}"),
            Self::TooBig { path_mtu: None } => write!(f, "too big for the path"),
            Self::Other { kind, code } => write!(f, "ICMP type {kind}, code {code}"),
            _ => f.write_str(&words(self.name())),
        }
    }
}

impl Refusals {
    /// Counts one more.
    pub fn add(&mut self, refusal: Refusal) {
        *self.0.entry(refusal.name()).or_default() += 1;
    }

    /// How many there were for each reason, by its name.
    #[must_use]
    pub fn by_reason(&self) -> &BTreeMap<&'static str, u64> {
        &self.0
    }
}

/// The name of a reason as people read it.
#[must_use]
pub fn words(name: &str) -> String {
    name.replace('-', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(version: IcmpVersion, kind: u8, code: u8) -> &'static str {
        let mtu = 1400;
        Refusal::from(Icmp {
            version,
            kind,
            code,
            mtu,
        })
        .name()
    }

    #[test]
    fn messages_have_the_names_of_their_rfc() {
        use IcmpVersion::{V4, V6};
        for (version, kind, code, expected) in [
            (V4, 3, 0, "network-unreachable"),
            (V4, 3, 1, "host-unreachable"),
            (V4, 3, 2, "protocol-unreachable"),
            (V4, 3, 3, "port-unreachable"),
            (V4, 3, 4, "too-big"),
            (V4, 3, 5, "source-route-failed"),
            (V4, 3, 9, "administratively-prohibited"),
            (V4, 3, 10, "administratively-prohibited"),
            (V4, 3, 13, "administratively-prohibited"),
            (V4, 3, 16, "other"),
            (V4, 11, 0, "time-exceeded"),
            (V4, 11, 1, "reassembly-time-exceeded"),
            (V4, 12, 0, "parameter-problem"),
            (V6, 1, 0, "network-unreachable"),
            (V6, 1, 1, "administratively-prohibited"),
            (V6, 1, 2, "beyond-scope"),
            (V6, 1, 3, "host-unreachable"),
            (V6, 1, 4, "port-unreachable"),
            (V6, 2, 0, "too-big"),
            (V6, 3, 0, "time-exceeded"),
            (V6, 3, 1, "reassembly-time-exceeded"),
            (V6, 4, 1, "parameter-problem"),
            (V6, 100, 0, "other"),
        ] {
            assert_eq!(
                name(version, kind, code),
                expected,
                "{version:?} {kind} {code}"
            );
        }
        assert_eq!(
            Refusal::from(Icmp::PORT_UNREACHABLE),
            Refusal::PortUnreachable
        );
    }

    #[test]
    fn a_router_that_does_not_tell_its_mtu_has_none() {
        let refusal = |mtu| {
            Refusal::from(Icmp {
                version: IcmpVersion::V4,
                kind: 3,
                code: 4,
                mtu,
            })
        };
        assert_eq!(refusal(0).path_mtu(), None);
        assert_eq!(refusal(1400).path_mtu(), Some(1400));
        assert_eq!(Refusal::TimeExceeded.to_string(), "time exceeded");
    }
}
