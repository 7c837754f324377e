//! How many probes a second were offered, and how many answered.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::figures::write_scaled;
use super::ledger::Sent;

/// Follows the sending of probes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Throughput {
    first: Option<Duration>,
    last: Duration,
    sent: u64,
}

/// Rates over the whole of a run, from the first probe's sending to the last's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rates {
    /// Probes sent a second.
    pub offered: f64,
    /// Of these, those that were answered, sooner or later.
    pub answered: f64,
    /// The answered ones in bit/s, by the originals' definition: their octets there and back.
    #[serde(rename = "bits_per_second")]
    pub bits: f64,
}

impl Throughput {
    /// A probe was sent, or could not be.
    pub fn sent(&mut self, sent: &Sent) {
        if sent.went_out {
            self.first.get_or_insert(sent.at);
            self.last = sent.at;
            self.sent += 1;
        }
    }

    /// The rates, when so many probes of `size` octets were answered; none when all were sent at once.
    pub fn rates(&self, answered: u64, size: usize) -> Option<Rates> {
        let took = self.last.saturating_sub(self.first?).as_secs_f64();
        if took <= 0.0 {
            return None;
        }
        // So many intervals there were between them.
        let offered = self.sent.saturating_sub(1) as f64 / took;
        let answered = offered * answered as f64 / self.sent as f64;
        Some(Rates {
            offered,
            answered,
            bits: answered * size as f64 * 8.0 * 2.0,
        })
    }
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            offered,
            answered,
            bits,
        } = *self;
        write!(
            f,
            "{} probes/s offered, {} probes/s answered: {} each way, headers not counted",
            PerSecond(offered),
            PerSecond(answered),
            Bits(bits / 2.0)
        )
    }
}

/// Probes a second, whole where that is exact enough.
pub(super) struct PerSecond(pub(super) f64);

impl fmt::Display for PerSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = usize::from(self.0 < 100.0);
        write!(f, "{:.digits$}", self.0)
    }
}

/// Bits a second, shown to four digits.
pub(super) struct Bits(pub(super) f64);

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_scaled(f, self.0, ["bit/s", "kbit/s", "Mbit/s", "Gbit/s"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(at: u64, went_out: bool) -> Sent {
        let at = Duration::from_millis(at);
        Sent {
            due: at,
            deadline: Duration::from_secs(1),
            at,
            went_out,
            clash: None,
        }
    }

    #[test]
    fn what_went_out_is_offered_and_a_part_of_it_answered() {
        let mut throughput = Throughput::default();
        assert_eq!(throughput.rates(0, 100), None);
        // Ten a second, begun late, and one that did not go.
        for at in [500, 600, 700, 750, 800, 900] {
            throughput.sent(&sent(at, at != 750));
        }
        let rates = throughput.rates(4, 100).unwrap();
        assert!((rates.offered - 10.0).abs() < 1e-9, "{rates:?}");
        assert!((rates.answered - 8.0).abs() < 1e-9, "{rates:?}");
        assert!((rates.bits - 12_800.0).abs() < 1e-6, "{rates:?}");
    }

    #[test]
    fn rates_show_their_unit() {
        let shown = |offered: f64, size: f64| {
            let (answered, bits) = (offered / 2.0, offered / 2.0 * size * 16.0);
            let rates = Rates {
                offered,
                answered,
                bits,
            };
            rates.to_string()
        };
        assert_eq!(
            shown(50_000.0, 64.0),
            "50000 probes/s offered, 25000 probes/s answered: 12.80 Mbit/s each way, headers not counted"
        );
        assert_eq!(
            shown(100.0, 1.0),
            "100 probes/s offered, 50.0 probes/s answered: 400.0 bit/s each way, headers not counted"
        );
    }

    #[test]
    fn what_goes_at_once_has_no_rate() {
        let mut throughput = Throughput::default();
        throughput.sent(&sent(500, true));
        throughput.sent(&sent(500, true));
        assert_eq!(throughput.rates(2, 100), None);
    }
}
