//! The addresses of this host that peers greeted.

use std::collections::HashMap;
use std::net::IpAddr;

use slab::Slab;

/// Each address once: few octets in a slot stand for it. There are never more of them than peers.
#[derive(Debug, Default)]
pub(super) struct GreetedAddrs {
    /// How many peers greeted each.
    addrs: Slab<(IpAddr, u32)>,
    numbers: HashMap<IpAddr, u32>,
}

/// The number of no address.
const NONE: u32 = u32::MAX;

impl GreetedAddrs {
    /// Returns the number of an address that one more peer greeted.
    pub(super) fn add(&mut self, ip: Option<IpAddr>) -> u32 {
        let Some(ip) = ip.map(|ip| ip.to_canonical()) else {
            return NONE;
        };
        let next = u32::try_from(self.addrs.vacant_key()).unwrap_or(NONE);
        let number = *self.numbers.entry(ip).or_insert(next);
        match self.addrs.get_mut(key(number)) {
            Some((_, peers)) => *peers += 1,
            None => _ = self.addrs.insert((ip, 1)),
        }
        number
    }

    /// The address of a number.
    pub(super) fn get(&self, number: u32) -> Option<IpAddr> {
        self.addrs.get(key(number)).map(|(ip, _)| *ip)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.addrs.len().max(self.numbers.len())
    }

    /// One peer less greeted the address of a number.
    pub(super) fn remove(&mut self, number: u32) {
        let Some((ip, peers)) = self.addrs.get_mut(key(number)) else {
            return;
        };
        *peers -= 1;
        if *peers == 0 {
            self.numbers.remove(ip);
            self.addrs.remove(key(number));
        }
    }
}

fn key(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn an_address_is_kept_once_and_as_long_as_a_peer_greeted_it() {
        let mut addrs = GreetedAddrs::default();
        let [one, other] = [1, 2].map(|last| IpAddr::from(Ipv4Addr::new(192, 0, 2, last)));
        let first = addrs.add(Some(one));
        let second = addrs.add(Some(other));
        assert_eq!(addrs.add(Some(one)), first);
        assert_eq!(
            [first, second].map(|number| addrs.get(number)),
            [Some(one), Some(other)]
        );
        assert_eq!(addrs.add(None), NONE);
        assert_eq!(addrs.get(NONE), None);
        addrs.remove(NONE);
        addrs.remove(first);
        assert_eq!(addrs.get(first), Some(one));
        addrs.remove(first);
        assert_eq!(addrs.get(first), None);
        assert_eq!(addrs.len(), 1);
        // Its number is another's.
        assert_eq!(addrs.add(Some(one)), first);
    }
}
