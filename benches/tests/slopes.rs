//! What 16-bit weights do to the slope of a probe.

use burn_flex::Flex;
use zograd_benches::batches::Batches;
use zograd_benches::embedded;
use zograd_benches::slopes::Slopes;
use zograd_models::Model;

/// What is left is the rounding of the weights where they are probed: f16 and bf16 hold 11 and 8 binary digits, so that numbers near
/// 0.05 are 2^-15 and 2^-12 apart, and an eps of 1e-3 is 30 and 4 of these steps. The bounds are twice what that does to this
/// model's slopes (0.022 and 0.15 to 0.23 of their size).
#[test]
fn sixteen_bit_slopes_are_those_of_f32_but_for_the_rounding_of_weights() {
    let model: Model<Flex> = embedded();
    let batches = Batches::dense(16, 24, model.config().vocab_size);
    let batch = &batches.batches[0];
    let slopes = Slopes::measure(&model, batch, batches.objective, 1e-3, 8).expect("a batch");
    assert!(slopes.f16_noise < 0.05 * slopes.size, "{slopes:?}");
    assert!(slopes.bf16_noise < 0.4 * slopes.size, "{slopes:?}");
}
