//! `hii get`: fetches what a sender of files offers.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use hii_server::exit::{Exit, FINE, Failure, note};
use hii_transport::beneath::Folder;
use hii_transport::clock::Clock;
use tokio::runtime::Runtime;

mod args;
pub mod classic;
mod connect;
pub mod destination;
pub mod end;
pub mod finisher;
pub mod journal;
pub mod key;
pub mod manifest;
pub mod names;
pub mod output;
pub mod part;
pub mod plan;
pub mod progress;
pub mod session;
pub mod state;
pub mod stop;
pub mod store;
pub mod summary;
mod transfer;

pub use args::Args;
use args::ProgressForm;
use destination::{Destination, There};
use manifest::Manifest;
use output::Output;
use progress::Progress;
use state::State;
use stop::Stop;
use store::Store;
use summary::{ErrorText, Summary};

use crate::output::{cannot_print, json_line};

/// Where files go when nothing else is said.
const HERE: &str = ".";

/// Files that may be open at once: those that wait for the disk, and those of the next ones that are there in part.
const OPEN_FILES: u64 = 2048;

/// Runs `hii get`.
///
/// # Errors
/// Not everything is there. What was received has been told.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    args.check()?;
    let default = if args.classic { classic::NAME } else { HERE };
    let mut summary = new_summary(args, Path::new(default));
    let result = if args.classic {
        receive_classic(args, &mut summary)
    } else {
        receive(args, &mut summary)
    };
    finish(args, summary, result.err())
}

/// Receives what an encrypted sender offers.
fn receive(args: &Args, summary: &mut Summary) -> Result<(), Failure> {
    let stop = Stop::catch()?;
    let key = key::find(args.key_file.as_deref())?;
    let addresses = args.server.resolve(args.family())?;
    hii_transport::files::want(OPEN_FILES);
    let runtime = runtime()?;

    let open = |manifest: &Manifest| open(args, manifest);
    let progress = Progress::new(args.progress, args.quiet);
    let mut state = State::new(&open, args.on_exists, progress);
    state.summary = std::mem::take(summary);
    let clock = Clock::start();
    let result = runtime.block_on(async {
        let (address, stream) = connect::connect(&addresses, &stop)?;
        let mut channel = connect::join(stream, address, &key, &stop).await?;
        transfer::receive(&mut channel, &mut state, &stop).await
    });
    let may_go_on = result.as_ref().map_or_else(|end| end.may_go_on, |()| true);
    let also = state.end(result.is_ok(), may_go_on);
    *summary = state.summary;
    summary.seconds = clock.elapsed().as_secs_f64();
    result.map_err(|end| end.failure)?;
    also.map_or(Ok(()), Err)
}

/// Receives what an original sender offers.
fn receive_classic(args: &Args, summary: &mut Summary) -> Result<(), Failure> {
    summary.is_classic = true;
    let stop = Stop::catch()?;
    let addresses = args.server.resolve(args.family())?;
    let addresses = classic::allowed(addresses, args.classic_insecure)?;
    let runtime = runtime()?;
    let clock = Clock::start();
    let result = runtime.block_on(async {
        let (address, stream) = connect::connect(&addresses, &stop)?;
        classic::receive(args, stream, address, &stop, summary).await
    });
    summary.seconds = clock.elapsed().as_secs_f64();
    result
}

/// A summary before anything has come.
fn new_summary(args: &Args, default: &Path) -> Summary {
    let destination = args.output.as_deref().unwrap_or(default);
    Summary {
        server: args.server.to_string(),
        destination: destination.to_string_lossy().into_owned(),
        ..Summary::default()
    }
}

fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(cannot_start)
}

/// Says what was received, and how the program ends.
fn finish(
    args: &Args,
    mut summary: Summary,
    failure: Option<Failure>,
) -> Result<ExitCode, Failure> {
    let exit = failure.as_ref().map(Failure::exit);
    summary.interrupted = exit == Some(Exit::Interrupted);
    summary.error = failure.as_ref().map(ErrorText::from);
    if args.progress == ProgressForm::Json
        && let Some(error) = &summary.error
    {
        progress::tell_error(error);
    }
    tell(args, &summary)?;
    match (failure, summary.exit()) {
        (Some(failure), _) => Err(failure),
        (None, Some(exit)) => Ok(exit.into()),
        (None, None) => Ok(FINE),
    }
}

/// Opens what takes the octets, now that it is known what is offered.
fn open(args: &Args, manifest: &Manifest) -> Result<Output, Failure> {
    let output = args.output.as_deref().unwrap_or(Path::new(HERE));
    let is_single = manifest.single_file().is_some();
    let (folder, only) = match Destination::new(output, There::at(output), is_single)? {
        Destination::Stdout => return Ok(Output::Stdout(Box::default())),
        Destination::Folder(folder) => (folder, None),
        Destination::File(folder, name) => (folder, Some(name)),
    };
    let cannot = |error: io::Error| {
        Failure::new(
            Exit::Output,
            format_args!("cannot use the folder {}: {error}", folder.display()),
            "give a folder with -o that you may write to",
        )
    };
    make_all(&folder).map_err(cannot)?;
    let root = Folder::open(&folder).map_err(cannot)?;
    let store = Store::new(root, only, args.on_exists).map_err(cannot_start)?;
    Ok(Output::Folder(Box::new(store)))
}

/// Makes a folder and those that it is in, and waits until the disk has the names of those that were missing.
fn make_all(folder: &Path) -> io::Result<()> {
    let missing = folder
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        .count();
    std::fs::create_dir_all(folder)?;
    for parent in folder.ancestors().skip(1).take(missing) {
        let parent = match parent.as_os_str() {
            none if none.is_empty() => Path::new(HERE),
            _ => parent,
        };
        // As with what comes into it: a power cut might undo it, and nothing else is wrong.
        if let Err(error) = Folder::open(parent).and_then(|parent| parent.sync()) {
            tracing::warn!(%error, "the folder's name may not be on the disk yet");
        }
    }
    Ok(())
}

/// Says what was received.
fn tell(args: &Args, summary: &Summary) -> Result<(), Failure> {
    if args.json {
        let line = json_line(summary).map_err(cannot_print)?;
        writeln!(io::stdout(), "{line}").map_err(cannot_print)?;
    } else if !args.quiet && (summary.offered > 0 || !summary.failures.is_empty()) {
        note(summary);
    }
    Ok(())
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is handed over by map_err"
)]
fn cannot_start(error: io::Error) -> Failure {
    Failure::new(
        Exit::Unreachable,
        format_args!("cannot start: {error}"),
        "this host is short of memory or descriptors: end other programs, or raise `ulimit -n`",
    )
}
