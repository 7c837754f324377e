//! The sender's sockets: accepts connections, lets in who has the key, and ends when it is to.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hii_protocol::share::Key;
use hii_transport::channel::ChannelError;
use hii_transport::clock::Clock;
use hii_transport::files;
use hii_transport::sampled;
use hii_transport::sampled::Kind;
use hii_transport::tcp::close_gently;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::timeout;

use super::classic::Client;
use super::handshakes::{Failures, HalfOpen};
use super::offer::Offer;
use super::pipe::Pipe;
use super::receiver::{End, Lacks, Receiver};
use super::tally::Tally;
use crate::admission::Admission;
use crate::exit::{count, note};
use crate::logs::LogFormat;
use crate::policy::origin::{Origin, Transport};
use crate::policy::source_validation::SourceValidator;
use crate::streams::{accept, stopped};

/// How long a stranger has to shake hands and to say hello.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long receivers have to hear that this side stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// Files beside those of receivers: the standard streams, sockets of the service and the runtime, handshakes.
const OTHER_FILES: usize = 512;

/// What all connections have in common.
pub(super) struct Common {
    pub(super) offer: Offer,
    /// None in the original hand-over.
    pub(super) key: Option<Key>,
    pub(super) stdin: Pipe,
    pub(super) idle: Duration,
    pub(super) admission: Admission,
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
    half_open: HalfOpen<oneshot::Sender<()>>,
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

/// A handshake's place among those under way, which is free again when this is dropped.
struct HalfOpenPlace<'a> {
    number: u64,
    common: &'a Common,
}

impl Drop for HalfOpenPlace<'_> {
    fn drop(&mut self) {
        self.common.with(|state| state.half_open.leave(self.number));
    }
}

/// Serves receivers until there is no reason to, or `stop` completes.
///
/// # Errors
/// The sockets cannot be had.
pub(super) async fn serve(
    listeners: Vec<StdListener>,
    sources: SourceValidator,
    common: Arc<Common>,
    max_receivers: usize,
    stop: impl Future<Output = ()>,
) -> io::Result<Outcome> {
    let listeners: Vec<_> = listeners
        .into_iter()
        .map(TcpListener::from_std)
        .collect::<io::Result<_>>()?;
    // A socket and a file each.
    let files = max_receivers.saturating_mul(2).saturating_add(OTHER_FILES);
    files::want(u64::try_from(files).unwrap_or(u64::MAX));
    // Nothing is ever sent: it ends with the last connection.
    let (open, mut none_open) = mpsc::channel::<()>(1);
    tokio::select! {
        () = accept_all(&listeners, sources, &common, &open) => {}
        () = over(&common) => {}
        () = stop => {}
    }
    drop((listeners, open));
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
    listeners: &[TcpListener],
    mut sources: SourceValidator,
    common: &Arc<Common>,
    open: &mpsc::Sender<()>,
) {
    let clock = Clock::start();
    let mut told = false;
    loop {
        let (stream, info) = accept(listeners, &mut told).await;
        let (evict, evicted) = oneshot::channel();
        let admitted = common.with(|state| {
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
            // Who has to go learns it from the loss of its sender.
            let (number, _) = state.half_open.enter(&origin, evict);
            Some((origin, number))
        });
        let Some((origin, number)) = admitted else {
            sampled!(debug, "closed unread", from = %info.source);
            continue;
        };
        let (common, open) = (Arc::clone(common), open.clone());
        tokio::spawn(async move {
            receive(stream, origin, &common, number, evicted, clock).await;
            drop(open);
        });
    }
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
    number: u64,
    evicted: oneshot::Receiver<()>,
    clock: Clock,
) {
    let from = origin.address();
    let place = HalfOpenPlace { number, common };
    if let Err(error) = stream.set_nodelay(true) {
        sampled!(debug, "no TCP_NODELAY", %from, %error);
    }
    let mut stopping = common.stop.subscribe();
    let met = tokio::select! {
        met = timeout(HANDSHAKE, Guest::meet(&mut stream, from, common)) => {
            met.unwrap_or(Err(Refusal::Unfinished))
        }
        _ = evicted => Err(Refusal::Unfinished),
        () = stopped(&mut stopping) => Err(Refusal::Unfinished),
    };
    match met {
        Ok(guest) => {
            drop(place);
            Box::pin(welcome(guest, origin, common)).await;
        }
        Err(Refusal::Key) => {
            common.with(|state| {
                state.tally.wrong_key += 1;
                state.failures.add(&origin, clock.elapsed());
            });
            close_gently(stream).await;
        }
        Err(Refusal::Unfinished) => {
            sampled!(debug, "handshake unfinished", %from);
            common.tally(|tally| tally.unfinished += 1);
        }
    }
}

/// Lets in who has the key, if there is room.
async fn welcome(guest: Guest<'_>, origin: Origin, common: &Common) {
    let from = origin.address();
    let Ok(_place) = common.admission.enter(&origin) else {
        sampled!(info, "busy", %from);
        common.tally(|tally| tally.busy += 1);
        guest.turn_away().await;
        return;
    };
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
