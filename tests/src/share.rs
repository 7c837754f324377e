//! A receiver of files that says what it is told to, whether that is right or not.

use std::net::SocketAddr;
use std::time::Duration;

use hii_protocol::share::{
    Answer, AnswerBuf, Digest, Id, Key, Kind, Request, Size, Start, VERSION,
};
use hii_transport::channel::{Channel, ChannelError};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// Guards against a sender that hangs; no test depends on how long it is.
const WATCHDOG: Duration = Duration::from_secs(60);

/// A receiver with its channel.
#[derive(Debug)]
pub struct Receiver {
    runtime: Runtime,
    channel: Channel<TcpStream>,
}

/// What is offered under a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// The number.
    pub id: Id,
    /// The path.
    pub path: String,
    /// The octets of a file, when they are known; none for a folder.
    pub size: Option<Option<u64>>,
    /// Its mode.
    pub mode: u16,
    /// When it was changed, in seconds and nanoseconds.
    pub modified: (i64, u32),
}

/// What came for a `want`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Where the sender began.
    pub offset: u64,
    /// The octets from there.
    pub octets: Vec<u8>,
    /// What it says about the whole file, or why there is no more.
    pub end: Result<(u64, Digest), String>,
}

impl Receiver {
    /// Connects with this key.
    ///
    /// # Errors
    /// The other side refuses.
    ///
    /// # Panics
    /// There is nobody.
    pub fn connect(to: SocketAddr, key: &Key) -> Result<Self, ChannelError> {
        let runtime = runtime();
        let channel = runtime.block_on(async {
            let stream = TcpStream::connect(local(to)).await?;
            guard(Channel::join(stream, key)).await
        })?;
        Ok(Self { runtime, channel })
    }

    /// Connects, says hello, and takes what is offered.
    ///
    /// # Panics
    /// It gets no offer.
    pub fn start(to: SocketAddr, key: &Key) -> (Self, Vec<Offered>) {
        let mut receiver = Self::connect(to, key).expect("the key is right");
        receiver.say(&Request::Hello(VERSION));
        let offered = receiver.offered();
        (receiver, offered)
    }

    /// Says something.
    ///
    /// # Panics
    /// The connection is broken.
    pub fn say(&mut self, request: &Request<'_>) {
        self.say_octets(&request.to_vec()).expect("a connection");
    }

    /// Says anything.
    ///
    /// # Errors
    /// The connection is broken, or not read from.
    pub fn say_octets(&mut self, octets: &[u8]) -> Result<(), ChannelError> {
        self.channel.queue_with(|frame| {
            let (room, _) = frame.split_at_mut(octets.len());
            room.copy_from_slice(octets);
            Ok(octets.len())
        })?;
        self.runtime.block_on(guard(self.channel.flush()))
    }

    /// The next frame; none at the end.
    ///
    /// # Errors
    /// The connection is broken.
    ///
    /// # Panics
    /// It is no frame of a sender.
    pub fn try_hear(&mut self) -> Result<Option<AnswerBuf>, ChannelError> {
        let frame = self.runtime.block_on(guard(self.channel.receive()))?;
        Ok(frame.map(|frame| {
            let answer = Answer::decode(frame);
            answer.expect("a frame of a sender").into_owned()
        }))
    }

    /// The next frame.
    ///
    /// # Panics
    /// There is none.
    pub fn hear(&mut self) -> AnswerBuf {
        self.try_hear().expect("no error").expect("a frame")
    }

    /// What is offered, after hello.
    ///
    /// # Panics
    /// It is not well-formed, or too long to wait for.
    pub fn offered(&mut self) -> Vec<Offered> {
        assert_eq!(self.hear(), AnswerBuf::Hello(VERSION));
        let mut offered = Vec::new();
        let mut sum = 0;
        loop {
            match self.hear() {
                AnswerBuf::Page(page) => {
                    for entry in page.as_page() {
                        let size = match entry.kind {
                            Kind::Folder => None,
                            Kind::File(Size::Unknown) => Some(None),
                            Kind::File(Size::Known(size)) => Some(Some(size)),
                        };
                        sum += size.flatten().unwrap_or_default();
                        offered.push(Offered {
                            id: entry.id,
                            path: entry.path.as_str().to_owned(),
                            size,
                            mode: entry.mode.bits(),
                            modified: (entry.modified.seconds(), entry.modified.nanos()),
                        });
                    }
                }
                AnswerBuf::End { entries, octets } => {
                    let count = u64::try_from(offered.len()).expect("few");
                    assert_eq!((entries, octets), (count, sum));
                    let ids = offered.iter().map(|entry| entry.id.get());
                    assert!(ids.eq(1..=count));
                    return offered;
                }
                other => panic!("{other:?} within the offer"),
            }
        }
    }

    /// Wants a file, and takes what comes for it.
    ///
    /// # Panics
    /// Something else comes.
    pub fn fetch(&mut self, id: Id, start: Start) -> Fetched {
        self.say(&Request::Want { id, start });
        self.fetched(id)
    }

    /// What comes for a file that was wanted.
    ///
    /// # Panics
    /// Something else comes.
    pub fn fetched(&mut self, id: Id) -> Fetched {
        let mut fetched = Fetched {
            offset: 0,
            octets: Vec::new(),
            end: Err(String::new()),
        };
        loop {
            match self.hear() {
                AnswerBuf::File { id: of, offset } if of == id => fetched.offset = offset,
                AnswerBuf::Data(data) => fetched.octets.extend(data.as_data().as_bytes()),
                AnswerBuf::Sum {
                    id: of,
                    octets,
                    digest,
                } if of == id => {
                    fetched.end = Ok((octets, digest));
                    return fetched;
                }
                AnswerBuf::Failed(of, problem, text) if of == id => {
                    fetched.end = Err(format!("{} {}", problem.word(), text.as_text().as_str()));
                    return fetched;
                }
                other => panic!("{other:?} instead of file {}", id.get()),
            }
        }
    }

    /// Says that it wants nothing more, and is told that this was read.
    ///
    /// # Panics
    /// It is not.
    pub fn done(mut self) {
        self.say(&Request::Done);
        assert_eq!(self.hear(), AnswerBuf::Done);
        assert_eq!(self.try_hear().expect("no error"), None);
    }
}

/// An address that can be connected to, of one that is listened on.
#[must_use]
pub fn local(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    address
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("memory for a runtime")
}

async fn guard<T>(waited: impl Future<Output = T>) -> T {
    let in_time = timeout(WATCHDOG, waited).await;
    in_time.expect("the sender hangs")
}
