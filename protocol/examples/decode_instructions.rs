//! Decodes one message N times and does nothing else, so that its instructions can be counted (`.ci/instructions`):
//! `decode_instructions ours|by-hand N`.

use std::hint::black_box;
use std::process::ExitCode;

use hii_protocol::relay::Request;

#[path = "../benches/by_hand/mod.rs"]
mod by_hand;

/// A classic message with 64 octets of content.
const MESSAGE: &[u8] =
    b"to:192.0.2.7/9000;content:the quick brown fox jumps over the lazy dog and then takes rest!";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let parser = args.next();
    let times = args.next().and_then(|times| times.parse::<u32>().ok());
    // On the heap, as receive buffers are, and so aligned: the check for UTF-8 takes fewer steps then.
    let message = MESSAGE.to_vec();
    match (parser.as_deref(), times) {
        (Some("ours"), Some(times)) => {
            for _ in 0..times {
                let _ = black_box(Request::decode(black_box(&message)));
            }
        }
        (Some("by-hand"), Some(times)) => {
            for _ in 0..times {
                let _ = black_box(by_hand::decode(black_box(&message)));
            }
        }
        _ => {
            eprintln!("usage: decode_instructions ours|by-hand N");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
