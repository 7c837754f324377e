//! What is measured and how, as the output begins with it.

use std::time::Duration;

use hii_protocol::Escaped;
use hii_transport::clock::Clock;
use serde::Serialize;

use crate::ping::figures::Time;
use crate::ping::method::{Known, ServerKind};
use crate::ping::schedule::{Pace, Schedule};

/// What is measured and how.
#[derive(Debug, Clone, Serialize)]
pub struct Heading {
    target: String,
    address: String,
    /// Null for a target that did not answer.
    server: Option<ServerKind>,
    #[serde(flatten)]
    schedule: Schedule,
    size: usize,
    /// The wall clock when the run's clock was at zero, in nanoseconds since the Unix epoch.
    epoch_ns: u64,
    /// For a run over TCP.
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp: Option<Steps>,
    #[serde(skip)]
    says: Option<String>,
    #[serde(skip)]
    clock: Option<Clock>,
    #[serde(skip)]
    tells_direction: bool,
}

/// What it took to connect, step by step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Steps {
    /// Name resolution; null where an address was given.
    pub resolution_ns: Option<u64>,
    /// The TCP handshake with the address that is measured.
    pub connect_ns: u64,
}

impl Heading {
    /// For a run against this server.
    #[must_use]
    pub fn new(
        target: String,
        known: &Known,
        silent: bool,
        schedule: Schedule,
        size: usize,
    ) -> Self {
        let original = known.kind == ServerKind::Original;
        Self {
            target,
            address: known.address.to_string(),
            server: (!silent).then_some(known.kind),
            schedule,
            size,
            epoch_ns: 0,
            tcp: None,
            says: original.then(|| Escaped(&known.text).to_string()),
            clock: None,
            tells_direction: false,
        }
    }

    /// The same over a connection that took these steps.
    #[must_use]
    pub fn over_tcp(mut self, steps: Steps) -> Self {
        self.tcp = Some(steps);
        self
    }

    /// The same with the times that follow told by this clock.
    #[must_use]
    pub fn timed_by(mut self, clock: Clock) -> Self {
        self.epoch_ns = clock.epoch();
        self.clock = Some(clock);
        self
    }

    /// The same for a target that tells which way a probe was lost, or does not.
    #[must_use]
    pub fn telling_direction(mut self, tells_direction: bool) -> Self {
        self.tells_direction = tells_direction;
        self
    }

    /// The clock that tells the times that follow, if it is known.
    pub fn clock(&self) -> Option<Clock> {
        self.clock
    }

    /// Whether the target tells which way a probe was lost.
    pub fn tells_direction(&self) -> bool {
        self.tells_direction
    }

    /// When each probe is due.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The octets of a probe.
    pub fn size(&self) -> usize {
        self.size
    }

    /// What is measured, as it was asked for.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// What it took to connect, in words.
    pub fn steps(&self) -> Option<String> {
        let steps = self.tcp?;
        let resolution = match steps.resolution_ns {
            Some(nanos) => format!("name resolved in {}", Time(nanos as f64)),
            None => "name resolution: n/a, an address was given".to_owned(),
        };
        let connect = Time(steps.connect_ns as f64);
        Some(format!("{resolution}; connected in {connect}"))
    }

    /// After how long an answer is late, where that is the same for all probes.
    pub fn deadline(&self) -> Option<Duration> {
        let is_same = self.schedule.is_fixed() || self.schedule.deadline.is_some();
        is_same.then(|| self.schedule.deadline_of(1))
    }

    /// What is measured, in words.
    pub fn subject(&self) -> String {
        let Self {
            target, address, ..
        } = self;
        format!("hii ping {target} ({address}, {})", self.server())
    }

    /// How it is measured, in words.
    pub fn plan(&self) -> String {
        let Schedule {
            count,
            interval,
            decay,
            pace,
            ..
        } = self.schedule;
        let (probes, end) = match (count, pace) {
            (Some(1), _) => ("1 probe".to_owned(), String::new()),
            (Some(count), _) => (format!("{count} probes"), String::new()),
            (
                None,
                Pace::Flood {
                    lasts: Some(lasts), ..
                },
            ) => ("probes".to_owned(), format!(", for {}", Time::from(lasts))),
            (None, _) => ("probes".to_owned(), ", without end".to_owned()),
        };
        let interval = Time::from(interval);
        let every = match pace {
            Pace::Rate { rate } => format!("{rate} a second"),
            Pace::Flood { window: None, .. } => "as fast as they are answered".to_owned(),
            Pace::Flood {
                window: Some(window),
                ..
            } => format!("as fast as they are answered, at most {window} in flight"),
            Pace::Interval {} if self.schedule.is_fixed() => format!("one every {interval}"),
            Pace::Interval {} => {
                format!(
                    "at first one every {interval}, then each interval {decay} of the one before"
                )
            }
        };
        format!("{probes} of {} octets, {every}{end}", self.size)
    }

    fn server(&self) -> String {
        match (self.server, &self.says) {
            (None, _) => "silent so far".to_owned(),
            (Some(ServerKind::Hii), _) => "Hii server".to_owned(),
            (Some(ServerKind::Echo), _) => "echo server".to_owned(),
            (Some(ServerKind::Original), says) => {
                format!(
                    "original server, says \"{}\"",
                    says.as_deref().unwrap_or_default()
                )
            }
        }
    }
}
