//! `hii-server share`: hands files and folders over, encrypted, to whoever has the key (`WIRE.md` section 8).

use std::io;
use std::sync::{Arc, Mutex};

use hii_protocol::share::{Id, Path};
use hii_transport::addresses::interface_addresses;
use tokio::sync::{Notify, Semaphore, watch};

use crate::announce::Announcement;
use crate::exit::{Exit, Failure, count, note};
use crate::logs::LogFormat;
use crate::policy::local_addrs::LocalAddrs;
use crate::policy::source_validation::SourceValidator;
use crate::{listen, running};

mod args;
pub mod blocks;
mod classic;
mod handshakes;
pub mod key;
mod key_command;
mod limits;
mod offer;
mod pipe;
mod receiver;
mod serve;
mod session;
mod source;
mod tally;

pub use args::Args;
pub use classic::{Verdict, judge};
pub use key_command::{KeyArgs, run_key};
pub use offer::{NotSendable, Offer, OfferError, Sendable, Skipped};
pub use session::{Event, Session, Step};
pub use source::{Failed, Source};
pub use tally::Tally;

use handshakes::Handshakes;
use key::Given;
#[cfg(test)]
pub(crate) use limits::HANDSHAKES;
use limits::Limits;
use receiver::Lacks;
use serve::{Common, Outcome, State, StdinEnd};

/// Runs `hii-server share` until it is stopped, or has no more to do.
///
/// # Errors
/// Something cannot be offered, an address cannot be listened on, or what was asked for was not delivered.
pub fn run(args: &Args, log: LogFormat) -> Result<(), Failure> {
    let given = if args.classic {
        None
    } else {
        Some(find_key(args, log)?)
    };
    let offer = make_offer(args)?;
    let has_stdin = offer.has_stdin();
    let is_for_one = has_stdin || args.is_for_one();
    let outcome = running::block_on_all_cores(async {
        // Caught from here on: whoever reads the announcement may stop the sender.
        let stop = running::asked_to_stop()?;
        let wanted = Limits::new(args.max_receivers(is_for_one));
        wanted.want_files();
        let sockets = if args.classic {
            classic::listen(&args.bind, args.port, args.classic_insecure)?
        } else {
            listen::tcp(&args.bind, args.port)?
        };
        let limits = wanted.fit_files()?;
        let addresses = listen::addresses(&sockets);
        let (transport, command) = match given {
            Some(_) => ("TCP, encrypted", "hii get"),
            None if args.classic_insecure => {
                ("TCP, plain text", "hii get --classic --classic-insecure")
            }
            None => ("TCP, plain text", "hii get --classic"),
        };
        Announcement::new("share", transport, &addresses, command).tell(log);
        tell_offer(&offer, log);
        limits.report_fewer(&wanted, log);
        if let Some(given) = &given {
            tell_key(given);
        }
        let common = Common {
            offer,
            key: given.map(|given| given.key),
            stdin: pipe::Pipe::new(io::stdin()),
            idle: args.idle,
            receivers: Semaphore::new(limits.receivers),
            handshakes: Handshakes::new(limits.handshakes),
            once: is_for_one,
            log,
            stop: watch::Sender::new(false),
            state: Mutex::new(State::default()),
            may_end: Notify::new(),
        };
        let sources = SourceValidator::new(LocalAddrs::new(&addresses, interface_addresses));
        serve::serve(sockets, sources, Arc::new(common), limits.max_open(), stop)
            .await
            .map_err(|error| running::cannot_serve(&error))
    })?;
    let tally = outcome.tally;
    tracing::info!(%tally, "stopped");
    running::print(&tally, args.json)?;
    conclude(&outcome, has_stdin, is_for_one)
}

/// The key. One that is new has to be shown, and logs are no place for that.
fn find_key(args: &Args, log: LogFormat) -> Result<Given, Failure> {
    let given = Given::find(args.key_file.as_deref())?;
    if given.is_new && log == LogFormat::Json {
        return Err(Failure::new(
            Exit::Usage,
            "there is no key, and a new one would stand in the logs",
            "make one with hii-server key FILE and give it with --key-file, or in the environment variable HII_KEY",
        ));
    }
    Ok(given)
}

fn tell_key(given: &Given) {
    if given.is_new {
        note(format_args!("  and the key, when it asks: {}", given.key));
        if key::is_readable_by_others(io::stderr()) {
            tracing::warn!(
                "others on this host can read the file that this key is written to: \
                 make one with hii-server key FILE, and give it with --key-file"
            );
        }
    }
    if given.is_open {
        tracing::warn!("others on this host can read the file of the key: chmod 600 it");
    }
}

fn make_offer(args: &Args) -> Result<Offer, Failure> {
    // No folder is offered that it could be in.
    if args.stdin_name.contains('/') || Path::new(&args.stdin_name).is_err() {
        return Err(Failure::new(
            Exit::Usage,
            "--stdin-name is no name that a receiver takes",
            "give a plain file name",
        ));
    }
    let offer = Offer::of(&args.paths, &args.stdin_name);
    let offer = offer.map_err(|error| {
        let (exit, advice) = match &error {
            OfferError::Read { error, .. } if error.kind() == io::ErrorKind::NotFound => {
                (Exit::Usage, "give files and folders that are there")
            }
            OfferError::Read { .. } => (
                Exit::Output,
                "make it readable, or give the folders beside it instead",
            ),
            OfferError::NotUtf8 { .. } | OfferError::Name { .. } => {
                (Exit::Usage, "rename it; nothing was offered")
            }
            OfferError::Nameless { .. } => (Exit::Usage, "give what is in it instead"),
            OfferError::Twice { .. } => (Exit::Usage, "rename one, or offer one at a time"),
            OfferError::TooMuch => (
                Exit::Usage,
                "offer less, or an archive: tar c ... | hii-server share -",
            ),
            OfferError::Nothing => (
                Exit::Usage,
                "give a file or a folder; of a symbolic link give what it points to",
            ),
        };
        Failure::new(exit, error, advice)
    })?;
    let is_a_file = matches!(offer.sendable(Id::FIRST), Ok(Sendable::File(..)));
    if args.classic && !(is_a_file && offer.entries() == 1) {
        return Err(Failure::new(
            Exit::Usage,
            "--classic hands over one file, and nothing else",
            "give one file, or leave --classic out",
        ));
    }
    Ok(offer)
}

/// Says what is offered, and what is not.
fn tell_offer(offer: &Offer, log: LogFormat) {
    for skipped in offer.skipped() {
        match log {
            LogFormat::Text => note(format_args!("  left out: {skipped}")),
            LogFormat::Json => tracing::warn!(%skipped, "left out"),
        }
    }
    let (entries, files, octets) = (offer.entries(), offer.files(), offer.octets());
    match log {
        LogFormat::Text => {
            let all = offered(entries, files, octets);
            let stdin = if offer.has_stdin() {
                ", and what comes from stdin"
            } else {
                ""
            };
            note(format_args!("  offers {all}{stdin}"));
        }
        LogFormat::Json => tracing::info!(entries, files, octets, "offers"),
    }
}

/// What is offered, in words.
fn offered(entries: u64, files: u64, octets: u64) -> String {
    let folders = match entries.saturating_sub(files) {
        0 => String::new(),
        folders => format!(" in {}", count(folders, "folder")),
    };
    format!(
        "{}{folders}, {}",
        count(files, "file"),
        count(octets, "octet")
    )
}

/// What the end means, when it was to be delivered once.
fn conclude(outcome: &Outcome, has_stdin: bool, is_for_one: bool) -> Result<(), Failure> {
    if has_stdin && outcome.stdin != Some(StdinEnd::Delivered) {
        let what = match outcome.stdin {
            None => "what comes from stdin was not delivered: no receiver has had it to its end",
            Some(_) => "what came from stdin was not delivered: its receiver has not confirmed it",
        };
        return Err(Failure::new(
            Exit::NoAnswer,
            what,
            "start again, since it is read only once; or offer a file: that can be resumed",
        ));
    }
    match outcome.last_done {
        None if is_for_one && !has_stdin => Err(Failure::new(
            Exit::Interrupted,
            "interrupted before a receiver had all it wanted",
            "start again: with the same key a receiver goes on where it was, but not with --classic",
        )),
        Some(Lacks { failed: 1.., .. }) if is_for_one => Err(Failure::new(
            Exit::Partial,
            "some files could not be sent",
            "offer them again: what is there already is not sent twice",
        )),
        Some(Lacks {
            unconfirmed: files @ 1..,
            ..
        }) if is_for_one => Err(Failure::new(
            Exit::Partial,
            format_args!(
                "the receiver left without confirming {} it was sent",
                count(files, "file")
            ),
            "look what it says, and offer them again: what is there already is not sent twice",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular() {
        assert_eq!(offered(1, 1, 1), "1 file, 1 octet");
        assert_eq!(offered(2, 1, 0), "1 file in 1 folder, 0 octets");
        assert_eq!(offered(5, 2, 9), "2 files in 3 folders, 9 octets");
    }
}
