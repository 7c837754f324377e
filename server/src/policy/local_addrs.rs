//! This host's own addresses, which change while a server runs.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use hii_transport::addresses::InterfaceAddress;

/// How often the addresses are read where nothing calls for it.
const REFRESH: Duration = Duration::from_secs(30);

/// How often they are read at most, when datagrams arrive that do not fit them.
const MIN_REFRESH: Duration = Duration::from_secs(1);

/// The addresses of a host at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostAddrs {
    unicast: HashSet<IpAddr>,
    broadcast: HashSet<Ipv4Addr>,
    loopback_interfaces: Vec<u32>,
}

impl HostAddrs {
    /// The addresses of these interfaces.
    #[must_use]
    pub fn new(interfaces: &[InterfaceAddress]) -> Self {
        let unicast: HashSet<_> = interfaces.iter().map(|one| one.ip.to_canonical()).collect();
        let broadcast = interfaces.iter().flat_map(|one| &one.broadcasts);
        // A network's first address is a host's on newer systems.
        let broadcast = broadcast.filter(|ip| !unicast.contains(&IpAddr::V4(**ip)));
        let loopback = interfaces.iter().filter(|one| one.is_loopback_interface);
        Self {
            broadcast: broadcast.copied().collect(),
            loopback_interfaces: loopback.filter_map(|one| one.interface).collect(),
            unicast,
        }
    }

    /// Whether a canonical address is this host's.
    #[must_use]
    pub fn is_host(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.unicast.contains(&ip)
    }

    /// Whether an address reaches every host of one of this host's networks.
    #[must_use]
    pub fn is_broadcast(&self, ip: Ipv4Addr) -> bool {
        ip.is_broadcast() || self.broadcast.contains(&ip)
    }

    /// Whether an interface is the loopback interface.
    #[must_use]
    pub fn is_loopback_interface(&self, interface: u32) -> bool {
        self.loopback_interfaces.contains(&interface)
    }

    /// Whether any interface is known to be the loopback interface.
    #[must_use]
    pub fn knows_loopback_interfaces(&self) -> bool {
        !self.loopback_interfaces.is_empty()
    }

    /// Whether something that was sent to an address is known to arrive here.
    #[must_use]
    pub fn receives(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.is_host(ip)
            || match ip {
                IpAddr::V4(v4) => v4.is_multicast() || self.is_broadcast(v4),
                IpAddr::V6(v6) => v6.is_multicast(),
            }
    }
}

/// The addresses of this host, read again every 30 s, and when a datagram arrives that does not fit them, at most once a
/// second. Clones share them.
#[derive(Clone)]
pub struct LocalAddrs(Arc<Shared>);

struct Shared {
    read: Box<dyn Fn() -> io::Result<Vec<InterfaceAddress>> + Send + Sync>,
    current: RwLock<Arc<HostAddrs>>,
    /// When they were read last, in nanoseconds; held while they are read.
    read_at: Mutex<()>,
    last: AtomicU64,
    /// Ports of the service's own sockets.
    ports: Vec<u16>,
    /// Addresses that those are bound to.
    bound: Vec<IpAddr>,
}

impl LocalAddrs {
    /// The addresses that `read` gives, for a service on these sockets. Where they cannot be read, the last ones stay.
    pub fn new(
        sockets: &[SocketAddr],
        read: impl Fn() -> io::Result<Vec<InterfaceAddress>> + Send + Sync + 'static,
    ) -> Self {
        let bound = sockets.iter().map(|socket| socket.ip().to_canonical());
        let shared = Shared {
            current: RwLock::new(Arc::new(read_from(&read).unwrap_or_default())),
            read: Box::new(read),
            read_at: Mutex::new(()),
            last: AtomicU64::new(0),
            ports: sockets.iter().map(SocketAddr::port).collect(),
            bound: bound.filter(|ip| !ip.is_unspecified()).collect(),
        };
        Self(Arc::new(shared))
    }

    /// Addresses that never change, for a service on these sockets.
    #[must_use]
    pub fn fixed(sockets: &[SocketAddr], interfaces: Vec<InterfaceAddress>) -> Self {
        Self::new(sockets, move || Ok(interfaces.clone()))
    }

    /// The addresses now.
    #[must_use]
    pub fn current(&self) -> Arc<HostAddrs> {
        let current = self.0.current.read();
        Arc::clone(&current.unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the addresses again where it is time for that, on any clock that all callers share. `are_doubtful`: something
    /// has arrived that does not fit them. Returns whether they were read.
    pub fn refresh(&self, are_doubtful: bool, now: Duration) -> bool {
        let last = Duration::from_nanos(self.0.last.load(Ordering::Relaxed));
        let age = now.saturating_sub(last);
        let is_due = age >= REFRESH || are_doubtful && age >= MIN_REFRESH;
        // Another thread that reads them is enough.
        let Some(_reading) = is_due.then(|| self.0.read_at.try_lock().ok()).flatten() else {
            return false;
        };
        let nanos = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        self.0.last.store(nanos, Ordering::Relaxed);
        let Some(addresses) = read_from(&self.0.read).map(Arc::new) else {
            return false;
        };
        let mut current = self
            .0
            .current
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = addresses;
        true
    }

    /// Whether a canonical address is this host's, or one that the service is bound to.
    #[must_use]
    pub fn is_host(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.0.bound.contains(&ip) || self.current().is_host(ip)
    }

    /// Whether the service itself is at this port of a canonical address.
    #[must_use]
    pub fn is_service(&self, ip: IpAddr, port: u16) -> bool {
        self.0.ports.contains(&port) && self.is_host(ip)
    }
}

/// Reads the addresses, unless that fails.
fn read_from(read: impl Fn() -> io::Result<Vec<InterfaceAddress>>) -> Option<HostAddrs> {
    match read() {
        Ok(interfaces) => Some(HostAddrs::new(&interfaces)),
        Err(error) => {
            tracing::debug!(%error, "the addresses of the host cannot be read");
            None
        }
    }
}

impl Default for LocalAddrs {
    /// A host without interfaces, and a service without sockets.
    fn default() -> Self {
        Self::fixed(&[], Vec::new())
    }
}

impl fmt::Debug for LocalAddrs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalAddrs").field(&self.current()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn interface(ip: &str, broadcasts: &[&str]) -> InterfaceAddress {
        let ip: IpAddr = ip.parse().unwrap();
        InterfaceAddress {
            ip,
            broadcasts: broadcasts.iter().map(|ip| ip.parse().unwrap()).collect(),
            interface: Some(if ip.is_loopback() { 1 } else { 2 }),
            is_loopback_interface: ip.is_loopback(),
        }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn broadcast_addresses_are_those_of_the_interfaces() {
        let hosts = HostAddrs::new(&[
            interface("127.0.0.1", &[]),
            interface("192.0.2.9", &["192.0.2.255", "192.0.2.0"]),
            // A host at its network's first address.
            interface("198.51.100.0", &["198.51.100.255", "198.51.100.0"]),
        ]);
        let is_broadcast = |ip: &str| hosts.is_broadcast(ip.parse().unwrap());
        assert!(is_broadcast("192.0.2.255") && is_broadcast("192.0.2.0"));
        assert!(is_broadcast("198.51.100.255") && !is_broadcast("198.51.100.0"));
        assert!(is_broadcast("255.255.255.255"));
        assert!(!is_broadcast("192.0.2.9") && !is_broadcast("203.0.113.255"));
        assert!(hosts.is_loopback_interface(1) && !hosts.is_loopback_interface(2));
    }

    #[test]
    fn they_are_read_again_when_in_doubt_and_every_half_minute() {
        let reads = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&reads);
        let local = LocalAddrs::new(&["[::]:8080".parse().unwrap()], move || {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            let ip = format!("192.0.2.{}", number + 1);
            match number {
                // No descriptor is left.
                4.. => Err(io::Error::from_raw_os_error(24)),
                _ => Ok(vec![interface(&ip, &["192.0.2.255"])]),
            }
        });
        let refresh = |are_doubtful, now| {
            let was_read = local.refresh(are_doubtful, now);
            (was_read, reads.load(Ordering::Relaxed))
        };
        let receives = |ip: &str| local.current().receives(ip.parse().unwrap());
        for known in [
            "192.0.2.1",
            "192.0.2.255",
            "::ffff:192.0.2.1",
            "127.0.0.9",
            "ff02::1",
        ] {
            assert!(receives(known), "{known}");
        }
        assert!(!receives("192.0.2.2") && !receives("2001:db8::1"));
        assert_eq!(refresh(false, seconds(2)), (false, 1));
        assert!(local.is_service("192.0.2.1".parse().unwrap(), 8080));
        assert_eq!(refresh(true, seconds(2)), (true, 2));
        assert!(local.is_service("192.0.2.2".parse().unwrap(), 8080));
        assert!(!local.is_service("192.0.2.1".parse().unwrap(), 8080));
        assert!(!local.is_service("192.0.2.2".parse().unwrap(), 8081));
        // Not for each of many datagrams.
        assert_eq!(refresh(true, seconds(2)), (false, 2));
        assert_eq!(refresh(true, seconds(3)), (true, 3));
        assert_eq!(refresh(false, seconds(32)), (false, 3));
        assert_eq!(refresh(false, seconds(33)), (true, 4));
        // What cannot be read stays as it was.
        assert_eq!(refresh(false, seconds(63)), (false, 5));
        assert!(receives("192.0.2.4"));
    }

    #[test]
    fn what_a_service_is_bound_to_is_its_own_even_without_a_list() {
        let bound = ["[::ffff:192.0.2.7]:9".parse().unwrap()];
        let local = LocalAddrs::fixed(&bound, Vec::new());
        assert!(local.is_service("192.0.2.7".parse().unwrap(), 9));
        assert!(local.is_service("127.0.0.5".parse().unwrap(), 9));
        assert!(!local.is_service("0.0.0.0".parse().unwrap(), 9));
    }
}
