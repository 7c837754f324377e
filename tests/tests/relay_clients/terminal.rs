//! `hii chat` on a terminal: the line that is being typed stays whole, and the terminal is left as it was.
//!
//! These take tmux, so they run with `HII_TMUX=1`.

use hii_tests::programs::Server;
use hii_tests::terminal::{PROMPT, Terminal, is_wanted};

use super::{HII, relay, send};

/// A chat on a terminal, and its address.
fn chat(relay: &str) -> (Terminal, String) {
    let terminal = Terminal::new((100, 30), &[]);
    terminal.line(&format!("{HII} chat {relay}; echo ended with $?; stty -a"));
    // The prompt is shown before the relay has answered, and again after that.
    let screen = terminal.wait_for("an address and a prompt", |screen| {
        address(screen).is_some() && last(screen).starts_with("hii>")
    });
    let address = address(&screen).expect("it was there").to_owned();
    (terminal, address)
}

/// The own address, once its line is whole.
fn address(screen: &str) -> Option<&str> {
    let mut lines = screen.lines();
    let line = lines.find_map(|line| line.strip_prefix("you are ")?.strip_suffix(')'))?;
    line.split_whitespace().next()
}

/// Waits for the program's end, with this exit code and a terminal in line mode.
fn ended(terminal: &Terminal, code: i32) {
    let words = format!("ended with {code}");
    let screen = terminal.wait_for("an end", |screen| {
        screen.contains(&words) && screen.trim_end().ends_with(PROMPT)
    });
    let modes = screen.split(&words).last().expect("what stty says");
    assert!(
        modes.contains(" icanon") && modes.contains(" echo "),
        "{screen}"
    );
}

/// The last line that is not empty.
fn last(screen: &str) -> &str {
    screen.trim_end().lines().last().unwrap_or_default()
}

#[test]
fn messages_do_not_break_the_line_that_is_being_typed() {
    if !is_wanted() {
        return;
    }
    let (_server, ways) = relay("127.0.0.1", &[]);
    let (terminal, address) = chat(&ways[0]);
    let typed = format!("hii> send {address} to my");
    terminal.text(&typed["hii> ".len()..]);
    terminal.wait_for("what was typed", |screen| last(screen) == typed);
    for number in 0..5 {
        assert_eq!(
            send(&ways[1], &[&address, &format!("message {number}")]).code,
            Some(0)
        );
    }
    let screen = terminal.wait_for("messages", |screen| screen.contains("message 4"));
    let lines: Vec<_> = screen.trim_end().lines().collect();
    let messages = &lines[lines.len() - 6..];
    for (number, line) in messages[..5].iter().enumerate() {
        assert!(line.ends_with(&format!(": message {number}")), "{screen}");
    }
    assert_eq!(messages[5], typed, "{screen}");
    // It is still the same line, and goes where it was meant to go.
    terminal.line("self");
    terminal.wait_for("the message", |screen| screen.contains(": to myself"));
    // Lines can be gone back to.
    terminal.key("Up");
    terminal.wait_for("history", |screen| last(screen) == format!("{typed}self"));
    terminal.key("C-u");
    terminal.line("ex");
    terminal.wait_for("an answer", |screen| screen.contains("no such command"));
    terminal.text("to 1");
    terminal.key("Tab");
    terminal.wait_for("completion", |screen| {
        last(screen).starts_with("hii> to 127.0.0.1/")
    });
    terminal.key("C-u");
    terminal.key("C-d");
    ended(&terminal, 0);
}

#[test]
fn the_terminal_is_left_as_it_was_however_the_chat_ends() {
    if !is_wanted() {
        return;
    }
    let (server, ways) = relay("127.0.0.1", &[]);
    let (terminal, _) = chat(&ways[0]);
    terminal.text("half a li");
    terminal.wait_for("what was typed", |screen| {
        last(screen).ends_with("half a li")
    });
    terminal.key("C-c");
    ended(&terminal, 130);

    // The connection ends while a key is waited for.
    let (terminal, _) = chat(&ways[1]);
    Server::stop(server);
    terminal.wait_for("the reason", |screen| {
        screen.contains("\nhii: the connection to")
    });
    ended(&terminal, 3);

    // The same where that was asked for.
    let (_server, ways) = relay("127.0.0.1", &[]);
    let (terminal, _) = chat(&ways[1]);
    terminal.line("exit server");
    terminal.wait_for("the end", |screen| {
        screen.contains("\nthe relay has stopped")
    });
    ended(&terminal, 0);
}
