//! What holds for messages of the limit.

use hii_protocol::relay::{self, Content, Message, Payload, Raw};
use hii_protocol::{MAX_DATAGRAM, Rule};

/// Payloads of the limit, which random frames do not have.
#[test]
fn the_longest_payloads_fill_a_datagram() {
    let to = "[::]/1".parse().unwrap();
    let text = "x".repeat(Content::MAX_LEN);
    let octets = vec![0xff; Raw::MAX_LEN];
    for payload in [
        Payload::Content(Content::new(&text).unwrap()),
        Payload::Raw(Raw::new(&octets).unwrap()),
    ] {
        let request = relay::Request::Send(Message::new(to, payload).unwrap());
        let frame = request.to_vec();
        assert_eq!(frame.len(), MAX_DATAGRAM);
        assert_eq!(relay::Request::decode(&frame), Ok(request));
    }
    assert!(Content::new(&"x".repeat(Content::MAX_LEN + 1)).is_err());
    assert!(Raw::new(&vec![0; Raw::MAX_LEN + 1]).is_err());

    // The one frame that has a meaning and no canonical form which a datagram holds.
    let mut frame = b"to:192.0.2.7/9000;raw: ".to_vec();
    frame.resize(MAX_DATAGRAM, b'x');
    let request = relay::Request::decode(&frame).unwrap();
    assert_eq!(request.encoded_len(), MAX_DATAGRAM + 1);
    let error = relay::Request::decode(&request.to_vec()).unwrap_err();
    assert_eq!(
        (error.rule(), error.offset()),
        (Rule::Datagram, MAX_DATAGRAM)
    );
}
