//! How many times its own octets a datagram of a forged source makes the ping server send, IPv4 and UDP headers included.

use super::budgets::Limits;
use super::limit_tests::{STRANGER, answer, by_default, limited, text};
use crate::policy::Limit;
use crate::security_tests::table;

/// One kind of datagram in the worst case.
struct Row {
    frame: &'static str,
    /// An original program sends it, or it is a new spelling of what one sends.
    is_classic: bool,
    /// What comes back to a source that has proved nothing.
    answer: f64,
}

/// Datagrams that no original sends earn at most this much, and others at most twice as much.
const MAX_FACTOR: f64 = 1.0;
const MAX_CLASSIC_FACTOR: f64 = 2.0;

/// All kinds of datagrams.
const AMPLIFICATION: [Row; 9] = [
    row("Hello Server", true, 1.18),
    row("C <size>", true, 1.97),
    row("exit, not allowed", true, 1.47),
    row("probe", false, 1.0),
    row("probe over a limit", false, 1.0),
    row("C without a valid size", false, 1.0),
    row("any other, shorter than its answer", false, 0.0),
    row("any other", false, 1.0),
    row("answer", false, 0.0),
];

const fn row(frame: &'static str, is_classic: bool, answer: f64) -> Row {
    Row {
        frame,
        is_classic,
        answer,
    }
}

/// Octets of the IPv4 and UDP headers: with those of IPv6 every ratio is smaller.
const HEADERS: usize = 28;

/// The datagrams of a kind that are shortest beside their answers, and longer ones.
fn datagrams(kind: &str) -> Vec<Vec<u8>> {
    let spaces = " ".repeat(100);
    let zeros = "0".repeat(60_000);
    let texts: Vec<String> = match kind {
        "Hello Server" => vec!["Hello Server".into(), "Hello Server.".into()],
        "C <size>" => ["1", "128", "65507", "007"]
            .map(|size| format!("C {size}"))
            .into_iter()
            .chain([format!("C {zeros}1"), format!("C {}7", "0".repeat(9))])
            .collect(),
        "exit, not allowed" => vec!["exit".into()],
        "probe" | "probe over a limit" => [
            "P ffffffff 1",
            "P 00000000 18446744073709551615",
            "P 00c0ffee 7",
        ]
        .map(|probe| [probe.to_owned(), format!("{probe}{spaces}")])
        .concat(),
        "C without a valid size" => {
            let mut texts: Vec<_> = ["C", "C ", "C x", "C 0", "C 65508", "Cat"]
                .map(String::from)
                .into();
            texts.extend((0..64).map(|len| format!("C {}", "9".repeat(5 + len))));
            texts.push(format!("C{spaces}7"));
            texts
        }
        "any other, shorter than its answer" => {
            let mut texts: Vec<_> = (0..19).map(|len| "x".repeat(len)).collect();
            texts.extend(["exit ", "hello server", "Hello Server!", "\u{fffd}"].map(String::from));
            texts
        }
        "any other" => {
            let mut texts: Vec<_> = (19..64).map(|len| "x".repeat(len)).collect();
            texts.push(format!("P ffffffff 01{spaces}"));
            texts
        }
        "answer" => ["Packet Acknowledged", "A 00c0ffee 1", "L 00c0ffee 1", "400"]
            .map(String::from)
            .into(),
        other => panic!("{other}"),
    };
    texts.into_iter().map(String::into_bytes).collect()
}

/// The largest factor of a datagram, with its answer or the notice of a limit.
fn factor(datagram: &[u8], is_over_limit: bool) -> f64 {
    let mut service = if is_over_limit {
        limited(Limits {
            probes: Limit::Nothing,
            ..Limits::default()
        })
    } else {
        by_default()
    };
    let answer = answer(&mut service, datagram, STRANGER, 0);
    let octets = answer.map_or(0, |answer| answer.len() + HEADERS);
    octets as f64 / (datagram.len() + HEADERS) as f64
}

#[test]
fn no_datagram_earns_more_than_the_table_says() {
    for row in AMPLIFICATION {
        let bound = if row.is_classic {
            MAX_CLASSIC_FACTOR
        } else {
            MAX_FACTOR
        };
        assert!(row.answer <= bound, "{}", row.frame);
        let is_over_limit = row.frame == "probe over a limit";
        let factors = datagrams(row.frame).into_iter().map(|datagram| {
            let factor = factor(&datagram, is_over_limit);
            assert!(factor <= bound, "{}: {factor}", datagram.escape_ascii());
            factor
        });
        let worst = factors.fold(0.0, f64::max);
        // The table is rounded up.
        assert!(
            worst <= row.answer && row.answer < worst + 0.01,
            "{}: {worst} for {}",
            row.frame,
            row.answer
        );
    }
}

#[test]
fn security_md_has_the_same_table() {
    let found: Vec<_> = table(&["service", "frame", "class", "factor"])
        .into_iter()
        .filter(|row| row[0] == "ping")
        .map(|row| row[1..4].to_vec())
        .collect();
    let expected = AMPLIFICATION.map(|row| {
        let class = if row.is_classic { "original" } else { "new" };
        [row.frame.into(), class.into(), format!("{:.2}", row.answer)].to_vec()
    });
    assert_eq!(found, expected);
}

#[test]
fn this_host_is_answered_whatever_it_sends() {
    let local = "127.0.0.1:5000";
    assert_eq!(text(&mut by_default(), "", local, 0), "Packet Acknowledged");
    let mut service = by_default();
    assert_eq!(answer(&mut service, b"", STRANGER, 0), None);
    assert_eq!(service.tally().too_short, 1);
}
