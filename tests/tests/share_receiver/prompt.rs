//! The key, asked for on a terminal.

use hii_tests::scratch::Directory;
use hii_tests::sender::{KEY, Offer, Sender};
use hii_tests::terminal::{self, PROMPT, Terminal};

use super::{HII, assert_same};

/// Waits until the key can be typed. The question appears a moment before that.
fn asked(terminal: &Terminal) {
    terminal.wait_for("question", |screen| screen.contains("Key:"));
    terminal.wait_until_hidden();
}

#[test]
fn the_key_is_asked_for_and_not_shown() {
    if !terminal::is_wanted() {
        eprintln!("not tested: HII_TMUX is not 1");
        return;
    }
    let offers = [Offer::file("file", "octets")];
    let sender = Sender::honest(offers.to_vec());
    let directory = Directory::new("get-prompt");
    let folder = directory.path("");
    let terminal = Terminal::new((100, 20), &[("HII", HII), ("FOLDER", &folder)]);
    terminal.line(&format!(
        "$HII get {} -o $FOLDER; echo code=$?",
        sender.address()
    ));
    asked(&terminal);
    terminal.line(&KEY.to_lowercase());
    let screen = terminal.wait_for("end", |screen| screen.contains("code=0"));
    assert!(
        screen.contains("1 of 1 file received and verified"),
        "{screen}"
    );
    assert!(!screen.to_uppercase().contains(&KEY[..8]), "{screen}");
    assert_same(&folder, &offers);

    // The next question is not to be mistaken for the last one.
    terminal.line("clear");
    terminal.wait_for("an empty screen", |screen| screen.trim() == PROMPT);
    terminal.line("$HII get 127.0.0.1; echo code=$?");
    asked(&terminal);
    terminal.key("C-c");
    terminal.wait_for("end", |screen| screen.contains("code=130"));
    // The terminal shows again what is typed.
    terminal.line("echo visible");
    terminal.wait_for("echo", |screen| {
        screen.contains(&format!("{PROMPT} echo visible"))
    });
}
