//! Where lines are typed: an editor with history and completion on a terminal, or plain input.

use std::io::{self, IsTerminal as _};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use hii_protocol::MAX_DATAGRAM;
use hii_server::exit::{Exit, Failure};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use super::command::complete;
use super::screen::Screen;
use crate::lines::Lines;
use crate::relay::conversation::{Happening, Inbox};

/// Lines that can be gone back to.
const HISTORY: usize = 1000;

/// What the next line is typed after, and what may be completed in it.
pub(super) struct Request {
    pub(super) prompt: String,
    pub(super) addresses: Vec<String>,
}

/// Asks for lines.
pub(super) struct Input {
    wanted: Sender<Request>,
    /// Whether somebody types, and need not wait for the answers to what was typed before.
    pub(super) is_terminal: bool,
}

type Lined = Editor<Completing, MemHistory>;

impl Input {
    /// Lines from the terminal with a screen around it, where there is one.
    pub(super) fn open(inbox: Inbox) -> Result<(Self, Screen), Failure> {
        let (wanted, wanting) = channel();
        let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
        let editor = if is_terminal { editor() } else { None };
        let screen = if let Some((editor, screen)) = editor {
            start(move || edit(editor, &wanting, &inbox))?;
            screen
        } else {
            start(move || read(&wanting, &inbox))?;
            Screen::Plain
        };
        Ok((
            Self {
                wanted,
                is_terminal,
            },
            screen,
        ))
    }

    /// Asks for the next line.
    pub(super) fn ask(&self, request: Request) {
        // One that has read all has said so.
        let _ = self.wanted.send(request);
    }
}

fn start(run: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let thread = thread::Builder::new().name("input".into()).spawn(run);
    thread.map(drop).map_err(|error| {
        Failure::new(
            Exit::Unreachable,
            format_args!("cannot read input: {error}"),
            "this host is short of memory or threads: end other programs",
        )
    })
}

/// An editor; none on a terminal that can do too little.
fn editor() -> Option<(Lined, Screen)> {
    let config = Config::builder()
        .max_history_size(HISTORY)
        .and_then(|config| config.history_ignore_dups(true))
        .ok()?
        .completion_type(CompletionType::List)
        .auto_add_history(true)
        .build();
    let history = MemHistory::with_config(&config);
    let mut editor = Editor::with_history(config, history).ok()?;
    editor.set_helper(Some(Completing::default()));
    let printer = editor.create_external_printer().ok()?;
    let screen = Screen::terminal(printer).ok()?;
    Some((editor, screen))
}

fn edit(mut editor: Lined, wanting: &Receiver<Request>, inbox: &Inbox) {
    for request in wanting {
        if let Some(helper) = editor.helper_mut() {
            helper.addresses = request.addresses;
        }
        let happening = loop {
            break match editor.readline(&request.prompt) {
                Ok(line) => Happening::Line(line.into_bytes()),
                Err(ReadlineError::Eof) => Happening::InputEnded,
                Err(ReadlineError::Interrupted) => Happening::Interrupted,
                // The window has another size.
                Err(ReadlineError::Signal(_)) => continue,
                Err(error) => Happening::InputFailed(io::Error::other(error)),
            };
        };
        if inbox.send(happening).is_err() {
            return;
        }
    }
}

fn read(wanting: &Receiver<Request>, inbox: &Inbox) {
    let mut lines = Lines::new(io::stdin().lock(), MAX_DATAGRAM + 1);
    for _ in wanting {
        let happening = match lines.next() {
            Some(Ok(line)) => Happening::Line(line),
            Some(Err(error)) => Happening::InputFailed(error),
            None => Happening::InputEnded,
        };
        if inbox.send(happening).is_err() {
            return;
        }
    }
}

/// Completes commands, and addresses that are known.
#[derive(Default)]
struct Completing {
    addresses: Vec<String>,
}

impl Completer for Completing {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(complete(line, position, &self.addresses))
    }
}

impl Hinter for Completing {
    type Hint = String;
}
impl Highlighter for Completing {}
impl Validator for Completing {}
impl Helper for Completing {}
