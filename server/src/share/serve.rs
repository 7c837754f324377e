//! The sender's sockets: accepts connections, lets in who has the key, and ends when it is to.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hii_protocol::share::Key;
use hii_transport::channel::ChannelError;
use hii_transport::clock::Clock;
use hii_transport::sampled;
use hii_transport::sampled::Kind;
use hii_transport::tcp::close_gently;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::classic::Client;
use super::handshakes::{Failures, Handshakes};
use super::offer::Offer;
use super::pipe::Pipe;
use super::receiver::{End, Lacks, Receiver};
use super::tally::Tally;
use crate::accept::{Accepted, Acceptor};
use crate::exit::{count, note};
use crate::logs::LogFormat;
use crate::places::Place;
use crate::policy::origin::{Origin, Transport};
use crate::policy::source_validation::SourceValidator;
use crate::streams::stopped;

/// How long a stranger has to shake hands and to say hello.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long receivers have to hear that this side stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// What all connections have in common.
pub(super) struct Common {
    pub(super) offer: Offer,
    /// None in the original hand-over.
    pub(super) key: Option<Key>,
    pub(super) stdin: Pipe,
    pub(super) idle: Duration,
    /// A permit for each receiver. Once one is served, nobody displaces it.
    pub(super) receivers: Semaphore,
    pub(super) handshakes: Handshakes,
    pub(super) once: bool,
    pub(super) log: LogFormat,
    /// Whether the sender stops.
    pub(super) stop: watch::Sender<bool>,
    pub(super) state: Mutex<State>,
    /// Something has happened that may be the end.
    pub(super) may_end: Notify,
}

/// What all connections change.
#[derive(Default)]
pub(super) struct State {
    tally: Tally,
    failures: Failures,
    /// What the last receiver lacks that wants no more. Where stdin is offered only who got that counts.
    last_done: Option<Lacks>,
    /// How whoever got what came from stdin has left.
    stdin: Option<StdinEnd>,
}

/// What became of what came from stdin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StdinEnd {
    /// Its receiver has confirmed that it has it whole.
    Delivered,
    /// It was read, and nobody has confirmed it.
    Lost,
}

/// What a sender did, and how it ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    pub(super) tally: Tally,
    /// What the last receiver lacks that wants no more. Where stdin is offered only who got that counts.
    pub(super) last_done: Option<Lacks>,
    /// What became of what came from stdin; none where nobody has read it.
    pub(super) stdin: Option<StdinEnd>,
}

impl Common {
    /// Changes the counts.
    pub(super) fn tally(&self, change: impl FnOnce(&mut Tally)) {
        self.with(|state| change(&mut state.tally));
    }

    /// Notes what became of what came from stdin.
    pub(super) fn end_stdin(&self, end: StdinEnd) {
        self.with(|state| state.stdin = Some(end));
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut State) -> T) -> T {
        use_it(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_over(&self) -> bool {
        let has_stdin = self.offer.has_stdin();
        self.with(|state| match state.stdin {
            // Others that come for it and cannot have it are no reason to end.
            end if has_stdin => end.is_some(),
            _ => self.once && state.last_done.is_some(),
        })
    }
}

/// Serves receivers until there is no reason to, or `stop` completes. Up to `max_open` connections are open at once.
///
/// # Errors
/// The sockets cannot be had.
pub(super) async fn serve(
    listeners: Vec<StdListener>,
    sources: SourceValidator,
    common: Arc<Common>,
    max_open: usize,
    stop: impl Future<Output = ()>,
) -> io::Result<Outcome> {
    let listeners: Vec<_> = listeners
        .into_iter()
        .map(TcpListener::from_std)
        .collect::<io::Result<_>>()?;
    let acceptor = Acceptor::new(listeners, max_open);
    // Nothing is ever sent: it ends with the last connection.
    let (open, mut none_open) = mpsc::channel::<()>(1);
    tokio::select! {
        () = accept_all(acceptor, sources, &common, &open) => {}
        () = over(&common) => {}
        () = stop => {}
    }
    drop(open);
    common.stop.send_replace(true);
    let _ = timeout(FAREWELL, none_open.recv()).await;
    Ok(common.with(|state| Outcome {
        tally: state.tally,
        last_done: state.last_done,
        stdin: state.stdin,
    }))
}

async fn over(common: &Common) {
    while !common.is_over() {
        common.may_end.notified().await;
    }
}

async fn accept_all(
    mut acceptor: Acceptor,
    mut sources: SourceValidator,
    common: &Arc<Common>,
    open: &mpsc::Sender<()>,
) {
    let clock = Clock::start();
    loop {
        let Accepted {
            stream,
            info,
            permit,
        } = acceptor.accept().await;
        let origin = common.with(|state| {
            let now = clock.elapsed();
            state.tally.connections += 1;
            let origin = match sources.validate(&info, Transport::Tcp, now) {
                Ok(origin) => origin,
                Err(reason) => {
                    state.tally.refused_sources.add(reason);
                    return None;
                }
            };
            if common.key.is_some() && state.failures.bars(&origin, now) {
                state.tally.barred += 1;
                return None;
            }
            Some(origin)
        });
        let Some(origin) = origin else {
            sampled!(debug, "closed unread", from = %info.source);
            continue;
        };
        let Some(place) = common.handshakes.begin(&origin) else {
            unfinished(origin.address(), common);
            continue;
        };
        let (common, open) = (Arc::clone(common), open.clone());
        tokio::spawn(async move {
            receive(stream, origin, &common, place, clock).await;
            drop((permit, open));
        });
    }
}

fn unfinished(from: SocketAddr, common: &Common) {
    sampled!(debug, "handshake unfinished", %from);
    common.tally(|tally| tally.unfinished += 1);
}

/// A receiver that may be let in.
enum Guest<'a> {
    Receiver(Box<Receiver<'a>>, Result<(), End>),
    Classic(Client<'a>),
}

/// Why somebody is not let in.
enum Refusal {
    /// Something else came than what opens a conversation.
    Key,
    /// It broke off, or took too long.
    Unfinished,
}

impl<'a> Guest<'a> {
    async fn meet(
        stream: &'a mut TcpStream,
        from: SocketAddr,
        common: &'a Common,
    ) -> Result<Self, Refusal> {
        let Some(key) = &common.key else {
            let client = Client::meet(stream, common).await;
            let client = client.map_err(|_| Refusal::Unfinished)?;
            return client.map(Guest::Classic).ok_or(Refusal::Key);
        };
        match Receiver::meet(stream, from, key, common).await {
            Ok((receiver, greeted)) => Ok(Self::Receiver(Box::new(receiver), greeted)),
            Err(error @ (ChannelError::Key | ChannelError::Damaged)) => {
                sampled!(info, "not let in", %from, %error);
                Err(Refusal::Key)
            }
            Err(_) => Err(Refusal::Unfinished),
        }
    }

    async fn turn_away(self) {
        if let Self::Receiver(receiver, _) = self {
            receiver.turn_away().await;
        }
    }

    /// Serves it to its end. Gives whether it was the one that got what comes from stdin too.
    async fn converse(self) -> (End, bool) {
        match self {
            Self::Receiver(receiver, greeted) => receiver.converse(greeted).await,
            Self::Classic(client) => (client.converse().await, false),
        }
    }
}

/// Serves one connection to its end.
async fn receive(
    mut stream: TcpStream,
    origin: Origin,
    common: &Common,
    idle: Place,
    clock: Clock,
) {
    let from = origin.address();
    if let Err(error) = stream.set_nodelay(true) {
        sampled!(debug, "no TCP_NODELAY", %from, %error);
    }
    let deadline = Instant::now() + HANDSHAKE;
    let first = until(deadline, idle, common, first_byte(&stream)).await;
    let place = match first {
        Some((true, idle)) => common.handshakes.start(&origin, idle),
        _ => None,
    };
    let Some(place) = place else {
        return unfinished(from, common);
    };
    let meet = Guest::meet(&mut stream, from, common);
    match until(deadline, place, common, meet).await {
        Some((Ok(guest), place)) => Box::pin(welcome(guest, origin, common, place)).await,
        Some((Err(Refusal::Key), mut place)) => {
            common.with(|state| {
                state.tally.wrong_key += 1;
                state.failures.add(&origin, clock.elapsed());
            });
            tokio::select! {
                () = close_gently(stream) => {}
                () = place.displaced() => {}
            }
        }
        Some((Err(Refusal::Unfinished), _)) | None => unfinished(from, common),
    }
}

/// Waits for the first byte, and leaves it unread; `false` if none comes any more.
async fn first_byte(stream: &TcpStream) -> bool {
    matches!(stream.peek(&mut [0]).await, Ok(1))
}

/// Waits for a part of a handshake, and gives it back with its place; `None` if it takes too long, has to give way, or this
/// side stops.
async fn until<T>(
    deadline: Instant,
    mut place: Place,
    common: &Common,
    part: impl Future<Output = T>,
) -> Option<(T, Place)> {
    let mut stopping = common.stop.subscribe();
    let result = tokio::select! {
        result = timeout_at(deadline, part) => result.ok(),
        () = place.displaced() => None,
        () = stopped(&mut stopping) => None,
    };
    result.map(|result| (result, place))
}

/// Lets in who has the key, if there is room. One that is turned away keeps its place among the handshakes until it is gone.
async fn welcome(guest: Guest<'_>, origin: Origin, common: &Common, mut place: Place) {
    let from = origin.address();
    let Ok(_permit) = common.receivers.try_acquire() else {
        sampled!(info, "busy", %from);
        common.tally(|tally| tally.busy += 1);
        tokio::select! {
            () = guest.turn_away() => {}
            () = place.displaced() => {}
        }
        return;
    };
    drop(place);
    common.tally(|tally| tally.receivers += 1);
    sampled!(info, "receiver let in", %from);
    let (end, had_stdin) = guest.converse().await;
    sampled!(info, "receiver gone", %from, ?end);
    if common.log == LogFormat::Text {
        note_end(from, &end);
    }
    common.with(|state| {
        let tally = &mut state.tally;
        let count = match &end {
            End::Done(lacks) => {
                if had_stdin == common.offer.has_stdin() {
                    state.last_done = Some(*lacks);
                }
                &mut tally.done
            }
            End::Cancelled => &mut tally.cancelled,
            End::GaveUp => &mut tally.gave_up,
            End::Refused(..) => &mut tally.broken,
            End::CutOff => &mut tally.cut_off,
            End::Idle => &mut tally.idle,
            End::Stopping => &mut tally.stopped,
        };
        *count += 1;
    });
    common.may_end.notify_one();
}

/// Reports in text how a receiver has left.
fn note_end(from: SocketAddr, end: &End) {
    static KIND: Kind = Kind::new(|left_out| {
        let lines = count(left_out, "more line");
        note(format_args!("  {lines} about receivers left out"));
    });
    match KIND.take(sampled::now()) {
        Some(0) => note(format_args!("  {from} {end}")),
        Some(left_out) => {
            let lines = count(left_out, "line");
            note(format_args!("  {from} {end} ({lines} left out before)"));
        }
        None => {}
    }
}
