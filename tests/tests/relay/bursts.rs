//! What comes many at a time.

use std::io::IoSlice;
use std::os::fd::AsRawFd as _;

use hii_tests::programs::{finish, signal};
use nix::sys::signal::Signal;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use crate::peers::{Peer, SENT, Udp};
use crate::{count, relay, relay_that_logs, tally};

/// Messages in a burst.
const EACH: usize = 30;

/// Sends frames of one length in one system call: the relay gets them at once.
fn send(from: &Udp, frames: &[String]) {
    let len = frames[0].len();
    assert!(frames.iter().all(|frame| frame.len() == len));
    let len = u16::try_from(len).unwrap();
    let together = [ControlMessage::UdpGsoSegments(&len)];
    let octets = frames.concat();
    let octets = [IoSlice::new(octets.as_bytes())];
    sendmsg::<()>(
        from.0.as_raw_fd(),
        &octets,
        &together,
        MsgFlags::empty(),
        None,
    )
    .unwrap();
}

#[test]
fn a_burst_arrives_as_its_messages_in_their_order() {
    let server = relay(&["--rate", "0"]);
    let mut senders = [(); 2].map(|()| Udp::of(server.address()));
    let mut receivers = [(); 2].map(|()| Udp::of(server.address()));
    for peer in senders.iter_mut().chain(&mut receivers) {
        peer.prove();
    }
    let [one, other] = receivers.each_ref().map(Udp::address);
    let mut rounds = 0;
    for _ in 0..2 {
        for (to, data, written) in [
            (&one, "content:", " ; content : "),
            (&one, "raw: ", " ; raw : "),
            (&other, "content:", " ; content : "),
        ] {
            let text = |n: usize, index: usize| format!("{n:03} of {index}");
            for (index, from) in senders.iter().enumerate() {
                let frames = (0..EACH).map(|n| format!("to:{to};{data}{}", text(n, index)));
                send(from, &frames.collect::<Vec<_>>());
            }
            let receiver = &mut receivers[usize::from(*to == other)];
            let heard: Vec<_> = (0..2 * EACH).map(|_| receiver.hear_text()).collect();
            for (index, from) in senders.iter_mut().enumerate() {
                let begins = format!("{}{written}", from.address());
                let of_it = heard.iter().filter_map(|text| text.strip_prefix(&begins));
                assert!(of_it.eq((0..EACH).map(|n| text(n, index))), "{heard:?}");
                for _ in 0..EACH {
                    assert_eq!(from.hear_text(), SENT);
                }
            }
            rounds += 1;
        }
    }
    assert!(senders.iter().chain(&receivers).all(Udp::has_nothing));
    let tally = tally(server);
    assert_eq!(count(&tally["forwarded"]), rounds * 2 * EACH as u64);
}

#[test]
fn the_log_tells_of_each_message_of_a_burst() {
    let (child, lines, address) = relay_that_logs(&[]);
    let mut udp = Udp::of(address);
    udp.greet();
    // Fewer than the lines of a second.
    let burst = vec![format!("to:{};content:private", udp.address()); 5];
    send(&udp, &burst);
    for _ in 0..2 * burst.len() {
        udp.hear();
    }
    signal(child.id(), Signal::SIGTERM);
    let log: Vec<_> = lines.map(Result::unwrap).collect();
    assert_eq!(finish(child).code, Some(0));
    let to = format!("to={} ", udp.address());
    let of_burst = log
        .iter()
        .filter(|line| line.contains("passed on") && line.contains(&to));
    assert_eq!(of_burst.count(), burst.len(), "{log:?}");
    assert!(!log.iter().any(|line| line.contains("private")), "{log:?}");
}
