//! The floor of the file transfer's benchmark: hands a file over in plain text with no word before it, by the system call
//! that copies nothing into the program, and fetches it with one call to read and one to write for each piece.
//! `serve FILE` says where it listens and runs until it is killed; `get ADDRESS FILE` ends with the file.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

/// As many octets as `hii get --classic` takes at once.
const PIECE: usize = 128 * 1024;

fn main() -> io::Result<()> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["serve", path] => serve(path),
        ["get", address, path] => get(address, path),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

fn serve(path: &str) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    writeln!(io::stderr(), "listens on {}", listener.local_addr()?)?;
    loop {
        let (mut stream, _) = listener.accept()?;
        // A client that has gone is its own loss.
        let _ = hand_over(&File::open(path)?, &mut stream);
    }
}

/// `io::copy` would read and write.
#[cfg(target_os = "linux")]
fn hand_over(file: &File, stream: &mut TcpStream) -> io::Result<()> {
    const MOST: usize = 1 << 30;
    while nix::sys::sendfile::sendfile(&*stream, file, None, MOST)? > 0 {}
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn hand_over(mut file: &File, stream: &mut TcpStream) -> io::Result<()> {
    io::copy(&mut file, stream).map(drop)
}

fn get(address: &str, path: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    let mut file = File::create(path)?;
    let mut buffer = vec![0; PIECE];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            len => file.write_all(buffer.get(..len).unwrap_or_default())?,
        }
    }
}
