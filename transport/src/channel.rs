//! The encrypted channel of the share service: Noise messages in frames (`WIRE.md` section 8.1).

use std::io;

use hii_protocol::share::{Key, PROLOGUE};
use hii_protocol::stream::{self, HEADER_LEN, Step};
use hii_protocol::{Frame, Limits, MAX_DATAGRAM};
use snow::params::NoiseParams;
use snow::{Builder, HandshakeState, TransportState};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

const PATTERN: &str = "Noise_NNpsk0_25519_AESGCM_SHA256";

/// What the key of the channel is derived for.
const CONTEXT: &str = "hii 2026 share key";

/// What the side that offers says in the place of its message when a handshake fails.
const FAILED: &[u8] = b"E";

/// Octets that a message has more than what it holds.
const TAG_LEN: usize = 16;

/// The longest message: a whole frame and its tag.
const MAX_MESSAGE: usize = MAX_DATAGRAM + TAG_LEN;

/// Octets of a handshake's message: a public key and a tag.
const HANDSHAKE_LEN: usize = 32 + TAG_LEN;

/// Buffers that are larger than this are given back while nothing comes.
const IDLE_BUFFER: usize = 1024;

/// Octets read at once at most.
const READ_AT_ONCE: usize = 128 * 1024;

/// Why a channel cannot be had, or goes no further.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// The connection is broken.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The two sides have not the same key.
    #[error("the two sides have not the same key")]
    Key,
    /// What came is no message of this channel: it was damaged or forged on the way, or the other side is something else.
    #[error("what came is no message of this channel")]
    Damaged,
    /// The connection ended within a message.
    #[error("the connection was cut off")]
    CutOff,
}

/// A channel over a connection. Both sides have the key, and nobody else can read or change what goes through.
#[derive(Debug)]
pub struct Channel<S> {
    stream: S,
    noise: TransportState,
    /// What has come of the next messages.
    incoming: Vec<u8>,
    /// How much of that has been taken.
    taken: usize,
    /// Messages that are still to be sent.
    outgoing: Vec<u8>,
    /// How much of these has been sent, when a call that sent them was dropped.
    sent: usize,
    /// The frame that came last, or the one that is being sealed.
    plain: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Channel<S> {
    /// Begins a channel towards whoever offers one. May be dropped at any time; has no time-out of its own.
    ///
    /// # Errors
    /// The connection breaks, or the other side has another key or speaks something else.
    pub async fn join(mut stream: S, key: &Key) -> Result<Self, ChannelError> {
        let mut noise = handshake(key, true)?;
        let mut message = [0; HANDSHAKE_LEN];
        let len = write_handshake(&mut noise, &mut message)?;
        send_one(&mut stream, message.get(..len).unwrap_or_default()).await?;
        let mut incoming = Vec::new();
        let answer = receive_handshake(&mut stream, &mut incoming).await?;
        if answer == FAILED {
            return Err(ChannelError::Key);
        }
        // Who offers a channel and has another key has said so.
        read_handshake(&mut noise, &answer).map_err(|_| ChannelError::Damaged)?;
        Self::established(stream, noise)
    }

    /// Answers whoever begins a channel.
    ///
    /// # Errors
    /// The connection breaks, or the other side has another key or speaks something else: it is told that, and no more.
    pub async fn offer(mut stream: S, key: &Key) -> Result<Self, ChannelError> {
        let mut noise = handshake(key, false)?;
        let mut incoming = Vec::new();
        let first = receive_handshake(&mut stream, &mut incoming).await;
        let first = match first {
            Ok(first) => first,
            Err(error) => {
                if matches!(error, ChannelError::Damaged) {
                    let _ = send_one(&mut stream, FAILED).await;
                }
                return Err(error);
            }
        };
        if read_handshake(&mut noise, &first).is_err() {
            let _ = send_one(&mut stream, FAILED).await;
            return Err(ChannelError::Key);
        }
        let mut message = [0; HANDSHAKE_LEN];
        let len = write_handshake(&mut noise, &mut message)?;
        send_one(&mut stream, message.get(..len).unwrap_or_default()).await?;
        Self::established(stream, noise)
    }

    fn established(stream: S, noise: HandshakeState) -> Result<Self, ChannelError> {
        let noise = noise.into_transport_mode().map_err(impossible)?;
        Ok(Self {
            stream,
            noise,
            incoming: Vec::new(),
            taken: 0,
            outgoing: Vec::new(),
            sent: 0,
            plain: Vec::new(),
        })
    }

    /// The connection.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// Octets that are queued and not yet sent.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.outgoing.len()
    }

    /// Whether a whole message is there already, so that [`receive`](Self::receive) does not wait.
    #[must_use]
    pub fn has_message(&self) -> bool {
        let held = self.incoming.get(self.taken..).unwrap_or_default();
        !matches!(next_message(held, MAX_MESSAGE), Ok(None))
    }

    /// Queues a frame; [`flush`](Self::flush) sends it.
    ///
    /// # Errors
    /// The channel has carried as many messages as it may: 2^64.
    pub fn queue(&mut self, frame: &impl Frame) -> Result<(), ChannelError> {
        let len = frame.frame_len();
        self.plain.resize(len, 0);
        frame
            .encode_frame(&mut self.plain)
            .map_err(|_| impossible("a frame that is longer than it says"))?;
        self.seal(len)
    }

    /// Queues a frame that is written straight into the channel's buffer, which is as long as the longest frame. `write` tells
    /// how long the frame is; one of no octets is not sent. Gives that length.
    ///
    /// # Errors
    /// Those of `write`, after which nothing is queued, and those of [`queue`](Self::queue).
    pub fn queue_with(
        &mut self,
        write: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> Result<usize, ChannelError> {
        self.plain.resize(MAX_DATAGRAM, 0);
        let len = write(&mut self.plain)?.min(MAX_DATAGRAM);
        if len > 0 {
            self.seal(len)?;
        }
        Ok(len)
    }

    /// Seals the first octets of the plain buffer.
    fn seal(&mut self, len: usize) -> Result<(), ChannelError> {
        let plain = self.plain.get(..len).unwrap_or_default();
        let start = self.outgoing.len();
        let message = start + HEADER_LEN;
        self.outgoing.resize(message + len + TAG_LEN, 0);
        let header = stream::header(len + TAG_LEN, &Limits::DEFAULT).map_err(impossible)?;
        if let Some(room) = self.outgoing.get_mut(start..message) {
            room.copy_from_slice(&header);
        }
        let room = self.outgoing.get_mut(message..).unwrap_or_default();
        self.noise
            .write_message(plain, room)
            .map(|_| ())
            .map_err(impossible)
    }

    /// Sends what is queued. After a call that is dropped the next one goes on where that was.
    ///
    /// # Errors
    /// The connection is broken.
    pub async fn flush(&mut self) -> Result<(), ChannelError> {
        while let Some(rest) = self
            .outgoing
            .get(self.sent..)
            .filter(|rest| !rest.is_empty())
        {
            match self.stream.write(rest).await? {
                0 => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                len => self.sent += len,
            }
        }
        self.outgoing.clear();
        self.sent = 0;
        Ok(self.stream.flush().await?)
    }

    /// The next frame's octets; none where the other side has closed between two of them, which only a side may that is
    /// done. What is queued is not sent. A call that is dropped loses nothing.
    ///
    /// # Errors
    /// The connection is broken or ends within a message, or what came is no message of this channel.
    pub async fn receive(&mut self) -> Result<Option<&[u8]>, ChannelError> {
        let message = loop {
            let held = self.incoming.get(self.taken..).unwrap_or_default();
            match next_message(held, MAX_MESSAGE)? {
                Some(len) => break len,
                None if self.read().await? => {}
                None if self.taken == self.incoming.len() => return Ok(None),
                None => return Err(ChannelError::CutOff),
            }
        };
        let start = self.taken + HEADER_LEN;
        let sealed = self
            .incoming
            .get(start..start + message)
            .unwrap_or_default();
        self.plain.resize(message, 0);
        let len = self
            .noise
            .read_message(sealed, &mut self.plain)
            .map_err(|_| ChannelError::Damaged)?;
        self.taken = start + message;
        Ok(Some(self.plain.get(..len).unwrap_or_default()))
    }

    /// Reads more; false at the end of the stream.
    async fn read(&mut self) -> io::Result<bool> {
        let held = self.incoming.len() - self.taken;
        if self.taken > 0 {
            self.incoming.copy_within(self.taken.., 0);
            self.incoming.truncate(held);
            self.taken = 0;
        }
        if held == 0 {
            for buffer in [&mut self.incoming, &mut self.plain] {
                release(buffer);
            }
            if self.outgoing.is_empty() {
                release(&mut self.outgoing);
            }
        }
        read_some(&mut self.stream, &mut self.incoming).await
    }

    /// Closes the sending side, after what is queued.
    ///
    /// # Errors
    /// The connection is broken.
    pub async fn close(&mut self) -> Result<(), ChannelError> {
        self.flush().await?;
        Ok(self.stream.shutdown().await?)
    }
}

/// Gives a buffer's memory back.
fn release(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.shrink_to(IDLE_BUFFER);
}

fn handshake(key: &Key, is_initiator: bool) -> Result<HandshakeState, ChannelError> {
    let params: NoiseParams = PATTERN.parse().map_err(impossible)?;
    let psk = blake3::derive_key(CONTEXT, key.as_bytes());
    let builder = Builder::new(params)
        .prologue(PROLOGUE)
        .and_then(|builder| builder.psk(0, &psk))
        .map_err(impossible)?;
    if is_initiator {
        builder.build_initiator().map_err(impossible)
    } else {
        builder.build_responder().map_err(impossible)
    }
}

/// Writes a handshake's message, which holds nothing.
fn write_handshake(noise: &mut HandshakeState, message: &mut [u8]) -> Result<usize, ChannelError> {
    noise.write_message(&[], message).map_err(impossible)
}

fn read_handshake(noise: &mut HandshakeState, message: &[u8]) -> Result<(), ChannelError> {
    match noise.read_message(message, &mut []) {
        Ok(_) => Ok(()),
        Err(_) => Err(ChannelError::Key),
    }
}

/// What only the system's randomness or its memory could cause.
fn impossible<E: Into<Box<dyn std::error::Error + Send + Sync>>>(error: E) -> ChannelError {
    ChannelError::Io(io::Error::other(error))
}

async fn send_one(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &[u8],
) -> Result<(), ChannelError> {
    let header = stream::header(message.len(), &Limits::DEFAULT).map_err(impossible)?;
    let frame = [&header[..], message].concat();
    stream.write_all(&frame).await?;
    Ok(stream.flush().await?)
}

/// The other side's message of the handshake. It sends nothing more before it has an answer.
async fn receive_handshake(
    stream: &mut (impl AsyncRead + Unpin),
    incoming: &mut Vec<u8>,
) -> Result<Vec<u8>, ChannelError> {
    loop {
        // Whoever sends more than that is something else, and what follows is not waited for.
        if let Some(len) = next_message(incoming, HANDSHAKE_LEN)? {
            let whole = HEADER_LEN + len;
            if incoming.len() > whole {
                return Err(ChannelError::Damaged);
            }
            return Ok(incoming.split_off(HEADER_LEN));
        }
        let mut few = [0; HEADER_LEN + HANDSHAKE_LEN];
        match stream.read(&mut few).await? {
            0 => return Err(ChannelError::CutOff),
            len => incoming.extend_from_slice(few.get(..len).unwrap_or_default()),
        }
    }
}

/// The length of the next message, when all of it is there.
fn next_message(held: &[u8], longest: usize) -> Result<Option<usize>, ChannelError> {
    let limits = Limits {
        stream_frame: u32::try_from(longest).unwrap_or(u32::MAX),
        ..Limits::DEFAULT
    };
    match stream::step(held, &limits) {
        Step::Frame(len) => Ok(Some(len)),
        Step::Wait(_) => Ok(None),
        Step::Skip(_) => Err(ChannelError::Damaged),
    }
}

/// Reads what is there after what is held; false at the end of the stream.
async fn read_some(stream: &mut (impl AsyncRead + Unpin), held: &mut Vec<u8>) -> io::Result<bool> {
    let mut limited = stream.take(READ_AT_ONCE as u64);
    if held.capacity() - held.len() < IDLE_BUFFER {
        // As long as little comes, little is held; a message in parts says how long it is.
        let wanted = match stream::step(held, &Limits::DEFAULT) {
            Step::Wait(whole) if whole > HEADER_LEN => whole.max(READ_AT_ONCE),
            _ => held.len() + IDLE_BUFFER,
        };
        held.reserve(wanted.saturating_sub(held.len()));
    }
    Ok(limited.read_buf(held).await? > 0)
}

#[cfg(test)]
#[path = "channel_tests.rs"]
mod tests;
