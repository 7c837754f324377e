//! What answers at the other end of a connection? (`WIRE.md` section 4)

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use hii_protocol::ping::Run;
use hii_protocol::stream;
use hii_server::exit::{Exit, Failure};
use hii_transport::clock::Clock;
use hii_transport::options::SocketOptions;

use super::classic::ANSWER;
use super::frames::{Frames, write_frame};
use super::race::{self, NoWinner, Winner};
use crate::output;
use crate::ping::detect;
use crate::ping::events::{GLANCE, Interrupt};
use crate::ping::method::{Known, ServerKind};
use crate::ping::summary::Uncounted;

/// How often a server is asked, each time on a connection of its own: it may lose answers on purpose.
const QUESTIONS: u64 = 5;
/// How long each answer is waited for: longer than an original server delays one.
const PAUSE: Duration = Duration::from_secs(1);

/// Asks addresses what they are.
#[derive(Debug)]
pub struct Hello<'a> {
    addresses: &'a [SocketAddr],
    options: SocketOptions,
    interrupt: &'a Interrupt,
}

/// A server that answered, and the connection to measure it by.
#[derive(Debug)]
pub struct Greeted {
    /// The server.
    pub known: Known,
    /// The connection.
    pub stream: TcpStream,
    /// How long its handshake took.
    pub connect: Duration,
}

/// What a connection's first answer is.
#[derive(Debug, PartialEq, Eq)]
enum First {
    /// A frame.
    Frame(Vec<u8>),
    /// Octets without a frame.
    Plain(Vec<u8>),
    /// Nothing so far.
    Silence,
}

impl<'a> Hello<'a> {
    /// For these addresses, which race, by sockets with these options.
    #[must_use]
    pub fn new(
        addresses: &'a [SocketAddr],
        options: SocketOptions,
        interrupt: &'a Interrupt,
    ) -> Self {
        Self {
            addresses,
            options,
            interrupt,
        }
    }

    /// Connects and asks until there is an answer. An original server is connected to again, as it has been sent what
    /// none of its own clients sends.
    ///
    /// # Errors
    /// No address can be reached, or what is there does not answer as a ping server.
    pub fn greet(&self, run: Run) -> Result<(Greeted, Uncounted), Failure> {
        let mut winner = self.connect(self.addresses)?;
        let address = winner.address;
        for number in 1..=QUESTIONS {
            let question = detect::question(run, number);
            let first = self
                .ask(&winner.stream, &question)
                .map_err(|error| failed(address, &error))?;
            let questions = Uncounted {
                sent: number,
                unanswered: number - 1,
            };
            match first {
                First::Silence if self.interrupt.is_raised() => return Err(stopped()),
                First::Silence => {}
                First::Frame(answer) => {
                    let known = detect::classify(address, &question, &answer)?;
                    if known.kind == ServerKind::Original {
                        return Err(stranger(address, &answer));
                    }
                    return Ok((greeted(winner, known), questions));
                }
                First::Plain(text) if text == ANSWER => {
                    drop(winner);
                    let known = Known {
                        address,
                        kind: ServerKind::Original,
                        text,
                    };
                    return Ok((greeted(self.connect(&[address])?, known), questions));
                }
                First::Plain(text) => return Err(stranger(address, &text)),
            }
            winner = self.connect(&[address])?;
        }
        Err(Failure::new(
            Exit::Unreachable,
            format_args!("{address} takes connections, and answers nothing"),
            "it may be no ping server, or an original one that is busy with another client",
        ))
    }

    fn connect(&self, addresses: &[SocketAddr]) -> Result<Winner<TcpStream>, Failure> {
        let winner =
            race::connect(addresses, self.options, self.interrupt).map_err(
                |reason| match reason {
                    NoWinner::Failed(address, error) => failed(address, &error),
                    NoWinner::TimedOut => Failure::new(
                        Exit::Unreachable,
                        format_args!(
                            "no connection to {} within {} s",
                            list(addresses),
                            race::TIME_OUT.as_secs()
                        ),
                        "check the address and what filters the way to it, or give another port",
                    ),
                    NoWinner::Stopped => stopped(),
                },
            )?;
        // A probe that waits for the next one would be measured as a slow one.
        winner
            .stream
            .set_nodelay(true)
            .map_err(|error| failed(winner.address, &error))?;
        Ok(winner)
    }

    /// Sends a question, and nothing more before the first octet of the answer has told what it is.
    fn ask(&self, mut stream: &TcpStream, question: &[u8]) -> io::Result<First> {
        let mut buffer = vec![0; 1024];
        let len = write_frame(&mut buffer, |room| {
            let room = room.get_mut(..question.len()).unwrap_or_default();
            room.copy_from_slice(question);
            room.len()
        });
        stream.write_all(buffer.get(..len).unwrap_or_default())?;
        stream.set_read_timeout(Some(GLANCE))?;
        let clock = Clock::start();
        let mut answer = Answer::default();
        while clock.elapsed() < PAUSE && !self.interrupt.is_raised() {
            match stream.read(&mut buffer) {
                Ok(0) => return answer.at_the_end(),
                Ok(len) => {
                    if let Some(first) = answer.take(buffer.get(..len).unwrap_or_default()) {
                        return Ok(first);
                    }
                }
                Err(error) if is_pause(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(First::Silence)
    }
}

/// The octets of a first answer so far.
#[derive(Debug, Default)]
struct Answer {
    octets: Vec<u8>,
}

impl Answer {
    /// Takes octets; tells what the answer is as soon as that is clear.
    fn take(&mut self, octets: &[u8]) -> Option<First> {
        self.octets.extend_from_slice(octets);
        let first = *self.octets.first()?;
        if stream::is_framed(first) {
            let mut frames = Frames::default();
            frames.push(&self.octets);
            return match frames.next_frame() {
                Ok(frame) => frame.map(|frame| First::Frame(frame.to_vec())),
                Err(_) => Some(First::Plain(self.octets.clone())),
            };
        }
        let may_become_it = ANSWER.starts_with(&self.octets) && self.octets.len() < ANSWER.len();
        (!may_become_it).then(|| First::Plain(self.octets.clone()))
    }

    fn at_the_end(self) -> io::Result<First> {
        if self.octets.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(First::Plain(self.octets))
    }
}

fn greeted(winner: Winner<TcpStream>, known: Known) -> Greeted {
    Greeted {
        known,
        stream: winner.stream,
        connect: winner.took,
    }
}

/// Whether a read only had to wait.
pub(super) fn is_pause(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

fn list(addresses: &[SocketAddr]) -> String {
    let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

fn stopped() -> Failure {
    Failure::new(
        Exit::Interrupted,
        "interrupted before the first probe",
        "nothing was measured",
    )
}

fn stranger(address: SocketAddr, said: &[u8]) -> Failure {
    Failure::new(
        Exit::Protocol,
        format_args!(
            "{address} is no ping server: it says {}",
            output::said(said)
        ),
        "give the host and port of a ping server (hii-server ping)",
    )
}

fn failed(address: SocketAddr, error: &io::Error) -> Failure {
    let (what, advice) = match error.kind() {
        io::ErrorKind::ConnectionRefused => (
            format!("nothing listens at {address} (connection refused)"),
            "start a server there (hii-server ping), or give another port as tcp://host:port",
        ),
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionReset => (
            format!("{address} closed the connection without an answer"),
            "it may be no ping server, or have as many connections as it allows, of all or from here",
        ),
        _ => (
            format!("cannot reach {address}: {error}"),
            "check the address and this host's network",
        ),
    };
    Failure::new(Exit::Unreachable, what, advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_tells_what_it_is_however_it_is_cut() {
        for (whole, expected) in [
            (&b"Acknowledgement"[..], First::Plain(ANSWER.to_vec())),
            (b"\0\0\0\x03400", First::Frame(b"400".to_vec())),
            (b"SSH", First::Plain(b"S".to_vec())),
            (b"Ax", First::Plain(b"Ax".to_vec())),
        ] {
            let mut answer = Answer::default();
            let mut told = whole.chunks(1).filter_map(|octet| answer.take(octet));
            assert_eq!(told.next(), Some(expected));
        }
        assert!(Answer::default().at_the_end().is_err());
    }

    #[test]
    fn a_question_does_not_kill_an_original() {
        let question = detect::question(Run(u32::MAX), QUESTIONS);
        assert!(question.len() <= 127 && question.is_ascii());
    }
}
