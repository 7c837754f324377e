//! A sender of files that does as it is told: an honest one, that lies or stops where a test wants it to.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use hii_protocol::Frame;
use hii_protocol::share::{
    Answer, AnswerBuf, Data, Digest, Entry, Id, Key, Kind, Mode, ModifiedAt, PageBuilder, Path,
    Problem, Request, Size, Start, Text, VERSION,
};
use hii_transport::channel::{Channel, ChannelError};
use tokio::net::TcpStream;

/// The key of all senders here.
pub const KEY: &str = "MZXW6YTBOJTG633CMFZGM33PMI";

/// Octets of a frame of data.
const PIECE: usize = 61_440;

/// Something that is offered.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Where it goes.
    pub path: String,
    /// Its octets; none make a folder.
    pub octets: Option<Arc<Vec<u8>>>,
    /// Who may do what with it.
    pub mode: u32,
    /// When it was changed last.
    pub modified: (i64, u32),
    /// The size that is told, where that is not so many.
    pub size: Option<Size>,
}

impl Offer {
    /// A file.
    pub fn file(path: &str, octets: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            octets: Some(Arc::new(octets.into())),
            mode: 0o640,
            modified: (1_700_000_000, 123_456_789),
            size: None,
        }
    }

    /// A folder.
    pub fn folder(path: &str) -> Self {
        Self {
            path: path.into(),
            octets: None,
            mode: 0o750,
            modified: (1_600_000_000, 987_654_321),
            size: None,
        }
    }

    fn kind(&self) -> Kind {
        match &self.octets {
            None => Kind::Folder,
            Some(octets) => {
                let size = Size::Known(octets.len() as u64);
                Kind::File(self.size.unwrap_or(size))
            }
        }
    }
}

/// What a sender does instead of what it should.
pub type Trick = dyn Fn(&Answer<'_>) -> Instead + Send + Sync;

/// What comes in the place of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instead {
    /// Itself.
    Itself,
    /// These octets, each as a frame.
    Frames(Vec<Vec<u8>>),
    /// The end of the connection.
    End,
}

/// What receivers asked for, in order, over all connections.
#[derive(Debug, Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    /// All of it, as wire text.
    ///
    /// # Panics
    /// Another thread did.
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// A sender that serves one receiver after the other, until it is dropped.
#[derive(Debug)]
pub struct Sender {
    address: SocketAddr,
    /// What receivers asked for.
    pub heard: Heard,
    _thread: JoinHandle<()>,
}

impl Sender {
    /// Offers these, and says what the trick lets it.
    ///
    /// # Panics
    /// There is no port.
    pub fn start(
        offers: Vec<Offer>,
        trick: impl Fn(&Answer<'_>) -> Instead + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Heard::default();
        let also_heard = heard.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let serve = async {
                loop {
                    let (stream, _) = listener.accept().unwrap();
                    stream.set_nonblocking(true).unwrap();
                    let stream = TcpStream::from_std(stream).unwrap();
                    // Whatever a receiver does, the next one is served.
                    let _ = serve(stream, &offers, &trick, &also_heard).await;
                }
            };
            runtime.block_on(serve);
        });
        Self {
            address,
            heard,
            _thread: thread,
        }
    }

    /// Offers these, and does as it should.
    pub fn honest(offers: Vec<Offer>) -> Self {
        Self::start(offers, |_| Instead::Itself)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Octets that are sent as they are.
struct Raw(Vec<u8>);

impl Frame for Raw {
    fn decode_frame(
        octets: &[u8],
        _: &hii_protocol::Limits,
    ) -> Result<Self, hii_protocol::ParseError> {
        Ok(Self(octets.into()))
    }

    fn frame_len(&self) -> usize {
        self.0.len()
    }

    fn encode_frame(&self, buffer: &mut [u8]) -> Result<usize, hii_protocol::BufferTooSmall> {
        buffer[..self.0.len()].copy_from_slice(&self.0);
        Ok(self.0.len())
    }
}

/// A connection, and what is said on it instead.
struct Service<'a> {
    channel: Channel<TcpStream>,
    trick: &'a Trick,
}

impl Service<'_> {
    /// Says something, or what comes in its place.
    async fn say(&mut self, answer: Answer<'_>) -> Result<(), ChannelError> {
        match (self.trick)(&answer) {
            Instead::Itself => self.channel.queue(&answer.into_owned())?,
            Instead::Frames(frames) => {
                for frame in frames {
                    self.channel.queue(&Raw(frame))?;
                }
            }
            Instead::End => {
                // What was said before arrives.
                self.channel.close().await?;
                return Err(ChannelError::CutOff);
            }
        }
        if self.channel.queued() > 0 {
            self.channel.flush().await?;
        }
        Ok(())
    }

    async fn file(&mut self, id: Id, octets: &[u8], offset: u64) -> Result<(), ChannelError> {
        self.say(Answer::File { id, offset }).await?;
        let rest = octets
            .get(usize::try_from(offset).unwrap()..)
            .unwrap_or_default();
        for piece in rest.chunks(PIECE) {
            self.say(Answer::Data(Data::new(piece).unwrap())).await?;
        }
        let sum = Answer::Sum {
            id,
            octets: octets.len() as u64,
            digest: Digest(blake3::hash(octets).into()),
        };
        self.say(sum).await
    }
}

/// Serves one receiver.
async fn serve(
    stream: TcpStream,
    offers: &[Offer],
    trick: &Trick,
    heard: &Heard,
) -> Result<(), ChannelError> {
    let key: Key = KEY.parse().unwrap();
    let channel = Channel::offer(stream, &key).await?;
    let mut service = Service { channel, trick };
    loop {
        let Some(frame) = service.channel.receive().await? else {
            return Ok(());
        };
        let Ok(request) = Request::decode(frame) else {
            return Ok(());
        };
        heard.0.lock().unwrap().push(request.to_string());
        match request {
            Request::Hello(_) => {
                service.say(Answer::Hello(VERSION)).await?;
                offer(&mut service, offers).await?;
            }
            Request::Want { id, start } => {
                let found = usize::try_from(id.get() - 1)
                    .ok()
                    .and_then(|place| offers.get(place));
                let Some(octets) = found.and_then(|offer| offer.octets.clone()) else {
                    let text = Text::cut("no such file");
                    service
                        .say(Answer::Failed(id, Problem::Unknown, text))
                        .await?;
                    continue;
                };
                let offset = match start {
                    Start::Beginning => 0,
                    Start::After { offset, digest } => {
                        let len = usize::try_from(offset.get()).unwrap();
                        let is_right = octets
                            .get(..len)
                            .is_some_and(|before| digest == Digest(blake3::hash(before).into()));
                        if is_right { offset.get() } else { 0 }
                    }
                };
                service.file(id, &octets, offset).await?;
            }
            Request::Got(_) => {}
            Request::Done => {
                service.say(Answer::Done).await?;
                return service.channel.close().await;
            }
            Request::Cancel(_) | Request::Error(..) => return Ok(()),
        }
    }
}

async fn offer(service: &mut Service<'_>, offers: &[Offer]) -> Result<(), ChannelError> {
    let mut builder = PageBuilder::default();
    let mut id = Id::FIRST;
    let mut octets = 0;
    for offer in offers {
        let kind = offer.kind();
        if let Kind::File(Size::Known(size)) = kind {
            octets += size;
        }
        let entry = Entry {
            id,
            kind,
            mode: Mode::new(offer.mode),
            modified: ModifiedAt::new(offer.modified.0, offer.modified.1).unwrap(),
            path: Path::new(&offer.path).unwrap(),
        };
        if let Some(page) = builder.add(&entry) {
            service.say(Answer::Page(page.as_page())).await?;
        }
        id = id.next();
    }
    if let Some(page) = builder.take() {
        service.say(Answer::Page(page.as_page())).await?;
    }
    let entries = offers.len() as u64;
    service.say(Answer::End { entries, octets }).await
}

/// The frame as octets.
///
/// # Panics
/// Never: there is room for it.
pub fn frame(answer: &Answer<'_>) -> Vec<u8> {
    let owned: AnswerBuf = (*answer).into_owned();
    let mut octets = vec![0; owned.frame_len()];
    owned.encode_frame(&mut octets).expect("room");
    octets
}

/// Octets of different values.
#[must_use]
pub fn octets(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut octets = Vec::with_capacity(len + 8);
    while octets.len() < len {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        octets.extend_from_slice(&(state >> 8).to_le_bytes()[..7]);
    }
    octets.truncate(len);
    octets
}
