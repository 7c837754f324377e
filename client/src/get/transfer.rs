//! The conversation with a sender, over a channel.

use std::time::Duration;

use hii_protocol::share::RequestBuf;
use hii_transport::channel::{Channel, ChannelError};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::end::End;
use super::state::State;
use super::stop::Stop;

/// How long a sender may say nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// How fast a sender hashes, at the least, what is there already.
const HASHED_PER_SECOND: u64 = 20_000_000;

/// How long last words may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Receives everything that is wanted.
///
/// # Errors
/// It ends before that.
pub(super) async fn receive(
    channel: &mut Channel<TcpStream>,
    state: &mut State<'_>,
    stop: &Stop,
) -> Result<(), End> {
    let result = talk(channel, state, stop).await;
    if let Err(End {
        last_words: Some(words),
        ..
    }) = &result
    {
        // Nobody waits for a sender that does not listen.
        let _ = timeout(LAST_WORDS, say_last(channel, words)).await;
    }
    result
}

async fn say_last(
    channel: &mut Channel<TcpStream>,
    words: &RequestBuf,
) -> Result<(), ChannelError> {
    channel.queue(words)?;
    channel.close().await
}

async fn talk(
    channel: &mut Channel<TcpStream>,
    state: &mut State<'_>,
    stop: &Stop,
) -> Result<(), End> {
    let failed = |error: &ChannelError| End::channel(error, false);
    channel
        .queue(&State::greeting())
        .map_err(|error| failed(&error))?;
    loop {
        if channel.queued() > 0 {
            let sent = tokio::select! {
                biased;
                () = stop.asked() => return Err(End::interrupted(state.is_resumable())),
                sent = timeout(PATIENCE, channel.flush()) => sent,
            };
            match sent {
                Ok(Ok(())) => {}
                // Everything is there; the sender only does not hear it.
                _ if state.is_complete() => return Ok(()),
                // It may have said why before it went.
                Ok(Err(error)) => {
                    return Err(last_heard(channel, state)
                        .await
                        .unwrap_or_else(|| End::channel(&error, state.is_resumable())));
                }
                Err(_) => return Err(silence(state)),
            }
        }
        let patience = patience(state);
        let is_last = tokio::select! {
            biased;
            () = stop.asked() => return Err(End::interrupted(state.is_resumable())),
            placed = state.placed() => {
                state.note(placed);
                false
            }
            frame = timeout(patience, channel.receive()) => match frame {
                Ok(Ok(Some(frame))) => state.take(frame)?,
                // Everything is there; only the last word is missing.
                Ok(Ok(None) | Err(_)) | Err(_) if state.is_complete() => true,
                Ok(Ok(None)) => {
                    let what = "the sender closed the connection before the end";
                    return Err(End::cut_off(what, state.is_resumable()));
                }
                Ok(Err(error)) => return Err(End::channel(&error, state.is_resumable())),
                Err(_) => return Err(silence(state)),
            },
        };
        if is_last {
            return Ok(());
        }
        let is_resumable = state.is_resumable();
        state.requests(|request| {
            channel
                .queue(&request)
                .map_err(|error| End::channel(&error, is_resumable))
        })?;
    }
}

/// What the sender said last, when nothing can be said to it any more.
async fn last_heard(channel: &mut Channel<TcpStream>, state: &mut State<'_>) -> Option<End> {
    loop {
        match timeout(LAST_WORDS, channel.receive()).await {
            Ok(Ok(Some(frame))) => match state.take(frame) {
                Ok(_) => {}
                Err(end) => return Some(end),
            },
            _ => return None,
        }
    }
}

fn patience(state: &State<'_>) -> Duration {
    PATIENCE + Duration::from_secs(state.before_the_next() / HASHED_PER_SECOND)
}

fn silence(state: &State<'_>) -> End {
    let what = format!(
        "the sender says nothing for {} s",
        patience(state).as_secs()
    );
    End::cut_off(&what, state.is_resumable())
}
