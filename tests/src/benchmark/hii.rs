//! Runs of `hii ping`, and what their JSON says (`docs/ping-json.md`).

use serde_json::Value;

use super::processes::Process;
use super::servers::Server;
use super::trouble::{Outcome, Trouble};
use super::{Bench, text};

/// Octets of each probe.
pub const SIZE: &str = "64";

/// The document of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run(Value);

impl Bench {
    /// Measures a server with these further options, for so many seconds.
    pub(crate) fn hii(&self, server: &Server, options: &str, seconds: u64) -> Outcome<Run> {
        let (address, duration) = (text(server.address()), seconds.to_string());
        let mut args = vec!["ping", &address, "-s", SIZE, "-d", &duration, "--json"];
        args.extend(options.split_whitespace());
        let ended = Process::start(self.programs.hii, &args)?.finish(super::limit(seconds))?;
        Run::read(&ended.stdout)
    }
}

impl Run {
    fn read(document: &str) -> Outcome<Self> {
        let unreadable = |error| Trouble(format!("the JSON of hii ping: {error}"));
        serde_json::from_str(document).map(Self).map_err(unreadable)
    }

    /// Probes that went out.
    ///
    /// # Errors
    /// The document does not say it; so below.
    pub fn sent(&self) -> Outcome<u64> {
        self.figure("/summary/sent", Value::as_u64)
    }

    /// The median of round trips, in nanoseconds.
    ///
    /// # Errors
    pub fn rtt(&self) -> Outcome<f64> {
        self.figure("/summary/rtt_ns/median", Value::as_f64)
    }

    /// The median of round trips between the kernel's time stamps, less what the server held the probes, in nanoseconds.
    ///
    /// # Errors
    pub fn network_rtt(&self) -> Outcome<f64> {
        self.figure("/summary/network_rtt_ns/median", Value::as_f64)
    }

    /// How much later than due probes went out in the median, in nanoseconds.
    ///
    /// # Errors
    pub fn lateness(&self) -> Outcome<f64> {
        self.figure("/summary/schedule_error_ns/median", Value::as_f64)
    }

    /// Probes answered a second.
    ///
    /// # Errors
    pub fn answered_per_second(&self) -> Outcome<f64> {
        self.figure("/summary/rates/answered", Value::as_f64)
    }

    /// When each probe went out, in nanoseconds.
    #[must_use]
    pub fn sent_at(&self) -> Vec<u64> {
        let probes = self.0["probes"].as_array().into_iter().flatten();
        probes
            .filter_map(|probe| probe["sent_ns"].as_u64())
            .collect()
    }

    fn figure<T>(&self, at: &str, read: fn(&Value) -> Option<T>) -> Outcome<T> {
        let figure = self.0.pointer(at).and_then(read);
        figure.ok_or_else(|| Trouble(format!("the JSON of hii ping has no {at}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_found_in_the_document() {
        let document = r#"{"probes":[{"seq":1,"sent_ns":7},{"seq":2,"sent_ns":9}],"summary":{"sent":2,
            "rtt_ns":{"median":5},"schedule_error_ns":null}}"#;
        let run = Run::read(document).unwrap();
        assert_eq!((run.sent(), run.rtt()), (Ok(2), Ok(5.0)));
        assert_eq!(run.sent_at(), [7, 9]);
        assert!(run.lateness().is_err());
        assert!(Run::read("hii: no").is_err());
    }
}
