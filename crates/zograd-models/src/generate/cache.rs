//! Keys and values of the tokens that were run.

use std::ops::Range;

use burn::tensor::Tensor;

use crate::backend::ModelBackend;
use crate::backend::plain::of_type;
use crate::decoder::{Decoder, prefix_of};
use crate::error::ModelError;
use crate::indices::indices;
use crate::packing::Packing;
use crate::run::{Layouts, attend, run_with};

/// What new tokens need to know of those before them: one row per sequence that is being continued.
///
/// The keys of a layer are one tensor, in which every sequence has a slot with room for all that will come, and so are its
/// values. They are written in place. Sequences stand at the ends of their prompts side by side, so that the next token has
/// one place in all slots, and those of neighbouring slots are written together; what is before the shorter prompts is no
/// token's, and is never read.
pub(super) struct Cache<B: ModelBackend> {
    /// Keys and values of each layer, `[slots * room, key and value heads * width]`.
    layers: Vec<[Tensor<B, 2>; 2]>,
    /// Tokens that a slot has room for.
    room: usize,
    /// Tokens of an adapter, which come first in each slot's sequence.
    prefix: usize,
    /// Place of the next token in a slot.
    place: usize,
    /// The sequences that are being continued.
    rows: Vec<Row>,
}

#[derive(Clone, Copy)]
struct Row {
    slot: usize,
    /// Place of the first token in the slot.
    start: usize,
    /// Position of the next token.
    next: u32,
}

impl<B: ModelBackend> Cache<B> {
    /// Runs the prompts by each of the models, one after the other, and gives what the layers make of the last token of each,
    /// `[models * prompts, hidden]`. There is room for `new` more tokens each. The prompts must have been checked.
    ///
    /// # Errors
    /// [`ModelError::Interrupted`].
    pub fn prefill<D: Decoder<Backend = B>>(
        models: &[&D],
        prompts: &[&[u32]],
        new: usize,
    ) -> Result<(Self, Tensor<B, 2>), ModelError> {
        let packing = Packing::whole(prompts);
        let ends = packing.rows.iter().map(|row| row.tokens().end - 1);
        let ends: Vec<usize> = ends.collect();
        let longest = prompts.iter().map(|ids| ids.len()).max().unwrap_or(0);
        let first = models.first().and_then(|model| model.layers().first());
        let prefix = first.and_then(prefix_of);
        let prefix = prefix.map_or(0, |[keys, _]| keys.dims()[0]);
        let place = prefix + longest;
        let all = models.iter().flat_map(|_| prompts);
        let rows = all.enumerate().map(|(slot, ids)| Row {
            slot,
            start: longest - ids.len(),
            next: ids.len() as u32,
        });
        let mut cache = Self {
            layers: Vec::new(),
            room: place + new,
            prefix,
            place,
            rows: rows.collect(),
        };
        let mut layers: Vec<[Tensor<B, 2>; 2]> = Vec::new();
        let mut hidden = Vec::with_capacity(models.len());
        for (place, model) in models.iter().copied().enumerate() {
            let layouts = Layouts::new(model, &packing);
            let rows = &cache.rows[place * prompts.len()..][..prompts.len()];
            let run = run_with(
                model,
                &packing,
                Some(&ends),
                |index, [query, key, value]| {
                    let layer = &model.layers()[index];
                    let prefix = prefix_of(layer);
                    let mut prefix = prefix.into_iter().flatten();
                    if layers.len() == index {
                        layers.push([&key, &value].map(|like| cache.empty(like)));
                    }
                    for (all, of) in layers[index].iter_mut().zip([&key, &value]) {
                        let prefix = prefix.next();
                        // moved out and in again: the only handle is written in place
                        all.inplace(|all| cache.filled(all, rows, (of, prefix), &packing));
                    }
                    attend(layer, [query, key, value], layouts.of(index))
                },
            );
            hidden.push(run?);
        }
        cache.layers = layers;
        Ok((cache, Tensor::cat(hidden, 0)))
    }

    /// Slots with nothing in them, for numbers such as these.
    fn empty(&self, packed: &Tensor<B, 2>) -> Tensor<B, 2> {
        let [_, hidden] = packed.dims();
        let shape = [self.rows.len() * self.room, hidden];
        Tensor::zeros(shape, (&packed.device(), packed.dtype()))
    }

    /// The slots of these rows with the packed tokens in them, and the prefix before them.
    fn filled(
        &self,
        mut all: Tensor<B, 2>,
        rows: &[Row],
        (packed, prefix): (&Tensor<B, 2>, Option<Tensor<B, 2>>),
        packing: &Packing,
    ) -> Tensor<B, 2> {
        let starts = rows.iter().map(|row| self.tokens(row, 0).start);
        if let Some(prefix) = prefix {
            // weights may be narrower than what flows between the layers
            let prefix = of_type(prefix, packed.dtype());
            for start in starts.clone() {
                let places: Vec<usize> = (start..start + self.prefix).collect();
                all = B::write_rows(all, prefix.clone(), &places);
            }
        }
        let tokens = starts.zip(&packing.rows).flat_map(|(start, row)| {
            let first = start + self.prefix;
            first..first + row.len()
        });
        B::write_rows(all, packed.clone(), &tokens.collect::<Vec<_>>())
    }

    /// Runs one more token of each row, at the row's next position, and gives what the layers make of
    /// it, `[rows, hidden]`. The ids, the positions and the room for them must exist.
    ///
    /// # Errors
    /// [`ModelError::Interrupted`]: then the sequences cannot be continued.
    pub fn extend<D: Decoder<Backend = B>>(
        &mut self,
        model: &D,
        ids: &[u32],
    ) -> Result<Tensor<B, 2>, ModelError> {
        let packing = Packing {
            ids: ids.to_vec(),
            positions: self.rows.iter().map(|row| row.next).collect(),
            rows: Vec::new(),
        };
        let seen = self.rows.iter().map(|row| self.tokens(row, self.place + 1));
        let seen: Vec<Range<usize>> = seen.collect();
        let places: Vec<usize> = seen.iter().map(|seen| seen.end - 1).collect();
        let prefix = self.prefix;
        let layers = &mut self.layers;
        let hidden = run_with(model, &packing, None, |layer, [query, key, value]| {
            for (cached, new) in layers[layer].iter_mut().zip([key, value]) {
                // moved out and in again: the only handle is written in place
                cached.inplace(|cached| B::write_rows(cached, new, &places));
            }
            let [keys, values] = layers[layer].clone();
            B::cached_attention(query, keys, values, &seen, prefix, model.heads(layer))
        })?;
        self.place += 1;
        self.rows.iter_mut().for_each(|row| row.next += 1);
        Ok(hidden)
    }

    /// The rows of a layer's keys that a sequence has, up to a place in its slot.
    fn tokens(&self, row: &Row, place: usize) -> Range<usize> {
        row.slot * self.room + row.start..row.slot * self.room + place
    }

    /// Keeps these rows, in this order; a row may be asked for more than once. The first to ask gets the row's slot, the
    /// others copies of it in slots that nobody asks for.
    pub fn select(&mut self, rows: &[usize]) {
        let asked = |row: &usize| rows.contains(row);
        let slots = self.layers.first().map_or(0, |[keys, _]| keys.dims()[0]) / self.room;
        let kept = (0..self.rows.len()).filter(asked);
        let kept: Vec<usize> = kept.map(|row| self.rows[row].slot).collect();
        let mut free = (0..slots).filter(|slot| !kept.contains(slot));
        let mut copies = Vec::new();
        let mut selected: Vec<Row> = Vec::with_capacity(rows.len());
        let mut added = slots;
        for row in rows {
            let mut row = self.rows[*row];
            if selected.iter().any(|other| other.slot == row.slot) {
                let from = row;
                row.slot = free.next().unwrap_or(added);
                added = added.max(row.slot + 1);
                copies.push((from, row));
            }
            selected.push(row);
        }
        self.copy(&copies, slots..added);
        self.rows = selected;
    }

    /// Copies sequences to other slots, of which some are new.
    fn copy(&mut self, copies: &[(Row, Row)], new: Range<usize>) {
        if copies.is_empty() {
            return;
        }
        let tokens = |row: &Row| self.tokens(row, self.place);
        let from = copies.iter().flat_map(|(from, _)| tokens(from));
        let from: Vec<i32> = from.map(|row| row as i32).collect();
        let to: Vec<usize> = copies.iter().flat_map(|(_, to)| tokens(to)).collect();
        for tensor in self.layers.iter_mut().flatten() {
            let [_, hidden] = tensor.dims();
            let from = indices(from.iter().copied(), &tensor.device());
            // not a view, which would be a second handle
            let copied = tensor.clone().select(0, from);
            tensor.inplace(|mut tensor| {
                if !new.is_empty() {
                    let shape = [new.len() * self.room, hidden];
                    let more = Tensor::zeros(shape, (&tensor.device(), tensor.dtype()));
                    tensor = Tensor::cat(vec![tensor, more], 0);
                }
                B::write_rows(tensor, copied, &to)
            });
        }
    }
}
