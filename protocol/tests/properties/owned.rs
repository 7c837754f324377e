//! Frames that own what they hold, beside those that borrow it.

use hii_protocol::{ping, relay};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::cases;
use crate::frames::{ping_requests, relay_answers, relay_requests};

/// Owned and borrowed are the same frame.
macro_rules! assert_same {
    ($borrowed:expr, $owned:expr, $as_borrowed:ident) => {{
        let (borrowed, owned) = ($borrowed, $owned);
        prop_assert_eq!(&borrowed.into_owned(), owned);
        prop_assert_eq!(borrowed, owned.$as_borrowed());
        prop_assert_eq!(borrowed.to_vec(), owned.to_vec());
        prop_assert_eq!(borrowed.encoded_len(), owned.encoded_len());
        prop_assert_eq!(borrowed.to_string(), owned.to_string());
        let mut room = owned.to_vec();
        room.fill(0);
        prop_assert_eq!(borrowed.encode_into(&mut room), Ok(room.len()));
        prop_assert_eq!(room, owned.to_vec());
    }};
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn owned_and_borrowed_are_the_same_frame(
        ping in ping_requests(),
        request in relay_requests(),
        answer in relay_answers(),
    ) {
        let octets = ping.to_vec();
        assert_same!(ping::Request::decode(&octets).unwrap(), &ping, as_request);
        let octets = request.to_vec();
        assert_same!(relay::Request::decode(&octets).unwrap(), &request, as_request);
        let octets = answer.to_vec();
        assert_same!(relay::Answer::decode(&octets).unwrap(), &answer, as_answer);
    }

    /// From the octets on, since frames that a strategy owns would hide what owning loses.
    #[test]
    fn owned_frames_keep_every_octet(octets in vec(any::<u8>(), 0..300)) {
        for frame in [
            [b"to:192.0.2.7/9000;raw : ", &octets[..]].concat(),
            [b"x", &octets[..]].concat(),
        ] {
            if let Ok(request) = relay::Request::decode(&frame) {
                prop_assert_eq!(request.into_owned().to_vec(), &frame[..]);
            }
            if let Ok(request) = ping::Request::decode(&frame) {
                prop_assert_eq!(request.into_owned().to_vec(), &frame[..]);
            }
        }
        let forward = [b"192.0.2.7/9000 ; raw : ", &octets[..]].concat();
        prop_assert_eq!(relay::Answer::decode(&forward).unwrap().into_owned().to_vec(), forward);
    }
}
