//! The original file client: says the key, takes one read for the answer, and the rest, to the end of
//! the stream, for the file.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Guards against a server that never closes; the original would wait for ever.
const WATCHDOG: Duration = Duration::from_secs(60);

/// What the original would have written to its file; none when it was not let in.
///
/// # Errors
///
/// If the connection cannot be made, or breaks.
pub fn run(server: SocketAddr, key: &str) -> io::Result<Option<Vec<u8>>> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(WATCHDOG))?;
    stream.write_all(key.as_bytes())?;
    let mut buffer = [0; 1024];
    let length = stream.read(&mut buffer)?;
    // Whatever came together with the answer is gone.
    if !buffer[..length].starts_with(b"AUTH_SUCCESS") {
        return Ok(None);
    }
    let mut file = Vec::new();
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(Some(file)),
            length => file.extend_from_slice(&buffer[..length]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    /// What the client takes from a server that answers so, in one piece.
    fn answered(answer: &'static [u8]) -> Option<Vec<u8>> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        let serving = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut key = [0; 10];
            stream.read_exact(&mut key).unwrap();
            assert_eq!(&key, b"SECRET_KEY");
            stream.write_all(answer).unwrap();
        });
        let file = run(server, "SECRET_KEY").unwrap();
        serving.join().unwrap();
        file
    }

    #[test]
    fn loses_what_comes_with_the_answer() {
        assert_eq!(answered(b"AUTH_SUCCESSlost"), Some(Vec::new()));
        assert_eq!(answered(b"AUTH_ERROR"), None);
    }
}
