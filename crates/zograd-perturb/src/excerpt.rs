//! A few weights of every tensor, to measure by.

use crate::ParameterSpace;
use crate::each::{Look, each};
use burn::module::{Module, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor};

/// Weights of every tensor that are looked at.
pub(crate) const EXCERPT: usize = 1024;

/// The first weights of every parameter that moves, as they stood at some time.
#[derive(Clone, Debug, PartialEq)]
pub struct Excerpt(pub(crate) Vec<Vec<f64>>);

impl Excerpt {
    pub(crate) fn of<B: Backend, M: Module<B>>(module: &M, space: &ParameterSpace) -> Self {
        let mut reader = Reader(vec![Vec::new(); space.parameters().len()]);
        each(module, space, &mut reader);
        Self(reader.0)
    }
}

struct Reader(Vec<Vec<f64>>);

impl<B: Backend> Look<B> for Reader {
    fn look<const D: usize>(&mut self, index: usize, param: &Param<Tensor<B, D>>) {
        let first = leading(param.val(), EXCERPT).into_data();
        self.0[index] = first.convert_dtype(DType::F64).iter::<f64>().collect();
    }
}

/// The first `count` elements in row-major order, or all if there are fewer. Without reshaping the whole tensor, which
/// NdArray copies for it: that would be a second token table.
pub(crate) fn leading<B: Backend, const D: usize>(
    mut tensor: Tensor<B, D>,
    count: usize,
) -> Tensor<B, 1> {
    let dims = tensor.dims();
    let mut block: usize = dims.iter().product();
    for (axis, size) in dims.into_iter().enumerate() {
        if block == 0 {
            break;
        }
        block /= size;
        let wanted = count.div_ceil(block).min(size);
        tensor = tensor.narrow(axis, 0, wanted);
        // of a single block only a part may be wanted
        if wanted > 1 {
            break;
        }
    }
    let len = tensor.shape().num_elements();
    let flat = tensor.reshape([len]);
    if len > count {
        flat.narrow(0, 0, count)
    } else {
        flat
    }
}

#[cfg(all(test, feature = "ndarray"))]
mod tests {
    use super::*;
    use burn::tensor::TensorData;
    use burn_ndarray::NdArray;

    #[test]
    fn leading_elements_are_the_first_in_memory() {
        let shapes = [
            [1, 1, 1],
            [3, 4, 5],
            [1, 7, 3],
            [1, 1, 9],
            [2, 1, 6],
            [6, 5, 1],
        ];
        for shape in shapes {
            let len: usize = shape.iter().product();
            let numbers: Vec<f32> = (0..len).map(|i| i as f32).collect();
            let data = TensorData::new(numbers, shape);
            let all = Tensor::<NdArray, 3>::from_data(data, &Default::default());
            for count in 1..=len + 2 {
                let found: Vec<f32> = leading(all.clone(), count).into_data().iter().collect();
                let expected: Vec<f32> = (0..len.min(count)).map(|i| i as f32).collect();
                assert_eq!(found, expected, "{count} of {shape:?}");
            }
        }
        let empty = Tensor::<NdArray, 2>::zeros([0, 4], &Default::default());
        assert_eq!(leading(empty, 3).dims(), [0]);
    }
}
