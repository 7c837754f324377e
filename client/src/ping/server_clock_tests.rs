//! One-way delay on simulated clocks: what is concluded against what really happened.

use std::time::Duration;

use proptest::prelude::*;

use super::server_clock::{OneWayFigures, ServerClock};

proptest! {
    #[test]
    fn the_truth_is_within_the_bound(
        offset in -1_000_000_000_000_i64..1_000_000_000_000,
        exchanges in truths(1),
    ) {
        let found = observe(&exchanges, |_| offset).figures().unwrap();
        prop_assert_eq!((found.clock_moved, found.left_out), (0, 0));
        let within = |figure: i64, truth: u64| figure.abs_diff(i64::try_from(truth).unwrap()) <= found.bound.unsigned_abs() + 1;
        prop_assert!(found.clock_offset.abs_diff(offset) <= found.bound.unsigned_abs() + 1);
        prop_assert!(within(found.there.min, exchanges.iter().map(|e| e.0).min().unwrap()));
        prop_assert!(within(found.there.max, exchanges.iter().map(|e| e.0).max().unwrap()));
        prop_assert!(within(found.back.min, exchanges.iter().map(|e| e.2).min().unwrap()));
        prop_assert!(within(found.back.max, exchanges.iter().map(|e| e.2).max().unwrap()));
    }
}

const MILLI: u64 = 1_000_000;

/// What really happens to a probe: how long it is under way there, held, and under way back.
type Truth = (u64, u64, u64);

/// Takes what happened, one probe every 10 ms, in the order of the answers; the offset between the clocks is that of
/// the time at which the server received the probe.
fn observe(truths: &[Truth], offset: impl Fn(u64) -> i64) -> ServerClock {
    let mut answers = Vec::new();
    for (index, (there, held, back)) in (0..).zip(truths) {
        let sent = 1_789_000_000_000_000_000 + index * 10 * MILLI;
        let at_server = sent + there;
        let received = at_server.checked_add_signed(offset(at_server)).unwrap();
        let rtt = there + held + back;
        answers.push((sent + rtt, (sent, rtt, received, *held)));
    }
    answers.sort_unstable();
    let mut clock = ServerClock::default();
    for (_, (sent, rtt, received, held)) in answers {
        clock.take(sent, Duration::from_nanos(rtt), received, held);
    }
    clock
}

fn truths(least: usize) -> impl Strategy<Value = Vec<Truth>> {
    let way = || 0..50 * MILLI;
    prop::collection::vec((way(), 0..300 * MILLI, way()), least..60)
}

proptest! {
    #[test]
    fn a_clock_that_is_set_moves_no_figure_and_is_told(
        truths in truths(8),
        offset in -1_000_000_000_000_i64..1_000_000_000_000,
        step in prop_oneof![-5_000_000_000_000..-250_000_000_i64, 250_000_000..5_000_000_000_000_i64],
        after in 3..50_usize,
    ) {
        let arrival = |index: usize| 1_789_000_000_000_000_000 + index as u64 * 10 * MILLI + truths[index].0;
        let mut arrivals: Vec<_> = (0..truths.len()).map(arrival).collect();
        arrivals.sort_unstable();
        let when = arrivals[after.min(truths.len() - 3)];
        let found = observe(&truths, |at| if at < when { offset } else { offset + step }).figures().unwrap();
        prop_assert_eq!((found.count, found.left_out), (truths.len() as u64, 0));
        let within = |figure: i64, truth: u64| figure.abs_diff(i64::try_from(truth).unwrap()) <= found.bound.unsigned_abs() + 1;
        let there = || truths.iter().map(|truth| truth.0);
        let back = || truths.iter().map(|truth| truth.2);
        prop_assert!(within(found.there.min, there().min().unwrap()), "{:?}", found);
        prop_assert!(within(found.there.mean, there().sum::<u64>() / truths.len() as u64), "{:?}", found);
        prop_assert!(within(found.there.max, there().max().unwrap()), "{:?}", found);
        prop_assert!(within(found.back.min, back().min().unwrap()), "{:?}", found);
        prop_assert!(within(found.back.max, back().max().unwrap()), "{:?}", found);
        let moved = found.clock_moved.unsigned_abs();
        let step = step.unsigned_abs();
        prop_assert!((step - 200 * MILLI..=step).contains(&moved), "{:?}", found);
    }

    #[test]
    fn a_false_reading_changes_no_figure(truths in truths(3), at in any::<prop::sample::Index>(), received in 0..u64::MAX) {
        let honest = observe(&truths, |_| 5);
        let mut clock = ServerClock::default();
        let sent = 1_789_000_000_000_000_000;
        prop_assume!(received.abs_diff(sent) > 3_600_000_000_000);
        let at = at.index(truths.len());
        for (index, (there, held, back)) in (0..).zip(&truths) {
            let sent = sent + index as u64 * 10 * MILLI;
            if index == at {
                clock.take(sent, Duration::from_nanos(MILLI), received, 0);
            }
            clock.take(sent, Duration::from_nanos(there + held + back), sent + there + 5, *held);
        }
        let expected = OneWayFigures { left_out: 1, ..honest.figures().unwrap() };
        prop_assert_eq!(clock.figures(), Some(expected));
    }
}

#[test]
fn clocks_that_drift_apart_are_followed() {
    // 1 ms each way, for an hour in which the clocks drift apart by 100 millionths.
    let mut clock = ServerClock::default();
    for second in 0..3600 {
        let sent = second * 1000 * MILLI;
        let drifted = sent / 10_000;
        clock.take(sent, Duration::from_millis(2), sent + MILLI + drifted, 0);
    }
    let found = clock.figures().unwrap();
    assert_eq!((found.count, found.left_out), (3600, 0));
    let most = i64::try_from(4 * MILLI).unwrap();
    assert!(
        found.there.max < most && found.there.min > -most,
        "{found:?}"
    );
    assert!(found.clock_moved > 350_000_000, "{found:?}");
    assert!(found.clock_offset > 350_000_000, "{found:?}");
}

#[test]
fn a_short_run_has_figures_of_what_agrees() {
    let mut clock = ServerClock::default();
    for received in [10, 1_000_000, 2_000_000] {
        clock.take(0, Duration::from_nanos(20), received, 0);
    }
    let found = clock.figures().unwrap();
    // None has more than one, so each counts.
    assert_eq!((found.count, found.left_out), (3, 0));
    assert!(found.clock_moved > 0);
    clock.take(0, Duration::from_nanos(20), 12, 0);
    let found = clock.figures().unwrap();
    assert_eq!((found.count, found.left_out), (2, 2));
    assert_eq!(found.clock_moved, 0);
}

#[test]
fn an_impossible_exchange_is_left_out() {
    let mut clock = ServerClock::default();
    clock.take(u64::MAX, Duration::from_nanos(5), 0, 6);
    assert_eq!(clock.figures(), None);
    clock.take(0, Duration::MAX, u64::MAX, 0);
    assert!(clock.figures().is_some());
}
