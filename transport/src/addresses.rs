//! This host's own name and addresses.

use std::io;
use std::net::{IpAddr, UdpSocket};

/// The host's name, where the platform tells it.
#[must_use]
pub fn host_name() -> Option<String> {
    #[cfg(unix)]
    let name = nix::unistd::gethostname().ok()?.into_string().ok();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").ok();
    name.filter(|name| !name.is_empty())
}

/// The addresses of the host's interfaces, loopback included; empty where the platform does not tell them.
#[must_use]
pub fn interface_addresses() -> Vec<IpAddr> {
    #[cfg(unix)]
    {
        let Ok(interfaces) = nix::ifaddrs::getifaddrs() else {
            return Vec::new();
        };
        interfaces
            .filter_map(|interface| {
                let address = interface.address?;
                let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
                v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
            })
            .collect()
    }
    #[cfg(not(unix))]
    Vec::new()
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
