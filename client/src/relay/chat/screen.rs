//! Where lines are shown while another one is typed.

use std::io::{self, Write as _};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use rustyline::ExternalPrinter;

/// How long the end waits for lines that have not been shown yet.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Shows lines above the one that is being typed, or on a plain output.
pub(super) enum Screen {
    Terminal(Terminal),
    Plain,
}

/// The editor's printer waits for the editor, which waits for the next prompt: so it has a thread of its own.
pub(super) struct Terminal {
    lines: Sender<String>,
    done: Receiver<()>,
}

impl Screen {
    /// Shows lines by this printer.
    pub(super) fn terminal(mut printer: impl ExternalPrinter + Send + 'static) -> io::Result<Self> {
        let (lines, inbox) = channel::<String>();
        let (finished, done) = channel();
        let print = move || {
            for line in inbox {
                if printer.print(line + "\n").is_err() {
                    break;
                }
            }
            let _ = finished.send(());
        };
        thread::Builder::new().name("screen".into()).spawn(print)?;
        Ok(Self::Terminal(Terminal { lines, done }))
    }

    /// Shows a line.
    pub(super) fn show(&self, line: String) -> io::Result<()> {
        match self {
            Self::Terminal(terminal) => {
                let gone = |_| io::ErrorKind::BrokenPipe.into();
                terminal.lines.send(line).map_err(gone)
            }
            Self::Plain => writeln!(io::stdout(), "{line}"),
        }
    }

    /// Waits until all lines have been shown.
    pub(super) fn finish(self) {
        if let Self::Terminal(Terminal { lines, done }) = self {
            drop(lines);
            // What waits for an editor that is no more is not waited for.
            let _ = done.recv_timeout(LAST_LINES);
        }
    }
}
