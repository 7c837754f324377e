//! `hii chat`: the original client's menu, made pleasant.

use std::io::{self, Write as _};
use std::process::ExitCode;

use hii_protocol::Endpoint;
use hii_server::exit::{Exit, FINE, Failure};
use hii_transport::terminal::Modes;

use super::args::{RelayArgs, endpoint};
use super::conversation::{Conversation, Mail, Next, Opened};
use super::interrupt;
use super::moment::Zone;
use crate::output::cannot_print;

pub mod command;
mod input;
mod screen;
pub mod talk;

use input::{Input, Request};
use screen::Screen;
use talk::{Act, Talk};

/// The command line of `hii chat`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    hii chat relay.example                     then type `help`\n  \
    hii chat relay.example 192.0.2.7/9000      what you type goes there\n  \
    hii chat tcp://relay.example               where UDP is blocked\n  \
    echo 'send 192.0.2.7/9000 hello' | hii chat relay.example\n\n\
    Typed in a chat (the numbers are those of the original client's menu):\n  \
    hii (1)               greet the relay, and show your own address\n  \
    send TO TEXT (2)      send a message\n  \
    receive (3)           show the last messages again; they also show as they come\n  \
    exit (4)              leave; so does Ctrl-D\n  \
    exit server (5)       ask the relay to stop\n  \
    to TO                 every line goes there; with a / before them, lines are still commands\n\n\
    Exit codes: 0 left, 1 something that was not typed on a terminal failed, 2 usage, 3 cannot reach the relay, \
    or its connection has ended, 5 not a relay, 7 output failed, 130 interrupted.")]
pub struct Args {
    #[command(flatten)]
    relay: RelayArgs,

    /// Who gets what is typed, as ip/port or [ipv6]/port [default: nobody, until you say so]
    #[arg(value_name = "TO", value_parser = endpoint)]
    to: Option<Endpoint>,
}

/// A chat that is going on.
struct Chat {
    conversation: Box<Conversation>,
    talk: Talk,
    screen: Screen,
    input: Input,
    /// A line has been asked for and has not come.
    is_asked: bool,
    /// What is said when the terminal is as it was.
    last_word: Option<&'static str>,
}

/// Runs `hii chat`.
///
/// # Errors
/// The relay cannot be reached, is none, or the output cannot be written.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    let modes = Modes::save();
    let mail = Mail::new();
    let at_once = modes.clone();
    interrupt::catch(mail.inbox(), move || at_once.restore())?;
    let (conversation, own, kind) = match Conversation::open(&args.relay, 0, mail)? {
        Opened::Open(conversation, own, kind) => (conversation, own, kind),
        Opened::Interrupted => return Ok(Exit::Interrupted.into()),
    };
    let relay = conversation.relay().to_string();
    let (input, screen) = Input::open(conversation.inbox())?;
    let mut chat = Chat {
        conversation,
        talk: Talk::new(relay, Zone::of_the_system(), args.to),
        screen,
        input,
        is_asked: false,
        last_word: None,
    };
    let result = chat
        .show(chat.talk.welcome(own, kind))
        .and_then(|()| chat.go_on());
    // The editor may be waiting for a key.
    chat.screen.finish();
    modes.restore();
    if let Some(word) = chat.last_word {
        writeln!(io::stdout(), "{word}").map_err(cannot_print)?;
    }
    result
}

impl Chat {
    fn go_on(&mut self) -> Result<ExitCode, Failure> {
        loop {
            self.ask();
            let next = match self.conversation.wait() {
                // It was asked to.
                Err(_) if self.talk.stops_relay() => {
                    self.last_word = Some("the relay has stopped");
                    return Ok(FINE);
                }
                next => next?,
            };
            match next {
                Next::Told(event) => {
                    let wall = self.conversation.wall();
                    let lines = self.talk.happened(&event, wall);
                    self.show(lines)?;
                }
                Next::Line(line) => {
                    self.is_asked = false;
                    if self.obey(&String::from_utf8_lossy(&line))? {
                        return Ok(self.exit());
                    }
                }
                Next::InputEnded => return Ok(self.exit()),
                Next::InputFailed(error) => {
                    return Err(Failure::new(
                        Exit::Usage,
                        format_args!("cannot read what is typed: {error}"),
                        "give input that can be read",
                    ));
                }
                Next::OutputClosed => return Err(cannot_print(io::ErrorKind::BrokenPipe.into())),
                Next::Interrupted => return Ok(Exit::Interrupted.into()),
            }
        }
    }

    /// Asks for the next line. What is not typed waits for what came of the line before.
    fn ask(&mut self) {
        if self.is_asked || !self.input.is_terminal && self.talk.is_waiting() {
            return;
        }
        self.is_asked = true;
        self.input.ask(Request {
            prompt: self.talk.prompt(),
            addresses: self.talk.addresses().to_vec(),
        });
    }

    /// Does what a line asks for; true when that is to leave.
    fn obey(&mut self, line: &str) -> Result<bool, Failure> {
        for act in self.talk.typed(line) {
            match act {
                Act::Show(line) => self.show(vec![line])?,
                Act::Send(to, text) => {
                    let ticket = self.conversation.session().send(to, text.as_bytes());
                    self.talk.sent(ticket, to, text);
                }
                Act::Greet => self.conversation.session().greet(),
                Act::StopRelay => self.conversation.session().stop_relay(),
                Act::Leave => return Ok(true),
            }
        }
        Ok(false)
    }

    fn show(&self, lines: Vec<String>) -> Result<(), Failure> {
        let mut lines = lines.into_iter();
        lines.try_for_each(|line| self.screen.show(line).map_err(cannot_print))
    }

    fn exit(&self) -> ExitCode {
        if self.talk.has_trouble() && !self.input.is_terminal {
            Exit::NoAnswer.into()
        } else {
            FINE
        }
    }
}
