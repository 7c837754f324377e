//! What the fuzz targets assert. An ordinary test can replay an input by calling the function of the target's name.

use std::fmt::{Debug, Display};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use arbitrary::Arbitrary;
use bytes::BytesMut;
use hii_protocol::codec::StreamCodec;
use hii_protocol::{Frame, Limits, MAX_DATAGRAM, ParseError, Rule, ping, relay, share, stream};
use hii_server::policy::local_addrs::HostAddrs;
use hii_server::policy::origin::{Origin, Transport};
use hii_transport::packet_info::{Bound, PacketInfo};
use tokio_util::codec::Decoder;

use crate::decision::{Decision, decide};

pub use connection::ping_connection;
pub use sequences::relay_sequences;

mod connection;
#[path = "../../tests/src/classic/decision.rs"]
mod decision;
mod sequences;

/// The origin of what arrived from this address as it should.
fn origin(source: SocketAddr) -> Origin {
    let info = PacketInfo {
        source,
        destination: Some(match source.ip() {
            ip if ip.is_loopback() => ip,
            IpAddr::V4(_) => Ipv4Addr::new(203, 0, 113, 1).into(),
            IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1).into(),
        }),
        interface: None,
        bound: Bound::dual_stack(),
        socket: 0,
    };
    Origin::validate(&info, Transport::Tcp, &HostAddrs::default()).expect("a valid source")
}

/// A canonical frame may be longer than the one that was read, and so over the limit.
const NO_LIMIT: Limits = Limits {
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

/// What a message's frame begins with says of other frames what the decoder says.
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
            // What was read once can be read again, and leads nowhere else.
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

/// A valid frame of any type.
#[derive(Debug, Arbitrary)]
pub enum AnyFrame<'a> {
    PingRequest(ping::Request<'a>),
    PingAnswer(ping::Answer),
    RelayRequest(relay::Request<'a>),
    RelayAnswer(relay::Answer<'a>),
    ShareRequest(share::Request<'a>),
    ShareAnswer(share::AnswerBuf),
}

/// What is encoded decodes to itself.
pub fn round_trip(frame: AnyFrame<'_>) {
    match frame {
        AnyFrame::PingRequest(request) => reads_back(&request.into_owned()),
        AnyFrame::PingAnswer(answer) => reads_back(&answer),
        AnyFrame::RelayRequest(request) => reads_back(&request.into_owned()),
        AnyFrame::RelayAnswer(answer) => reads_back(&answer.into_owned()),
        AnyFrame::ShareRequest(request) => reads_back(&request.into_owned()),
        AnyFrame::ShareAnswer(answer) => reads_back(&answer),
    }
}

/// Any octets as a request to a relay, ours and an original one.
pub fn relay_differential(octets: &[u8]) {
    let request = relay::Request::decode(octets);
    if let Some(novelties) = Novelties::find(octets) {
        return novelties_are_all_that_differs(&novelties, octets, request);
    }
    let ours = match request {
        Ok(relay::Request::Greeting) => Decision::Greeting,
        Ok(relay::Request::ExitServer) => Decision::ExitServer,
        Ok(relay::Request::TokenRequest | relay::Request::TokenGreeting(_)) => Decision::Code(400),
        Ok(relay::Request::Send(message)) => match (message.to().ip(), message.payload()) {
            (IpAddr::V4(ip), relay::Payload::Content(content)) => Decision::Send {
                ip,
                port: message.to().port(),
                content: content.as_str(),
            },
            other => panic!("{other:?} out of nowhere"),
        },
        Err(error) => Decision::Code(error.code().number()),
    };
    assert_eq!(ours, decide(octets));
}

/// The original refuses what it does not know. With classic parts in the place of those, it decides as ours does.
fn novelties_are_all_that_differs(
    novelties: &Novelties<'_>,
    octets: &[u8],
    request: Result<relay::Request<'_>, ParseError>,
) {
    assert!(matches!(decide(octets), Decision::Code(_)));
    if novelties.plain.len() > MAX_DATAGRAM {
        // `[::]` is shorter than any dotted quad.
        return;
    }
    match (request, decide(&novelties.plain)) {
        (Ok(relay::Request::Send(message)), Decision::Send { ip, port, content }) => {
            let ip = novelties
                .ipv6
                .map_or(IpAddr::V4(ip), |ip| ip.to_canonical());
            assert_eq!((message.to().ip(), message.to().port()), (ip, port));
            match (message.payload(), novelties.raw) {
                (relay::Payload::Raw(ours), Some(raw)) => assert_eq!(ours.as_bytes(), raw),
                (relay::Payload::Content(ours), None) => assert_eq!(ours.as_str(), content),
                (ours, theirs) => panic!("{ours:?} here, raw {theirs:?} there"),
            }
        }
        (Err(error), Decision::Code(code)) => assert_eq!(error.code().number(), code),
        (ours, theirs) => panic!("{ours:?} here, {theirs:?} there"),
    }
}

/// What only our relay knows (`WIRE.md` section 3.2, before the table).
struct Novelties<'a> {
    ipv6: Option<Ipv6Addr>,
    raw: Option<&'a [u8]>,
    /// The frame with a dotted quad for the IPv6 literal and with content for raw data.
    plain: Vec<u8>,
}

impl<'a> Novelties<'a> {
    fn find(frame: &'a [u8]) -> Option<Self> {
        if frame.len() > MAX_DATAGRAM {
            return None;
        }
        let (header, data) = halves(frame, b';')?;
        let literal = ipv6_literal(header);
        let raw = raw_payload(data);
        if literal.is_none() && raw.is_none() {
            return None;
        }
        let header = literal.map_or(header.to_vec(), |(before, _, after)| {
            [before, b":0.0.0.0/", after].concat()
        });
        let data = raw.map_or(data, |_| b"content:");
        Some(Self {
            ipv6: literal.map(|(_, ip, _)| ip),
            raw,
            plain: [&header, &b";"[..], data].concat(),
        })
    }
}

/// A valid IPv6 literal, and what stands before the `:` and after the `/` around it.
fn ipv6_literal(header: &[u8]) -> Option<(&[u8], Ipv6Addr, &[u8])> {
    let (before, rest) = halves(header, b':')?;
    let (address, after) = halves(rest, b'/')?;
    let address = str::from_utf8(address).ok()?.trim_matches(BLANKS);
    let literal = address.strip_prefix('[')?.strip_suffix(']')?;
    Some((before, literal.parse().ok()?, after))
}

/// What follows `raw : `, with any blanks but that last one.
fn raw_payload(data: &[u8]) -> Option<&[u8]> {
    let rest = skip_blanks(data).strip_prefix(b"raw")?;
    skip_blanks(rest).strip_prefix(b": ")
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let is_blank = |octet: &&u8| BLANKS.contains(&char::from(**octet));
    &text[text.iter().take_while(is_blank).count()..]
}

const BLANKS: [char; 6] = [' ', '\t', '\n', '\x0b', '\x0c', '\r'];

fn halves(text: &[u8], mark: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|octet| *octet == mark)?;
    Some((&text[..at], &text[at + 1..]))
}

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

/// What a stream's pieces decode to, with limits that a short input reaches.
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

/// Decodes, and checks the result by itself: what was understood can be said again, what was not is placed.
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

fn reads_back<F: Frame + PartialEq + Debug + Display>(frame: &F) {
    let octets = encode(frame);
    assert_eq!(F::decode_frame(&octets, &NO_LIMIT).as_ref(), Ok(frame));
    let is_too_long = F::decode_frame(&octets, &Limits::DEFAULT).is_err();
    assert_eq!(is_too_long, octets.len() > MAX_DATAGRAM);
    if let Ok(text) = str::from_utf8(&octets) {
        assert_eq!(frame.to_string(), text);
    }
}

/// The frame's octets, in a buffer that just holds them and not in one that does not.
fn encode<F: Frame>(frame: &F) -> Vec<u8> {
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
