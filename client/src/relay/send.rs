//! `hii send`: one message, or one for each line of input.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use hii_protocol::{Endpoint, MAX_DATAGRAM};
use hii_server::args::{Rate, rate};
use hii_server::exit::{Exit, FINE, Failure, note};
use hii_transport::clock::Clock;
use serde::Serialize;

use super::args::{RelayArgs, endpoint};
use super::conversation::{Conversation, Happening, Inbox, Mail, Next, Opened};
use super::interrupt;
use super::pace::Pace;
use super::told::{Event, Outcome, Ticket};
use super::words::{OutcomeRow, took, trouble};
use crate::lines::Lines;
use crate::output::{cannot_print, json_line};

/// One octet more than a message can have, so that one which is too long is seen to be.
const MOST: usize = MAX_DATAGRAM + 1;

/// The command line of `hii send`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    hii send relay.example 192.0.2.7/9000 'good morning'\n  \
    hii send relay.example '[2001:db8::7]/9000' '12:30; at the station'\n  \
    hii send tcp://relay.example 192.0.2.7/9000 hello    where UDP is blocked\n  \
    date | hii send relay.example 192.0.2.7/9000\n  \
    hii send relay.example 192.0.2.7/9000 --json < lines.txt\n\n\
    The receiver's address is what `hii listen` or `hii chat` shows there. A message that was passed on may still be \
    lost on its last way: nobody acknowledges it. Text that the classic form cannot carry (with a \":\", with blanks at \
    its ends, not UTF-8) goes in the raw form by itself, which needs a Hii relay and a Hii client on the other side.\n\n\
    Exit codes: 0 passed on, 1 not passed on, or nobody knows, 2 usage, 3 cannot reach the relay, 5 not a relay, \
    7 output failed, 130 interrupted.")]
pub struct Args {
    #[command(flatten)]
    relay: RelayArgs,

    /// Who gets it: ip/port or [ipv6]/port, as the other side shows it
    #[arg(value_name = "TO", value_parser = endpoint)]
    to: Endpoint,

    /// The message [default: each line of stdin is one]
    #[arg(value_name = "MESSAGE")]
    message: Option<OsString>,

    /// Send a message without an answer so many times more; it may then arrive more than once
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=100))]
    retry: u32,

    /// Lines of stdin that are sent a second, at most; 0 is no limit. A relay takes 1,000 a second from a peer unless
    /// told otherwise, and passes over what is more
    #[arg(long, value_name = "N/s", value_parser = rate, default_value = "900/s", conflicts_with = "message")]
    rate: Rate,

    /// Print nothing where all goes well
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,

    /// Print a JSON object for each message, one a line
    #[arg(long)]
    json: bool,
}

/// A message's outcome in JSON.
#[derive(Serialize)]
struct Row {
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    to: String,
    #[serde(flatten)]
    outcome: OutcomeRow,
}

/// What is being sent, and what came of it so far.
struct Sending<'a> {
    args: &'a Args,
    /// Asks for the next line of input.
    wanted: Option<SyncSender<()>>,
    /// Where the message stands in the input.
    line: Option<u64>,
    waits_for: Option<Ticket>,
    has_trouble: bool,
}

/// Runs `hii send`.
///
/// # Errors
/// The relay cannot be reached, is none, or the output cannot be written.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mail = Mail::new();
    interrupt::catch(mail.inbox(), || {})?;
    let mut conversation = match Conversation::open(&args.relay, args.retry, mail) {
        Ok(Opened::Open(conversation, ..)) => conversation,
        Ok(Opened::Interrupted) => return Ok(Exit::Interrupted.into()),
        Err(failure) => return Err(args.without_relay(failure, None, false)),
    };
    let mut sending = Sending {
        args,
        wanted: None,
        line: None,
        waits_for: None,
        has_trouble: false,
    };
    if let Some(message) = &args.message {
        let text = message.as_encoded_bytes();
        sending.waits_for = Some(conversation.session().send(args.to, text));
    } else {
        let pace = Pace::new(args.rate);
        sending.wanted = Some(read_lines(conversation.inbox(), pace)?);
        sending.ask();
    }
    sending.go_on(&mut conversation)
}

impl Args {
    /// What the relay's absence ends the program with. Machines are told as of any other message.
    fn without_relay(&self, failure: Failure, line: Option<u64>, is_doubtful: bool) -> Failure {
        if !self.json {
            return failure;
        }
        let row = OutcomeRow::without_relay(failure.what(), is_doubtful);
        self.print(line, row).err().unwrap_or(failure)
    }

    fn print(&self, line: Option<u64>, outcome: OutcomeRow) -> Result<(), Failure> {
        let to = self.to.to_string();
        let row = json_line(&Row { line, to, outcome });
        row.and_then(|row| writeln!(io::stdout(), "{row}"))
            .map_err(cannot_print)
    }
}

impl Sending<'_> {
    fn go_on(mut self, conversation: &mut Conversation) -> Result<ExitCode, Failure> {
        loop {
            let next = conversation.wait().map_err(|failure| {
                let is_doubtful = self.waits_for.is_some();
                self.args.without_relay(failure, self.line, is_doubtful)
            });
            match next? {
                Next::Line(line) => {
                    self.line = Some(self.line.unwrap_or_default() + 1);
                    self.waits_for = Some(conversation.session().send(self.args.to, &line));
                }
                Next::Told(Event::Settled(ticket, outcome)) if self.waits_for == Some(ticket) => {
                    self.report(&outcome)?;
                    if outcome == Outcome::NoRelay {
                        return Ok(Exit::Unreachable.into());
                    }
                    if self.wanted.is_none() {
                        return Ok(self.exit());
                    }
                    self.waits_for = None;
                    self.ask();
                }
                Next::InputEnded => {
                    if self.line.is_none() && !self.args.quiet {
                        note("hii: nothing was sent: stdin was empty");
                    }
                    return Ok(self.exit());
                }
                Next::InputFailed(error) => {
                    return Err(Failure::new(
                        Exit::Usage,
                        format_args!("cannot read stdin: {error}"),
                        "give a message, or input that can be read",
                    ));
                }
                Next::Interrupted => return Ok(Exit::Interrupted.into()),
                Next::Told(_) | Next::OutputClosed => {}
            }
        }
    }

    /// Asks for the next line.
    fn ask(&self) {
        if let Some(wanted) = &self.wanted {
            // One that has read all has said so.
            let _ = wanted.send(());
        }
    }

    fn report(&mut self, outcome: &Outcome) -> Result<(), Failure> {
        let to = self.args.to;
        let trouble = trouble(outcome, to);
        self.has_trouble |= trouble.is_some();
        if self.args.json {
            return self.args.print(self.line, OutcomeRow::new(outcome, to));
        }
        let line = self
            .line
            .map_or(String::new(), |line| format!("line {line}: "));
        match (trouble, outcome) {
            (Some(trouble), _) => {
                let verdict = if trouble.is_doubtful {
                    ""
                } else {
                    "not sent: "
                };
                note(format_args!(
                    "hii: {line}{verdict}{}\n  {}",
                    trouble.what, trouble.advice
                ));
            }
            (None, Outcome::Sent(_, time)) if !self.args.quiet => {
                writeln!(io::stdout(), "{line}passed on to {to} in {}", took(*time))
                    .map_err(cannot_print)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn exit(&self) -> ExitCode {
        if self.has_trouble {
            Exit::NoAnswer.into()
        } else {
            FINE
        }
    }
}

/// Reads a line of stdin each time that one is wanted, in its slot, on a thread of its own: a registration is kept alive
/// while nothing is typed.
fn read_lines(inbox: Inbox, mut pace: Pace) -> Result<SyncSender<()>, Failure> {
    let (wanted, wanting) = sync_channel(1);
    let read = move || {
        let mut lines = Lines::new(io::stdin().lock(), MOST);
        let clock = Clock::start();
        while wanting.recv().is_ok() {
            let happening = match lines.next() {
                Some(Ok(line)) => {
                    thread::sleep(pace.wait(clock.elapsed()));
                    Happening::Line(line)
                }
                Some(Err(error)) => Happening::InputFailed(error),
                None => Happening::InputEnded,
            };
            if inbox.send(happening).is_err() {
                return;
            }
        }
    };
    let thread = thread::Builder::new().name("input".into()).spawn(read);
    thread.map_err(|error| {
        Failure::new(
            Exit::Unreachable,
            format_args!("cannot read input: {error}"),
            "this host is short of memory or threads: end other programs",
        )
    })?;
    Ok(wanted)
}
