//! Answers are never answered (`WIRE.md` section 1.2).

use crate::{ping, relay};

/// Whether a whole datagram is exactly an answer of a Hii service: those are never answered, or two services would
/// answer each other for ever. A relay's forward is a message, not an answer.
///
/// ```
/// use hii_protocol::is_answer;
///
/// assert!(is_answer(b"Packet Acknowledged"));
/// assert!(is_answer(b"401"));
/// assert!(!is_answer(b"Packet Acknowledged "));
/// assert!(!is_answer(b"192.0.2.7/9000 ; content : hello"));
/// ```
#[must_use]
pub fn is_answer(datagram: &[u8]) -> bool {
    // No answer begins as a probe or a message does, and a flood is all of these.
    if datagram.starts_with(b"P ") || matches!(datagram.first(), Some(b't' | b'T')) {
        return false;
    }
    ping::Answer::decode(datagram).is_ok()
        || matches!(
            relay::Answer::decode(datagram),
            Ok(answer) if !matches!(answer, relay::Answer::Forward(_))
        )
}

#[cfg(test)]
mod tests {
    use super::is_answer;

    #[test]
    fn knows_each_answer_and_nothing_else() {
        let answers = [
            "Buffer Size Calibrated at Server.",
            "Stopping the Server.",
            "Packet Acknowledged",
            "Acknowledgement",
            "A 00c0ffee 7",
            "A 00c0ffee 7 6 000000000000005f 1200 1789000000000000000     ",
            "A 00c0ffee 7 6 000000000000005f 1200 1789000000000000000 3   ",
            "L 00c0ffee 7",
            "L 00c0ffee 7 601 599",
            "('192.0.2.7', 9000)",
            "('2001:db8::7', 9000) ; token : 000102030405060708090a0b0c0d0e0f",
            "200, UDP Packet Sent Successfully",
            "400",
            "404",
            "405, Could not send the message to the requested address",
        ];
        for answer in answers {
            assert!(is_answer(answer.as_bytes()), "{answer}");
            // One octet more or less makes it an ordinary message; a probe-answer may be padded.
            assert!(
                !is_answer(std::format!("{answer}.").as_bytes()),
                "{answer}."
            );
            assert!(
                !is_answer(std::format!(" {answer}").as_bytes()),
                " {answer}"
            );
        }
        for other in [
            "",
            "405",
            "200",
            "hii",
            "P 00c0ffee 7",
            "L 00c0ffee 7 ",
            "192.0.2.7/9000 ; content : hello",
        ] {
            assert!(!is_answer(other.as_bytes()), "{other}");
        }
    }
}
