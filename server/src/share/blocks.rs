//! The hash of a file in blocks: what is known of the whole ones is enough to go on with, without reading them again.
//!
//! BLAKE3 is a tree. The chaining value of a block (of a power of two of octets, 1,024 or more) stands for all of it, and those
//! of the blocks give the hash of what begins the file, and in the end of all of it. A receiver keeps them in its journal, and
//! a sender has several cores at work on what a receiver has already.

use blake3::Hasher;
pub use blake3::hazmat::ChainingValue;
use blake3::hazmat::{HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root};
use hii_protocol::share::Digest;

/// Hashes a file as it comes, in blocks of so many octets.
#[derive(Debug, Clone)]
pub struct BlockHasher<const BLOCK: u64> {
    before: Tree,
    current: Hasher,
    /// Octets in the current block.
    filled: u64,
}

/// Whole blocks, merged as far as it is sure that others follow.
#[derive(Debug, Clone, Default)]
struct Tree {
    /// From the largest subtree down.
    subtrees: Vec<ChainingValue>,
    blocks: u64,
}

impl<const BLOCK: u64> BlockHasher<BLOCK> {
    /// Nothing has come yet.
    #[must_use]
    pub fn new() -> Self {
        Self::after([])
    }

    /// These blocks are there already.
    pub fn after(blocks: impl IntoIterator<Item = ChainingValue>) -> Self {
        let mut before = Tree::default();
        blocks.into_iter().for_each(|block| before.push(block));
        let current = hasher_at(before.blocks * BLOCK);
        Self {
            before,
            current,
            filled: 0,
        }
    }

    /// Octets so far.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.before.blocks * BLOCK + self.filled
    }

    /// The hash of the whole blocks before anything else has come. One block alone does not tell it, and none need not.
    #[must_use]
    pub fn digest_of_blocks(&self) -> Option<Digest> {
        let mut before = self.before.clone();
        let last = before.subtrees.pop()?;
        before.root(last)
    }

    /// Takes a whole block that was hashed elsewhere. It belongs behind whole ones; octets of a block that has begun are lost.
    pub fn push(&mut self, block: ChainingValue) {
        if self.filled == BLOCK {
            self.before.push(self.current.finalize_non_root());
        }
        self.before.push(block);
        self.current = hasher_at(self.before.blocks * BLOCK);
        self.filled = 0;
    }

    /// Takes more octets. `whole` is told the chaining value of each block after which the file goes on.
    pub fn update(&mut self, mut octets: &[u8], mut whole: impl FnMut(&ChainingValue)) {
        while !octets.is_empty() {
            if self.filled == BLOCK {
                let value = self.current.finalize_non_root();
                whole(&value);
                self.before.push(value);
                self.current = hasher_at(self.before.blocks * BLOCK);
                self.filled = 0;
            }
            let room = usize::try_from(BLOCK - self.filled).unwrap_or(usize::MAX);
            let (part, rest) = octets.split_at_checked(room).unwrap_or((octets, &[]));
            self.current.update(part);
            self.filled += part.len() as u64;
            octets = rest;
        }
    }

    /// The hash of all of it; none where the one block that was there before is all there is.
    #[must_use]
    pub fn finish(mut self) -> Option<Digest> {
        if self.before.blocks == 0 {
            return Some(Digest(self.current.finalize().into()));
        }
        if self.filled == 0 {
            return self.digest_of_blocks();
        }
        self.before.settle();
        self.before.root(self.current.finalize_non_root())
    }
}

impl<const BLOCK: u64> Default for BlockHasher<BLOCK> {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    fn push(&mut self, block: ChainingValue) {
        self.settle();
        self.subtrees.push(block);
        self.blocks += 1;
    }

    /// Something follows, so each bit of the number of blocks is one subtree.
    fn settle(&mut self) {
        while self.subtrees.len() > self.blocks.count_ones() as usize {
            if let (Some(right), Some(left)) = (self.subtrees.pop(), self.subtrees.pop()) {
                self.subtrees
                    .push(merge_subtrees_non_root(&left, &right, Mode::Hash));
            }
        }
    }

    /// The hash of all subtrees and a last one.
    fn root(mut self, mut last: ChainingValue) -> Option<Digest> {
        while let Some(left) = self.subtrees.pop() {
            if self.subtrees.is_empty() {
                let root = merge_subtrees_root(&left, &last, Mode::Hash);
                return Some(Digest(root.into()));
            }
            last = merge_subtrees_non_root(&left, &last, Mode::Hash);
        }
        None
    }
}

/// Hashes octets that begin at this place of their file: `finalize_non_root` gives the chaining value of a whole block.
#[must_use]
pub fn hasher_at(place: u64) -> Hasher {
    let mut hasher = Hasher::new();
    hasher.set_input_offset(place);
    hasher
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    fn octets(len: usize) -> Vec<u8> {
        (0..len)
            .map(|place| u8::try_from(place * 31 % 251).unwrap())
            .collect()
    }

    fn digest(octets: &[u8]) -> Digest {
        Digest(blake3::hash(octets).into())
    }

    /// What a hasher says of these octets in pieces of such a length, and the blocks that it told.
    fn hashed(octets: &[u8], piece: usize) -> (Option<Digest>, Vec<ChainingValue>) {
        let mut hasher = BlockHasher::<MIB>::new();
        let mut blocks = Vec::new();
        for piece in octets.chunks(piece) {
            hasher.update(piece, |block| blocks.push(*block));
        }
        assert_eq!(hasher.octets(), octets.len() as u64);
        (hasher.finish(), blocks)
    }

    fn mebibytes(count: usize) -> usize {
        count << 20
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn blocks_give_the_hash_of_the_whole_and_of_what_begins_it(
            len in prop_oneof![0..mebibytes(9), (0..9_usize).prop_map(mebibytes)],
            piece in 1000..200_000_usize,
        ) {
            let octets = octets(len);
            let (whole, blocks) = hashed(&octets, piece);
            prop_assert_eq!(whole, Some(digest(&octets)));
            // A block is told when more follows.
            prop_assert_eq!(blocks.len(), len.saturating_sub(1) / mebibytes(1));
            for count in 0..=blocks.len() {
                let mut hasher = BlockHasher::<MIB>::after(blocks[..count].iter().copied());
                let (before, rest) = octets.split_at(mebibytes(count));
                let known = (count > 1).then(|| digest(before));
                prop_assert_eq!(hasher.digest_of_blocks(), known);
                if let Some(next) = blocks.get(count) {
                    // Behind blocks that were known, and behind some that were not.
                    let mut fresh = BlockHasher::<MIB>::new();
                    fresh.update(before, |_| {});
                    for mut pushed in [hasher.clone(), fresh] {
                        pushed.push(*next);
                        pushed.update(&octets[mebibytes(count + 1)..], |_| {});
                        prop_assert_eq!(pushed.finish(), Some(digest(&octets)));
                    }
                }
                let mut more = Vec::new();
                hasher.update(rest, |block| more.push(*block));
                prop_assert_eq!(&more[..], &blocks[count..]);
                prop_assert_eq!(hasher.finish(), Some(digest(&octets)));
            }
        }
    }

    #[test]
    fn nothing_after_the_blocks_is_their_own_hash_as_far_as_that_is_known() {
        let octets = octets(mebibytes(3));
        let blocks: Vec<_> = (0..)
            .zip(octets.chunks(mebibytes(1)))
            .map(|(index, block)| hasher_at(index * MIB).update(block).finalize_non_root())
            .collect();
        for count in 2..=3 {
            let hasher = BlockHasher::<MIB>::after(blocks[..count].iter().copied());
            let known = digest(&octets[..mebibytes(count)]);
            assert_eq!(hasher.finish(), Some(known));
        }
        assert_eq!(BlockHasher::<MIB>::after([blocks[0]]).finish(), None);
        assert_eq!(BlockHasher::<MIB>::new().finish(), Some(digest(b"")));
    }
}
