//! Streams: what comes out of one, read by hand and through the codec.

use hii_protocol::Limits;
use hii_protocol::stream::{self, Step};
use serde_json::{Value, json};

use crate::error_value;
use crate::octets::{hex, octets};

/// What a framing case says: its frames, and how many octets are left over.
pub(crate) fn framing_of(case: &Value) -> Result<Value, String> {
    let frames = case["frames"].as_array().ok_or("no `frames`")?;
    let frames = frames.iter().map(|frame| match frame.get("error") {
        Some(error) => Ok(json!({"error": error})),
        None => Ok(json!({"ok": hex(&octets(frame, "ok")?)})),
    });
    let frames = frames.collect::<Result<Vec<_>, String>>()?;
    Ok(json!({"frames": frames, "rest": case["rest"], "end_error": case["end_error"]}))
}

/// Reads a stream with `step` alone, as a receiver that holds all of it would.
pub(crate) fn by_hand(stream: &[u8]) -> Value {
    let mut frames = Vec::new();
    let mut held = stream;
    loop {
        match stream::step(held, &Limits::DEFAULT) {
            Step::Wait(needed) => {
                assert!(needed > held.len(), "waits for what is there");
                let end_error = stream::cut_off(held.len()).map(error_value);
                return json!({"frames": frames, "rest": held.len(), "end_error": end_error});
            }
            Step::Frame(len) => {
                let (frame, rest) = held[stream::HEADER_LEN..].split_at(len);
                frames.push(json!({"ok": hex(frame)}));
                held = rest;
            }
            Step::Skip(octets) => {
                frames.push(json!({"error": error_value(stream::malformed())}));
                let after = stream::HEADER_LEN + usize::try_from(octets).unwrap();
                held = held.get(after..).unwrap_or_default();
            }
        }
    }
}

#[cfg(feature = "codec")]
pub(crate) mod codec {
    use bytes::BytesMut;
    use hii_protocol::codec::StreamCodec;
    use hii_protocol::{BufferTooSmall, Frame, Limits, ParseError};
    use serde_json::{Value, json};
    use tokio_util::codec::Decoder as _;

    /// Any payload: framing must not depend on what a payload says.
    struct Anything(Vec<u8>);

    impl Frame for Anything {
        fn decode_frame(octets: &[u8], _: &Limits) -> Result<Self, ParseError> {
            Ok(Self(octets.to_vec()))
        }

        fn frame_len(&self) -> usize {
            self.0.len()
        }

        fn encode_frame(&self, buffer: &mut [u8]) -> Result<usize, BufferTooSmall> {
            let needed = self.0.len();
            let room = buffer.get_mut(..needed).ok_or(BufferTooSmall { needed })?;
            room.copy_from_slice(&self.0);
            Ok(needed)
        }
    }

    /// Reads a stream that comes `step` octets at a time.
    pub(crate) fn read(step: usize, stream: &[u8]) -> Value {
        // The vectors are about the stream alone, whose frames may be longer than those of ping and relay.
        let limits = Limits {
            datagram: 1 << 20,
            ..Limits::DEFAULT
        };
        let mut codec = StreamCodec::<Anything>::new(limits);
        let mut buffer = BytesMut::new();
        let mut frames = Vec::new();
        for octets in stream.chunks(step) {
            buffer.extend_from_slice(octets);
            while let Some(frame) = codec.decode(&mut buffer).unwrap() {
                frames.push(match frame {
                    Ok(Anything(octets)) => json!({"ok": super::hex(&octets)}),
                    Err(error) => json!({"error": super::error_value(error)}),
                });
            }
        }
        let rest = buffer.len();
        let end_error = codec.decode_eof(&mut buffer).unwrap().map(|item| {
            let error = item.map(|Anything(octets)| octets).unwrap_err();
            super::error_value(error)
        });
        assert_eq!(codec.decode_eof(&mut buffer).unwrap().map(|_| ()), None);
        json!({"frames": frames, "rest": rest, "end_error": end_error})
    }
}
