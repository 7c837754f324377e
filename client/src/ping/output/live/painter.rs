//! The thread that draws, and listens to the keyboard: a slow terminal delays it, and nothing else.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hii_server::stderr;
use hii_transport::clock::Clock;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::draw::Scene;
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

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Stop,
    Suspend,
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
    let frames = Clock::start();
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
        let next = frames.elapsed() + FRAME;
        match listen(&frames, next) {
            None => {}
            Some(Wish::Stop) => stop(interrupt),
            #[cfg(unix)]
            Some(Wish::Suspend) => screen.suspend()?,
            #[cfg(not(unix))]
            Some(Wish::Suspend) => {}
        }
    }
    // Keys that were held are not for the shell.
    while event::poll(Duration::ZERO).unwrap_or_default() && event::read().is_ok() {}
    Ok(())
}

/// Waits until it is time for a frame, or something has happened that needs one at once.
fn listen(clock: &Clock, until: Duration) -> Option<Wish> {
    loop {
        let left = until.saturating_sub(clock.elapsed());
        match event::poll(left) {
            Ok(false) => return None,
            Ok(true) => match event::read() {
                Ok(Event::Resize(..)) => return None,
                Ok(Event::Key(key)) => match wish(key) {
                    None => {}
                    wish => return wish,
                },
                Ok(_) => {}
                Err(_) => break,
            },
            Err(_) => break,
        }
    }
    // Without a keyboard it can still be looked at.
    clock.sleep_until(until);
    None
}

fn wish(key: KeyEvent) -> Option<Wish> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c') if is_control => Some(Wish::Stop),
        KeyCode::Char('z') if is_control => Some(Wish::Suspend),
        KeyCode::Char('q' | 'Q') | KeyCode::Esc if !is_control => Some(Wish::Stop),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_keys_ask_for_something() {
        let control = KeyModifiers::CONTROL;
        let none = KeyModifiers::NONE;
        for (code, modifiers, expected) in [
            (KeyCode::Char('q'), none, Some(Wish::Stop)),
            (KeyCode::Char('Q'), KeyModifiers::SHIFT, Some(Wish::Stop)),
            (KeyCode::Esc, none, Some(Wish::Stop)),
            (KeyCode::Char('c'), control, Some(Wish::Stop)),
            (KeyCode::Char('z'), control, Some(Wish::Suspend)),
            (KeyCode::Char('c'), none, None),
            (KeyCode::Char('z'), none, None),
            (KeyCode::Char('q'), control, None),
            (KeyCode::Up, none, None),
        ] {
            assert_eq!(wish(KeyEvent::new(code, modifiers)), expected, "{code:?}");
        }
        let mut released = KeyEvent::new(KeyCode::Esc, none);
        released.kind = KeyEventKind::Release;
        assert_eq!(wish(released), None);
    }
}
