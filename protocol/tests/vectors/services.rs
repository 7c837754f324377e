//! One frame of a service: what it means, and its canonical form.

use hii_protocol::{BufferTooSmall, ParseError, ping, relay, share};
use serde_json::{Value, json};

use crate::octets::{hex, octets};
use crate::{error_value, expect, meaning};

/// A frame's meaning and its canonical form.
type Decoded = Result<(Value, Vec<u8>), ParseError>;

/// One case of a service.
pub(crate) fn replay(case: &Value) -> Result<(), String> {
    let frame = octets(case, "")?;
    // The text is there for people; it must not tell them something else than the octets.
    let shown = String::from_utf8_lossy(&frame);
    if case.get("text").is_some_and(|text| *text != *shown) {
        return Err(format!(
            "hex and text differ: {shown:?} and {}",
            case["text"]
        ));
    }
    let expected = match (case.get("ok"), case.get("error")) {
        (Some(meaning), None) => {
            let meaning = with_whole_payload(meaning)?;
            json!({"ok": meaning, "canonical": hex(&octets(case, "canonical")?)})
        }
        (None, Some(error)) => json!({"error": error}),
        _ => return Err("neither `ok` nor `error`, or both".into()),
    };
    let decode = decoder(case)?;
    let decoded = decode(&frame);
    expect(&expected, &outcome(&decoded))?;

    if let Ok((meaning, canonical)) = &decoded {
        expect(
            &json!({"ok": meaning, "canonical": hex(canonical)}),
            &outcome(&decode(canonical)),
        )
        .map_err(|why| format!("the canonical form: {why}"))?;
    }
    lengths_to_cut(frame.len()).try_for_each(|len| {
        match decode(&frame[..len]) {
            Ok((_, canonical)) => decode(&canonical).map(|_| ()).map_err(|error| {
                format!("cut to {len} octets: the canonical form is refused: {error}")
            }),
            // What is missing is missing at the end, and nothing lies beyond it.
            Err(error) if error.offset() > len => Err(format!("cut to {len} octets: {error}")),
            Err(_) => Ok(()),
        }
    })
}

/// The meaning with a payload in parts put together.
fn with_whole_payload(meaning: &Value) -> Result<Value, String> {
    let mut whole = meaning.clone();
    let Some(fields) = whole.as_object_mut() else {
        return Err(format!("not a meaning: {meaning}"));
    };
    if fields.remove("content_parts").is_some() {
        let text = String::from_utf8(octets(meaning, "content")?);
        let text = text.map_err(|error| format!("content: {error}"))?;
        fields.insert("content".into(), text.into());
    }
    if fields.remove("raw_parts").is_some() {
        fields.insert("raw".into(), hex(&octets(meaning, "raw")?).into());
    }
    Ok(whole)
}

/// Every shorter length; of a long frame those near its ends, where its parts are.
fn lengths_to_cut(len: usize) -> impl Iterator<Item = usize> {
    (0..len).filter(move |cut| *cut < 256 || len - cut < 16)
}

fn decoder(case: &Value) -> Result<fn(&[u8]) -> Decoded, String> {
    let (service, direction) = (&case["service"], &case["direction"]);
    match (service.as_str(), direction.as_str()) {
        (Some("ping"), Some("request")) => Ok(|frame| {
            let request = ping::Request::decode(frame)?;
            let canonical = encode(request.encoded_len(), |room| request.encode_into(room));
            Ok((meaning::ping_request(request), canonical))
        }),
        (Some("ping"), Some("answer")) => Ok(|frame| {
            let answer = ping::Answer::decode(frame)?;
            let canonical = encode(answer.encoded_len(), |room| answer.encode_into(room));
            Ok((meaning::ping_answer(answer), canonical))
        }),
        (Some("relay"), Some("request")) => Ok(|frame| {
            let request = relay::Request::decode(frame)?;
            let canonical = encode(request.encoded_len(), |room| request.encode_into(room));
            Ok((meaning::relay_request(request), canonical))
        }),
        (Some("relay"), Some("answer")) => Ok(|frame| {
            let answer = relay::Answer::decode(frame)?;
            let canonical = encode(answer.encoded_len(), |room| answer.encode_into(room));
            Ok((meaning::relay_answer(answer), canonical))
        }),
        (Some("share"), Some("request")) => Ok(|frame| {
            let request = share::Request::decode(frame)?;
            let canonical = encode(request.encoded_len(), |room| request.encode_into(room));
            Ok((meaning::share_request(request), canonical))
        }),
        (Some("share"), Some("answer")) => Ok(|frame| {
            let answer = share::Answer::decode(frame)?;
            let canonical = encode(answer.encoded_len(), |room| answer.encode_into(room));
            Ok((meaning::share_answer(answer), canonical))
        }),
        _ => Err(format!("no such frames: {service} {direction}")),
    }
}

fn outcome(decoded: &Decoded) -> Value {
    match decoded {
        Ok((meaning, canonical)) => json!({"ok": meaning, "canonical": hex(canonical)}),
        Err(error) => json!({"error": error_value(*error)}),
    }
}

fn encode(len: usize, encode: impl Fn(&mut [u8]) -> Result<usize, BufferTooSmall>) -> Vec<u8> {
    let mut octets = vec![0; len];
    assert_eq!(encode(&mut octets), Ok(len));
    octets
}
