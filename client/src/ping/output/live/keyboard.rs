//! The keys that are pressed, read on a thread of its own: whatever becomes of the keyboard, nothing waits for it.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// To stop: `q`, Esc or Ctrl-C.
    Stop,
    /// To suspend the program: Ctrl-Z.
    Suspend,
}

/// The keyboard of a terminal in raw mode.
#[derive(Debug)]
pub(super) struct Keyboard {
    suspensions: Receiver<()>,
}

impl Keyboard {
    /// Listens until the program ends, or there is no keyboard any more. `stop` is done at once, even while a frame waits
    /// for the terminal.
    ///
    /// # Errors
    /// There is no memory for a thread.
    pub(super) fn start(stop: impl Fn() + Send + 'static) -> io::Result<Self> {
        let (suspend, suspensions) = channel();
        // Not waited for at the end: it is asleep until a key is pressed.
        thread::Builder::new()
            .name("keyboard".into())
            .spawn(move || listen(stop, &suspend))?;
        Ok(Self { suspensions })
    }

    /// Waits so long, or until the program is to be suspended; returns whether it is.
    pub(super) fn wait(&self, time: Duration) -> bool {
        let wish = self.suspensions.recv_timeout(time);
        if wish == Err(RecvTimeoutError::Disconnected) {
            // It can still be looked at.
            thread::sleep(time);
        }
        wish.is_ok()
    }
}

fn listen(stop: impl Fn(), suspend: &Sender<()>) {
    let stdin = io::stdin();
    let mut keys: Box<dyn Read> = if stdin.is_terminal() {
        Box::new(stdin.lock())
    } else {
        match File::open("/dev/tty") {
            Ok(terminal) => Box::new(terminal),
            Err(_) => return,
        }
    };
    let mut octets = [0; 256];
    loop {
        let len = match keys.read(&mut octets) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // The terminal is gone.
            Ok(0) | Err(_) => return,
            Ok(len) => len,
        };
        let pressed = octets.get(..len).unwrap_or_default();
        match wish(pressed) {
            None => {}
            Some(Wish::Stop) => stop(),
            Some(Wish::Suspend) => {
                // Who draws gives the terminal back before.
                let _ = suspend.send(());
            }
        }
    }
}

/// What is asked for by the keys that were pressed since the last look.
fn wish(keys: &[u8]) -> Option<Wish> {
    const ESCAPE: u8 = 0x1b;
    match keys {
        [ESCAPE] => Some(Wish::Stop),
        // The arrows and the like.
        [ESCAPE, ..] => None,
        keys => keys.iter().find_map(|key| match key {
            0x03 | b'q' | b'Q' => Some(Wish::Stop),
            0x1a => Some(Wish::Suspend),
            _ => None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_keys_ask_for_something() {
        for (keys, expected) in [
            (&b"q"[..], Some(Wish::Stop)),
            (b"Q", Some(Wish::Stop)),
            (b"xyq", Some(Wish::Stop)),
            (b"\x1b", Some(Wish::Stop)),
            (b"\x03", Some(Wish::Stop)),
            (b"\x1a", Some(Wish::Suspend)),
            (b"", None),
            (b"c", None),
            (b"z\r\n\xc3\xa9", None),
            // Up, F1, Alt-q.
            (b"\x1b[A", None),
            (b"\x1bOP", None),
            (b"\x1bq", None),
        ] {
            assert_eq!(wish(keys), expected, "{keys:?}");
        }
    }
}
