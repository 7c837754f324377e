//! sockperf's ping-pong, and what it says.

use super::hii::SIZE;
use super::processes::Process;
use super::series::borrow;
use super::servers::Server;
use super::trouble::Outcome;
use super::{Bench, limit};

impl Bench {
    pub(crate) fn sockperf_server(&self) -> Outcome<Server> {
        borrow(&self.peers.sockperf)?;
        Server::told_where("sockperf", |address| {
            let (ip, port) = (address.ip().to_string(), address.port().to_string());
            ["server", "-i", &ip, "-p", &port]
                .map(str::to_owned)
                .to_vec()
        })
    }
}

/// The median of round trips at this rate, in nanoseconds. The whole trip: sockperf tells half of it by default.
///
/// # Errors
/// It fails, or says nothing of a median.
pub fn ping_pong(server: &Server, per_second: u32, seconds: u64) -> Outcome<f64> {
    let (ip, port) = (server.address().ip().to_string(), server.address().port());
    let (port, rate, time) = (
        port.to_string(),
        per_second.to_string(),
        seconds.to_string(),
    );
    let args = [
        "ping-pong",
        "-i",
        &ip,
        "-p",
        &port,
        "-m",
        SIZE,
        "--mps",
        &rate,
        "-t",
        &time,
        "--full-rtt",
    ];
    let ended = Process::start("sockperf", &args)?.finish(limit(seconds))?;
    let found = median(&ended.stdout).or_else(|| median(&ended.stderr));
    found.ok_or_else(|| "sockperf tells no median".into())
}

/// The microseconds of `sockperf: ---> percentile 50.000 =   76.663`, in nanoseconds.
fn median(text: &str) -> Option<f64> {
    let mut lines = text
        .lines()
        .filter_map(|line| line.split_once("percentile 50.0"));
    let (_, figure) = lines.next()?.1.split_once('=')?;
    let micros: f64 = figure.trim().parse().ok()?;
    Some(micros * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_found_in_the_text() {
        let text = "sockperf: ---> percentile 75.000 =   99.1\nsockperf: ---> percentile 50.000 =   76.663\n";
        assert_eq!(median(text), Some(76_663.0));
        assert_eq!(median("sockperf: No messages were received"), None);
    }
}
