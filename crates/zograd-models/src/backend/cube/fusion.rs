//! The kernels as operations in the stream of a fusing backend: each runs in its turn, without waiting for the
//! operations before it.

use super::{Attention, CubeKernels, Product};
use crate::attention::Heads;
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Shape};
use burn_fusion::stream::{Operation, OperationStreams};
use burn_fusion::{Fusion, FusionBackend, FusionHandle, FusionTensor};
use burn_ir::{CustomOpIr, HandleContainer, OperationIr, TensorIr};
use std::marker::PhantomData;

impl<B> CubeKernels for Fusion<B>
where
    B: FusionBackend + CubeKernels,
    Self: Backend<
            FloatTensorPrimitive = FusionTensor<B::FusionRuntime>,
            IntTensorPrimitive = FusionTensor<B::FusionRuntime>,
        >,
{
    fn product(inputs: Product<Self>) -> FusionTensor<B::FusionRuntime> {
        let Product {
            x,
            weight,
            bias,
            rectified,
            out,
        } = inputs;
        let shape = Shape::new([x.shape[0], weight.shape[0]]);
        let mut tensors = vec![x, weight];
        tensors.extend(bias);
        let record = |inputs: &[TensorIr], output: &TensorIr| Multiply::<B> {
            inputs: inputs.to_vec(),
            output: output.clone(),
            rectified,
            backend: PhantomData,
        };
        register("zograd_product", tensors, shape, out, record)
    }

    fn attend(inputs: Attention<Self>) -> FusionTensor<B::FusionRuntime> {
        let Attention {
            query,
            key,
            value,
            prefix,
            seen,
            heads,
        } = inputs;
        let (shape, dtype) = (query.shape.clone(), query.dtype);
        let mut tensors = vec![query, key, value, seen];
        tensors.extend(prefix.into_iter().flatten());
        let record = |inputs: &[TensorIr], output: &TensorIr| Attend::<B> {
            inputs: inputs.to_vec(),
            output: output.clone(),
            heads,
            backend: PhantomData,
        };
        register("zograd_attend", tensors, shape, dtype, record)
    }
}

/// Puts an operation with one output into the stream.
fn register<R: burn_fusion::FusionRuntime, O: Operation<R> + 'static>(
    name: &'static str,
    inputs: Vec<FusionTensor<R>>,
    shape: Shape,
    dtype: DType,
    operation: impl FnOnce(&[TensorIr], &TensorIr) -> O,
) -> FusionTensor<R> {
    let client = inputs[0].client.clone();
    let streams = OperationStreams::with_inputs(inputs.iter());
    let output = TensorIr::uninit(client.create_empty_handle(), shape, dtype);
    let inputs: Vec<TensorIr> = inputs.into_iter().map(FusionTensor::into_ir).collect();
    let operation = operation(&inputs, &output);
    let description = CustomOpIr::new(name, &inputs, &[output]);
    let outputs = client.register(streams, OperationIr::Custom(description), operation);
    outputs
        .into_iter()
        .next()
        .expect("the description has one output")
}

/// A linear layer that waits for its turn.
#[derive(Debug)]
struct Multiply<B> {
    /// Its input, its weight, and its bias if it has one.
    inputs: Vec<TensorIr>,
    output: TensorIr,
    rectified: bool,
    backend: PhantomData<fn() -> B>,
}

impl<B: FusionBackend + CubeKernels> Operation<B::FusionRuntime> for Multiply<B> {
    fn execute(&self, handles: &mut HandleContainer<FusionHandle<B::FusionRuntime>>) {
        let mut input = |index: usize| handles.get_float_tensor::<B>(&self.inputs[index]);
        let y = B::product(Product {
            x: input(0),
            weight: input(1),
            bias: (self.inputs.len() > 2).then(|| input(2)),
            rectified: self.rectified,
            out: self.output.dtype,
        });
        handles.register_float_tensor::<B>(&self.output.id, y);
    }
}

/// Attention that waits for its turn.
#[derive(Debug)]
struct Attend<B> {
    /// Query, key, value, what is seen, and the prefix if there is one.
    inputs: Vec<TensorIr>,
    output: TensorIr,
    heads: Heads,
    backend: PhantomData<fn() -> B>,
}

impl<B: FusionBackend + CubeKernels> Operation<B::FusionRuntime> for Attend<B> {
    fn execute(&self, handles: &mut HandleContainer<FusionHandle<B::FusionRuntime>>) {
        let [query, key, value] =
            [0, 1, 2].map(|index| handles.get_float_tensor::<B>(&self.inputs[index]));
        let seen = handles.get_int_tensor::<B>(&self.inputs[3]);
        let prefix = (self.inputs.len() > 4)
            .then(|| [4, 5].map(|index| handles.get_float_tensor::<B>(&self.inputs[index])));
        let attended = B::attend(Attention {
            query,
            key,
            value,
            prefix,
            seen,
            heads: self.heads,
        });
        handles.register_float_tensor::<B>(&self.output.id, attended);
    }
}
