//! Which spellings are the same frame.

use std::net::IpAddr;

use hii_protocol::Endpoint;
use hii_protocol::ping::{self, ProbeSize};
use hii_protocol::relay::{self, AnswerBuf, Message, Payload, RequestBuf};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::checks::{AnyFrame, decode, encode, sampled};
use crate::frames::{
    ips, payloads, ping_answers, ping_requests, ports, relay_answers, relay_requests, tokens,
};
use crate::{BLANKS, Checked, cases};

/// What other programs take for space, and the wire does not.
const NOT_BLANKS: [&str; 9] = [
    "\0", "\x08", "\x0e", "\x1c", "\x1f", "\u{85}", "\u{a0}", "\u{2003}", "\u{feff}",
];

fn spaced() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![2 => Just(Vec::new()), 3 => vec(select(BLANKS), 0..5)]
}

fn in_any_case(word: &'static str) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<bool>(), word.len()).prop_map(move |upper| with_upper(word.as_bytes(), &upper))
}

fn with_upper(word: &[u8], upper: &[bool]) -> Vec<u8> {
    let pairs = word.iter().zip(upper);
    let octets = pairs.map(|(octet, upper)| {
        if *upper {
            octet.to_ascii_uppercase()
        } else {
            *octet
        }
    });
    octets.collect()
}

/// Some texts of one address.
fn spelled(ip: IpAddr, way: Index) -> String {
    let colons = |groups: [u16; 8], width: usize| {
        let groups = groups.map(|group| format!("{group:0width$x}"));
        format!("[{}]", groups.join(":"))
    };
    match ip {
        IpAddr::V4(ip) => {
            let mapped = ip.to_ipv6_mapped();
            let ways = [
                ip.to_string(),
                ip.to_string(),
                format!("[::ffff:{ip}]"),
                format!("[::FFFF:{ip}]"),
                format!("[0:0:0:0:0:ffff:{ip}]"),
                colons(mapped.segments(), 0).to_uppercase(),
            ];
            way.get(&ways).clone()
        }
        IpAddr::V6(ip) => {
            let ways = [
                format!("[{ip}]"),
                format!("[{ip}]").to_uppercase(),
                colons(ip.segments(), 4),
                colons(ip.segments(), 4).to_uppercase(),
                colons(ip.segments(), 0),
            ];
            way.get(&ways).clone()
        }
    }
}

/// The text of an address as `WIRE.md` section 5 wants it, but for the zeros of IPv6, which are for std to shorten.
fn shortest(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{a}.{b}.{c}.{d}")
        }
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

proptest! {
    #![proptest_config(cases(1024))]

    #[test]
    fn blanks_around_parts_and_letter_case_of_keys_mean_nothing(
        ip in ips(), port in ports(), way in any::<Index>(), zeros in 0..6_usize,
        payload in payloads(),
        (to, content) in (in_any_case("to"), in_any_case("content")),
        blanks in [(); 10].map(|()| spaced()),
    ) {
        let [b0, b1, b2, b3, b4, b5, b6, b7, b8, b9] = &blanks;
        let address = spelled(ip.to_canonical(), way).into_bytes();
        let number = format!("{}{port}", "0".repeat(zeros)).into_bytes();
        let mut frame = [
            &b0[..], &to, b1, b":", b2, &address[..], b3, b"/", b4, &number, b5, b";", b6,
        ]
        .concat();
        let data = match payload.as_payload() {
            Payload::Content(text) => {
                let text = text.as_str().as_bytes();
                frame.extend([&content, &b7[..], b":", b8, text, b9].concat());
                [b"content:", text].concat()
            }
            Payload::Raw(raw) => {
                frame.extend([b"raw", &b7[..], b": ", raw.as_bytes()].concat());
                [b"raw : ", raw.as_bytes()].concat()
            }
        };
        let canonical = [format!("to:{}/{port};", shortest(ip)).as_bytes(), &data].concat();

        let request = relay::Request::decode(&frame);
        let to = Endpoint::new(ip, port).unwrap();
        let payload = payload.as_payload();
        prop_assert_eq!(request, Ok(relay::Request::Send(Message::new(to, payload).unwrap())));
        prop_assert_eq!(request.unwrap().to_vec(), canonical);
    }

    #[test]
    fn letter_case_of_hii_and_more_padding_mean_nothing(
        hii in in_any_case("hii"), token in tokens(), padding in 91..300_usize,
    ) {
        let same = |frame: &[u8], request: relay::Request<'_>, canonical: &str| {
            prop_assert_eq!(relay::Request::decode(frame), Ok(request));
            prop_assert_eq!(request.to_string(), canonical);
            Ok(())
        };
        same(&hii, relay::Request::Greeting, "hii")?;
        let padded = format!("{}{:padding$}", " ?", "");
        let canonical = format!("{:96}", "hii ?");
        same(&[&hii, padded.as_bytes()].concat(), relay::Request::TokenRequest, &canonical)?;
        let number = u128::from_be_bytes(token.0);
        let greeting = format!(" {number:032x}");
        same(
            &[&hii, greeting.as_bytes()].concat(),
            relay::Request::TokenGreeting(token),
            &format!("hii{greeting}"),
        )?;
    }

    #[test]
    fn a_calibration_has_any_blanks_and_any_zeros(
        size in 1..=65_507_usize, blanks in vec(select(BLANKS), 1..6), zeros in 0..40_usize,
    ) {
        let digits = format!("{}{size}", "0".repeat(zeros));
        let frame = [b"C", &blanks[..], digits.as_bytes()].concat();
        let request = ping::Request::decode(&frame).unwrap();
        prop_assert_eq!(request, ping::Request::Calibrate(ProbeSize::new(size).unwrap()));
        prop_assert_eq!(request.to_string(), format!("C {size}"));
    }
}

/// Where a canonical frame may be changed and stays the same frame.
#[derive(Default)]
struct Free {
    /// Before which octets any blank may stand.
    blanks: Vec<usize>,
    /// Before which octets SP may stand.
    spaces: Vec<usize>,
    /// Which octets are in no particular letter case.
    letters: Vec<usize>,
}

trait Spelling: AnyFrame {
    fn free(&self) -> Free;
}

impl Spelling for ping::RequestBuf {
    fn free(&self) -> Free {
        match self {
            // Either side of the blank in `C 128`.
            Self::Calibrate(_) => Free {
                blanks: vec![1, 2],
                ..Free::default()
            },
            _ => Free::default(),
        }
    }
}

impl Spelling for ping::Answer {
    fn free(&self) -> Free {
        Free::default()
    }
}

impl Spelling for RequestBuf {
    fn free(&self) -> Free {
        let hii = vec![0, 1, 2];
        match self.as_request() {
            relay::Request::ExitServer => Free::default(),
            relay::Request::Greeting | relay::Request::TokenGreeting(_) => Free {
                letters: hii,
                ..Free::default()
            },
            relay::Request::TokenRequest => Free {
                // After the `?`, the end of the frame included.
                spaces: (5..97).collect(),
                letters: hii,
                ..Free::default()
            },
            relay::Request::Send(message) => free_in_send(message),
        }
    }
}

fn free_in_send(message: Message<'_>) -> Free {
    let address = shortest(message.to().ip());
    let port = message.to().port().to_string();
    // Blanks may stand before each part of the header and of the data's key.
    let mut parts = vec!["to", ":", &address, "/", &port, ";"];
    match message.payload() {
        Payload::Content(content) => parts.extend(["content", ":", content.as_str()]),
        Payload::Raw(_) => parts.extend(["raw", " ", ":"]),
    }
    let mut blanks = vec![0];
    for part in &parts {
        blanks.push(blanks.last().unwrap() + part.len());
    }
    let key = blanks[6];
    let mut letters = vec![0, 1];
    if message.to().ip().is_ipv6() {
        letters.extend(blanks[2]..blanks[3]);
    }
    match message.payload() {
        Payload::Content(_) => letters.extend(key..key + "content".len()),
        // Behind the colon it is payload.
        Payload::Raw(_) => blanks.truncate(parts.len()),
    }
    Free {
        blanks,
        letters,
        ..Free::default()
    }
}

impl Spelling for AnswerBuf {
    fn free(&self) -> Free {
        let ip = match self.as_answer() {
            relay::Answer::Address(own) | relay::Answer::Token(own, _) => own.ip(),
            relay::Answer::Forward(forward) => forward.from().ip(),
            _ => return Free::default(),
        };
        // Hex digits of an IPv6 address have no letter case. `('` or `[` go before the address; what is no letter in
        // there stays as it is.
        let letters = match ip {
            IpAddr::V4(_) => Vec::new(),
            IpAddr::V6(ip) => (0..ip.to_string().len() + 2).collect(),
        };
        Free {
            letters,
            ..Free::default()
        }
    }
}

/// One blank more, or one letter in the other case: the same frame where it is free, and nowhere else.
fn is_changed_by_all_but_what_is_free<F: Spelling>(frame: &F) -> Checked {
    let octets = encode(frame);
    let free = frame.free();
    let says_the_same = |changed: &[u8]| decode::<F>(changed).as_ref() == Ok(frame);
    let shown = |changed: &[u8]| String::from_utf8_lossy(changed).into_owned();

    for at in sampled(octets.len() + 1) {
        let with = |more: &[u8]| [&octets[..at], more, &octets[at..]].concat();
        for blank in BLANKS {
            let changed = with(&[*blank]);
            let is_free = free.blanks.contains(&at) || *blank == b' ' && free.spaces.contains(&at);
            prop_assert_eq!(says_the_same(&changed), is_free, "{:?}", shown(&changed));
        }
        for other in NOT_BLANKS {
            let changed = with(other.as_bytes());
            prop_assert!(!says_the_same(&changed), "{:?}", shown(&changed));
        }
    }
    for at in sampled(octets.len()).filter(|at| octets[*at].is_ascii_alphabetic()) {
        let mut changed = octets.clone();
        changed[at] ^= 0x20;
        let is_free = free.letters.contains(&at);
        prop_assert_eq!(says_the_same(&changed), is_free, "{:?}", shown(&changed));
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn ping_requests_have_no_other_spelling(frame in ping_requests()) {
        is_changed_by_all_but_what_is_free(&frame)?;
    }

    #[test]
    fn ping_answers_have_no_other_spelling(frame in ping_answers()) {
        is_changed_by_all_but_what_is_free(&frame)?;
    }

    #[test]
    fn relay_requests_have_no_other_spelling(frame in relay_requests()) {
        is_changed_by_all_but_what_is_free(&frame)?;
    }

    #[test]
    fn relay_answers_have_no_other_spelling(frame in relay_answers()) {
        is_changed_by_all_but_what_is_free(&frame)?;
    }
}
