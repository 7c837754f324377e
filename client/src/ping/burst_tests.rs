//! The thread's work, without the thread.

use std::net::{Ipv4Addr, UdpSocket};
use std::num::NonZeroU32;

use hii_protocol::ping::Run;
use hii_transport::udp;

use super::*;

#[test]
fn what_came_one_by_one_is_taken_before_more_goes_out() {
    let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let socket = udp::connect(peer.local_addr().unwrap()).unwrap();
    peer.connect(socket.local_addr().unwrap()).unwrap();
    let line = BurstLine {
        socket: BurstSocket::new(socket, false).unwrap(),
        method: Method::Numbered(Run(1)),
        size: ProbeSize::new(64).unwrap(),
        clock: Clock::start(),
        precise: false,
    };
    let schedule = Schedule::at_rate(Some(1000), NonZeroU32::new(1_000_000).unwrap());
    let (events, inbox) = channel();
    let stage = Stage::default();
    let mut bursts = Bursts::new(&line, schedule, Teller::new(events), &stage);
    // As many as go out at a time where a sender is behind.
    for _ in 0..MOST_SEGMENTS {
        peer.send(b"an answer").unwrap();
    }
    assert!(bursts.receive_all());
    assert!(bursts.tell());
    let Ok(Event::Batch(mut batch)) = inbox.try_recv() else {
        panic!("nothing was told");
    };
    assert_eq!(batch.drain().count(), MOST_SEGMENTS);
    assert!(!bursts.receive_all());
}
