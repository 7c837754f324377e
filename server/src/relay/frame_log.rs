//! What a log says of frames: what became of a sample of them, and never what is in one unless that is asked for.

use std::net::SocketAddr;
use std::time::Duration;

use hii_protocol::relay::{Answer, Request};
use hii_transport::sampled::Sampler;
use tracing::level_filters::LevelFilter;

use super::rules::Decision;
use crate::logs::Shown;

/// Says what became of frames.
#[derive(Debug, Default)]
pub(super) struct FrameLog {
    sampler: Sampler,
}

impl FrameLog {
    /// A frame was decided about.
    pub(super) fn decided(
        &mut self,
        frame: &[u8],
        from: SocketAddr,
        decision: &Decision<'_>,
        now: Duration,
    ) {
        if let Some(left_out) = self.sample(now) {
            tell(frame, from, decision, left_out);
        }
    }

    /// A message goes as the last one went.
    #[inline]
    pub(super) fn alike(&mut self, frame: &[u8], from: SocketAddr, now: Duration) {
        if let Some(left_out) = self.sample(now) {
            tell_alike(frame, from, left_out);
        }
    }

    /// Whether a frame is told of, and before how many others that was not done.
    #[inline]
    fn sample(&mut self, now: Duration) -> Option<u64> {
        if LevelFilter::current() < LevelFilter::DEBUG {
            return None;
        }
        self.sampler.take(now)
    }
}

fn tell(frame: &[u8], from: SocketAddr, decision: &Decision<'_>, left_out: u64) {
    let octets = frame.len();
    match decision {
        Decision::Silence => tracing::debug!(%from, octets, left_out, "not answered"),
        Decision::Stop => tracing::debug!(%from, octets, left_out, "asked to stop"),
        Decision::Reply(Answer::Refused(code)) => {
            tracing::debug!(%from, octets, left_out, code = code.number(), "refused");
        }
        Decision::Reply(_) => tracing::debug!(%from, octets, left_out, "greeted"),
        Decision::Forward { to, .. } => {
            tracing::debug!(%from, %to, octets, left_out, "passed on");
        }
    }
    tell_octets(frame, from);
}

#[cold]
fn tell_alike(frame: &[u8], from: SocketAddr, left_out: u64) {
    let octets = frame.len();
    if let Ok(Request::Send(message)) = Request::decode(frame) {
        tracing::debug!(%from, to = %message.to(), octets, left_out, "passed on");
    }
    tell_octets(frame, from);
}

fn tell_octets(frame: &[u8], from: SocketAddr) {
    tracing::trace!(%from, frame = %Shown(frame), "received");
}
