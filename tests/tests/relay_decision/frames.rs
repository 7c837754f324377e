//! Frames that nearly are requests.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

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
pub(crate) fn near_misses() -> BoxedStrategy<Vec<u8>> {
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
pub(crate) fn marks() -> BoxedStrategy<Vec<u8>> {
    let words: &[&[u8]] = &[
        b"to", b"content", b"raw", b":", b"/", b";", b" ", b"[", b"]", b"::1", b"1.1.1.1", b"9",
        b"x", b"\xff", b"?", b"hii",
    ];
    vec(select(words), 0..16)
        .prop_map(|words| words.concat())
        .boxed()
}
