//! A file's octets onto a connection, without a copy through the program where the system can do that.

use std::fs::File;
use std::io;

use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::reading::read_at;

/// Octets that one call hands over at most.
const PIECE: u64 = 1024 * 1024;

/// Octets that are copied at once, where they have to be.
const COPIED: usize = 64 * 1024;

/// Sends some of a file's octets from this place on, at most so many, as soon as there is room; gives how many, and none at the
/// end of the file.
///
/// # Errors
/// The file cannot be read, or the connection is broken.
pub async fn send_some(stream: &TcpStream, file: &File, at: u64, most: u64) -> io::Result<u64> {
    #[cfg(target_os = "linux")]
    {
        let count = usize::try_from(most.min(PIECE)).unwrap_or(usize::MAX);
        let hand_over = || {
            let mut offset = at;
            rustix::fs::sendfile(stream, file, Some(&mut offset), count).map_err(io::Error::from)
        };
        match stream.async_io(Interest::WRITABLE, hand_over).await {
            Ok(sent) => return Ok(u64::try_from(sent).unwrap_or_default()),
            // Some file systems have no such thing.
            Err(error) if is_unsupported(&error) => {}
            Err(error) => return Err(error),
        }
    }
    send_copy(stream, file, at, most).await
}

#[cfg(target_os = "linux")]
fn is_unsupported(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP))
}

/// The portable way.
async fn send_copy(stream: &TcpStream, file: &File, at: u64, most: u64) -> io::Result<u64> {
    let len = usize::try_from(most.min(PIECE))
        .unwrap_or(COPIED)
        .min(COPIED);
    let mut buffer = vec![0; len];
    let len = read_at(file, &mut buffer, at)?;
    let octets = buffer.get(..len).unwrap_or_default();
    if octets.is_empty() {
        return Ok(0);
    }
    let sent = stream
        .async_io(Interest::WRITABLE, || stream.try_write(octets))
        .await?;
    Ok(u64::try_from(sent).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    #[test]
    fn both_ways_send_the_same_and_stop_at_the_end() {
        let path = std::env::temp_dir().join(format!("hii-sendfile-{}", std::process::id()));
        let octets: Vec<u8> = (0..251).cycle().take(3_000_000).collect();
        File::create(&path).unwrap().write_all(&octets).unwrap();
        let file = File::open(&path).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        for copies in [false, true] {
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let to = listener.local_addr().unwrap();
                let send = async {
                    let stream = TcpStream::connect(to).await.unwrap();
                    let mut at = 5;
                    loop {
                        let sent = if copies {
                            send_copy(&stream, &file, at, u64::MAX).await
                        } else {
                            send_some(&stream, &file, at, u64::MAX).await
                        };
                        match sent.unwrap() {
                            0 => break,
                            sent => at += sent,
                        }
                    }
                };
                let receive = async {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    let mut received = Vec::new();
                    stream.read_to_end(&mut received).await.unwrap();
                    assert!(received == octets[5..]);
                };
                tokio::join!(send, receive);
            });
        }
        std::fs::remove_file(path).unwrap();
    }
}
