//! The loop that runs a datagram service: receive, let the service decide, send what is due.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

use crate::clock::{Clock, Now};
use crate::timer::Timer;
use crate::udp::{MAX_DATAGRAM, canonical};

/// Datagrams taken in a row before the loop looks at what is due and whether to stop.
const BATCH: usize = 64;

/// Where a datagram came from, or where one goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Peer {
    /// The other side; never an IPv4-mapped address.
    pub address: SocketAddr,
    /// Which of the service's sockets.
    pub socket: usize,
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

    /// Learns whether an answer went out.
    fn sent(&mut self, answer: &Self::Answer, result: &io::Result<usize>);

    /// Is told that a round of datagrams is done, before the loop waits for more.
    fn round_done(&mut self) {}
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
        buffer: vec![0; MAX_DATAGRAM],
    };
    let mut buffer = vec![0; MAX_DATAGRAM];
    let mut stop = std::pin::pin!(stop);
    loop {
        let wait = service
            .next_due()
            .map(|due| due.saturating_sub(clock.elapsed()));
        tokio::select! {
            () = &mut stop => return Ok(()),
            () = timer.wait(wait) => {}
            first = receive(sockets, &mut buffer) => {
                let mut next = Some(first);
                for _ in 0..BATCH {
                    let Some((peer, len)) = next else { break };
                    let datagram = buffer.get(..len).unwrap_or_default();
                    let now = clock.now();
                    match service.handle(datagram, peer, now) {
                        Effect::Nothing => {}
                        Effect::Answer(answer) => sender.send(service, peer, &answer),
                        Effect::AnswerAndStop(answer) => {
                            sender.send(service, peer, &answer);
                            return Ok(());
                        }
                    }
                    // What is due goes before the answers to what came later.
                    if service.next_due().is_some_and(|due| due <= now.monotonic) {
                        sender.send_due(service);
                    }
                    next = try_receive(sockets, &mut buffer);
                }
            }
        }
        sender.send_due(service);
        service.round_done();
    }
}

struct Sender<'a> {
    /// Each socket, and whether it speaks IPv6.
    sockets: Vec<(&'a UdpSocket, bool)>,
    clock: &'a Clock,
    buffer: Vec<u8>,
}

impl Sender<'_> {
    fn send_due<S: Service>(&mut self, service: &mut S) {
        for _ in 0..BATCH {
            let Some((peer, answer)) = service.take_due(self.clock.elapsed()) else {
                break;
            };
            self.send(service, peer, &answer);
        }
    }

    fn send<S: Service>(&mut self, service: &mut S, to: Peer, answer: &S::Answer) {
        let len = service.write(answer, self.clock.elapsed(), &mut self.buffer);
        let datagram = self.buffer.get(..len).unwrap_or_default();
        let result = match self.sockets.get(to.socket) {
            // Waiting for room would delay everybody else: a full send buffer costs this answer.
            Some((socket, true)) => socket.try_send_to(datagram, as_ipv6(to.address)),
            Some((socket, false)) => socket.try_send_to(datagram, to.address),
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        if let Err(error) = &result {
            tracing::debug!(to = %to.address, %error, "answer not sent");
        }
        service.sent(answer, &result);
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

/// The next datagram on any socket.
async fn receive(sockets: &[UdpSocket], buffer: &mut [u8]) -> (Peer, usize) {
    poll_fn(|context| {
        for (index, socket) in sockets.iter().enumerate() {
            let mut room = ReadBuf::new(buffer);
            match socket.poll_recv_from(context, &mut room) {
                Poll::Ready(Ok(from)) => {
                    let peer = Peer {
                        address: canonical(from),
                        socket: index,
                    };
                    return Poll::Ready((peer, room.filled().len()));
                }
                Poll::Ready(Err(error)) => {
                    // An error of an earlier send; asking again registers the waker, or finds a datagram.
                    tracing::debug!(%error, "receive");
                    context.waker().wake_by_ref();
                }
                Poll::Pending => {}
            }
        }
        Poll::Pending
    })
    .await
}

/// A datagram that is there already.
fn try_receive(sockets: &[UdpSocket], buffer: &mut [u8]) -> Option<(Peer, usize)> {
    sockets.iter().enumerate().find_map(|(index, socket)| {
        let (len, from) = socket.try_recv_from(buffer).ok()?;
        let peer = Peer {
            address: canonical(from),
            socket: index,
        };
        Some((peer, len))
    })
}
