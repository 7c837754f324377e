//! How many connections a sender has at once.

use hii_transport::files;

use crate::descriptors::{Descriptors, OF_CONNECTION};
use crate::exit::{count, note};
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

    /// As many as there may be open files for, now that the sockets have theirs. Says so if these are fewer.
    pub(super) fn fit_files(self, log: LogFormat) -> Self {
        let Some(files) = Descriptors::count(0) else {
            return self;
        };
        let [receivers, handshakes, _] = files.shares(self.pools());
        let fit = Self {
            receivers,
            handshakes,
        };
        if fit != self {
            let files = files.limit;
            match log {
                LogFormat::Text => note(format_args!(
                    "  serves up to {}, beside {handshakes} connections without the key, and {handshakes} that are silent: \
                     the limit of open files is {files}",
                    count(receivers as u64, "receiver")
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
        fit
    }

    /// The connections of each kind, and the files of one. A receiver has the file open that is sent to it.
    fn pools(&self) -> [(usize, usize); 3] {
        let handshakes = (self.handshakes, 1);
        [(self.receivers, OF_CONNECTION), handshakes, handshakes]
    }
}
