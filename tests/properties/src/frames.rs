//! Frames: one that decodes encodes to itself, and the error of any other is at an offset within the frame.

use std::fmt::{Debug, Display};

use hii_protocol::{Frame, Limits, MAX_DATAGRAM, ParseError, Rule, ping, relay, share};

/// A canonical frame may be longer than the one that was read, and so over the limit.
pub(crate) const NO_LIMIT: Limits = Limits {
    datagram: usize::MAX,
    ..Limits::DEFAULT
};

/// Any octets as a request to a ping server.
pub fn ping_request(octets: &[u8]) {
    let owned = decode::<ping::RequestBuf>(octets);
    let request = ping::Request::decode(octets);
    assert_eq!(request.map(ping::Request::into_owned), owned);
    if let (Ok(request), Ok(owned)) = (request, owned) {
        assert_eq!(owned.as_request(), request);
        assert_eq!(encode(&owned), request.to_vec());
    }
}

/// Any octets as an answer of a ping server.
pub fn ping_answer(octets: &[u8]) {
    if let Ok(answer) = decode::<ping::Answer>(octets) {
        // There is one spelling of each.
        assert_eq!(encode(&answer), octets);
    }
}

/// Any octets as a request to a relay.
pub fn relay_request(octets: &[u8]) {
    let owned = decode::<relay::RequestBuf>(octets);
    let request = relay::Request::decode(octets);
    assert_eq!(request.map(relay::Request::into_owned), owned);
    if let (Ok(request), Ok(owned)) = (request, owned) {
        assert_eq!(owned.as_request(), request);
        assert_eq!(encode(&owned), request.to_vec());
        if let relay::Request::Send(message) = request {
            begins_alike(message, octets);
        }
    }
}

/// The prefix of a message's frame classifies other frames as the decoder does.
fn begins_alike(message: relay::Message<'_>, octets: &[u8]) {
    let (request, prefix) = relay::Prefix::decode(octets).unwrap();
    assert_eq!(request, relay::Request::Send(message));
    let Some(prefix) = prefix else { return };
    assert_eq!(prefix.payload(octets), Some(message.payload()));
    let twice = octets.repeat(2);
    let near = octets.len().saturating_sub(100)..octets.len() + 100;
    for frame in near.filter_map(|len| twice.get(..len)) {
        let payload = prefix.payload(frame);
        match relay::Request::decode(frame) {
            Ok(relay::Request::Send(other)) => {
                assert_eq!((other.to(), Some(other.payload())), (message.to(), payload));
            }
            _ => assert_eq!(payload, None),
        }
    }
}

/// Any octets as a frame from a relay.
pub fn relay_answer(octets: &[u8]) {
    let owned = decode::<relay::AnswerBuf>(octets);
    let answer = relay::Answer::decode(octets);
    assert_eq!(answer.map(relay::Answer::into_owned), owned);
    if let (Ok(answer), Ok(owned)) = (answer, owned) {
        assert_eq!(owned.as_answer(), answer);
        assert_eq!(encode(&owned), answer.to_vec());
    }
}

/// Any octets as a frame from a receiver of files.
pub fn share_request(octets: &[u8]) {
    let owned = decode::<share::RequestBuf>(octets);
    let request = share::Request::decode(octets);
    assert_eq!(request.map(share::Request::into_owned), owned);
    if let (Ok(request), Ok(owned)) = (request, owned) {
        assert_eq!(owned.as_request(), request);
        // There is one spelling of each.
        assert_eq!(encode(&owned), octets);
    }
}

/// Any octets as a frame from a sender of files.
pub fn share_answer(octets: &[u8]) {
    let owned = decode::<share::AnswerBuf>(octets);
    let answer = share::Answer::decode(octets);
    assert_eq!(answer.map(share::Answer::into_owned), owned);
    if let (Ok(answer), Ok(owned)) = (answer, owned) {
        assert_eq!(owned.as_answer(), answer);
        assert_eq!(encode(&owned), octets);
        if let share::Answer::Page(page) = answer {
            // A decoded path encodes and decodes to the same path.
            let again: String = page.entries().map(|entry| line(&entry)).collect();
            assert_eq!(["page ", &again].concat().as_bytes(), octets);
        }
    }
}

/// An entry's line, written without the encoder.
fn line(entry: &share::Entry<'_>) -> String {
    let kind = match entry.kind {
        share::Kind::Folder => "dir".into(),
        share::Kind::File(share::Size::Unknown) => "file ?".into(),
        share::Kind::File(share::Size::Known(octets)) => format!("file {octets}"),
    };
    let path = entry.path.as_str();
    let stays = |name: &str| !name.is_empty() && name != "." && name != "..";
    assert!(path.split('/').all(stays), "{path:?}");
    let safe = |c: char| !c.is_control() && c != '\\';
    assert!(path.chars().all(safe), "{path:?}");
    format!(
        "{} {kind} {:03o} {}.{:09} {path}\n",
        entry.id.get(),
        entry.mode.bits(),
        entry.modified.seconds(),
        entry.modified.nanos()
    )
}

/// Decodes, and checks the result by itself: a value can be encoded, and an error has an offset in the frame.
fn decode<F: Frame + Clone + PartialEq + Debug + Display>(octets: &[u8]) -> Result<F, ParseError> {
    let decoded = F::decode_frame(octets, &Limits::DEFAULT);
    match &decoded {
        Ok(frame) => {
            let canonical = encode(frame);
            let again = F::decode_frame(&canonical, &NO_LIMIT);
            assert_eq!(again.as_ref(), Ok(frame));
            assert_eq!(again.map(|again| encode(&again)).as_ref(), Ok(&canonical));
            if let Ok(text) = str::from_utf8(&canonical) {
                assert_eq!(frame.to_string(), text);
            }
        }
        Err(error) if error.rule() == Rule::Datagram => {
            assert!(octets.len() > MAX_DATAGRAM);
            assert_eq!(error.offset(), MAX_DATAGRAM);
        }
        Err(error) => assert!(error.offset() <= octets.len()),
    }
    if let Some(datagram) = octets.len().checked_sub(1) {
        let limits = Limits {
            datagram,
            ..NO_LIMIT
        };
        let error = F::decode_frame(octets, &limits)
            .map(|frame| frame.to_string())
            .unwrap_err();
        assert_eq!((error.rule(), error.offset()), (Rule::Datagram, datagram));
    }
    decoded
}

/// Encodes the frame into a buffer of its length, and checks that a shorter one is refused.
pub(crate) fn encode<F: Frame>(frame: &F) -> Vec<u8> {
    const UNTOUCHED: u8 = 0xa5;

    let len = frame.frame_len();
    if let Some(short) = len.checked_sub(1) {
        let mut buffer = vec![UNTOUCHED; short];
        let error = frame.encode_frame(&mut buffer).unwrap_err();
        assert_eq!(error.needed, len);
        assert!(buffer.iter().all(|octet| *octet == UNTOUCHED));
    }
    let mut octets = vec![UNTOUCHED; len];
    assert_eq!(frame.encode_frame(&mut octets), Ok(len));
    octets
}
