//! Messages by way of a relay over a bad path.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use hii_protocol::relay::{Answer, Payload, Request};
use hii_tests::programs::{finish, output, read_until, signal};
use hii_tests::tun_path::{Builder, Direction, End, Fate, Passage, Pick, Plan};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{HII, HII_SERVER};

/// Messages sent.
const MESSAGES: usize = 20;

/// The text of the message in a datagram to the relay, or from it to a receiver.
fn text(payload: &[u8]) -> Option<&str> {
    let payload = match (Request::decode(payload), Answer::decode(payload)) {
        (Ok(Request::Send(message)), _) => message.payload(),
        (_, Ok(Answer::Forward(forward))) => forward.payload(),
        _ => return None,
    };
    match payload {
        Payload::Content(content) => Some(content.as_str()),
        Payload::Raw(_) => None,
    }
}

fn texts<'a>(passages: impl Iterator<Item = &'a Passage>) -> Vec<&'a str> {
    passages
        .filter_map(|passage| text(&passage.payload))
        .collect()
}

fn rows(lines: &str) -> Vec<Value> {
    lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("a row"))
        .collect()
}

#[test]
#[ignore = "needs network namespaces and a TUN device"]
fn listener_prints_what_the_path_delivers() {
    let ms = Duration::from_millis;
    let forward = Plan::default().delay(ms(10)).loss(Pick::Share(0.2));
    // The relay's answers to the sender carry no number, so that a duplicate would pass for the answer to the next message.
    let is_message = |payload: &[u8]| text(payload).is_some_and(|text| text.ends_with('3'));
    let back = Plan::default()
        .delay(ms(10))
        .jitter(ms(10))
        .loss(Pick::Share(0.2))
        .duplication(Pick::matching(is_message));
    let path = Builder::default()
        .plan(Direction::Forward, forward)
        .plan(Direction::Return, back)
        .start();
    let Some(path) = path else {
        return;
    };
    let client = path.at(End::Client);
    let bind = End::Server.v6().to_string();
    let server = path
        .at(End::Server)
        .serve(HII_SERVER, &["relay", "-b", &bind]);
    let relay = server.address().to_string();
    let mut listener = client.start(HII, &["listen", &relay, "--json", "-W", "30"]);
    let mut lines = output(listener.stdout.take().unwrap());
    let registered = read_until(&mut lines, |text| text.ends_with('\n'));
    let registered = &rows(&registered)[0];
    let address = registered["address"].as_str().expect("an address");

    let args = [
        "send", &relay, address, "--json", "-W", "500ms", "--retry", "20",
    ];
    let mut sender = client.start_with_input(HII, &args);
    let messages: Vec<_> = (0..MESSAGES)
        .map(|number| format!("message {number}"))
        .collect();
    let input = messages.join("\n");
    sender
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let ended = finish(sender);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let sent = rows(&ended.stdout);
    assert_eq!(sent.len(), MESSAGES);
    assert!(sent.iter().all(|row| row["result"] == "sent"), "{sent:?}");

    let record = path.finish();
    // Each message that is reported as sent reached the relay.
    let reached = texts(record.arrivals(Direction::Forward));
    assert!(
        messages.iter().all(|message| reached.contains(&&**message)),
        "{reached:?}"
    );
    // The listener prints each that is delivered to it, as often and in the same order.
    let delivered = texts(record.arrivals(Direction::Return));
    let mut printed = read_until(&mut lines, |text| text.lines().count() == delivered.len());
    signal(listener.id(), Signal::SIGINT);
    lines.read_to_string(&mut printed).unwrap();
    let printed = rows(&printed);
    let printed: Vec<_> = printed
        .iter()
        .map(|row| row["text"].as_str().unwrap())
        .collect();
    assert_eq!(printed, delivered);
    assert_eq!(finish(listener).code, Some(130));
    for direction in [Direction::Forward, Direction::Return] {
        assert!(record.count(direction, Fate::Lost) > 0);
    }
}
