//! What a line says that the user typed.

use hii_protocol::Endpoint;

use crate::relay::args::endpoint;

/// What can be typed, for the help and for completion: the words, what follows them, and what they do. The numbers are
/// those of the original client's menu.
pub const COMMANDS: [(&str, &str, &str); 8] = [
    ("hii", "", "(1) greet the relay, and show your own address"),
    ("send", "TO TEXT", "(2) send a message"),
    (
        "receive",
        "",
        "(3) show the last messages again; they also show as they come",
    ),
    ("exit", "", "(4) leave"),
    ("exit server", "", "(5) ask the relay to stop"),
    (
        "to",
        "TO",
        "every line that you type goes there from now on",
    ),
    (
        "/to",
        "",
        "lines are commands again; with a / before them they always are",
    ),
    ("help", "", "this"),
];

/// A line that was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command<'a> {
    /// Nothing.
    Nothing,
    /// Greet the relay.
    Greet,
    /// Send this text there.
    Send(Endpoint, &'a str),
    /// Send this text to whom everything goes.
    Say(&'a str),
    /// Show what came.
    Receive,
    /// Send everything there from now on; none ends that.
    To(Option<Endpoint>),
    /// Leave.
    Exit,
    /// Ask the relay to stop.
    ExitServer,
    /// Show what can be typed.
    Help,
    /// It says nothing that is known, for this reason.
    Wrong(String),
}

/// What a line says. Where everything goes to somebody, only what begins with `/` is a command; two of them begin a text
/// with one.
#[must_use]
pub fn parse(line: &str, goes_to_somebody: bool) -> Command<'_> {
    let line = line.trim();
    let command = match (goes_to_somebody, line.strip_prefix('/')) {
        (true, None) if !line.is_empty() => return Command::Say(line),
        (true, Some(text)) if text.starts_with('/') => return Command::Say(text),
        (_, Some(command)) => command,
        (_, None) => line,
    };
    let (word, rest) = split(command);
    match (word.to_ascii_lowercase().as_str(), rest) {
        ("", "") => Command::Nothing,
        ("hii" | "1", "") => Command::Greet,
        ("send" | "2", rest) => match split(rest) {
            ("", _) => Command::Wrong(
                "send what to whom? send TO TEXT, as: send 192.0.2.7/9000 hello".into(),
            ),
            (to, "") => Command::Wrong(format!("send what? send TO TEXT, as: send {to} hello")),
            (to, text) => endpoint(to).map_or_else(
                |wrong| Command::Wrong(without_colon(to, text).unwrap_or(wrong)),
                |to| Command::Send(to, text),
            ),
        },
        ("receive" | "3", "") => Command::Receive,
        ("exit" | "quit" | "4", "") => Command::Exit,
        ("exit", "server") | ("5", "") => Command::ExitServer,
        ("to", "") => Command::To(None),
        ("to", to) => endpoint(to).map_or_else(Command::Wrong, |to| Command::To(Some(to))),
        ("help" | "?", _) => Command::Help,
        (_, text) if endpoint(word).is_ok() => {
            let slash = if goes_to_somebody { "/" } else { "" };
            Command::Wrong(format!("to send there: {slash}send {word} {text}"))
        }
        _ => {
            let slash = if goes_to_somebody { "/" } else { "" };
            Command::Wrong(format!(
                "no such command: {word:?}; `{slash}help` lists them ({slash}send TO TEXT sends a message)"
            ))
        }
    }
}

/// What to say where an address is right but for a colon behind it.
fn without_colon(to: &str, text: &str) -> Option<String> {
    let address = to.strip_suffix(':').filter(|to| endpoint(to).is_ok())?;
    Some(format!("no \":\" after the address: send {address} {text}"))
}

/// The first word, and the rest without the blanks between.
fn split(text: &str) -> (&str, &str) {
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (text, ""),
    }
}

/// Where the word begins that ends at `position`, and how it can go on: commands first, addresses behind them.
#[must_use]
pub fn complete(line: &str, position: usize, addresses: &[String]) -> (usize, Vec<String>) {
    let typed = line.get(..position).unwrap_or(line);
    let bare = typed.trim_start();
    let start = typed.len() - bare.len();
    let slash = if bare.starts_with('/') { "/" } else { "" };
    let command = bare.trim_start_matches('/').to_ascii_lowercase();
    for word in ["send ", "to "] {
        if let Some(address) = command.strip_prefix(word) {
            let address = address.trim_start();
            let start = typed.len() - address.len();
            let fitting = addresses.iter().filter(|known| known.starts_with(address));
            let space = if word == "send " { " " } else { "" };
            return (
                start,
                fitting.map(|known| format!("{known}{space}")).collect(),
            );
        }
    }
    let words = COMMANDS.iter().filter(|(word, ..)| !word.starts_with('/'));
    let fitting = words.filter(|(word, ..)| word.starts_with(&command));
    let whole = fitting.map(|(word, follows, _)| {
        let space = if follows.is_empty() { "" } else { " " };
        format!("{slash}{word}{space}")
    });
    (start, whole.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to() -> Endpoint {
        "192.0.2.7/9000".parse().unwrap()
    }

    #[test]
    fn the_five_acts_of_the_menu_have_names_and_numbers() {
        for (line, command) in [
            ("hii", Command::Greet),
            ("1", Command::Greet),
            (
                "send 192.0.2.7/9000 good  morning ",
                Command::Send(to(), "good  morning"),
            ),
            ("2 192.0.2.7/9000 12:30", Command::Send(to(), "12:30")),
            ("receive", Command::Receive),
            ("/3", Command::Receive),
            ("exit", Command::Exit),
            ("4", Command::Exit),
            ("exit server", Command::ExitServer),
            ("5", Command::ExitServer),
            ("to 192.0.2.7/9000", Command::To(Some(to()))),
            ("  ", Command::Nothing),
            ("HELP", Command::Help),
        ] {
            assert_eq!(parse(line, false), command, "{line}");
        }
        for line in [
            "hello",
            "send",
            "send x hello",
            "send 192.0.2.7/9000",
            "2 192.0.2.7/9000 ",
            "exit now",
            "to nobody",
            "6",
        ] {
            assert!(matches!(parse(line, false), Command::Wrong(_)), "{line}");
        }
    }

    #[test]
    fn what_goes_to_somebody_is_no_command_without_a_slash() {
        for (line, command) in [
            ("exit server", Command::Say("exit server")),
            (" 5 ", Command::Say("5")),
            ("/exit server", Command::ExitServer),
            ("//etc", Command::Say("/etc")),
            ("/to", Command::To(None)),
            ("", Command::Nothing),
        ] {
            assert_eq!(parse(line, true), command, "{line}");
        }
    }

    #[test]
    fn help_is_named_as_it_has_to_be_typed() {
        for (line, goes_to_somebody, named) in
            [("bogus", false, "`help`"), ("/bogus", true, "`/help`")]
        {
            let command = parse(line, goes_to_somebody);
            assert!(
                matches!(&command, Command::Wrong(why) if why.contains(named)),
                "{command:?}"
            );
        }
    }

    #[test]
    fn what_was_nearly_right_is_told_as_it_should_be() {
        for (line, goes_to_somebody, told) in [
            (
                "192.0.2.7/9000 hi",
                false,
                "to send there: send 192.0.2.7/9000 hi",
            ),
            (
                "/192.0.2.7/9000 hi",
                true,
                "to send there: /send 192.0.2.7/9000 hi",
            ),
            (
                "send 192.0.2.7/9000: hi",
                false,
                "no \":\" after the address: send 192.0.2.7/9000 hi",
            ),
        ] {
            let expected = Command::Wrong(told.into());
            assert_eq!(parse(line, goes_to_somebody), expected, "{line}");
        }
        assert_eq!(parse("help me", false), Command::Help);
    }

    #[test]
    fn words_and_addresses_are_completed() {
        let addresses = ["192.0.2.7/9000".to_owned(), "[2001:db8::7]/1".to_owned()];
        let complete = |line: &str| complete(line, line.len(), &addresses);
        assert_eq!(complete("se"), (0, vec!["send ".into()]));
        assert_eq!(
            complete(" /e"),
            (1, vec!["/exit".into(), "/exit server".into()])
        );
        assert_eq!(complete("send 1"), (5, vec!["192.0.2.7/9000 ".into()]));
        assert_eq!(complete("/to ["), (4, vec!["[2001:db8::7]/1".into()]));
        assert_eq!(complete("send 192.0.2.7/9000 x").1, Vec::<String>::new());
        assert_eq!(complete("").1.len(), COMMANDS.len() - 1);
    }
}
