//! The window, without sockets and without a clock.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const fn us(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

/// Fills the window at this time; how many were sent.
fn fill(window: &mut Window, at: Duration) -> usize {
    let free = window.free(at);
    (0..free).for_each(|_| window.sent(at, true));
    free
}

#[test]
fn an_answer_makes_room_for_one_probe_and_its_duplicate_for_none() {
    let mut window = Window::fixed(3);
    assert_eq!(fill(&mut window, us(0)), 3);
    assert_eq!(window.free(us(1)), 0);
    window.answered(2, us(2));
    window.answered(2, us(3));
    // Never sent.
    window.answered(9, us(3));
    assert_eq!(window.free(us(3)), 1);
    // Nor does it say how long the path is: the third is waited for as before.
    let release = window.next_release();
    window.answered(2, us(900_000));
    assert_eq!(window.next_release(), release);
}

#[test]
fn what_could_not_be_sent_takes_no_place() {
    let mut window = Window::fixed(2);
    window.sent(us(0), false);
    assert_eq!(window.free(us(0)), 2);
    window.sent(us(0), true);
    assert_eq!(window.free(us(0)), 1);
}

#[test]
fn a_lost_probe_s_place_is_free_soon_once_later_ones_are_answered() {
    let mut window = Window::fixed(4);
    fill(&mut window, us(0));
    window.answered(1, us(100));
    window.answered(3, us(100));
    assert_eq!(window.next_release(), Some(us(1_000)));
    assert_eq!(window.free(us(999)), 2);
    assert_eq!(window.free(us(1_000)), 3);
    // The fourth may yet come: nothing later was answered.
    assert_eq!(window.next_release(), Some(us(20_000)));
    assert_eq!(window.free(us(19_999)), 3);
    assert_eq!(window.free(us(20_000)), 4);
    assert_eq!(window.next_release(), None);
}

#[test]
fn before_the_first_answer_a_probe_is_waited_for_a_second() {
    let mut window = Window::fixed(1);
    fill(&mut window, us(5));
    assert_eq!(window.free(us(1_000_004)), 0);
    assert_eq!(window.free(us(1_000_005)), 1);
}

#[test]
fn a_path_that_becomes_longer_is_learned_from_answers_that_come_too_late() {
    let mut window = Window::fixed(1);
    fill(&mut window, us(0));
    window.answered(1, us(100));
    for probe in 2..20 {
        // Each answer takes 300 ms from here on, though the place is free after a while.
        let sent = us(1_000_000 * probe);
        assert_eq!(fill(&mut window, sent), 1);
        let came = sent + us(300_000);
        let freed = window.free(came);
        window.answered(probe, came);
        assert_eq!(window.free(came), 1);
        assert!(freed == 0 || probe < 10, "probe {probe} was not waited for");
    }
}

/// A flood over a path that takes so long and so many a second, for so long: how many it answers in the last second,
/// and the most places there were. What the path does not take at once waits in it.
fn over_path(trip: Duration, per_second: u64, lasts: Duration) -> (usize, usize) {
    let mut window = Window::for_size(64, Host::Other);
    let between = Duration::from_secs(1) / u32::try_from(per_second).unwrap();
    let mut arrivals: VecDeque<(Duration, u64)> = VecDeque::new();
    let (mut now, mut is_free_at) = (us(1), us(1));
    let (mut sent, mut late_answers, mut most) = (0, 0, 0);
    while now < lasts {
        for _ in 0..window.free(now) {
            window.sent(now, true);
            sent += 1;
            is_free_at = is_free_at.max(now) + between;
            arrivals.push_back((is_free_at + trip, sent));
        }
        most = most.max(window.places());
        let (at, seq) = arrivals.pop_front().unwrap();
        now = at;
        window.answered(seq, now);
        late_answers += usize::from(now + Duration::from_secs(1) >= lasts);
    }
    (late_answers, most)
}

#[test]
fn a_long_path_is_filled_and_no_queue_is_longer_than_it() {
    let trip = Duration::from_millis(50);
    let (answers, most) = over_path(trip, 100_000, Duration::from_secs(3));
    assert!((95_000..=100_100).contains(&answers), "{answers}");
    // 5,000 are under way.
    assert!((5_000..=11_000).contains(&most), "{most}");
}

#[test]
fn a_short_path_is_never_given_more_than_buffers_hold() {
    let (answers, most) = over_path(us(100), 500_000, Duration::from_secs(2));
    assert!((490_000..=500_100).contains(&answers), "{answers}");
    assert_eq!(most, 178);
    assert_eq!(
        over_path(Duration::from_secs(2), 50_000, Duration::from_secs(60)).1,
        MOST_PLACES
    );
}

/// Fills the window again and again for so long, and each time all that was sent is answered 100 us later, so many in a
/// buffer. Tells how many places there are then.
fn places_after(window: &mut Window, sent: &mut u64, now: &mut Duration, each: usize) -> usize {
    for _ in 0..100 {
        let some = fill(window, *now);
        *now += us(100);
        for _ in 0..some {
            *sent += 1;
            window.answered(*sent, *now);
        }
        (0..some / each).for_each(|_| window.came(each));
    }
    window.places()
}

#[test]
fn bursts_that_stay_together_have_twice_the_room_at_a_hii_server_until_something_is_lost() {
    for (host, narrow, wide) in [(Host::Hii, 356, 712), (Host::Other, 178, 178)] {
        let mut window = Window::for_size(64, host);
        let (mut sent, mut now) = (1, us(1));
        // The path is short: most of a round trip is waiting.
        window.sent(now, true);
        window.answered(1, now + us(10));
        // A few may come in one buffer where all are sent one by one.
        for (each, places) in [
            (1, narrow),
            (4, narrow),
            (64, wide),
            (1, narrow),
            (64, wide),
        ] {
            let found = places_after(&mut window, &mut sent, &mut now, each);
            assert_eq!(found, places, "{host:?} {each}");
        }
        // A host that is busy loses nothing.
        window.sent(now, true);
        sent += 1;
        now += us(20_000);
        window.free(now);
        assert_eq!(places_after(&mut window, &mut sent, &mut now, 64), wide);
        // A probe that later ones overtake is lost.
        window.sent(now, true);
        window.sent(now, true);
        sent += 2;
        window.answered(sent, now + us(10));
        now += us(20_000);
        window.free(now);
        assert_eq!(places_after(&mut window, &mut sent, &mut now, 64), narrow);
    }
}

#[test]
fn a_window_of_the_user_s_stays() {
    let mut window = Window::fixed(1000);
    for round in 0..100 {
        let now = Duration::from_millis(50) * round;
        window.came(1000);
        fill(&mut window, now);
        let answered = u64::from(round) * 1000;
        (1..=1000).for_each(|seq| window.answered(answered + seq, now + us(40_000)));
        assert_eq!(window.places(), 1000);
    }
}

#[test]
fn places_fit_into_the_part_of_a_buffer_that_is_never_held_back() {
    for (size, ordinary, large) in [
        (1, 178, 356),
        (64, 178, 356),
        (128, 156, 312),
        (1_400, 44, 89),
        (65_507, 1, 2),
    ] {
        let places = [Host::Other, Host::Hii].map(|host| Window::places_for(size, host));
        assert_eq!(places, [ordinary, large], "{size}");
    }
}

#[test]
fn memory_is_bounded_though_nothing_is_answered() {
    let mut window = Window::fixed(1 << 16);
    for round in 0..10_u64 {
        let now = Duration::from_secs(2 * round);
        assert_eq!(fill(&mut window, now), 1 << 16);
        assert!(window.flights.len() <= MOST_FLIGHTS);
    }
    // Once no answer can be learned from, none is remembered.
    window.free(Duration::from_secs(60));
    assert!(window.flights.is_empty());
}

proptest! {
    /// Against a plain recomputation: never more in flight than there are places, and each answer frees its own.
    #[test]
    fn counts_the_places_of_probes_neither_answered_nor_given_up(
        places in 1..40_usize,
        steps in prop::collection::vec((0..3_000_u64, 0..60_u64, any::<bool>()), 1..300),
    ) {
        let mut window = Window::fixed(places);
        let mut now = Duration::ZERO;
        let mut sent = 0_u64;
        let mut open: BTreeSet<u64> = BTreeSet::new();
        for (pass, back, is_answer) in steps {
            now += us(pass);
            if is_answer {
                let seq = (sent + 1).saturating_sub(back);
                window.answered(seq, now);
                open.remove(&seq);
            }
            let free = window.free(now);
            prop_assert!(free <= places);
            // What was given up meanwhile is what makes up the rest.
            prop_assert!(places - free <= open.len());
            prop_assert!(places - free == open.len() || window.trip.is_some() || now >= SILENT_AT_FIRST);
            if back % 2 == 0 && free > 0 {
                window.sent(now, true);
                sent += 1;
                open.insert(sent);
            }
            // What is due to be free is free.
            if let Some(release) = window.next_release() {
                prop_assert!(release > now);
            }
        }
    }
}
