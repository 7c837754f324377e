//! This host's own name and addresses.

use std::net::IpAddr;

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
