//! Fair shares of a pool against a count of everything: what goes, and that nothing remains.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use arbitrary::{Arbitrary, Result, Unstructured};
use hii_server::policy::fair_pool::FairPool;
use hii_server::policy::fair_share::{Class, EntryId, Holder, Order, Turn};

use crate::origin::origin;

/// No pool of these tests is larger: then prefixes of each depth are soon overloaded.
const MAX_PLACES: u8 = 80;

/// No prefix is allowed fewer places.
const MIN_ALLOWANCE: usize = 4;

/// A pool, and what its owner knows of it.
struct Checked {
    pool: FairPool<u32>,
    known: BTreeMap<EntryId, Known>,
    inserted: u32,
}

/// A value that is in the pool.
struct Known {
    value: u32,
    class: Class,
    prefixes: [(Prefix, usize); 3],
}

/// The class, the family, how many bits the prefix has, and those bits.
type Prefix = (bool, bool, u32, u128);

/// A size, an order, and acts on a pool: each is an insertion, activity or a removal.
pub fn fair_share(octets: &[u8]) {
    let octets = &mut Unstructured::new(octets);
    let Ok(mut checked) = Checked::arbitrary(octets) else {
        return;
    };
    while !octets.is_empty() && checked.act(octets).is_ok() {
        checked.check();
    }
    for id in checked.known.keys().copied().collect::<Vec<_>>() {
        checked.remove(id);
        checked.check();
    }
    assert!(checked.pool.is_empty());
}

impl<'a> Arbitrary<'a> for Checked {
    fn arbitrary(octets: &mut Unstructured<'a>) -> Result<Self> {
        let places = u32::from(octets.int_in_range(0..=MAX_PLACES)?);
        let order = *octets.choose(&[Order::Oldest, Order::Newest])?;
        Ok(Self {
            pool: FairPool::with_order(places, order),
            known: BTreeMap::new(),
            inserted: 0,
        })
    }
}

impl Checked {
    fn act(&mut self, octets: &mut Unstructured<'_>) -> Result<()> {
        let act = u8::arbitrary(octets)?;
        let turn = if act & 1 == 0 {
            Turn::First
        } else {
            Turn::Last
        };
        match act >> 1 & 7 {
            0..=4 => self.insert(address(octets)?, act >> 4, turn),
            5..=6 => {
                // It may be the number of none.
                self.pool.touch(u8::arbitrary(octets)?.into(), turn);
            }
            _ => self.remove(u8::arbitrary(octets)?.into()),
        }
        Ok(())
    }

    /// Inserts a value. Where the owner may choose, it may choose the new one.
    fn insert(&mut self, ip: IpAddr, how: u8, turn: Turn) {
        let origin = origin(SocketAddr::new(ip, 9));
        let is_trusted = origin.is_loopback() || how & 1 == 1;
        let own = if is_trusted {
            Class::Trusted
        } else {
            Class::Stranger
        };
        self.inserted += 1;
        let value = self.inserted;
        let mut choice = None;
        let choose = |pool: &FairPool<u32>, class, id| {
            assert_eq!(pool.get(id), Some(&value));
            choice = Some(class);
            (how & 2 == 2 && class == own).then_some(id)
        };
        let holder = Holder::new(&origin, own);
        let inserted = self.pool.insert_or_choose(holder, turn, value, choose);
        let new = Known {
            value,
            class: own,
            prefixes: self.prefixes(ip, is_trusted),
        };
        let displaced_id = inserted.displaced.map(|(id, _)| id);
        let id = inserted.id.or(displaced_id).expect("a number");
        assert!(self.known.insert(id, new).is_none(), "{id} is in use");
        let is_surplus = self.known.len() > self.pool.places() as usize;
        assert_eq!(inserted.displaced.is_some(), is_surplus);
        if let Some((gone, value)) = inserted.displaced {
            self.check_choice(gone, choice);
            let gone = self.known.remove(&gone);
            assert_eq!(gone.map(|gone| gone.value), Some(value));
        }
    }

    /// Checks what goes, and that the owner was asked only where the shares protect no value.
    fn check_choice(&self, gone: EntryId, choice: Option<Class>) {
        let trusted = self.of(Class::Trusted).count();
        let class = if trusted > self.pool.places().div_ceil(2) as usize {
            Class::Trusted
        } else {
            Class::Stranger
        };
        let gone = &self.known[&gone];
        assert_eq!(gone.class, class);
        let is_overload = self.of(class).any(|one| self.is_overloaded(one));
        assert!(self.is_overloaded(gone) || !is_overload);
        assert_eq!(choice, (!is_overload).then_some(class));
    }

    fn remove(&mut self, id: EntryId) {
        let expected = self.known.remove(&id).map(|one| one.value);
        assert_eq!(self.pool.remove(id), expected);
    }

    fn of(&self, class: Class) -> impl Iterator<Item = &Known> {
        self.known.values().filter(move |one| one.class == class)
    }

    /// Whether a prefix of this value has more than it is allowed.
    fn is_overloaded(&self, one: &Known) -> bool {
        one.prefixes.iter().any(|prefix| {
            let has = |other: &&Known| other.prefixes.contains(prefix);
            let (_, allowed) = *prefix;
            self.known.values().filter(has).count() > allowed
        })
    }

    /// The prefixes of an address, with what each is allowed.
    fn prefixes(&self, ip: IpAddr, is_trusted: bool) -> [(Prefix, usize); 3] {
        let (bits, lengths) = match ip {
            IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, [32, 24, 16]),
            IpAddr::V6(v6) => (v6.to_bits(), [64, 48, 32]),
        };
        let part = |len: u32, parts: usize| {
            let prefix = (is_trusted, ip.is_ipv6(), len, bits >> (128 - len));
            let allowed = self.pool.places() as usize / parts;
            (prefix, allowed.max(MIN_ALLOWANCE))
        };
        let [host, site, region] = lengths;
        [part(host, 256), part(site, 64), part(region, 16)]
    }

    fn check(&self) {
        let trusted = self.of(Class::Trusted).count();
        assert_eq!(self.pool.len() as usize, self.known.len());
        assert_eq!(self.pool.count(Class::Trusted) as usize, trusted);
        assert_eq!(
            self.pool.count(Class::Stranger) as usize,
            self.known.len() - trusted
        );
        assert!(self.known.len() <= self.pool.places() as usize);
        for (id, one) in &self.known {
            assert_eq!(self.pool.get(*id), Some(&one.value));
            assert!(*id < self.pool.id_bound());
        }
    }
}

/// An address of a few classes, most of which share prefixes.
fn address(octets: &mut Unstructured<'_>) -> Result<IpAddr> {
    let [kind, bits] = <[u8; 2]>::arbitrary(octets)?;
    let [region, site, host] = [bits & 3, bits >> 2 & 3, bits >> 4];
    Ok(match kind % 5 {
        0 => Ipv4Addr::new(127, 0, 0, host + 1).into(),
        1 | 2 => Ipv4Addr::new(192, region, site, host + 1).into(),
        _ => {
            let [region, site, host] = [region, site, host].map(u16::from);
            Ipv6Addr::new(0x2a00, region, site, host, 0, 0, 0, 1).into()
        }
    })
}
