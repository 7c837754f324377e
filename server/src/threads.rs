//! A service on several threads: each has a runtime and sockets of its own, because a shared socket keeps each peer on
//! one of them.

use std::io;
use std::net::{TcpListener as StdListener, UdpSocket};
use std::num::NonZeroUsize;
use std::ops::AddAssign;
use std::thread::{self, JoinHandle};

use hii_transport::clock::Clock;
use hii_transport::{datagrams, udp};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::LocalSet;

use crate::exit::{Exit, Failure};
use crate::listen::Sockets;
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

/// Runs a service on each thread's sockets, the first on this thread and with the TCP listeners too, until one of them
/// stops itself or `stop` completes. Gives the sum of their tallies.
///
/// # Errors
/// A thread or its runtime cannot be had.
pub(crate) async fn serve<S>(
    sockets: Sockets,
    mut service: impl FnMut(u64) -> S,
    limits: StreamLimits,
    stop: impl Future<Output = ()>,
) -> io::Result<S::Tally>
where
    S: StreamService + Tallied + Send,
{
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
        Box::pin(run_with_streams(
            (first, tcp),
            service(0),
            clock,
            limits,
            &all,
            stop,
        ))
        .await
    } else {
        Ok(S::Tally::default())
    };
    all.send_replace(true);
    let mut sum = S::Tally::default();
    let mut failed = None;
    for ended in others.into_iter().map(join).chain([result]) {
        match ended {
            Ok(tally) => sum += tally,
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(sum), Err)
}

fn start<S>(
    sockets: Vec<UdpSocket>,
    mut service: S,
    clock: Clock,
    all: &watch::Sender<bool>,
) -> io::Result<JoinHandle<io::Result<S::Tally>>>
where
    S: StreamService + Tallied + Send,
{
    let all = all.clone();
    let mut ended = all.subscribe();
    thread::Builder::new()
        .name("hii-server".into())
        .spawn(move || {
            // However this thread ends, the others are not to go on without its peers.
            let _all = StopAll(all);
            let runtime = current_thread_runtime()?;
            let stop = stopped(&mut ended);
            runtime.block_on(datagrams::serve(sockets, &mut service, &clock, stop))?;
            Ok(service.tally())
        })
}

/// Stops all threads when it is dropped.
struct StopAll(watch::Sender<bool>);

impl Drop for StopAll {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

/// Serves datagrams and connections with one service. Connections end with it.
async fn run_with_streams<S: StreamService + Tallied>(
    (sockets, listeners): (Vec<UdpSocket>, Vec<StdListener>),
    service: S,
    clock: Clock,
    limits: StreamLimits,
    all: &watch::Sender<bool>,
    stop: impl Future<Output = ()>,
) -> io::Result<S::Tally> {
    let listeners: Vec<_> = listeners
        .into_iter()
        .map(TcpListener::from_std)
        .collect::<io::Result<_>>()?;
    let service = Shared::new(service);
    let mut for_datagrams = service.clone();
    let datagrams = async {
        let _all = StopAll(all.clone());
        datagrams::serve(sockets, &mut for_datagrams, &clock, stop).await
    };
    let streams = streams::serve(listeners, service.clone(), clock, limits, all.clone());
    let both = async { tokio::join!(datagrams, streams) };
    let (served, ()) = LocalSet::new().run_until(both).await;
    served?;
    Ok(service.with(|service| service.tally()))
}

fn join<T>(started: io::Result<JoinHandle<io::Result<T>>>) -> io::Result<T> {
    started?
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("a thread ended early")))
}

/// The runtime of one thread.
///
/// # Errors
/// There is no memory, or no file, for it.
pub(crate) fn current_thread_runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}
