//! What only an NVIDIA GPU shows: weights of 16 bits, and passes in the memory of the weights.

use burn::tensor::{DType, Tensor, TensorData, TensorPrimitive};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::cuda::CudaRuntime;
use half::{bf16, f16};
use zograd_perturb::{NoiseBackend, NoiseKind, NoisePass, Seed, TensorId};

/// The backend that fuses operations, and the one below it.
type Fused = burn_cuda::Cuda;
type Plain = CubeBackend<CudaRuntime, f32, i32, u8>;

const NAME: &str = "decoder.layers.0.fc1.weight";

fn pass(kind: NoiseKind, terms: &[(Seed, f32)]) -> NoisePass<'_> {
    let mut pass = NoisePass::new(TensorId::of(NAME), kind, terms);
    pass.shrink = 0.01;
    pass
}

fn added<B: NoiseBackend>(tensor: Tensor<B, 1>, pass: &NoisePass<'_>) -> Tensor<B, 1> {
    let moved = B::add_noise(tensor.into_primitive().tensor(), pass);
    Tensor::from_primitive(TensorPrimitive::Float(moved))
}

/// Computed in f32 as on the CPU, then rounded once.
#[test]
fn weights_of_16_bits_have_the_bits_of_the_definition() {
    type Cpu = burn_ndarray::NdArray<f32>;
    let terms = [(Seed::new(1), 0.3), (Seed::new(2), -0.7)];
    for n in [1, 7, 8, 33, 1000, 70_001] {
        for kind in NoiseKind::ALL {
            for dtype in [DType::F16, DType::BF16] {
                let round = |x: f32| match dtype {
                    DType::F16 => f16::from_f32(x).to_f32(),
                    _ => bf16::from_f32(x).to_f32(),
                };
                let weights: Vec<f32> = (0..n).map(|i| round((i % 1009) as f32 / 333.0)).collect();
                let data = || TensorData::new(weights.clone(), [n]);
                let wide = Tensor::<Cpu, 1>::from_data(data(), &Default::default());
                let wide = added(wide, &pass(kind, &terms)).into_data();
                let expected: Vec<f32> = wide.iter::<f32>().map(round).collect();
                let narrow = Tensor::<Fused, 1>::from_data(data(), &Default::default()).cast(dtype);
                let moved = added(narrow, &pass(kind, &terms));
                assert_eq!(moved.dtype(), dtype);
                let moved: Vec<f32> = moved.into_data().iter().collect();
                assert_eq!(moved, expected, "{kind:?} {dtype:?} {n}");
            }
        }
    }
}

/// Where the tensor is in the memory of the device.
fn address(tensor: &Tensor<Fused, 1>) -> u64 {
    let fused = tensor.clone().into_primitive().tensor();
    let client = fused.client.clone();
    let tensor = client.resolve_tensor_float::<Plain>(fused);
    let resource = tensor.client.get_resource(tensor.handle.clone());
    resource.expect("allocated").resource().ptr
}

/// Passes stay where the weights are, and the memory in use does not grow with them.
#[test]
fn passes_are_in_place() {
    let data = TensorData::new(vec![0.5f32; 1 << 22], [1 << 22]);
    let mut tensor = Tensor::<Fused, 1>::from_data(data, &Default::default());
    let start = address(&tensor);
    let in_use = |tensor: &Tensor<Fused, 1>| {
        let fused = tensor.clone().into_primitive().tensor();
        let client = fused.client.clone();
        let client = client.resolve_tensor_float::<Plain>(fused).client;
        client
            .memory_usage()
            .expect("a working device")
            .bytes_in_use
    };
    let before = in_use(&tensor);
    for step in 0..10 {
        let terms = [(Seed::new(step), 1e-3)];
        tensor = added(tensor, &pass(NoiseKind::Gaussian, &terms));
        // between other operations of the stream
        let sum = tensor.clone().sum().into_scalar();
        assert!(sum.is_finite());
        assert_eq!(address(&tensor), start, "pass {step}");
    }
    let after = in_use(&tensor);
    assert!(after < before + (1 << 22), "{after} bytes after {before}");
}
