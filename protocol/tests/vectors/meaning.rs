//! What a decoded frame means, in the words of the vectors.

use hii_protocol::{ping, relay, share};
use serde_json::{Value, json};

use crate::octets::hex;

pub(crate) fn ping_request(request: ping::Request<'_>) -> Value {
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

pub(crate) fn ping_answer(answer: ping::Answer) -> Value {
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
                (
                    "limited",
                    answer.limited().map(|limited| limited.to_string()),
                ),
            ];
            add_fields(&mut meaning, fields);
            meaning
        }
        ping::Answer::LimitedNotice(notice) => {
            let mut meaning = json!({
                "frame": "limited-notice",
                "run": notice.run().to_string(),
                "seq": notice.seq().to_string(),
            });
            let fields = [
                ("count", notice.count().map(|count| count.to_string())),
                (
                    "limited",
                    notice.limited().map(|limited| limited.to_string()),
                ),
            ];
            add_fields(&mut meaning, fields);
            meaning
        }
    }
}

pub(crate) fn relay_request(request: relay::Request<'_>) -> Value {
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

pub(crate) fn relay_answer(answer: relay::Answer<'_>) -> Value {
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

pub(crate) fn share_request(request: share::Request<'_>) -> Value {
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

pub(crate) fn share_answer(answer: share::Answer<'_>) -> Value {
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

/// Adds the fields that are there.
fn add_fields<const N: usize>(meaning: &mut Value, fields: [(&str, Option<String>); N]) {
    for (name, field) in fields {
        if let Some(text) = field {
            meaning[name] = text.into();
        }
    }
}

fn add_payload(meaning: &mut Value, payload: relay::Payload<'_>) {
    match payload {
        relay::Payload::Content(content) => meaning["content"] = content.as_str().into(),
        relay::Payload::Raw(raw) => meaning["raw"] = hex(raw.as_bytes()).into(),
    }
}
