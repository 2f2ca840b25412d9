//! Weights moved out of place: read where they stand, written elsewhere, in one pass.

use super::stream::Stream;
use super::tile::{self, TILE};
use super::weight::{Moving, Tile};
use super::{AHEAD, CHUNK, Weight, ask_for, made};
#[cfg(target_arch = "x86_64")]
use crate::vector::{Avx2, Avx512};
use crate::vector::{Baseline, Instructions, Vector};
use crate::{NoisePass, Sides};
use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::ops::Range;

/// The weights of `ranges`, end to end, as `pass` moves them; for both sides also as its opposite does.
///
/// `pass` takes no share of the weights. The memory is that of `spare`, as far as it goes. Bits are those of a pass over a copy of all weights, whatever the ranges.
///
/// # Panics
/// A range is not within `weights`.
pub(crate) fn moved<W: Weight>(
    weights: &[W],
    ranges: impl IntoIterator<Item = Range<usize>>,
    pass: &NoisePass<'_>,
    sides: Sides,
    spare: Vec<Vec<W>>,
) -> Vec<Vec<W>> {
    let pieces: Vec<Range<usize>> = ranges.into_iter().flat_map(pieces).collect();
    let len = pieces.iter().map(Range::len).sum();
    let spare = spare.into_iter().chain(std::iter::repeat_with(Vec::new));
    let mut all: Vec<Vec<W>> = spare.take(sides.count()).collect();
    for side in &mut all {
        side.clear();
        side.reserve_exact(len);
    }
    let mut rooms = all
        .iter_mut()
        .map(|side| &mut side.spare_capacity_mut()[..len]);
    let mut room = Room {
        moved: rooms.next().unwrap_or_default(),
        opposite: rooms.next(),
    };
    let mut tasks = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let mine = room.take_first(piece.len());
        tasks.push((piece, mine));
    }
    let instructions = Instructions::in_use();
    tasks.into_par_iter().for_each(|(piece, room)| {
        move_piece(weights, piece, room, pass, instructions);
    });
    for side in &mut all {
        // SAFETY: the pieces have `len` elements together, and `move_piece` wrote all of each.
        unsafe { side.set_len(len) };
    }
    all
}

/// Takes the first elements of what is left.
fn take_first<'r, T>(room: &mut &'r mut [T], len: usize) -> &'r mut [T] {
    let (mine, rest) = std::mem::take(room).split_at_mut(len);
    *room = rest;
    mine
}

/// Cuts a range where tasks end.
fn pieces(range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut start = range.start;
    std::iter::from_fn(move || {
        let piece = start..range.end.min((start / CHUNK + 1) * CHUNK);
        start = piece.end;
        (!piece.is_empty()).then_some(piece)
    })
}

/// One task: writes all elements of `room`, which is as long as `piece`.
fn move_piece<W: Weight>(
    weights: &[W],
    piece: Range<usize>,
    mut room: Room<'_, W>,
    pass: &NoisePass<'_>,
    instructions: Instructions,
) {
    if !pass.made.is_empty() {
        let Room { moved, opposite } = room;
        return made::move_piece(
            &weights[piece.clone()],
            piece.start,
            (moved, opposite),
            pass,
        );
    }
    let elements = pass.kind.elements_of_group();
    let mut streams = Stream::all_of(pass);
    let mut at = piece.start;
    while at < piece.end {
        let group = at / elements;
        let end = piece.end.min((group + 1) * elements);
        Stream::read_all(&mut streams, group as u64, instructions);
        let part = (&weights[at..end], room.take_first(end - at));
        move_part(part, at % elements, &streams, pass, instructions);
        at = end;
    }
}

/// Where weights are written that a pass moves, and, if that is wanted, where those are that its opposite moves: places
/// of one number, which nobody has written yet.
struct Room<'r, W> {
    moved: &'r mut [MaybeUninit<W>],
    opposite: Option<&'r mut [MaybeUninit<W>]>,
}

impl<'r, W: Weight> Room<'r, W> {
    /// Takes the first places of what is left.
    #[inline(always)]
    fn take_first(&mut self, len: usize) -> Self {
        Self {
            moved: take_first(&mut self.moved, len),
            opposite: self.opposite.as_mut().map(|room| take_first(room, len)),
        }
    }
}

/// Moves weights of the group that the streams have read, those from its element `start` on, into the room for them.
fn move_part<W: Weight>(
    part: (&[W], Room<'_, W>),
    start: usize,
    streams: &[Stream],
    pass: &NoisePass<'_>,
    instructions: Instructions,
) {
    match instructions {
        // SAFETY: an `Instructions` names what this machine has, and `Baseline` is everywhere.
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx2 => unsafe { move_part_avx2(part, start, streams, pass) },
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 => unsafe { move_part_avx512(part, start, streams, pass) },
        _ => unsafe { move_part_by::<W, Baseline>(part, start, streams, pass) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn move_part_avx2<W: Weight>(
    part: (&[W], Room<'_, W>),
    start: usize,
    streams: &[Stream],
    pass: &NoisePass<'_>,
) {
    // SAFETY: the instructions are there.
    unsafe { move_part_by::<W, Avx2>(part, start, streams, pass) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn move_part_avx512<W: Weight>(
    part: (&[W], Room<'_, W>),
    start: usize,
    streams: &[Stream],
    pass: &NoisePass<'_>,
) {
    // SAFETY: the instructions are there.
    unsafe { move_part_by::<W, Avx512>(part, start, streams, pass) }
}

/// [`move_part`], tile by tile.
///
/// # Safety
/// The processor has the instructions of `V`.
#[inline(always)]
unsafe fn move_part_by<W: Weight, V: Vector>(
    (from, mut room): (&[W], Room<'_, W>),
    start: usize,
    streams: &[Stream],
    pass: &NoisePass<'_>,
) {
    let mut rest = from;
    let mut at = start;
    while !rest.is_empty() {
        let place = at % TILE;
        let (part, later) = rest.split_at(rest.len().min(TILE - place));
        let places = room.take_first(part.len());
        ask_for_later(part.as_ptr());
        ask_for_later(places.moved.as_ptr());
        if let Some(places) = &places.opposite {
            ask_for_later(places.as_ptr());
        }
        let mut moved = tile_with(part, place);
        let mut opposite = moved;
        let moving = Moving {
            tile: &mut moved,
            opposite: places.opposite.is_some().then_some(&mut opposite),
        };
        // SAFETY: the instructions are there.
        unsafe { tile::add::<W, V>(moving, at / TILE, streams, pass) };
        write(places.moved, &moved, place);
        if let Some(places) = places.opposite {
            write(places, &opposite, place);
        }
        at += part.len();
        rest = later;
    }
}

/// Asks for what lies some tiles on.
#[inline(always)]
fn ask_for_later<T>(here: *const T) {
    ask_for(here.cast::<Tile<T>>().wrapping_add(AHEAD));
}

/// A tile with this part of it, which is not empty; whatever else is in it is of no use.
#[inline(always)]
fn tile_with<W: Weight>(part: &[W], place: usize) -> Tile<W> {
    let mut tile = [[part[0]; 16]; 4];
    match <&[W; TILE]>::try_from(part) {
        // a length that the compiler knows
        Ok(whole) => tile.as_flattened_mut().copy_from_slice(whole),
        Err(_) => tile.as_flattened_mut()[place..place + part.len()].copy_from_slice(part),
    }
    tile
}

/// Writes this part of the tile.
#[inline(always)]
fn write<W: Weight>(places: &mut [MaybeUninit<W>], tile: &Tile<W>, place: usize) {
    let tile = tile.as_flattened();
    let part = match places.len() {
        TILE => tile,
        len => &tile[place..place + len],
    };
    for (place, w) in places.iter_mut().zip(part) {
        place.write(*w);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::add_noise;
    use crate::{Grid, NoiseKind, Seed, TensorId};
    use half::{bf16, f16};
    use proptest::prelude::*;

    fn weights(n: usize) -> Vec<f32> {
        (0..n)
            .map(|i| ((i * 37 % 1009) as f32 - 500.0) / 1024.0)
            .collect()
    }

    fn in_place<W: Weight>(weights: &[W], pass: &NoisePass<'_>) -> Vec<W> {
        let mut weights = weights.to_vec();
        add_noise(&mut weights, pass);
        weights
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        /// Any ranges, one side or both, on a grid or not: the bits of passes in place.
        #[test]
        fn bits_are_those_of_a_pass_in_place(
            n in 1usize..70_000,
            cuts in prop::collection::vec((0.0f64..1.0, 0usize..2000), 0..5),
            coefficients in prop::collection::vec(-0.02f32..0.02, 1..5),
            grid in prop_oneof![Just(None), Just(Some(Grid::holding(0.5, 0.01, 0.0)))],
            both: bool,
        ) {
            let odd = |c: f32| f32::from_bits(c.to_bits() | 1);
            let terms: Vec<_> = (1u64..).map(Seed::new).zip(coefficients.into_iter().map(odd)).collect();
            let opposite: Vec<_> = terms.iter().map(|(seed, c)| (*seed, -c)).collect();
            let mut ranges: Vec<Range<usize>> = cuts
                .iter()
                .map(|(at, len)| {
                    let start = (at * n as f64) as usize;
                    start..n.min(start + len)
                })
                .collect();
            ranges.push(0..n);
            let sides = if both { Sides::Both } else { Sides::One };
            for kind in NoiseKind::ALL {
                let pass = |terms| NoisePass {
                    grid,
                    ..NoisePass::new(TensorId::of("w"), kind, terms)
                };
                let standing = weights(n);
                // one side takes what is long enough or not, the other takes fresh memory
                let spare = vec![vec![9.0; 20_000]];
                let found = moved(&standing, ranges.clone(), &pass(&terms), sides, spare);
                prop_assert_eq!(found.len(), sides.count());
                for (found, terms) in found.iter().zip([&terms, &opposite]) {
                    let all = in_place(&standing, &pass(terms));
                    let expected: Vec<u32> = ranges
                        .iter()
                        .flat_map(|range| &all[range.clone()])
                        .map(|w| w.to_bits())
                        .collect();
                    let found: Vec<u32> = found.iter().map(|w| w.to_bits()).collect();
                    prop_assert_eq!(found, expected);
                }
            }
        }
    }

    #[test]
    fn every_type_of_weight_is_rounded_once() {
        let terms = [(Seed::new(3), 0.125), (Seed::new(9), -0.5)];
        let opposite = [(Seed::new(3), -0.125), (Seed::new(9), 0.5)];
        let of = |terms| NoisePass::new(TensorId::of("w"), NoiseKind::Gaussian, terms);
        fn check<W: Weight>(weights: Vec<W>, [pass, opposite]: [NoisePass<'_>; 2]) {
            let found = moved(
                &weights,
                [7..3000, 0..weights.len()],
                &pass,
                Sides::Both,
                Vec::new(),
            );
            for (found, pass) in found.iter().zip([pass, opposite]) {
                let all = in_place(&weights, &pass);
                assert_eq!(found[..2993], all[7..3000]);
                assert_eq!(found[2993..], all);
            }
        }
        let passes = [of(&terms), of(&opposite)];
        let exact = weights(5000);
        check(exact.iter().map(|w| f16::from_f32(*w)).collect(), passes);
        check(exact.iter().map(|w| bf16::from_f32(*w)).collect(), passes);
        check(exact.iter().map(|w| f64::from(*w)).collect(), passes);
    }

    #[test]
    fn nothing_is_moved_to_nothing() {
        let pass = NoisePass::new(TensorId::of("w"), NoiseKind::Gaussian, &[]);
        let nothing = moved::<f32>(&[], std::iter::once(0..0), &pass, Sides::Both, Vec::new());
        assert_eq!(nothing, vec![Vec::<f32>::new(); 2]);
        let standing = weights(100);
        let found = moved(
            &standing,
            std::iter::once(20..30),
            &pass,
            Sides::One,
            Vec::new(),
        );
        assert_eq!(found, [&standing[20..30]]);
    }
}
