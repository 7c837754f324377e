//! This host's own name and addresses.

use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};

/// The host's name, where the platform tells it.
#[must_use]
pub fn host_name() -> Option<String> {
    #[cfg(unix)]
    let name = nix::unistd::gethostname().ok()?.into_string().ok();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").ok();
    name.filter(|name| !name.is_empty())
}

/// An address of one of this host's interfaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The address.
    pub ip: IpAddr,
    /// What reaches all hosts on the interface's network, and the network's own address, which older systems take for the
    /// same. Empty for IPv6 and for links without broadcast.
    pub broadcasts: Vec<Ipv4Addr>,
    /// Index of the interface, where the platform reports it.
    pub interface: Option<u32>,
    /// Whether the interface is the loopback interface.
    pub is_loopback_interface: bool,
}

/// The addresses of this host's interfaces, loopback included; empty where the platform does not report them.
///
/// # Errors
/// They cannot be read now, for lack of a descriptor say.
pub fn interface_addresses() -> io::Result<Vec<InterfaceAddress>> {
    #[cfg(unix)]
    {
        let interfaces = nix::ifaddrs::getifaddrs()?;
        Ok(interfaces
            .filter_map(|one| interface_address(&one))
            .collect())
    }
    #[cfg(not(unix))]
    Ok(Vec::new())
}

#[cfg(unix)]
fn interface_address(from: &nix::ifaddrs::InterfaceAddress) -> Option<InterfaceAddress> {
    use nix::net::if_::{InterfaceFlags, if_nametoindex};
    use nix::sys::socket::SockaddrStorage;

    let v4 = |address: &Option<SockaddrStorage>| {
        let address = address.as_ref()?.as_sockaddr_in()?;
        Some(address.ip())
    };
    let ip = match v4(&from.address) {
        Some(ip) => IpAddr::V4(ip),
        None => IpAddr::V6(from.address.as_ref()?.as_sockaddr_in6()?.ip()),
    };
    let mut broadcasts = Vec::new();
    if let (IpAddr::V4(ip), Some(mask)) = (ip, v4(&from.netmask))
        && from.flags.contains(InterfaceFlags::IFF_BROADCAST)
        // A link of two hosts (RFC 3021) has no broadcast address.
        && mask.to_bits().trailing_zeros() > 1
    {
        broadcasts.push(Ipv4Addr::from_bits(ip.to_bits() | !mask.to_bits()));
        broadcasts.push(Ipv4Addr::from_bits(ip.to_bits() & mask.to_bits()));
        // The system's own field is left out: where there is a peer, it has the peer's address.
    }
    Some(InterfaceAddress {
        ip,
        broadcasts,
        interface: if_nametoindex(from.interface_name.as_str()).ok(),
        is_loopback_interface: from.flags.contains(InterfaceFlags::IFF_LOOPBACK),
    })
}

/// Whether this host can send from an address.
///
/// # Errors
/// It is none of its own.
pub fn can_send_from(ip: IpAddr) -> io::Result<()> {
    match ip {
        // It stands for any address of its family.
        _ if ip.is_unspecified() => Ok(()),
        // Which one it is depends on the interface.
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Ok(()),
        _ if ip.is_multicast() => Err(io::ErrorKind::AddrNotAvailable.into()),
        _ => UdpSocket::bind((ip, 0)).map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn loopback_is_an_interface_without_broadcast_addresses() {
        let addresses = interface_addresses().unwrap();
        let loopback = addresses.iter().find(|one| one.ip == Ipv4Addr::LOCALHOST);
        let loopback = loopback.expect("a loopback address");
        assert!(loopback.is_loopback_interface && loopback.interface.is_some());
        assert_eq!(loopback.broadcasts, [] as [Ipv4Addr; 0]);
    }

    #[test]
    fn tells_own_addresses_from_others() {
        for (ip, is_own) in [
            ("127.0.0.1", true),
            ("0.0.0.0", true),
            ("192.0.2.1", false),
            ("224.0.0.1", false),
            ("2001:db8::1", false),
            ("ff02::1", false),
        ] {
            assert_eq!(can_send_from(ip.parse().unwrap()).is_ok(), is_own, "{ip}");
        }
    }
}
