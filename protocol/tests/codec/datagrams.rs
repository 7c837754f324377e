//! Datagrams through a UDP socket.

use std::io;
use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use hii_protocol::codec::DatagramCodec;
use hii_protocol::{Frame, MAX_DATAGRAM, ping, relay};
use tokio::net::UdpSocket;
use tokio_util::udp::UdpFramed;

use crate::{Said, good, said, soon, too_long};

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
