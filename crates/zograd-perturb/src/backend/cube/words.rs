//! What a pass needs beside the weights, as one buffer on the device.

use crate::NoisePass;
use crate::noise::normal;
use burn::tensor::backend::DeviceOps;
use burn_cubecl::CubeRuntime;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::server::Handle;
use burn_cubecl::tensor::CubeTensor;
use std::any::TypeId;
use std::cell::RefCell;
use zograd_direction::Seed;

/// The normal of every byte, as bits.
pub(super) const NORMALS: usize = 256;

/// Words of a stream: its seed (low, high) and the bits of two coefficients.
pub(super) const STREAM: usize = 4;

/// The normals, then the streams. Neighbours of the same seed share their noise, so a stream has two
/// coefficients, the second often 0.
pub(super) fn of_terms(terms: &[(Seed, f32)]) -> Vec<u32> {
    // a pass that only shrinks has a stream that adds nothing
    let nothing = [(Seed::new(0), 0.0)];
    let terms: &[_] = if terms.is_empty() { &nothing } else { terms };
    let coefficient = |c: f32| NoisePass::coefficient(c).to_bits();
    let mut words: Vec<u32> = (0..=u8::MAX).map(|bits| normal(bits).to_bits()).collect();
    for same in terms.chunk_by(|a, b| a.0 == b.0) {
        for pair in same.chunks(2) {
            let seed = pair[0].0.value();
            let second = pair.get(1).map_or(0.0, |second| second.1);
            words.extend([seed as u32, (seed >> 32) as u32]);
            words.extend([coefficient(pair[0].1), coefficient(second)]);
        }
    }
    words
}

/// The last buffer of a thread. All tensors of a pass need the same one, and sending it takes longer than the kernel
/// does on a small tensor.
struct Sent {
    runtime: TypeId,
    device: (u16, u16),
    words: Vec<u32>,
    handle: Handle,
}

thread_local! {
    static SENT: RefCell<Option<Sent>> = const { RefCell::new(None) };
}

/// `words` on the device of `tensor`.
pub(super) fn on_device<R: CubeRuntime>(tensor: &CubeTensor<R>, words: Vec<u32>) -> Handle {
    let id = tensor.device.id();
    let (runtime, device) = (TypeId::of::<R>(), (id.type_id, id.index_id));
    SENT.with_borrow_mut(|sent| {
        if let Some(sent) = sent
            && (sent.runtime, sent.device) == (runtime, device)
            && sent.words == words
        {
            return sent.handle.clone();
        }
        let handle = tensor.client.create_from_slice(u32::as_bytes(&words));
        *sent = Some(Sent {
            runtime,
            device,
            words,
            handle: handle.clone(),
        });
        handle
    })
}
