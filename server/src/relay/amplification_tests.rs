//! How many times its own octets a datagram of a forged source makes the relay send, IP and UDP headers included.

use std::net::SocketAddr;
use std::time::Duration;

use hii_protocol::relay::{Answer, Request, Token};

use super::access::Access;
use super::rules::{Decision, Delivery, Rules};
use super::rules_tests::{config, decide, relay_of, source};
use crate::security_tests::table;

/// One kind of frame in the worst case, over all its fields and both families.
struct Row {
    frame: &'static str,
    /// An original program sends it, or it is a new spelling of what one sends.
    is_classic: bool,
    /// What comes back to a source that has proved nothing.
    answer: f64,
    /// The same from a relay with `--open`, with what goes to the receiver.
    open: f64,
}

/// Frames of which no original sends one earn at most this much, and others at most twice as much. An open relay has no such
/// bound for messages.
const MAX_FACTOR: f64 = 1.0;
const MAX_CLASSIC_FACTOR: f64 = 2.0;

/// All kinds of frames.
const AMPLIFICATION: [Row; 12] = [
    row("greeting", true, 1.93, 1.93),
    row("token-request", false, 0.98, 0.98),
    row("token-greeting, token not good", false, 0.61, 0.61),
    row("exit-server, not allowed", true, 0.87, 0.87),
    row("fewer than 3 octets", false, 0.0, 0.0),
    row("code 400", false, 1.0, 1.0),
    row("code 401", false, 1.0, 1.0),
    row("code 402", false, 0.99, 0.99),
    row("code 403", false, 0.95, 0.95),
    row("code 404", false, 0.93, 0.93),
    row("code 405", true, 2.0, 2.0),
    row("send", true, 1.96, 3.05),
];

const fn row(frame: &'static str, is_classic: bool, answer: f64, open: f64) -> Row {
    Row {
        frame,
        is_classic,
        answer,
        open,
    }
}

/// The senders whose addresses are shortest and longest, of both families.
const SENDERS: [&str; 4] = [
    "1.1.1.1:1024",
    "203.255.255.254:65535",
    "[a::]:1024",
    "[2abc:1111:2222:3333:4444:5555:6666:7777]:65535",
];

/// The octets of a datagram that this address sends or gets.
fn octets(address: SocketAddr, payload: usize) -> f64 {
    let headers = if address.is_ipv4() { 20 + 8 } else { 40 + 8 };
    f64::from(u32::try_from(headers + payload).unwrap())
}

/// A relay, asked once in ten seconds, so that no budget is in the way.
struct Asked {
    rules: Rules,
    now: Duration,
}

impl Asked {
    fn new(is_open: bool) -> Self {
        let access = Access {
            open: is_open,
            ..Access::default()
        };
        Self {
            rules: relay_of(&config(access)),
            now: Duration::ZERO,
        }
    }

    /// What a frame comes to: what is sent to a source that has proved nothing, and in all, for each octet of it.
    fn factors(&mut self, frame: &[u8], from: &str) -> (f64, f64) {
        self.now += Duration::from_secs(10);
        let from = source(from);
        let sender = from.address();
        let (answer, forward) = match decide(&mut self.rules, frame, from, self.now) {
            Decision::Forward { to, forward, .. } => {
                let forward = Answer::Forward(forward).encoded_len();
                let answer = self.rules.forwarded(Delivery::Sent);
                (answer, octets(to.into(), forward))
            }
            other => (other, 0.0),
        };
        let answer = match answer {
            Decision::Reply(answer) => octets(sender, answer.encoded_len()),
            _ => 0.0,
        };
        let came = octets(sender, frame.len());
        (answer / came, (answer + forward) / came)
    }
}

/// The shortest frames of each kind, with whatever fields it may have: what they earn does not depend on more octets.
fn frames(kind: &str) -> Vec<Vec<u8>> {
    let texts: Vec<&str> = match kind {
        "greeting" => vec!["hii", "HII"],
        "token-request" => return vec![Request::TokenRequest.to_vec()],
        "token-greeting, token not good" => {
            return vec![Request::TokenGreeting(Token([7; 16])).to_vec()];
        }
        "exit-server, not allowed" => vec!["exit server"],
        "fewer than 3 octets" => vec!["", "x", ";", "to", ";;", "\u{e9}"],
        "code 400" => vec!["xxx", "hi ", "hii ", "hii ?", "to:", "\u{ff}x"],
        "code 401" => vec![";xx", ";;;", "to;", ":;:", "to:/1;"],
        "code 402" => vec![":/;:", ":/;raw: "],
        "code 403" => vec!["to:/;:", "to:/x;:"],
        "code 404" => vec!["to:/1;:", "to:/1;x:"],
        "code 405" => vec![
            "to:/1;raw: ",
            "to:/1;raw: xx",
            "to:/1;raw: xxx",
            "to:/1;content:",
            "to:x/0;content:",
            "to:1.1.1.1/0;raw: ",
        ],
        "send" => vec![
            "to:1.1.1.1/1;content:",
            "to:1.1.1.1/1;raw: ",
            "to:[a::]/1;content:",
            "to:[a::]/1;raw: ",
            "to:[::]/1;raw: ",
            "to:224.0.0.1/1;content:",
            "to:203.255.255.254/65535;content:",
            "to:[2abc:1111:2222:3333:4444:5555:6666:7777]/65535;content:",
        ],
        other => panic!("{other}"),
    };
    texts
        .into_iter()
        .map(|text| text.as_bytes().to_vec())
        .collect()
}

#[test]
fn no_frame_earns_more_than_the_table_says() {
    for row in AMPLIFICATION {
        let bound = if row.is_classic {
            MAX_CLASSIC_FACTOR
        } else {
            MAX_FACTOR
        };
        assert!(row.answer <= bound, "{}", row.frame);
        let worst = |is_open| {
            let mut relay = Asked::new(is_open);
            let mut worst = (0.0_f64, 0.0_f64);
            for from in SENDERS {
                for frame in frames(row.frame) {
                    let (answer, all) = relay.factors(&frame, from);
                    worst = (worst.0.max(answer), worst.1.max(all));
                }
            }
            worst
        };
        let (answer, all) = worst(false);
        assert!(answer <= bound, "{}: {answer}", row.frame);
        // A non-peer's message is not forwarded.
        assert!((answer - all).abs() < 1e-9, "{}", row.frame);
        for (is, told) in [(answer, row.answer), (worst(true).1, row.open)] {
            // The table is rounded up.
            assert!(
                is <= told && told < is + 0.01,
                "{}: {is} for {told}",
                row.frame
            );
        }
    }
}

#[test]
fn security_md_has_the_same_table() {
    let found: Vec<_> = table(&["service", "frame", "class", "factor", "factor with --open"])
        .into_iter()
        .filter(|row| row[0] == "relay")
        .map(|row| row[1..5].to_vec())
        .collect();
    let expected = AMPLIFICATION.map(|row| {
        let class = if row.is_classic { "original" } else { "new" };
        let [answer, open] = [row.answer, row.open].map(|factor| format!("{factor:.2}"));
        [row.frame.into(), class.into(), answer, open].to_vec()
    });
    assert_eq!(found, expected);
}

#[test]
fn padding_and_spelling_earn_nothing_more() {
    // Each frame of up to four octets of these, and all that begins as a message does.
    let alphabet = b"to:/;1h\xff ";
    let mut relay = Asked::new(false);
    let mut all = vec![Vec::new()];
    for _ in 0..4 {
        let longer = all.iter().flat_map(|frame| {
            alphabet
                .iter()
                .map(move |octet| [frame.as_slice(), &[*octet]].concat())
        });
        let longer: Vec<_> = longer.collect();
        for frame in &longer {
            let (answer, _) = relay.factors(frame, SENDERS[1]);
            assert!(answer <= MAX_FACTOR, "{frame:?}: {answer}");
        }
        all = longer;
    }
    let begins = [
        "to:",
        "to:/",
        "to:1.1.1.1/",
        "to : [a::] / ",
        "tO:/1;",
        "to:/1;raw:",
        "to:/1;content:",
    ];
    for begin in begins {
        for end in [
            "",
            "1",
            "1;",
            "1;raw: ",
            "1;content:",
            "1;raw: xxxxxxx",
            "0;raw: ",
            ";:",
            "x;:x",
        ] {
            for from in SENDERS {
                let frame = format!("{begin}{end}");
                let (answer, _) = relay.factors(frame.as_bytes(), from);
                assert!(answer <= MAX_CLASSIC_FACTOR, "{frame}: {answer}");
            }
        }
    }
}
