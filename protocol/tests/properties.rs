//! What holds for every frame, whatever it says: round trips, damage, and which spellings are the same frame.
#![cfg(feature = "alloc")]

use std::fmt::{Debug, Display};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hii_protocol::ping::{self, Probe, ProbeSize, Report, Run, Seq};
use hii_protocol::relay::{
    self, AnswerBuf, Content, Forward, Message, Payload, PayloadBuf, Raw, RequestBuf, Token,
};
use hii_protocol::{
    BufferTooSmall, Code, Endpoint, Frame, Limits, MAX_DATAGRAM, ParseError, Rule, is_answer,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// The six octets that are blanks.
const BLANKS: &[u8] = b" \t\n\x0b\x0c\r";

/// What other programs take for space, and the wire does not.
const NOT_BLANKS: [&str; 9] = [
    "\0", "\x08", "\x0e", "\x1c", "\x1f", "\u{85}", "\u{a0}", "\u{2003}", "\u{feff}",
];

/// What tempts a decoder: its own marks and keys, and what nearly is one.
const TEMPTING: &[u8] = b" \t:;/.[]()',%?+-_0179azAZ\0\x7f\xa0\xff";

type Checked = Result<(), TestCaseError>;

/// No file of failures: a failure that was fixed belongs into the vectors.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

// ---- Frames ----
// Strategies of strategies are boxed: as plain values they are moved about until the stack is too small.

fn runs() -> impl Strategy<Value = Run> {
    prop_oneof![Just(0), Just(u32::MAX), any::<u32>()].prop_map(Run)
}

fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..200_u64,
        any::<u64>(),
        // The edges of each length in digits.
        (0..20_u32, 0..3_u64).prop_map(|(power, step)| (10_u64.pow(power) - 1).wrapping_add(step)),
        Just(u64::MAX),
    ]
}

fn seqs() -> impl Strategy<Value = Seq> {
    numbers().prop_map(|number| Seq::new(number).unwrap_or(Seq::MIN))
}

fn probes() -> BoxedStrategy<Probe> {
    let spare = prop_oneof![
        20 => 0..90_usize,
        1 => 0..70_000_usize,
    ];
    (runs(), seqs(), spare)
        .prop_map(|(run, seq, spare)| {
            let size = (Probe::smallest(seq) + spare).min(ProbeSize::MAX.get());
            Probe::new(run, seq, ProbeSize::new(size).unwrap()).unwrap()
        })
        .boxed()
}

fn reports() -> BoxedStrategy<Report> {
    (seqs(), any::<u64>(), numbers(), numbers())
        .prop_map(|(count, window, held, received)| Report {
            count,
            window: window | 1,
            held,
            received,
        })
        .boxed()
}

fn ping_requests() -> BoxedStrategy<ping::RequestBuf> {
    prop_oneof![
        1 => (1..=ProbeSize::MAX.get())
            .prop_map(|size| ping::RequestBuf::Calibrate(ProbeSize::new(size).unwrap())),
        1 => Just(ping::RequestBuf::Exit),
        3 => probes().prop_map(ping::RequestBuf::Probe),
        4 => ping_messages(),
    ]
    .boxed()
}

fn ping_messages() -> BoxedStrategy<ping::RequestBuf> {
    let octets = prop_oneof![
        3 => vec(any::<u8>(), 0..60),
        1 => Just(b"Hello Server".to_vec()),
        1 => Just(Vec::new()),
        3 => nearly_text(&["P", "A", " ", "  ", "00c0ffee", "00C0FFEE", "7", "07", "exit", "Exit", "\n", "c 5"]),
        // An answer is a message like any other to who decodes it as a request.
        1 => ping_answers().prop_map(|answer| answer.to_vec()),
        1 => relay_answers().prop_map(|answer| answer.to_vec()),
    ];
    octets
        .prop_filter_map("another request", |octets| {
            let message = ping::Message::new(&octets).ok()?;
            Some(ping::RequestBuf::Message(message.into()))
        })
        .boxed()
}

fn ping_answers() -> BoxedStrategy<ping::Answer> {
    prop_oneof![
        1 => Just(ping::Answer::Calibrated),
        1 => Just(ping::Answer::Stopping),
        1 => Just(ping::Answer::PacketAcknowledged),
        1 => Just(ping::Answer::Acknowledgement),
        1 => select(&Code::ALL[..]).prop_map(ping::Answer::Refused),
        6 => (probes(), reports())
            .prop_map(|(probe, report)| ping::Answer::Probe(probe.answer(&report))),
        2 => (probes(), seqs())
            .prop_map(|(probe, count)| ping::Answer::Probe(probe.answer_with_count(count))),
    ]
    .boxed()
}

fn ips() -> BoxedStrategy<IpAddr> {
    let sparse_group = prop_oneof![3 => Just(0), 1 => any::<u16>(), 1 => 1..16_u16];
    prop_oneof![
        4 => any::<[u8; 4]>().prop_map(|octets| IpAddr::from(Ipv4Addr::from(octets))),
        1 => Just(IpAddr::from(Ipv4Addr::UNSPECIFIED)),
        1 => Just(IpAddr::from(Ipv6Addr::UNSPECIFIED)),
        4 => [(); 8].map(|()| sparse_group.clone())
            .prop_map(|groups| IpAddr::from(Ipv6Addr::from(groups))),
        1 => any::<[u8; 4]>()
            .prop_map(|octets| IpAddr::from(Ipv4Addr::from(octets).to_ipv6_mapped())),
    ]
    .boxed()
}

fn ports() -> impl Strategy<Value = u16> {
    prop_oneof![1..=u16::MAX, 1..12_u16, Just(u16::MAX)]
}

fn endpoints() -> BoxedStrategy<Endpoint> {
    (ips(), ports())
        .prop_map(|(ip, port)| Endpoint::new(ip, port).unwrap())
        .boxed()
}

fn tokens() -> impl Strategy<Value = Token> {
    any::<[u8; 16]>().prop_map(Token)
}

/// Texts of these pieces and of any others.
fn nearly_text(pieces: &'static [&'static str]) -> BoxedStrategy<Vec<u8>> {
    let piece = prop_oneof![
        6 => select(pieces).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    vec(piece, 0..10)
        .prop_map(|pieces| pieces.concat().into_bytes())
        .boxed()
}

fn contents() -> BoxedStrategy<String> {
    let text = nearly_text(&[
        ";",
        "/",
        " ",
        "\t",
        "\n",
        "a",
        "Zz",
        "to",
        "raw ",
        "content",
        "\u{a0}",
        "\u{85}",
        "\x1c",
        "ü",
        "\0",
        "192.0.2.7",
    ]);
    text.prop_map(|text| {
        let text = String::from_utf8(text).unwrap().replace(':', ";");
        text.trim_matches(|c| u8::try_from(c).is_ok_and(|c| BLANKS.contains(&c)))
            .to_owned()
    })
    .boxed()
}

fn payloads() -> BoxedStrategy<PayloadBuf> {
    let raw = prop_oneof![
        vec(any::<u8>(), 0..40),
        nearly_text(&[":", ";", "/", " ", "\t", "raw : ", "content:", "a", "B"]),
    ];
    prop_oneof![
        contents().prop_map(|text| Payload::Content(Content::new(&text).unwrap()).into()),
        raw.prop_map(|octets| Payload::Raw(Raw::new(&octets).unwrap()).into()),
    ]
    .boxed()
}

fn sends() -> BoxedStrategy<RequestBuf> {
    (endpoints(), payloads())
        .prop_map(|(to, payload)| {
            let payload = payload.as_payload();
            relay::Request::Send(Message::new(to, payload).unwrap()).into_owned()
        })
        .boxed()
}

fn relay_requests() -> BoxedStrategy<RequestBuf> {
    prop_oneof![
        1 => Just(RequestBuf::Greeting),
        1 => Just(RequestBuf::TokenRequest),
        1 => Just(RequestBuf::ExitServer),
        2 => tokens().prop_map(RequestBuf::TokenGreeting),
        6 => sends(),
    ]
    .boxed()
}

fn relay_answers() -> BoxedStrategy<AnswerBuf> {
    prop_oneof![
        2 => endpoints().prop_map(AnswerBuf::Address),
        2 => (endpoints(), tokens()).prop_map(|(own, token)| AnswerBuf::Token(own, token)),
        1 => Just(AnswerBuf::Sent),
        1 => select(&Code::ALL[..]).prop_map(AnswerBuf::Refused),
        6 => (endpoints(), payloads()).prop_map(|(from, payload)| {
            let payload = payload.as_payload();
            relay::Answer::Forward(Forward::new(from, payload).unwrap()).into_owned()
        }),
    ]
    .boxed()
}

// ---- What holds for all four frame types ----

trait AnyFrame: Frame + Clone + Debug + Display + PartialEq {}
impl<F: Frame + Clone + Debug + Display + PartialEq> AnyFrame for F {}

fn decode<F: Frame>(octets: &[u8]) -> Result<F, ParseError> {
    F::decode_frame(octets, &Limits::DEFAULT)
}

fn encode(frame: &impl Frame) -> Vec<u8> {
    let mut octets = vec![0; frame.frame_len()];
    assert_eq!(frame.encode_frame(&mut octets), Ok(octets.len()));
    octets
}

fn comes_back<F: AnyFrame>(frame: &F) -> Checked {
    let octets = encode(frame);
    prop_assert_eq!(decode::<F>(&octets), Ok(frame.clone()));
    prop_assert_eq!(frame.to_string(), String::from_utf8_lossy(&octets));
    Ok(())
}

/// A buffer that is too short is left as it was; one that is too long, beyond the frame.
fn fills_its_room_only<F: AnyFrame>(frame: &F) -> Checked {
    const FILLER: u8 = 0xa5;
    let octets = encode(frame);
    let needed = octets.len();
    for len in sampled(needed) {
        let mut room = vec![FILLER; len];
        prop_assert_eq!(
            frame.encode_frame(&mut room),
            Err(BufferTooSmall { needed })
        );
        prop_assert!(room.iter().all(|octet| *octet == FILLER), "{} octets", len);
    }
    let mut room = vec![FILLER; needed + 9];
    prop_assert_eq!(frame.encode_frame(&mut room), Ok(needed));
    prop_assert_eq!(&room[..needed], &octets[..]);
    prop_assert_eq!(&room[needed..], &[FILLER; 9]);
    Ok(())
}

/// Whatever comes is decoded or refused within itself; what is decoded has one canonical form, which stays.
fn is_stable<F: AnyFrame>(octets: &[u8], codes: &[Code]) -> Checked {
    match decode::<F>(octets) {
        Err(error) => {
            prop_assert!(error.offset() <= octets.len(), "{:?}", error);
            let is_too_long = error.rule() == Rule::Datagram && octets.len() > MAX_DATAGRAM;
            prop_assert!(is_too_long || codes.contains(&error.code()), "{:?}", error);
        }
        Ok(frame) => {
            let canonical = encode(&frame);
            let again = decode::<F>(&canonical);
            prop_assert_eq!(again.as_ref(), Ok(&frame));
            prop_assert_eq!(again.map(|frame| encode(&frame)), Ok(canonical));
        }
    }
    Ok(())
}

/// Every truncation, and every octet changed, removed and doubled.
fn survives_damage<F: AnyFrame>(frame: &F, codes: &[Code], seeds: &[Index; 2]) -> Checked {
    let octets = encode(frame);
    for at in sampled(octets.len()) {
        is_stable::<F>(&octets[..at], codes)?;
        let mut changed = octets.clone();
        let bit = 1 << seeds[0].index(8);
        let other = (octets[at] ^ bit).wrapping_add(u8::try_from(at & 1).unwrap());
        // Each place meets each tempting octet in the course of the cases.
        let tempting = TEMPTING[(seeds[1].index(TEMPTING.len()) + at) % TEMPTING.len()];
        for value in [other, octets[at] ^ 0x20, b' ', b':', tempting] {
            changed[at] = value;
            is_stable::<F>(&changed, codes)?;
        }
        changed.remove(at);
        is_stable::<F>(&changed, codes)?;
        changed.splice(at..at, [octets[at]; 2]);
        is_stable::<F>(&changed, codes)?;
    }
    Ok(())
}

/// Every place of a frame; of a long one the first 150, some, and the last.
fn sampled(len: usize) -> impl Iterator<Item = usize> {
    let step = (len / 50).max(1);
    (0..len).filter(move |at| *at < 150 || at % step == 0 || at + 1 == len)
}

const ONLY_400: &[Code] = &[Code::NotARequest];

macro_rules! for_each_frame_type {
    ($($name:ident: $frames:expr, errors $codes:expr;)*) => {$(
        mod $name {
            use super::*;

            proptest! {
                #![proptest_config(cases(256))]

                #[test]
                fn come_back(frame in $frames) {
                    comes_back(&frame)?;
                }

                #[test]
                fn fill_their_room_only(frame in $frames) {
                    fills_its_room_only(&frame)?;
                }

                #[cfg(feature = "serde")]
                #[test]
                fn come_back_through_json(frame in $frames) {
                    through_json(&frame)?;
                }
            }

            proptest! {
                #![proptest_config(cases(64))]

                #[test]
                fn survive_damage(frame in $frames, seeds in any::<[Index; 2]>()) {
                    survives_damage(&frame, $codes, &seeds)?;
                }
            }
        }
    )*};
}

for_each_frame_type! {
    ping_request: ping_requests(), errors &[Code::Structure, Code::Number];
    ping_answer: ping_answers(), errors ONLY_400;
    relay_request: relay_requests(), errors &Code::ALL;
    relay_answer: relay_answers(), errors ONLY_400;
}

/// Text where the frame is UTF-8, a list of octets where it is not.
#[cfg(feature = "serde")]
fn through_json<F>(frame: &F) -> Checked
where
    F: AnyFrame + serde::Serialize + serde::de::DeserializeOwned,
{
    let octets = encode(frame);
    let value = serde_json::to_value(frame).unwrap();
    let expected = match str::from_utf8(&octets) {
        Ok(text) => serde_json::Value::from(text),
        Err(_) => serde_json::Value::from(octets),
    };
    prop_assert_eq!(&value, &expected);
    let json = serde_json::to_string(frame).unwrap();
    prop_assert_eq!(serde_json::from_str::<F>(&json).unwrap(), frame.clone());
    prop_assert_eq!(serde_json::from_value::<F>(value).unwrap(), frame.clone());
    Ok(())
}

/// Owned and borrowed are the same frame.
macro_rules! assert_same {
    ($borrowed:expr, $owned:expr, $as_borrowed:ident) => {{
        let (borrowed, owned) = ($borrowed, $owned);
        prop_assert_eq!(&borrowed.into_owned(), owned);
        prop_assert_eq!(borrowed, owned.$as_borrowed());
        prop_assert_eq!(borrowed.to_vec(), owned.to_vec());
        prop_assert_eq!(borrowed.encoded_len(), owned.encoded_len());
        prop_assert_eq!(borrowed.to_string(), owned.to_string());
        let mut room = owned.to_vec();
        room.fill(0);
        prop_assert_eq!(borrowed.encode_into(&mut room), Ok(room.len()));
        prop_assert_eq!(room, owned.to_vec());
    }};
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn owned_and_borrowed_are_the_same_frame(
        ping in ping_requests(),
        request in relay_requests(),
        answer in relay_answers(),
    ) {
        let octets = ping.to_vec();
        assert_same!(ping::Request::decode(&octets).unwrap(), &ping, as_request);
        let octets = request.to_vec();
        assert_same!(relay::Request::decode(&octets).unwrap(), &request, as_request);
        let octets = answer.to_vec();
        assert_same!(relay::Answer::decode(&octets).unwrap(), &answer, as_answer);
    }

    /// From the octets on, since frames that a strategy owns would hide what owning loses.
    #[test]
    fn owned_frames_keep_every_octet(octets in vec(any::<u8>(), 0..300)) {
        for frame in [
            [b"to:192.0.2.7/9000;raw : ", &octets[..]].concat(),
            [b"x", &octets[..]].concat(),
        ] {
            if let Ok(request) = relay::Request::decode(&frame) {
                prop_assert_eq!(request.into_owned().to_vec(), &frame[..]);
            }
            if let Ok(request) = ping::Request::decode(&frame) {
                prop_assert_eq!(request.into_owned().to_vec(), &frame[..]);
            }
        }
        let forward = [b"192.0.2.7/9000 ; raw : ", &octets[..]].concat();
        prop_assert_eq!(relay::Answer::decode(&forward).unwrap().into_owned().to_vec(), forward);
    }

    /// A decoder may see any frame, not only those for it.
    #[test]
    fn any_octets_are_decoded_or_refused(
        octets in prop_oneof![
            vec(any::<u8>(), 0..200),
            vec(select(TEMPTING), 0..40),
            ping_requests().prop_map(|frame| frame.to_vec()),
            ping_answers().prop_map(|frame| frame.to_vec()),
            relay_requests().prop_map(|frame| frame.to_vec()),
            relay_answers().prop_map(|frame| frame.to_vec()),
        ],
    ) {
        is_stable::<ping::RequestBuf>(&octets, &[Code::Structure, Code::Number])?;
        is_stable::<ping::Answer>(&octets, ONLY_400)?;
        is_stable::<RequestBuf>(&octets, &Code::ALL)?;
        is_stable::<AnswerBuf>(&octets, ONLY_400)?;
    }

    /// A server may leave out more than the size forces it to, so this is every probe answer there is.
    #[test]
    fn a_probe_answer_tells_its_fields_and_comes_back_as_it_stands(
        run in runs(), seq in seqs(), report in reports(), told in 0..=4_usize, padding in 0..200_usize,
    ) {
        let fields = [
            format!(" {}", report.count),
            format!(" {:016x}", report.window),
            format!(" {}", report.held),
            format!(" {}", report.received),
        ];
        let text = format!("A {:08x} {seq}{}{:padding$}", run.0, fields[..told].concat(), "");
        let Ok(ping::Answer::Probe(answer)) = ping::Answer::decode(text.as_bytes()) else {
            return Err(TestCaseError::fail(text));
        };
        prop_assert_eq!((answer.run(), answer.seq()), (run, seq));
        prop_assert_eq!(answer.size().get(), text.len());
        prop_assert_eq!(answer.count(), (told > 0).then_some(report.count));
        prop_assert_eq!(answer.window(), (told > 1).then_some(report.window));
        prop_assert_eq!(answer.held(), (told > 2).then_some(report.held));
        prop_assert_eq!(answer.received(), (told > 3).then_some(report.received));
        prop_assert_eq!(answer.to_string(), text);
    }

    /// As long as the probe, and of the fields, from the left, as many as fit.
    #[test]
    fn a_probe_answer_is_as_long_as_its_probe(probe in probes(), report in reports()) {
        let mut text = format!("A {:08x} {}", probe.run().0, probe.seq());
        let fields = [
            format!(" {}", report.count),
            format!(" {:016x}", report.window),
            format!(" {}", report.held),
            format!(" {}", report.received),
        ];
        let size = probe.size().get();
        for field in fields {
            if text.len() + field.len() > size {
                break;
            }
            text.push_str(&field);
        }
        prop_assert_eq!(probe.answer(&report).to_string(), format!("{text:size$}"));
    }
}

/// Payloads of the limit, which random frames do not have.
#[test]
fn the_longest_payloads_fill_a_datagram() {
    let to = "[::]/1".parse().unwrap();
    let text = "x".repeat(Content::MAX_LEN);
    let octets = vec![0xff; Raw::MAX_LEN];
    for payload in [
        Payload::Content(Content::new(&text).unwrap()),
        Payload::Raw(Raw::new(&octets).unwrap()),
    ] {
        let request = relay::Request::Send(Message::new(to, payload).unwrap());
        let frame = request.to_vec();
        assert_eq!(frame.len(), MAX_DATAGRAM);
        assert_eq!(relay::Request::decode(&frame), Ok(request));
    }
    assert!(Content::new(&"x".repeat(Content::MAX_LEN + 1)).is_err());
    assert!(Raw::new(&vec![0; Raw::MAX_LEN + 1]).is_err());

    // The one frame that has a meaning and no canonical form which a datagram holds.
    let mut frame = b"to:192.0.2.7/9000;raw: ".to_vec();
    frame.resize(MAX_DATAGRAM, b'x');
    let request = relay::Request::decode(&frame).unwrap();
    assert_eq!(request.encoded_len(), MAX_DATAGRAM + 1);
    let error = relay::Request::decode(&request.to_vec()).unwrap_err();
    assert_eq!(
        (error.rule(), error.offset()),
        (Rule::Datagram, MAX_DATAGRAM)
    );
}

// ---- Answers are never answered ----

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn every_answer_is_one_and_a_forward_is_none(ping in ping_answers(), relay in relay_answers()) {
        prop_assert!(is_answer(&ping.to_vec()), "{}", ping);
        let is_forward = matches!(relay, AnswerBuf::Forward(_));
        prop_assert_eq!(is_answer(&relay.to_vec()), !is_forward, "{}", relay);
    }

    #[test]
    fn no_request_is_an_answer(ping in ping_requests(), relay in relay_requests()) {
        prop_assert!(!is_answer(&relay.to_vec()), "{}", relay);
        // The octets of a message are free, and may be those of an answer. No other octets than these begin one.
        let octets = ping.to_vec();
        let may_be_answer = matches!(ping, ping::RequestBuf::Message(_))
            && [&b"Buffer "[..], b"Stopping ", b"Packet ", b"Acknow", b"A ", b"('", b"200,", b"40"]
                .iter()
                .any(|start| octets.starts_with(start));
        prop_assert!(may_be_answer || !is_answer(&octets), "{}", ping);
    }

    /// Whole datagrams only: what only begins or ends with an answer is a message like any other.
    #[test]
    fn an_answer_with_more_around_it_is_none(
        ping in ping_answers(),
        relay in relay_answers(),
        // No digit and no SP: those may go on a probe answer's last field, or its padding.
        more in select(&b"\0\t\n.x)\xff"[..]),
    ) {
        for answer in [ping.to_vec(), relay.to_vec()] {
            prop_assert!(!is_answer(&[&[more], &answer[..]].concat()));
            prop_assert!(!is_answer(&[b" ", &answer[..]].concat()));
            let longer = [&answer[..], &[more]].concat();
            prop_assert!(!is_answer(&longer), "{}", String::from_utf8_lossy(&longer));
        }
    }
}

// ---- Which spellings are the same frame ----

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

// ---- What fuzzing starts from ----

#[cfg(feature = "arbitrary")]
proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn frames_for_fuzzing_are_valid(octets in vec(any::<u8>(), 0..400)) {
        use arbitrary::{Arbitrary as _, Unstructured};

        if let Ok(frame) = ping::Request::arbitrary(&mut Unstructured::new(&octets)) {
            comes_back(&frame.into_owned())?;
        }
        if let Ok(frame) = ping::Answer::arbitrary(&mut Unstructured::new(&octets)) {
            comes_back(&frame)?;
        }
        if let Ok(frame) = relay::Request::arbitrary(&mut Unstructured::new(&octets)) {
            comes_back(&frame.into_owned())?;
        }
        if let Ok(frame) = relay::Answer::arbitrary(&mut Unstructured::new(&octets)) {
            comes_back(&frame.into_owned())?;
        }
    }
}
