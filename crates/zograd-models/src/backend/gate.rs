//! What stands between the maps of gated feed-forward layers, with the same bits on every machine.

use super::Gate;
use super::softmax::exp;

/// `gate = activation(gate) * up`, element by element.
pub(super) fn gated(activation: Gate, gate: &mut [f32], up: &[f32]) {
    // one loop for each, so that the compiler makes vector code of it
    match activation {
        Gate::Silu => multiply(gate, up, silu),
        Gate::GeluTanh => multiply(gate, up, gelu_tanh),
        Gate::Gelu => multiply(gate, up, gelu),
    }
}

#[inline(always)]
fn multiply(gate: &mut [f32], up: &[f32], activation: impl Fn(f32) -> f32) {
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = activation(*gate) * up;
    }
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
fn logistic(x: f32) -> f32 {
    let power = exp(-x.abs());
    let scale = 1.0 / (1.0 + power);
    if x < 0.0 { power * scale } else { scale }
}

#[inline(always)]
fn silu(x: f32) -> f32 {
    x * logistic(x)
}

/// `(1 + tanh(x)) / 2` is the logistic function of `2 x`: without the difference of near numbers that is left of `1 + tanh(x)`
/// where `x` is below 0.
#[inline(always)]
fn gelu_tanh(x: f32) -> f32 {
    const TWICE_SQRT_2_OVER_PI: f32 = 1.595_769;
    x * logistic(TWICE_SQRT_2_OVER_PI * (x + 0.044_715 * (x * x * x)))
}

fn gelu(x: f32) -> f32 {
    // not the system's `erf`, which differs from one system to another
    0.5 * x * libm::erfcf(-x * std::f32::consts::FRAC_1_SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Six units in the last place of the result, of which the exponential has three and its argument's rounding, up to
    /// 2^-24 of 10, more: those are 1e-6 of it.
    #[test]
    fn activations_are_exact_to_rounding() {
        let functions = [
            (
                silu as fn(f32) -> f32,
                (|x| x / (1.0 + (-x).exp())) as fn(f64) -> f64,
            ),
            (gelu_tanh, |x| {
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
                x / (1.0 + (-2.0 * inner).exp())
            }),
            (gelu, |x| x / 2.0 * libm::erfc(-x / 2f64.sqrt())),
        ];
        for (found, exact) in functions {
            for step in -100_000..100_000 {
                let x = step as f32 * 1e-4;
                let exact = exact(f64::from(x));
                let error = (f64::from(found(x)) - exact).abs();
                // beyond -6 what is left of GELU is smaller than any sum it enters can show
                let bound = 4e-7 * exact.abs() + 1e-6 * exact.abs().min(1e-3);
                assert!(error <= bound.max(1e-9), "{x}: {} {exact}", found(x));
            }
            assert_eq!(found(0.0), 0.0);
            assert_eq!(found(f32::INFINITY), f32::INFINITY);
            assert_eq!(found(1e30), 1e30);
            assert_eq!(found(-1e30), 0.0);
            assert!(found(f32::NAN).is_nan());
        }
    }
}
