//! irtt's client and server, and what the client's JSON says.

use serde_json::Value;

use super::hii::SIZE;
use super::processes::{Ended, Process};
use super::series::borrow;
use super::servers::Server;
use super::trouble::{Outcome, Trouble};
use super::{Bench, limit, text};

/// What a run found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// When each probe went out, in nanoseconds since the schedule began.
    pub sent_at: Vec<u64>,
}

impl Bench {
    /// An irtt server that lets clients send as fast as they like, as ours does here.
    pub(crate) fn irtt_server(&self) -> Outcome<Server> {
        borrow(&self.peers.irtt)?;
        let args = |address| ["server", "-i", "0", "-b", &text(address)].map(str::to_owned);
        Server::told_where("irtt", |address| args(address).to_vec())
    }
}

/// The arguments of a client: `options`, and for so many seconds.
#[must_use]
pub fn client(server: &Server, options: &str, seconds: u64) -> Vec<String> {
    let duration = format!("{seconds}s");
    let mut args = vec!["client", "-l", SIZE, "-d", &duration];
    args.extend(options.split_whitespace());
    let mut args: Vec<_> = args.into_iter().map(str::to_owned).collect();
    args.push(text(server.address()));
    args
}

/// Runs a client to its end.
///
/// # Errors
/// It fails.
pub fn run(args: &[String], seconds: u64) -> Outcome<Ended> {
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    Process::start("irtt", &args)?.finish(limit(seconds))
}

impl Run {
    /// Reads the document of `-o -`.
    ///
    /// # Errors
    /// It is none.
    pub fn read(document: &str) -> Outcome<Self> {
        let unreadable = |what: &str| Trouble(format!("the JSON of irtt: {what}"));
        let document: Value =
            serde_json::from_str(document).map_err(|error| unreadable(&error.to_string()))?;
        let trips = document["round_trips"].as_array();
        let trips = trips.ok_or_else(|| unreadable("round_trips"))?;
        let sent = |clock| move |trip: &Value| trip["timestamps"]["client"]["send"][clock].as_u64();
        let start = document["stats"]["start_time"].as_str().and_then(fraction);
        let start = start.ok_or_else(|| unreadable("start_time"))?;
        let first = trips.first().ok_or_else(|| unreadable("no round trip"))?;
        // The monotonic times begin before the schedule does; the wall clock tells how long after its begin the first
        // probe went out, which is far below a second.
        let wall = sent("wall")(first).ok_or_else(|| unreadable("wall"))?;
        let late = (SECOND + wall % SECOND - start) % SECOND;
        let monotonic = sent("monotonic")(first).ok_or_else(|| unreadable("monotonic"))?;
        let since = |at: u64| (at + late).saturating_sub(monotonic);
        let times = trips.iter().filter_map(sent("monotonic"));
        Ok(Self {
            sent_at: times.map(since).collect(),
        })
    }
}

const SECOND: u64 = 1_000_000_000;

/// The nanoseconds of a time such as `2026-11-22T21:08:43.408213436Z`, whose zeros at the end are left out.
fn fraction(time: &str) -> Option<u64> {
    let (_, fraction) = time.split_once('.').unwrap_or((time, ""));
    let digits: String = fraction
        .chars()
        .take_while(char::is_ascii_digit)
        .chain("000000000".chars())
        .take(9)
        .collect();
    digits.parse().ok()
}

/// The packets received, of `-q`: `packets sent/received: 48683/48650 (0.07% loss)`.
#[must_use]
pub fn received(text: &str) -> Option<u64> {
    let (_, counts) = text.split_once("packets sent/received: ")?;
    let (_, received) = counts.split_whitespace().next()?.split_once('/')?;
    received.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_from_the_begin_of_the_schedule() {
        let document = r#"{"stats":{"start_time":"2026-11-22T21:08:43.9999999Z"},"round_trips":[
            {"timestamps":{"client":{"send":{"wall":1795381724000002000,"monotonic":13580413}}}},
            {"timestamps":{"client":{"send":{"wall":1795381724001002500,"monotonic":14580913}}}}]}"#;
        // The first probe went out 2.1 us after the begin, the second 1.0005 ms later.
        assert_eq!(Run::read(document).unwrap().sent_at, [2_100, 1_002_600]);
        assert!(Run::read(r#"{"round_trips":[]}"#).is_err());
    }

    #[test]
    fn a_time_s_fraction_has_nine_digits() {
        let time = |fraction| format!("2026-11-22T21:08:43{fraction}");
        for (text, nanos) in [
            (".408213436Z", 408_213_436),
            (".4082Z", 408_200_000),
            (".000000001+02:00", 1),
            ("Z", 0),
        ] {
            assert_eq!(fraction(&time(text)), Some(nanos), "{text}");
        }
    }

    #[test]
    fn the_packets_received_are_found_in_the_text() {
        let text = "duration: 2s\n   packets sent/received: 48683/48650 (0.07% loss)\n  server packets received: 1\n";
        assert_eq!(received(text), Some(48_650));
        assert_eq!(received("nothing"), None);
    }
}
