//! Answers are never answered, so each has to be known for one.

use hii_protocol::relay::AnswerBuf;
use hii_protocol::{is_answer, ping};
use proptest::prelude::*;
use proptest::sample::select;

use crate::cases;
use crate::frames::{ping_answers, ping_requests, relay_answers, relay_requests};

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn every_answer_is_one_and_a_forward_is_none(ping in ping_answers(), relay in relay_answers()) {
        prop_assert!(is_answer(&ping.to_vec()), "{}", ping);
        let is_forward = matches!(relay, AnswerBuf::Forward(_));
        prop_assert_eq!(is_answer(&relay.to_vec()), !is_forward, "{}", relay);
    }

    #[test]
    fn no_request_is_an_answer(ping in ping_requests(), relay in relay_requests()) {
        prop_assert!(!is_answer(&relay.to_vec()), "{}", relay);
        // The octets of a message are free, and may be those of an answer. No other octets than these begin one.
        let octets = ping.to_vec();
        let may_be_answer = matches!(ping, ping::RequestBuf::Message(_))
            && [&b"Buffer "[..], b"Stopping ", b"Packet ", b"Acknow", b"A ", b"L ", b"('", b"200,", b"40"]
                .iter()
                .any(|start| octets.starts_with(start));
        prop_assert!(may_be_answer || !is_answer(&octets), "{}", ping);
    }

    /// Whole datagrams only: what only begins or ends with an answer is a message like any other.
    #[test]
    fn an_answer_with_more_around_it_is_none(
        ping in ping_answers(),
        relay in relay_answers(),
        // No digit and no SP: those may go on a probe answer's last field, or its padding.
        more in select(&b"\0\t\n.x)\xff"[..]),
    ) {
        for answer in [ping.to_vec(), relay.to_vec()] {
            prop_assert!(!is_answer(&[&[more], &answer[..]].concat()));
            prop_assert!(!is_answer(&[b" ", &answer[..]].concat()));
            let longer = [&answer[..], &[more]].concat();
            prop_assert!(!is_answer(&longer), "{}", String::from_utf8_lossy(&longer));
        }
    }
}
