//! Tokens: what shows that a sender gets what is sent to its address, without a table (`WIRE.md` section 3.1).

use std::time::Duration;

use hii_protocol::Endpoint;
use hii_protocol::relay::Token;
use siphasher::sip128::{Hasher128 as _, SipHasher24};
use std::hash::Hasher as _;
use std::net::IpAddr;
use subtle::ConstantTimeEq as _;

/// How long a key makes tokens; they are good for as long again.
const SLOT: Duration = Duration::from_secs(60);

/// A key of the MAC.
pub type Key = [u8; 16];

/// Makes tokens and tells whether one was made here, lately and for that address. A new key is drawn each minute, so
/// that nothing of it is worth finding out.
#[derive(Debug)]
pub struct Tokens<R> {
    /// Draws a key.
    draw: R,
    slot: u64,
    current: Key,
    previous: Option<Key>,
}

impl<R: FnMut() -> Key> Tokens<R> {
    /// Tokens by keys that are drawn so.
    pub fn new(mut draw: R) -> Self {
        let current = draw();
        Self {
            draw,
            slot: 0,
            current,
            previous: None,
        }
    }

    /// The token that proves this address.
    pub fn issue(&mut self, to: Endpoint, now: Duration) -> Token {
        self.turn(now);
        mac(&self.current, to)
    }

    /// Whether this token proves the address: it was issued to it in this minute or the one before.
    pub fn proves(&mut self, token: Token, from: Endpoint, now: Duration) -> bool {
        self.turn(now);
        let keys = [Some(self.current), self.previous];
        keys.iter()
            .flatten()
            .any(|key| mac(key, from).0.ct_eq(&token.0).into())
    }

    /// Changes keys when it is time.
    fn turn(&mut self, now: Duration) {
        let slot = now.as_secs() / SLOT.as_secs();
        if slot <= self.slot {
            return;
        }
        // After a silence longer than a slot even the last key is too old.
        self.previous = (slot == self.slot + 1).then_some(self.current);
        self.current = (self.draw)();
        self.slot = slot;
    }
}

/// Keys without end that all follow from one secret, and tell nothing of it or of each other.
pub fn keys(secret: Key) -> impl FnMut() -> Key + Send {
    let mut drawn = 0_u64;
    move || {
        drawn += 1;
        let mut hasher = SipHasher24::new_with_key(&secret);
        hasher.write_u64(drawn);
        hasher.finish128().as_bytes()
    }
}

fn mac(key: &Key, endpoint: Endpoint) -> Token {
    let mut hasher = SipHasher24::new_with_key(key);
    let ip = match endpoint.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    hasher.write(&ip.octets());
    hasher.write(&endpoint.port().to_be_bytes());
    Token(hasher.finish128().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> Tokens<impl FnMut() -> Key> {
        let mut next = 0;
        Tokens::new(move || {
            next += 1;
            [next; 16]
        })
    }

    fn at(text: &str) -> Endpoint {
        text.parse().unwrap()
    }

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_token_proves_its_own_address_only() {
        let mut tokens = tokens();
        let token = tokens.issue(at("192.0.2.7/9000"), secs(1));
        assert!(tokens.proves(token, at("192.0.2.7/9000"), secs(2)));
        for other in ["192.0.2.7/9001", "192.0.2.8/9000", "[2001:db8::7]/9000"] {
            assert!(!tokens.proves(token, at(other), secs(2)), "{other}");
        }
        let mut wrong = token;
        wrong.0[15] ^= 1;
        assert!(!tokens.proves(wrong, at("192.0.2.7/9000"), secs(2)));
    }

    #[test]
    fn every_key_is_another_and_another_secret_has_others() {
        let drawn = [[1; 16], [2; 16]].map(|secret| {
            let mut draw = keys(secret);
            [draw(), draw(), draw()]
        });
        let all: std::collections::HashSet<_> = drawn.concat().into_iter().collect();
        assert_eq!(all.len(), 6);
    }

    #[test]
    fn a_token_is_good_in_its_slot_and_the_next() {
        let from = at("192.0.2.7/9000");
        for (checked, good) in [
            (59, true),
            (60, true),
            (119, true),
            (120, false),
            (600, false),
        ] {
            let mut tokens = tokens();
            let token = tokens.issue(from, secs(5));
            assert_eq!(tokens.proves(token, from, secs(checked)), good, "{checked}");
        }
        // Time that seems to go back changes nothing.
        let mut tokens = tokens();
        let token = tokens.issue(from, secs(65));
        assert!(tokens.proves(token, from, secs(1)));
    }
}
