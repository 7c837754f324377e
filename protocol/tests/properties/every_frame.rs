//! What holds for each type of frame: it comes back, fills its room only and survives damage.

use hii_protocol::Code;
use hii_protocol::ping;
use hii_protocol::relay::{AnswerBuf, RequestBuf};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::cases;
use crate::checks::{TEMPTING, comes_back, fills_its_room_only, is_stable, survives_damage};
use crate::frames::{ping_answers, ping_requests, relay_answers, relay_requests};

const ONLY_400: &[Code] = &[Code::NotARequest];

macro_rules! for_each_frame_type {
    ($($name:ident: $frames:expr, errors $codes:expr;)*) => {$(
        mod $name {
            use super::*;

            proptest! {
                #![proptest_config(cases(256))]

                #[test]
                fn come_back(frame in $frames) {
                    comes_back(&frame)?;
                }

                #[test]
                fn fill_their_room_only(frame in $frames) {
                    fills_its_room_only(&frame)?;
                }

                #[cfg(feature = "serde")]
                #[test]
                fn come_back_through_json(frame in $frames) {
                    through_json(&frame)?;
                }
            }

            proptest! {
                #![proptest_config(cases(64))]

                #[test]
                fn survive_damage(frame in $frames, seeds in any::<[Index; 2]>()) {
                    survives_damage(&frame, $codes, &seeds)?;
                }
            }
        }
    )*};
}

for_each_frame_type! {
    ping_request: ping_requests(), errors &[Code::Structure, Code::Number];
    ping_answer: ping_answers(), errors ONLY_400;
    relay_request: relay_requests(), errors &Code::ALL;
    relay_answer: relay_answers(), errors ONLY_400;
}

/// Text where the frame is UTF-8, a list of octets where it is not.
#[cfg(feature = "serde")]
fn through_json<F>(frame: &F) -> crate::Checked
where
    F: crate::checks::AnyFrame + serde::Serialize + serde::de::DeserializeOwned,
{
    let octets = crate::checks::encode(frame);
    let value = serde_json::to_value(frame).unwrap();
    let expected = match str::from_utf8(&octets) {
        Ok(text) => serde_json::Value::from(text),
        Err(_) => serde_json::Value::from(octets),
    };
    prop_assert_eq!(&value, &expected);
    let json = serde_json::to_string(frame).unwrap();
    prop_assert_eq!(serde_json::from_str::<F>(&json).unwrap(), frame.clone());
    prop_assert_eq!(serde_json::from_value::<F>(value).unwrap(), frame.clone());
    Ok(())
}

proptest! {
    #![proptest_config(cases(256))]

    /// A decoder may see any frame, not only those for it.
    #[test]
    fn any_octets_are_decoded_or_refused(
        octets in prop_oneof![
            vec(any::<u8>(), 0..200),
            vec(select(TEMPTING), 0..40),
            ping_requests().prop_map(|frame| frame.to_vec()),
            ping_answers().prop_map(|frame| frame.to_vec()),
            relay_requests().prop_map(|frame| frame.to_vec()),
            relay_answers().prop_map(|frame| frame.to_vec()),
        ],
    ) {
        is_stable::<ping::RequestBuf>(&octets, &[Code::Structure, Code::Number])?;
        is_stable::<ping::Answer>(&octets, ONLY_400)?;
        is_stable::<RequestBuf>(&octets, &Code::ALL)?;
        is_stable::<AnswerBuf>(&octets, ONLY_400)?;
    }

}

#[cfg(feature = "arbitrary")]
proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn frames_for_fuzzing_are_valid(octets in vec(any::<u8>(), 0..400)) {
        use arbitrary::{Arbitrary as _, Unstructured};
        use hii_protocol::relay;

        if let Ok(frame) = ping::Request::arbitrary(&mut Unstructured::new(&octets)) {
            comes_back(&frame.into_owned())?;
        }
        if let Ok(frame) = ping::Answer::arbitrary(&mut Unstructured::new(&octets)) {
            comes_back(&frame)?;
        }
        if let Ok(frame) = relay::Request::arbitrary(&mut Unstructured::new(&octets)) {
            comes_back(&frame.into_owned())?;
        }
        if let Ok(frame) = relay::Answer::arbitrary(&mut Unstructured::new(&octets)) {
            comes_back(&frame.into_owned())?;
        }
    }
}
