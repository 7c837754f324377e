//! `hii listen`: shows the messages that come.

use std::io::{self, Write as _};
use std::num::NonZeroU64;
use std::process::ExitCode;
use std::thread;

use hii_protocol::relay::{Payload, PayloadBuf};
use hii_protocol::{Endpoint, Escaped};
use hii_server::exit::{Exit, FINE, Failure, note};
use hii_transport::output;
use serde::Serialize;

use super::args::RelayArgs;
use super::conversation::{Conversation, Happening, Inbox, Mail, Next, Opened};
use super::interrupt;
use super::moment::Zone;
use super::told::{Event, Relay};
use super::words::{HERE_ONLY, is_of_this_host};
use crate::output::{cannot_print, json_line};

/// The command line of `hii listen`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    hii listen relay.example              own address first, then messages, until Ctrl-C\n  \
    hii listen relay.example -n 1         until one has come\n  \
    hii listen tcp://relay.example        where UDP is blocked\n  \
    hii listen relay.example --json       an object a line\n\n\
    Others send to the address that is shown. Who a message is said to be from is no proof of who wrote it.\n\n\
    Exit codes: 0 as many came as were wanted, 2 usage, 3 cannot reach the relay, or its connection has ended, \
    5 not a relay, 7 output failed, 130 interrupted.")]
pub struct Args {
    #[command(flatten)]
    relay: RelayArgs,

    /// End when so many messages have come [default: no end]
    #[arg(short = 'n', long, value_name = "N", value_parser = count)]
    count: Option<NonZeroU64>,

    /// Print a JSON object for each thing that happens, one a line
    #[arg(long)]
    json: bool,
}

/// What happens, in JSON.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Row<'a> {
    Registered {
        address: String,
        relay: Relay,
    },
    Silent,
    Rejected,
    NoRelay {
        reason: &'a str,
    },
    Message {
        time_ns: u64,
        from: String,
        #[serde(flatten)]
        body: Body<'a>,
    },
}

/// A message's payload in JSON: as text where it is some.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Body<'a> {
    form: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
}

struct Listener<'a> {
    args: &'a Args,
    relay: String,
    zone: Zone,
}

/// Runs `hii listen`.
///
/// # Errors
/// The relay cannot be reached, is none, or the output cannot be written.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mail = Mail::new();
    interrupt::catch(mail.inbox(), || {})?;
    let (mut conversation, address, kind) = match Conversation::open(&args.relay, 0, mail) {
        Ok(Opened::Open(conversation, address, kind)) => (conversation, address, kind),
        Ok(Opened::Interrupted) => return Ok(Exit::Interrupted.into()),
        Err(failure) => return Err(args.without_relay(failure)),
    };
    let listener = Listener {
        args,
        relay: conversation.relay().to_string(),
        zone: Zone::of_the_system(),
    };
    listener.registered(address, kind)?;
    note(format_args!(
        "hii: others send here with: hii send {} '{address}' TEXT",
        args.relay.relay
    ));
    if is_of_this_host(address) {
        note(format_args!("  {HERE_ONLY}"));
    }
    watch_output(conversation.inbox())?;
    let mut left = args.count.map(NonZeroU64::get);
    while left != Some(0) {
        let next = conversation.wait();
        match next.map_err(|failure| args.without_relay(failure))? {
            Next::Told(Event::Message(from, payload)) => {
                listener.message(conversation.wall(), from, &payload)?;
                left = left.map(|left| left - 1);
            }
            Next::Told(Event::Registered(address, kind)) => listener.registered(address, kind)?,
            Next::Told(Event::Silent) => listener.lost(&Row::Silent, "does not answer")?,
            Next::Told(Event::Rejected) => {
                listener.lost(&Row::Rejected, "refuses the tokens that it gives")?;
            }
            Next::Told(Event::Foreign(said, error)) => {
                let said = said.get(..80).unwrap_or(&said);
                tracing::debug!(%error, "no relay's frame: {}", Escaped(said));
            }
            Next::OutputClosed => return Err(cannot_print(io::ErrorKind::BrokenPipe.into())),
            Next::Interrupted => return Ok(Exit::Interrupted.into()),
            _ => {}
        }
    }
    Ok(FINE)
}

impl Args {
    /// What the relay's absence ends the program with. Machines are told as of anything else.
    fn without_relay(&self, failure: Failure) -> Failure {
        let reason = failure.what();
        let printed = if self.json {
            print(&Row::NoRelay { reason })
        } else {
            Ok(())
        };
        printed.err().unwrap_or(failure)
    }
}

/// Tells when nobody reads the output any more, which would else show when a message comes.
fn watch_output(inbox: Inbox) -> Result<(), Failure> {
    let watch = move || {
        if output::wait_until_closed() {
            // Whoever has ended need not know.
            let _ = inbox.send(Happening::OutputClosed);
        }
    };
    let thread = thread::Builder::new().name("output".into()).spawn(watch);
    thread.map(drop).map_err(|error| {
        Failure::new(
            Exit::Unreachable,
            format_args!("cannot watch the output: {error}"),
            "this host is short of memory or threads: end other programs",
        )
    })
}

fn print(row: &Row<'_>) -> Result<(), Failure> {
    let line = json_line(row);
    line.and_then(|line| writeln!(io::stdout(), "{line}"))
        .map_err(cannot_print)
}

fn count(text: &str) -> Result<NonZeroU64, String> {
    text.parse()
        .map_err(|_| "give 1 or more, or leave it out for no end".into())
}

impl Listener<'_> {
    fn registered(&self, address: Endpoint, relay: Relay) -> Result<(), Failure> {
        let kind = match relay {
            Relay::Hii => "Hii relay",
            Relay::Original => "original relay",
        };
        let row = Row::Registered {
            address: address.to_string(),
            relay,
        };
        self.print(&row, || {
            format!("listening at {address} ({kind} {})", self.relay)
        })
    }

    fn message(&self, wall: u64, from: Endpoint, payload: &PayloadBuf) -> Result<(), Failure> {
        let payload = payload.as_payload();
        let row = Row::Message {
            time_ns: wall,
            from: from.to_string(),
            body: Body::from(payload),
        };
        self.print(&row, || {
            let time = self.zone.day_and_time(wall);
            format!("{time} {from}: {}", Escaped(octets(payload)))
        })
    }

    fn lost(&self, row: &Row<'_>, why: &str) -> Result<(), Failure> {
        if self.args.json {
            return self.print(row, String::new);
        }
        note(format_args!(
            "hii: the relay at {} {why}; it is asked again",
            self.relay
        ));
        Ok(())
    }

    /// Prints a row, or the same for people.
    fn print(&self, row: &Row<'_>, text: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.args.json {
            return print(row);
        }
        writeln!(io::stdout(), "{}", text()).map_err(cannot_print)
    }
}

impl<'a> From<Payload<'a>> for Body<'a> {
    fn from(payload: Payload<'a>) -> Self {
        let octets = octets(payload);
        let text = std::str::from_utf8(octets).ok();
        Self {
            form: match payload {
                Payload::Content(_) => "content",
                Payload::Raw(_) => "raw",
            },
            text,
            hex: text.is_none().then(|| {
                let digits = octets.iter().map(|octet| format!("{octet:02x}"));
                digits.collect()
            }),
        }
    }
}

/// What a message carries.
pub(super) fn octets(payload: Payload<'_>) -> &[u8] {
    match payload {
        Payload::Content(content) => content.as_str().as_bytes(),
        Payload::Raw(raw) => raw.as_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use hii_protocol::relay::Raw;

    use super::*;

    #[test]
    fn what_is_no_text_is_hex() {
        let body = |octets| Body::from(Payload::Raw(Raw::new(octets).unwrap()));
        let text = body(b"12:30");
        assert_eq!((text.text, text.hex), (Some("12:30"), None));
        let other = body(b"\x00\xff");
        assert_eq!((other.text, other.hex.as_deref()), (None, Some("00ff")));
    }
}
