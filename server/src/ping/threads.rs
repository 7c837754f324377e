//! A ping server on several threads: each has a runtime, sockets and tables of its own and shares nothing with the
//! others, because a shared socket keeps each peer on one of them.

use std::io;
use std::net::{TcpListener as StdListener, UdpSocket};
use std::num::NonZeroUsize;
use std::thread::{self, JoinHandle};

use hii_transport::clock::Clock;
use hii_transport::{datagrams, udp};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::LocalSet;

use super::listen::Sockets;
use super::service::PingService;
use super::streams::{self, Shared, StreamLimits};
use super::tally::Tally;
use super::{Exit, Failure, current_thread_runtime};

/// How many threads there are to be, when so many were asked for; 0 is one for each core.
///
/// # Errors
/// More than one, on a platform where they could not share a port.
pub(super) fn count(asked: u16) -> Result<usize, Failure> {
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

/// Runs a service on each thread's sockets, the first on this thread and with the TCP listeners too, until one of them stops itself or `stop`
/// completes. Gives the sum of their tallies.
///
/// # Errors
/// A thread or its runtime cannot be had.
pub(super) async fn serve(
    sockets: Sockets,
    service: impl Fn(u64) -> PingService,
    limits: StreamLimits,
    stop: impl Future<Output = ()>,
) -> io::Result<Tally> {
    let clock = Clock::start();
    let all = watch::Sender::new(false);
    let Sockets { udp, tcp } = sockets;
    let mut sockets = by_thread(udp).into_iter();
    let first = sockets.next().unwrap_or_default();
    let others: Vec<_> = (1..)
        .zip(sockets)
        .map(|(index, sockets)| start(sockets, service(index), clock, &all))
        .collect();
    let mut ended = all.subscribe();
    let stop = async {
        tokio::select! {
            () = stop => {}
            () = stopped(&mut ended) => {}
        }
    };
    let all_started = others.iter().all(Result::is_ok);
    let result = if all_started {
        run_with_streams(first, tcp, service(0), clock, limits, stop).await
    } else {
        Ok(Tally::default())
    };
    all.send_replace(true);
    let mut sum = Tally::default();
    let mut failed = None;
    for ended in others.into_iter().map(join).chain([result]) {
        match ended {
            Ok(tally) => sum += tally,
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(sum), Err)
}

fn start(
    sockets: Vec<UdpSocket>,
    service: PingService,
    clock: Clock,
    all: &watch::Sender<bool>,
) -> io::Result<JoinHandle<io::Result<Tally>>> {
    let all = all.clone();
    let mut ended = all.subscribe();
    thread::Builder::new()
        .name("ping server".into())
        .spawn(move || {
            // However this thread ends, the others are not to go on without its peers.
            let _all = StopAll(all);
            let runtime = current_thread_runtime()?;
            runtime.block_on(run(sockets, service, clock, stopped(&mut ended)))
        })
}

/// Stops all threads when it is dropped.
struct StopAll(watch::Sender<bool>);

impl Drop for StopAll {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

async fn run(
    sockets: Vec<UdpSocket>,
    mut service: PingService,
    clock: Clock,
    stop: impl Future<Output = ()>,
) -> io::Result<Tally> {
    datagrams::serve(sockets, &mut service, &clock, stop).await?;
    Ok(service.tally())
}

/// Serves datagrams and connections with one service. Connections end with it.
async fn run_with_streams(
    sockets: Vec<UdpSocket>,
    listeners: Vec<StdListener>,
    service: PingService,
    clock: Clock,
    limits: StreamLimits,
    stop: impl Future<Output = ()>,
) -> io::Result<Tally> {
    let listeners: Vec<_> = listeners
        .into_iter()
        .map(TcpListener::from_std)
        .collect::<io::Result<_>>()?;
    let service = Shared::new(service);
    let mut for_datagrams = service.clone();
    let both = async {
        tokio::select! {
            served = datagrams::serve(sockets, &mut for_datagrams, &clock, stop) => served,
            () = streams::serve(&listeners, service.clone(), clock, limits) => Ok(()),
        }
    };
    LocalSet::new().run_until(both).await?;
    Ok(service.with(|service| service.tally()))
}

async fn stopped(ended: &mut watch::Receiver<bool>) {
    // An error is the end of all senders, which is the end of the server as well.
    let _ = ended.wait_for(|stopped| *stopped).await;
}

fn join(started: io::Result<JoinHandle<io::Result<Tally>>>) -> io::Result<Tally> {
    started?
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("a thread ended early")))
}
