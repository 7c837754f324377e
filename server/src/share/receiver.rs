//! The conversation with one receiver: moves frames between its channel, its [`Session`] and the files.

use std::convert::Infallible;
use std::fmt;
use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use blake3::Hasher;
use hii_protocol::Escaped;
use hii_protocol::share::{Answer, Data, Digest, Id, Key, Problem, Start, Text, VERSION};
use hii_transport::channel::{Channel, ChannelError};
use hii_transport::reading::Stamp;
use hii_transport::sampled;
use tokio::io::{Interest, Ready};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::offer::{NotSendable, Sendable};
use super::serve::{Common, StdinEnd};
use super::session::{Event, Session, Step};
use super::source::{Failed, Source};
use crate::exit::count;

/// Octets of a file in one frame. The hash works on 16 KiB at once, and pages are 4 KiB: a frame filled to its limit is read
/// and hashed a tenth slower.
const PIECE: usize = 48 * 1024;

/// Octets that are queued before they are sent.
const BATCH: usize = 2 * PIECE;

/// How long the other side has to read our last words.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The word that data begins with in its frame.
const DATA: &[u8] = b"data ";

/// One receiver that has the key.
pub(super) struct Receiver<'a> {
    channel: Channel<&'a mut TcpStream>,
    session: Session,
    from: SocketAddr,
    common: &'a Common,
    stop: watch::Receiver<bool>,
    /// Files that could not be sent to it.
    failed: u64,
    /// How far it has what comes from stdin.
    stdin: Stdin,
}

/// How far a receiver has what comes from stdin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stdin {
    /// It did not ask, or another came first.
    None,
    /// It gets it, and has not all of it.
    Begun,
    /// All of it was sent, as this entry.
    Sent(Id),
    /// It has confirmed that it has it whole.
    Confirmed,
}

/// What a receiver lacks that wants no more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lacks {
    /// Files that could not be sent.
    pub(super) failed: u64,
    /// Files that were sent whole, and not confirmed.
    pub(super) unconfirmed: u64,
}

/// How it ends.
#[derive(Debug)]
pub(super) enum End {
    /// It wants nothing more, and has what it wanted but for this.
    Done(Lacks),
    /// Its user wants no more.
    Cancelled,
    /// It gave up.
    GaveUp,
    /// It does not speak this version, or broke the rules: it is told so.
    Refused(Problem, String),
    /// It closed, or the connection broke.
    CutOff,
    /// Nothing came from it, or it took nothing, for too long.
    Idle,
    /// This side stops.
    Stopping,
}

/// What it did, after its address.
impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(Lacks {
                failed: 0,
                unconfirmed: 0,
            }) => f.write_str("has all it wanted"),
            Self::Done(Lacks {
                failed,
                unconfirmed: 0,
            }) => write!(
                f,
                "has what could be sent, without {}",
                count(*failed, "file")
            ),
            Self::Done(Lacks {
                failed,
                unconfirmed,
            }) => write!(
                f,
                "wants no more, and has not confirmed {}; {failed} could not be sent",
                count(*unconfirmed, "file")
            ),
            Self::Cancelled => f.write_str("wants no more"),
            Self::GaveUp => f.write_str("gave up"),
            Self::Refused(_, why) => write!(f, "is refused: {why}"),
            Self::CutOff => f.write_str("was cut off"),
            Self::Idle => f.write_str("did nothing for too long"),
            Self::Stopping => f.write_str("was told that this side stops"),
        }
    }
}

impl From<ChannelError> for End {
    fn from(error: ChannelError) -> Self {
        match error {
            ChannelError::Damaged => Self::Refused(Problem::Frame, error.to_string()),
            error => {
                sampled!(debug, "connection lost", %error);
                Self::CutOff
            }
        }
    }
}

impl<'a> Receiver<'a> {
    /// Shakes hands, and waits for the receiver's hello. Only that shows that it has the key: its first message of the
    /// handshake may be another's, said again. Has no time-out of its own.
    pub(super) async fn meet(
        stream: &'a mut TcpStream,
        from: SocketAddr,
        key: &Key,
        common: &'a Common,
    ) -> Result<(Self, Result<(), End>), ChannelError> {
        let channel = Channel::offer(stream, key).await?;
        let mut receiver = Self {
            channel,
            session: Session::default(),
            from,
            common,
            stop: common.stop.subscribe(),
            failed: 0,
            stdin: Stdin::None,
        };
        let Some(hello) = receiver.channel.receive().await? else {
            return Err(ChannelError::CutOff);
        };
        let event = receiver.session.receive(hello);
        let greeted = receiver.heed(event);
        Ok((receiver, greeted))
    }

    /// Turns it away.
    pub(super) async fn turn_away(mut self) {
        let busy = Problem::Busy.meaning().to_owned();
        self.part(&End::Refused(Problem::Busy, busy)).await;
    }

    /// Serves it to its end. Gives whether it was the one that got what comes from stdin too.
    pub(super) async fn converse(mut self, greeted: Result<(), End>) -> (End, bool) {
        let end = match greeted {
            Ok(()) => match self.serve().await {
                Ok(never) => match never {},
                Err(end) => end,
            },
            Err(end) => end,
        };
        self.part(&end).await;
        match self.stdin {
            Stdin::None => return (end, false),
            Stdin::Begun | Stdin::Sent(_) => self.common.end_stdin(StdinEnd::Lost),
            Stdin::Confirmed => self.common.end_stdin(StdinEnd::Delivered),
        }
        (end, true)
    }

    async fn serve(&mut self) -> Result<Infallible, End> {
        loop {
            while let Some(step) = self.session.next_step() {
                self.listen().await?;
                match step {
                    Step::Offer => self.offer().await?,
                    Step::Send { id, start } => self.send(id, start).await?,
                    Step::Done => {
                        return Err(End::Done(Lacks {
                            failed: self.failed,
                            unconfirmed: self.session.unconfirmed(),
                        }));
                    }
                }
            }
            self.flush().await?;
            let mut stop = self.stop.clone();
            tokio::select! {
                heard = timeout(self.common.idle, self.hear()) => heard.map_err(|_| End::Idle)??,
                () = crate::streams::stopped(&mut stop) => return Err(End::Stopping),
            }
        }
    }

    /// Waits for a frame and takes it.
    async fn hear(&mut self) -> Result<(), End> {
        let frame = self.channel.receive().await?.ok_or(End::CutOff)?;
        let event = self.session.receive(frame);
        self.heed(event)
    }

    fn heed(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Queued => Ok(()),
            Event::Confirmed(id) => {
                self.common.tally(|tally| tally.confirmed += 1);
                if self.stdin == Stdin::Sent(id) {
                    self.stdin = Stdin::Confirmed;
                }
                sampled!(debug, "confirmed", from = %self.from, path = %self.path(id));
                Ok(())
            }
            Event::Version(version) => {
                let text = format!("this side speaks version {VERSION}, not {version}");
                Err(End::Refused(Problem::Version, text))
            }
            Event::Broken(how) => Err(End::Refused(Problem::Frame, how)),
            Event::Cancelled(why) => {
                let why = Escaped(why.as_bytes());
                sampled!(info, "the receiver wants no more", from = %self.from, %why);
                Err(End::Cancelled)
            }
            Event::GaveUp(problem, why) => {
                let why = Escaped(why.as_bytes());
                sampled!(info, "the receiver gave up", from = %self.from, %problem, %why);
                Err(End::GaveUp)
            }
        }
    }

    /// Takes what has come meanwhile, without waiting, and learns whether this side stops.
    async fn listen(&mut self) -> Result<(), End> {
        while self.session.has_room() {
            let has_more = self.channel.has_message()
                || tokio::select! {
                    biased;
                    ready = self.channel.stream().readable() => ready.is_ok(),
                    () = ready(()) => false,
                };
            if !has_more {
                break;
            }
            tokio::select! {
                biased;
                heard = self.hear() => heard?,
                () = ready(()) => break,
            }
        }
        if !self.session.has_room() && self.has_hung_up().await {
            return Err(End::CutOff);
        }
        if *self.stop.borrow() {
            return Err(End::Stopping);
        }
        Ok(())
    }

    /// Whether it has closed, behind whatever it has said that is not read yet.
    async fn has_hung_up(&self) -> bool {
        tokio::select! {
            biased;
            ready = self.channel.stream().ready(Interest::READABLE) => {
                ready.is_ok_and(Ready::is_read_closed)
            }
            () = ready(()) => false,
        }
    }

    /// Queues a frame.
    fn say(&mut self, answer: &Answer<'_>) -> Result<(), ChannelError> {
        let write = |frame: &mut [u8]| answer.encode_into(frame).map_err(io::Error::other);
        self.channel.queue_with(write).map(|_| ())
    }

    async fn flush(&mut self) -> Result<(), End> {
        if self.channel.queued() == 0 {
            return Ok(());
        }
        let sent = timeout(self.common.idle, self.channel.flush()).await;
        Ok(sent.map_err(|_| End::Idle)??)
    }

    /// Sends, once enough is queued.
    async fn flush_batch(&mut self) -> Result<(), End> {
        if self.channel.queued() < BATCH {
            return Ok(());
        }
        self.flush().await?;
        self.listen().await
    }

    async fn offer(&mut self) -> Result<(), End> {
        let common = self.common;
        self.say(&Answer::Hello(VERSION))?;
        let mut told = 0;
        while let Some((page, count)) = common.offer.page(told) {
            told += count;
            self.say(&Answer::Page(page.as_page()))?;
            self.flush_batch().await?;
        }
        self.say(&common.offer.end())?;
        Ok(())
    }

    async fn send(&mut self, id: Id, start: Start) -> Result<(), End> {
        let sent = match self.common.offer.sendable(id) {
            Ok(Sendable::File(path, stamp)) => self.send_file(id, path, stamp, start).await?,
            Ok(Sendable::Stdin) => self.send_pipe(id).await?,
            Err(why) => Err(Failed {
                problem: Problem::Unknown,
                text: match why {
                    NotSendable::Unknown => Problem::Unknown.meaning().to_owned(),
                    NotSendable::Folder => "it is a folder".to_owned(),
                },
            }),
        };
        match sent {
            Ok((octets, digest)) => {
                self.say(&Answer::Sum { id, octets, digest })?;
                self.session.sent();
                self.common.tally(|tally| tally.sent += 1);
                sampled!(debug, "sent", from = %self.from, path = %self.path(id), octets);
            }
            Err(Failed { problem, text }) => {
                let (from, path, why) = (self.from, self.path(id), Escaped(text.as_bytes()));
                sampled!(warn, "cannot send a file", %from, %path, %problem, %why);
                self.say(&Answer::Failed(id, problem, Text::cut(&text)))?;
                self.failed += 1;
                self.common.tally(|tally| tally.failed += 1);
            }
        }
        self.flush_batch().await
    }

    async fn send_file(
        &mut self,
        id: Id,
        path: PathBuf,
        stamp: Stamp,
        start: Start,
    ) -> Result<Result<(u64, Digest), Failed>, End> {
        let mut source = match Source::open(path, stamp) {
            Ok(source) => source,
            Err(failed) => return Ok(Err(failed)),
        };
        if let Start::After { offset, digest } = start
            && let Err(failed) = self.skip(&mut source, offset.get(), digest).await?
        {
            return Ok(Err(failed));
        }
        let offset = source.position();
        self.say(&Answer::File { id, offset })?;
        loop {
            match self.queue_data(&mut source)? {
                Ok(0) => break,
                Ok(_) => self.flush_batch().await?,
                Err(failed) => return Ok(Err(failed)),
            }
        }
        Ok(source.end())
    }

    /// Goes past what is there already, if that is so; else the source stands at its beginning.
    async fn skip(
        &mut self,
        source: &mut Source,
        offset: u64,
        digest: Digest,
    ) -> Result<Result<(), Failed>, End> {
        if !source.reaches(offset) {
            return Ok(Ok(()));
        }
        // What is queued is not to wait for this.
        self.flush().await?;
        let mut buffer = Vec::new();
        loop {
            match source.skip(offset, &mut buffer) {
                Ok(true) => break,
                Ok(false) => {}
                Err(failed) => return Ok(Err(failed)),
            }
            tokio::task::yield_now().await;
            self.listen().await?;
        }
        if source.digest() != Some(digest) {
            source.rewind();
        }
        Ok(Ok(()))
    }

    /// Queues a frame of a file's octets, read straight into its place; none at the end of the file.
    fn queue_data(&mut self, source: &mut Source) -> Result<Result<usize, Failed>, ChannelError> {
        let mut failed = None;
        let queued = self.channel.queue_with(|frame| {
            let Some((word, data)) = frame
                .get_mut(..DATA.len() + PIECE)
                .and_then(|frame| frame.split_at_mut_checked(DATA.len()))
            else {
                return Ok(0);
            };
            word.copy_from_slice(DATA);
            match source.fill(data) {
                Ok(0) => Ok(0),
                Ok(len) => Ok(DATA.len() + len),
                Err(error) => {
                    failed = Some(error);
                    Ok(0)
                }
            }
        })?;
        let octets = queued.saturating_sub(DATA.len());
        self.count(octets);
        Ok(failed.map_or(Ok(octets), Err))
    }

    async fn send_pipe(&mut self, id: Id) -> Result<Result<(u64, Digest), Failed>, End> {
        let unreadable = |text: String| Failed {
            problem: Problem::Unreadable,
            text,
        };
        let mut pieces = match self.common.stdin.take() {
            Ok(Some(pieces)) => pieces,
            Ok(None) => return Ok(Err(unreadable("it can be read once, and was".to_owned()))),
            Err(error) => return Ok(Err(unreadable(error.to_string()))),
        };
        self.stdin = Stdin::Begun;
        self.say(&Answer::File { id, offset: 0 })?;
        let (mut hasher, mut octets) = (Hasher::new(), 0);
        loop {
            // As it comes: whoever writes there may wait for an answer.
            self.flush().await?;
            self.listen().await?;
            let mut stop = self.stop.clone();
            let piece = tokio::select! {
                piece = pieces.recv() => piece,
                () = crate::streams::stopped(&mut stop) => return Err(End::Stopping),
            };
            match piece {
                None => break,
                Some(Err(error)) => return Ok(Err(unreadable(error.to_string()))),
                Some(Ok(piece)) => {
                    hasher.update(&piece);
                    octets += u64::try_from(piece.len()).unwrap_or_default();
                    self.count(piece.len());
                    if let Ok(data) = Data::new(&piece) {
                        self.say(&Answer::Data(data))?;
                    }
                }
            }
        }
        self.stdin = Stdin::Sent(id);
        Ok(Ok((octets, Digest(*hasher.finalize().as_bytes()))))
    }

    fn count(&self, octets: usize) {
        let octets = u64::try_from(octets).unwrap_or_default();
        self.common.tally(|tally| tally.octets += octets);
    }

    /// What an entry is shown as.
    fn path(&self, id: Id) -> String {
        let path = self.common.offer.path(id);
        path.map_or_else(|| format!("entry {}", id.get()), |path| path.to_string())
    }

    /// Says the last words, as far as the other side still listens.
    async fn part(&mut self, end: &End) {
        let words = match end {
            End::Done(_) => Some(Answer::Done),
            End::Refused(problem, text) => Some(Answer::Error(*problem, Text::cut(text))),
            End::Stopping => Some(Answer::Error(
                Problem::Stopping,
                Text::cut("the sender is stopping"),
            )),
            // In the middle of a message nothing can be said any more.
            End::Idle if self.channel.queued() == 0 => {
                Some(Answer::Cancel(Text::cut("nothing came for too long")))
            }
            End::Cancelled | End::GaveUp | End::CutOff | End::Idle => None,
        };
        let Some(words) = words else { return };
        let needs_hello = matches!(end, End::Refused(Problem::Version | Problem::Busy, _));
        let last = async {
            if needs_hello {
                self.say(&Answer::Hello(VERSION))?;
            }
            self.say(&words)?;
            self.channel.close().await?;
            // Closing with octets unread would take back what was said.
            while self.channel.receive().await?.is_some() {}
            Ok::<_, ChannelError>(())
        };
        if let Ok(Err(error)) = timeout(LAST_WORDS, last).await {
            sampled!(debug, "last words unheard", from = %self.from, %error);
        }
    }
}
