//! Streams: TCP may cut one into any pieces, and the frames are the same.

use std::fmt::Debug;

use bytes::BytesMut;
use hii_protocol::codec::StreamCodec;
use hii_protocol::{Frame, Limits, ParseError, ping, relay, stream};
use tokio_util::codec::Decoder;

/// A stream, whole and in pieces. The first octet says how many lengths of pieces follow, which are used in turn; the
/// rest is the stream.
pub fn framing(octets: &[u8]) {
    let Some((count, rest)) = octets.split_first() else {
        return;
    };
    let Some((lengths, stream)) = rest.split_at_checked(usize::from(*count)) else {
        return;
    };
    same_items::<relay::RequestBuf>(stream, lengths);
    same_items::<ping::RequestBuf>(stream, lengths);
}

fn same_items<F: Frame + PartialEq + Debug>(stream: &[u8], lengths: &[u8]) {
    let whole = items::<F>([stream]);
    let mut left = stream;
    let mut lengths = lengths.iter().map(|len| usize::from(*len).max(1)).cycle();
    let pieces = std::iter::from_fn(|| {
        if left.is_empty() {
            return None;
        }
        let (piece, rest) = left.split_at(lengths.next().unwrap_or(1).min(left.len()));
        left = rest;
        Some(piece)
    });
    assert_eq!(items::<F>(pieces), whole);
}

/// The frames of a stream's pieces, with limits that a short input reaches.
fn items<'a, F: Frame>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Result<F, ParseError>> {
    const LIMITS: Limits = Limits {
        datagram: 64,
        stream_frame: 128,
    };
    const HELD: usize = stream::HEADER_LEN + 128;

    let mut codec = StreamCodec::<F>::new(LIMITS);
    let mut buffer = BytesMut::new();
    let mut items = Vec::new();
    let mut fed = 0;
    for piece in pieces {
        buffer.extend_from_slice(piece);
        fed += piece.len();
        items.extend(std::iter::from_fn(|| {
            codec.decode(&mut buffer).expect("a codec never fails")
        }));
        assert!(buffer.len() < HELD, "{} octets held", buffer.len());
    }
    assert!(
        items.len() <= fed / stream::HEADER_LEN,
        "more frames than headers"
    );
    let held = buffer.len();
    let last = codec.decode_eof(&mut buffer).expect("a codec never fails");
    let cut_off = last.as_ref().and_then(|item| item.as_ref().err());
    assert_eq!(cut_off.copied(), stream::cut_off(held));
    assert_eq!(last.is_some(), held > 0);
    items.extend(last);
    let more = codec.decode_eof(&mut buffer).expect("a codec never fails");
    assert!(
        more.is_none() && buffer.is_empty(),
        "something is left at the end"
    );
    items
}
