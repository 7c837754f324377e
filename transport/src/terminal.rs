//! The modes of the terminal that a program was started on.

/// The modes as they were. A line editor changes them while it waits for a key, and a program that ends meanwhile has to
/// put them back.
#[derive(Debug, Clone)]
pub struct Modes(imp::Modes);

impl Modes {
    /// The modes as they are; nothing where standard input is no terminal.
    #[must_use]
    pub fn save() -> Self {
        Self(imp::Modes::save())
    }

    /// Puts them back.
    pub fn restore(&self) {
        self.0.restore();
    }
}

#[cfg(unix)]
mod imp {
    use std::io::{IsTerminal as _, Write as _, stdin, stdout};

    use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};

    /// Ends what line editors ask of a terminal, that it marks what is pasted; and the line that was being typed.
    const LEAVE_EDITOR: &[u8] = b"\x1b[?2004l\r\n";

    #[derive(Debug, Clone)]
    pub(super) struct Modes(Option<Termios>);

    impl Modes {
        pub(super) fn save() -> Self {
            Self(tcgetattr(stdin()).ok())
        }

        pub(super) fn restore(&self) {
            let Some(modes) = &self.0 else { return };
            // Nobody is there to be told.
            let changed = tcgetattr(stdin()).is_ok_and(|now| now != *modes);
            if changed && stdout().is_terminal() {
                let _ = stdout().write_all(LEAVE_EDITOR);
                let _ = stdout().flush();
            }
            let _ = tcsetattr(stdin(), SetArg::TCSADRAIN, modes);
        }
    }
}

#[cfg(not(unix))]
mod imp {
    #[derive(Debug, Clone)]
    pub(super) struct Modes;

    impl Modes {
        pub(super) fn save() -> Self {
            Self
        }

        pub(super) fn restore(&self) {}
    }
}
