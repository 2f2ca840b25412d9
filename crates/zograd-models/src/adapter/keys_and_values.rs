//! What a prefix can begin as: keys and values of real tokens.

use burn::tensor::Tensor;

use crate::decoder::Decoder;
use crate::error::ModelError;
use crate::forward::check_packing;
use crate::packing::Packing;
use crate::run::{Layouts, attend, run_with};

/// See [`Model::keys_and_values`](crate::Model::keys_and_values).
pub(crate) fn keys_and_values<D: Decoder>(
    model: &D,
    ids: &[u32],
) -> Result<Vec<[Tensor<D::Backend, 2>; 2]>, ModelError> {
    let packing = Packing::whole(&[ids.to_vec()]);
    check_packing(model, &packing)?;
    let layouts = Layouts::new(model, &packing);
    let mut found = Vec::with_capacity(model.layers().len());
    run_with(model, &packing, None, |layer, [query, key, value]| {
        found.push([key.clone(), value.clone()]);
        attend(
            &model.layers()[layer],
            [query, key, value],
            layouts.of(layer),
        )
    })?;
    Ok(found)
}
