//! The codecs over real sockets: a malformed frame costs nobody but its sender, who can be told.
#![cfg(feature = "codec")]

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::{SinkExt as _, Stream, StreamExt as _};
use hii_protocol::codec::{DatagramCodec, StreamCodec};
use hii_protocol::{Frame, Limits, MAX_DATAGRAM, ParseError, Rule, ping, relay};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_util::codec::{Decoder as _, Encoder, Framed, FramedRead};
use tokio_util::udp::UdpFramed;

/// What an item says, to compare: its wire text, or code, offset and rule.
type Said = Result<String, (u16, usize, &'static str)>;

fn said(item: Result<impl Frame, ParseError>) -> Said {
    match item {
        Ok(frame) => {
            let mut octets = vec![0; frame.frame_len()];
            frame.encode_frame(&mut octets).unwrap();
            Ok(String::from_utf8(octets).unwrap())
        }
        Err(error) => Err((error.code().number(), error.offset(), error.rule().name())),
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "the other kind of item is written out"
)]
fn good(text: &str) -> Said {
    Ok(text.to_owned())
}

/// Keeps a test that would hang from doing so; never what makes one pass.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future)
        .await
        .expect("it hangs")
}

// ---- Datagrams ----

/// A framed socket, and a plain one that is connected to it.
async fn datagrams<F>() -> (UdpFramed<DatagramCodec<F>>, UdpSocket) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    peer.connect(socket.local_addr().unwrap()).await.unwrap();
    (UdpFramed::new(socket, DatagramCodec::default()), peer)
}

async fn next_from<F: Frame>(framed: &mut UdpFramed<DatagramCodec<F>>, from: SocketAddr) -> Said {
    let (item, sender) = soon(framed.next()).await.unwrap().unwrap();
    // Without the sender there is nobody to answer.
    assert_eq!(sender, from);
    said(item)
}

#[tokio::test]
async fn a_malformed_datagram_is_an_item_with_its_sender() {
    let (mut framed, peer) = datagrams::<relay::RequestBuf>().await;
    let from = peer.local_addr().unwrap();
    let send = "to:192.0.2.7/9000;content:good morning";
    for (datagram, expected) in [
        (send.as_bytes(), good(send)),
        (b"to:192.0.2.7/90x0;content:x", Err((403, 15, "port"))),
        (b"hii", good("hii")),
        (b"a/b:c;content:x", Err((401, 1, "header-slash"))),
        (b"hii\xff", Err((400, 3, "utf-8"))),
        (b"HII", good("hii")),
    ] {
        soon(peer.send(datagram)).await.unwrap();
        assert_eq!(next_from(&mut framed, from).await, expected);
    }
}

#[tokio::test]
async fn every_datagram_in_the_queue_is_one_item() {
    let (mut framed, peer) = datagrams::<ping::RequestBuf>().await;
    let from = peer.local_addr().unwrap();
    for datagram in ["P 00c0ffee 1", "C x", "exit", "C", "C 0128"] {
        soon(peer.send(datagram.as_bytes())).await.unwrap();
    }
    for expected in [
        good("P 00c0ffee 1"),
        Err((403, 2, "size")),
        good("exit"),
        Err((401, 1, "calibrate")),
        good("C 128"),
    ] {
        assert_eq!(next_from(&mut framed, from).await, expected);
    }
}

/// `UdpFramed` drops an empty datagram without a word. It must not take the ones behind it along.
#[tokio::test]
async fn empty_datagrams_hide_no_others() {
    let (mut framed, peer) = datagrams::<ping::RequestBuf>().await;
    let from = peer.local_addr().unwrap();
    for datagram in ["", "one", "", "", "C", "", "two", ""] {
        soon(peer.send(datagram.as_bytes())).await.unwrap();
    }
    assert_eq!(next_from(&mut framed, from).await, good("one"));
    assert_eq!(
        next_from(&mut framed, from).await,
        Err((401, 1, "calibrate"))
    );
    assert_eq!(next_from(&mut framed, from).await, good("two"));
    soon(peer.send(b"three")).await.unwrap();
    assert_eq!(next_from(&mut framed, from).await, good("three"));
}

#[tokio::test]
async fn a_sent_datagram_is_the_frame_and_nothing_else() {
    let (mut framed, peer) = datagrams::<relay::AnswerBuf>().await;
    let to = peer.local_addr().unwrap();
    let mut buffer = vec![0; MAX_DATAGRAM + 1];
    // As long as a datagram can be.
    let longest = format!("192.0.2.7/9000 ; content : {:x>65480}", "");
    assert_eq!(longest.len(), MAX_DATAGRAM);
    for text in ["401", "('192.0.2.7', 9000)", &longest, "401"] {
        let answer = relay::Answer::decode(text.as_bytes()).unwrap();
        soon(framed.send((answer.into_owned(), to))).await.unwrap();
        let len = soon(peer.recv(&mut buffer)).await.unwrap();
        assert_eq!(&buffer[..len], text.as_bytes());
    }
}

/// The one kind of frame that no datagram holds: its canonical form has a blank more.
fn too_long() -> relay::RequestBuf {
    let frame = format!("{:x<MAX_DATAGRAM$}", "to:[::]/1;raw: ");
    let request = relay::Request::decode(frame.as_bytes()).unwrap();
    assert_eq!(request.encoded_len(), MAX_DATAGRAM + 1);
    request.into_owned()
}

#[tokio::test]
async fn a_datagram_that_cannot_be_sent_leaves_the_socket_usable() {
    let (mut framed, peer) = datagrams::<relay::RequestBuf>().await;
    let to = peer.local_addr().unwrap();
    let mut buffer = [0; 64];
    for _ in 0..2 {
        let error = soon(framed.send((too_long(), to))).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        soon(framed.send((relay::RequestBuf::Greeting, to)))
            .await
            .unwrap();
        // The next datagram is the next good frame, with nothing of the refused one before it.
        let len = soon(peer.recv(&mut buffer)).await.unwrap();
        assert_eq!(&buffer[..len], b"hii");
    }
}

// ---- Streams ----

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

const SMALL: Limits = Limits {
    datagram: 32,
    stream_frame: 64,
};

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
