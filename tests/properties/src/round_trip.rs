//! Frames that can be built, including those that no mutation of octets finds.

use std::fmt::{Debug, Display};

use arbitrary::{Arbitrary, Unstructured};
use hii_protocol::{Frame, Limits, MAX_DATAGRAM, ping, relay, share};

use crate::frames::{NO_LIMIT, encode};

/// A valid frame of any type.
#[derive(Debug, Arbitrary)]
enum AnyFrame<'a> {
    PingRequest(ping::Request<'a>),
    PingAnswer(ping::Answer),
    RelayRequest(relay::Request<'a>),
    RelayAnswer(relay::Answer<'a>),
    ShareRequest(share::Request<'a>),
    ShareAnswer(share::AnswerBuf),
}

/// A frame that is built from these octets: what is encoded decodes to itself.
pub fn round_trip(octets: &[u8]) {
    let Ok(frame) = AnyFrame::arbitrary_take_rest(Unstructured::new(octets)) else {
        return;
    };
    match frame {
        AnyFrame::PingRequest(request) => reads_back(&request.into_owned()),
        AnyFrame::PingAnswer(answer) => reads_back(&answer),
        AnyFrame::RelayRequest(request) => reads_back(&request.into_owned()),
        AnyFrame::RelayAnswer(answer) => reads_back(&answer.into_owned()),
        AnyFrame::ShareRequest(request) => reads_back(&request.into_owned()),
        AnyFrame::ShareAnswer(answer) => reads_back(&answer),
    }
}

fn reads_back<F: Frame + PartialEq + Debug + Display>(frame: &F) {
    let octets = encode(frame);
    assert_eq!(F::decode_frame(&octets, &NO_LIMIT).as_ref(), Ok(frame));
    let is_too_long = F::decode_frame(&octets, &Limits::DEFAULT).is_err();
    assert_eq!(is_too_long, octets.len() > MAX_DATAGRAM);
    if let Ok(text) = str::from_utf8(&octets) {
        assert_eq!(frame.to_string(), text);
    }
}
