//! Replays `vectors/*.json`. The vectors are written from `WIRE.md` alone, so what fails here is either the code or the
//! document. Every failure of a file is printed, since one mistake usually shows in several cases.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::panic::catch_unwind;

use hii_protocol::stream::{self, Step};
use hii_protocol::{BufferTooSmall, Limits, ParseError, Rule, ping, relay, share};
use serde_json::{Value, json};

/// Rules that no frame of a service breaks, only a stream: those are in `framing.json`.
const STREAM_RULES: [Rule; 2] = [Rule::FrameLength, Rule::TcpFrame];

/// A frame's meaning and its canonical form.
type Decoded = Result<(Value, Vec<u8>), ParseError>;

#[test]
fn every_ping_vector() {
    replay_file("ping.json", replay);
}

#[test]
fn every_relay_vector() {
    replay_file("relay.json", replay);
}

#[test]
fn every_share_vector() {
    replay_file("share.json", replay);
}

#[test]
fn every_framing_vector_by_hand() {
    replay_file("framing.json", |case| {
        let stream = octets(case, "")?;
        expect(&framing_of(case)?, &by_hand(&stream))
    });
}

#[cfg(feature = "codec")]
#[test]
fn every_framing_vector_through_the_codec() {
    replay_file("framing.json", |case| {
        let stream = octets(case, "")?;
        let expected = framing_of(case)?;
        let whole = codec::read(stream.len().max(1), &stream);
        expect(&expected, &whole).map_err(|why| format!("fed whole: {why}"))?;
        let in_steps = codec::read(1, &stream);
        expect(&expected, &in_steps).map_err(|why| format!("fed octet by octet: {why}"))
    });
}

#[test]
fn vectors_are_many_and_break_every_rule() {
    let services = ["ping.json", "relay.json", "share.json"]
        .map(cases)
        .concat();
    let framing = cases("framing.json");
    assert!(services.len() >= 200, "only {}", services.len());

    let broken = |cases: &[Value]| -> BTreeSet<String> {
        let own = cases.iter().map(|case| &case["error"]["rule"]);
        let of_frames = cases
            .iter()
            .flat_map(|case| case["frames"].as_array().into_iter().flatten())
            .map(|frame| &frame["error"]["rule"]);
        let of_ends = cases.iter().map(|case| &case["end_error"]["rule"]);
        let rules = own.chain(of_frames).chain(of_ends);
        let rules = rules.filter_map(Value::as_str);
        rules.map(str::to_owned).collect()
    };
    let all = |wanted: fn(&Rule) -> bool| -> BTreeSet<String> {
        let rules = Rule::ALL.iter().filter(|rule| wanted(rule));
        rules.map(|rule| rule.name().to_owned()).collect()
    };
    assert_eq!(
        broken(&services),
        all(|rule| !STREAM_RULES.contains(rule)),
        "rules broken by the frames of the services"
    );
    assert_eq!(
        broken(&framing),
        all(|rule| STREAM_RULES.contains(rule)),
        "rules broken by framing.json"
    );
}

/// Runs `replay` on each case of a file and fails with all that went wrong.
fn replay_file(file: &str, replay: fn(&Value) -> Result<(), String>) {
    let cases = cases(file);
    let mut names = BTreeSet::new();
    let mut failures = Vec::new();
    for case in &cases {
        let name = case["name"].as_str().unwrap_or("(no name)");
        if !names.insert(name) {
            failures.push(format!("{name}: the name is not unique"));
        }
        // A panic must not hide the cases after it.
        match catch_unwind(|| replay(case)) {
            Ok(Ok(())) => {}
            Ok(Err(why)) => failures.push(format!("{name}: {why}")),
            Err(_) => failures.push(format!("{name}: panicked, see above")),
        }
    }
    assert!(
        failures.is_empty(),
        "{file}: {} of {} cases fail\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}

fn cases(file: &str) -> Vec<Value> {
    let path = format!("{}/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// One case of a service.
fn replay(case: &Value) -> Result<(), String> {
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
            Ok((ping_request(request), canonical))
        }),
        (Some("ping"), Some("answer")) => Ok(|frame| {
            let answer = ping::Answer::decode(frame)?;
            let canonical = encode(answer.encoded_len(), |room| answer.encode_into(room));
            Ok((ping_answer(answer), canonical))
        }),
        (Some("relay"), Some("request")) => Ok(|frame| {
            let request = relay::Request::decode(frame)?;
            let canonical = encode(request.encoded_len(), |room| request.encode_into(room));
            Ok((relay_request(request), canonical))
        }),
        (Some("relay"), Some("answer")) => Ok(|frame| {
            let answer = relay::Answer::decode(frame)?;
            let canonical = encode(answer.encoded_len(), |room| answer.encode_into(room));
            Ok((relay_answer(answer), canonical))
        }),
        (Some("share"), Some("request")) => Ok(|frame| {
            let request = share::Request::decode(frame)?;
            let canonical = encode(request.encoded_len(), |room| request.encode_into(room));
            Ok((share_request(request), canonical))
        }),
        (Some("share"), Some("answer")) => Ok(|frame| {
            let answer = share::Answer::decode(frame)?;
            let canonical = encode(answer.encoded_len(), |room| answer.encode_into(room));
            Ok((share_answer(answer), canonical))
        }),
        _ => Err(format!("no such frames: {service} {direction}")),
    }
}

fn ping_request(request: ping::Request<'_>) -> Value {
    match request {
        ping::Request::Calibrate(size) => json!({"frame": "calibrate", "size": size.get()}),
        ping::Request::Exit => json!({"frame": "exit"}),
        ping::Request::Probe(probe) => json!({
            "frame": "probe",
            "run": probe.run().to_string(),
            "seq": probe.seq().to_string(),
            "size": probe.size().get(),
        }),
        // The octets are compared as the canonical form.
        ping::Request::Message(_) => json!({"frame": "message"}),
    }
}

fn ping_answer(answer: ping::Answer) -> Value {
    match answer {
        ping::Answer::Calibrated => json!({"frame": "calibrated"}),
        ping::Answer::Stopping => json!({"frame": "stopping"}),
        ping::Answer::PacketAcknowledged => json!({"frame": "packet-acknowledged"}),
        ping::Answer::Acknowledgement => json!({"frame": "acknowledgement"}),
        ping::Answer::Refused(code) => json!({"frame": "code", "code": code.number()}),
        ping::Answer::Probe(answer) => {
            let mut meaning = json!({
                "frame": "probe-answer",
                "run": answer.run().to_string(),
                "seq": answer.seq().to_string(),
                "size": answer.size().get(),
            });
            let fields = [
                ("count", answer.count().map(|count| count.to_string())),
                (
                    "window",
                    answer.window().map(|window| format!("{window:016x}")),
                ),
                ("held", answer.held().map(|held| held.to_string())),
                (
                    "received",
                    answer.received().map(|received| received.to_string()),
                ),
            ];
            for (name, field) in fields {
                if let Some(text) = field {
                    meaning[name] = text.into();
                }
            }
            meaning
        }
    }
}

fn relay_request(request: relay::Request<'_>) -> Value {
    match request {
        relay::Request::Greeting => json!({"frame": "greeting"}),
        relay::Request::TokenRequest => json!({"frame": "token-request"}),
        relay::Request::ExitServer => json!({"frame": "exit-server"}),
        relay::Request::TokenGreeting(token) => {
            json!({"frame": "token-greeting", "token": token.to_string()})
        }
        relay::Request::Send(message) => {
            let to = message.to();
            let mut meaning =
                json!({"frame": "send", "ip": to.ip().to_string(), "port": to.port()});
            add_payload(&mut meaning, message.payload());
            meaning
        }
    }
}

fn relay_answer(answer: relay::Answer<'_>) -> Value {
    match answer {
        relay::Answer::Address(own) => {
            json!({"frame": "address-answer", "ip": own.ip().to_string(), "port": own.port()})
        }
        relay::Answer::Token(own, token) => json!({
            "frame": "token-answer",
            "ip": own.ip().to_string(),
            "port": own.port(),
            "token": token.to_string(),
        }),
        relay::Answer::Sent => json!({"frame": "sent"}),
        relay::Answer::Refused(code) => json!({"frame": "code", "code": code.number()}),
        relay::Answer::Forward(forward) => {
            let from = forward.from();
            let mut meaning =
                json!({"frame": "forward", "ip": from.ip().to_string(), "port": from.port()});
            add_payload(&mut meaning, forward.payload());
            meaning
        }
    }
}

fn share_request(request: share::Request<'_>) -> Value {
    match request {
        share::Request::Hello(version) => hello(version),
        share::Request::Want { id, start } => {
            let mut meaning = json!({"frame": "want", "id": id.get().to_string()});
            if let share::Start::After { offset, digest } = start {
                meaning["octets"] = offset.to_string().into();
                meaning["digest"] = digest.to_string().into();
            }
            meaning
        }
        share::Request::Got(id) => json!({"frame": "got", "id": id.get().to_string()}),
        share::Request::Done => json!({"frame": "done"}),
        share::Request::Cancel(text) => json!({"frame": "cancel", "text": text.as_str()}),
        share::Request::Error(problem, text) => error_frame(problem, text),
    }
}

fn share_answer(answer: share::Answer<'_>) -> Value {
    match answer {
        share::Answer::Hello(version) => hello(version),
        share::Answer::Page(page) => {
            let entries: Vec<_> = page.entries().map(|entry| share_entry(&entry)).collect();
            json!({"frame": "page", "entries": entries})
        }
        share::Answer::End { entries, octets } => {
            json!({"frame": "end", "entries": entries.to_string(), "octets": octets.to_string()})
        }
        share::Answer::File { id, offset } => {
            json!({"frame": "file", "id": id.get().to_string(), "octets": offset.to_string()})
        }
        share::Answer::Data(data) => json!({"frame": "data", "raw": hex(data.as_bytes())}),
        share::Answer::Sum { id, octets, digest } => json!({
            "frame": "sum",
            "id": id.get().to_string(),
            "octets": octets.to_string(),
            "digest": digest.to_string(),
        }),
        share::Answer::Failed(id, problem, text) => {
            let mut meaning = error_frame(problem, text);
            meaning["frame"] = "failed".into();
            meaning["id"] = id.get().to_string().into();
            meaning
        }
        share::Answer::Done => json!({"frame": "done"}),
        share::Answer::Cancel(text) => json!({"frame": "cancel", "text": text.as_str()}),
        share::Answer::Error(problem, text) => error_frame(problem, text),
    }
}

fn hello(version: std::num::NonZeroU64) -> Value {
    json!({"frame": "hello", "version": version.to_string()})
}

fn error_frame(problem: share::Problem, text: share::Text<'_>) -> Value {
    json!({"frame": "error", "problem": problem.word(), "text": text.as_str()})
}

fn share_entry(entry: &share::Entry<'_>) -> Value {
    let mut meaning = json!({
        "id": entry.id.get().to_string(),
        "mode": format!("{:03o}", entry.mode.bits()),
        "seconds": entry.modified.seconds().to_string(),
        "nanos": entry.modified.nanos(),
        "path": entry.path.as_str(),
    });
    let (kind, octets) = match entry.kind {
        share::Kind::Folder => ("dir", None),
        share::Kind::File(share::Size::Unknown) => ("file", Some("?".to_owned())),
        share::Kind::File(share::Size::Known(octets)) => ("file", Some(octets.to_string())),
    };
    meaning["kind"] = kind.into();
    if let Some(octets) = octets {
        meaning["octets"] = octets.into();
    }
    meaning
}

fn add_payload(meaning: &mut Value, payload: relay::Payload<'_>) {
    match payload {
        relay::Payload::Content(content) => meaning["content"] = content.as_str().into(),
        relay::Payload::Raw(raw) => meaning["raw"] = hex(raw.as_bytes()).into(),
    }
}

fn outcome(decoded: &Decoded) -> Value {
    match decoded {
        Ok((meaning, canonical)) => json!({"ok": meaning, "canonical": hex(canonical)}),
        Err(error) => json!({"error": error_value(*error)}),
    }
}

fn error_value(error: ParseError) -> Value {
    json!({
        "code": error.code().number(),
        "offset": error.offset(),
        "rule": error.rule().name(),
    })
}

/// What a framing case says: its frames, and how many octets are left over.
fn framing_of(case: &Value) -> Result<Value, String> {
    let frames = case["frames"].as_array().ok_or("no `frames`")?;
    let frames = frames.iter().map(|frame| match frame.get("error") {
        Some(error) => Ok(json!({"error": error})),
        None => Ok(json!({"ok": hex(&octets(frame, "ok")?)})),
    });
    let frames = frames.collect::<Result<Vec<_>, String>>()?;
    Ok(json!({"frames": frames, "rest": case["rest"], "end_error": case["end_error"]}))
}

/// Reads a stream with `step` alone, as a receiver that holds all of it would.
fn by_hand(stream: &[u8]) -> Value {
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
mod codec {
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
    pub(super) fn read(step: usize, stream: &[u8]) -> Value {
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

fn encode(len: usize, encode: impl Fn(&mut [u8]) -> Result<usize, BufferTooSmall>) -> Vec<u8> {
    let mut octets = vec![0; len];
    assert_eq!(encode(&mut octets), Ok(len));
    octets
}

/// Octets in one of their two ways: the frame in `hex` or `parts`, `ok` in `ok_hex` or `ok_parts`, any other name as it
/// stands or with `_parts`.
fn octets(case: &Value, name: &str) -> Result<Vec<u8>, String> {
    let (whole, parts) = match name {
        "" => (&case["hex"], &case["parts"]),
        "ok" => (&case["ok_hex"], &case["ok_parts"]),
        name => (&case[name], &case[format!("{name}_parts")]),
    };
    match (whole, parts) {
        (Value::String(digits), Value::Null) => unhex(digits),
        (Value::Null, Value::Array(parts)) => {
            let mut octets = Vec::new();
            for part in parts {
                let times = part[1].as_u64().and_then(|times| times.try_into().ok());
                let (Some(digits), Some(times)) = (part[0].as_str(), times) else {
                    return Err(format!("not a part: {part}"));
                };
                octets.extend(unhex(digits)?.repeat(times));
            }
            Ok(octets)
        }
        _ => Err(format!("not octets: {whole} and {parts} ({name:?})")),
    }
}

fn unhex(digits: &str) -> Result<Vec<u8>, String> {
    let pairs = digits.as_bytes().chunks(2);
    let octets = pairs.map(|pair| {
        let pair = str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    });
    let octets: Option<Vec<u8>> = octets.collect();
    octets.ok_or_else(|| format!("not hex: {digits:?}"))
}

fn hex(octets: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let digits = octets.iter().flat_map(|octet| [octet >> 4, octet & 0xf]);
    digits.map(|digit| DIGITS[usize::from(digit)]).collect()
}

fn expect(expected: &Value, got: &Value) -> Result<(), String> {
    if expected == got {
        return Ok(());
    }
    Err(format!(
        "\n  expected {}\n  got      {}",
        shortened(expected),
        shortened(got)
    ))
}

/// A text that a terminal can hold.
fn shortened(text: &impl Display) -> String {
    const MOST: usize = 300;
    let text = text.to_string();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}… ({} octets)", &text[..end], text.len()),
        None => text,
    }
}
