//! A pass as one operation in the stream of a fusing backend: it runs in its turn, without waiting for the
//! operations before it.

use crate::values::Values;
use crate::{Grid, NoiseBackend, NoiseKind, NoisePass, TensorId};
use burn::tensor::backend::Backend;
use burn_fusion::stream::{Operation, OperationStreams};
use burn_fusion::{Fusion, FusionBackend, FusionHandle, FusionTensor};
use burn_ir::{CustomOpIr, HandleContainer, OperationIr, TensorIr};
use std::marker::PhantomData;
use std::sync::Arc;
use zograd_direction::Seed;

impl<B> NoiseBackend for Fusion<B>
where
    B: FusionBackend + NoiseBackend,
    Self: Backend<FloatTensorPrimitive = FusionTensor<B::FusionRuntime>>,
{
    fn add_noise(
        tensor: FusionTensor<B::FusionRuntime>,
        pass: &NoisePass<'_>,
    ) -> FusionTensor<B::FusionRuntime> {
        let client = tensor.client.clone();
        let streams = OperationStreams::with_inputs([&tensor]);
        let output = TensorIr::uninit(
            client.create_empty_handle(),
            tensor.shape.clone(),
            tensor.dtype,
        );
        // consumed: if this was the only owner, the inner backend may write in place
        let input = tensor.into_ir();
        let operation = AddNoise::<B> {
            input: input.clone(),
            output: output.clone(),
            tensor: pass.tensor,
            kind: pass.kind,
            terms: pass.terms.to_vec(),
            made: pass.made.to_vec(),
            shrink: pass.shrink,
            dither: pass.dither,
            grid: pass.grid,
            backend: PhantomData,
        };
        let description = CustomOpIr::new("zograd_add_noise", &[input], &[output]);
        let outputs = client.register(streams, OperationIr::Custom(description), operation);
        outputs
            .into_iter()
            .next()
            .expect("the description has one output")
    }
}

/// A [`NoisePass`] that waits for its turn.
#[derive(Debug)]
struct AddNoise<B> {
    input: TensorIr,
    output: TensorIr,
    tensor: TensorId,
    kind: NoiseKind,
    terms: Vec<(Seed, f32)>,
    made: Vec<(Arc<dyn Values>, f32)>,
    shrink: f32,
    dither: f32,
    grid: Option<Grid>,
    backend: PhantomData<fn() -> B>,
}

impl<B: FusionBackend + NoiseBackend> Operation<B::FusionRuntime> for AddNoise<B> {
    fn execute(&self, handles: &mut HandleContainer<FusionHandle<B::FusionRuntime>>) {
        let tensor = handles.get_float_tensor::<B>(&self.input);
        let pass = NoisePass {
            tensor: self.tensor,
            kind: self.kind,
            terms: &self.terms,
            made: &self.made,
            shrink: self.shrink,
            dither: self.dither,
            grid: self.grid,
        };
        let moved = B::add_noise(tensor, &pass);
        handles.register_float_tensor::<B>(&self.output.id, moved);
    }
}
