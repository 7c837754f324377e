//! Which port carries which probe, towards servers whose answers carry no number (`WIRE.md` section 2.5).

use std::collections::VecDeque;
use std::time::Duration;

use super::method::Assignment;

/// The least time for which a port whose probe went unanswered is not used again.
const LEAST_REST: Duration = Duration::from_secs(10);

/// A fixed number of ports, each with one probe at a time, so that the port tells which probe was answered.
#[derive(Debug)]
pub struct PortPool {
    /// The probe that each port waits for.
    waiting: Vec<Waiting>,
    /// Ports without a probe; the one that was free longest is used first.
    free: VecDeque<usize>,
    /// Ports with a probe, in the order of sending. A port may stand here for a probe that was answered since.
    sent: VecDeque<(Duration, usize, u64)>,
    rest: Duration,
}

/// What an answer that came to a port answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortAnswer {
    /// This probe.
    To(u64),
    /// One of several probes.
    Ambiguous,
    /// No probe: the port carried none, or has rested since.
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Nothing,
    For(u64),
    /// Answered; another answer is a duplicate until the port carries its next probe.
    Answered(u64),
    /// Several probes: an answer could be to any of them.
    ForSeveral,
}

impl PortPool {
    /// So many ports, for probes with this deadline.
    #[must_use]
    pub fn new(ports: usize, deadline: Duration) -> Self {
        Self {
            waiting: vec![Waiting::Nothing; ports],
            free: (0..ports).collect(),
            sent: VecDeque::new(),
            rest: LEAST_REST.max(deadline * 4),
        }
    }

    /// A port for a probe that is sent now. When none is free, the one that has waited longest is used again, and the
    /// answers to both its probes cannot be told apart.
    pub fn assign(&mut self, seq: u64, now: Duration) -> Assignment {
        while let Some((sent, port, of)) = self.sent.front().copied() {
            let still = self.waits_for(port, of);
            if still && now.saturating_sub(sent) < self.rest {
                break;
            }
            self.sent.pop_front();
            if still {
                self.release(port, Waiting::Nothing);
            }
        }
        if let Some(port) = self.free.pop_front() {
            self.start(port, Waiting::For(seq), seq, now);
            return Assignment { port, clash: None };
        }
        let (_, port, earlier) = self.sent.pop_front().unwrap_or_default();
        self.start(port, Waiting::ForSeveral, seq, now);
        Assignment {
            port,
            clash: Some(earlier),
        }
    }

    /// The probe that an answer to this port answers, if that can be told; the port is free again.
    pub fn answered(&mut self, port: usize) -> PortAnswer {
        match self.waiting.get(port).copied() {
            Some(Waiting::For(seq)) => {
                self.release(port, Waiting::Answered(seq));
                PortAnswer::To(seq)
            }
            Some(Waiting::Answered(seq)) => PortAnswer::To(seq),
            Some(Waiting::ForSeveral) => PortAnswer::Ambiguous,
            Some(Waiting::Nothing) | None => PortAnswer::Nothing,
        }
    }

    /// The probe that a refusal which came to this port is about, if that can be told; the port is free again.
    pub fn refused(&mut self, port: usize) -> Option<u64> {
        match self.waiting.get(port).copied() {
            Some(Waiting::For(seq)) => {
                // Should an answer come all the same, it is this probe's.
                self.release(port, Waiting::Answered(seq));
                Some(seq)
            }
            _ => None,
        }
    }

    fn waits_for(&self, port: usize, seq: u64) -> bool {
        match self.waiting.get(port) {
            Some(Waiting::For(waiting)) => *waiting == seq,
            Some(Waiting::ForSeveral) => true,
            _ => false,
        }
    }

    fn start(&mut self, port: usize, waiting: Waiting, seq: u64, now: Duration) {
        if let Some(slot) = self.waiting.get_mut(port) {
            *slot = waiting;
        }
        self.sent.push_back((now, port, seq));
    }

    fn release(&mut self, port: usize, state: Waiting) {
        if let Some(slot) = self.waiting.get_mut(port) {
            *slot = state;
            self.free.push_back(port);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn assigned(port: usize) -> Assignment {
        Assignment { port, clash: None }
    }

    #[test]
    fn the_port_tells_the_probe_and_is_used_again_last() {
        let mut pool = PortPool::new(3, ms(100));
        assert_eq!(pool.assign(1, ms(0)), assigned(0));
        assert_eq!(pool.assign(2, ms(1)), assigned(1));
        assert_eq!(pool.answered(1), PortAnswer::To(2));
        assert_eq!(pool.answered(1), PortAnswer::To(2), "a duplicate");
        assert_eq!(pool.answered(2), PortAnswer::Nothing, "never asked");
        assert_eq!(pool.answered(0), PortAnswer::To(1));
        assert_eq!(
            [pool.assign(3, ms(2)), pool.assign(4, ms(3))],
            [assigned(2), assigned(1)]
        );
    }

    #[test]
    fn a_refused_port_is_free_again_and_its_probe_is_refused_once() {
        let mut pool = PortPool::new(1, ms(100));
        pool.assign(1, ms(0));
        assert_eq!(pool.refused(0), Some(1));
        assert_eq!((pool.refused(0), pool.refused(1)), (None, None));
        assert_eq!(pool.answered(0), PortAnswer::To(1), "after all");
        assert_eq!(pool.assign(2, ms(1)), assigned(0));
        assert_eq!(pool.assign(3, ms(2)).clash, Some(2));
        assert_eq!(pool.refused(0), None, "2 or 3");
    }

    #[test]
    fn an_unanswered_port_rests_before_it_is_used_again() {
        let mut pool = PortPool::new(1, ms(100));
        pool.assign(1, ms(0));
        assert_eq!(pool.assign(2, ms(10_000)), assigned(0));
        assert_eq!(pool.answered(0), PortAnswer::To(2));
        // Four deadlines when that is longer.
        let mut pool = PortPool::new(1, ms(5_000));
        pool.assign(1, ms(0));
        assert_eq!(pool.assign(2, ms(19_999)).clash, Some(1));
    }

    #[test]
    fn an_exhausted_pool_makes_both_probes_unknown() {
        let mut pool = PortPool::new(2, ms(100));
        pool.assign(1, ms(0));
        pool.assign(2, ms(1));
        assert_eq!(
            pool.assign(3, ms(2)),
            Assignment {
                port: 0,
                clash: Some(1)
            }
        );
        assert_eq!(
            pool.answered(0),
            PortAnswer::Ambiguous,
            "an answer to 1 or to 3"
        );
        assert_eq!(
            pool.assign(4, ms(3)),
            Assignment {
                port: 1,
                clash: Some(2)
            }
        );
        assert_eq!(
            pool.assign(5, ms(4)),
            Assignment {
                port: 0,
                clash: Some(3)
            }
        );
        // After its rest the port can tell again.
        assert_eq!(pool.assign(6, ms(10_003)), assigned(1));
        assert_eq!(pool.answered(1), PortAnswer::To(6));
    }
}
