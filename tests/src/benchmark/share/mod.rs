//! `hii-server share` and `hii get` beside nginx and curl, and beside a plain sendfile server, on loopback and in memory
//! (`docs/benchmarks.md`).

mod costs;
mod idle;
mod nginx;
mod receivers;
mod resume;
mod transfer;

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use clap::ValueEnum;

use super::folders::Folder;
use super::options::Parts;
use super::servers::Server;
use super::table::Row;
use super::text;
use super::trouble::Outcome;
use crate::sender::KEY;
use nginx::Nginx;

/// Octets of the file that is handed over.
const OCTETS: u64 = 1 << 30;

/// How much smaller it is for a quick try.
const QUICKER: u64 = 16;

/// How long a transfer may take, on a machine that may be busy.
const LIMIT: Duration = Duration::from_secs(600);

/// What is measured, by its name on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// A file, encrypted and verified, beside nginx with TLS 1.3 and curl
    Encrypted,
    /// A file in plain text, beside a plain sendfile server
    Classic,
    /// The rest of a transfer that was cut, beside the whole
    Resume,
    /// Many receivers at once, beside nginx and as many of curl
    Receivers,
    /// What a receiver that waits takes of the sender's memory
    Idle,
}

/// The command line.
pub type Options = super::options::Options<Part>;

impl Parts for Part {
    const ABOUT: &str = "Measures `hii-server share` and `hii get` beside nginx, curl and a plain sendfile server, on loopback";
    const COMMAND: &str = "cargo bench -p hii-tests --bench share --";
}

/// The programs that the benchmark runs, by their paths.
#[derive(Debug, Clone, Copy)]
pub struct Programs {
    /// `hii`.
    pub hii: &'static str,
    /// `hii-server`.
    pub server: &'static str,
    /// Hands a file over, or fetches it, and does nothing else.
    pub plain: &'static str,
    /// Runs a program and tells its processor time and its peak memory.
    pub peak_memory: &'static str,
}

/// What the benchmark runs with.
#[derive(Debug)]
pub struct ShareBench {
    /// What was asked for.
    pub options: Options,
    programs: Programs,
    nginx: Outcome<Nginx>,
    /// What is handed over, and the key.
    offered: Folder,
    /// Where it goes.
    received: Folder,
}

impl ShareBench {
    /// With these options and programs, and with nginx and curl where they are installed.
    ///
    /// # Errors
    /// There is no room for the key.
    pub fn new(options: Options, programs: Programs) -> Outcome<Self> {
        let offered = Folder::new("offered")?;
        let key = offered.path("key");
        fs::write(&key, KEY)?;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
        Ok(Self {
            options,
            programs,
            nginx: Nginx::find(),
            offered,
            received: Folder::new("received")?,
        })
    }

    /// All that is wanted.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let parts = self.options.parts();
        let rows = parts.flat_map(|part| match part {
            Part::Encrypted => self.encrypted(),
            Part::Classic => self.classic(),
            Part::Resume => vec![self.resume()],
            Part::Receivers => self.receivers(),
            Part::Idle => vec![self.idle()],
        });
        rows.collect()
    }

    /// In how many rounds, where, and beside what they were measured.
    #[must_use]
    pub fn about(&self) -> Vec<String> {
        vec![
            format!("files in {}", self.offered.path("")),
            format!("beside: {}", self.nginx_title()),
            self.options.about(),
        ]
    }

    /// As many octets, or fewer for a quick try.
    fn octets(&self, whole: u64) -> u64 {
        if self.options.quick {
            whole / QUICKER
        } else {
            whole
        }
    }

    fn nginx_title(&self) -> String {
        self.nginx.as_ref().map_or_else(
            |_| "nginx and curl".into(),
            |nginx| nginx.title().to_owned(),
        )
    }

    /// The path of a file of so many octets that no program can make smaller.
    fn file(&self, octets: u64) -> Outcome<String> {
        let path = self.offered.path("file");
        let mut file = BufWriter::new(File::create(&path)?);
        let mut source = blake3::Hasher::new().finalize_xof();
        let mut piece = vec![0; 1 << 20];
        let mut left = octets;
        while left > 0 {
            let len = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let piece = piece.get_mut(..len).unwrap_or_default();
            source.fill(piece);
            file.write_all(piece)?;
            left -= len as u64;
        }
        file.flush()?;
        Ok(path)
    }

    /// A `hii-server share` of this file, encrypted.
    fn sender(&self, file: &str, options: &[&str]) -> Outcome<Server> {
        let key = self.offered.path("key");
        let fixed = ["share", "-b", "127.0.0.1", "-p", "0", "--key-file", &key];
        let args = [&fixed, options, &[file]].concat();
        Server::that_says_where(self.programs.server, &args)
    }

    /// A command that fetches from such a sender.
    fn get(&self, server: &Server, to: &str) -> Vec<String> {
        let (address, key) = (text(server.address()), self.offered.path("key"));
        let args = ["get", &address, "-q", "--key-file", &key, "-o", to];
        let program = [self.programs.hii].into_iter();
        program.chain(args).map(str::to_owned).collect()
    }
}
