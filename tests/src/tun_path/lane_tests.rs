//! What becomes of packets, with times passed in.

use etherparse::PacketBuilder;

use super::*;
use crate::tun_path::{Damage, TooBig};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The headers that a packet takes beside its payload.
const HEADERS: usize = 28;

fn packet(payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4([203, 0, 113, 1], [203, 0, 113, 2], 64)
        .udp(1000, 2000)
        .write(&mut packet, payload)
        .unwrap();
    packet
}

/// Takes packets numbered from 0 that come at these times, with payloads of this length.
fn take(lane: &mut Lane, times: impl IntoIterator<Item = Duration>, len: usize) -> Vec<Fate> {
    let packet = packet(&vec![b'x'; len]);
    let headers = Headers::parse(&packet).unwrap();
    let times = times.into_iter().enumerate();
    times
        .map(|(index, now)| {
            let packet = packet.clone();
            lane.take(now, &headers, Parcel { index, packet })
        })
        .collect()
}

/// The packets that leave, and when they are due.
fn leaving(lane: &mut Lane) -> Vec<(usize, Duration)> {
    let pop = || lane.pop_due(Duration::MAX);
    std::iter::from_fn(pop)
        .map(|(due, parcel)| (parcel.index, due))
        .collect()
}

/// The order in which packets leave that come a millisecond apart.
fn order(plan: Plan, packets: u64) -> Vec<usize> {
    let mut lane = Lane::new(plan, 1);
    take(&mut lane, (0..packets).map(ms), 10);
    leaving(&mut lane)
        .into_iter()
        .map(|(index, _)| index)
        .collect()
}

#[test]
fn delay_is_added_to_each_packet() {
    let mut lane = Lane::new(Plan::default().delay(ms(20)), 1);
    assert_eq!(lane.next_due(), None);
    take(&mut lane, [ms(0), ms(5)], 10);
    assert_eq!(lane.next_due(), Some(ms(20)));
    assert_eq!(lane.pop_due(ms(19)), None);
    assert_eq!(leaving(&mut lane), [(0, ms(20)), (1, ms(25))]);
}

#[test]
fn jitter_is_uniform_and_moves_packets_unless_order_is_kept() {
    let mut lane = Lane::new(Plan::default().delay(ms(10)).jitter(ms(20)), 1);
    take(&mut lane, std::iter::repeat_n(ms(0), 10_000), 10);
    let left = leaving(&mut lane);
    assert!(left.iter().all(|(_, due)| (ms(10)..=ms(30)).contains(due)));
    for quarter in 0..4 {
        let from = ms(10 + 5 * quarter);
        let there = left
            .iter()
            .filter(|(_, due)| (from..from + ms(5)).contains(due));
        let there = there.count();
        assert!((2300..2700).contains(&there), "{there} in {quarter}");
    }
    assert!(!left.is_sorted());

    let mut lane = Lane::new(Plan::default().delay(ms(10)).jitter_in_order(ms(20)), 1);
    take(&mut lane, (0..1000).map(ms), 10);
    let left = leaving(&mut lane);
    assert!(left.is_sorted());
    for (index, due) in left {
        let came = ms(index.try_into().unwrap());
        assert!((came + ms(10)..=came + ms(30)).contains(&due), "{index}");
    }
}

#[test]
fn lost_packet_does_not_leave() {
    let plan = Plan::default().loss(Pick::Every(3));
    let mut lane = Lane::new(plan, 1);
    let fates = take(&mut lane, [ms(0); 4], 10);
    let kept = Fate::Delivered;
    assert_eq!(fates, [kept, kept, Fate::Lost, kept]);
    let left: Vec<_> = leaving(&mut lane)
        .into_iter()
        .map(|(index, _)| index)
        .collect();
    assert_eq!(left, [0, 1, 3]);
}

#[test]
fn duplicated_packet_leaves_twice() {
    let plan = Plan::default().duplication(Pick::Numbers(1..2));
    assert_eq!(order(plan, 3), [0, 1, 1, 2]);
}

#[test]
fn reordered_packets() {
    let plan = |how| {
        let plan = Plan::default().delay(ms(5));
        plan.reordering(Pick::Numbers(4..5), how)
    };
    assert_eq!(order(plan(Reordering::WithoutDelay), 6), [4, 0, 1, 2, 3, 5]);
    assert_eq!(
        order(plan(Reordering::Overtaken(1)), 8),
        [0, 1, 2, 3, 5, 4, 6, 7]
    );
    assert_eq!(
        order(plan(Reordering::Overtaken(2)), 8),
        [0, 1, 2, 3, 5, 6, 4, 7]
    );
    assert_eq!(
        order(plan(Reordering::Overtaken(9)), 8),
        [0, 1, 2, 3, 5, 6, 7, 4]
    );
}

#[test]
fn overtaken_packets_in_a_row_keep_their_order() {
    let plan = Plan::default().reordering(Pick::Numbers(1..3), Reordering::Overtaken(2));
    assert_eq!(order(plan, 6), [0, 3, 4, 1, 2, 5]);
}

#[test]
fn packet_that_too_few_overtake_leaves_in_the_end() {
    let plan = Plan::default()
        .delay(ms(5))
        .reordering(Pick::Every(1), Reordering::Overtaken(1));
    let mut lane = Lane::new(plan, 1);
    take(&mut lane, [ms(0)], 10);
    assert_eq!(leaving(&mut lane), [(0, ms(5) + OVERTAKEN_WITHIN)]);
    assert_eq!(lane.overtaken, []);
}

#[test]
fn damaged_packet_differs_in_one_bit() {
    let plan = Plan::default().damage(Pick::Every(1), Damage::Payload);
    let mut lane = Lane::new(plan, 1);
    assert_eq!(take(&mut lane, [ms(0)], 10), [Fate::Damaged]);
    let (_, parcel) = lane.pop_due(ms(0)).unwrap();
    let whole = packet(&[b'x'; 10]);
    assert_eq!(parcel.packet[..HEADERS], whole[..HEADERS]);
    assert_ne!(parcel.packet[HEADERS..], whole[HEADERS..]);
}

#[test]
fn packet_over_the_mtu_is_too_big() {
    let plan = Plan::default().mtu(1000, TooBig::Silent);
    let mut lane = Lane::new(plan, 1);
    assert_eq!(take(&mut lane, [ms(0)], 1000 - HEADERS), [Fate::Delivered]);
    assert_eq!(take(&mut lane, [ms(0)], 1001 - HEADERS), [Fate::TooBig]);
    assert_eq!(leaving(&mut lane).len(), 1);
}

#[test]
fn blackouts_lose_all_that_comes() {
    let plan = Plan::default()
        .blackout(ms(1)..ms(3))
        .blackout(ms(4)..ms(5));
    assert_eq!(order(plan, 7), [0, 3, 5, 6]);
}

#[test]
fn link_sends_one_packet_after_the_other_and_its_queue_is_finite() {
    // A packet of 100 bytes takes 10 ms.
    for room in [Room::Packets(2), Room::Bytes(200)] {
        let plan = Plan::default().delay(ms(1)).rate(80_000, room);
        let mut lane = Lane::new(plan, 1);
        let times = [0, 0, 0, 0, 9, 10, 10, 100].map(ms);
        let fates = take(&mut lane, times, 100 - HEADERS);
        let [kept, full] = [Fate::Delivered, Fate::QueueFull];
        assert_eq!(fates, [kept, kept, kept, full, full, kept, full, kept]);
        let left = leaving(&mut lane);
        let expected = [(0, 11), (1, 21), (2, 31), (5, 41), (7, 111)];
        assert_eq!(left, expected.map(|(index, due)| (index, ms(due))));
    }
}

#[test]
fn choice_of_packets_depends_on_the_seed_alone() {
    let lost = |seed, jitter| {
        let plan = Plan::default().loss(Pick::Share(0.5)).jitter(jitter);
        let mut lane = Lane::new(plan, seed);
        take(&mut lane, [ms(0); 100], 10)
    };
    assert_eq!(lost(1, ms(0)), lost(1, ms(5)));
    assert_ne!(lost(1, ms(0)), lost(2, ms(0)));
}
