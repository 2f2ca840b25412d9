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

    /// Whether the elements are those of an unbroken piece of the storage, each once, in any order. Other
    /// views leave elements out or repeat some, which no published checkpoint does.
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

    /// The bytes of a dense layout, which begin at its offset, in row-major order; `width` bytes an element.
    pub fn to_row_major(&self, bytes: &[u8], width: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        let mut index = vec![0; self.shape.len()];
        for _ in 0..bytes.len() / width {
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
    }
}
