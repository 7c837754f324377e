//! The loop that runs a datagram service: receive, let the service decide, send what is due.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::time::Duration;

use crate::arrivals::Arrivals;
use crate::batch::{BatchSocket, Carriers};
use crate::clock::{Clock, Now};
use crate::outbox::Outbox;
use crate::packet_info::{Bound, PacketInfo};
use crate::stop::Stop;
use crate::traffic::Traffic;
use crate::waiting::{Alarm, Waiting};

pub use crate::batch::Sender;

/// Answers that are due sent in a row before the loop takes datagrams again.
const BATCH: usize = 64;

/// Rounds for what had come when the service was asked to stop. A flood does not keep it.
const LAST_ROUNDS: usize = 64;

/// Where a datagram came from, or where one goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// The other side; never an IPv4-mapped address.
    pub address: SocketAddr,
    /// Which of the service's sockets.
    pub socket: usize,
    /// The address of this host that the other side asked, where the socket has several and the platform tells it.
    pub asked: Option<IpAddr>,
}

/// What a service wants done with a datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect<A> {
    /// Nothing now.
    Nothing,
    /// Answer the sender.
    Answer(A),
    /// Send this to somebody else, and behind it this part of the datagram, before any answer.
    Forward(Peer, A, Range<usize>),
    /// Answer the sender, then stop.
    AnswerAndStop(A),
    /// Stop.
    Stop,
}

/// What becomes known of forwards once they were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt<A> {
    /// Who is told.
    pub to: Peer,
    /// What it is told.
    pub answer: A,
    /// How many of the forwards it is told for, from the first on.
    pub times: usize,
}

/// A service's decisions, without sockets: octets, sender and time in; answers out.
pub trait Service {
    /// An answer, written when it is sent.
    type Answer;

    /// What holds for every datagram of a train: of those that one peer sent, that came in a row and are decided about at
    /// one moment.
    type Train;

    /// Whether what is written tells the time: then each answer is written just before it goes, and not with others.
    const TELLS_TIME: bool = false;

    /// Begins a train of datagrams that arrived so, at this moment.
    fn train(&mut self, from: &PacketInfo, now: Now) -> Self::Train;

    /// The part of a datagram that goes where the last [`Effect::Forward`] went, behind what that begins with; without one
    /// before it, it goes nowhere. Where this is none, [`handle`](Self::handle) decides about the datagram, and else not: what
    /// was found of one message need not be found again.
    fn alike(&mut self, datagram: &[u8], train: &Self::Train) -> Option<Range<usize>> {
        let _ = (datagram, train);
        None
    }

    /// Decides what to do with a datagram.
    fn handle(&mut self, datagram: &[u8], train: &Self::Train) -> Effect<Self::Answer>;

    /// When the next delayed answer is due, on the clock of `now`.
    fn next_due(&self) -> Option<Duration>;

    /// The next delayed answer, when it is due.
    fn take_due(&mut self, now: Duration) -> Option<(Peer, Self::Answer)>;

    /// Writes an answer, or what a forward begins with, at the start of `buffer` and returns its length. What is alike in
    /// a row is written once, unless it tells the time.
    fn write(&mut self, answer: &Self::Answer, now: Duration, buffer: &mut [u8]) -> usize;

    /// Learns whether so many datagrams went out, at least one, that are an answer or begin so. What is to be answered to
    /// that goes with the other answers.
    fn sent(
        &mut self,
        answer: &Self::Answer,
        result: &io::Result<()>,
        times: usize,
    ) -> Option<Receipt<Self::Answer>>;

    /// Is told that a round of datagrams is done, before the loop waits for more, and what the loop moved so far.
    fn round_done(&mut self, traffic: &Traffic) {
        let _ = traffic;
    }
}

/// Runs a service on its sockets, which are bound and do not block, on this thread, until it stops itself or is asked to by
/// `stop`. What had come until then is dealt with.
///
/// # Errors
/// There is no timer, a socket's options cannot be set, or a socket lets nothing be received for a while. Errors of single
/// datagrams and of destinations do not end the loop.
pub fn serve<S: Service>(
    sockets: Vec<UdpSocket>,
    service: &mut S,
    clock: &Clock,
    stop: &Stop,
) -> io::Result<()> {
    let sockets: Vec<_> = sockets
        .into_iter()
        .map(BatchSocket::new)
        .collect::<io::Result<_>>()?;
    let alarm = Alarm::new()?;
    let mut waiting = Waiting::new(sockets.iter().map(BatchSocket::get_ref), &alarm, stop);
    let mut round = Round {
        sockets: &sockets,
        arrivals: Arrivals::new(),
        outbox: Outbox::new(Carriers::new(&sockets, clock), clock),
        clock,
    };
    while !waiting.wait(service.next_due(), clock)? {
        if round.run(&waiting, service)? == Taken::Last {
            return Ok(());
        }
    }
    for _ in 0..LAST_ROUNDS {
        if waiting.ready().next().is_none() || round.run(&waiting, service)? == Taken::Last {
            break;
        }
        waiting.wait(Some(Duration::ZERO), clock)?;
    }
    Ok(())
}

/// What the loop has from round to round.
struct Round<'a, S: Service> {
    sockets: &'a [BatchSocket],
    arrivals: Arrivals,
    outbox: Outbox<'a, S>,
    clock: &'a Clock,
}

/// What a round took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Some,
    /// The one that stops the service, and maybe others before.
    Last,
}

impl<S: Service> Round<'_, S> {
    /// Lets the service decide about what has come, and sends what there is to send.
    fn run(&mut self, waiting: &Waiting<'_>, service: &mut S) -> io::Result<Taken> {
        let taken = self.take(waiting, service)?;
        let came = self.arrivals.octets();
        take_due(service, &mut self.outbox, self.clock, came);
        self.outbox.flush(service, came);
        service.round_done(self.outbox.traffic());
        Ok(taken)
    }

    /// Each socket has its turn, so that none of them keeps the others waiting.
    fn take(&mut self, waiting: &Waiting<'_>, service: &mut S) -> io::Result<Taken> {
        for index in waiting.ready() {
            let Some(socket) = self.sockets.get(index) else {
                continue;
            };
            if !socket.receive(&mut self.arrivals, self.clock)? {
                continue;
            }
            let taken = self.handle(service, index, socket.bound());
            // What is passed on is kept where the next socket's datagrams go.
            self.outbox.flush(service, self.arrivals.octets());
            if taken == Taken::Last {
                return Ok(taken);
            }
        }
        Ok(Taken::Some)
    }

    /// Lets the service decide about each datagram of one socket.
    fn handle(&mut self, service: &mut S, socket: usize, bound: Bound) -> Taken {
        let now = self.clock.now();
        let came = self.arrivals.octets();
        let outbox = &mut self.outbox;
        let mut taken = 0;
        let mut train: Option<(PacketInfo, S::Train)> = None;
        for arrival in self.arrivals.buffers() {
            let info = PacketInfo {
                source: arrival.source,
                destination: arrival.destination,
                interface: arrival.interface,
                bound,
                socket,
            };
            let peer = info.peer();
            train = train.filter(|(of, _)| *of == info);
            let (_, train) = train.get_or_insert_with(|| (info, service.train(&info, now)));
            for (start, datagram) in arrival.with_places() {
                taken += 1;
                outbox.traffic().received.count(1, peer.address);
                let kept = |part: Range<usize>| start + part.start..start + part.end;
                if let Some(part) = service.alike(datagram, train) {
                    outbox.push_forward_alike(service, kept(part), came);
                } else {
                    match service.handle(datagram, train) {
                        Effect::Nothing => {}
                        Effect::Answer(answer) => outbox.push(service, peer, answer, came),
                        Effect::Forward(to, answer, part) => {
                            outbox.push_forward(service, to, answer, kept(part), came);
                        }
                        Effect::AnswerAndStop(answer) => {
                            outbox.push(service, peer, answer, came);
                            return Taken::Last;
                        }
                        Effect::Stop => return Taken::Last,
                    }
                }
                // What is due goes before the answers to what came later.
                if service.next_due().is_some_and(|due| due <= now.monotonic) {
                    take_due(service, outbox, self.clock, came);
                }
            }
        }
        outbox.traffic().received.called(taken);
        Taken::Some
    }
}

fn take_due<S: Service>(service: &mut S, outbox: &mut Outbox<'_, S>, clock: &Clock, came: &[u8]) {
    for _ in 0..BATCH {
        let Some((peer, answer)) = service.take_due(clock.elapsed()) else {
            break;
        };
        outbox.push(service, peer, answer, came);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::stop::stopper;
    use crate::udp;

    /// Keeps each datagram with the number of its train, until it is told to stop.
    #[derive(Default)]
    struct Trains {
        begun: usize,
        infos: Vec<PacketInfo>,
        datagrams: Vec<(usize, Vec<u8>)>,
    }

    impl Service for Trains {
        type Answer = ();
        type Train = usize;

        fn train(&mut self, info: &PacketInfo, _: Now) -> usize {
            self.begun += 1;
            self.infos.push(*info);
            self.begun
        }

        fn handle(&mut self, datagram: &[u8], train: &usize) -> Effect<()> {
            self.datagrams.push((*train, datagram.to_vec()));
            match datagram {
                b"stop" => Effect::AnswerAndStop(()),
                _ => Effect::Nothing,
            }
        }

        fn next_due(&self) -> Option<Duration> {
            None
        }

        fn take_due(&mut self, _: Duration) -> Option<(Peer, ())> {
            None
        }

        fn write(&mut self, (): &(), _: Duration, _: &mut [u8]) -> usize {
            0
        }

        fn sent(&mut self, (): &(), _: &io::Result<()>, _: usize) -> Option<Receipt<()>> {
            None
        }
    }

    // Elsewhere one datagram is taken at a time, and this host has one address.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_train_is_what_one_sender_sends_in_a_row_to_one_address() {
        let socket = udp::listen((Ipv4Addr::UNSPECIFIED, 0).into()).unwrap();
        let port = socket.local_addr().unwrap().port();
        let senders = [(); 2].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let mut expected = Vec::new();
        let mut send = |sender: usize, host: u8, train: usize, text: &str| {
            let to = (Ipv4Addr::new(127, 0, 0, host), port);
            senders[sender].send_to(text.as_bytes(), to).unwrap();
            expected.push((train, text.as_bytes().to_vec()));
        };
        // After a rest, what comes first is taken alone.
        send(1, 1, 1, "alone");
        send(0, 1, 2, "a");
        send(0, 1, 2, "b");
        send(1, 1, 3, "c");
        send(0, 1, 4, "d");
        // Its answers come from there.
        send(0, 2, 5, "e");
        send(0, 2, 5, "stop");
        let (_stopper, stop) = stopper().unwrap();
        let mut trains = Trains::default();
        serve(vec![socket], &mut trains, &Clock::start(), &stop).unwrap();
        assert_eq!(trains.datagrams, expected);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_arrived_before_the_loop_began_reports_its_destination_and_interface() {
        for socket in [
            udp::listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap(),
            udp::listen_everywhere(0).unwrap(),
        ] {
            let port = socket.local_addr().unwrap().port();
            let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            sender
                .send_to(b"stop", (Ipv4Addr::LOCALHOST, port))
                .unwrap();
            let (_stopper, stop) = stopper().unwrap();
            let mut trains = Trains::default();
            serve(vec![socket], &mut trains, &Clock::start(), &stop).unwrap();
            let info = trains.infos[0];
            let destination = info.destination.map(|ip| ip.to_canonical());
            assert_eq!(destination, Some(Ipv4Addr::LOCALHOST.into()));
            assert!(info.interface.is_some_and(|index| index > 0), "{info:?}");
        }
    }

    #[test]
    fn every_datagram_of_several_batches_is_handled() {
        let others = 3 * BATCH;
        let socket = udp::listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let sender = udp::connect(socket.local_addr().unwrap()).unwrap();
        // All are there before the first is looked at.
        for _ in 0..others {
            sender.send(b"go on").unwrap();
        }
        sender.send(b"stop").unwrap();
        let (_stopper, stop) = stopper().unwrap();
        let mut trains = Trains::default();
        serve(vec![socket], &mut trains, &Clock::start(), &stop).unwrap();
        assert_eq!(trains.datagrams.len(), others + 1);
    }
}
