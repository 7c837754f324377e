//! Receivers that have been offered something, and wait.

use std::net::SocketAddr;
use std::time::Duration;

use hii_protocol::share::{Answer, Key, RequestBuf, VERSION};
use hii_transport::channel::Channel;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::figures::Unit;
use super::super::series::{Series, borrow};
use super::super::table::{Goal, Row};
use super::super::trouble::{Outcome, Trouble};
use super::super::usage;
use super::ShareBench;
use crate::sender::KEY;

/// So many, whose memory is looked at.
const RECEIVERS: u32 = 500;

/// So many before them: what the sender needs once is not theirs.
const BEFORE: u32 = 10;

/// Octets of the file that nobody wants.
const OCTETS: u64 = 1 << 20;

/// How long a sender may take to answer.
const LIMIT: Duration = Duration::from_secs(20);

impl ShareBench {
    pub(super) fn idle(&self) -> Row {
        let file = self.file(OCTETS);
        let mut series = Series::new();
        for round in 1..=self.options.rounds() {
            self.options.tell(round, "receivers that wait");
            series.add(|| self.memory_of_each(borrow(&file)?));
        }
        let what =
            format!("share: the sender's memory for each of {RECEIVERS} receivers that wait");
        Row::new(what, Unit::Octets, series.rounds()).goal(Goal::AtMost(16.0 * 1024.0))
    }

    /// What the sender's memory grows by, in octets.
    fn memory_of_each(&self, file: &str) -> Outcome<f64> {
        let most = (BEFORE + RECEIVERS).to_string();
        let sender = self.sender(file, &["--max-receivers", &most])?;
        let key = KEY.parse().map_err(|_| "the key is none")?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let mut receivers = Vec::new();
            for _ in 0..BEFORE {
                receivers.push(receiver(sender.address(), &key).await?);
            }
            let before = usage::resident(sender.process())?;
            for _ in 0..RECEIVERS {
                receivers.push(receiver(sender.address(), &key).await?);
            }
            let after = usage::resident(sender.process())?;
            Ok((after - before) * 1024.0 / f64::from(RECEIVERS))
        })
    }
}

/// One that has heard all that is offered.
async fn receiver(sender: SocketAddr, key: &Key) -> Outcome<Channel<TcpStream>> {
    let joined = timeout(LIMIT, async {
        let stream = TcpStream::connect(sender).await.map_err(trouble)?;
        let mut channel = Channel::join(stream, key).await.map_err(trouble)?;
        channel
            .queue(&RequestBuf::Hello(VERSION))
            .map_err(trouble)?;
        channel.flush().await.map_err(trouble)?;
        loop {
            let frame = channel.receive().await.map_err(trouble)?;
            match Answer::decode(frame.ok_or("the sender closed")?).map_err(trouble)? {
                Answer::End { .. } => return Ok(channel),
                Answer::Hello(_) | Answer::Page(_) => {}
                other => return Err(Trouble(format!("the sender says {other:?}"))),
            }
        }
    });
    joined.await.map_err(|_| "the sender is silent")?
}

fn trouble(error: impl std::fmt::Display) -> Trouble {
    Trouble(error.to_string())
}
