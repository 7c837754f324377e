//! How many connections a sender has at once.

use hii_transport::files;

use crate::descriptors::{Descriptors, OF_CONNECTION};
use crate::exit::{Failure, count, note};
use crate::logs::LogFormat;

/// Connections at once that have sent nothing yet, and of those that have sent a part of a handshake.
pub(crate) const HANDSHAKES: usize = 256;

/// Files beside those of connections: the standard streams, sockets, the runtime's own.
const OTHER_FILES: usize = 64;

/// How many connections there may be at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// That have the key.
    pub(super) receivers: usize,
    /// That have sent nothing yet; and as many that have.
    pub(super) handshakes: usize,
}

impl Limits {
    pub(super) fn new(receivers: usize) -> Self {
        Self {
            receivers,
            handshakes: HANDSHAKES,
        }
    }

    /// All of them, and one for which another one gives way.
    pub(super) fn max_open(&self) -> usize {
        let handshakes = self.handshakes.saturating_mul(2);
        self.receivers.saturating_add(handshakes).saturating_add(1)
    }

    /// Lets the program have as many files open as they take.
    pub(super) fn want_files(&self) {
        let all = self.pools().into_iter().fold(OTHER_FILES, |sum, pool| {
            sum.saturating_add(pool.0.saturating_mul(pool.1))
        });
        files::want(u64::try_from(all).unwrap_or(u64::MAX));
    }

    /// As many as there may be open files for, now that the sockets have theirs.
    ///
    /// # Errors
    /// There may not be enough open files for one of each kind.
    pub(super) fn fit_files(self) -> Result<Self, Failure> {
        let Some(files) = Descriptors::count(0) else {
            return Ok(self);
        };
        let [receivers, handshakes, _] = files.shares(self.pools())?;
        Ok(Self {
            receivers,
            handshakes,
        })
    }

    /// Reports if these are fewer than wanted.
    pub(super) fn report_fewer(&self, wanted: &Self, log: LogFormat) {
        let Some(files) = files::limit().filter(|_| self != wanted) else {
            return;
        };
        let Self {
            receivers,
            handshakes,
        } = *self;
        match log {
            LogFormat::Text => note(format_args!(
                "  serves up to {}, beside {} without the key, and {handshakes} that have sent nothing: the limit of open \
                 files is {files}",
                count(receivers as u64, "receiver"),
                count(handshakes as u64, "connection"),
            )),
            LogFormat::Json => {
                tracing::warn!(
                    receivers,
                    handshakes,
                    files,
                    "fewer connections, for lack of files"
                );
            }
        }
    }

    /// The connections of each kind, and the files of one. A receiver has the file open that is sent to it.
    fn pools(&self) -> [(usize, usize); 3] {
        let handshakes = (self.handshakes, 1);
        [(self.receivers, OF_CONNECTION), handshakes, handshakes]
    }
}
