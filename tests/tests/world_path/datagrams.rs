//! The path itself: sockets receive what the record says, in its order.

use std::io::IoSlice;
use std::os::fd::AsRawFd as _;
use std::thread;
use std::time::{Duration, Instant};

use hii_tests::tun_path::{Damage, Direction, End, Fate, Pick, Plan, Reordering, TunPath};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use crate::sockets::{Sockets, payload, payloads};

const DIRECTIONS: [Direction; 2] = [Direction::Forward, Direction::Return];

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A plan that does everything to some packets.
fn everything() -> Plan {
    Plan::default()
        .delay(ms(5))
        .jitter(ms(3))
        .loss(Pick::Share(0.05))
        .duplication(Pick::Share(0.05))
        .damage(Pick::Share(0.05), Damage::Payload)
        .reordering(Pick::Share(0.05), Reordering::WithoutDelay)
}

#[test]
#[ignore = "needs network namespaces and a TUN device"]
fn sockets_receive_what_the_record_says() {
    const SENT: u32 = 5000;
    for ip in [End::v4, End::v6] {
        let in_order = Plan::default()
            .jitter_in_order(ms(3))
            .loss(Pick::Every(10))
            .damage(Pick::Every(7), Damage::Checksum)
            .reordering(Pick::Every(9), Reordering::Overtaken(3));
        let Some(path) = TunPath::start(everything(), in_order) else {
            return;
        };
        let sockets = Sockets::new(&path, ip);
        for number in 0..SENT {
            for direction in DIRECTIONS {
                sockets
                    .sender(direction)
                    .send(payload(number).as_bytes())
                    .unwrap();
            }
            if number % 20 == 0 {
                thread::sleep(ms(1));
            }
        }
        let record = path.finish();
        for direction in DIRECTIONS {
            // Nothing else was sent.
            assert_eq!(record.passages(direction).count(), SENT as usize);
            let sent = payloads(record.datagrams(direction));
            assert_eq!(sent, (0..SENT).map(payload).collect::<Vec<_>>());
            let received = sockets.received(direction);
            assert_eq!(received, payloads(record.arrivals(direction)));
            assert_ne!(received, sent);
            for passage in record.datagrams(direction) {
                let is_delivered = matches!(passage.fate, Fate::Delivered | Fate::Damaged);
                assert_eq!(!passage.deliveries.is_empty(), is_delivered, "{passage:?}");
                for delivery in &passage.deliveries {
                    assert!(passage.entered <= delivery.due, "{passage:?}");
                    assert!(delivery.due <= delivery.left, "{passage:?}");
                }
            }
            let count = |fate| record.count(direction, fate);
            let [lost, damaged, delivered] =
                [Fate::Lost, Fate::Damaged, Fate::Delivered].map(count);
            assert_eq!(lost + damaged + delivered, SENT as usize);
            if direction == Direction::Return {
                // Every tenth, and of the others every seventh.
                assert_eq!([lost, damaged], [500, 714 - 71]);
                assert_eq!(received.len(), delivered);
            } else {
                assert!(
                    [lost, damaged, received.len() - delivered]
                        .into_iter()
                        .all(|n| n > 100)
                );
            }
        }
    }
}

#[test]
#[ignore = "needs network namespaces and a TUN device"]
fn delay_is_never_shorter_than_planned() {
    const SENT: u32 = 10_000;
    for per_second in [2000, 20_000] {
        let plan = || Plan::default().delay(ms(20)).jitter_in_order(ms(10));
        let Some(path) = TunPath::start(plan(), Plan::default()) else {
            return;
        };
        let sockets = Sockets::new(&path, End::v4);
        let start = Instant::now();
        for number in 0..SENT {
            let due = start + number * Duration::from_secs(1) / per_second;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            sockets
                .sender(Direction::Forward)
                .send(payload(number).as_bytes())
                .unwrap();
        }
        let record = path.finish();
        for passage in record.datagrams(Direction::Forward) {
            assert!(passage.time_on_path() >= Some(ms(20)), "{passage:?}");
        }
        let errors = record.delay_errors(Direction::Forward);
        assert_eq!(errors.len(), SENT as usize);
        let [median, p99] = [50, 99].map(|percent| errors[errors.len() * percent / 100]);
        eprintln!("{per_second}/s: late by {median:?} (median), {p99:?} (p99)");
    }
}

#[test]
#[ignore = "needs network namespaces and a TUN device"]
fn gso_batch_passes_as_single_packets() {
    let plan = Plan::default().loss(Pick::matching(|payload| payload.starts_with(b"7 ")));
    let Some(path) = TunPath::start(plan, Plan::default()) else {
        return;
    };
    for ip in [End::v4, End::v6] {
        let sockets = Sockets::new(&path, ip);
        let batch: Vec<_> = (0..40)
            .map(|number| format!("{number} {:<98}", "x")[..100].to_owned())
            .collect();
        let octets = batch.concat();
        let sender = sockets.sender(Direction::Forward).as_raw_fd();
        sendmsg::<()>(
            sender,
            &[IoSlice::new(octets.as_bytes())],
            &[ControlMessage::UdpGsoSegments(&100)],
            MsgFlags::empty(),
            None,
        )
        .unwrap();
        let begun = Instant::now();
        let mut received = Vec::new();
        while received.len() < 39 && begun.elapsed() < Duration::from_secs(30) {
            received.extend(sockets.received(Direction::Forward));
        }
        let expected = batch.iter().filter(|payload| !payload.starts_with("7 "));
        assert_eq!(received, expected.cloned().collect::<Vec<_>>());
    }
    let record = path.finish();
    assert_eq!(record.count(Direction::Forward, Fate::Delivered), 78);
    assert_eq!(record.count(Direction::Forward, Fate::Lost), 2);
}
