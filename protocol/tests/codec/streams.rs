//! Streams through a TCP connection, whole and in pieces.

use std::io;

use futures_util::{SinkExt as _, Stream, StreamExt as _};
use hii_protocol::codec::StreamCodec;
use hii_protocol::{Frame, MAX_DATAGRAM, ParseError, ping, relay};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::{Framed, FramedRead};

use crate::{SMALL, Said, good, said, soon, too_long};

/// Both ends of a TCP connection.
async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    (near.unwrap(), far.unwrap().0)
}

fn framed(payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap();
    [&len.to_be_bytes(), payload].concat()
}

/// All items up to the end of the stream, which is no error.
async fn all<F: Frame>(
    mut stream: impl Stream<Item = io::Result<Result<F, ParseError>>> + Unpin,
) -> Vec<Said> {
    let mut items = Vec::new();
    while let Some(item) = soon(stream.next()).await {
        items.push(said(item.unwrap()));
    }
    items
}

/// Good frames with every kind of malformed one between them, and what a receiver with the limits of [`SMALL`] makes
/// of them.
fn mixed() -> (Vec<u8>, Vec<Said>) {
    let parts: [(Vec<u8>, Said); 11] = [
        (framed(b"exit"), good("exit")),
        (framed(b"C 5 "), Err((403, 3, "size"))),
        (framed(b"one"), good("one")),
        (framed(b""), Err((400, 0, "frame-length"))),
        (framed(b""), Err((400, 0, "frame-length"))),
        (framed(b"P 00c0ffee 1  "), good("P 00c0ffee 1  ")),
        // What is skipped looks like frames, so that one who loses step says so.
        (
            framed(&framed(b"not a frame").repeat(20)),
            Err((400, 0, "frame-length")),
        ),
        (framed(&[b'x'; 33]), Err((400, 32, "datagram"))),
        (framed(&[b'x'; 65]), Err((400, 0, "frame-length"))),
        (framed(&[b'x'; 32]), good(&"x".repeat(32))),
        (framed(b"C 0128"), good("C 128")),
    ];
    let items = parts.iter().map(|(_, item)| item.clone()).collect();
    (parts.map(|(octets, _)| octets).concat(), items)
}

#[tokio::test]
async fn malformed_frames_are_items_and_the_stream_stays_in_step() {
    let (mut near, far) = connection().await;
    let (octets, expected) = mixed();
    let write = async {
        near.write_all(&octets).await.unwrap();
        near.shutdown().await.unwrap();
    };
    let read = all(Framed::new(
        far,
        StreamCodec::<ping::RequestBuf>::new(SMALL),
    ));
    let ((), items) = tokio::join!(soon(write), read);
    assert_eq!(items, expected);
}

#[tokio::test]
async fn it_makes_no_difference_how_the_octets_come() {
    let (octets, expected) = mixed();
    for step in [1, 2, 3, 7, 64] {
        let (mut near, far) = connection().await;
        near.set_nodelay(true).unwrap();
        let write = async {
            for some in octets.chunks(step) {
                near.write_all(some).await.unwrap();
                // Lets the reader have them before there are more.
                tokio::task::yield_now().await;
            }
            near.shutdown().await.unwrap();
        };
        let read = all(Framed::new(
            far,
            StreamCodec::<ping::RequestBuf>::new(SMALL),
        ));
        let ((), items) = tokio::join!(soon(write), read);
        assert_eq!(items, expected, "{step} at a time");

        // TCP may join what was written apart. A pipe that holds no more cannot.
        let (mut near, far) = tokio::io::duplex(step);
        let write = async {
            near.write_all(&octets).await.unwrap();
            near.shutdown().await.unwrap();
        };
        let read = all(FramedRead::new(
            far,
            StreamCodec::<ping::RequestBuf>::new(SMALL),
        ));
        let ((), items) = tokio::join!(soon(write), read);
        assert_eq!(items, expected, "a pipe of {step}");
    }
}

/// The limits that everyone has: 1 MiB a frame, 65,507 octets a payload.
#[tokio::test]
async fn frames_at_the_default_limits() {
    let (mut near, far) = connection().await;
    let longest = vec![b'x'; MAX_DATAGRAM];
    let octets = [
        framed(&longest),
        framed(&vec![b'x'; MAX_DATAGRAM + 1]),
        framed(&vec![b'x'; 1 << 20]),
        framed(&vec![b'x'; (1 << 20) + 1]),
        framed(b"exit"),
    ]
    .concat();
    let write = async {
        near.write_all(&octets).await.unwrap();
        near.shutdown().await.unwrap();
    };
    let read = all(Framed::new(far, StreamCodec::<ping::RequestBuf>::default()));
    let ((), items) = tokio::join!(soon(write), read);
    assert_eq!(
        items,
        [
            Ok(String::from_utf8(longest).unwrap()),
            Err((400, MAX_DATAGRAM, "datagram")),
            Err((400, MAX_DATAGRAM, "datagram")),
            Err((400, 0, "frame-length")),
            good("exit"),
        ]
    );
}

/// A malformed frame is told when its length is there: its octets may never come.
#[tokio::test]
async fn an_overlong_frame_is_told_before_it_is_there() {
    let (mut near, far) = connection().await;
    let mut far = Framed::new(far, StreamCodec::<ping::RequestBuf>::default());
    soon(near.write_all(b"\xff\xff\xff\xff")).await.unwrap();
    let item = soon(far.next()).await.unwrap().unwrap();
    assert_eq!(said(item), Err((400, 0, "frame-length")));
    soon(near.write_all(b"some of it")).await.unwrap();
    drop(near);
    assert!(soon(far.next()).await.is_none());
}

#[tokio::test]
async fn a_frame_cut_off_at_the_end_of_the_stream_is_the_last_item() {
    let whole = [framed(b"exit"), framed(b"one")].concat();
    let next = framed(b"two");
    for cut in 0..next.len() {
        let (mut near, far) = connection().await;
        near.write_all(&[&whole[..], &next[..cut]].concat())
            .await
            .unwrap();
        drop(near);
        let mut far = Framed::new(far, StreamCodec::<ping::RequestBuf>::default());
        let mut expected = vec![good("exit"), good("one")];
        match cut {
            0 => {}
            1..4 => expected.push(Err((400, cut, "frame-length"))),
            _ => expected.push(Err((400, cut, "tcp-frame"))),
        }
        assert_eq!(all(&mut far).await, expected, "{cut} octets");
        // The end stays the end.
        assert!(soon(far.next()).await.is_none());
    }
}

/// What is malformed has been told already when its length was there.
#[tokio::test]
async fn a_malformed_frame_that_is_cut_off_is_one_item() {
    for (frame, error) in [
        (framed(&[b'x'; 33]), (400, 32, "datagram")),
        (framed(&[b'x'; 65]), (400, 0, "frame-length")),
    ] {
        for cut in 4..frame.len() {
            let (mut near, far) = connection().await;
            near.write_all(&frame[..cut]).await.unwrap();
            drop(near);
            let codec = StreamCodec::<ping::RequestBuf>::new(SMALL);
            let items = all(FramedRead::new(far, codec)).await;
            assert_eq!(items, [Err(error)], "{cut} octets");
        }
    }
}

#[tokio::test]
async fn a_frame_that_cannot_be_sent_leaves_the_stream_in_step() {
    let (near, far) = connection().await;
    let mut near = Framed::new(near, StreamCodec::<relay::RequestBuf>::default());
    let send = async {
        soon(near.send(relay::RequestBuf::Greeting)).await.unwrap();
        let error = soon(near.send(too_long())).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        soon(near.send(relay::RequestBuf::ExitServer))
            .await
            .unwrap();
        soon(near.close()).await.unwrap();
    };
    let read = all(Framed::new(
        far,
        StreamCodec::<relay::RequestBuf>::default(),
    ));
    let ((), items) = tokio::join!(send, read);
    assert_eq!(items, [good("hii"), good("exit server")]);
}
