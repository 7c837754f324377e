//! tokio-util codecs: [`DatagramCodec`] for `UdpFramed`, [`StreamCodec`] for `Framed` over TCP.
//!
//! A malformed frame is an *item*, `Err(ParseError)`, and never a codec error: a codec error has no sender to answer,
//! and ends or wedges the stream. Whatever comes, the buffer is consumed, so the next frame is read. A frame that the end
//! of the stream cuts off is such an item too, the last one.
//!
//! `UdpFramed` itself drops empty datagrams in silence; a service that has to see them (an empty datagram is a message
//! to the ping service) receives on its own and calls `decode`.
//!
//! A client over UDP (with tokio-util's feature `net`):
//!
//! ```
//! use futures_util::{SinkExt as _, StreamExt as _};
//! use hii_protocol::codec::DatagramCodec;
//! use hii_protocol::ping::{Answer, RequestBuf};
//! use tokio::net::UdpSocket;
//! use tokio_util::udp::UdpFramed;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = UdpSocket::bind("127.0.0.1:0").await?;
//! # let address = server.local_addr()?;
//! let socket = UdpSocket::bind("127.0.0.1:0").await?;
//! let mut client = UdpFramed::new(socket, DatagramCodec::<Answer, RequestBuf>::default());
//! client.send((RequestBuf::Exit, address)).await?;
//! # let (_, from) = server.recv_from(&mut [0; 100]).await?;
//! # server.send_to(b"Stopping the Server.", from).await?;
//! let (answer, _from) = client.next().await.ok_or("the socket is closed")??;
//! assert_eq!(answer, Ok(Answer::Stopping));
//! # Ok(())
//! # }
//! ```
//!
//! The frames alone:
//!
//! ```
//! use hii_protocol::codec::StreamCodec;
//! use hii_protocol::ping::RequestBuf;
//! use tokio_util::codec::{Decoder, Encoder};
//!
//! let mut codec = StreamCodec::<RequestBuf>::default();
//! let mut buffer = bytes::BytesMut::new();
//! codec.encode(RequestBuf::Exit, &mut buffer)?;
//! assert_eq!(&buffer[..], b"\x00\x00\x00\x04exit");
//! assert_eq!(codec.decode(&mut buffer)?, Some(Ok(RequestBuf::Exit)));
//! # Ok::<(), std::io::Error>(())
//! ```

use core::marker::PhantomData;
use std::io;

use bytes::{Buf as _, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::stream::{self, Step};
use crate::{Frame, Limits, ParseError, Rule};

/// One datagram, one frame: `D` is what comes in, `E` what goes out. A server's are requests and answers, a client's
/// answers and requests.
#[derive(Debug, Clone)]
pub struct DatagramCodec<D, E = D> {
    limits: Limits,
    frames: PhantomData<fn(E) -> D>,
}

impl<D, E> DatagramCodec<D, E> {
    /// A codec with limits of your own.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            frames: PhantomData,
        }
    }
}

impl<D, E> Default for DatagramCodec<D, E> {
    fn default() -> Self {
        Self::new(Limits::DEFAULT)
    }
}

impl<D: Frame, E> Decoder for DatagramCodec<D, E> {
    type Item = Result<D, ParseError>;
    type Error = io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Self::Item>> {
        // `UdpFramed` asks again after each frame, until there is none.
        if buffer.is_empty() {
            return Ok(None);
        }
        let frame = D::decode_frame(buffer, &self.limits);
        buffer.clear();
        Ok(Some(frame))
    }
}

impl<D, E: Frame> Encoder<E> for DatagramCodec<D, E> {
    type Error = io::Error;

    fn encode(&mut self, frame: E, buffer: &mut BytesMut) -> io::Result<()> {
        append(&frame, self.limits.datagram, buffer, |_| Ok(()))
    }
}

/// Frames on a stream, each after its length: `D` is what comes in, `E` what goes out.
#[derive(Debug, Clone)]
pub struct StreamCodec<D, E = D> {
    limits: Limits,
    /// Octets of a malformed frame still to come, which are dropped as they do.
    skipping: usize,
    frames: PhantomData<fn(E) -> D>,
}

impl<D, E> StreamCodec<D, E> {
    /// A codec with limits of your own.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            skipping: 0,
            frames: PhantomData,
        }
    }

    fn skip(&mut self, buffer: &mut BytesMut) {
        let some = buffer.len().min(self.skipping);
        buffer.advance(some);
        self.skipping -= some;
    }

    /// Drops a malformed frame: its length, and of its payload what is there and what is still to come.
    fn drop_frame(&mut self, payload: usize, buffer: &mut BytesMut) {
        buffer.advance(stream::HEADER_LEN);
        self.skipping = payload;
        self.skip(buffer);
    }
}

impl<D, E> Default for StreamCodec<D, E> {
    fn default() -> Self {
        Self::new(Limits::DEFAULT)
    }
}

impl<D: Frame, E> Decoder for StreamCodec<D, E> {
    type Item = Result<D, ParseError>;
    type Error = io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Self::Item>> {
        self.skip(buffer);
        match stream::step(buffer, &self.limits) {
            // No frame of these services is that long: it is refused before it is held.
            Step::Wait(needed) if needed - stream::HEADER_LEN > self.limits.datagram => {
                self.drop_frame(needed - stream::HEADER_LEN, buffer);
                Ok(Some(Err(ParseError::new(
                    Rule::Datagram,
                    self.limits.datagram,
                ))))
            }
            Step::Wait(needed) => {
                buffer.reserve(needed.saturating_sub(buffer.len()));
                Ok(None)
            }
            Step::Skip(octets) => {
                self.drop_frame(usize::try_from(octets).unwrap_or(usize::MAX), buffer);
                Ok(Some(Err(stream::malformed())))
            }
            Step::Frame(len) => {
                buffer.advance(stream::HEADER_LEN);
                let payload = buffer.split_to(len);
                Ok(Some(D::decode_frame(&payload, &self.limits)))
            }
        }
    }

    /// A frame that the end of the stream cuts off is an item as other malformed ones are: whoever reads can tell a sender
    /// that was through from one that broke off. After it there is nothing more.
    fn decode_eof(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Self::Item>> {
        let item = self.decode(buffer)?;
        if item.is_some() {
            return Ok(item);
        }
        let cut_off = stream::cut_off(buffer.len());
        buffer.clear();
        Ok(cut_off.map(Err))
    }
}

impl<D, E: Frame> Encoder<E> for StreamCodec<D, E> {
    type Error = io::Error;

    fn encode(&mut self, frame: E, buffer: &mut BytesMut) -> io::Result<()> {
        let limits = self.limits;
        append(&frame, limits.datagram, buffer, |buffer| {
            let header = stream::header(frame.frame_len(), &limits).map_err(invalid)?;
            buffer.extend_from_slice(&header);
            Ok(())
        })
    }
}

/// Appends the frame after what `before` appends; leaves the buffer as it was when that cannot be.
fn append(
    frame: &impl Frame,
    limit: usize,
    buffer: &mut BytesMut,
    before: impl FnOnce(&mut BytesMut) -> io::Result<()>,
) -> io::Result<()> {
    let len = frame.frame_len();
    if len > limit {
        return Err(invalid(format_args!(
            "a frame of {len} octets is over the limit of {limit}"
        )));
    }
    let start = buffer.len();
    before(buffer)?;
    let at = buffer.len();
    buffer.resize(at + len, 0);
    let room = buffer.get_mut(at..).unwrap_or_default();
    frame.encode_frame(room).map(|_| ()).map_err(|error| {
        buffer.truncate(start);
        invalid(error)
    })
}

fn invalid(error: impl core::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, std::format!("{error}"))
}
