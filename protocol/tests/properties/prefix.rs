//! Frames that begin as a message did.

use hii_protocol::relay::{Message, Prefix, Request};
use proptest::prelude::*;

use super::{BLANKS, Checked, cases};

/// What stands before the payloads of messages, and before what may look like one.
fn beginnings() -> impl Strategy<Value = Vec<u8>> {
    let to = prop::sample::select(vec!["to", "TO", " to ", "\tTo"]);
    let address = prop::sample::select(vec![
        "192.0.2.7/9000",
        "[2001:db8::7]/9000",
        "[::ffff:192.0.2.7]/09000",
        " 127.0.0.1 / 1 ",
        "2001:db8::7/9000",
        "[abcd:abcd:abcd:abcd:abcd:abcd:255.255.255.255]/65535",
        "1.2.3.4/00000000000000000000000000000000000000000000000000000009",
    ]);
    let key = prop::sample::select(vec!["content:", " CONTENT :", "raw: ", "raw\t: ", "raw:"]);
    let blanks = prop::collection::vec(prop::sample::select(BLANKS), 0..40);
    (
        to,
        address,
        key,
        prop_oneof![3 => Just(Vec::new()), 1 => blanks],
    )
        .prop_map(|(to, address, key, blanks)| {
            let parts = [to, ":", address, ";", key].map(str::as_bytes);
            [&blanks[..], &parts.concat()].concat()
        })
}

fn tails() -> impl Strategy<Value = Vec<u8>> {
    let octet = prop_oneof![
        8 => any::<u8>().prop_map(|octet| octet % 128),
        1 => any::<u8>(),
        1 => prop::sample::select(b" \t:;".to_vec()),
    ];
    prop::collection::vec(octet, 0..50)
}

/// It says of a frame what the decoder says.
fn check(prefix: Prefix, to: Message<'_>, beginning: &[u8], frame: &[u8]) -> Checked {
    let request = Request::decode(frame);
    match prefix.payload(frame) {
        Some(payload) => {
            let message = Message::new(to.to(), payload).unwrap();
            prop_assert_eq!(request, Ok(Request::Send(message)));
        }
        None => prop_assert!(request.is_err() || !frame.starts_with(beginning)),
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(4096))]

    #[test]
    fn a_frame_that_begins_as_a_message_did_is_what_the_decoder_says(
        beginning in beginnings(), other in beginnings(), first in tails(), next in tails(),
    ) {
        let frame = [&beginning[..], &first].concat();
        let decoded = Prefix::decode(&frame);
        prop_assert_eq!(decoded.map(|(request, _)| request), Request::decode(&frame));
        let Ok((Request::Send(message), prefix)) = decoded else {
            prop_assert!(matches!(decoded, Err(_) | Ok((_, None))));
            return Ok(());
        };
        let Some(prefix) = prefix else {
            // That of a raw payload has a space more.
            prop_assert!(beginning.len() >= Prefix::MAX_LEN);
            return Ok(());
        };
        prop_assert_eq!(prefix.payload(&frame), Some(message.payload()));
        check(prefix, message, &beginning, &[&beginning[..], &next].concat())?;
        check(prefix, message, &beginning, &[&other[..], &next].concat())?;
        check(prefix, message, &beginning, &beginning[..beginning.len() - 1])?;
    }
}

#[test]
fn the_longest_beginning_without_blanks_and_leading_zeros_fits() {
    let (_, prefix) =
        Prefix::decode(b"to:[abcd:abcd:abcd:abcd:abcd:abcd:255.255.255.255]/65535;content:")
            .unwrap();
    assert!(prefix.is_some());
}

#[test]
fn a_frame_longer_than_a_datagram_is_no_message() {
    let frame = b"to:192.0.2.7/9000;content:x";
    let (_, prefix) = Prefix::decode(frame).unwrap();
    let prefix = prefix.unwrap();
    let mut long = frame.to_vec();
    long.resize(hii_protocol::MAX_DATAGRAM, b'x');
    assert!(prefix.payload(&long).is_some());
    long.push(b'x');
    assert_eq!(prefix.payload(&long), None);
}
