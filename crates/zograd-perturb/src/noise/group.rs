use crate::vector::Row;

/// Blocks of the keystream that are read side by side.
pub(crate) const BLOCKS: usize = 16;

/// Words of 32 bits of a block.
pub(crate) const BLOCK_WORDS: usize = 16;

/// Bits of a group.
pub(super) const GROUP_BITS: usize = 32 * BLOCK_WORDS * BLOCKS;

/// 16 blocks of the keystream: row `w` has word `w` of each of them.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Group(pub(crate) [Row<u32>; BLOCK_WORDS]);

impl Group {
    /// Room for one.
    pub(crate) const EMPTY: Self = Self([[0; BLOCKS]; BLOCK_WORDS]);
}
