//! The terminal while it is drawn on: taken at the start, and given back as it was, however the run ends.

use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use hii_server::stderr;
use ratatui::Frame;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{execute, queue};

/// Whether the terminal is taken. It changes only under the lock of stdout, which who draws holds too.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Room for a frame, so that it is written at once.
const FRAME_LEN: usize = 64 * 1024;

/// How long a terminal that takes nothing more may keep the program from ending.
const LAST_WAIT: Duration = Duration::from_millis(300);

type Terminal = ratatui::Terminal<CrosstermBackend<BufWriter<Taken>>>;

/// Stdout while the terminal is taken; after that it takes everything and shows nothing.
struct Taken(Stdout);

impl Write for Taken {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if TAKEN.load(Ordering::SeqCst) {
            self.0.write(octets)
        } else {
            Ok(octets.len())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if TAKEN.load(Ordering::SeqCst) {
            self.0.flush()
        } else {
            Ok(())
        }
    }
}

/// The terminal, to draw on. It is given back when this is dropped.
pub(super) struct Screen(Terminal);

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// It cannot be set up; then it is as it was before.
    pub(super) fn take() -> io::Result<Self> {
        give_back_in_a_panic();
        take()
            .and_then(|()| terminal())
            .map(Self)
            .inspect_err(|_| give_back())
    }

    /// Draws; once the terminal has been given back, nobody sees it.
    ///
    /// # Errors
    /// Stdout takes no more.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        let _alone = io::stdout().lock();
        // A terminal that knows these shows no half frame.
        queue!(self.0.backend_mut(), BeginSynchronizedUpdate)?;
        self.0.draw(draw)?;
        execute!(self.0.backend_mut(), EndSynchronizedUpdate)
    }

    /// Gives the terminal back for as long as this program is suspended.
    ///
    /// # Errors
    /// It cannot be taken again.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        give_back();
        #[cfg(unix)]
        hii_transport::suspend::suspend();
        take()?;
        // One that knows nothing of what was on the screen before, and so draws all of it.
        self.0 = terminal()?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Whether there is a terminal to draw on, tried by setting it up.
///
/// # Errors
/// What is missing.
pub(super) fn check() -> io::Result<()> {
    if !io::stdout().is_terminal() {
        return Err(io::Error::other("stdout is no terminal"));
    }
    if std::env::var_os("TERM").is_some_and(|name| name == "dumb") {
        return Err(io::Error::other("TERM is \"dumb\""));
    }
    enable_raw_mode()?;
    disable_raw_mode()
}

/// Gives the terminal back when the program has to end at once, even if the terminal takes nothing more.
pub(super) fn leave() {
    if !TAKEN.load(Ordering::SeqCst) {
        return;
    }
    let (done, ended) = channel();
    let given_back = thread::Builder::new().spawn(move || {
        give_back();
        let _ = done.send(());
    });
    if given_back.is_ok() {
        let _ = ended.recv_timeout(LAST_WAIT);
    }
}

fn terminal() -> io::Result<Terminal> {
    let out = BufWriter::with_capacity(FRAME_LEN, Taken(io::stdout()));
    ratatui::Terminal::new(CrosstermBackend::new(out))
}

fn take() -> io::Result<()> {
    let mut out = io::stdout().lock();
    TAKEN.store(true, Ordering::SeqCst);
    if io::stderr().is_terminal() {
        stderr::keep_back();
    }
    enable_raw_mode()?;
    execute!(out, EnterAlternateScreen, Hide)
}

/// Gives the terminal back, if it is taken; as much of it as works. The lock of stdout is one that a thread may take
/// again, so this works in the midst of drawing too.
fn give_back() {
    if !TAKEN.load(Ordering::SeqCst) {
        return;
    }
    // First what does not wait for a slow terminal.
    let _ = disable_raw_mode();
    let mut out = io::stdout().lock();
    if TAKEN.swap(false, Ordering::SeqCst) {
        // A frame may have been cut off in the middle.
        let _ = queue!(out, EndSynchronizedUpdate);
        // A terminal that was resized meanwhile may mix what is on its two screens.
        let _ = execute!(out, Clear(ClearType::All), LeaveAlternateScreen, Show);
        stderr::let_go();
    }
}

/// What a panic says belongs on the normal screen.
fn give_back_in_a_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let say = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            give_back();
            say(panic);
        }));
    });
}
