//! A relay's decision about a frame, beside that of an original relay.

use std::net::{IpAddr, Ipv6Addr};

use hii_protocol::{MAX_DATAGRAM, ParseError, relay};

use crate::decision::{Decision, decide};

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
            other => panic!("unexpected {other:?}"),
        },
        Err(error) => Decision::Code(error.code().number()),
    };
    assert_eq!(ours, decide(octets));
}

/// The original refuses what it does not know. With classic parts in place of these, it decides as ours does.
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

/// What follows `raw : `; blanks are optional but for the last one.
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
