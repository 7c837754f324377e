//! A service on several threads: those for datagrams have sockets of their own, because a shared socket keeps each peer on
//! one of them, and one with a runtime has all connections.

use std::io;
use std::net::{IpAddr, UdpSocket};
use std::num::NonZeroUsize;
use std::ops::AddAssign;
use std::thread::{self, JoinHandle};

use hii_transport::clock::Clock;
use hii_transport::datagrams::{self, Service};
use hii_transport::stop::{Stop, stopper};
use hii_transport::{files, udp};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;

use crate::descriptors::{Descriptors, OF_CONNECTION};
use crate::exit::{self, Exit, Failure, note};
use crate::listen::Sockets;
use crate::logs::LogFormat;
use crate::metrics;
use crate::streams::{self, Shared, StreamLimits, StreamService, stopped};

/// A service that tells what it did.
pub(crate) trait Tallied {
    type Tally: AddAssign + Default + Send + 'static;

    fn tally(&self) -> Self::Tally;
}

/// How many threads there are to be, when so many were asked for; 0 is one for each core.
///
/// # Errors
/// More than one, on a platform where they could not share a port.
pub(crate) fn count(asked: u16) -> Result<usize, Failure> {
    match usize::from(asked) {
        1 => Ok(1),
        0 if !udp::CAN_SHARE => Ok(1),
        0 => Ok(thread::available_parallelism().map_or(1, NonZeroUsize::get)),
        count if udp::CAN_SHARE => Ok(count),
        _ => Err(Failure::new(
            Exit::Usage,
            "several threads cannot share a port on this platform",
            "leave --threads out",
        )),
    }
}

/// Files beside those of sockets and connections: the standard streams, the runtimes' own, metrics.
const OTHER_FILES: usize = 64;

/// Lets the program have as many files open as so many threads take on so many addresses, beside so many connections.
pub(crate) fn want_files(threads: usize, addresses: &[IpAddr], connections: usize) {
    let sockets = addresses.len().max(1);
    // A thread has a timer too, and so has a connection with delayed answers. A listener is a socket more.
    let all = (sockets + 1)
        .saturating_mul(threads)
        .saturating_add(connections.saturating_mul(OF_CONNECTION))
        .saturating_add(sockets + OTHER_FILES);
    files::want(u64::try_from(all).unwrap_or(u64::MAX));
}

/// The limits, with as many connections as there may be open files for, now that sockets and metrics have theirs.
///
/// # Errors
/// There may not be enough open files for one.
pub(crate) fn fit_files(
    limits: StreamLimits,
    threads: usize,
    has_metrics: bool,
) -> Result<StreamLimits, Failure> {
    let metrics = if has_metrics { metrics::MAX_OPEN } else { 0 };
    // What stops the threads, and a timer for each.
    let reserved = threads.saturating_add(2 + metrics);
    let mut limits = limits;
    if let Some(files) = Descriptors::count(reserved) {
        limits.connections.all = files.connections(limits.connections.all)?;
    }
    Ok(limits)
}

/// Reports if there are fewer connections than wanted.
pub(crate) fn report_fewer(limits: StreamLimits, wanted: usize, log: LogFormat) {
    let connections = limits.connections.all;
    let Some(files) = files::limit().filter(|_| connections < wanted) else {
        return;
    };
    match log {
        LogFormat::Text => note(format_args!(
            "  serves up to {}: the limit of open files is {files}",
            exit::count(connections as u64, "TCP connection")
        )),
        LogFormat::Json => {
            tracing::warn!(connections, files, "fewer connections, for lack of files");
        }
    }
}

/// Each thread's sockets, when each address has one for each thread.
fn by_thread(addresses: Vec<Vec<UdpSocket>>) -> Vec<Vec<UdpSocket>> {
    let mut threads: Vec<Vec<UdpSocket>> = Vec::new();
    for address in addresses {
        for (index, socket) in address.into_iter().enumerate() {
            match threads.get_mut(index) {
                Some(sockets) => sockets.push(socket),
                None => threads.push(vec![socket]),
            }
        }
    }
    threads
}

/// What one instance of a service serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The datagrams of the thread with this number.
    Datagrams(u64),
    /// All connections.
    Streams,
}

/// Runs a service: on each thread's sockets, and on this thread for the TCP listeners, each an instance of its own, until
/// one of them stops itself or `stop` completes. Gives the sum of their tallies.
///
/// # Errors
/// A thread or what it needs cannot be had.
pub(crate) async fn serve<S>(
    sockets: Sockets,
    mut service: impl FnMut(Part) -> S,
    limits: StreamLimits,
    stop: impl Future<Output = ()>,
) -> io::Result<S::Tally>
where
    S: StreamService + Tallied + Send,
{
    let clock = Clock::start();
    let asked = watch::Sender::new(false);
    let (stopper, stop_datagrams) = stopper()?;
    let Sockets { udp, tcp } = sockets;
    let listeners = tcp.into_iter().map(TcpListener::from_std);
    let listeners = listeners.collect::<io::Result<Vec<_>>>()?;
    // Nothing is ever sent: it ends with the last thread.
    let (running, mut none_runs) = mpsc::channel(1);
    let threads: Vec<_> = (0..)
        .zip(by_thread(udp))
        .map(|(number, sockets)| {
            let service = service(Part::Datagrams(number));
            let running = Running {
                asked: asked.clone(),
                _running: running.clone(),
            };
            start(sockets, service, clock, stop_datagrams.clone(), running)
        })
        .collect();
    drop(running);
    if threads.iter().any(Result::is_err) {
        asked.send_replace(true);
    }
    let hang_up = watch::Sender::new(false);
    let mut is_asked = asked.subscribe();
    let stop_all = async {
        tokio::select! {
            () = stop => {}
            () = stopped(&mut is_asked) => {}
        }
        drop(stopper);
        // What has come in datagrams may be for connections.
        none_runs.recv().await;
        hang_up.send_replace(true);
    };
    let streams = Shared::new(service(Part::Streams));
    let serve_streams = streams::serve(
        listeners,
        streams.clone(),
        clock,
        limits,
        asked.clone(),
        hang_up.subscribe(),
    );
    let both = async { tokio::join!(stop_all, serve_streams) };
    LocalSet::new().run_until(both).await;
    let mut sum = streams.with(|service| service.tally());
    let mut failed = None;
    for thread in threads {
        match join(thread) {
            Ok(tally) => sum += tally,
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(sum), Err)
}

/// Serves datagrams on a thread of their own.
fn start<S>(
    sockets: Vec<UdpSocket>,
    mut service: S,
    clock: Clock,
    stop: Stop,
    running: Running,
) -> io::Result<JoinHandle<io::Result<S::Tally>>>
where
    S: Service + Tallied + Send + 'static,
{
    thread::Builder::new()
        .name("datagrams".into())
        .spawn(move || {
            let _running = running;
            datagrams::serve(sockets, &mut service, &clock, &stop)?;
            Ok(service.tally())
        })
}

/// A thread that runs. However it ends, the others are not to go on without its peers.
struct Running {
    asked: watch::Sender<bool>,
    _running: mpsc::Sender<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.asked.send_replace(true);
    }
}

fn join<T>(started: io::Result<JoinHandle<io::Result<T>>>) -> io::Result<T> {
    started?
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("a thread ended early")))
}

/// A runtime of one thread.
///
/// # Errors
/// There is no memory, or no file, for it.
pub(crate) fn current_thread_runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}
