//! The original echo client: `Hii Server` five times, each after the answer to the one before, and
//! then `exit`.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Guards against a server that never answers; the original would wait for ever.
const WATCHDOG: Duration = Duration::from_secs(60);

/// The answers of a run, each what one read brought.
///
/// # Errors
///
/// If the connection cannot be made, or ends early.
pub fn run(server: SocketAddr) -> io::Result<Vec<String>> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(WATCHDOG))?;
    let mut answers = Vec::new();
    for _ in 0..5 {
        stream.write_all(b"Hii Server")?;
        answers.push(receive(&mut stream)?);
    }
    stream.write_all(b"exit")?;
    Ok(answers)
}

/// One read, as text.
fn receive(stream: &mut TcpStream) -> io::Result<String> {
    let mut buffer = [0; 1024];
    let length = stream.read(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::echo_server::EchoServer;
    use super::*;

    #[test]
    fn says_what_the_original_says() {
        let server = EchoServer::start("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_eq!(run(server.addr()).unwrap(), vec!["Acknowledgement"; 5]);
        // A second client tells that the first one's connection has ended.
        assert_eq!(run(server.addr()).unwrap().len(), 5);
        let expected = ["Hii Server"; 5].into_iter().chain(["exit"]);
        let first: Vec<_> = server.log().into_iter().take(6).collect();
        assert_eq!(first, expected.collect::<Vec<_>>());
    }
}
