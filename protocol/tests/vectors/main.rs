//! Replays `vectors/*.json`. The vectors are written from `WIRE.md` alone, so what fails here is either the code or the
//! document. Every failure of a file is printed, since one mistake usually shows in several cases.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::panic::catch_unwind;

use hii_protocol::{ParseError, Rule};
use serde_json::{Value, json};

mod framing;
mod meaning;
mod octets;
mod services;

use framing::{by_hand, framing_of};
use octets::octets;
use services::replay;

/// Rules that no frame of a service breaks, only a stream: those are in `framing.json`.
const STREAM_RULES: [Rule; 2] = [Rule::FrameLength, Rule::TcpFrame];

#[test]
fn every_ping_vector() {
    replay_file("ping.json", replay);
}

#[test]
fn every_relay_vector() {
    replay_file("relay.json", replay);
}

#[test]
fn every_share_vector() {
    replay_file("share.json", replay);
}

#[test]
fn every_framing_vector_by_hand() {
    replay_file("framing.json", |case| {
        let stream = octets(case, "")?;
        expect(&framing_of(case)?, &by_hand(&stream))
    });
}

#[cfg(feature = "codec")]
#[test]
fn every_framing_vector_through_the_codec() {
    replay_file("framing.json", |case| {
        let stream = octets(case, "")?;
        let expected = framing_of(case)?;
        let whole = framing::codec::read(stream.len().max(1), &stream);
        expect(&expected, &whole).map_err(|why| format!("fed whole: {why}"))?;
        let in_steps = framing::codec::read(1, &stream);
        expect(&expected, &in_steps).map_err(|why| format!("fed octet by octet: {why}"))
    });
}

#[test]
fn vectors_are_many_and_break_every_rule() {
    let services = ["ping.json", "relay.json", "share.json"]
        .map(cases)
        .concat();
    let framing = cases("framing.json");
    assert!(services.len() >= 200, "only {}", services.len());

    let broken = |cases: &[Value]| -> BTreeSet<String> {
        let own = cases.iter().map(|case| &case["error"]["rule"]);
        let of_frames = cases
            .iter()
            .flat_map(|case| case["frames"].as_array().into_iter().flatten())
            .map(|frame| &frame["error"]["rule"]);
        let of_ends = cases.iter().map(|case| &case["end_error"]["rule"]);
        let rules = own.chain(of_frames).chain(of_ends);
        let rules = rules.filter_map(Value::as_str);
        rules.map(str::to_owned).collect()
    };
    let all = |wanted: fn(&Rule) -> bool| -> BTreeSet<String> {
        let rules = Rule::ALL.iter().filter(|rule| wanted(rule));
        rules.map(|rule| rule.name().to_owned()).collect()
    };
    assert_eq!(
        broken(&services),
        all(|rule| !STREAM_RULES.contains(rule)),
        "rules broken by the frames of the services"
    );
    assert_eq!(
        broken(&framing),
        all(|rule| STREAM_RULES.contains(rule)),
        "rules broken by framing.json"
    );
}

/// Runs `replay` on each case of a file and fails with all that went wrong.
fn replay_file(file: &str, replay: fn(&Value) -> Result<(), String>) {
    let cases = cases(file);
    let mut names = BTreeSet::new();
    let mut failures = Vec::new();
    for case in &cases {
        let name = case["name"].as_str().unwrap_or("(no name)");
        if !names.insert(name) {
            failures.push(format!("{name}: the name is not unique"));
        }
        // A panic must not hide the cases after it.
        match catch_unwind(|| replay(case)) {
            Ok(Ok(())) => {}
            Ok(Err(why)) => failures.push(format!("{name}: {why}")),
            Err(_) => failures.push(format!("{name}: panicked, see above")),
        }
    }
    assert!(
        failures.is_empty(),
        "{file}: {} of {} cases fail\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}

fn cases(file: &str) -> Vec<Value> {
    let path = format!("{}/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn error_value(error: ParseError) -> Value {
    json!({
        "code": error.code().number(),
        "offset": error.offset(),
        "rule": error.rule().name(),
    })
}

fn expect(expected: &Value, got: &Value) -> Result<(), String> {
    if expected == got {
        return Ok(());
    }
    Err(format!(
        "\n  expected {}\n  got      {}",
        shortened(expected),
        shortened(got)
    ))
}

/// A text that a terminal can hold.
fn shortened(text: &impl Display) -> String {
    const MOST: usize = 300;
    let text = text.to_string();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}… ({} octets)", &text[..end], text.len()),
        None => text,
    }
}
