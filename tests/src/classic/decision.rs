//! What the original relay decides about a datagram: its table, one row after the other.
//!
//! Only the classic forms are known here. Where the original's table leaves a corner open, or the
//! original dies of it, the strict reading holds: blanks are the six ASCII ones, a port is digits,
//! an address is a dotted quad and nothing is ever resolved.

use std::net::Ipv4Addr;

/// The longest datagram that UDP over IPv4 carries.
const LONGEST: usize = 65_507;

/// What the relay is to do with a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision<'a> {
    /// Tell the sender its own address.
    Greeting,
    /// Stop, without an answer.
    ExitServer,
    /// Answer with this error code.
    Code(u16),
    /// Send the content on. If that cannot be done, the answer is 405 after all.
    Send {
        /// The destination's address. Any dotted quad, `0.0.0.0` too.
        ip: Ipv4Addr,
        /// The destination's port, never 0.
        port: u16,
        /// The content without the blanks around it.
        content: &'a str,
    },
}

/// Decides what is to be done with `datagram`. The first row that fits decides.
#[must_use]
pub fn decide(datagram: &[u8]) -> Decision<'_> {
    // Ahead of the table: what is no text, or too long to be a datagram, is no message.
    if datagram.len() > LONGEST {
        return Decision::Code(400);
    }
    let Ok(text) = str::from_utf8(datagram) else {
        return Decision::Code(400);
    };

    // Row 1: the greeting, with nothing around it.
    if text.eq_ignore_ascii_case("hii") {
        return Decision::Greeting;
    }

    // Row 2: the order to stop, exactly.
    if text == "exit server" {
        return Decision::ExitServer;
    }

    // Row 3: no `;` anywhere. Only the first one separates, so content may hold more.
    let Some((header, data)) = text.split_once(';') else {
        return Decision::Code(400);
    };

    // Row 4: one `:` in the header, one `/` in the header, one `:` in the data.
    let Some((header_key, destination)) = halves(header, ':') else {
        return Decision::Code(401);
    };
    if halves(header, '/').is_none() {
        return Decision::Code(401);
    }
    // The header has one `/`. If it is not here, it stands before the `:`.
    let Some((ip, port)) = halves(destination, '/') else {
        return Decision::Code(401);
    };
    let Some((data_key, content)) = halves(data, ':') else {
        return Decision::Code(401);
    };

    // Row 5: the header's key.
    if !trim(header_key).eq_ignore_ascii_case("to") {
        return Decision::Code(402);
    }

    // Row 6: the port is not a number.
    let Some(port) = number(trim(port)) else {
        return Decision::Code(403);
    };

    // Row 7: the data's key.
    if !trim(data_key).eq_ignore_ascii_case("content") {
        return Decision::Code(404);
    }

    // Row 8: no such address, or no such port.
    let Some(ip) = dotted_quad(trim(ip)) else {
        return Decision::Code(405);
    };
    let Ok(port) = u16::try_from(port) else {
        return Decision::Code(405);
    };
    if port == 0 {
        return Decision::Code(405);
    }

    // Row 9.
    Decision::Send {
        ip,
        port,
        content: trim(content),
    }
}

/// What stands before and after `mark`, if `text` holds exactly one.
fn halves(text: &str, mark: char) -> Option<(&str, &str)> {
    let mut parts = text.split(mark);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(before), Some(after), None) => Some((before, after)),
        _ => None,
    }
}

/// `text` without the ASCII blanks at its ends: space, tab, LF, VT, FF and CR.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r'])
}

/// The value of one or more digits. Whatever is over 65,535 becomes 65,536.
fn number(text: &str) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    let mut value = 0;
    for octet in text.bytes() {
        if !octet.is_ascii_digit() {
            return None;
        }
        // Capped at every step, so that no count of digits overflows.
        value = (value * 10 + u32::from(octet - b'0')).min(65_536);
    }
    Some(value)
}

/// Four decimal numbers of 0 to 255 with dots between them, none with a leading zero.
fn dotted_quad(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<&str> = text.split('.').collect();
    let [a, b, c, d] = parts[..] else {
        return None;
    };
    Some(Ipv4Addr::new(
        dec_octet(a)?,
        dec_octet(b)?,
        dec_octet(c)?,
        dec_octet(d)?,
    ))
}

fn dec_octet(text: &str) -> Option<u8> {
    if text.len() > 1 && text.starts_with('0') {
        return None;
    }
    u8::try_from(number(text)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;

    fn code(datagram: impl AsRef<[u8]>) -> Option<u16> {
        match decide(datagram.as_ref()) {
            Decision::Code(code) => Some(code),
            _ => None,
        }
    }

    fn refused(expected: u16, datagram: &str) {
        assert_eq!(code(datagram), Some(expected), "{datagram:?}");
    }

    /// Each of `datagrams`, one a line, earns `expected`.
    fn all_refused(expected: u16, datagrams: &str) {
        for datagram in datagrams.lines() {
            refused(expected, datagram.trim_ascii_start());
        }
    }

    fn sent(datagram: &str, ip: Ipv4Addr, port: u16, content: &str) {
        let expected = Decision::Send { ip, port, content };
        assert_eq!(decide(datagram.as_bytes()), expected, "{datagram:?}");
    }

    #[test]
    fn row_1_greeting() {
        for word in ["hii", "HII", "Hii", "hIi", "hiI"] {
            assert_eq!(decide(word.as_bytes()), Decision::Greeting, "{word}");
        }
        // Nothing may stand around the word, and a dotted capital I is not an i.
        for datagram in ["", " hii", "hii ", "hii\n", "hii\0", "hi", "hiii", "hİi"] {
            refused(400, datagram);
        }
    }

    #[test]
    fn row_2_exit_server() {
        assert_eq!(decide(b"exit server"), Decision::ExitServer);
        all_refused(
            400,
            "exit\nexit  server\nexit server \nExit server\nEXIT SERVER",
        );
        refused(400, "exit server\n");
    }

    #[test]
    fn row_3_no_separator() {
        all_refused(
            400,
            "hello\n:\n/\n400\nto:127.0.0.1/9\nto:127.0.0.1/9 content:x",
        );
    }

    #[test]
    fn row_4_parts() {
        all_refused(
            401,
            "to 127.0.0.1/9;content:x
            to::127.0.0.1/9;content:x
            to:127.0.0.1/9:;content:x
            to:127.0.0.1;content:x
            to:127.0.0.1//9;content:x
            to:127.0.0.1/9/;content:x
            to:127.0.0.1/9;
            to:127.0.0.1/9;content
            to:127.0.0.1/9;content:12:30
            to:127.0.0.1/9;content:x;y:
            a/b:c;content:x
            to/:9;content:x
            /to:127.0.0.1/9;content:x
            ;to:127.0.0.1/9;content:x
            ;
            ;;",
        );
    }

    #[test]
    fn row_5_header_key() {
        all_refused(
            402,
            ":127.0.0.1/9;content:x
            t:127.0.0.1/9;content:x
            too:127.0.0.1/9;content:x
            t o:127.0.0.1/9;content:x",
        );
        for key in ["\u{1c}to", "to\u{1f}", "\u{85}to", "\u{a0}to", "\u{2003}to"] {
            refused(402, &format!("{key}:127.0.0.1/9;content:x"));
        }
        for key in ["to", "TO", "To", "tO", " \t\r\n\x0b\x0cto \t\r\n\x0b\x0c"] {
            sent(&format!("{key}:127.0.0.1/9;content:x"), HERE, 9, "x");
        }
    }

    #[test]
    fn row_6_port_is_no_number() {
        for port in "x 9x x9 +5 -5 5_000 5.0 0x9 5\0 ٥ ５ \u{a0}9 9\u{85} \u{1c}9".split(' ') {
            refused(403, &format!("to:127.0.0.1/{port};content:x"));
        }
        all_refused(
            403,
            "to:127.0.0.1/;content:x\nto:127.0.0.1/ ;content:x\nto:1.1.1.1/5 5;content:x",
        );
    }

    #[test]
    fn row_7_data_key() {
        for key in [
            "",
            " ",
            "contents",
            "con tent",
            "raw",
            "\u{85}content",
            "content\u{1f}",
        ] {
            refused(404, &format!("to:127.0.0.1/9;{key}:x"));
        }
        for key in [
            "content",
            "CONTENT",
            "cOnTeNt",
            " \t\r\n\x0b\x0ccontent \t\r\n\x0b\x0c",
        ] {
            sent(&format!("to:127.0.0.1/9;{key}:x"), HERE, 9, "x");
        }
    }

    #[test]
    fn row_8_address() {
        let ips = "localhost 127.1 2130706433 0x7f.1 0177.0.0.1 127.0.0.01 127.0.0.1. .127.0.0.1 \
                   127..0.1 127.0.0.256 127.0.0.1.1 127.0.0.+1 127.0.0.-1 00.0.0.0 1.1.1.1000 \
                   1.1.1.99999999999999999999 ١.1.1.1 [192.0.2.7] \u{a0}127.0.0.1 127.0.0.1\u{1f}";
        for ip in ips.split(' ').chain(["", " ", "127.0.0. 1"]) {
            refused(405, &format!("to:{ip}/9;content:x"));
        }
        for octet in 0..=255 {
            let ip = Ipv4Addr::new(octet, 255 - octet, octet, 255);
            sent(&format!("to:{ip}/9;content:x"), ip, 9, "x");
            sent(
                &format!("to: \t\r\n\x0b\x0c{ip} \t\r\n\x0b\x0c/9;content:x"),
                ip,
                9,
                "x",
            );
        }
        // By its grammar an address; whether to send there is for the relay to say.
        sent("to:0.0.0.0/9;content:x", Ipv4Addr::UNSPECIFIED, 9, "x");
    }

    #[test]
    fn row_8_port_value() {
        for value in 0..70_000_u32 {
            let datagram = format!("to:127.0.0.1/{value};content:x");
            match u16::try_from(value) {
                Ok(port @ 1..) => sent(&datagram, HERE, port, "x"),
                _ => assert_eq!(code(&datagram), Some(405), "{datagram:?}"),
            }
        }
        for port in "000 655360 4294967297 18446744073709551625".split(' ') {
            refused(405, &format!("to:127.0.0.1/{port};content:x"));
        }
        let (nines, zeros) = ("9".repeat(1_000), "0".repeat(1_000));
        refused(405, &format!("to:127.0.0.1/{nines};content:x"));
        sent(&format!("to:127.0.0.1/{zeros}9;content:x"), HERE, 9, "x");
        sent(
            "to:127.0.0.1/ \t\r\n\x0b\x0c9 \t\r\n\x0b\x0c;content:x",
            HERE,
            9,
            "x",
        );
    }

    #[test]
    fn row_9_sent() {
        let ip = Ipv4Addr::new(192, 0, 2, 7);
        sent(
            "to:192.0.2.7/9000;content:good morning",
            ip,
            9000,
            "good morning",
        );
        sent(
            "to : 192.0.2.7 / 9000 ; content : good morning",
            ip,
            9000,
            "good morning",
        );

        for content in [
            "",
            ";",
            "a;b;",
            "a/b",
            "a  b",
            "grüß",
            "\0",
            "\u{a0}x\u{85}",
            "\u{1c}",
        ] {
            sent(
                &format!("to:127.0.0.1/9;content:{content}"),
                HERE,
                9,
                content,
            );
            let padded = format!("to:127.0.0.1/9;content: \t\r\n\x0b\x0c{content} \t\r\n\x0b\x0c");
            sent(&padded, HERE, 9, content);
        }
    }

    #[test]
    fn newer_forms_are_unknown() {
        all_refused(400, "hii ?\nhii 000102030405060708090a0b0c0d0e0f");
        refused(400, &format!("{:96}", "hii ?"));
        all_refused(401, "hii ?;\nhii x;content:y\nto:127.0.0.1/9;raw : 12:30");
        all_refused(401, "to:[::1]/9;content:x\nto:[2001:db8::7]/9;content:x");
        all_refused(404, "to:127.0.0.1/9;raw : x\nto:127.0.0.1/9;raw:x");
        assert_eq!(code(b"to:127.0.0.1/9;raw : \xff"), Some(400));
    }

    #[test]
    fn not_utf_8() {
        for start in [
            "",
            "hii",
            "exit server",
            "to:127.0.0.1/9;content:",
            "a/b:c;",
        ] {
            for octet in [0x80, 0xc3, 0xff] {
                let datagram = [start.as_bytes(), &[octet]].concat();
                assert_eq!(code(&datagram), Some(400), "{datagram:?}");
            }
        }
    }

    #[test]
    fn too_long() {
        let content = "x".repeat(65_486);
        let longest = format!("to:127.0.0.1/9;content:{}", &content[2..]);
        assert_eq!(longest.len(), LONGEST);
        sent(&longest, HERE, 9, &content[2..]);
        assert_eq!(code(longest + " "), Some(400));
        assert_eq!(code(vec![b':'; LONGEST + 1]), Some(400));
    }

    #[test]
    fn the_first_broken_row_decides() {
        // Every set of faults that can stand in one frame. Bit n set: the n-th fault is there.
        let faults = [401, 402, 403, 404, 405];
        for set in 0..1_u8 << faults.len() {
            let pick = |bit: u8, bad, good| if set & 1 << bit == 0 { good } else { bad };
            let extra = pick(0, ":", "");
            let (key, port) = (pick(1, "from", "to"), pick(2, "-1", "9"));
            let (data_key, ip) = (pick(3, "text", "content"), pick(4, "host", "127.0.0.1"));
            let first = (0..).zip(faults).find(|(bit, _)| set & 1 << bit != 0);
            let expected = first.map(|(_, code)| code);
            for datagram in [
                format!("{key}{extra}:{ip}/{port};{data_key}:x"),
                format!("{key}:{ip}/{port};{data_key}{extra}:x"),
                format!(" {key} : {ip} / {port} ; {data_key} : x{extra} "),
            ] {
                assert_eq!(code(&datagram), expected, "{datagram:?}");
                // Without the separator, or without UTF-8, nothing else matters.
                assert_eq!(code(datagram.replace(';', ",")), Some(400));
                assert_eq!(code([datagram.as_bytes(), b"\xff"].concat()), Some(400));
            }
        }
        // A port that is no number comes before the data's key, a port out of range after it.
        all_refused(403, "to:host/x;text:x");
        all_refused(404, "to:127.0.0.1/0;text:x\nto:127.0.0.1/65536;text:x");
        // The `/` before the `:` comes before the keys.
        all_refused(401, "a/b:c;d:e");
    }

    #[test]
    fn every_short_frame_has_a_decision() {
        let alphabet = b"t:/;1. \xff\xc3\xbc";
        let mut frames = vec![Vec::new()];
        for _ in 0..4 {
            let longer = |frame: &Vec<u8>| alphabet.map(|octet| [&frame[..], &[octet]].concat());
            frames = frames.iter().flat_map(longer).collect();
            for frame in &frames {
                let code = code(frame).expect("too short to be sent");
                assert!((400..=405).contains(&code), "{frame:?}");
            }
        }
    }
}
