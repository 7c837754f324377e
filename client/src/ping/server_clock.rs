//! One-way delay, as far as two clocks that are not set to each other can tell it.
//!
//! Each answer that carries `held` and `received` is an exchange as in RFC 5905 (NTP): of its four moments two are by
//! each clock. The offset between the clocks lies within half of the exchange's network time of the middle; the exchange
//! with the least network time bounds it best. Every one-way figure inherits that bound.

use std::time::Duration;

use serde::Serialize;

/// Follows the exchanges of a run.
#[derive(Debug, Default)]
pub struct ServerClock {
    /// The best exchange: its network time, and twice the offset that it suggests.
    best: Option<Exchange>,
    count: u64,
    there: Sum,
    back: Sum,
}

#[derive(Debug, Clone, Copy)]
struct Exchange {
    network: i128,
    twice_offset: i128,
}

/// Sums of what each clock pair showed, offset and all.
#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    total: i128,
    min: Option<i128>,
    max: Option<i128>,
}

/// One-way delays of a run, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct OneWayFigures {
    /// How many exchanges there were.
    pub count: u64,
    /// On the way to the server.
    pub there: OneWay,
    /// On the way back.
    pub back: OneWay,
    /// How far each of these may be off, either way: half of the least network time. Drift between the clocks during the
    /// run is not in it.
    pub bound: i64,
    /// The server's clock less ours, as far as the bound allows to say.
    pub clock_offset: i64,
}

/// One direction's delay, in nanoseconds. May be negative when the clocks moved during the run; a figure below the bound
/// is no more than a guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct OneWay {
    /// The shortest.
    pub min: i64,
    /// The average.
    pub mean: i64,
    /// The longest.
    pub max: i64,
}

impl ServerClock {
    /// Takes an exchange: sent and answered by our wall clock, received and held by the server's. What cannot be (held
    /// longer than the round trip took) is left out.
    pub fn take(&mut self, sent: u64, rtt: Duration, received: u64, held: u64) {
        let rtt = i128::try_from(rtt.as_nanos()).unwrap_or(i128::MAX);
        let (sent, received, held) = (i128::from(sent), i128::from(received), i128::from(held));
        let network = rtt - held;
        if network < 0 {
            return;
        }
        let there = received - sent;
        let back = (sent + rtt) - (received + held);
        self.count += 1;
        self.there.add(there);
        self.back.add(back);
        if self.best.is_none_or(|best| network < best.network) {
            let twice_offset = there - back;
            self.best = Some(Exchange {
                network,
                twice_offset,
            });
        }
    }

    /// The figures; none without an exchange.
    pub fn figures(&self) -> Option<OneWayFigures> {
        let best = self.best?;
        let offset = best.twice_offset / 2;
        Some(OneWayFigures {
            count: self.count,
            there: self.there.less(offset, self.count)?,
            back: self.back.less(-offset, self.count)?,
            bound: clamp(best.network / 2 + best.network % 2),
            clock_offset: clamp(offset),
        })
    }
}

impl Sum {
    fn add(&mut self, value: i128) {
        self.total += value;
        self.min = Some(self.min.map_or(value, |min| min.min(value)));
        self.max = Some(self.max.map_or(value, |max| max.max(value)));
    }

    fn less(&self, offset: i128, count: u64) -> Option<OneWay> {
        Some(OneWay {
            min: clamp(self.min? - offset),
            mean: clamp(self.total / i128::from(count.max(1)) - offset),
            max: clamp(self.max? - offset),
        })
    }
}

fn clamp(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_truth_is_within_the_bound(
            offset in -1_000_000_000_000_i64..1_000_000_000_000,
            exchanges in prop::collection::vec((0..50_000_000_u64, 0..50_000_000_u64, 0..1_000_000_u64), 1..50),
        ) {
            let mut clock = ServerClock::default();
            for (index, (there, back, held)) in (0..).zip(&exchanges) {
                let sent = 1_789_000_000_000_000_000 + index * 10_000_000;
                let received = (sent + there).checked_add_signed(offset).unwrap();
                let rtt = Duration::from_nanos(there + held + back);
                clock.take(sent, rtt, received, *held);
            }
            let found = clock.figures().unwrap();
            let within = |figure: i64, truth: u64| figure.abs_diff(i64::try_from(truth).unwrap()) <= found.bound.unsigned_abs() + 1;
            prop_assert!(found.clock_offset.abs_diff(offset) <= found.bound.unsigned_abs() + 1);
            prop_assert!(within(found.there.min, exchanges.iter().map(|e| e.0).min().unwrap()));
            prop_assert!(within(found.there.max, exchanges.iter().map(|e| e.0).max().unwrap()));
            prop_assert!(within(found.back.min, exchanges.iter().map(|e| e.1).min().unwrap()));
            prop_assert!(within(found.back.max, exchanges.iter().map(|e| e.1).max().unwrap()));
        }
    }

    #[test]
    fn an_impossible_exchange_is_left_out() {
        let mut clock = ServerClock::default();
        clock.take(u64::MAX, Duration::from_nanos(5), 0, 6);
        assert_eq!(clock.figures(), None);
        clock.take(0, Duration::MAX, u64::MAX, 0);
        assert!(clock.figures().is_some());
    }
}
