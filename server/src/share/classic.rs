//! The original hand-over (`WIRE.md` section 8.6): plain text, one file, a key that everybody knows.

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use hii_protocol::share::Id;
use hii_transport::sampled;
use hii_transport::sendfile::send_some;
use socket2::SockRef;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::offer::Sendable;
use super::receiver::{End, Lacks};
use super::serve::Common;
use super::source::{Failed, Source};
use crate::exit::{Exit, Failure};
use crate::listen;
use crate::streams::stopped;

/// What a client says.
const KEY: &[u8] = b"SECRET_KEY";

/// What it is answered.
const SUCCESS: &[u8] = b"AUTH_SUCCESS";
const ERROR: &[u8] = b"AUTH_ERROR";

/// How long nothing follows the answer: the original client throws away what it reads together with it.
const PAUSE: Duration = Duration::from_millis(500);

/// What a client's first octets mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They may become the key.
    Wait,
    /// It is the key.
    Granted,
    /// It is not.
    Refused,
}

/// Judges what a client has said.
#[must_use]
pub fn judge(octets: &[u8]) -> Verdict {
    if octets == KEY {
        Verdict::Granted
    } else if KEY.starts_with(octets) {
        Verdict::Wait
    } else {
        Verdict::Refused
    }
}

/// Listeners for a hand-over in plain text: this host only, unless the user insists.
///
/// # Errors
/// An address is another, or cannot be listened on.
pub(super) fn listen(
    addresses: &[IpAddr],
    port: u16,
    is_insecure: bool,
) -> Result<Vec<TcpListener>, Failure> {
    if is_insecure {
        return listen::tcp(addresses, port);
    }
    if let Some(other) = addresses.iter().find(|ip| !ip.to_canonical().is_loopback()) {
        return Err(Failure::new(
            Exit::Refused,
            format_args!("--classic hands over in plain text, and {other} is reached by others"),
            "leave --classic out, or say --classic-insecure if anybody may read the file",
        ));
    }
    if !addresses.is_empty() {
        return listen::tcp(addresses, port);
    }
    let mut listeners = listen::tcp(&[Ipv4Addr::LOCALHOST.into()], port)?;
    // The same port for IPv6, where that can be had.
    let port = listen::addresses(&listeners)
        .first()
        .map_or(port, SocketAddr::port);
    if let Ok(more) = listen::tcp(&[Ipv6Addr::LOCALHOST.into()], port) {
        listeners.extend(more);
    }
    Ok(listeners)
}

/// A client that has said the key.
pub(super) struct Client<'a> {
    stream: &'a mut TcpStream,
    common: &'a Common,
}

impl<'a> Client<'a> {
    /// Waits for the key; none where something else came, and was answered. Has no time-out of its own.
    pub(super) async fn meet(
        stream: &'a mut TcpStream,
        common: &'a Common,
    ) -> io::Result<Option<Self>> {
        let mut said = Vec::new();
        loop {
            match judge(&said) {
                Verdict::Granted => return Ok(Some(Self { stream, common })),
                Verdict::Refused => {
                    stream.write_all(ERROR).await?;
                    return Ok(None);
                }
                Verdict::Wait => {}
            }
            stream.readable().await?;
            let mut few = [0; 64];
            match stream.try_read(&mut few) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => said.extend_from_slice(few.get(..len).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Hands the file over.
    pub(super) async fn converse(self) -> End {
        let mut stopping = self.common.stop.subscribe();
        let end = tokio::select! {
            end = self.serve() => end,
            () = stopped(&mut stopping) => Err(End::Stopping),
        };
        match end {
            Ok(()) => End::Done(Lacks::default()),
            Err(end) => {
                // There is no word for it, but a reset is not the end of a whole file.
                let _ = SockRef::from(&*self.stream).set_linger(Some(Duration::ZERO));
                end
            }
        }
    }

    async fn serve(&self) -> Result<(), End> {
        let Ok(Sendable::File(path, stamp)) = self.common.offer.sendable(Id::FIRST) else {
            return Err(End::CutOff);
        };
        let source = Source::open(path, stamp).map_err(|failed| self.cut_off(&failed))?;
        self.say(SUCCESS).await?;
        sleep(PAUSE).await;
        self.send(source.file(), stamp.size).await?;
        source.check().map_err(|failed| self.cut_off(&failed))?;
        self.common.tally(|tally| tally.sent += 1);
        let shut = SockRef::from(&*self.stream).shutdown(std::net::Shutdown::Write);
        shut.map_err(|_| End::CutOff)?;
        self.gone().await
    }

    async fn say(&self, words: &[u8]) -> Result<(), End> {
        let mut left = words;
        while !left.is_empty() {
            let sent = self.stream.try_write(left);
            match sent {
                Ok(len) => left = left.get(len..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.stream.writable().await.map_err(|_| End::CutOff)?;
                }
                Err(_) => return Err(End::CutOff),
            }
        }
        Ok(())
    }

    async fn send(&self, file: &File, size: u64) -> Result<(), End> {
        let mut at = 0;
        while at < size {
            let sent = timeout(
                self.common.idle,
                send_some(self.stream, file, at, size - at),
            )
            .await;
            match sent.map_err(|_| End::Idle)? {
                Ok(0) => break,
                Ok(sent) => {
                    at += sent;
                    self.common.tally(|tally| tally.octets += sent);
                }
                Err(error) => {
                    sampled!(debug, "connection lost", %error);
                    return Err(End::CutOff);
                }
            }
        }
        Ok(())
    }

    /// Waits until the client closes as well, having read all of it.
    async fn gone(&self) -> Result<(), End> {
        let wait = async {
            let mut rest = [0; 1024];
            loop {
                self.stream.readable().await?;
                match self.stream.try_read(&mut rest) {
                    Ok(0) => return Ok(()),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
        };
        let waited = timeout(self.common.idle, wait).await;
        waited.map_err(|_| End::Idle)?.map_err(|_| End::CutOff)
    }

    fn cut_off(&self, Failed { problem, text }: &Failed) -> End {
        sampled!(warn, "the file was not sent whole", %problem, why = %text);
        self.common.tally(|tally| tally.failed += 1);
        End::CutOff
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_may_come_in_parts_and_nothing_after_it() {
        for len in 0..KEY.len() {
            assert_eq!(judge(&KEY[..len]), Verdict::Wait);
        }
        assert_eq!(judge(KEY), Verdict::Granted);
        for other in [
            &b"SECRET_KEY\n"[..],
            b"SECRET_KEX",
            b"secret_key",
            b"\0",
            b"GET / HTTP/1.1",
        ] {
            assert_eq!(judge(other), Verdict::Refused);
        }
    }

    #[test]
    fn plain_text_stays_on_this_host_unless_the_user_insists() {
        let any: IpAddr = "0.0.0.0".parse().unwrap();
        let refused = listen(&[any], 0, false).unwrap_err();
        assert_eq!(refused.exit(), Exit::Refused);
        assert!(listen(&[any], 0, true).is_ok());
        let own = listen(&[], 0, false).unwrap();
        let addresses = listen::addresses(&own);
        assert!(addresses.iter().all(|address| address.ip().is_loopback()));
        assert!(
            addresses
                .iter()
                .all(|address| address.port() == addresses[0].port())
        );
    }
}
