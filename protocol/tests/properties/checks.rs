//! What holds for a frame of any type.

use std::fmt::{Debug, Display};

use hii_protocol::{BufferTooSmall, Code, Frame, Limits, MAX_DATAGRAM, ParseError, Rule};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::Checked;

/// What tempts a decoder: its own marks and keys, and what nearly is one.
pub(crate) const TEMPTING: &[u8] = b" \t:;/.[]()',%?+-_0179azAZ\0\x7f\xa0\xff";

pub(crate) trait AnyFrame: Frame + Clone + Debug + Display + PartialEq {}
impl<F: Frame + Clone + Debug + Display + PartialEq> AnyFrame for F {}

pub(crate) fn decode<F: Frame>(octets: &[u8]) -> Result<F, ParseError> {
    F::decode_frame(octets, &Limits::DEFAULT)
}

pub(crate) fn encode(frame: &impl Frame) -> Vec<u8> {
    let mut octets = vec![0; frame.frame_len()];
    assert_eq!(frame.encode_frame(&mut octets), Ok(octets.len()));
    octets
}

pub(crate) fn comes_back<F: AnyFrame>(frame: &F) -> Checked {
    let octets = encode(frame);
    prop_assert_eq!(decode::<F>(&octets), Ok(frame.clone()));
    prop_assert_eq!(frame.to_string(), String::from_utf8_lossy(&octets));
    Ok(())
}

/// A buffer that is too short is left as it was; one that is too long, beyond the frame.
pub(crate) fn fills_its_room_only<F: AnyFrame>(frame: &F) -> Checked {
    const FILLER: u8 = 0xa5;
    let octets = encode(frame);
    let needed = octets.len();
    for len in sampled(needed) {
        let mut room = vec![FILLER; len];
        prop_assert_eq!(
            frame.encode_frame(&mut room),
            Err(BufferTooSmall { needed })
        );
        prop_assert!(room.iter().all(|octet| *octet == FILLER), "{} octets", len);
    }
    let mut room = vec![FILLER; needed + 9];
    prop_assert_eq!(frame.encode_frame(&mut room), Ok(needed));
    prop_assert_eq!(&room[..needed], &octets[..]);
    prop_assert_eq!(&room[needed..], &[FILLER; 9]);
    Ok(())
}

/// Whatever comes is decoded or refused within itself; what is decoded has one canonical form, which stays.
pub(crate) fn is_stable<F: AnyFrame>(octets: &[u8], codes: &[Code]) -> Checked {
    match decode::<F>(octets) {
        Err(error) => {
            prop_assert!(error.offset() <= octets.len(), "{:?}", error);
            let is_too_long = error.rule() == Rule::Datagram && octets.len() > MAX_DATAGRAM;
            prop_assert!(is_too_long || codes.contains(&error.code()), "{:?}", error);
        }
        Ok(frame) => {
            let canonical = encode(&frame);
            let again = decode::<F>(&canonical);
            prop_assert_eq!(again.as_ref(), Ok(&frame));
            prop_assert_eq!(again.map(|frame| encode(&frame)), Ok(canonical));
        }
    }
    Ok(())
}

/// Every truncation, and every octet changed, removed and doubled.
pub(crate) fn survives_damage<F: AnyFrame>(
    frame: &F,
    codes: &[Code],
    seeds: &[Index; 2],
) -> Checked {
    let octets = encode(frame);
    for at in sampled(octets.len()) {
        is_stable::<F>(&octets[..at], codes)?;
        let mut changed = octets.clone();
        let bit = 1 << seeds[0].index(8);
        let other = (octets[at] ^ bit).wrapping_add(u8::try_from(at & 1).unwrap());
        // Each place meets each tempting octet in the course of the cases.
        let tempting = TEMPTING[(seeds[1].index(TEMPTING.len()) + at) % TEMPTING.len()];
        for value in [other, octets[at] ^ 0x20, b' ', b':', tempting] {
            changed[at] = value;
            is_stable::<F>(&changed, codes)?;
        }
        changed.remove(at);
        is_stable::<F>(&changed, codes)?;
        changed.splice(at..at, [octets[at]; 2]);
        is_stable::<F>(&changed, codes)?;
    }
    Ok(())
}

/// Every place of a frame; of a long one the first 150, some, and the last.
pub(crate) fn sampled(len: usize) -> impl Iterator<Item = usize> {
    let step = (len / 50).max(1);
    (0..len).filter(move |at| *at < 150 || at % step == 0 || at + 1 == len)
}
