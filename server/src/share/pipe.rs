//! A stream that can be read once: stdin. A thread of its own reads it, since nothing else can wait for it and be stopped.

use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};
use std::thread;

use hii_protocol::share::Data;
use tokio::sync::mpsc;

/// Pieces that are read ahead.
const AHEAD: usize = 2;

/// A stream that is handed to whoever asks first.
pub(super) struct Pipe(Mutex<Option<Box<dyn Read + Send>>>);

/// What comes from the stream, piece by piece; none at its end.
pub(super) type Pieces = mpsc::Receiver<io::Result<Vec<u8>>>;

impl Pipe {
    /// This stream. Nothing is read before somebody asks.
    pub(super) fn new(stream: impl Read + Send + 'static) -> Self {
        Self(Mutex::new(Some(Box::new(stream))))
    }

    /// Its octets, to the first who asks.
    ///
    /// # Errors
    /// There is no memory for a thread.
    pub(super) fn take(&self) -> io::Result<Option<Pieces>> {
        let stream = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut stream) = stream else {
            return Ok(None);
        };
        let (sender, pieces) = mpsc::channel(AHEAD);
        thread::Builder::new()
            .name("hii-stdin".into())
            .spawn(move || {
                loop {
                    let piece = read(&mut stream);
                    let is_last = !matches!(&piece, Ok(octets) if !octets.is_empty());
                    let is_end = matches!(&piece, Ok(octets) if octets.is_empty());
                    if is_end || sender.blocking_send(piece).is_err() || is_last {
                        return;
                    }
                }
            })?;
        Ok(Some(pieces))
    }
}

/// What there is, at most what one frame carries.
fn read(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut octets = vec![0; Data::MAX_LEN];
    loop {
        match stream.read(&mut octets) {
            Ok(len) => {
                octets.truncate(len);
                return Ok(octets);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl std::fmt::Debug for Pipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pipe")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_who_asks_gets_all_of_it_and_nobody_else() {
        let octets: Vec<u8> = (0..200_000_u32).map(|at| at.to_le_bytes()[0]).collect();
        let pipe = Pipe::new(io::Cursor::new(octets.clone()));
        let mut pieces = pipe.take().unwrap().expect("the first");
        assert!(pipe.take().unwrap().is_none());
        let mut all = Vec::new();
        while let Some(piece) = pieces.blocking_recv() {
            let piece = piece.unwrap();
            assert!(Data::new(&piece).is_ok());
            all.extend(piece);
        }
        assert_eq!(all, octets);
    }

    #[test]
    fn an_error_is_told_and_ends_it() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        let mut pieces = Pipe::new(Broken).take().unwrap().expect("the first");
        assert!(pieces.blocking_recv().expect("an error").is_err());
        assert!(pieces.blocking_recv().is_none());
    }
}
