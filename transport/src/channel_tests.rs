//! The channel, with both sides in one task.

use super::*;
use hii_protocol::share::{AnswerBuf, Data, RequestBuf, VERSION};
use tokio::io::{DuplexStream, duplex};

fn key(octet: u8) -> Key {
    Key::new([octet; 16])
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.unwrap().block_on(future)
}

/// Both ends of a channel, over a connection that holds so many octets.
async fn pair(room: usize) -> (Channel<DuplexStream>, Channel<DuplexStream>) {
    let (near, far) = duplex(room);
    let (near_key, far_key) = (key(7), key(7));
    let (near, far) = tokio::join!(
        Channel::join(near, &near_key),
        Channel::offer(far, &far_key)
    );
    (near.unwrap(), far.unwrap())
}

#[test]
fn frames_arrive_whole_and_in_order() {
    block_on(async {
        let (mut receiver, mut sender) = pair(1000).await;
        let data = vec![0xa5; Data::MAX_LEN];
        let longest = AnswerBuf::Data(Data::new(&data).unwrap().into());
        let send = async {
            sender.queue(&AnswerBuf::Hello(VERSION)).unwrap();
            for _ in 0..5 {
                sender.queue(&longest).unwrap();
            }
            sender.close().await.unwrap();
        };
        let receive = async {
            let hello = receiver.receive().await.unwrap().unwrap();
            assert_eq!(hello, b"hello 1");
            for _ in 0..5 {
                let frame = receiver.receive().await.unwrap().unwrap();
                assert!(frame.starts_with(b"data \xa5") && frame.len() == MAX_DATAGRAM);
            }
            assert!(receiver.receive().await.unwrap().is_none());
        };
        tokio::join!(send, receive);
    });
}

#[test]
fn what_was_half_sent_when_it_was_dropped_is_sent_once() {
    block_on(async {
        let (mut receiver, mut sender) = pair(1000).await;
        let data = vec![0xa5; 5000];
        let long = AnswerBuf::Data(Data::new(&data).unwrap().into());
        sender.queue(&long).unwrap();
        tokio::select! {
            biased;
            _ = sender.flush() => panic!("there is no room for all of it"),
            () = std::future::ready(()) => {}
        }
        sender.queue(&AnswerBuf::Done).unwrap();
        let receive = async {
            let frame = receiver.receive().await.unwrap().unwrap();
            assert_eq!(frame.len(), b"data ".len() + data.len());
            assert_eq!(receiver.receive().await.unwrap().unwrap(), b"done");
            assert!(receiver.receive().await.unwrap().is_none());
        };
        tokio::join!(async { sender.close().await.unwrap() }, receive);
    });
}

#[test]
fn another_key_is_told_and_nothing_else() {
    block_on(async {
        let (near, mut far) = duplex(1000);
        let (near_key, far_key) = (key(1), key(2));
        let (join, offer) = tokio::join!(
            Channel::join(near, &near_key),
            Channel::offer(&mut far, &far_key)
        );
        assert!(matches!(join, Err(ChannelError::Key)), "{join:?}");
        assert!(matches!(offer, Err(ChannelError::Key)), "{offer:?}");
    });
}

#[test]
fn who_answers_something_else_has_no_other_key() {
    block_on(async {
        let (near, mut far) = duplex(1000);
        let echo = async {
            let mut octets = [0; 1000];
            let len = far.read(&mut octets).await.unwrap();
            far.write_all(&octets[..len]).await.unwrap();
        };
        let key = key(7);
        let (join, ()) = tokio::join!(Channel::join(near, &key), echo);
        assert!(matches!(join, Err(ChannelError::Damaged)), "{join:?}");
    });
}

#[test]
fn whatever_else_comes_is_no_handshake() {
    for stranger in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\0\0\0\0",
        b"\0\0\x01\0",
        b"\0\0\0\x05hello",
        b"\xff\xff\xff\xff",
    ] {
        block_on(async {
            let (mut near, far) = duplex(1000);
            near.write_all(stranger).await.unwrap();
            let offer = Channel::offer(far, &key(7)).await;
            assert!(
                matches!(offer, Err(ChannelError::Damaged | ChannelError::Key)),
                "{offer:?}"
            );
            let mut answer = Vec::new();
            near.read_to_end(&mut answer).await.unwrap();
            assert_eq!(answer, b"\0\0\0\x01E");
        });
    }
}

/// What one side has written of some frames.
async fn recorded(frames: &[RequestBuf]) -> (Vec<u8>, Channel<DuplexStream>) {
    let (mut near, far) = pair(100_000).await;
    for frame in frames {
        near.queue(frame).unwrap();
    }
    (std::mem::take(&mut near.outgoing), far)
}

/// What the other side takes of these octets, and how that ends.
async fn taken(octets: &[u8], far: Channel<DuplexStream>) -> (usize, Option<ChannelError>) {
    let (mut near, stream) = duplex(100_000);
    let mut far = Channel {
        stream,
        noise: far.noise,
        incoming: Vec::new(),
        taken: 0,
        outgoing: Vec::new(),
        sent: 0,
        plain: Vec::new(),
    };
    near.write_all(octets).await.unwrap();
    drop(near);
    let mut count = 0;
    loop {
        match far.receive().await {
            Ok(Some(_)) => count += 1,
            Ok(None) => return (count, None),
            Err(error) => return (count, Some(error)),
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_ends_the_channel_before_anything_of_it_is_taken() {
    block_on(async {
        let frames = [RequestBuf::Hello(VERSION), RequestBuf::Done];
        let (octets, _) = recorded(&frames).await;
        let first = octets.len() / 2;
        for place in 0..octets.len() {
            let (mut octets, far) = recorded(&frames).await;
            octets[place] ^= 1;
            let (count, error) = taken(&octets, far).await;
            assert!(error.is_some(), "{place}");
            assert!(count <= usize::from(place >= first - 2), "{place}: {count}");
        }
    });
}

#[test]
fn a_stream_that_ends_within_a_message_was_cut_off() {
    block_on(async {
        let frames = [RequestBuf::Hello(VERSION)];
        let (octets, far) = recorded(&frames).await;
        assert!(matches!(taken(&octets, far).await, (1, None)));
        for len in 1..octets.len() {
            let (octets, far) = recorded(&frames).await;
            let result = taken(&octets[..len], far).await;
            assert!(
                matches!(result, (0, Some(ChannelError::CutOff))),
                "{len}: {result:?}"
            );
        }
    });
}

#[test]
fn messages_said_again_or_out_of_turn_are_refused() {
    block_on(async {
        let frames = [RequestBuf::Hello(VERSION)];
        let (octets, far) = recorded(&frames).await;
        let (count, error) = taken(&octets.repeat(2), far).await;
        assert_eq!(count, 1);
        assert!(matches!(error, Some(ChannelError::Damaged)));
    });
}

#[test]
fn little_is_held_while_nothing_comes() {
    block_on(async {
        let (mut receiver, mut sender) = pair(1 << 20).await;
        let data = vec![1; Data::MAX_LEN];
        let frame = AnswerBuf::Data(Data::new(&data).unwrap().into());
        sender.queue(&frame).unwrap();
        sender.flush().await.unwrap();
        assert!(receiver.receive().await.unwrap().is_some());
        for channel in [&mut receiver, &mut sender] {
            let waiting = tokio::time::timeout(std::time::Duration::ZERO, channel.receive());
            assert!(waiting.await.is_err());
            let held = [&channel.incoming, &channel.outgoing, &channel.plain].map(Vec::capacity);
            assert!(held.iter().sum::<usize>() <= 4 * IDLE_BUFFER, "{held:?}");
        }
    });
}
