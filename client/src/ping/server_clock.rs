//! One-way delay, as far as two clocks that are not set to each other can tell it.
//!
//! Each answer that carries `held` and `received` is an exchange as in RFC 5905 (NTP): of its four moments two are by
//! each clock. The offset between the clocks lies within half of the exchange's network time of the middle; the exchange
//! with the least network time bounds it best. Every one-way figure inherits that bound.
//!
//! A clock may be set during the run, or drift. Then no one offset fits all exchanges: those that one fits are an *era*
//! of their own, with their own offset and bound, so a figure never has two offsets in it. That the clocks moved is told.
//! The client's own clock is monotonic here, so that setting it changes nothing.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

/// An era of fewer exchanges is a reading that went wrong (a stalled server, a false answer), not a clock that was set.
const LEAST_EXCHANGES: u64 = 3;

/// Eras that an exchange may still belong to: answers that were under way when a clock was set come mixed.
const MOST_OPEN: usize = 8;

/// Follows the exchanges of a run.
#[derive(Debug, Default)]
pub struct ServerClock {
    /// The eras that had an exchange lately, the latest last.
    open: VecDeque<Era>,
    closed: Figures,
}

/// Exchanges that one offset fits: the server's clock less ours.
#[derive(Debug, Clone, Copy)]
struct Era {
    /// The least that the offset can be, by any of the exchanges.
    low: i128,
    /// The most.
    high: i128,
    best: Exchange,
    count: u64,
    there: Sum,
    back: Sum,
}

#[derive(Debug, Clone, Copy)]
struct Exchange {
    there: i128,
    back: i128,
}

impl Exchange {
    fn network(self) -> i128 {
        self.there + self.back
    }

    /// The offset if both ways took the same.
    fn offset(self) -> i128 {
        (self.there - self.back) / 2
    }
}

/// Sums of one way's delays.
#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    total: i128,
    ends: Option<(i128, i128)>,
}

/// What the eras that are over came to.
#[derive(Debug, Default, Clone, Copy)]
struct Figures {
    count: u64,
    there: Sum,
    back: Sum,
    bound: i128,
    /// The offset of the latest era.
    offset: i128,
    /// The highest of the eras' least offsets, and the lowest of their most.
    moved: Option<(i128, i128)>,
    left_out: u64,
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
    /// How far each of these may be off, either way: half of the least network time. Drift between the clocks that is too
    /// slow to be seen is not in it.
    pub bound: i64,
    /// The server's clock less ours, as far as the bound allows to say, at the end.
    pub clock_offset: i64,
    /// By how much at least the clocks moved against each other during the run: one was set, or they drift.
    pub clock_moved: i64,
    /// Exchanges that are not in these figures: their clock readings do not fit those of any others.
    pub left_out: u64,
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
        // Each less or more by the offset.
        let exchange = Exchange {
            there: received - sent,
            back: (sent + rtt) - (received + held),
        };
        if exchange.network() < 0 {
            return;
        }
        // The latest first; it becomes the latest.
        let fits = (0..self.open.len())
            .rev()
            .find(|index| self.open.get(*index).is_some_and(|era| era.fits(&exchange)));
        let era = fits.and_then(|index| self.open.remove(index));
        self.open.push_back(match era {
            Some(era) => era.with(exchange),
            None => Era::new(exchange),
        });
        if self.open.len() > MOST_OPEN
            && let Some(era) = self.open.pop_front()
        {
            self.closed = self.closed.with(&era, LEAST_EXCHANGES);
        }
    }

    /// The figures; none without an exchange.
    pub fn figures(&self) -> Option<OneWayFigures> {
        let most = self.open.iter().map(|era| era.count).max()?;
        // Where none has enough, the largest has to do.
        let enough = if self.closed.count > 0 {
            LEAST_EXCHANGES
        } else {
            LEAST_EXCHANGES.min(most)
        };
        let all = |figures: Figures, era| figures.with(era, enough);
        let figures = self.open.iter().fold(self.closed, all);
        let (high, low) = figures.moved?;
        Some(OneWayFigures {
            count: figures.count,
            there: figures.there.over(figures.count)?,
            back: figures.back.over(figures.count)?,
            bound: clamp(figures.bound),
            clock_offset: clamp(figures.offset),
            clock_moved: clamp((high - low).max(0)),
            left_out: figures.left_out,
        })
    }
}

impl Era {
    fn new(exchange: Exchange) -> Self {
        let Exchange { there, back } = exchange;
        Self {
            low: -back,
            high: there,
            best: exchange,
            count: 1,
            there: Sum::of(there),
            back: Sum::of(back),
        }
    }

    /// Whether one offset fits all of these and this exchange: no delay is negative.
    fn fits(&self, exchange: &Exchange) -> bool {
        self.low.max(-exchange.back) <= self.high.min(exchange.there)
    }

    fn with(self, exchange: Exchange) -> Self {
        let Exchange { there, back } = exchange;
        let is_better = exchange.network() < self.best.network();
        Self {
            low: self.low.max(-back),
            high: self.high.min(there),
            best: if is_better { exchange } else { self.best },
            count: self.count + 1,
            there: self.there.and(Sum::of(there)),
            back: self.back.and(Sum::of(back)),
        }
    }
}

impl Figures {
    /// These and those of an era, if it has enough exchanges.
    fn with(self, era: &Era, enough: u64) -> Self {
        if era.count < enough {
            let left_out = self.left_out + era.count;
            return Self { left_out, ..self };
        }
        let offset = era.best.offset();
        let (high, low) = self.moved.unwrap_or((era.low, era.high));
        let network = era.best.network();
        Self {
            count: self.count + era.count,
            there: self.there.and(era.there.less(offset, era.count)),
            back: self.back.and(era.back.less(-offset, era.count)),
            bound: self.bound.max(network / 2 + network % 2),
            offset,
            moved: Some((high.max(era.low), low.min(era.high))),
            ..self
        }
    }
}

impl Sum {
    fn of(value: i128) -> Self {
        Self {
            total: value,
            ends: Some((value, value)),
        }
    }

    fn and(self, other: Self) -> Self {
        let ends = match (self.ends, other.ends) {
            (Some((min, max)), Some(other)) => Some((min.min(other.0), max.max(other.1))),
            (ends, None) | (None, ends) => ends,
        };
        Self {
            total: self.total + other.total,
            ends,
        }
    }

    /// Each of so many values less the offset.
    fn less(self, offset: i128, count: u64) -> Self {
        Self {
            total: self.total - offset * i128::from(count),
            ends: self.ends.map(|(min, max)| (min - offset, max - offset)),
        }
    }

    fn over(self, count: u64) -> Option<OneWay> {
        let (min, max) = self.ends?;
        Some(OneWay {
            min: clamp(min),
            mean: clamp(self.total / i128::from(count.max(1))),
            max: clamp(max),
        })
    }
}

fn clamp(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}
