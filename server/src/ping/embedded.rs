//! A ping server inside another program: what `hii ping` measures when it is given no target.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::thread::JoinHandle;

use hii_transport::addresses::interface_addresses;
use hii_transport::clock::Clock;
use hii_transport::stop::{Stopper, stopper};
use hii_transport::{datagrams, udp};

use super::{Config, Impairments, Limits, PingService, SharedTotal, Tally, random_seed};
use crate::allow_exit::AllowExit;
use crate::policy::local_addrs::LocalAddrs;

/// A ping server inside another program, on a thread of its own, for that program alone.
#[derive(Debug)]
pub struct Embedded {
    address: SocketAddr,
    stopper: Stopper,
    thread: JoinHandle<io::Result<Tally>>,
}

impl Embedded {
    /// Starts a server on a free port of this address.
    ///
    /// # Errors
    /// There is no free port, or no memory for the thread.
    pub fn start(loopback: IpAddr, impairments: Impairments) -> io::Result<Self> {
        let config = Config {
            impairments,
            seed: random_seed(),
            allow_exit: AllowExit::Loopback,
            limits: Limits::NONE,
            total: SharedTotal::NONE,
        };
        let socket = udp::listen(SocketAddr::new(loopback, 0))?;
        let address = socket.local_addr()?;
        let local = LocalAddrs::new(&[address], interface_addresses);
        let (stopper, stop) = stopper()?;
        let thread = std::thread::Builder::new()
            .name("ping server".into())
            .spawn(move || {
                let mut service = PingService::new(&config, local);
                datagrams::serve(vec![socket], &mut service, &Clock::start(), &stop)?;
                Ok(service.tally())
            })?;
        Ok(Self {
            address,
            stopper,
            thread,
        })
    }

    /// Where the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops the server and tells what it did.
    ///
    /// # Errors
    /// The server had ended early.
    pub fn stop(self) -> io::Result<Tally> {
        // It may have been stopped by `exit` already.
        drop(self.stopper);
        self.thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the server's thread ended early")))
    }
}
