//! The loop that runs a datagram service: receive, let the service decide, send what is due.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;
use std::time::Duration;

use tokio::net::UdpSocket;

use crate::clock::{Clock, Now};
use crate::packet_info::{self, send};
use crate::timer::Timer;
use crate::udp::{BUFFER_LEN, canonical};

/// Datagrams taken in a row before the loop looks at what is due and whether to stop.
const BATCH: usize = 64;

/// Where a datagram came from, or where one goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Answer the sender, then stop.
    AnswerAndStop(A),
}

/// A service's decisions, without sockets: octets, sender and time in; answers out.
pub trait Service {
    /// An answer, written when it is sent.
    type Answer;

    /// Decides what to do with a datagram.
    fn handle(&mut self, datagram: &[u8], from: Peer, now: Now) -> Effect<Self::Answer>;

    /// When the next delayed answer is due, on the clock of `now`.
    fn next_due(&self) -> Option<Duration>;

    /// The next delayed answer, when it is due.
    fn take_due(&mut self, now: Duration) -> Option<(Peer, Self::Answer)>;

    /// Writes an answer at the start of `buffer` and returns its length.
    fn write(&mut self, answer: &Self::Answer, now: Duration, buffer: &mut [u8]) -> usize;

    /// Learns whether the answer just written went out.
    fn sent(&mut self, result: &io::Result<usize>);
}

/// Runs a service on its sockets until it stops itself or `stop` completes.
///
/// # Errors
/// The runtime has no timer. Errors of single datagrams do not end the loop.
pub async fn serve<S: Service>(
    sockets: &[UdpSocket],
    service: &mut S,
    clock: &Clock,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let timer = Timer::new()?;
    let mut sender = Sender {
        sockets: sockets
            .iter()
            .map(|socket| (socket, takes_ipv6(socket)))
            .collect(),
        clock,
        buffer: vec![0; BUFFER_LEN],
    };
    let mut inlet = Inlet::new(sockets);
    let mut stop = std::pin::pin!(stop);
    loop {
        let wait = service
            .next_due()
            .map(|due| due.saturating_sub(clock.elapsed()));
        tokio::select! {
            () = &mut stop => return Ok(()),
            () = timer.wait(wait) => {}
            first = inlet.receive() => {
                let mut next = Some(first);
                let mut left = BATCH;
                while let Some((peer, len)) = next {
                    match service.handle(inlet.datagram(len), peer, clock.now()) {
                        Effect::Nothing => {}
                        Effect::Answer(answer) => sender.send(service, peer, &answer),
                        Effect::AnswerAndStop(answer) => {
                            sender.send(service, peer, &answer);
                            return Ok(());
                        }
                    }
                    left -= 1;
                    next = if left > 0 { inlet.try_receive() } else { None };
                }
                if left == 0 {
                    // Under a flood, whatever else runs here gets its turn too.
                    tokio::task::yield_now().await;
                }
            }
        }
        for _ in 0..BATCH {
            let Some((peer, answer)) = service.take_due(clock.elapsed()) else {
                break;
            };
            sender.send(service, peer, &answer);
        }
    }
}

struct Sender<'a> {
    /// Each socket, and whether it speaks IPv6.
    sockets: Vec<(&'a UdpSocket, bool)>,
    clock: &'a Clock,
    buffer: Vec<u8>,
}

impl Sender<'_> {
    fn send<S: Service>(&mut self, service: &mut S, to: Peer, answer: &S::Answer) {
        let len = service.write(answer, self.clock.elapsed(), &mut self.buffer);
        let datagram = self.buffer.get(..len).unwrap_or_default();
        let result = match self.sockets.get(to.socket) {
            // Waiting for room would delay everybody else: a full send buffer costs this answer.
            Some((socket, true)) => send(socket, datagram, as_ipv6(to.address), to.asked),
            Some((socket, false)) => send(socket, datagram, to.address, to.asked),
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        if let Err(error) = &result {
            tracing::debug!(to = %to.address, %error, "answer not sent");
        }
        service.sent(&result);
    }
}

fn takes_ipv6(socket: &UdpSocket) -> bool {
    socket.local_addr().is_ok_and(|local| local.is_ipv6())
}

/// The address as a dual-stack socket wants it.
fn as_ipv6(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
        v6 @ SocketAddr::V6(_) => v6,
    }
}

/// Receives on several sockets in turn, so that none of them keeps the others waiting.
struct Inlet<'a> {
    sockets: &'a [UdpSocket],
    /// The socket whose turn it is.
    turn: usize,
    buffer: Vec<u8>,
}

impl<'a> Inlet<'a> {
    fn new(sockets: &'a [UdpSocket]) -> Self {
        for socket in sockets {
            packet_info::ask(socket);
        }
        Self {
            sockets,
            turn: 0,
            buffer: vec![0; BUFFER_LEN],
        }
    }

    /// Waits for a datagram on any socket. It stays in the buffer.
    async fn receive(&mut self) -> (Peer, usize) {
        poll_fn(|context| {
            loop {
                if let Some(received) = self.try_receive() {
                    return Poll::Ready(received);
                }
                // Registers for each socket; one that became ready meanwhile is tried at once.
                let mut ready = |socket: &UdpSocket| socket.poll_recv_ready(context).is_ready();
                if self.sockets.iter().filter(|socket| ready(socket)).count() == 0 {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// A datagram that is there already, from the socket whose turn it is if it has one.
    fn try_receive(&mut self) -> Option<(Peer, usize)> {
        for step in 0..self.sockets.len() {
            let index = (self.turn + step) % self.sockets.len();
            let socket = self.sockets.get(index)?;
            match packet_info::receive(socket, &mut self.buffer) {
                Ok(received) => {
                    self.turn = index + 1;
                    let peer = Peer {
                        address: canonical(received.from),
                        socket: index,
                        asked: received.to,
                    };
                    return Some((peer, received.len));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // An error of an earlier send: the next look finds what is there.
                Err(error) => tracing::debug!(%error, "receive"),
            }
        }
        None
    }

    fn datagram(&self, len: usize) -> &[u8] {
        self.buffer.get(..len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::udp;

    /// Counts datagrams until it is told to stop.
    struct Counts(usize);

    impl Service for Counts {
        type Answer = ();

        fn handle(&mut self, datagram: &[u8], _: Peer, _: Now) -> Effect<()> {
            self.0 += 1;
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

        fn sent(&mut self, _: &io::Result<usize>) {}
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
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let mut counts = Counts(0);
        runtime
            .block_on(async {
                let sockets = [UdpSocket::from_std(socket).unwrap()];
                let never = std::future::pending();
                serve(&sockets, &mut counts, &Clock::start(), never).await
            })
            .unwrap();
        assert_eq!(counts.0, others + 1);
    }
}
