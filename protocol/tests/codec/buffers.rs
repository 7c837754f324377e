//! What the codecs leave in a buffer.

use std::fmt::Debug;
use std::io;

use bytes::BytesMut;
use hii_protocol::codec::{DatagramCodec, StreamCodec};
use hii_protocol::{Limits, Rule, ping, relay};
use tokio_util::codec::{Decoder as _, Encoder};

use crate::{SMALL, too_long};

#[test]
fn a_failed_encode_leaves_the_buffer_as_it_was() {
    fn fails<F: Debug>(mut codec: impl Encoder<F, Error = io::Error> + Debug, frame: F) {
        let held = b"not sent yet";
        let mut buffer = BytesMut::from(&held[..]);
        let shown = format!("{codec:?}");
        let error = codec.encode(frame, &mut buffer).expect_err(&shown);
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{shown}");
        assert_eq!(&buffer[..], held, "{shown}");
    }

    let empty = || ping::RequestBuf::Message(ping::Message::new(b"").unwrap().into());
    let long = || ping::RequestBuf::Message(ping::Message::new(&[b'x'; 33]).unwrap().into());
    let no_frames = Limits {
        stream_frame: 32,
        ..Limits::DEFAULT
    };
    fails(DatagramCodec::<ping::RequestBuf>::new(SMALL), long());
    fails(DatagramCodec::<relay::RequestBuf>::default(), too_long());
    fails(StreamCodec::<ping::RequestBuf>::new(SMALL), long());
    fails(StreamCodec::<ping::RequestBuf>::new(no_frames), long());
    fails(StreamCodec::<relay::RequestBuf>::default(), too_long());
    // On a stream nothing has no length.
    fails(StreamCodec::<ping::RequestBuf>::default(), empty());
}

#[test]
fn an_encoded_frame_goes_after_what_the_buffer_holds() {
    let mut buffer = BytesMut::from(&b"before "[..]);
    let mut datagrams = DatagramCodec::<ping::RequestBuf>::default();
    datagrams
        .encode(ping::RequestBuf::Exit, &mut buffer)
        .unwrap();
    assert_eq!(&buffer[..], b"before exit");
    let mut stream = StreamCodec::<ping::RequestBuf>::default();
    stream.encode(ping::RequestBuf::Exit, &mut buffer).unwrap();
    assert_eq!(&buffer[..], b"before exit\0\0\0\x04exit");
}

#[test]
fn a_frame_too_long_for_the_service_is_refused_before_it_is_held() {
    let mut codec = StreamCodec::<ping::RequestBuf>::default();
    let mut buffer = BytesMut::new();
    let len = 1_u32 << 20;
    buffer.extend_from_slice(&len.to_be_bytes());
    let refused = codec.decode(&mut buffer).unwrap().unwrap().unwrap_err();
    assert_eq!((refused.rule(), refused.offset()), (Rule::Datagram, 65_507));
    assert!(buffer.capacity() < 1 << 16, "{}", buffer.capacity());
    // Its payload is dropped as it comes, and the next frame is read.
    for _ in 0..len / 1024 {
        buffer.extend_from_slice(&[b'x'; 1024]);
        assert_eq!(codec.decode(&mut buffer).unwrap(), None);
        assert!(buffer.is_empty());
    }
    buffer.extend_from_slice(b"\x00\x00\x00\x04exit");
    assert_eq!(
        codec.decode(&mut buffer).unwrap(),
        Some(Ok(ping::RequestBuf::Exit))
    );
}
