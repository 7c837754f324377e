//! What a log says of frames: what became of a sample of them, and never what is in one unless that is asked for.

use std::net::SocketAddr;
use std::time::Duration;

use hii_protocol::Endpoint;
use hii_protocol::relay::{Answer, Request};
use hii_transport::sampled;
use tracing::level_filters::LevelFilter;

use super::rules::Decision;
use crate::logs::Shown;

/// Logs what was decided about a frame.
pub(super) fn decided(frame: &[u8], from: SocketAddr, decision: &Decision<'_>, now: Duration) {
    if is_off() {
        return;
    }
    let octets = frame.len();
    match decision {
        Decision::Silence => sampled!(at now, debug, "not answered", %from, octets),
        Decision::Stop => sampled!(at now, debug, "asked to stop", %from, octets),
        Decision::Reply(Answer::Refused(code)) => {
            sampled!(at now, debug, "refused", %from, octets, code = code.number());
        }
        Decision::Reply(_) => sampled!(at now, debug, "greeted", %from, octets),
        Decision::Forward { to, .. } => passed_on(octets, from, *to, now),
    }
    received(frame, from);
}

/// Logs a message that goes as the last one went.
#[inline]
pub(super) fn alike(frame: &[u8], from: SocketAddr, now: Duration) {
    if is_off() {
        return;
    }
    if let Ok(Request::Send(message)) = Request::decode(frame) {
        passed_on(frame.len(), from, message.to(), now);
    }
    received(frame, from);
}

fn is_off() -> bool {
    LevelFilter::current() < LevelFilter::DEBUG
}

fn passed_on(octets: usize, from: SocketAddr, to: Endpoint, now: Duration) {
    sampled!(at now, debug, "passed on", %from, %to, octets);
}

fn received(frame: &[u8], from: SocketAddr) {
    tracing::trace!(%from, frame = %Shown(frame), "received");
}
