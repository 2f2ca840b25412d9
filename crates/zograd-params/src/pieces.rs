//! The values of a tensor, a piece at a time: what leaves the device is a copy, and the token table is a third of a
//! small model.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

/// Bytes of a piece, unless a single row has more.
const PIECE: usize = 8 << 20;

/// The values in the order of the indices, in pieces of whole rows (of the first dimension).
pub fn pieces<B: Backend, const D: usize>(
    tensor: Tensor<B, D>,
) -> impl Iterator<Item = TensorData> {
    let rows = tensor.dims()[0];
    let row: usize = tensor.dims()[1..].iter().product::<usize>() * tensor.dtype().size();
    let count = (PIECE / row.max(1)).max(1);
    (0..rows).step_by(count).map(move |start| {
        let end = rows.min(start + count);
        tensor.clone().slice(start..end).into_data()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn_ndarray::NdArray;

    #[test]
    fn pieces_make_up_the_whole() {
        // rows of 12 KiB: 682 to a piece
        let tensor =
            Tensor::<NdArray, 1, burn::tensor::Int>::arange(0..1500 * 3072, &Default::default());
        let tensor = tensor.float().reshape([1500, 3072]);
        let found: Vec<TensorData> = pieces(tensor.clone()).collect();
        assert_eq!(found.len(), 3);
        let values = found.iter().flat_map(|piece| piece.iter::<f32>());
        assert!(values.eq(tensor.into_data().iter::<f32>()));
    }
}
