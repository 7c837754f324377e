//! What am I talking to? (`WIRE.md` section 2.5)

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hii_protocol::Escaped;
use hii_protocol::ping::{Answer, Probe, ProbeSize, Request, Run, Seq};
use hii_server::exit::{Exit, Failure, note};
use hii_transport::clock::Clock;
use hii_transport::options::SocketOptions;
use hii_transport::udp;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use super::events::{GLANCE, Interrupt};
use super::method::{Known, ServerKind};

/// How often a server is asked, each time from a socket of its own.
const QUESTIONS: u64 = 5;
/// Longer than an original server delays an answer.
const PAUSE: Duration = Duration::from_millis(600);
/// How long the last question waits.
const LAST_PAUSE: Duration = Duration::from_secs(1);
/// Answers to others that are passed over at once; a flood of them is not to keep the user from stopping.
const MOST_STRAYS: usize = 64;

/// What the questions found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A server, and how many questions it left unanswered before it answered one.
    Known(Known, u64),
    /// No answer from this address to so many questions, and no refusal either.
    Silent(SocketAddr, u64),
}

/// Asks the addresses in turn, until one answers. One that refuses or cannot be reached is passed over.
///
/// # Errors
/// All refuse or cannot be reached, or what answers is no ping server.
pub fn detect(
    addresses: &[SocketAddr],
    options: &SocketOptions,
    run: Run,
    interrupt: &Interrupt,
) -> Result<Found, Failure> {
    let mut silent = None;
    let mut failure = None;
    for address in addresses {
        match ask(*address, options, run, interrupt) {
            Ok(Asked {
                answer: Some((question, answer)),
                unanswered,
            }) => {
                let known = classify(*address, &question, &answer)?;
                return Ok(Found::Known(known, unanswered));
            }
            Ok(Asked {
                answer: None,
                unanswered,
            }) => {
                silent = silent.or(Some(Found::Silent(*address, unanswered)));
            }
            Err(error) => failure = failure.or(Some(unreachable(*address, &error))),
        }
        if interrupt.is_raised() {
            break;
        }
    }
    match (silent, failure) {
        (Some(silent), _) => Ok(silent),
        (None, Some(failure)) => Err(failure),
        (None, None) => Err(Failure::new(
            Exit::Unreachable,
            "no address to ask",
            "give another target",
        )),
    }
}

/// Why an address cannot be measured.
#[must_use]
pub fn unreachable(address: SocketAddr, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        Failure::new(
            Exit::Unreachable,
            format_args!("nothing listens at {address} (refused by ICMP)"),
            "start a server there (hii-server ping), or give another port as host:port",
        )
    } else {
        let needs_zone = matches!(address, SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() && v6.scope_id() == 0);
        let advice = if needs_zone {
            "a link-local address needs its interface: give it as address%interface"
        } else {
            "check the address and this host's network"
        };
        Failure::new(
            Exit::Unreachable,
            format_args!("cannot reach {address}: {error}"),
            advice,
        )
    }
}

/// What came of up to five questions.
struct Asked {
    /// The first answer, and its question before it.
    answer: Option<(Vec<u8>, Vec<u8>)>,
    /// Questions that were not answered, or not yet.
    unanswered: u64,
}

fn ask(
    address: SocketAddr,
    options: &SocketOptions,
    run: Run,
    interrupt: &Interrupt,
) -> io::Result<Asked> {
    let clock = Clock::start();
    let mut poll = Poll::new()?;
    let mut ready = Events::with_capacity(16);
    let mut asked: Vec<(UdpSocket, Vec<u8>)> = Vec::new();
    for number in 1..=QUESTIONS {
        let question = question(run, number);
        let mut socket = UdpSocket::from_std(udp::connect_with(address, options)?);
        poll.registry()
            .register(&mut socket, Token(asked.len()), Interest::READABLE)?;
        socket.send(&question)?;
        asked.push((socket, question));
        if number == 2 {
            note(format_args!(
                "hii: no answer yet; asking {address} again what it is"
            ));
        }
        let end = clock.elapsed()
            + if number == QUESTIONS {
                LAST_PAUSE
            } else {
                PAUSE
            };
        while let Some(left) = end
            .checked_sub(clock.elapsed())
            .filter(|left| !left.is_zero())
        {
            if interrupt.is_raised() {
                return Ok(Asked {
                    answer: None,
                    unanswered: number,
                });
            }
            match poll.poll(&mut ready, Some(left.min(GLANCE))) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &ready {
                let Some((socket, question)) = asked.get(event.token().0) else {
                    continue;
                };
                if let Some(answer) = receive(socket, question)? {
                    return Ok(Asked {
                        answer: Some((question.clone(), answer)),
                        unanswered: number - 1,
                    });
                }
            }
        }
    }
    Ok(Asked {
        answer: None,
        unanswered: QUESTIONS,
    })
}

/// What the socket has that may answer the question, if anything.
fn receive(socket: &UdpSocket, question: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut buffer = vec![0; udp::BUFFER_LEN];
    for _ in 0..MOST_STRAYS {
        match socket.recv(&mut buffer) {
            Ok(len) => {
                let answer = buffer.get(..len).unwrap_or_default();
                if !is_another_s(question, answer) {
                    return Ok(Some(answer.to_vec()));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Whether it answers another probe, as one of whoever had the socket's port before.
fn is_another_s(question: &[u8], answer: &[u8]) -> bool {
    match Answer::decode(answer) {
        Ok(Answer::Probe(probe)) => !is_answer_to(question, probe.run(), probe.seq()),
        Ok(Answer::LimitedNotice(notice)) => !is_answer_to(question, notice.run(), notice.seq()),
        _ => false,
    }
}

/// An uncounted probe that asks what the target is; short enough to be a first frame on TCP.
#[must_use]
pub fn question(run: Run, number: u64) -> Vec<u8> {
    let size = ProbeSize::new(64).unwrap_or(ProbeSize::MAX);
    let seq = Seq::new(number).unwrap_or(Seq::MIN);
    Probe::new(run, seq, size)
        .map(|probe| Request::Probe(probe).to_vec())
        .unwrap_or_default()
}

/// What the answer to a question tells.
///
/// # Errors
/// It is not that of a ping server.
pub fn classify(address: SocketAddr, question: &[u8], answer: &[u8]) -> Result<Known, Failure> {
    let kind = match Answer::decode(answer) {
        Ok(Answer::Probe(probe)) if is_answer_to(question, probe.run(), probe.seq()) => {
            ServerKind::Hii
        }
        Ok(Answer::LimitedNotice(notice)) if is_answer_to(question, notice.run(), notice.seq()) => {
            ServerKind::Hii
        }
        Ok(Answer::Refused(code)) => {
            return Err(Failure::new(
                Exit::Protocol,
                format_args!(
                    "{address} answers {code} to a ping probe: it is a relay, or no ping server at all"
                ),
                "give the host and port of a ping server (hii-server ping)",
            ));
        }
        _ if answer == question => ServerKind::Echo,
        _ => ServerKind::Original,
    };
    tracing::debug!(%address, ?kind, answer = %Escaped(answer), "detected");
    Ok(Known {
        address,
        kind,
        text: answer.to_vec(),
    })
}

fn is_answer_to(question: &[u8], run: Run, seq: Seq) -> bool {
    matches!(Request::decode(question), Ok(Request::Probe(probe)) if probe.run() == run && probe.seq() == seq)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(answer: &[u8]) -> Result<ServerKind, Exit> {
        let address = "192.0.2.1:8080".parse().unwrap();
        match classify(address, &question(Run(1), 3), answer) {
            Ok(known) => Ok(known.kind),
            Err(failure) => Err(failure.exit()),
        }
    }

    #[test]
    fn the_answer_tells_the_server() {
        assert_eq!(
            kind(b"A 00000001 3 1 0000000000000001"),
            Ok(ServerKind::Hii)
        );
        // It is there, though it does not answer this one.
        assert_eq!(kind(b"L 00000001 3"), Ok(ServerKind::Hii));
        assert_eq!(kind(&question(Run(1), 3)), Ok(ServerKind::Echo));
        assert_eq!(kind(b"Packet Acknowledged"), Ok(ServerKind::Original));
        assert_eq!(kind(b"400"), Err(Exit::Protocol));
        // Not even a probe's answer, if only just.
        assert_eq!(kind(b"A 00000001 03"), Ok(ServerKind::Original));
    }

    #[test]
    fn the_answer_to_another_question_is_none_to_this_one() {
        let is_another_s = |answer: &[u8]| is_another_s(&question(Run(1), 3), answer);
        assert!(is_another_s(b"A 00000001 4"));
        assert!(is_another_s(b"A 00000002 3 1 0000000000000001"));
        assert!(is_another_s(b"L 00000001 4"));
        assert!(!is_another_s(b"L 00000001 3 9 9"));
        assert!(!is_another_s(b"A 00000001 3"));
        assert!(!is_another_s(b"Packet Acknowledged"));
    }
}
