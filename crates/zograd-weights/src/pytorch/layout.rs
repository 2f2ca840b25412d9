//! Where the elements of a tensor lie in its storage.

/// A tensor as a view of a storage; all numbers count elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub offset: u64,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

impl Layout {
    /// Number of elements; `None` if no machine could hold them.
    pub fn count(&self) -> Option<usize> {
        let sizes = self.shape.iter();
        sizes.copied().try_fold(1usize, usize::checked_mul)
    }

    /// From the first element to behind the last one; `None` if no machine could hold them.
    pub fn span(&self) -> Option<usize> {
        // that many elements must be possible, too
        if self.count()? == 0 {
            return Some(0);
        }
        let mut steps = self.shape.iter().zip(&self.strides);
        let last = steps.try_fold(0usize, |last, (size, stride)| {
            last.checked_add((size - 1).checked_mul(*stride)?)
        });
        last?.checked_add(1)
    }

    /// Whether the elements are those of an unbroken piece of the storage, each once, in any order. Other
    /// views leave elements out (a part of a table) or repeat some (an expanded tensor, of stride 0).
    pub fn is_dense(&self) -> bool {
        let sizes = self.shape.iter().zip(&self.strides);
        let mut sizes: Vec<(usize, usize)> = sizes
            .map(|(size, stride)| (*stride, *size))
            .filter(|(_, size)| *size != 1)
            .collect();
        sizes.sort_unstable();
        let mut expected = 1;
        self.shape.contains(&0)
            || sizes.into_iter().all(|(stride, size)| {
                let fits = stride == expected;
                // sizes are data: a product that overflows matches no stride either
                expected = expected.saturating_mul(size);
                fits
            })
    }

    /// Whether the elements lie in the order they are wanted in. Only for dense layouts.
    pub fn is_row_major(&self) -> bool {
        let sizes = self.shape.iter().zip(&self.strides);
        let strides = sizes.filter(|(size, _)| **size != 1);
        strides
            .map(|(_, stride)| stride)
            .is_sorted_by(|a, b| a >= b)
    }

    /// The elements in row-major order, from the bytes of the [span](Self::span), which begin at the offset;
    /// `width` bytes an element.
    pub fn to_row_major(&self, bytes: &[u8], width: usize) -> Vec<u8> {
        let count = self.count().unwrap_or(0);
        let mut out = Vec::with_capacity(count * width);
        let mut index = vec![0; self.shape.len()];
        for _ in 0..count {
            let steps = index.iter().zip(&self.strides);
            let start = width * steps.map(|(index, stride)| index * stride).sum::<usize>();
            out.extend_from_slice(&bytes[start..start + width]);
            for (index, size) in index.iter_mut().zip(&self.shape).rev() {
                *index += 1;
                if *index < *size {
                    break;
                }
                *index = 0;
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(shape: &[usize], strides: &[usize]) -> Layout {
        Layout {
            offset: 0,
            shape: shape.to_vec(),
            strides: strides.to_vec(),
        }
    }

    #[test]
    fn dense_and_row_major_are_recognised() {
        for (shape, strides, dense, row_major) in [
            (&[][..], &[][..], true, true),
            (&[2, 3, 4], &[12, 4, 1], true, true),
            // the stride of a dimension of size 1 is arbitrary
            (&[1, 3], &[99, 1], true, true),
            (&[0, 3], &[7, 7], true, true),
            (&[2, 3], &[1, 2], true, false),
            (&[2, 3, 4], &[1, 2, 6], true, false),
            // every second element; every element twice; a part of each row
            (&[6], &[2], false, true),
            (&[2, 3], &[0, 1], false, false),
            (&[2, 3], &[6, 1], false, true),
            (&[usize::MAX, 2, 2], &[1, usize::MAX, 1], false, false),
        ] {
            let layout = layout(shape, strides);
            assert_eq!(layout.is_dense(), dense, "{layout:?}");
            if dense {
                assert_eq!(layout.is_row_major(), row_major, "{layout:?}");
            }
        }
        assert_eq!(layout(&[usize::MAX, 2], &[2, 1]).count(), None);
    }

    #[test]
    fn views_are_reordered() {
        // rows (0 2 4) and (1 3 5) of a transposed [3, 2]
        let bytes = [0, 1, 2, 3, 4, 5];
        let view = layout(&[2, 3], &[1, 2]);
        assert_eq!(view.to_row_major(&bytes, 1), [0, 2, 4, 1, 3, 5]);
        let wide = layout(&[3, 1], &[1, 1]);
        assert_eq!(wide.to_row_major(&bytes, 2), bytes);
        // every second one; a part of each row; the same row twice; the same number everywhere
        for (view, span, elements) in [
            (layout(&[3], &[2]), 5, &[0, 2, 4][..]),
            (layout(&[2, 2], &[3, 1]), 5, &[0, 1, 3, 4]),
            (layout(&[2, 3], &[0, 1]), 3, &[0, 1, 2, 0, 1, 2]),
            (layout(&[2, 2], &[0, 0]), 1, &[0, 0, 0, 0]),
            (layout(&[0, 3], &[7, 7]), 0, &[]),
            (layout(&[], &[]), 1, &[0]),
        ] {
            assert_eq!(view.span(), Some(span), "{view:?}");
            assert_eq!(view.to_row_major(&bytes[..span], 1), elements, "{view:?}");
        }
        assert_eq!(layout(&[2], &[usize::MAX]).span(), None);
        assert_eq!(layout(&[usize::MAX, 2], &[0, 0]).span(), None);
    }
}
