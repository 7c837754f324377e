//! The thread that draws: a slow terminal delays it, and nothing else.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hii_server::stderr;
use hii_transport::clock::Clock;

use super::draw::Scene;
use super::keyboard::Keyboard;
use super::look::Look;
use super::progress::Progress;
use super::screen::Screen;
use crate::ping::events::Interrupt;
use crate::ping::stop;

/// From one frame to the next.
const FRAME: Duration = Duration::from_millis(80);

/// What is shared with who tells what happens.
#[derive(Debug, Default)]
pub(super) struct Shared {
    targets: Mutex<Vec<Target>>,
    is_over: AtomicBool,
}

/// A target and the clock of its run.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) progress: Progress,
    pub(super) clock: Clock,
}

/// The thread that draws.
#[derive(Debug)]
pub(super) struct Painter {
    shared: Arc<Shared>,
    thread: JoinHandle<io::Result<()>>,
}

impl Shared {
    /// The targets; whoever holds them does not wait for anything.
    pub(super) fn targets(&self) -> MutexGuard<'_, Vec<Target>> {
        // They are whole between calls, whatever thread ended early.
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Painter {
    /// Takes the terminal and starts the thread.
    ///
    /// # Errors
    /// The terminal cannot be set up, or there is no memory for a thread.
    pub(super) fn start(shared: Arc<Shared>, interrupt: Interrupt) -> io::Result<Self> {
        let screen = Screen::take()?;
        let painting = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("painter".into())
            .spawn(move || {
                let result = paint(screen, &painting, &interrupt);
                if result.is_err() {
                    // Nobody sees any more what is measured.
                    interrupt.raise();
                }
                result
            })?;
        Ok(Self { shared, thread })
    }

    /// Whether the thread has ended, which it does by itself only when it cannot draw.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends the thread; the terminal is given back then.
    ///
    /// # Errors
    /// What kept it from drawing.
    pub(super) fn stop(self) -> io::Result<()> {
        self.shared.is_over.store(true, Ordering::SeqCst);
        let ended_early = |_| Err(io::Error::other("the part that draws ended early"));
        self.thread.join().unwrap_or_else(ended_early)
    }
}

/// Draws a frame every so often until the run is over.
fn paint(mut screen: Screen, shared: &Shared, interrupt: &Interrupt) -> io::Result<()> {
    let look = Look::of_environment();
    let stopping = interrupt.clone();
    let keyboard = Keyboard::start(move || stop(&stopping))?;
    while !shared.is_over.load(Ordering::SeqCst) {
        screen.draw(|frame| {
            let targets = shared.targets();
            let seen = |target: &Target| target.progress.elapsed(target.clock.elapsed());
            let scene = Scene {
                targets: targets
                    .iter()
                    .map(|target| (&target.progress, seen(target)))
                    .collect(),
                messages: stderr::messages(),
                look: &look,
            };
            scene.draw(frame.area(), frame.buffer_mut());
        })?;
        if keyboard.wait(FRAME) {
            screen.suspend()?;
        }
    }
    Ok(())
}
