//! Draws on the terminal and ends in a panic, once somebody writes to the file that is named.

use hii_client::ping::events::Interrupt;
use hii_client::ping::output::{LiveOutput, Output as _};

fn main() {
    let mut output = LiveOutput::new(Interrupt::default(), None);
    output.start(&[]).expect("a terminal");
    let file = std::env::args().nth(1).expect("a file");
    let why = std::fs::read_to_string(file).expect("somebody writes to it");
    panic!("{why}");
}
