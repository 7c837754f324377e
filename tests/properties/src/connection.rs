//! A TCP connection of the ping service, without a socket: it answers each frame in order, however the stream is cut.

use std::net::SocketAddr;
use std::time::Duration;

use hii_protocol::ping::{Answer, Request};
use hii_protocol::stream::{self, HEADER_LEN, Step};
use hii_protocol::{Code, Limits, MAX_DATAGRAM};
use hii_server::allow_exit::AllowExit;
use hii_server::ping::{self, Config, Connection, Impairments, PingService, Tally};
use hii_server::policy::local_addrs::LocalAddrs;
use hii_server::policy::origin::Origin;
use hii_server::streams::{Conversation as _, End};
use hii_transport::clock::Now;

use crate::origin::origin;

/// What a ping server takes (`WIRE.md` section 4).
const LIMITS: Limits = Limits {
    datagram: MAX_DATAGRAM,
    stream_frame: 65_507,
};

/// A frame that is not whole yet, what is read with its end, and the answers that are written at once, the last of them
/// as long as can be.
const MOST_HELD: usize = 2 * (HEADER_LEN + MAX_DATAGRAM) + 2 * 16 * 1024;

/// Answers that one connection may have waiting.
const MOST_WAITING: usize = 1024;

/// What a stream is repeated to at most: more frames than may wait for their answers.
const MOST_OCTETS: usize = 8 * 1024;

/// Pieces of given lengths, at most. A stream of 8 KiB with 120 KB of answers that moves octet by octet would take a hundred
/// times as long as all others, and test nothing that its beginning does not.
const MAX_PIECES: usize = 512;

const IDLE: Duration = Duration::from_secs(60);

/// A conversation: its first octet says how (bit 0: with loss and delay on purpose; the others, when all are set: with the
/// stream repeated), its second how many lengths of pieces follow, which are used in turn for what is read and what is
/// written, `MAX_PIECES` times. The rest is the stream.
pub fn ping_connection(octets: &[u8]) {
    let [how, count, rest @ ..] = octets else {
        return;
    };
    let Some((lengths, stream)) = rest.split_at_checked(usize::from(*count)) else {
        return;
    };
    let times = if *how >= 0xfe {
        MOST_OCTETS / stream.len().max(1)
    } else {
        1
    };
    let stream = stream.repeat(times.max(1));
    if how & 1 == 1 {
        answers_at_most_what_was_asked(&stream, lengths);
    } else if stream.first().copied().is_some_and(stream::is_framed) {
        answers_each_frame(&stream, lengths);
    } else {
        acknowledges_each_read(&stream, lengths);
    }
}

/// Each frame has its answer, in order, however the stream is cut.
fn answers_each_frame(stream: &[u8], lengths: &[u8]) {
    let whole = converse(Impairments::NONE, stream, &[]);
    let cut = converse(Impairments::NONE, stream, lengths);
    assert!(
        cut.sent == whole.sent,
        "{} and {} octets",
        cut.sent.len(),
        whole.sent.len()
    );
    assert_eq!(cut.tally, whole.tally);
    let asked = requests(stream);
    let told = payloads(&cut.sent);
    assert_eq!(told.len(), asked.len());
    for (request, answer) in asked.iter().zip(told) {
        assert_answers(*request, answer);
    }
    assert_eq!(cut.tally.answered, asked.len() as u64);
}

fn assert_answers(request: Option<&[u8]>, answer: &[u8]) {
    let request = request.map(Request::decode);
    let answer = Answer::decode(answer).expect("a server sends answers");
    match (request, answer) {
        (None, Answer::Refused(code)) => assert_eq!(code, Code::NotARequest),
        (Some(Err(error)), Answer::Refused(code)) => assert_eq!(code, error.code()),
        (Some(Ok(Request::Calibrate(_))), Answer::Calibrated)
        | (Some(Ok(Request::Exit)), Answer::Stopping)
        | (Some(Ok(Request::Message(_))), Answer::PacketAcknowledged) => {}
        (Some(Ok(Request::Probe(probe))), Answer::Probe(answer)) => {
            assert_eq!((answer.run(), answer.seq()), (probe.run(), probe.seq()));
            assert!(answer.window().is_none_or(|window| window & 1 == 1));
        }
        (request, answer) => panic!("{request:?} answered {answer:?}"),
    }
}

/// A connection without frames has an answer for each read, until one is `exit`.
fn acknowledges_each_read(stream: &[u8], lengths: &[u8]) {
    let Conversed { reads, sent, tally } = converse(Impairments::NONE, stream, lengths);
    let messages = reads.iter().take_while(|read| **read != b"exit");
    assert_eq!(sent, b"Acknowledgement".repeat(messages.count()));
    assert_eq!(tally.tcp.classic_connections, u64::from(!reads.is_empty()));
}

/// With loss and delay there are fewer answers, each of them whole.
fn answers_at_most_what_was_asked(stream: &[u8], lengths: &[u8]) {
    let conversed = converse(Impairments::ORIGINAL, stream, lengths);
    if stream.first().copied().is_some_and(stream::is_framed) {
        let told = payloads(&conversed.sent);
        assert!(told.iter().all(|answer| Answer::decode(answer).is_ok()));
        assert!(told.len() <= requests(stream).len());
    } else {
        // Those are never lost; only an `exit` does not wait for them.
        let messages = conversed.tally.received - conversed.tally.abandoned;
        let expected = b"Acknowledgement".len() * usize::try_from(messages).expect("few");
        assert_eq!(conversed.sent.len(), expected);
    }
}

/// What a client sent and received.
struct Conversed<'a> {
    /// What the server read, piece by piece.
    reads: Vec<&'a [u8]>,
    sent: Vec<u8>,
    tally: Tally,
}

/// Runs a conversation to its end. The lengths give in turn how much the network has for the server and how much it takes;
/// without any, both are unlimited. Time passes only when there is nothing else to do.
fn converse<'a>(impairments: Impairments, stream: &'a [u8], lengths: &[u8]) -> Conversed<'a> {
    let config = Config {
        impairments,
        seed: 1,
        allow_exit: AllowExit::Any,
        limits: ping::Limits::NONE,
        total: ping::SharedTotal::NONE,
    };
    let mut service = PingService::new(&config, LocalAddrs::default());
    let mut now = Now {
        monotonic: Duration::ZERO,
        wall: 1,
    };
    let mut bystander = Bystander::new(&mut service, now);
    let mut connection = Connection::new(from(1), IDLE, now.monotonic);
    let lengths = lengths.iter().map(|len| usize::from(*len).max(1));
    let mut lengths = lengths.cycle().take(MAX_PIECES);
    let mut next = || lengths.next().unwrap_or(usize::MAX);
    let (mut rest, mut has_ended) = (stream, false);
    let (mut reads, mut sent) = (Vec::new(), Vec::new());
    while connection.end(now.monotonic).is_none() {
        let mut did_something = false;
        if let Some(most) = connection.wants()
            && !has_ended
        {
            let (read, after) = rest.split_at(next().min(most).min(rest.len()));
            connection.receive(read, &mut service, now);
            if read.is_empty() {
                has_ended = true;
            } else {
                reads.push(read);
            }
            rest = after;
            did_something = true;
        }
        let octets = connection.to_send(now.monotonic);
        if !octets.is_empty() {
            let taken = next().min(octets.len());
            sent.extend_from_slice(&octets[..taken]);
            connection.sent(taken, &mut service, now);
            did_something = true;
        }
        assert!(connection.held() <= MOST_HELD, "{}", connection.held());
        assert!(connection.waiting() <= MOST_WAITING);
        if !did_something {
            let due = connection.next_due().expect("it waits for something");
            assert!(due > now.monotonic, "what is due is sent");
            now.monotonic = due;
        }
    }
    assert_eq!(connection.end(now.monotonic), Some(End::Done));
    connection.close(Some(End::Done), &mut service);
    bystander.is_served(&mut service, now);
    let tally = service.tally();
    let Tally {
        answered,
        dropped,
        abandoned,
        ..
    } = tally;
    assert_eq!(tally.received, answered + dropped + abandoned);
    // The bystander's own.
    let tally = Tally {
        received: tally.received - Bystander::MESSAGES,
        answered: answered - Bystander::MESSAGES,
        ..tally
    };
    Conversed { reads, sent, tally }
}

fn from(port: u16) -> Origin {
    origin(SocketAddr::from(([192, 0, 2, 1], port)))
}

/// Another connection to the same service, which must not be affected by the first.
struct Bystander(Connection);

impl Bystander {
    /// How often it is served.
    const MESSAGES: u64 = 2;

    fn new(service: &mut PingService, now: Now) -> Self {
        let mut bystander = Self(Connection::new(from(2), IDLE, now.monotonic));
        bystander.is_served(service, now);
        bystander
    }

    fn is_served(&mut self, service: &mut PingService, now: Now) {
        let Self(connection) = self;
        // Neither lost nor delayed on purpose.
        connection.receive(b"\0\0\0\x03C 5", service, now);
        let answer = connection.to_send(now.monotonic).to_vec();
        assert_eq!(answer, b"\0\0\0\x21Buffer Size Calibrated at Server.");
        connection.sent(answer.len(), service, now);
        assert_eq!(connection.end(now.monotonic), None);
    }
}

/// The payloads of a stream's frames, up to the last that a server looks at; none is a malformed one.
fn requests(mut stream: &[u8]) -> Vec<Option<&[u8]>> {
    let mut all = Vec::new();
    loop {
        match stream::step(stream, &LIMITS) {
            Step::Wait(_) => return all,
            Step::Skip(octets) => {
                stream = &stream[HEADER_LEN..];
                all.push(None);
                if octets > 0 {
                    return all;
                }
            }
            Step::Frame(len) => {
                let (payload, rest) = stream[HEADER_LEN..].split_at(len);
                stream = rest;
                all.push(Some(payload));
                if payload == b"exit" {
                    return all;
                }
            }
        }
    }
}

/// The payloads of what a server sent, all of them whole.
fn payloads(mut stream: &[u8]) -> Vec<&[u8]> {
    let mut all = Vec::new();
    while let Step::Frame(len) = stream::step(stream, &LIMITS) {
        let (payload, rest) = stream[HEADER_LEN..].split_at(len);
        all.push(payload);
        stream = rest;
    }
    assert!(stream.is_empty(), "half a frame was sent");
    all
}
