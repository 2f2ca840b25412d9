//! What 16-bit weights do to the slope of a probe.

use burn_flex::Flex;
use zograd_benches::batches::Batches;
use zograd_benches::embedded;
use zograd_benches::slopes::Slopes;
use zograd_models::Opt;

#[test]
fn sixteen_bit_slopes_are_those_of_f32_but_for_the_rounding_of_weights() {
    let model: Opt<Flex> = embedded();
    let batches = Batches::dense(16, 24, model.config().vocab_size);
    let batch = &batches.batches[0];
    let slopes = Slopes::measure(&model, batch, batches.objective, 1e-3, 8).expect("a batch");
    println!("{slopes:?}");
    assert!(slopes.f16_noise < 0.05 * slopes.size);
    assert!(slopes.bf16_noise < 0.3 * slopes.size);
}
