//! What frames cost to read and to write: `cargo bench -p hii-protocol`.
//!
//! Times differ from machine to machine; the gate that counts instructions is `.ci/instructions`.

use std::hint::black_box;

use divan::Bencher;
use hii_protocol::ping::{self, Probe, ProbeSize, Report, Run, Seq};
use hii_protocol::relay::{self, Forward};

mod by_hand;

#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

/// A classic message with 64 octets of content.
const MESSAGE: &[u8] =
    b"to:192.0.2.7/9000;content:the quick brown fox jumps over the lazy dog and then takes rest!";

fn main() {
    check_by_hand();
    divan::main();
}

/// Both parsers have to do the same job, or comparing them says nothing.
fn check_by_hand() {
    for frame in [
        MESSAGE,
        b" TO : 192.0.2.7\t/ 09000 ; Content :  a;b \r\n",
        b"to:0.0.0.0/1;content:",
        b"hello",
        b"to:1.2.3.4/5;content:\xff",
        b"to:1.2.3.4/5;content:12:30",
        b"a/b:c;content:x",
        b"tx:1.2.3.4/5;content:x",
        b"to:1.2.3.4/+5;content:x",
        b"to:1.2.3.4/5;contents:x",
        b"to:1.2.3.04/5;content:x",
        b"to:1.2.3.256/5;content:x",
        b"to:1.2.3.4/65536;content:x",
    ] {
        let ours = relay::Request::decode(frame).map_err(|error| error.code().number());
        let ours = ours.map(|request| match request {
            relay::Request::Send(message) => match message.payload() {
                relay::Payload::Content(content) => {
                    (message.to().ip(), message.to().port(), content.as_str())
                }
                relay::Payload::Raw(_) => panic!("{request} is no classic message"),
            },
            other => panic!("{other} is no classic message"),
        });
        let theirs = by_hand::decode(frame).map(|(ip, port, content)| (ip.into(), port, content));
        assert_eq!(ours, theirs, "{}", String::from_utf8_lossy(frame));
    }
}

#[divan::bench]
fn relay_message(bencher: Bencher) {
    let message = MESSAGE.to_vec();
    bencher.bench_local(|| black_box(relay::Request::decode(black_box(&message))).is_ok());
}

#[divan::bench]
fn relay_message_by_hand(bencher: Bencher) {
    let message = MESSAGE.to_vec();
    bencher.bench_local(|| black_box(by_hand::decode(black_box(&message))).is_ok());
}

/// The last row of the table decides, so every row is tried.
#[divan::bench]
fn relay_malformed(bencher: Bencher) {
    let frame = b"to:192.0.2.7/65536;content:good morning".to_vec();
    bencher.bench_local(|| black_box(relay::Request::decode(black_box(&frame))).is_err());
}

#[divan::bench]
fn relay_forward_encode(bencher: Bencher) {
    let Ok(relay::Request::Send(message)) = relay::Request::decode(MESSAGE) else {
        panic!("not a message");
    };
    let forward =
        relay::Answer::Forward(Forward::new(message.to(), message.payload()).expect("it is short"));
    let mut buffer = [0; 256];
    bencher.bench_local(|| black_box(&forward).encode_into(black_box(&mut buffer)));
}

fn probe() -> Probe {
    let size = ProbeSize::new(128).expect("a size");
    Probe::new(Run(0x00c0_ffee), Seq::MIN, size).expect("128 octets hold it")
}

#[divan::bench]
fn ping_probe(bencher: Bencher) {
    let octets = ping::Request::Probe(probe()).to_vec();
    bencher.bench_local(|| black_box(ping::Request::decode(black_box(&octets))).is_ok());
}

fn probe_answer() -> ping::Answer {
    ping::Answer::Probe(probe().answer(&Report {
        count: Seq::MIN,
        window: 0x5f,
        held: 1200,
        received: 1_789_000_000_000_000_000,
        limited: 0,
    }))
}

#[divan::bench]
fn ping_probe_answer(bencher: Bencher) {
    let octets = probe_answer().to_vec();
    bencher.bench_local(|| black_box(ping::Answer::decode(black_box(&octets))).is_ok());
}

#[divan::bench]
fn ping_probe_encode(bencher: Bencher) {
    let probe = ping::Request::Probe(probe());
    let mut buffer = [0; 128];
    bencher.bench_local(|| black_box(&probe).encode_into(black_box(&mut buffer)));
}

#[divan::bench]
fn ping_probe_answer_encode(bencher: Bencher) {
    let answer = probe_answer();
    let mut buffer = [0; 128];
    bencher.bench_local(|| black_box(&answer).encode_into(black_box(&mut buffer)));
}
