//! A real terminal, without a window: a shell in tmux.

use std::process::{Command, id};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Guards against what never appears; no test depends on how long it is.
const WATCHDOG: Duration = Duration::from_secs(120);

/// From one look at the screen to the next.
const GLANCE: Duration = Duration::from_millis(20);

/// What the shell asks with.
pub const PROMPT: &str = "ready>";

/// Whether tests have to run in a terminal. Where nobody asked for it, tmux need not be installed.
pub fn is_wanted() -> bool {
    std::env::var_os("HII_TMUX").is_some_and(|value| value == "1")
}

/// A terminal with a shell in it. It is gone when it is dropped, with all that runs in it.
#[derive(Debug)]
pub struct Terminal {
    /// The name of the socket of a tmux server of its own.
    socket: String,
}

impl Terminal {
    /// A terminal of this size, with these variables set.
    ///
    /// # Panics
    /// tmux is not installed, or no shell appears.
    pub fn new(size: (u16, u16), variables: &[(&str, &str)]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let terminal = Self {
            socket: format!("hii-{}-{number}", id()),
        };
        let mut shell = vec![
            "env".to_owned(),
            "-u".into(),
            "NO_COLOR".into(),
            "-u".into(),
            "HII_LOG".into(),
            format!("PS1={PROMPT} "),
        ];
        let variables = [&[("LC_ALL", "C.UTF-8")], variables].concat();
        shell.extend(
            variables
                .iter()
                .map(|(name, value)| format!("{name}={value}")),
        );
        shell.extend(["sh".to_owned(), "-i".into()]);
        let (width, height) = size;
        let (width, height) = (width.to_string(), height.to_string());
        let mut start = vec!["new-session", "-d", "-x", &width, "-y", &height];
        start.extend(shell.iter().map(String::as_str));
        terminal.tmux(&start);
        terminal.wait_for("a shell", |screen| screen.contains(PROMPT));
        terminal
    }

    /// Types a line and ends it.
    ///
    /// # Panics
    /// The terminal is gone.
    pub fn line(&self, line: &str) {
        self.text(line);
        self.key("Enter");
    }

    /// Types what does not end a line.
    ///
    /// # Panics
    /// The terminal is gone.
    pub fn text(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    /// Presses a key, as tmux calls it: `q`, `C-c`, `Escape`.
    ///
    /// # Panics
    /// The terminal is gone.
    pub fn key(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// Makes the window of another size.
    ///
    /// # Panics
    /// The terminal is gone.
    pub fn resize(&self, (width, height): (u16, u16)) {
        let (width, height) = (width.to_string(), height.to_string());
        self.tmux(&["resize-window", "-x", &width, "-y", &height]);
    }

    /// What is on the screen.
    ///
    /// # Panics
    /// The terminal is gone.
    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// The same with what sets colours and the like.
    ///
    /// # Panics
    /// The terminal is gone.
    pub fn styled_screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e"])
    }

    /// Whether the alternate screen is shown, and whether the cursor is.
    ///
    /// # Panics
    /// The terminal is gone.
    pub fn modes(&self) -> (bool, bool) {
        let modes = self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]);
        let (alternate, cursor) = modes.trim().split_once(' ').expect("two flags");
        (alternate == "1", cursor == "1")
    }

    /// Waits for what has to appear on the screen, and returns that.
    ///
    /// # Panics
    /// It does not appear.
    pub fn wait_for(&self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        let begin = Instant::now();
        loop {
            let screen = self.screen();
            if is_there(&screen) {
                return screen;
            }
            assert!(begin.elapsed() < WATCHDOG, "no {what}:\n{screen}");
            // Not in step with anything: only to leave the processor to what is waited for.
            thread::sleep(GLANCE);
        }
    }

    /// Waits until the terminal no longer shows what is typed, as when a program asks for a secret.
    ///
    /// # Panics
    /// It goes on to show it.
    pub fn wait_until_hidden(&self) {
        let device = self.tmux(&["display-message", "-p", "#{pane_tty}"]);
        self.wait_for("end of the echo", |_| {
            let output = Command::new("stty")
                .args(["-a", "-F", device.trim()])
                .output()
                .expect("stty runs");
            assert!(output.status.success(), "{output:?}");
            String::from_utf8_lossy(&output.stdout).contains(" -echo ")
        });
    }

    fn tmux(&self, args: &[&str]) -> String {
        // UTF-8, and nobody's configuration.
        let output = Command::new("tmux")
            .args(["-u", "-L", &self.socket, "-f", "/dev/null"])
            .args(args)
            .output()
            .expect("tmux is installed (Debian: apt-get install tmux)");
        assert!(output.status.success(), "tmux {args:?}: {output:?}");
        String::from_utf8(output.stdout).expect("tmux prints UTF-8")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux")
            .args(["-L", &self.socket, "kill-server"])
            .output();
    }
}
