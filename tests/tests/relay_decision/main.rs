//! `relay::Request::decode` against an independent reading of the original relay's table: for every datagram the same
//! meaning or the same code. Frames that only Hii knows are compared by way of their classic counterpart.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use hii_protocol::relay::{Payload, Request};
use hii_tests::classic::decision::{Decision, decide};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

/// The longest datagram.
const LONGEST: usize = 65_507;

// ---- The comparison ----

/// What both say about a frame, in words of neither.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Greeting,
    ExitServer,
    Send(Ipv4Addr, u16, String),
    Code(u16),
    /// Meant for Hii alone.
    New,
}

fn classic(frame: &[u8]) -> Verdict {
    match decide(frame) {
        Decision::Greeting => Verdict::Greeting,
        Decision::ExitServer => Verdict::ExitServer,
        Decision::Code(code) => Verdict::Code(code),
        Decision::Send { ip, port, content } => Verdict::Send(ip, port, content.to_owned()),
    }
}

fn ours(frame: &[u8]) -> Verdict {
    let message = match Request::decode(frame) {
        Ok(Request::Greeting) => return Verdict::Greeting,
        Ok(Request::ExitServer) => return Verdict::ExitServer,
        Ok(Request::TokenRequest | Request::TokenGreeting(_)) => return Verdict::New,
        Err(error) => return Verdict::Code(error.code().number()),
        Ok(Request::Send(message)) => message,
    };
    let to = message.to();
    match (to.ip(), message.payload()) {
        (std::net::IpAddr::V4(ip), Payload::Content(content)) => {
            Verdict::Send(ip, to.port(), content.as_str().to_owned())
        }
        _ => Verdict::New,
    }
}

/// What a frame has that the original does not know.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct News {
    ipv6: bool,
    raw: bool,
    token: bool,
}

impl News {
    const NONE: Self = Self {
        ipv6: false,
        raw: false,
        token: false,
    };
}

/// The classic counterpart of a frame, and what had to give way: an IPv6 literal becomes an IPv4 address, raw data
/// becomes content. The rest stays, mistakes and all, so the classic table decides about it.
fn counterpart(frame: &[u8]) -> (Vec<u8>, News) {
    let mut news = News::NONE;
    let Some(separator) = position(frame, b';') else {
        news.token = is_token_frame(frame);
        return (frame.to_vec(), news);
    };
    let (header, data) = (&frame[..separator], &frame[separator + 1..]);
    let mut counterpart = header.to_vec();
    if let Some(colon) = position(header, b':')
        && let Some(len) = position(&header[colon + 1..], b'/')
    {
        let (start, end) = (colon + 1, colon + 1 + len);
        if is_ipv6_literal(trimmed(&header[start..end])) {
            news.ipv6 = true;
            counterpart.splice(start..end, *b"192.0.2.7");
        }
    }
    counterpart.push(b';');
    if is_raw_data(data) {
        news.raw = true;
        counterpart.extend(b"content:x");
    } else {
        counterpart.extend(data);
    }
    (counterpart, news)
}

fn position(octets: &[u8], wanted: u8) -> Option<usize> {
    octets.iter().position(|octet| *octet == wanted)
}

fn trimmed(octets: &[u8]) -> &[u8] {
    let (start, end) = (leading_blanks(octets), octets.len());
    let trailing = octets.iter().rev().take_while(|octet| is_blank(**octet));
    octets.get(start..end - trailing.count()).unwrap_or(b"")
}

fn leading_blanks(octets: &[u8]) -> usize {
    octets.iter().take_while(|octet| is_blank(**octet)).count()
}

fn is_blank(octet: u8) -> bool {
    b" \t\n\x0b\x0c\r".contains(&octet)
}

fn is_ipv6_literal(text: &[u8]) -> bool {
    str::from_utf8(text)
        .ok()
        .and_then(|text| text.strip_prefix('[')?.strip_suffix(']'))
        .is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok())
}

fn is_raw_data(data: &[u8]) -> bool {
    let key = &data[leading_blanks(data)..];
    key.strip_prefix(b"raw")
        .is_some_and(|rest| rest[leading_blanks(rest)..].starts_with(b": "))
}

/// A token request or a token greeting.
fn is_token_frame(frame: &[u8]) -> bool {
    let Some((hii, rest)) = frame.split_at_checked(4) else {
        return false;
    };
    let is_request = frame.len() >= 96 && rest[0] == b'?' && rest[1..].iter().all(|o| *o == b' ');
    let is_greeting =
        rest.len() == 32 && rest.iter().all(|o| matches!(o, b'0'..=b'9' | b'a'..=b'f'));
    hii.eq_ignore_ascii_case(b"hii ") && (is_request || is_greeting)
}

fn agree(frame: &[u8]) -> Result<(), TestCaseError> {
    let (ours, classic_verdict) = (ours(frame), classic(frame));
    let shown = || String::from_utf8_lossy(frame).into_owned();
    // Ahead of all else, for the counterpart is shorter.
    if frame.len() > LONGEST {
        prop_assert_eq!(&ours, &Verdict::Code(400));
        prop_assert_eq!(classic_verdict, ours);
        return Ok(());
    }
    let (counterpart, news) = counterpart(frame);
    if news == News::NONE {
        prop_assert_eq!(ours, classic_verdict, "{:?}", shown());
        return Ok(());
    }
    // What is new is free to be so: the original has nothing but an error for it.
    prop_assert!(
        matches!(classic_verdict, Verdict::Code(_)),
        "{:?} {:?}",
        classic_verdict,
        shown()
    );
    if news.token {
        prop_assert_eq!(classic_verdict, Verdict::Code(400), "{:?}", shown());
        prop_assert_eq!(ours, Verdict::New, "{:?}", shown());
        return Ok(());
    }
    let counterpart = classic(&counterpart);
    match Request::decode(frame) {
        Err(_) => prop_assert_eq!(ours, counterpart, "{:?}", shown()),
        Ok(Request::Send(message)) => {
            let Verdict::Send(ip, port, content) = &counterpart else {
                let why = format!(
                    "{message:?}, its counterpart {counterpart:?}: {:?}",
                    shown()
                );
                return Err(TestCaseError::fail(why));
            };
            prop_assert_eq!(message.to().port(), *port, "{:?}", shown());
            match message.payload() {
                Payload::Content(text) => {
                    prop_assert!(!news.raw, "{:?}", shown());
                    prop_assert_eq!(text.as_str(), content, "{:?}", shown());
                }
                Payload::Raw(raw) => {
                    prop_assert!(news.raw, "{:?}", shown());
                    prop_assert_eq!(Some(raw.as_bytes()), raw_of(frame), "{:?}", shown());
                }
            }
            if news.ipv6 {
                prop_assert_eq!(
                    Some(message.to().ip()),
                    literal_of(frame).map(|ip| ip.to_canonical()),
                    "{:?}",
                    shown()
                );
            } else {
                prop_assert_eq!(message.to().ip(), *ip, "{:?}", shown());
            }
        }
        Ok(other) => return Err(TestCaseError::fail(format!("{other:?}: {:?}", shown()))),
    }
    Ok(())
}

/// What stands behind the data's `:` SP.
fn raw_of(frame: &[u8]) -> Option<&[u8]> {
    let data = &frame[position(frame, b';')? + 1..];
    data.get(position(data, b':')? + 2..)
}

/// The address of a header that holds one in brackets.
fn literal_of(frame: &[u8]) -> Option<std::net::IpAddr> {
    let (start, end) = (position(frame, b'[')? + 1, position(frame, b']')?);
    let literal = str::from_utf8(frame.get(start..end)?).ok()?;
    literal.parse::<Ipv6Addr>().ok().map(Into::into)
}

// ---- Frames that nearly are requests ----

/// One piece, mostly a right one.
fn piece(
    weight_of_right: u32,
    right: &'static [&'static str],
    wrong: &'static [&'static str],
) -> BoxedStrategy<Vec<u8>> {
    prop_oneof![weight_of_right => select(right), 1 => select(wrong)]
        .prop_map(|piece| piece.as_bytes().to_vec())
        .boxed()
}

/// Nothing, blanks, or what other programs take for blanks.
fn around() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        12 => Just(Vec::new()),
        8 => vec(select(&b" \t\n\x0b\x0c\r"[..]), 1..4),
        1 => select(&["\0", "\x08", "\x0e", "\x1c", "\x1f", "\u{85}", "\u{a0}", "\u{2003}", "\u{feff}"][..])
            .prop_map(|blank| blank.as_bytes().to_vec()),
    ]
    .boxed()
}

/// Octets that break a text, or that have a meaning where they do not belong.
fn stray() -> BoxedStrategy<Vec<u8>> {
    const PIECES: [&[u8]; 16] = [
        b":",
        b"/",
        b";",
        b"[",
        b"]",
        b"[]",
        b"\xff",
        b"\xc3",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        "ü".as_bytes(),
        b"\0",
        b"to",
        b"raw : ",
        b"content:",
        b"hii",
    ];
    prop_oneof![
        40 => Just(Vec::new()),
        1 => select(&PIECES[..]).prop_map(<[u8]>::to_vec),
    ]
    .boxed()
}

fn addresses() -> BoxedStrategy<Vec<u8>> {
    let odd = &[
        "",
        "localhost",
        "example.org",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.0.0.01",
        "256.1.1.1",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.4.",
        "1. 2.3.4",
        "1.2.3.+4",
        "1..3.4",
        "١.1.1.1",
        "١٢٧.٠.٠.١",
        "192.0.2.7\0",
        "999999999999999999999.1.1.1",
        "::1",
        "2001:db8::7",
        "[192.0.2.7]",
        "[::1%eth0]",
        "[::1%1]",
        "[::g]",
        "[ ::1 ]",
        "[::1",
        "::1]",
        "[]",
        "[:]",
        "[:::]",
        "[[::1]]",
        "[::1]]",
        "[::1]x",
        "x[::1]",
        "[1:2:3:4:5:6:7:8:9]",
        "[1:2:3:4:5:6:7::8]",
        "[1:2:3:4:5:6:7]",
        "[12345::]",
        "[::1.2.3.04]",
        "[::1.2.3]",
        "[1.2.3.4::]",
        "[::1/64]",
    ];
    prop_oneof![
        8 => any::<[u8; 4]>().prop_map(|octets| Ipv4Addr::from(octets).to_string()),
        2 => select(&["0.0.0.0", "127.0.0.1", "255.255.255.255"][..]).prop_map(str::to_owned),
        2 => any::<[u16; 8]>().prop_map(|groups| format!("[{}]", Ipv6Addr::from(groups))),
        2 => select(
            &[
                "[::]",
                "[::1]",
                "[2001:DB8::7]",
                "[2001:0db8:0:0:0:0:0:0007]",
                "[::ffff:192.0.2.7]",
                "[::FFFF:c000:207]",
                "[64:ff9b::1.2.3.4]",
                "[1:2:3:4:5:6:7::]",
                "[::2:3:4:5:6:7:8]",
                "[1:2:3:4:5:6:1.2.3.4]",
            ][..],
        )
        .prop_map(str::to_owned),
        3 => select(&odd[..]).prop_map(str::to_owned),
        // Four numbers that may not be octets.
        1 => vec(0..300_u16, 3..6).prop_map(|numbers| {
            numbers.iter().map(u16::to_string).collect::<Vec<_>>().join(".")
        }),
    ]
    .prop_map(String::into_bytes)
    .boxed()
}

fn ports() -> BoxedStrategy<Vec<u8>> {
    let odd = &[
        "",
        "+5",
        "-5",
        "5_000",
        "5.0",
        "0x50",
        "5e3",
        "9 0",
        "٥",
        "５",
        "²",
        "9x",
        "x9",
        "9\0",
        "\u{a0}9",
        "9\u{85}",
        "９０００",
    ];
    prop_oneof![
        9 => (1..=u16::MAX).prop_map(|port| port.to_string()),
        1 => (1..=u16::MAX, 1..30_usize).prop_map(|(port, width)| format!("{port:0width$}")),
        1 => select(&["0", "000", "1", "65535", "65536", "99999", "65537", "131072"][..])
            .prop_map(str::to_owned),
        1 => select(&["4294967296", "4294967376", "18446744073709551696"][..]).prop_map(str::to_owned),
        1 => (1..200_usize).prop_map(|count| "9".repeat(count)),
        2 => select(&odd[..]).prop_map(str::to_owned),
    ]
    .prop_map(String::into_bytes)
    .boxed()
}

fn contents() -> BoxedStrategy<Vec<u8>> {
    let pieces = &[
        "good morning",
        "x",
        " ",
        "  ",
        "\t",
        "\r\n",
        ";",
        "/",
        "ü",
        "\u{a0}",
        "\u{85}",
        "\x1c",
        "\0",
        "to",
        "raw",
        "[::1]",
        "content",
        "400",
    ];
    let text = vec(select(&pieces[..]), 0..5).prop_map(|pieces| pieces.concat().into_bytes());
    prop_oneof![
        16 => text,
        1 => select(&["12:30", ":", "raw : x", "a;b:c"][..]).prop_map(|text| text.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..12),
    ]
    .boxed()
}

/// The parts of a `to:` message, in this order, as they should be or nearly so.
fn assembled() -> BoxedStrategy<Vec<u8>> {
    let header_key = piece(
        20,
        &["to", "to", "TO", "To", "tO"],
        &["", "t", "too", "t o", "from", "ţo", "to\0", "hii", "ｔｏ"],
    );
    let content_key = piece(
        12,
        &["content", "content", "CONTENT", "cOnTeNt"],
        &["", "contents", "con tent", "text", "Raw", "RAW", "raw"],
    );
    let colon = || piece(40, &[":"], &["", "::", " ", "：", "/"]);
    let slash = piece(40, &["/"], &["", "//", ":", "\\", "／"]);
    let separator = piece(40, &[";"], &["", ";;", ",", ":", "；", "; ;"]);

    let header = (
        (stray(), around(), header_key, around(), colon()),
        (around(), addresses(), around(), stray()),
        (slash, around(), ports(), around(), stray()),
    )
        .prop_map(|(key, address, port)| {
            [
                [key.0, key.1, key.2, key.3, key.4].concat(),
                [address.0, address.1, address.2, address.3].concat(),
                [port.0, port.1, port.2, port.3, port.4].concat(),
            ]
            .concat()
        });
    let content = (
        (around(), content_key, around(), colon()),
        (around(), contents(), around(), stray()),
    )
        .prop_map(|(key, content)| {
            [
                key.0, key.1, key.2, key.3, content.0, content.1, content.2, content.3,
            ]
            .concat()
        });
    let raw = (
        around(),
        around(),
        piece(8, &[": "], &[":", ":\t", "  ", ":: ", "", " : "]),
        prop_oneof![contents(), vec(any::<u8>(), 0..20).boxed()],
    )
        .prop_map(|(before, after, colon, octets)| {
            [before, b"raw".to_vec(), after, colon, octets].concat()
        });
    let data = prop_oneof![4 => content, 1 => raw];
    (header, separator, data)
        .prop_map(|(header, separator, data)| [header, separator, data].concat())
        .boxed()
}

/// The frames without a `;`, as they should be or nearly so.
fn greetings() -> BoxedStrategy<Vec<u8>> {
    let hii = piece(
        12,
        &["hii", "hii", "HII", "Hii", "hiI"],
        &["", "hi", "hiii", "hİi", "hıi", "hii\0"],
    );
    let padding = prop_oneof![0..95_usize, 91..92_usize, 90..140_usize];
    let token = vec(select(&b"0123456789abcdef"[..]), 32);
    let nearly_hex = vec(select(&b"019afAFgG ?;"[..]), 0..40);
    let after = prop_oneof![
        6 => Just(Vec::new()),
        2 => around(),
        4 => (padding, stray()).prop_map(|(padding, end)| [b" ?", &vec![b' '; padding][..], &end].concat()),
        1 => (token.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut token, index, octet)| {
            token[index.index(32)] = octet;
            [b" ", &token[..]].concat()
        }),
        1 => token.clone().prop_map(|token| [b" ", &token.to_ascii_uppercase()[..]].concat()),
        2 => (token, stray()).prop_map(|(token, end)| [b" ", &token[..], &end].concat()),
        1 => nearly_hex.prop_map(|token| [b" ", &token[..]].concat()),
    ];
    let words = &["", "exit", "Exit server", "exit  server", "hello", "401"];
    prop_oneof![
        6 => (hii, after).prop_map(|(hii, after)| [hii, after].concat()),
        2 => (around(), around(), stray()).prop_map(|(before, after, end)| {
            [before, b"exit server".to_vec(), after, end].concat()
        }),
        1 => Just(b"exit server".to_vec()),
        1 => select(&words[..]).prop_map(|word| word.as_bytes().to_vec()),
        1 => (around(), select(&["hii", "exit server"][..]), stray())
            .prop_map(|(before, word, end)| [before, word.as_bytes().to_vec(), end].concat()),
    ]
    .boxed()
}

/// All of it, some with one octet changed, removed or added.
fn near_misses() -> BoxedStrategy<Vec<u8>> {
    let frames = prop_oneof![6 => assembled(), 1 => greetings()];
    let accident = prop_oneof![
        6 => Just(None),
        1 => (any::<prop::sample::Index>(), any::<u8>(), 0..3_usize).prop_map(Some),
    ];
    (frames, accident)
        .prop_map(|(mut frame, accident)| {
            if let Some((index, octet, removed)) = accident {
                let at = index.index(frame.len() + 1);
                let end = (at + removed).min(frame.len());
                frame.splice(at..end, [octet]);
            }
            frame
        })
        .boxed()
}

/// Octets of no order, of the kind that decides.
fn marks() -> BoxedStrategy<Vec<u8>> {
    let words: &[&[u8]] = &[
        b"to", b"content", b"raw", b":", b"/", b";", b" ", b"[", b"]", b"::1", b"1.1.1.1", b"9",
        b"x", b"\xff", b"?", b"hii",
    ];
    vec(select(words), 0..16)
        .prop_map(|words| words.concat())
        .boxed()
}

/// No file of failures: a failure that was fixed belongs into the vectors.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(12_000))]

    #[test]
    fn near_misses_mean_the_same(frame in near_misses()) {
        agree(&frame)?;
    }

    #[test]
    fn marks_in_any_order_mean_the_same(frame in marks()) {
        agree(&frame)?;
    }

    #[test]
    fn octets_of_no_kind_mean_the_same(frame in vec(any::<u8>(), 0..80)) {
        agree(&frame)?;
    }
}

/// The comparison above is worth what its frames are worth.
#[test]
fn near_misses_reach_every_decision() {
    const SAMPLES: u32 = 10_000;
    let mut runner = TestRunner::deterministic();
    let frames = near_misses();
    let mut reached = BTreeMap::<String, u32>::new();
    for _ in 0..SAMPLES {
        let frame = frames.new_tree(&mut runner).unwrap().current();
        let (_, news) = counterpart(&frame);
        let what = match Request::decode(&frame) {
            Err(error) if news.ipv6 => format!("{} ipv6", error.code()),
            Err(error) if news.raw => format!("{} raw", error.code()),
            Err(error) => format!("{} {}", error.code(), error.rule()),
            Ok(Request::Greeting) => "greeting".into(),
            Ok(Request::ExitServer) => "exit-server".into(),
            Ok(Request::TokenRequest) => "token-request".into(),
            Ok(Request::TokenGreeting(_)) => "token-greeting".into(),
            Ok(Request::Send(_)) if news.ipv6 && news.raw => "send ipv6 raw".into(),
            Ok(Request::Send(_)) if news.ipv6 => "send ipv6".into(),
            Ok(Request::Send(_)) if news.raw => "send raw".into(),
            Ok(Request::Send(_)) => "send".into(),
        };
        *reached.entry(what).or_default() += 1;
    }
    // Far below what it is, so that only a strategy that has gone blind fails.
    let few: &[&str] = &[
        "400 ipv6",
        "400 padding",
        "400 raw",
        "400 token",
        "401 header-slash",
        "402 raw",
        "403 raw",
        "404 ipv6",
        "405 ipv6",
        "send ipv6 raw",
        "token-greeting",
        "token-request",
    ];
    let some: &[&str] = &[
        "400 separator",
        "401 ipv6",
        "401 raw",
        "402 header-key",
        "402 ipv6",
        "403 ipv6",
        "404 data-key",
        "405 address",
        "405 port-value",
        "405 raw",
        "exit-server",
        "greeting",
        "send ipv6",
        "send raw",
    ];
    let many: &[&str] = &[
        "400 utf-8",
        "401 data-colon",
        "401 header-colon",
        "403 port",
        "send",
    ];
    for (names, least) in [(few, 8), (some, 80), (many, 400)] {
        for name in names {
            let count = reached.remove(*name).unwrap_or_default();
            assert!(count >= least, "{name}: {count} of {SAMPLES}");
        }
    }
    assert!(reached.is_empty(), "not expected: {reached:?}");
}

/// What random frames do not reach: the limit of a datagram, and just beyond it.
#[test]
fn long_frames_mean_the_same() {
    for (start, octet) in [
        (&b"to:192.0.2.7/9000;content:"[..], b'x'),
        (b"to:192.0.2.7/9000;content:x", b' '),
        (b"to:192.0.2.7/9000;raw : ", 0xff),
        // Longer than the address of its counterpart, which has to fit too.
        (b"to:[2001:db8::7]/9000;content:", b'x'),
        (b"to:192.0.2.7/", b'0'),
        (b"to:192.0.2.7/9000", b' '),
        (b"", b' '),
        (b"", b';'),
        (b"", b':'),
        (b"hii ?", b' '),
        (b"hii ", b'0'),
    ] {
        for len in [LONGEST - 1, LONGEST, LONGEST + 1, LONGEST + 1_000] {
            let mut frame = start.to_vec();
            frame.resize(len, octet);
            let start = String::from_utf8_lossy(start);
            agree(&frame).unwrap_or_else(|_| panic!("{start:?} and {octet}, {len} octets in all"));
        }
    }
}
