//! `relay::Request::decode` against an independent reading of the original relay's table: for every datagram the same
//! meaning or the same code. Frames that only Hii knows are compared by way of their classic counterpart.

use std::collections::BTreeMap;

use hii_protocol::relay::Request;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

mod comparison;
mod frames;

use comparison::{agree, counterpart};
use frames::{marks, near_misses};

/// The longest datagram.
const LONGEST: usize = 65_507;

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
