//! Attention of packed tokens in one launch.

mod kernel;

use super::Attention;
use burn::tensor::Shape;
use burn::tensor::backend::Backend;
use burn_cubecl::CubeRuntime;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use kernel::{QUERIES, UNITS};

/// One launch for all rows and heads.
pub(super) fn attend<R, B>(inputs: Attention<B>) -> CubeTensor<R>
where
    R: CubeRuntime,
    B: Backend<FloatTensorPrimitive = CubeTensor<R>, IntTensorPrimitive = CubeTensor<R>>,
{
    let Attention {
        query,
        key,
        value,
        prefix,
        seen,
        heads,
    } = inputs;
    let [query, key, value, seen] = [query, key, value, seen].map(into_contiguous);
    let (tokens, hidden) = (query.meta.shape()[0], query.meta.shape()[1]);
    // without a prefix the kernel reads none of it, but something has to be bound
    let (prefix_len, [prefix_keys, prefix_values]) = match prefix {
        Some(prefix) => {
            let prefix = prefix.map(into_contiguous);
            (prefix[0].meta.shape()[0], prefix)
        }
        None => (0, [key.clone(), value.clone()]),
    };
    let out = empty_device_contiguous_dtype(
        query.client.clone(),
        query.device.clone(),
        Shape::new([tokens, hidden]),
        query.dtype,
    );
    let client = query.client.clone();
    let cubes = CubeCount::Static(tokens.div_ceil(QUERIES) as u32, heads.query as u32, 1);
    let bind = |tensor: &CubeTensor<R>| {
        // SAFETY: the handle's buffer has room for the elements of its tensor.
        unsafe { ArrayArg::from_raw_parts(tensor.handle.clone(), tensor.meta.num_elements()) }
    };
    // SAFETY: every array is bound with the number of its elements and contiguous. Queries and the output are
    // `[tokens, hidden]`, keys and values `[tokens, shared]`, the prefix `[prefix_len, shared]`, `seen` has three numbers a
    // token, none above `tokens`; the kernel reads and writes rows below these counts and columns below
    // `heads.query * width <= hidden` and `heads.key_value * width <= shared` alone.
    unsafe {
        kernel::attend::launch_unchecked::<R>(
            &client,
            cubes,
            CubeDim::new_1d(UNITS as u32),
            bind(&query),
            bind(&key),
            bind(&value),
            bind(&prefix_keys),
            bind(&prefix_values),
            bind(&seen),
            bind(&out),
            tokens as u32,
            prefix_len as u32,
            hidden as u32,
            (heads.key_value * heads.width) as u32,
            heads.group() as u32,
            // what 1 / sqrt(width) is in f32
            1.0 / (heads.scale.powi(-2) as f32).sqrt(),
            heads.width,
            query.dtype.into(),
        );
    }
    out
}
