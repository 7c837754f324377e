//! The codecs over real sockets: a malformed frame costs nobody but its sender, who can be told.
#![cfg(feature = "codec")]

mod buffers;
mod datagrams;
mod streams;

use std::time::Duration;

use hii_protocol::{Frame, Limits, MAX_DATAGRAM, ParseError, relay};

/// So small that short frames are over them.
const SMALL: Limits = Limits {
    datagram: 32,
    stream_frame: 64,
};

/// What an item says, to compare: its wire text, or code, offset and rule.
type Said = Result<String, (u16, usize, &'static str)>;

fn said(item: Result<impl Frame, ParseError>) -> Said {
    match item {
        Ok(frame) => {
            let mut octets = vec![0; frame.frame_len()];
            frame.encode_frame(&mut octets).unwrap();
            Ok(String::from_utf8(octets).unwrap())
        }
        Err(error) => Err((error.code().number(), error.offset(), error.rule().name())),
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "the other kind of item is written out"
)]
fn good(text: &str) -> Said {
    Ok(text.to_owned())
}

/// Keeps a test that would hang from doing so; never what makes one pass.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future)
        .await
        .expect("it hangs")
}

/// The one kind of frame that no datagram holds: its canonical form has a blank more.
fn too_long() -> relay::RequestBuf {
    let frame = format!("{:x<MAX_DATAGRAM$}", "to:[::]/1;raw: ");
    let request = relay::Request::decode(frame.as_bytes()).unwrap();
    assert_eq!(request.encoded_len(), MAX_DATAGRAM + 1);
    request.into_owned()
}
