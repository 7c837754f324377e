//! The TCP side of a service: accepts connections, and moves octets between them and their [`Conversation`]s.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use hii_transport::clock::{Clock, Now};
use hii_transport::datagrams::Service;
use hii_transport::packet_info::PacketInfo;
use hii_transport::sampled;
use hii_transport::tcp::close_gently;
use hii_transport::timer::Timer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::accept::{Accepted, Acceptor};
use crate::admission::{Admission, ConnectionLimits, Place, Refusal};
use crate::policy::fair_share::Holder;
use crate::policy::origin::Origin;

/// What all connections together and each of them may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    /// Connections at once.
    pub connections: ConnectionLimits,
    /// How long a connection may do nothing.
    pub idle: Duration,
    /// How long connections have to take what waits for them, when the service stops.
    pub farewell: Duration,
}

/// A service that has connections beside its datagrams.
pub trait StreamService: Service + Sized + 'static {
    /// Its side of one connection.
    type Conversation: Conversation<Service = Self>;

    /// Begins a conversation with this origin, to be ended when nothing happens for `idle`.
    fn connect(&mut self, from: Origin, idle: Duration, now: Duration) -> Self::Conversation;

    /// The origin of a connection, if anything may come from there; else it is closed at once.
    fn admit(&mut self, from: &PacketInfo, now: Duration) -> Option<Origin>;

    /// Whose fair share of all connections one of this origin is counted to.
    fn holder(&self, origin: &Origin) -> Holder {
        Holder::of(origin)
    }

    /// Learns that a connection was closed at once, being one too many.
    fn refused(&mut self, refusal: Refusal);

    /// Is told that something has happened on a connection, after it.
    fn stream_round_done(&mut self) {}
}

/// A service's side of one connection, without a socket: octets in, octets out.
pub trait Conversation {
    /// The service that it is a part of.
    type Service;

    /// How many octets may be read at once; none while nothing should be read.
    fn wants(&self) -> Option<usize>;

    /// Takes octets of one read; none is the end of the stream.
    fn receive(&mut self, octets: &[u8], service: &mut Self::Service, now: Now);

    /// Completes when there may be something to send that no read and no time has brought.
    fn news(&self) -> impl Future<Output = ()> {
        std::future::pending()
    }

    /// When the next delayed answer is due.
    fn next_due(&self) -> Option<Duration> {
        None
    }

    /// When reading goes on, where the connection's source is over a limit: until then nothing is read, and its own buffers
    /// fill.
    fn resumes_at(&self) -> Option<Duration> {
        None
    }

    /// Reading may go on.
    fn resume(&mut self, service: &mut Self::Service, now: Now) {
        let _ = (service, now);
    }

    /// When a whole message last came, or `None` before the first one.
    fn last_message(&self) -> Option<Duration>;

    /// When the connection is to be closed, if nothing happens until then.
    fn closes_at(&self) -> Option<Duration>;

    /// Whether the connection is to be closed now, and why.
    fn end(&self, now: Duration) -> Option<End>;

    /// The octets to send next; empty when there are none.
    fn to_send(&mut self, now: Duration) -> &[u8];

    /// Notes that the network took so many of the octets.
    fn sent(&mut self, octets: usize, service: &mut Self::Service, now: Now);

    /// Whether there is something to send as soon as the network has room.
    fn has_output(&self) -> bool;

    /// The service stops: nothing more is taken, and what can be sent at once is the last.
    fn hang_up(&mut self, service: &mut Self::Service);

    /// Notes the connection's end, with what was not sent; none is an end by the network, or with the whole service.
    fn close(self, end: Option<End>, service: &mut Self::Service);
}

/// How much longer each connection is held for each other one that is held at the moment: however many there are, they
/// wake the thread that serves all connections at most once in this time.
const HOLD: Duration = Duration::from_micros(200);

/// The connections of a service that are not read now, since their sources are over a limit.
#[derive(Debug, Default)]
pub(crate) struct Held {
    now: u32,
    times: u64,
}

impl Held {
    /// Holds one more connection, whose source is within its limits after `wait`. Returns when it is read again.
    pub(crate) fn hold(&mut self, wait: Duration, now: Duration) -> Duration {
        self.now = self.now.saturating_add(1);
        self.times += 1;
        now.saturating_add(wait.max(HOLD.saturating_mul(self.now)))
    }

    /// One is not held any more.
    pub(crate) fn release(&mut self) {
        self.now = self.now.saturating_sub(1);
    }

    /// Whether none is held.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.now == 0
    }

    /// How often one was held.
    pub(crate) fn times(&self) -> u64 {
        self.times
    }
}

/// Why a connection is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All has been said.
    Done,
    /// Nothing whole came for too long.
    Idle,
    /// What is sent was not taken for too long.
    Unread,
    /// It gave way to another one: there were as many as there may be.
    Displaced,
    /// It asked the whole service to stop, and may.
    Stops,
}

/// One service, for every connection. No borrow outlives a call.
#[derive(Debug)]
pub(crate) struct Shared<S>(Rc<RefCell<S>>);

impl<S> Shared<S> {
    pub(crate) fn new(service: S) -> Self {
        Self(Rc::new(RefCell::new(service)))
    }

    pub(crate) fn with<T>(&self, use_it: impl FnOnce(&mut S) -> T) -> T {
        use_it(&mut self.0.borrow_mut())
    }
}

impl<S: StreamService> Shared<S> {
    /// The same, for a connection.
    fn on_stream<T>(&self, use_it: impl FnOnce(&mut S) -> T) -> T {
        self.with(|service| {
            let result = use_it(service);
            service.stream_round_done();
            result
        })
    }
}

impl<S> Clone for Shared<S> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

/// What the tasks of all connections have in common.
struct Common<S> {
    service: Shared<S>,
    clock: Clock,
    idle: Duration,
    /// Asks the whole service to stop.
    asked: watch::Sender<bool>,
    /// Whether connections are to end.
    stopping: watch::Receiver<bool>,
}

/// Accepts connections and serves each in a task of its own, until `stopping` says so; then they have the farewell's time
/// to end. One that may do so asks for the stop by `asked`. Has to run in a `LocalSet`.
pub(crate) async fn serve<S: StreamService>(
    listeners: Vec<TcpListener>,
    service: Shared<S>,
    clock: Clock,
    limits: StreamLimits,
    asked: watch::Sender<bool>,
    mut stopping: watch::Receiver<bool>,
) {
    let common = Rc::new(Common {
        service,
        clock,
        idle: limits.idle,
        asked,
        stopping: stopping.clone(),
    });
    // Nothing is ever sent: it ends with the last connection.
    let (open, mut none_open) = mpsc::channel::<()>(1);
    tokio::select! {
        () = accept_all(listeners, &common, limits.connections, &open) => {}
        () = stopped(&mut stopping) => {}
    }
    drop(open);
    let _ = tokio::time::timeout(limits.farewell, none_open.recv()).await;
}

/// Completes when the service is to stop.
pub(crate) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error is the end of all senders, which is the end of the server as well.
    let _ = stopping.wait_for(|stopped| *stopped).await;
}

async fn accept_all<S: StreamService>(
    listeners: Vec<TcpListener>,
    common: &Rc<Common<S>>,
    limits: ConnectionLimits,
    open: &mpsc::Sender<()>,
) {
    let admission = Admission::new(limits);
    let mut acceptor = Acceptor::new(listeners, limits.all.saturating_add(1));
    loop {
        let Accepted {
            stream,
            info,
            permit,
        } = acceptor.accept().await;
        let now = common.clock.elapsed();
        let Some(origin) = common
            .service
            .on_stream(|service| service.admit(&info, now))
        else {
            sampled!(debug, "denied", from = %info.source);
            continue;
        };
        let holder = common.service.with(|service| service.holder(&origin));
        let mut place = match admission.enter(&origin, holder) {
            Ok(place) => place,
            Err(refusal) => {
                sampled!(debug, "over the limit of connections", from = %origin.address(), ?refusal);
                common.service.on_stream(|service| service.refused(refusal));
                continue;
            }
        };
        let conversation = common
            .service
            .on_stream(|service| service.connect(origin, common.idle, now));
        let connected = Connected {
            conversation: Some(conversation),
            service: common.service.clone(),
        };
        let (common, open) = (Rc::clone(common), open.clone());
        tokio::task::spawn_local(async move {
            converse(stream, origin.address(), connected, &mut place, &common).await;
            drop((place, permit, open));
        });
    }
}

/// A conversation that is closed however its task ends: one that does not end in the farewell's time is dropped in the
/// middle, and what it was still to send is counted all the same.
struct Connected<S: StreamService> {
    /// None is closed.
    conversation: Option<S::Conversation>,
    service: Shared<S>,
}

impl<S: StreamService> Connected<S> {
    fn close(&mut self, end: Option<End>) {
        if let Some(conversation) = self.conversation.take() {
            self.service
                .on_stream(|service| conversation.close(end, service));
        }
    }
}

impl<S: StreamService> Drop for Connected<S> {
    fn drop(&mut self) {
        self.close(None);
    }
}

/// Serves one connection to its end.
async fn converse<S: StreamService>(
    stream: TcpStream,
    from: SocketAddr,
    mut connected: Connected<S>,
    place: &mut Place,
    common: &Common<S>,
) {
    let Some(conversation) = &mut connected.conversation else {
        return;
    };
    // An answer that waits for more to send with it would be measured as a slow one.
    if let Err(error) = stream.set_nodelay(true) {
        sampled!(debug, "no TCP_NODELAY", %from, %error);
    }
    let result = exchange(&stream, conversation, place, common).await;
    connected.close(result.as_ref().ok().copied());
    match result {
        Ok(End::Done) => tokio::select! {
            () = close_gently(stream) => {}
            () = place.displaced() => {}
        },
        Ok(End::Stops) => drop(common.asked.send_replace(true)),
        Ok(end) => sampled!(debug, "connection closed", %from, ?end),
        Err(error) => sampled!(debug, "connection lost", %from, %error),
    }
}

/// Moves octets until the connection is to be closed.
async fn exchange<S: StreamService>(
    stream: &TcpStream,
    conversation: &mut S::Conversation,
    place: &mut Place,
    common: &Common<S>,
) -> io::Result<End> {
    let mut timer = None;
    let mut last_message = None;
    let mut stopping = common.stopping.clone();
    let mut has_hung_up = false;
    loop {
        let now = common.clock.now();
        if conversation
            .resumes_at()
            .is_some_and(|at| at <= now.monotonic)
        {
            let service = &common.service;
            service.on_stream(|service| conversation.resume(service, now));
        }
        send(stream, conversation, common)?;
        let now = common.clock.elapsed();
        if let Some(end) = conversation.end(now) {
            return Ok(end);
        }
        if conversation.last_message() != last_message {
            last_message = conversation.last_message();
            place.note_progress();
        }
        let wants = conversation.wants();
        let next = [conversation.next_due(), conversation.resumes_at()];
        let due = next.into_iter().flatten().min();
        let due = due.map(|due| due.saturating_sub(now));
        let closes = conversation.closes_at().map(|at| at.saturating_sub(now));
        tokio::select! {
            () = place.displaced() => return Ok(End::Displaced),
            ready = stream.readable(), if wants.is_some() => {
                ready?;
                receive(stream, wants.unwrap_or_default(), conversation, common)?;
                // Whoever sends without a pause is one of many on this thread.
                tokio::task::yield_now().await;
            }
            ready = stream.writable(), if conversation.has_output() => ready?,
            () = conversation.news() => {}
            () = wait(&mut timer, due.unwrap_or_default()), if due.is_some() => {}
            () = tokio::time::sleep(closes.unwrap_or_default()), if closes.is_some() => {}
            () = stopped(&mut stopping), if !has_hung_up => {
                has_hung_up = true;
                common.service.on_stream(|service| conversation.hang_up(service));
            }
        }
    }
}

/// Sends what there is and the network takes.
fn send<S: StreamService>(
    stream: &TcpStream,
    conversation: &mut S::Conversation,
    common: &Common<S>,
) -> io::Result<()> {
    // A bound, so that a fast reader leaves time for others.
    for _ in 0..16 {
        let octets = conversation.to_send(common.clock.elapsed());
        if octets.is_empty() {
            break;
        }
        match stream.try_write(octets) {
            Ok(taken) => {
                let now = common.clock.now();
                let service = &common.service;
                service.on_stream(|service| conversation.sent(taken, service, now));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Takes what is there to read.
fn receive<S: StreamService>(
    stream: &TcpStream,
    most: usize,
    conversation: &mut S::Conversation,
    common: &Common<S>,
) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    let room = buffer.get_mut(..most).unwrap_or_default();
    match stream.try_read(room) {
        Ok(len) => {
            let octets = room.get(..len).unwrap_or_default();
            let now = common.clock.now();
            let service = &common.service;
            service.on_stream(|service| conversation.receive(octets, service, now));
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    }
}

/// Waits for a delayed answer. The timer, a descriptor, is opened when it is first needed.
async fn wait(timer: &mut Option<Timer>, wait: Duration) {
    if timer.is_none() {
        *timer = Timer::new().ok();
    }
    match timer {
        Some(timer) => timer.wait(Some(wait)).await,
        None => tokio::time::sleep(wait).await,
    }
}
