//! What waits for the connections of a relay's peers: from every thread to the one that has the connection, bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use hii_protocol::relay::Answer;
use hii_protocol::stream;
use tokio::sync::Notify;

use super::rules::Delivery;
use crate::inbox::LIMITS;

/// Octets that wait for one connection at most: two of the longest messages. Whoever reads too slowly misses what comes
/// meanwhile, and keeps nobody else waiting.
const MOST_WAITING: usize = 128 * 1024;

/// The mailboxes of all connections, by their numbers. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Mailboxes(Arc<RwLock<Boxes>>);

#[derive(Debug, Default)]
struct Boxes {
    by_number: HashMap<u32, Arc<Mailbox>>,
    last: u32,
}

/// What waits for one connection.
#[derive(Debug, Default)]
pub struct Mailbox {
    waiting: Mutex<Waiting>,
    filled: Notify,
}

/// Messages in their frames, one behind the other.
#[derive(Debug, Default)]
pub struct Waiting {
    /// The frames.
    pub octets: Vec<u8>,
    /// How many.
    pub frames: u64,
    is_shut: bool,
}

impl Mailboxes {
    /// A new one, and its number.
    #[must_use]
    pub fn open(&self) -> (u32, Arc<Mailbox>) {
        let mut boxes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut number = boxes.last.wrapping_add(1);
        // There are never as many as numbers.
        while boxes.by_number.contains_key(&number) {
            number = number.wrapping_add(1);
        }
        boxes.last = number;
        let mailbox = Arc::<Mailbox>::default();
        boxes.by_number.insert(number, Arc::clone(&mailbox));
        (number, mailbox)
    }

    /// Takes a mailbox away.
    pub fn remove(&self, number: u32) {
        let mut boxes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        boxes.by_number.remove(&number);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        let boxes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        boxes.by_number.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Leaves a message for a connection.
    #[must_use]
    pub fn put(&self, number: u32, message: &Answer<'_>) -> Delivery {
        let boxes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mailbox = boxes.by_number.get(&number).cloned();
        // To wake the connection's thread may be a system call.
        drop(boxes);
        mailbox.map_or(Delivery::Failed, |mailbox| mailbox.put(message))
    }
}

impl Mailbox {
    fn put(&self, message: &Answer<'_>) -> Delivery {
        let len = message.encoded_len();
        let Ok(header) = stream::header(len, &LIMITS) else {
            return Delivery::Failed;
        };
        let mut waiting = self.lock();
        if waiting.is_shut {
            return Delivery::Failed;
        }
        let start = waiting.octets.len() + header.len();
        if start + len > MOST_WAITING {
            return Delivery::Full;
        }
        waiting.octets.extend_from_slice(&header);
        waiting.octets.resize(start + len, 0);
        if let Some(room) = waiting.octets.get_mut(start..) {
            // The room is as long as the message.
            let _ = message.encode_into(room);
        }
        waiting.frames += 1;
        let is_first = waiting.frames == 1;
        drop(waiting);
        if is_first {
            // Further ones find it woken.
            self.filled.notify_one();
        }
        Delivery::Sent
    }

    /// Takes all that waits.
    #[must_use]
    pub fn take(&self) -> Waiting {
        let mut waiting = self.lock();
        let is_shut = waiting.is_shut;
        std::mem::replace(
            &mut waiting,
            Waiting {
                is_shut,
                ..Waiting::default()
            },
        )
    }

    /// Lets nothing more in.
    pub fn shut(&self) {
        self.lock().is_shut = true;
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().frames == 0
    }

    /// Completes when something has come since it was last taken.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Each call leaves it whole, whatever thread ended early.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hii_protocol::relay::{Content, Forward, Payload};

    fn message(content: &str) -> Answer<'_> {
        let from = "192.0.2.7/7000".parse().unwrap();
        let payload = Payload::Content(Content::new(content).unwrap());
        Answer::Forward(Forward::new(from, payload).unwrap())
    }

    #[test]
    fn messages_wait_in_their_frames_until_there_is_no_room() {
        let boxes = Mailboxes::default();
        let (number, mailbox) = boxes.open();
        assert_eq!(boxes.put(number, &message("hello")), Delivery::Sent);
        let waiting = mailbox.take();
        assert_eq!(
            waiting.octets,
            b"\0\0\0\x20192.0.2.7/7000 ; content : hello"
        );
        assert!(mailbox.is_empty());
        let long = "x".repeat(60_000);
        let sent = (0..10)
            .map(|_| boxes.put(number, &message(&long)))
            .collect::<Vec<_>>();
        assert_eq!(sent[..2], [Delivery::Sent; 2]);
        assert_eq!(sent[2..], [Delivery::Full; 8]);
        assert_eq!(mailbox.take().frames, 2);
        assert_eq!(boxes.put(number, &message(&long)), Delivery::Sent);
    }

    #[test]
    fn what_is_shut_or_gone_takes_nothing() {
        let boxes = Mailboxes::default();
        let (one, mailbox) = boxes.open();
        let (other, _) = boxes.open();
        assert_ne!(one, other);
        assert_eq!(boxes.put(one, &message("a")), Delivery::Sent);
        mailbox.shut();
        assert_eq!(boxes.put(one, &message("b")), Delivery::Failed);
        assert_eq!(mailbox.take().frames, 1);
        assert_eq!(boxes.put(one, &message("c")), Delivery::Failed);
        boxes.remove(other);
        assert_eq!(boxes.put(other, &message("d")), Delivery::Failed);
        assert_eq!(boxes.len(), 1);
    }

    #[tokio::test]
    async fn what_comes_is_told_once_however_it_falls() {
        let boxes = Mailboxes::default();
        let (number, mailbox) = boxes.open();
        for _ in 0..100 {
            assert_eq!(boxes.put(number, &message("a")), Delivery::Sent);
            assert_eq!(boxes.put(number, &message("b")), Delivery::Sent);
            mailbox.filled().await;
            assert_eq!(mailbox.take().frames, 2);
        }
    }
}
